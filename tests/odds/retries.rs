//! Many users on one page behind nginx, whose access log says which of their lost requests it sent again: what an analysis says
//! of each must be true.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use finrace::capture::Reader;
use finrace::packet::decode;
use serde_json::Value;

use crate::common::finrace::{analyzed, json, output};
use crate::common::ordinary_user::OrdinaryUser;

/// nginx with a log line for each request: which it is, how each try at the backend ended, and what its user saw.
const NGINX: &str = r#"
name = "retries"
summary = "Many users on one page, and nginx, which writes down each try"
explain = "Some of their requests are lost by chance. nginx repeats a GET and no POST."

[proxy]
name = "nginx"
command = ["nginx", "-p", "{dir}", "-e", "{dir}/error.log", "-c", "{dir}/nginx.conf"]
port = 8080

[proxy.files]
"nginx.conf" = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;

events {
    worker_connections 1024;
}

http {
    log_format tries '$http_x_request_id|$upstream_addr|$upstream_status|$status';
    access_log {dir}/tries.log tries;
    client_body_temp_path {dir}/client_body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;

    upstream backend {
        server {backend_address};
        keepalive 64;
    }

    server {
        listen {listen};

        location / {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
"""

[backend]
idle_timeout = "20ms"
close = "fin"

[wire]
delay = "10ms"

[traffic]
method = "METHOD"
path = "/page"
body_bytes = 0
send_when = "fin-delivered"

[expect]
cause = "crossed-fin"
status = 200
"#;

/// What nginx did for one request.
#[derive(Debug)]
struct Logged {
    tries: usize,
    status: u16,
}

/// A soak with this method; the folder of the run.
fn soaked(user: &OrdinaryUser, method: &str, alike: bool) -> PathBuf {
    let scenario = user.home().join(format!("{method}.toml"));
    fs::write(&scenario, NGINX.replace("METHOD", method)).expect("our own folder");
    let out = format!("{method}-{alike}");
    let words = format!(
        "soak {} --for 4s --rate 80/s --seed 5 --no-odds --format json --out {out}{}",
        scenario.display(),
        if alike { " --alike" } else { "" }
    );
    let soak = json(&output(&mut user.finrace(words.split(' '))), 0);
    assert_eq!(soak["complete"], true, "{soak:#}");
    user.home().join(out)
}

/// The log of nginx, by request.
fn logged(run: &Path) -> HashMap<String, Logged> {
    let text = fs::read_to_string(run.join("proxy/tries.log")).expect("nginx's log");
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            let [id, addresses, statuses, status] = fields[..] else { panic!("{line}") };
            let tries = addresses.split(", ").count();
            assert_eq!(tries, statuses.split(", ").count(), "{line}");
            (id.to_owned(), Logged { tries, status: status.parse().expect("a status") })
        })
        .collect()
}

/// The tries of each request in a capture: the frames in which they begin, and from which port they were sent.
fn tries(capture: &Path) -> HashMap<String, Vec<(u64, u16)>> {
    const FIELD: &[u8] = b"X-Request-Id: ";
    let mut tries: HashMap<String, Vec<(u64, u16)>> = HashMap::new();
    let mut reader = Reader::open(capture).expect("a capture");
    let mut frame = 0;
    while let Some(record) = reader.next().expect("a whole capture") {
        frame += 1;
        let Ok(segment) = decode(record.link.0, record.data, record.wire_len) else { continue };
        let Some(at) = segment.payload.windows(FIELD.len()).position(|bytes| bytes == FIELD) else {
            continue;
        };
        let id: String = segment.payload[at + FIELD.len()..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .map(|&byte| char::from(byte))
            .collect();
        let of_request = tries.entry(id).or_default();
        // What is sent once more on the same connection is a retransmission.
        if of_request.iter().all(|(_, port)| *port != segment.src.port) {
            of_request.push((frame, segment.src.port));
        }
    }
    tries
}

/// How often each word was said.
type Said = HashMap<String, usize>;

/// Holds what the analysis of one capture says of each lost request against the log.
fn said(run: &Path, capture: &str) -> Said {
    let path = run.join(capture);
    let (log, tries) = (logged(run), tries(&path));
    let of_frame: HashMap<u64, (&str, usize)> = tries
        .iter()
        .flat_map(|(id, frames)| {
            frames.iter().enumerate().map(move |(index, (frame, _))| (*frame, (id.as_str(), index)))
        })
        .collect();
    let report = analyzed(&path, 1);
    let incidents = report["incidents"].as_array().expect("incidents");
    let failed: usize = log.values().map(|it| it.tries - usize::from(it.status == 200)).sum();
    assert_eq!(incidents.len(), failed, "{capture}: the log has as many failed tries");
    let mut said = Said::new();
    for incident in incidents {
        let frame = incident["frames"]["request"].as_u64().expect("a request");
        let (id, index) = of_frame[&frame];
        let Logged { tries: logged, status } = log[id];
        assert_eq!(tries[id].len(), logged, "request {id}");
        let was_repeated = index + 1 < logged;
        let repeats: Vec<u64> = tries[id][index + 1..].iter().map(|(frame, _)| *frame).collect();
        let word = incident["retried"].to_string();
        let is_true = match &incident["retried"] {
            Value::Bool(true) => {
                was_repeated
                    && status == 200
                    && incident["retry"]["frame"].as_u64().is_some_and(|frame| repeats.contains(&frame))
            }
            Value::Bool(false) => !was_repeated,
            Value::String(word) if word == "failed" => was_repeated && status != 200,
            // An equal request followed, and nothing more is said of it.
            Value::String(word) if word == "maybe" => incident["retry"]["frame"].is_u64(),
            other => panic!("{other}: these requests can be compared, and the capture has all of them"),
        };
        assert!(is_true, "{capture}: nginx sent request {id} {logged} times, {status}: {incident:#}");
        *said.entry(word).or_default() += 1;
    }
    said
}

/// GET, which nginx repeats, and POST, which it does not; by users whose requests differ, and by users whose requests are
/// alike. Each time, more than a hundred tries of some 300 requests are lost.
#[test]
fn what_is_said_of_a_retry_is_what_nginx_logged() {
    let user = OrdinaryUser::new();
    let mut losses = 0;
    for (method, alike) in [("GET", false), ("POST", false), ("GET", true), ("POST", true)] {
        let run = soaked(&user, method, alike);
        for capture in ["edge.pcapng", "origin.pcapng"] {
            let said = said(&run, capture);
            println!("{method}, alike: {alike}, {capture}: {said:?}");
            let total: usize = said.values().sum();
            losses += if capture.starts_with("edge") { total } else { 0 };
            match (method, alike) {
                // Nobody else has these bytes, and at the proxy it is plain what came before what.
                ("GET", false) if capture.starts_with("edge") => {
                    assert_eq!(said.get("true"), Some(&total), "{said:?}");
                }
                // At the backend, some millionths of a second are within what a way there and back differs by.
                ("GET", false) => assert!(said.get("true") > Some(&(total / 2)), "{said:?}"),
                ("POST", false) => assert_eq!(said.get("false"), Some(&total), "{said:?}"),
                // Eighty equal requests a second: whose one of them is, the packets do not tell.
                (_, true) => assert_eq!(said.get("true"), None, "{said:?}"),
                _ => unreachable!(),
            }
        }
    }
    assert!(losses >= 200, "{losses} losses");
}
