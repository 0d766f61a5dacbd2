use super::*;
use crate::connection::{Exchange, Moment};
use crate::packet::{Endpoint, Flags};
use crate::report::Side;

const S: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
const SYN: u8 = Flags::SYN;
const ACK: u8 = Flags::ACK;
const FIN: u8 = Flags::FIN | ACK;
const RST: u8 = Flags::RST;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// A table, what it handed over, and a clock that every segment moves on.
struct Bench {
    table: Table,
    finished: Vec<Connection>,
    frame: u64,
    now_ns: i64,
}

impl Bench {
    fn new(limit: usize) -> Bench {
        let table = Table::new(RoleHints::default(), limit);
        Bench { table, finished: Vec::new(), frame: 0, now_ns: 0 }
    }

    /// Returns the stream.
    fn take(&mut self, segment: &Segment<'_>) -> u32 {
        self.frame += 1;
        self.now_ns += MS;
        self.table.ingest(segment, self.frame, self.now_ns, &mut |connection| self.finished.push(connection))
    }

    fn all(mut self) -> (Vec<Connection>, TableCounts) {
        let finished = &mut self.finished;
        self.table.finish_all(&mut |connection| finished.push(connection));
        (self.finished, self.table.counts())
    }

    fn settled(&mut self) -> Vec<u32> {
        let mut streams = Vec::new();
        self.table.settle(self.now_ns, &mut |connection, _| streams.push(connection.stream));
        streams
    }
}

fn host(number: u16) -> Endpoint {
    let [high, low] = number.to_be_bytes();
    Endpoint::v4(u32::from_be_bytes([198, 51, high, low]), 40_000)
}

const SERVER: Endpoint = Endpoint::v4(u32::from_be_bytes([192, 0, 2, 2]), 80);

/// A segment of the client with this number.
fn sent(client: u16, flags: u8, seq: u32, ack: u32) -> Segment<'static> {
    Segment {
        src: host(client),
        dst: SERVER,
        tunnel: 0,
        seq,
        ack,
        flags: Flags(flags),
        window: 0,
        payload_len: 0,
        payload: &[],
        ttl: 64,
        ip_id: None,
        timestamps: None,
    }
}

/// A segment of the server.
fn answered(client: u16, flags: u8, seq: u32, ack: u32) -> Segment<'static> {
    Segment { src: SERVER, dst: host(client), ..sent(client, flags, seq, ack) }
}

fn with_payload(segment: Segment<'static>) -> Segment<'static> {
    Segment { payload: REQUEST, payload_len: REQUEST.len() as u32, ..segment }
}

/// What makes a packet unlike all others.
fn with_id(segment: Segment<'static>, id: u16) -> Segment<'static> {
    Segment { ip_id: Some(id), ..segment }
}

fn syn(client: u16) -> Segment<'static> {
    sent(client, SYN, 1, 0)
}

fn streams(connections: &[Connection]) -> Vec<u32> {
    connections.iter().map(|connection| connection.stream).collect()
}

#[test]
fn a_flood_of_half_open_connections_stays_within_the_bound() {
    let mut bench = Bench::new(100);
    for client in 0..10_000 {
        bench.take(&syn(client));
        assert!(bench.table.slots.len() <= 100);
    }
    let (finished, counts) = bench.all();
    assert_eq!((counts.connections, counts.evicted, counts.evicted_half_open), (10_000, 9_900, 9_900));
    assert_eq!(finished.len(), 10_000, "each is handed over once");
}

#[test]
fn the_rest_is_handed_over_in_the_order_of_first_packets() {
    let mut bench = Bench::new(10);
    [3, 1, 2].into_iter().for_each(|client| assert!(bench.take(&syn(client)) < 3));
    let finished: Vec<_> = bench.all().0.iter().map(|known| (known.stream, known.ends[0])).collect();
    assert_eq!(finished, [(0, host(3)), (1, host(1)), (2, host(2))]);
}

#[test]
fn a_connection_begins_with_its_first_segment_whatever_that_is() {
    for first in
        [with_payload(sent(1, ACK, 1, 1)), sent(1, ACK, 1, 1), sent(1, FIN, 1, 1), sent(1, RST, 1, 1)]
    {
        let mut bench = Bench::new(10);
        bench.now_ns = 7 * S;
        bench.take(&first);
        bench.take(&answered(1, ACK, 1, 2));
        let connection = &bench.all().0[0];
        assert_eq!(
            (connection.first_ns, connection.last_ns),
            (7 * S + MS, 7 * S + 2 * MS),
            "{:?}",
            first.flags
        );
    }
}

#[test]
fn closed_connections_go_first_then_half_open_ones_then_the_longest_silent() {
    let mut bench = Bench::new(4);
    for client in [1, 2] {
        bench.take(&with_payload(sent(client, ACK, 1, 1)));
    }
    bench.take(&syn(3));
    bench.take(&syn(4));
    bench.take(&answered(4, RST | ACK, 0, 2));
    bench.take(&answered(1, ACK, 1, 19));
    for client in 5..8 {
        bench.take(&with_payload(sent(client, ACK, 1, 1)));
    }
    let given_up = [3, 2, 1];
    assert_eq!(streams(&bench.finished), given_up, "closed; half-open; silent longest");
    let counts = bench.table.counts();
    assert_eq!((counts.evicted, counts.evicted_half_open), (2, 1));
}

#[test]
fn a_connection_given_up_while_open_goes_on_under_its_number() {
    let mut bench = Bench::new(1);
    bench.take(&with_payload(sent(1, ACK, 100, 1)));
    bench.take(&with_payload(sent(2, ACK, 1, 1)));
    assert_eq!(bench.take(&with_payload(sent(1, ACK, 118, 1))), 0);
    assert_eq!(bench.take(&sent(1, SYN, 99, 0)), 0, "the number of its beginning is remembered");
    assert_eq!(bench.take(&sent(1, SYN, 500, 0)), 2, "a new connection on the same ports");
    let (finished, counts) = bench.all();
    assert_eq!(streams(&finished), [0, 1, 0, 2]);
    let resumed: Vec<bool> = finished.iter().map(|connection| connection.resumed).collect();
    assert_eq!(resumed, [false, false, true, false]);
    assert_eq!(counts.connections, 3);
}

#[test]
fn a_closed_connection_leaves_after_a_long_silence_and_its_late_packets_are_only_counted() {
    let mut bench = Bench::new(10);
    bench.take(&syn(1));
    bench.take(&answered(1, SYN | ACK, 1, 2));
    bench.take(&sent(1, FIN, 2, 2));
    bench.take(&answered(1, FIN, 2, 3));
    bench.now_ns += 100 * S;
    bench.take(&sent(1, ACK, 3, 3));
    bench.now_ns += 119 * S;
    bench.take(&syn(2));
    assert!(bench.finished.is_empty(), "it was silent for 119 s only");
    bench.now_ns += 121 * S;
    bench.take(&syn(3));
    assert_eq!(streams(&bench.finished), [0]);
    assert_eq!(bench.take(&answered(1, RST, 3, 0)), 0);
    assert_eq!(bench.take(&sent(1, SYN, 77, 0)), 3);
    let (finished, counts) = bench.all();
    assert_eq!(streams(&finished), [0, 1, 2, 3]);
    assert_eq!((counts.late, counts.connections), (1, 4));
}

#[test]
fn a_connection_that_only_the_server_reset_waits_for_its_client() {
    let mut bench = Bench::new(10);
    bench.take(&with_payload(sent(1, ACK, 1, 1)));
    bench.take(&answered(1, RST, 1, 0));
    bench.now_ns += 1_000 * S;
    bench.take(&with_payload(sent(1, ACK, 19, 1)));
    let (finished, _) = bench.all();
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].requests, 2, "the RST may have been lost on its way");
}

#[test]
fn a_closed_connection_settles_once() {
    let mut bench = Bench::new(10);
    bench.take(&syn(1));
    bench.take(&answered(1, RST | ACK, 0, 2));
    bench.take(&with_payload(sent(2, ACK, 1, 1)));
    bench.take(&sent(2, RST, 19, 0));
    assert_eq!(bench.settled(), [0; 0]);
    bench.now_ns += SETTLE_NS;
    assert_eq!(bench.settled(), [0, 1]);
    bench.now_ns += 500 * S;
    assert_eq!(bench.settled(), [0; 0]);
    bench.take(&syn(3));
    assert_eq!(streams(&bench.finished), [0, 1], "handed over for good");
}

#[test]
fn ports_used_again_and_again_leave_nothing_behind() {
    let mut bench = Bench::new(10);
    for number in 0..20_000 {
        bench.take(&sent(1, SYN, number, 0));
        bench.take(&answered(1, RST | ACK, 0, number + 1));
        // No time passes.
        bench.now_ns = 0;
    }
    assert_eq!(bench.finished.len(), 19_999);
    assert!(bench.table.closing.len() < 2_000);
}

#[test]
fn the_same_addresses_in_two_virtual_networks_are_two_connections_and_one_stream() {
    let mut bench = Bench::new(10);
    let within = |tunnel, segment| Segment { tunnel, ..segment };
    bench.take(&syn(9));
    assert_eq!(bench.take(&within(7, syn(1))), 1);
    assert_eq!(bench.take(&within(8, syn(1))), 1, "Wireshark takes it for a repetition");
    assert_eq!(bench.take(&within(7, with_payload(sent(1, ACK, 2, 1)))), 1);
    assert_eq!(bench.take(&within(8, sent(1, SYN, 500, 0))), 2, "a new stream for both");
    assert_eq!(bench.take(&within(9, with_payload(sent(1, ACK, 2, 1)))), 2);
    assert_eq!(bench.take(&syn(2)), 3);
    let (finished, counts) = bench.all();
    let seen: Vec<_> = finished.iter().map(|known| (known.tunnel, known.stream, known.requests)).collect();
    assert_eq!(seen, [(8, 1, 0), (0, 0, 0), (7, 1, 1), (8, 2, 0), (9, 2, 1), (0, 3, 0)]);
    assert_eq!(counts.connections, 6);
}

#[test]
fn a_virtual_network_goes_on_with_the_stream_of_the_same_addresses_outside() {
    let mut bench = Bench::new(10);
    bench.take(&syn(1));
    assert_eq!(bench.take(&Segment { tunnel: 7, ..syn(1) }), 0);
    assert_eq!(bench.take(&Segment { tunnel: 7, ..sent(1, SYN, 500, 0) }), 1);
    assert_eq!(bench.take(&with_payload(sent(1, ACK, 2, 1))), 0, "the connection is still the first one");
}

#[test]
fn streams_are_numbered_in_each_file_as_if_it_were_alone() {
    let mut bench = Bench::new(10);
    [1, 2].into_iter().for_each(|client| assert!(bench.take(&syn(client)) < 2));
    bench.table.begin_file();
    bench.take(&syn(3));
    bench.take(&with_payload(sent(2, ACK, 2, 1)));
    bench.table.begin_file();
    bench.take(&sent(2, ACK, 20, 1));
    bench.take(&syn(4));
    bench.take(&sent(3, ACK, 2, 1));
    let finished = bench.all().0;
    let indexes: Vec<_> =
        finished.iter().map(|known| [0, 1, 2, 3].map(|file| known.stream_in(file))).collect();
    assert_eq!(
        indexes,
        [
            [Some(0), None, None, None],
            [Some(1), Some(1), Some(0), None],
            [None, Some(0), Some(2), None],
            [None, None, Some(1), None],
        ]
    );
}

#[test]
fn late_packets_of_connections_long_gone_take_an_index_of_their_file_too() {
    let mut bench = Bench::new(10);
    bench.take(&syn(1));
    bench.take(&answered(1, RST | ACK, 0, 2));
    bench.now_ns += 300 * S;
    bench.take(&syn(2));
    bench.table.begin_file();
    bench.take(&answered(1, RST | ACK, 0, 2));
    bench.take(&syn(3));
    let finished = bench.all().0;
    assert_eq!(finished.last().and_then(|third| third.stream_in(1)), Some(1));
}

#[test]
fn a_copy_is_counted_and_not_judged() {
    let mut bench = Bench::new(10);
    let request = with_id(with_payload(sent(1, ACK, 1, 1)), 4711);
    bench.take(&request);
    // A router on the way, and three interfaces.
    bench.take(&Segment { ttl: 63, ..request });
    bench.take(&request);
    let (finished, counts) = bench.all();
    assert_eq!((finished[0].duplicates(), finished[0].packets(), counts.duplicates), (2, 3, 2));
    assert_eq!(finished[0].exchanges.front().map(Exchange::retransmissions), Some(0));
}

#[test]
fn a_retransmission_is_no_copy() {
    let mut bench = Bench::new(10);
    bench.take(&with_id(with_payload(sent(1, ACK, 1, 1)), 1));
    bench.take(&with_id(with_payload(sent(1, ACK, 1, 1)), 2));
    bench.now_ns += S;
    bench.take(&with_id(with_payload(sent(1, ACK, 1, 1)), 2));
    let (finished, _) = bench.all();
    assert_eq!(finished[0].duplicates(), 0, "another identification; the same one, but a second later");
    assert_eq!(finished[0].exchanges.front().map(Exchange::retransmissions), Some(2));
}

#[test]
fn timestamps_prove_a_copy_of_what_has_numbers_only() {
    let mut bench = Bench::new(10);
    let stamped = |segment| Segment { timestamps: Some((1_000, 900)), ..segment };
    let request = stamped(with_payload(sent(1, ACK, 1, 1)));
    bench.take(&request);
    bench.take(&request);
    // Two acknowledgements, or probes, within one tick of the sender's clock.
    let mut other = Bench::new(10);
    for _ in 0..2 {
        other.take(&stamped(answered(1, ACK, 1, 19)));
    }
    assert_eq!(bench.table.counts().duplicates, 1);
    assert_eq!(other.table.counts().duplicates, 0);
}

#[test]
fn without_identification_and_timestamps_nothing_is_proven() {
    let mut bench = Bench::new(10);
    let probe = with_id(Segment { payload_len: 1, payload: b"x", ..sent(1, ACK, 1, 1) }, 0);
    bench.take(&with_id(with_payload(sent(1, ACK, 1, 1)), 0));
    bench.take(&probe);
    bench.take(&probe);
    assert_eq!(bench.table.counts().duplicates, 0);
}

#[test]
fn a_storm_of_equal_resets_is_no_copying() {
    let mut bench = Bench::new(10);
    bench.take(&with_id(with_payload(sent(1, ACK, 1, 1)), 1));
    for _ in 0..11 {
        bench.take(&with_id(answered(1, RST, 1, 0), 0));
    }
    let (finished, counts) = bench.all();
    assert_eq!((finished[0].half(Side::Server).rsts(), counts.duplicates), (11, 0));
}

#[test]
fn in_a_mirrored_connection_every_other_reset_is_a_copy() {
    let mut bench = Bench::new(10);
    let request = with_id(with_payload(sent(1, ACK, 1, 1)), 1);
    bench.take(&request);
    bench.take(&request);
    for _ in 0..6 {
        bench.take(&with_id(answered(1, RST, 1, 0), 0));
    }
    let (finished, counts) = bench.all();
    assert_eq!((finished[0].half(Side::Server).rsts(), counts.duplicates), (3, 4));
}

#[test]
fn a_handshake_captured_twice_is_one() {
    let mut bench = Bench::new(10);
    for segment in
        [with_id(syn(1), 1), with_id(answered(1, SYN | ACK, 1, 2), 2), with_id(sent(1, ACK, 2, 2), 3)]
    {
        bench.take(&segment);
        bench.take(&segment);
    }
    let (finished, counts) = bench.all();
    assert_eq!((finished[0].packets(), counts.duplicates), (6, 3));
    assert_eq!(finished[0].half(Side::Client).syn_repeats(), 0);
    assert_eq!(finished[0].established_ns(), Some(5 * MS));
}

#[test]
fn what_every_connection_costs_is_known() {
    assert!(size_of::<Embryo>() <= 168, "{}", size_of::<Embryo>());
    assert_eq!(size_of::<Option<Flow>>(), 16);
    assert_eq!(size_of::<Option<Mark>>(), size_of::<Mark>());
    assert_eq!(size_of::<Option<Moment>>(), size_of::<Moment>());
    assert!(size_of::<Connection>() <= 320, "{}", size_of::<Connection>());
    assert!(size_of::<Exchange>() <= 144, "{}", size_of::<Exchange>());
}
