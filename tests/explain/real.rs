//! The lab kills a request of a real proxy or client; what that one writes must lead to the cause that the packets prove.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::command::explained;
use crate::common::finrace::{analyzed, finrace, json, output, text};

/// How the backend closes, and when the next request comes: the three forms of the race.
const FORMS: [(&str, &str, &str); 3] = [
    ("crossed-fin", "", "send_when = \"fin-on-wire\""),
    ("unread-request", "close = \"unread\"", "send_when = \"backend-timer\""),
    ("discarded-request", "close = \"half-close\"", "send_when = \"fin-on-wire\""),
];

fn scenario(proxy: &str, (cause, close, when): (&str, &str, &str)) -> String {
    // What others call 502 is 503 to these two.
    let status = if proxy.contains("varnish") || proxy.contains("envoy") { 503 } else { 502 };
    let hold = match when.contains("fin-on-wire") {
        true => "[[wire.hold]]\nfrom = \"backend\"\npacket = \"fin\"\nuntil = \"request\"\n",
        false => "",
    };
    format!(
        "name = \"{cause}\"\nsummary = \"{cause}\"\nexplain = \"{cause}\"\n\n[proxy]\n{proxy}\n\
         [backend]\nidle_timeout = \"500ms\"\n{close}\n\n[wire]\ndelay = \"5ms\"\n{hold}\n\
         [traffic]\nmethod = \"POST\"\npath = \"/orders\"\nbody_bytes = 64\n{when}\n\n[expect]\ncause = \"{cause}\"\nstatus = {status}\n"
    )
}

/// Runs a form of the race with this proxy; gives what it wrote.
fn wrote(proxy: &str, form: (&str, &str, &str)) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, scenario(proxy, form)).expect("a scenario");
    let run = folder.path().join("run");
    let words = [
        "reproduce".as_ref(),
        file.as_os_str(),
        "--out".as_ref(),
        run.as_os_str(),
        "--format".as_ref(),
        "json".as_ref(),
    ];
    let report = json(&output(&mut finrace(words)), 0);
    let proof = analyzed(&run.join("edge.pcapng"), 1);
    assert_eq!(proof["incidents"][0]["cause"], form.0, "{proxy}: {}", proof["incidents"]);
    let file = report["run"]["product_logs"][0]["file"].as_str().expect("a log of the proxy").to_owned();
    std::fs::read_to_string(run.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What is written leads to the cause: among the first two, or, of the third form of the race, among those that fit well.
fn leads_to(who: &str, written: &str, cause: &str) {
    let explanation = explained(written, 0);
    let first = &explanation["messages"][0];
    let causes = first["causes"].as_array().expect("causes");
    let named: Vec<&str> = causes.iter().map(|it| it["cause"].as_str().expect("a token")).collect();
    let place = named.iter().position(|name| *name == cause);
    let well = place.is_some_and(|place| causes[place]["fit"] == "well");
    assert!(
        place.is_some_and(|place| place < 2) || cause == "discarded-request" && well,
        "{who}, {cause}: {} gives {named:?} of {written}",
        first["id"]
    );
}

fn proxy_leads_to_each_form(name: &str) {
    for form in FORMS {
        let written = wrote(&format!("use = \"{name}\"\n"), form);
        leads_to(name, &written, form.0);
    }
}

#[test]
fn what_nginx_writes_leads_to_the_cause() {
    proxy_leads_to_each_form("nginx");
}

#[test]
fn what_haproxy_writes_leads_to_the_cause() {
    proxy_leads_to_each_form("haproxy");
}

#[test]
fn what_apache_writes_leads_to_the_cause() {
    proxy_leads_to_each_form("apache");
}

#[test]
fn what_the_imitated_load_balancer_writes_leads_to_the_cause() {
    proxy_leads_to_each_form("aws-alb");
}

/// Those that `make servers-all` installs: cargo test --test explain -- --ignored
mod of_servers_all {
    use super::*;

    #[test]
    #[ignore = "needs make servers-all"]
    fn what_caddy_writes_leads_to_the_cause() {
        proxy_leads_to_each_form("caddy");
    }

    #[test]
    #[ignore = "needs make servers-all"]
    fn what_varnish_writes_leads_to_the_cause() {
        proxy_leads_to_each_form("varnish");
    }

    #[test]
    #[ignore = "needs make servers-all"]
    fn what_envoy_writes_leads_to_the_cause() {
        proxy_leads_to_each_form("envoy");
    }

    #[test]
    #[ignore = "needs make servers-all"]
    fn what_traefik_writes_leads_to_the_cause() {
        proxy_leads_to_each_form("traefik");
    }
}

/// A client in the proxy's place.
fn client(program: &str, script: &str, way: &str, form: (&str, &str, &str)) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain").join(script);
    let proxy = format!(
        "command = [{program:?}, {script:?}, \"{way}\", \"{{listen_address}}\", \"{{port}}\", \"{{backend_address}}\"]\n\
         name = \"{way}\"\nport = 8080\nlog = \"output.log\"\n"
    );
    let written = wrote(&proxy, form);
    leads_to(way, &written, form.0);
    assert_eq!(
        explained(&written, 0)["messages"].as_array().map(Vec::len),
        Some(1),
        "one error, one message: {written}"
    );
}

#[test]
fn what_clients_of_node_throw_leads_to_the_cause() {
    for way in ["http", "fetch"] {
        for form in FORMS {
            client("node", "client.js", way, form);
        }
    }
}

#[test]
fn what_clients_of_python_raise_leads_to_the_cause() {
    for way in ["http.client", "requests", "httpx", "aiohttp"] {
        for form in FORMS {
            client("{servers}/python/bin/python3", "client.py", way, form);
        }
    }
}

/// curl keeps no connection between two of its runs, so the server plays a close under its first request.
#[test]
fn what_curl_says_leads_to_the_cause() {
    for (linger, cause) in [(None, "crossed-fin"), (Some(Duration::ZERO), "unread-request")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on the loopback device");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("curl");
            let _ = stream.read(&mut [0; 4096]).expect("a request");
            let _ = stream.flush();
            socket2::SockRef::from(&stream).set_linger(linger).expect("an option of sockets");
        });
        let said = Command::new("curl")
            .args(["--silent", "--show-error", &url])
            .output()
            .expect("curl is installed");
        server.join().expect("the server");
        let said = text(&said.stderr);
        leads_to("curl", &said, cause);
    }
}

/// What the servers of the lab write when they lose a request: nothing that is taken for an error.
#[test]
fn what_servers_write_in_a_race_is_no_known_error() {
    for (backend, log) in [("nginx", "error.log"), ("apache", "error.log")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = folder.path().join("run");
        let words = [
            "reproduce",
            "--proxy",
            "aws-alb",
            "--backend",
            backend,
            "--backend-idle",
            "1s",
            "--format",
            "json",
            "--out",
        ];
        let mut command = finrace(words);
        let report = json(&output(command.arg(&run)), 1);
        assert_eq!(report["run"]["attempts"][0]["status"], 502);
        let log: PathBuf = run.join("backend").join(log);
        let written = std::fs::read_to_string(&log).unwrap_or_default();
        let explanation: Value = explained(&format!("{written}\nend"), 3);
        assert_eq!(explanation["messages"], Value::Array(Vec::new()), "{backend}: {written}");
    }
}
