use std::time::Duration;

use etherparse::PacketBuilder;

use super::*;
use crate::lab::wire::rules::{DropRule, HoldRule};

const DELAY_NS: u64 = 5_000_000;
const EDGE_PORT: u16 = 40_000;
const ORIGIN_PORT: u16 = 3000;

/// A wire in virtual time.
struct Bench {
    schedule: Schedule,
    now_ns: u64,
}

/// A segment with the flags that tests need.
#[derive(Clone, Copy, Default)]
struct Sent {
    seq: u32,
    syn: bool,
    fin: bool,
    rst: bool,
    payload: &'static str,
    port: Option<u16>,
}

fn syn(seq: u32) -> Sent {
    Sent { seq, syn: true, ..Sent::default() }
}
fn data(seq: u32, payload: &'static str) -> Sent {
    Sent { seq, payload, ..Sent::default() }
}
fn fin(seq: u32) -> Sent {
    Sent { seq, fin: true, ..Sent::default() }
}
fn ack(seq: u32) -> Sent {
    data(seq, "")
}

impl Sent {
    fn bytes(self, from: Side) -> Vec<u8> {
        let edge_port = self.port.unwrap_or(EDGE_PORT);
        let (ends, ports) = match from {
            Side::Edge => (([192, 0, 2, 1], [192, 0, 2, 2]), (edge_port, ORIGIN_PORT)),
            Side::Origin => (([192, 0, 2, 2], [192, 0, 2, 1]), (ORIGIN_PORT, edge_port)),
        };
        let mut packet = PacketBuilder::ipv4(ends.0, ends.1, 64).tcp(ports.0, ports.1, self.seq, 65_535);
        packet = if self.syn { packet.syn() } else { packet };
        packet = if self.fin { packet.fin() } else { packet };
        packet = if self.rst { packet.rst() } else { packet };
        packet = if self.syn && from == Side::Edge { packet } else { packet.ack(1) };
        let mut bytes = Vec::new();
        packet.write(&mut bytes, self.payload.as_bytes()).unwrap();
        bytes
    }
}

impl Bench {
    fn new(holds: Vec<HoldRule>, drops: Vec<DropRule>) -> Self {
        let [edge, origin] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let wire = WireSettings::new(edge, origin, Duration::from_nanos(DELAY_NS));
        Bench { schedule: Schedule::new(WireSettings { holds, drops, ..wire }), now_ns: 1_000 }
    }

    fn moment(&self) -> Moment {
        Moment { steady_ns: self.now_ns, wall_ns: self.now_ns as i64 }
    }

    fn send(&mut self, from: Side, sent: Sent) {
        self.schedule.arrive(self.moment(), from, sent.bytes(from));
    }

    fn wait(&mut self, nanoseconds: u64) {
        self.now_ns += nanoseconds;
        self.schedule.expire(self.moment());
    }

    /// What is handed over now, as (receiver, sequence number).
    fn delivered(&mut self) -> Vec<(Side, u32)> {
        let mut found = Vec::new();
        while let Some(delivery) = self.schedule.take_due(self.moment()) {
            let at_ns = self.now_ns as i64;
            self.schedule.close(&delivery, Fate::Delivered { at_ns });
            let seq = packet::decode(RAW_IP, &delivery.bytes, 0).unwrap().seq;
            found.push((delivery.to, seq));
        }
        found
    }

    fn events(&mut self) -> Vec<(Side, Packet, WireEventKind)> {
        std::iter::from_fn(|| self.schedule.next_event())
            .map(|event| (event.from, event.packet, event.kind))
            .collect()
    }
}

fn hold_fin() -> HoldRule {
    HoldRule { from: Side::Origin, packet: Packet::Fin, until: Packet::Request, at_most: HoldRule::AT_MOST }
}

#[test]
fn a_packet_is_due_one_delay_after_it_came() {
    let mut bench = Bench::new(vec![], vec![]);
    bench.send(Side::Edge, syn(0));
    assert_eq!(bench.schedule.next_due_ns(), Some(1_000 + DELAY_NS));
    bench.wait(DELAY_NS - 1);
    assert_eq!(bench.delivered(), []);
    bench.wait(1);
    assert_eq!(bench.delivered(), [(Side::Origin, 0)]);
    assert_eq!(bench.events(), [(Side::Edge, Packet::Syn, WireEventKind::Forwarded)]);
    assert!(bench.schedule.is_empty());
}

#[test]
fn a_held_fin_follows_the_request_and_keeps_the_order_of_its_direction() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, data(10, "response"));
    bench.wait(DELAY_NS);
    bench.send(Side::Origin, fin(18));
    bench.send(Side::Origin, Sent { rst: true, ..ack(19) });
    bench.wait(10 * DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Edge, 10)], "the reset waits behind the FIN");
    bench.events();

    bench.send(Side::Edge, data(1, "request"));
    assert_eq!(bench.delivered(), [(Side::Edge, 18), (Side::Edge, 19)], "their delay is long over");
    let released = WireEventKind::Released { expired: false };
    assert_eq!(
        bench.events(),
        [
            (Side::Origin, Packet::Fin, released),
            (Side::Origin, Packet::Fin, WireEventKind::Forwarded),
            (Side::Origin, Packet::Rst, WireEventKind::Forwarded),
        ]
    );
}

#[test]
fn a_released_packet_still_takes_its_delay() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, fin(18));
    bench.wait(1);
    bench.send(Side::Edge, data(1, "request"));
    bench.wait(DELAY_NS - 2);
    assert_eq!(bench.delivered(), []);
    bench.wait(1);
    assert_eq!(bench.delivered(), [(Side::Edge, 18)]);
}

#[test]
fn what_came_before_the_hold_does_not_release_it() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Edge, data(1, "request"));
    bench.send(Side::Origin, fin(18));
    // The same bytes again, and an acknowledgement, are no new request.
    bench.send(Side::Edge, data(1, "request"));
    bench.send(Side::Edge, ack(8));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered().iter().filter(|(to, _)| *to == Side::Edge).count(), 0);
    bench.send(Side::Edge, data(8, "next"));
    assert_eq!(bench.delivered(), [(Side::Edge, 18)]);
}

#[test]
fn a_hold_concerns_its_own_connection_only() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, fin(18));
    bench.send(Side::Edge, Sent { port: Some(40_001), ..data(1, "other request") });
    bench.send(Side::Origin, Sent { port: Some(40_001), ..data(7, "other response") });
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Origin, 1), (Side::Edge, 7)]);
}

#[test]
fn a_hold_expires_and_says_so() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, fin(18));
    bench.wait(nanoseconds(HoldRule::AT_MOST) - 1);
    assert_eq!(bench.delivered(), []);
    assert_eq!(bench.schedule.next_due_ns(), Some(bench.now_ns + 1));
    bench.wait(1);
    assert_eq!(bench.delivered(), [(Side::Edge, 18)]);
    assert!(bench.events().contains(&(Side::Origin, Packet::Fin, WireEventKind::Released { expired: true })));
    assert_eq!(bench.schedule.into_log(0, None).expired_holds, 1);
}

#[test]
fn stopping_ends_holds_and_begins_no_more() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, fin(18));
    bench.schedule.release_all(bench.moment());
    bench.send(Side::Origin, Sent { port: Some(40_001), ..fin(5) });
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Edge, 18), (Side::Edge, 5)]);
    assert!(bench.schedule.is_empty());
    assert_eq!(bench.schedule.into_log(0, None).expired_holds, 0, "a run may end while a hold waits");
}

#[test]
fn only_the_first_fin_is_an_idle_close() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Edge, fin(1));
    bench.send(Side::Origin, fin(18));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Origin, 1), (Side::Edge, 18)]);
    assert_eq!(bench.events(), [(Side::Edge, Packet::Fin, WireEventKind::Forwarded)]);
}

#[test]
fn a_retransmitted_fin_waits_behind_the_held_one() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Origin, fin(18));
    bench.wait(DELAY_NS);
    bench.send(Side::Origin, fin(18));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), []);
    bench.send(Side::Edge, data(1, "request"));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Edge, 18), (Side::Edge, 18), (Side::Origin, 1)]);
}

#[test]
fn two_holds_in_a_row_are_released_in_order() {
    let response = HoldRule { packet: Packet::Response, until: Packet::Ack, ..hold_fin() };
    let mut bench = Bench::new(vec![response, hold_fin()], vec![]);
    bench.send(Side::Origin, data(10, "response"));
    bench.send(Side::Origin, fin(18));
    bench.wait(DELAY_NS);
    bench.send(Side::Edge, data(1, "request"));
    assert_eq!(bench.delivered(), [], "the FIN may go, but not before the response");
    bench.send(Side::Edge, ack(8));
    assert_eq!(bench.delivered(), [(Side::Edge, 10), (Side::Edge, 18)]);
}

#[test]
fn a_packet_released_on_one_side_can_release_the_other() {
    let request = HoldRule {
        from: Side::Edge,
        packet: Packet::Request,
        until: Packet::Fin,
        at_most: HoldRule::AT_MOST,
    };
    let response = HoldRule { packet: Packet::Response, until: Packet::Request, ..hold_fin() };
    let mut bench = Bench::new(vec![request, response], vec![]);
    bench.send(Side::Edge, data(1, "request"));
    bench.send(Side::Origin, data(10, "response"));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), []);
    bench.wait(nanoseconds(HoldRule::AT_MOST));
    assert_eq!(bench.delivered(), [(Side::Origin, 1), (Side::Edge, 10)]);
    let events = bench.events();
    assert!(events.contains(&(Side::Edge, Packet::Request, WireEventKind::Released { expired: true })));
    assert!(events.contains(&(Side::Origin, Packet::Response, WireEventKind::Released { expired: false })));
}

#[test]
fn drops_are_counted_in_each_connection_and_a_retry_passes() {
    let lose = DropRule { from: Side::Edge, packet: Packet::Request, count: 1 };
    let mut bench = Bench::new(vec![], vec![lose]);
    bench.send(Side::Edge, syn(0));
    for port in [None, Some(40_001)] {
        bench.send(Side::Edge, Sent { port, ..data(1, "request") });
        bench.send(Side::Edge, Sent { port, ..data(1, "request") });
    }
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Origin, 0), (Side::Origin, 1), (Side::Origin, 1)]);
    let log = bench.schedule.into_log(0, None);
    let dropped: Vec<bool> = log.packets.iter().map(|packet| packet.fate == Fate::Dropped).collect();
    assert_eq!(dropped, [false, true, false, true, false]);
}

#[test]
fn a_new_connection_on_the_same_ports_begins_afresh() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Edge, syn(0));
    bench.send(Side::Edge, fin(1));
    bench.send(Side::Origin, fin(18));
    bench.send(Side::Edge, syn(500));
    bench.send(Side::Origin, fin(900));
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered().last(), Some(&(Side::Origin, 500)), "the FIN of the new connection is held");
    assert_eq!(bench.schedule.held, 1);
}

#[test]
fn sequence_numbers_may_wrap() {
    let mut bench = Bench::new(vec![hold_fin()], vec![]);
    bench.send(Side::Edge, data(u32::MAX - 2, "before"));
    bench.send(Side::Origin, fin(18));
    bench.send(Side::Edge, data(3, "after"));
    bench.wait(DELAY_NS);
    assert!(bench.delivered().contains(&(Side::Edge, 18)));
}

#[test]
fn what_is_not_the_labs_is_carried_and_counted() {
    let mut bench = Bench::new(vec![], vec![]);
    let stray = PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 2], 64).tcp(1, 2, 3, 4);
    let ping = PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).icmpv4_echo_request(1, 1);
    let (mut stray_bytes, mut ping_bytes) = (Vec::new(), Vec::new());
    stray.write(&mut stray_bytes, &[]).unwrap();
    ping.write(&mut ping_bytes, &[]).unwrap();
    for bytes in [stray_bytes, ping_bytes, vec![], vec![0x45], vec![0xff; 20]] {
        bench.schedule.arrive(bench.moment(), Side::Edge, bytes);
    }
    bench.wait(DELAY_NS);
    let mut carried = 0;
    while let Some(delivery) = bench.schedule.take_due(bench.moment()) {
        bench.schedule.close(&delivery, Fate::Delivered { at_ns: 0 });
        carried += 1;
    }
    let log = bench.schedule.into_log(7, None);
    assert_eq!((carried, log.strays, log.not_tcp, log.stopped_ns), (5, 4, 1, 7));
}

#[test]
fn an_injected_packet_takes_the_delay_and_has_no_sender() {
    let mut bench = Bench::new(vec![], vec![]);
    bench.schedule.inject(bench.moment(), Side::Edge, Sent { rst: true, ..ack(9) }.bytes(Side::Origin));
    bench.wait(DELAY_NS - 1);
    assert_eq!(bench.delivered(), []);
    bench.wait(1);
    assert_eq!(bench.delivered(), [(Side::Edge, 9)]);
    assert_eq!(bench.schedule.into_log(0, None).packets[0].from, None);
}

#[test]
fn a_postponed_packet_stays_before_those_that_come_due_later() {
    let mut bench = Bench::new(vec![], vec![]);
    bench.send(Side::Edge, data(1, "first"));
    bench.wait(DELAY_NS);
    let delivery = bench.schedule.take_due(bench.moment()).unwrap();
    bench.schedule.postpone(delivery, bench.now_ns + 10);
    bench.send(Side::Edge, data(6, "second"));
    assert_eq!(bench.delivered(), []);
    bench.wait(DELAY_NS);
    assert_eq!(bench.delivered(), [(Side::Origin, 1), (Side::Origin, 6)]);
}
