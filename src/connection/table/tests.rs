use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::packet::{Endpoint, Flags};

fn syn(host: u16) -> Segment<'static> {
    let [high, low] = host.to_be_bytes();
    Segment {
        src: Endpoint { ip: IpAddr::V4(Ipv4Addr::new(198, 51, high, low)), port: 40_000 },
        dst: Endpoint { ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), port: 80 },
        tunnel: 0,
        seq: 1,
        ack: 0,
        flags: Flags(Flags::SYN),
        window: 0,
        payload_len: 0,
        payload: &[],
        ttl: 64,
        ip_id: None,
        timestamps: None,
    }
}

#[test]
fn a_flood_of_half_open_connections_stays_within_the_bound() {
    let mut table = Table::new(RoleHints::default(), 100);
    let mut finished = 0;
    for host in 0..10_000 {
        table.ingest(&syn(host), u64::from(host) + 1, i64::from(host), &mut |_| finished += 1);
        assert!(table.slots.len() <= 100);
    }
    let counts = table.counts();
    assert_eq!((counts.connections, counts.evicted, counts.evicted_half_open), (10_000, 9_900, 9_900));
    table.finish_all(&mut |_| finished += 1);
    assert_eq!(finished, 10_000, "each is handed over once");
}

#[test]
fn the_rest_is_handed_over_in_the_order_of_first_packets() {
    let mut table = Table::new(RoleHints::default(), 10);
    for host in [3, 1, 2] {
        table.ingest(&syn(host), 1, 0, &mut |_| unreachable!("nothing ends here"));
    }
    let mut streams = Vec::new();
    table.finish_all(&mut |connection| streams.push((connection.stream, connection.ends[0].ip)));
    let expected = [(0, 3), (1, 1), (2, 2)];
    assert_eq!(streams, expected.map(|(stream, host)| (stream, syn(host).src.ip)));
}
