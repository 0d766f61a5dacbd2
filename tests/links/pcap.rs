//! Capture files, little-endian with microseconds, and the packets of the plain originals.

use std::path::{Path, PathBuf};

/// Ethernet header of the originals.
const ETHERNET_HEADER_LEN: usize = 14;

/// One record of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Seconds and microseconds since 1970.
    pub time: (u32, u32),
    pub data: Vec<u8>,
}

/// An IP packet of an original.
#[derive(Debug)]
pub struct Packet {
    /// From the IP header on, without padding.
    pub ip: Vec<u8>,
    pub from_client: bool,
    pub time: (u32, u32),
}

impl Packet {
    /// The EtherType of its IP version.
    pub fn ethertype(&self) -> u16 {
        if self.ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }
    }
}

/// A file below the repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The capture that an original is.
pub fn original(name: &str) -> PathBuf {
    in_repository(&format!("captures/{name}/client.pcap"))
}

/// The packets of an original; its first one is the client's.
pub fn packets(name: &str) -> Vec<Packet> {
    let file = std::fs::read(original(name)).expect("an original");
    let records = records(&file);
    let clients_address = records[0].data[6..12].to_vec();
    records
        .into_iter()
        .map(|record| {
            let ip = record.data[ETHERNET_HEADER_LEN..].to_vec();
            let len = match ip[0] >> 4 {
                4 => usize::from(u16::from_be_bytes([ip[2], ip[3]])),
                _ => 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])),
            };
            Packet {
                ip: ip[..len].to_vec(),
                from_client: record.data[6..12] == clients_address,
                time: record.time,
            }
        })
        .collect()
}

/// A file of records of one link type.
pub fn file(link: u16, records: &[Record]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4_u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(262_144_u32.to_le_bytes());
    file.extend(u32::from(link).to_le_bytes());
    for record in records {
        let len = record.data.len() as u32;
        for field in [record.time.0, record.time.1, len, len] {
            file.extend(field.to_le_bytes());
        }
        file.extend(&record.data);
    }
    file
}

/// A pcapng file of many captures, each an interface of its own.
pub fn merged<'a>(captures: impl Iterator<Item = (u16, &'a [Record])> + Clone) -> Vec<u8> {
    const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    const INTERFACE_DESCRIPTION: u32 = 1;
    const ENHANCED_PACKET: u32 = 6;
    let mut file =
        block(SECTION_HEADER, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    for (link, _) in captures.clone() {
        let body = [&link.to_le_bytes()[..], &[0, 0], &262_144_u32.to_le_bytes()].concat();
        file.extend(block(INTERFACE_DESCRIPTION, &body));
    }
    for (interface, (_, records)) in captures.enumerate() {
        for record in records {
            let microseconds = u64::from(record.time.0) * 1_000_000 + u64::from(record.time.1);
            let len = record.data.len() as u32;
            let fields = [interface as u32, (microseconds >> 32) as u32, microseconds as u32, len, len];
            let mut body: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
            body.extend(&record.data);
            file.extend(block(ENHANCED_PACKET, &body));
        }
    }
    file
}

/// A block of pcapng: type, length, body padded to four bytes, length.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = (padded as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &vec![0; padded - body.len()], &len].concat()
}

/// The records of a file that [`file`] could have written.
pub fn records(file: &[u8]) -> Vec<Record> {
    let mut rest = &file[24..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let field = |at: usize| u32::from_le_bytes(rest[4 * at..4 * at + 4].try_into().expect("four bytes"));
        let len = field(2) as usize;
        records.push(Record { time: (field(0), field(1)), data: rest[16..16 + len].to_vec() });
        rest = &rest[16 + len..];
    }
    records
}
