//! A trace far larger than the disk need hold: the capture streamed again and again, as one that goes on.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::FINRACE;
use super::check::{self, Summary};
use super::generate::Made;
use super::goals::{Bound, Goals};
use super::measure::{self, Cost, median};

const ETHERNET_LEN: usize = 14;
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
/// Bytes written at once, about.
const CHUNK_LEN: usize = 1 << 20;
/// Runs of one turn alone, which is over soon.
const ONE_TURN_RUNS: usize = 3;
/// Turns that have client addresses of their own.
const MOST_TURNS: u64 = 250;

/// Streams the capture once, then until so many bytes are written, each time into one finrace.
pub fn measure(capture: &Path, made: &Made, bytes: u64, goals: &mut Goals) -> anyhow::Result<()> {
    let len = fs::metadata(capture)?.len();
    let turns = bytes.div_ceil(len);
    anyhow::ensure!(
        turns <= MOST_TURNS,
        "{bytes} bytes are {turns} turns of a capture of {len}: make it larger by --packets"
    );
    println!(
        "| | GB | packets | wall s | GB/s | million packets/s | cpu ns a packet | peak MiB | incidents |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let report = capture.with_extension("json");
    // Once unmeasured: the file into the page cache.
    stream(capture, made, 1, &report)?;
    let mut rates = Vec::new();
    for (turns, runs) in [(1, ONE_TURN_RUNS), (turns, 1)] {
        let costs = (0..runs).map(|_| stream(capture, made, turns, &report));
        let costs = costs.collect::<anyhow::Result<Vec<Cost>>>()?;
        let wall = median(costs.iter().map(|cost| cost.wall)).as_secs_f64();
        let cpu = median(costs.iter().map(|cost| cost.cpu)).as_secs_f64();
        let peak = costs.iter().map(Cost::peak_mib).fold(0.0, f64::max);
        let summary = Summary::of(&fs::read(&report)?)?;
        check::found(&summary, &made.causes, turns)?;
        let packets = made.packets * turns;
        anyhow::ensure!(summary.packets == packets, "{packets} packets written, {} read", summary.packets);
        let gb = (len * turns) as f64 / 1e9;
        println!(
            "| {turns} turn{} | {gb:.2} | {packets} | {wall:.2} | {:.3} | {:.2} | {:.1} | {peak:.1} | {} |",
            if turns == 1 { "" } else { "s" },
            gb / wall,
            packets as f64 / 1e6 / wall,
            cpu * 1e9 / packets as f64,
            summary.incidents
        );
        rates.push((packets as f64 / wall, peak));
    }
    if let [(one, _), (all, peak)] = rates[..] {
        let of = format!("{turns} turns by a pipe");
        goals.hold(format!("{of}: rate / that of one turn"), Bound::AtLeast(0.95), all / one);
        goals.hold(format!("{of}: peak memory, MiB"), Bound::AtMost(64.0), peak);
    }
    Ok(())
}

fn stream(capture: &Path, made: &Made, turns: u64, report: &Path) -> anyhow::Result<Cost> {
    let command = [FINRACE, "analyze", "--format", "json", "-"].map(str::to_owned);
    // The next turn begins when all of this is over.
    let lasts_s = made.lasts_ns / 1_000_000_000 + 2;
    measure::run_fed(&command, report, |mut pipe| {
        for turn in 0..turns {
            write_turn(&mut File::open(capture)?, turn, lasts_s * turn, &mut pipe)?;
        }
        Ok(())
    })
}

/// Writes all records, later by so many seconds and with other clients; before the first turn also the file's header.
fn write_turn(capture: &mut File, turn: u64, later_s: u64, out: &mut impl Write) -> io::Result<()> {
    let mut header = [0; FILE_HEADER_LEN];
    capture.read_exact(&mut header)?;
    if turn == 0 {
        out.write_all(&header)?;
    }
    let mut chunk = vec![0; CHUNK_LEN];
    let mut filled = 0;
    loop {
        let count = capture.read(&mut chunk[filled..])?;
        filled += count;
        let mut whole = 0;
        while let Some(record) = first_record(&mut chunk[whole..filled]) {
            whole += record.len();
            let (header, packet) = record.split_at_mut(RECORD_HEADER_LEN);
            let seconds = field(header, 0) + later_s as u32;
            header[..4].copy_from_slice(&seconds.to_le_bytes());
            move_client(packet, turn as u16);
        }
        out.write_all(&chunk[..whole])?;
        chunk.copy_within(whole..filled, 0);
        filled -= whole;
        if count == 0 {
            return Ok(());
        }
    }
}

/// The record at the start of some bytes, if it is there whole.
fn first_record(bytes: &mut [u8]) -> Option<&mut [u8]> {
    let header = bytes.get(..RECORD_HEADER_LEN)?;
    bytes.get_mut(..RECORD_HEADER_LEN + field(header, 8) as usize)
}

fn field(header: &[u8], at: usize) -> u32 {
    header[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Gives the client of a frame another address in each turn: in the traffic it is the host in the clients' network, in a
/// labelled capture the one whose address ends with 1.
fn move_client(frame: &mut [u8], turn: u16) {
    // A labelled capture may hold a frame that was cut.
    let packet = frame.get_mut(ETHERNET_LEN..).unwrap_or_default();
    let version = packet.first().map_or(0, |first| first >> 4);
    let addresses = packet.get_mut(if version == 6 { 8..40 } else { 12..20 }).unwrap_or_default();
    if turn == 0 {
        return;
    }
    for address in addresses.chunks_exact_mut(if version == 6 { 16 } else { 4 }) {
        match address {
            [172, 16, network, _] => *network = turn as u8,
            [172, 17, _, _] => {}
            [_, _, _, host @ 1] => *host = 255 - turn as u8,
            [_, _, _, _, 0xff, 0xff, 0, 1, .., high, low, _, _] => [*high, *low] = turn.to_be_bytes(),
            [_, _, _, _, 0xff, 0xff, 0, 2, ..] => {}
            [_, _, _, _, .., high, low, _, 1] => [*high, *low] = turn.to_be_bytes(),
            _ => {}
        }
    }
}
