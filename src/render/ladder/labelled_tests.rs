//! Pictures of every labelled capture, from either end and from both.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use resvg::usvg::{Group, Node, Tree};

use super::png::tree;
use super::tests::check;
use super::{Outcome, layout, svg, text};
use crate::analysis::{self, Input, Options, TraceFile, TraceRequest, Unobserved};
use crate::capture::Interrupt;
use crate::render::wrap::columns;
use crate::render::{TextOptions, Theme, histogram, sequence, timeline};
use crate::report::{Clocks, Incident, Report, Trace};

/// One capture with its first incident, or its first connection where there is none.
struct Drawn {
    name: String,
    report: Report,
    path: PathBuf,
    trace: Trace,
}

impl Drawn {
    fn incident(&self) -> Option<&Incident> {
        self.report.incidents.first()
    }
}

/// Those of all labelled captures, made once.
static DRAWN: LazyLock<Vec<Drawn>> = LazyLock::new(drawn);

/// Pictures that are also held against what the rasteriser makes of them: its letters are no wider than they were measured.
const RASTERISED: [&str; 3] = ["crossed-fin, server", "mismatched-pair, client", "deploy, server"];

/// Every labelled capture: seen from the client, from the server, and from the client with the server's capture beside.
fn drawn() -> Vec<Drawn> {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut directories: Vec<PathBuf> =
        std::fs::read_dir(captures).unwrap().map(|entry| entry.unwrap().path()).collect();
    directories.retain(|directory| directory.join("facts.toml").exists());
    directories.sort();
    assert!(directories.len() > 60);
    let mut drawn = Vec::new();
    for directory in &directories {
        let [client, server] = ["client.pcap", "server.pcap"].map(|file| directory.join(file));
        let name = directory.file_name().unwrap().to_str().unwrap();
        for (seen, path, server_end) in
            [("client", &client, None), ("server", &server, None), ("both", &client, Some(server.as_path()))]
        {
            let options = Options::default();
            let input = Input::look_at(path, &Interrupt::default()).unwrap();
            let report = analysis::analyze_inputs(vec![input], &options, &mut Unobserved);
            let incident = report.incidents.first();
            let request = TraceRequest {
                stream: incident.map_or(0, |incident| incident.stream),
                capture: 0,
                incident,
                names: ("client", "server"),
                products: (None, None),
                server_capture: server_end,
            };
            let trace =
                analysis::trace(&[TraceFile { path, capture: 0 }], &request, &options).unwrap().unwrap();
            drawn.push(Drawn { name: format!("{name}, {seen}"), report, path: path.clone(), trace });
        }
    }
    drawn
}

/// The area of each text in a picture, with what it says, as the rasteriser sets it.
fn texts(svg: &str) -> (Tree, Vec<([f32; 4], String)>) {
    fn collect(group: &Group, found: &mut Vec<([f32; 4], String)>) {
        for node in group.children() {
            match node {
                Node::Group(group) => collect(group, found),
                Node::Text(text) => {
                    let area = text.abs_bounding_box();
                    let words = text.chunks().iter().map(|chunk| chunk.text()).collect();
                    found.push(([area.left(), area.top(), area.right(), area.bottom()], words));
                }
                _ => {}
            }
        }
    }
    let tree = tree(svg).unwrap();
    let mut found = Vec::new();
    collect(tree.root(), &mut found);
    (tree, found)
}

/// No two texts of a picture whose words all stand upright touch, and none leaves it.
fn check_upright(name: &str, svg: &str) {
    let (tree, texts) = texts(svg);
    assert!(!texts.is_empty(), "{name}");
    let (width, height) = (tree.size().width(), tree.size().height());
    for (index, ([left, top, right, bottom], words)) in texts.iter().enumerate() {
        assert!(
            *left >= 0.0 && *top >= 0.0 && *right <= width && *bottom <= height,
            "{name}: {words:?} leaves the picture: {left} {top} {right} {bottom}"
        );
        for ([l, t, r, b], other) in &texts[index + 1..] {
            // Boxes hold the air above and below the letters.
            let apart = right <= l || r <= left || *bottom <= t + 4.0 || *b <= top + 4.0;
            assert!(apart, "{name}: {words:?} touches {other:?}");
        }
    }
}

#[test]
fn ladders_of_all_labelled_captures_keep_their_words_apart() {
    let options = TextOptions { width: 72, color: false, unicode: true };
    for it in DRAWN.iter() {
        let ladder = layout(&it.trace, it.incident(), &Outcome::default());
        check(&ladder).unwrap_or_else(|error| panic!("{}: {error}", it.name));
        let picture = svg(&ladder);
        assert_eq!(picture, svg(&layout(&it.trace, it.incident(), &Outcome::default())), "{}", it.name);
        for arrow in ladder.arrows.iter().filter(|arrow| it.trace.segments[arrow.segment].role.is_some()) {
            assert!(
                !arrow.label.is_empty(),
                "{}: {:?} has no name",
                it.name,
                it.trace.segments[arrow.segment]
            );
        }
        assert!(!picture.contains(" id="), "{}", it.name);
        for (index, segment) in it.trace.segments.iter().enumerate() {
            let tie = match segment.frame {
                0 => format!(r#"<g class="segment" data-segment="{index}""#),
                frame => format!(r#"<g class="segment" data-segment="{index}" data-frame="{frame}""#),
            };
            assert!(picture.contains(&tie), "{}: {tie}", it.name);
        }
        for row in text(&it.trace, it.incident(), &Outcome::default(), options).lines() {
            assert!(columns(row) <= 72, "{}: {row}", it.name);
        }
        if RASTERISED.contains(&it.name.as_str()) {
            check_upright(&it.name, &picture);
        }
    }
}

#[test]
fn charts_of_all_labelled_captures_keep_their_words_apart() {
    for it in DRAWN.iter() {
        let picture = sequence::sequence(&it.trace, it.incident(), Theme::Auto).unwrap();
        let is_rasterised = RASTERISED.contains(&it.name.as_str());
        let check = |what: &str, picture: &str| {
            if is_rasterised {
                check_upright(&format!("{what} of {}", it.name), picture);
            }
        };
        check("sequence", &picture);
        if it.trace.clocks == Clocks::Both {
            continue;
        }
        for server in &it.report.servers {
            if let Some(picture) = histogram::idle_times(server, Theme::Auto).unwrap() {
                check("idle times", &picture);
            }
        }
        let files = [TraceFile { path: &it.path, capture: 0 }];
        let windows =
            it.incident().map(|incident| [incident.time_ns - 100_000_000, incident.time_ns + 100_000_000]);
        for window in [None, windows] {
            let times = analysis::timeline(&files, &it.report, window, &Options::default()).unwrap();
            let lanes = times.lanes.len() as u64 + times.connections_left_out;
            assert!(window.is_some() || lanes == it.report.summary.connections, "{}: {lanes}", it.name);
            let incidents = times.lanes.iter().map(|lane| lane.incidents.len() as u64).sum::<u64>();
            assert!(window.is_some() || incidents == it.report.summary.incidents, "{}", it.name);
            let picture = timeline::timeline(&times, window, times.first_ns, Theme::Auto).unwrap();
            check("timeline", &picture);
        }
    }
}
