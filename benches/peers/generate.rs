//! The capture that is measured on: made by a seed, with a known number of incidents of each cause.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::injected::{self, Telling};
use super::random::Random;
use super::traffic::Connection;

/// 2026-09-14 12:00:00 UTC.
const BEGUN_S: u64 = 1_789_387_200;
/// A new connection every so often: some hundreds are open at a time.
const BETWEEN_CONNECTIONS_NS: u64 = 12_000_000;
/// Telling of stories by million packets of traffic, of each story.
const TELLINGS_A_MILLION: u64 = 2;

/// What a capture holds.
pub struct Made {
    pub packets: u64,
    pub connections: u64,
    pub causes: BTreeMap<String, u64>,
    /// From the first packet to the last.
    pub lasts_ns: u64,
}

enum Actor<'s> {
    Connection(Connection),
    Telling(Telling<'s>),
}

impl Actor<'_> {
    fn next_ns(&self) -> Option<u64> {
        match self {
            Actor::Connection(connection) => connection.next_ns(),
            Actor::Telling(telling) => telling.next_ns(),
        }
    }
}

/// Writes a classic capture of about so many packets.
pub fn generate(path: &Path, packets: u64, seed: u64) -> anyhow::Result<Made> {
    let stories = injected::stories()?;
    let mut random = Random(seed);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&file_header())?;
    let mut made = Made { packets: 0, connections: 0, causes: BTreeMap::new(), lasts_ns: 0 };
    let tellings = stories.len() as u64 * (packets * TELLINGS_A_MILLION / 1_000_000).max(1);
    let (mut told, mut now_ns) = (0, 0);
    let mut actors: Vec<Option<Actor<'_>>> = Vec::new();
    let mut free = Vec::new();
    // Ordered by time, then by place, so that the order is certain.
    let mut next = BinaryHeap::new();
    let (mut frame, mut payload) = (Vec::new(), Vec::new());
    loop {
        let begins = made.packets < packets;
        while next.peek().is_none_or(|Reverse((at_ns, _))| *at_ns >= now_ns) && begins {
            let actor = if told < tellings && told * packets <= made.packets * tellings {
                let story = &stories[told as usize % stories.len()];
                for (cause, count) in &story.causes {
                    *made.causes.entry(cause.clone()).or_default() += count;
                }
                told += 1;
                Actor::Telling(Telling::new(story, now_ns, told as u32))
            } else {
                made.connections += 1;
                Actor::Connection(Connection::new(&mut random, made.connections, now_ns))
            };
            let place = free.pop().unwrap_or(actors.len());
            next.extend(actor.next_ns().map(|at_ns| Reverse((at_ns, place))));
            if place == actors.len() {
                actors.push(Some(actor));
            } else {
                actors[place] = Some(actor);
            }
            now_ns += BETWEEN_CONNECTIONS_NS;
        }
        let Some(Reverse((at_ns, place))) = next.pop() else { break };
        let Some(actor) = actors[place].as_mut() else { continue };
        let wire_len = match actor {
            Actor::Connection(connection) => {
                connection.write(&mut frame, &mut payload);
                frame.len() as u32
            }
            Actor::Telling(telling) => telling.write(&mut frame),
        };
        file.write_all(&record_header(at_ns, frame.len() as u32, wire_len))?;
        file.write_all(&frame)?;
        made.packets += 1;
        made.lasts_ns = at_ns;
        match actor.next_ns() {
            Some(at_ns) => next.push(Reverse((at_ns, place))),
            None => {
                actors[place] = None;
                free.push(place);
            }
        }
    }
    file.flush()?;
    anyhow::ensure!(told == tellings, "{told} of {tellings} stories were told: more packets are needed");
    Ok(made)
}

/// Little-endian, microseconds, version 2.4, no snap length, Ethernet.
fn file_header() -> Vec<u8> {
    [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1].iter().flat_map(|field| field.to_le_bytes()).collect()
}

fn record_header(at_ns: u64, captured: u32, wire_len: u32) -> [u8; 16] {
    let seconds = (BEGUN_S + at_ns / 1_000_000_000) as u32;
    let micros = (at_ns % 1_000_000_000 / 1_000) as u32;
    let mut header = [0; 16];
    for (field, value) in header.chunks_exact_mut(4).zip([seconds, micros, captured, wire_len]) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    header
}
