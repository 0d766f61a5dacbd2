//! Every Mermaid diagram that finrace writes is read by the real Mermaid, and what came from a capture is shown as it was.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use finrace::analysis::{self, Options, TraceFile, TraceRequest};
use finrace::capture::Reader;
use finrace::render::mermaid;
use finrace::report::{Incident, Trace};

use super::{chromium, packages, run, text};

/// Words that end a statement, a block, a label or a diagram, or begin markup, an entity, a comment, a directive, a formula.
const HOSTILE: [&str; 13] = [
    "/a;b#c",
    "/end",
    "/x end",
    "/%%{init:{'theme':'dark'}}%%",
    "/<script>alert(1)</script><img src=x onerror=alert(2)>",
    "/#quot;&amp;#59;",
    "/a\nend\nparticipant X",
    "/wrap:x->>y:z",
    "/`**bold**`$$x^2$$",
    "/{a}[b](c)|d|\\\"e\"",
    ":wrap: nowrap:",
    "wrap:nowrap:",
    "/Note over C,S: alt loop rect",
];

fn trace(path: &Path, stream: u32, incident: Option<&Incident>) -> Option<Trace> {
    let request = TraceRequest {
        stream,
        capture: 0,
        incident,
        names: ("client", "server"),
        products: (None, None),
        server_capture: None,
    };
    analysis::trace(&[TraceFile { path, capture: 0 }], &request, &Options::default()).expect("a capture")
}

/// Every incident of every labelled capture, seen from either side, and the first connection as such.
fn labelled() -> Vec<serde_json::Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the labelled captures")
        .flat_map(|entry| {
            ["client.pcap", "server.pcap"].map(|name| entry.as_ref().expect("an entry").path().join(name))
        })
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let mut diagrams = Vec::new();
    for path in &paths {
        let reader = Reader::open(path).expect("a capture");
        let report = analysis::analyze(vec![reader], &Options::default());
        for incident in &report.incidents {
            let trace = trace(path, incident.stream, Some(incident)).expect("the packets of an incident");
            let diagram = mermaid::sequence(&trace, Some(incident));
            diagrams.push(serde_json::json!({ "name": path, "text": diagram, "shows": [] }));
        }
        let first = trace(path, 0, None).expect("the first connection");
        diagrams
            .push(serde_json::json!({ "name": path, "text": mermaid::sequence(&first, None), "shows": [] }));
    }
    assert!(diagrams.len() > paths.len() && paths.len() > 100, "{} of {}", diagrams.len(), paths.len());
    diagrams
}

/// What a hostile client, file name or product could put into a diagram; each shows all of it.
fn hostile() -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/crossed-fin/server.pcap");
    let report = analysis::analyze(vec![Reader::open(&path).expect("a capture")], &Options::default());
    let diagram = |words: &str| {
        let mut incident = report.incidents[0].clone();
        let mut trace = trace(&path, 0, Some(&incident)).expect("its packets");
        incident.evidence = vec![words.to_owned()];
        trace.files = vec![words.to_owned()];
        trace.lanes[1].product = Some(words.to_owned());
        for segment in &mut trace.segments {
            segment.label = format!("{words} of a label");
            segment.meaning = words.to_owned();
        }
        let shown = words.replace('\n', "\\n").replace("  ", " ");
        let text = mermaid::sequence(&trace, Some(&incident));
        serde_json::json!({ "name": words, "text": text, "shows": [format!("{shown} of a label")] })
    };
    HOSTILE.into_iter().map(diagram).collect()
}

#[test]
fn mermaid_reads_every_diagram_and_shows_what_the_capture_held() {
    let diagrams: Vec<serde_json::Value> = labelled().into_iter().chain(hostile()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = folder.path().join("diagrams.json");
    fs::write(&list, serde_json::to_vec(&diagrams).expect("JSON")).expect("room for a file");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/mermaid.js");
    let mut command = Command::new("node");
    command.arg(script).stdin(Stdio::from(File::open(&list).expect("the list")));
    command.env("FINRACE_PACKAGES", packages()).env("FINRACE_CHROMIUM", chromium());
    command.env("FINRACE_PROFILE", folder.path().join("profile"));
    let output = run(&mut command);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert_eq!(text(&output.stdout), format!("{} diagrams read, {} drawn\n", diagrams.len(), HOSTILE.len()));
}
