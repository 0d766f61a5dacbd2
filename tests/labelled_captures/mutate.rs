//! Changes to a capture that must not change what it means.

use super::bytes::Record;

const ETHERNET_LEN: usize = 14;
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Where things stand in a frame of a labelled capture: Ethernet, IP without options, TCP.
#[derive(Clone, Copy)]
struct Layout {
    /// First byte and length of the source address; the destination follows it.
    addresses: (usize, usize),
    tcp: usize,
}

impl Layout {
    fn of(frame: &[u8]) -> Layout {
        match frame[ETHERNET_LEN] >> 4 {
            4 => Layout { addresses: (ETHERNET_LEN + 12, 4), tcp: ETHERNET_LEN + 20 },
            _ => Layout { addresses: (ETHERNET_LEN + 8, 16), tcp: ETHERNET_LEN + 40 },
        }
    }
}

/// Whether a client sent the frame: any host but the one whose address ends with 2.
pub fn from_client(frame: &[u8]) -> bool {
    let (first, len) = Layout::of(frame).addresses;
    frame[first + len - 1] != 2
}

fn flags(frame: &[u8]) -> u8 {
    frame[Layout::of(frame).tcp + 13]
}

/// Whether any of these TCP flags is set.
pub fn has_any_flag(frame: &[u8], wanted: u8) -> bool {
    flags(frame) & wanted != 0
}

fn seq(frame: &[u8]) -> u32 {
    let at = Layout::of(frame).tcp + 4;
    u32::from_be_bytes(frame[at..at + 4].try_into().expect("four bytes"))
}

/// The ports, the client's first: they tell the connections of a labelled capture apart.
fn connection(frame: &[u8]) -> [u8; 4] {
    let at = Layout::of(frame).tcp;
    let ports: [u8; 4] = frame[at..at + 4].try_into().expect("four bytes");
    if from_client(frame) { ports } else { [ports[2], ports[3], ports[0], ports[1]] }
}

/// All times later or earlier.
pub fn shift_time(records: &mut [Record], us: i64) {
    for record in records {
        record.time_us += us;
    }
}

/// All sequence numbers moved, so that the number `below` before that of frame `at` becomes zero, in both directions.
pub fn shift_sequence_numbers(records: &mut [Record], at: [usize; 2], below: [u32; 2]) {
    let zero = |client: bool, at: usize, below: u32| {
        let frames: Vec<&Record> =
            records.iter().filter(|record| from_client(&record.data) == client).collect();
        match frames.len() {
            0 => 0,
            count => 0u32.wrapping_sub(seq(&frames[at % count].data).wrapping_sub(below)),
        }
    };
    let by = [zero(true, at[0], below[0]), zero(false, at[1], below[1])];
    for record in records {
        let (own, peer) = if from_client(&record.data) { (by[0], by[1]) } else { (by[1], by[0]) };
        let tcp = Layout::of(&record.data).tcp;
        add(&mut record.data[tcp + 4..tcp + 8], own);
        if flags(&record.data) & ACK != 0 {
            add(&mut record.data[tcp + 8..tcp + 12], peer);
        }
    }
}

fn add(number: &mut [u8], by: u32) {
    let sum = u32::from_be_bytes((&*number).try_into().expect("four bytes")).wrapping_add(by);
    number.copy_from_slice(&sum.to_be_bytes());
}

/// The hosts exchange their addresses, so that the client is the one with the greater.
pub fn exchange_addresses(records: &mut [Record]) {
    for record in records {
        let (first, len) = Layout::of(&record.data).addresses;
        let (src, dst) = (first + len - 1, first + 2 * len - 1);
        record.data.swap(src, dst);
    }
}

/// As captured with a snap length.
pub fn cut(records: &mut [Record], snaplen: usize) {
    for record in records {
        record.data.truncate(snaplen);
    }
}

/// Every packet captured twice, as on two interfaces that it passes within a microsecond.
pub fn duplicate(records: &[Record]) -> Vec<Record> {
    records.iter().flat_map(|record| [record.clone(), record.clone()]).collect()
}

/// Without the handshakes; and for each frame that is left, its number before.
pub fn after_handshake(records: &[Record]) -> (Vec<Record>, Vec<u64>) {
    let mut opening: Vec<[u8; 4]> = Vec::new();
    let mut kept = Vec::new();
    let mut numbers = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let (name, flags) = (connection(&record.data), flags(&record.data));
        if flags & SYN != 0 {
            if !opening.contains(&name) {
                opening.push(name);
            }
            continue;
        }
        if from_client(&record.data)
            && let Some(at) = opening.iter().position(|open| *open == name)
        {
            opening.swap_remove(at);
            if flags == ACK {
                continue;
            }
        }
        kept.push(record.clone());
        numbers.push(index as u64 + 1);
    }
    (kept, numbers)
}

/// How two neighbours in a capture may change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// Two packets of one side of one connection, none of which opens or ends it.
    SameDirection,
    /// Packets of different connections.
    DifferentConnections,
}

/// Where two neighbours, less than a millisecond apart, may change places: the index of the first of each pair.
pub fn swappable(records: &[Record], which: Neighbours) -> Vec<usize> {
    const MILD_US: i64 = 1_000;
    let qualifies = |pair: &[Record]| {
        let (one, other) = (&pair[0], &pair[1]);
        let same = connection(&one.data) == connection(&other.data);
        let same_side = from_client(&one.data) == from_client(&other.data);
        let marked = |mask| (flags(&one.data) | flags(&other.data)) & mask != 0;
        let which = match which {
            Neighbours::SameDirection => same && same_side && !marked(FIN | SYN | RST),
            Neighbours::DifferentConnections => !same && !marked(SYN),
        };
        which && other.time_us - one.time_us <= MILD_US
    };
    let pairs = records.windows(2).enumerate();
    pairs.filter(|(_, pair)| qualifies(pair)).map(|(first, _)| first).collect()
}

/// A packet and the next change places; the times stay where they are.
pub fn swap_with_next(records: &[Record], first: usize) -> Vec<Record> {
    let mut records = records.to_vec();
    let times = (records[first].time_us, records[first + 1].time_us);
    records.swap(first, first + 1);
    (records[first].time_us, records[first + 1].time_us) = times;
    records
}
