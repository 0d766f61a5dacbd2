//! What a story's steps become on the wire: segments with numbers, sent and received.

use finrace::packet::Flags;
use finrace::report::Side;

use super::story::{At, Connection, Options, Payload, Step, Story};

/// One segment on its way.
#[derive(Debug, Clone)]
pub struct Packet {
    pub sent_us: i64,
    /// None when it is lost.
    pub arrives_us: Option<i64>,
    pub from: Side,
    pub ports: [u16; 2],
    /// Last bytes of the addresses.
    pub hosts: [u8; 2],
    /// Absolute numbers, as on the wire.
    pub seq: u32,
    pub ack: u32,
    pub flags: Flags,
    pub window: u16,
    pub ip_id: u16,
    /// As captured at the client, at the server.
    pub ttls: [u8; 2],
    pub payload: Vec<u8>,
    /// Not captured at the client, at the server.
    pub unseen: [bool; 2],
    pub dup: bool,
}

const TTL: u8 = 64;
const WINDOW: u16 = 502;

/// All packets of a story in the order of sending.
pub fn packets(story: &Story) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (index, connection) in story.connections.iter().enumerate() {
        for copy in 0..connection.repeat {
            packets.extend(play(connection, index as u32, copy, story));
        }
    }
    packets.sort_by_key(|packet| packet.sent_us);
    packets
}

/// What one side has sent and received, in numbers relative to its own and the peer's first.
#[derive(Default)]
struct End {
    next: u32,
    last_data: Option<(u32, Vec<u8>)>,
    /// Segments that arrived or will: time of arrival, numbers occupied, and the acknowledgement they carry.
    inbox: Vec<(i64, u32, u32, Option<u32>)>,
    sent: u16,
}

impl End {
    /// The next number expected, with what has arrived by `now_us`.
    fn expects(&self, now_us: i64) -> u32 {
        let mut arrived: Vec<_> = self.inbox.iter().filter(|(at, ..)| *at <= now_us).collect();
        arrived.sort_by_key(|(_, start, ..)| *start);
        arrived.iter().fold(0, |next, (_, start, end, _)| if *start <= next { next.max(*end) } else { next })
    }

    /// What the segment that arrived last acknowledged.
    fn last_ack(&self, now_us: i64) -> Option<u32> {
        let arrived = self.inbox.iter().filter(|(at, ..)| *at <= now_us);
        arrived.max_by_key(|(at, ..)| *at).and_then(|(.., ack)| *ack)
    }
}

fn play(connection: &Connection, index: u32, copy: u16, story: &Story) -> Vec<Packet> {
    let start_us = connection.start_us + i64::from(copy) * connection.every_us;
    let time = |step: &Step| match step.at {
        At::Connection(at) => start_us + at,
        At::Story(at) => at,
    };
    let mut steps: Vec<&Step> = connection.steps.iter().collect();
    steps.sort_by_key(|step| time(step));
    let spread = (index * 64 + u32::from(copy)).wrapping_mul(0x0101_4407);
    let isn = connection
        .isn
        .unwrap_or([0x1100_0000_u32.wrapping_add(spread), 0x6600_0000_u32.wrapping_add(spread)]);
    let walked = if connection.walk { copy } else { 0 };
    let ports = [connection.port + copy, connection.server_port + walked];
    let mut ends = [End::default(), End::default()];
    let mut packets = Vec::new();
    for step in steps {
        let now_us = time(step);
        for (seq, payload, last) in pieces(step, &ends[step.from as usize]) {
            let flags = if last { step.flags } else { Flags(step.flags.0 & !(Flags::FIN | Flags::PSH)) };
            let packet = send(&mut ends, step, now_us, story, isn, ports, (seq, payload, flags));
            packets.push(Packet { hosts: [connection.host, 2], ..packet });
        }
    }
    packets
}

/// The segments of one step: sequence number, payload, and whether it is the last.
fn pieces(step: &Step, end: &End) -> Vec<(Option<u32>, Vec<u8>, bool)> {
    let Options { mss, times, seq, probe, .. } = step.options;
    let seq = seq.or_else(|| probe.then(|| end.next - 1));
    let (seq, payload) = match &step.payload {
        Payload::Bytes(bytes) => (seq, bytes.clone()),
        Payload::Again => {
            let (at, bytes) = end.last_data.clone().expect("data to send again");
            (Some(at), bytes)
        }
    };
    let mut pieces: Vec<_> = match mss {
        Some(mss) => payload.chunks(mss).map(|piece| (None, piece.to_vec(), false)).collect(),
        None => vec![(seq, payload, false); times.unwrap_or(1)],
    };
    let count = pieces.len();
    for (at, piece) in pieces.iter_mut().enumerate() {
        piece.2 = mss.is_none() || at + 1 == count;
    }
    pieces
}

fn send(
    ends: &mut [End; 2],
    step: &Step,
    now_us: i64,
    story: &Story,
    isn: [u32; 2],
    ports: [u16; 2],
    (seq, payload, flags): (Option<u32>, Vec<u8>, Flags),
) -> Packet {
    let Options { ack, ttl, late_us, lost, unseen, dup, .. } = step.options;
    let (own, peer) = (step.from as usize, step.from.peer() as usize);
    let never_spoke = ends[own].next == 0 && flags.rst();
    let passive = flags.rst() && !flags.ack();
    let end = &mut ends[own];
    let refused_ack = passive.then(|| end.last_ack(now_us)).flatten();
    let seq = seq.or(refused_ack).unwrap_or(end.next);
    let ack = flags.ack().then(|| ack.unwrap_or_else(|| end.expects(now_us)));
    let numbers = payload.len() as u32 + u32::from(flags.syn()) + u32::from(flags.fin());
    end.sent += 1;
    let ip_id = if passive { 0 } else { end.sent };
    if !flags.rst() {
        end.next = end.next.max(seq + numbers);
        if !payload.is_empty() {
            end.last_data = Some((seq, payload.clone()));
        }
    }
    let arrives_us = (!lost).then_some(now_us + story.delay_us + late_us);
    if let Some(arrives_us) = arrives_us.filter(|_| !flags.rst()) {
        ends[peer].inbox.push((arrives_us, seq, seq + numbers, ack));
    }
    let mut ttls = [TTL; 2];
    ttls[peer] -= story.hops;
    Packet {
        sent_us: now_us,
        arrives_us,
        from: step.from,
        ports,
        hosts: [1, 2],
        // A host that refuses a SYN has no numbers of its own (RFC 9293 section 3.10.7.1).
        seq: if never_spoke { 0 } else { isn[own].wrapping_add(seq) },
        ack: ack.map_or(0, |ack| isn[peer].wrapping_add(ack)),
        flags,
        window: if flags.rst() { 0 } else { WINDOW },
        ip_id,
        ttls: ttl.map_or(ttls, |ttl| [ttl; 2]),
        payload,
        unseen,
        dup,
    }
}
