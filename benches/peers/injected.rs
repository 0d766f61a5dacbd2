//! The labelled captures as stories that happen within the traffic, each with the incidents that it must show.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finrace::capture::Reader;
use serde::Deserialize;

use super::frame;

/// A labelled capture: its frames, and how many incidents of each cause are in it.
pub struct Story {
    frames: Vec<(u64, u32, Vec<u8>)>,
    pub causes: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Facts {
    conclusive: bool,
    #[serde(default, rename = "incident")]
    incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    cause: String,
    seen_from: Option<String>,
}

/// Every labelled capture that could show a lost request, as the client's side saw it.
pub fn stories() -> anyhow::Result<Vec<Story>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut folders: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
    folders.sort();
    let mut stories = Vec::new();
    for folder in folders {
        let Ok(facts) = fs::read_to_string(folder.join("facts.toml")) else { continue };
        let facts: Facts = toml::from_str(&facts)?;
        if !facts.conclusive {
            continue;
        }
        let mut causes = BTreeMap::new();
        for incident in facts.incidents {
            if incident.seen_from.is_none_or(|side| side == "client") {
                *causes.entry(incident.cause).or_default() += 1;
            }
        }
        let mut reader = Reader::open(&folder.join("client.pcap"))?;
        let mut frames = Vec::new();
        let mut first_ns = None;
        while let Some(record) = reader.next()? {
            let since = record.time_ns - *first_ns.get_or_insert(record.time_ns);
            frames.push((since.max(0) as u64, record.wire_len, record.data.to_vec()));
        }
        stories.push(Story { frames, causes });
    }
    Ok(stories)
}

/// One telling of a story.
pub struct Telling<'s> {
    story: &'s Story,
    begun_ns: u64,
    network: u32,
    told: usize,
}

impl<'s> Telling<'s> {
    /// Begins at a time, in a network of its own.
    pub fn new(story: &'s Story, begun_ns: u64, network: u32) -> Telling<'s> {
        Telling { story, begun_ns, network, told: 0 }
    }

    /// When the next frame is captured.
    pub fn next_ns(&self) -> Option<u64> {
        Some(self.begun_ns + self.story.frames.get(self.told)?.0)
    }

    /// Writes the next frame and returns the length it had on the wire.
    pub fn write(&mut self, bytes: &mut Vec<u8>) -> u32 {
        let (_, wire_len, frame) = &self.story.frames[self.told];
        self.told += 1;
        bytes.clear();
        bytes.extend(frame);
        frame::move_to_network(bytes, self.network);
        *wire_len
    }
}
