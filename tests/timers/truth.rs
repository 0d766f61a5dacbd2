//! What the lab showed of every pair (docs/truth-table.md, written by `make truth-table`) against what `check` says of the
//! very same configuration files.

use std::fs;
use std::path::Path;

use crate::common::finrace::{finrace, output, text};

/// The idle time that servers were told in those runs, in seconds.
const TOLD_S: &str = "2";

/// A name of the truth table, and what `check` is given for it: the file with the timers, or the product where the lab
/// has no such file.
fn proxy_file(name: &str) -> Result<&'static str, &'static str> {
    match name {
        "nginx" => Ok("nginx.conf"),
        "haproxy" | "haproxy-safe" => Ok("haproxy.cfg"),
        "apache" => Ok("apache.conf"),
        "caddy" => Ok("Caddyfile"),
        "envoy" => Ok("envoy.yaml"),
        "traefik" => Ok("routes.yaml"),
        "varnish" => Err("varnish"),
        "aws-alb" => Err("aws-alb"),
        other => panic!("{other} is new: say which of its files has the timers"),
    }
}

fn backend_file(name: &str) -> Result<&'static str, &'static str> {
    match name {
        "express" => Ok("server.js"),
        "gunicorn" | "gunicorn-sync" => Ok("gunicorn.conf.py"),
        "uwsgi-http" | "uwsgi-http11" => Ok("uwsgi.ini"),
        "uvicorn" => Ok("serve.py"),
        "apache" => Ok("apache.conf"),
        "nginx" => Ok("nginx.conf"),
        "caddy" => Ok("Caddyfile"),
        "puma" => Ok("puma.rb"),
        "tomcat" => Ok("conf/server.xml"),
        "go" => Err("go:IdleTimeout=2s"),
        other => panic!("{other} is new: say which of its files has the timers"),
    }
}

/// Writes the file of a proxy or server as the lab does, and says what to give for it.
fn party(kind: &str, name: &str, folder: &Path) -> String {
    let file = if kind == "proxies" { proxy_file(name) } else { backend_file(name) };
    let file = match file {
        Ok(file) => file,
        Err(product) => return product.to_owned(),
    };
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(kind).join(format!("{name}.toml"));
    let program: toml::Table =
        toml::from_str(&fs::read_to_string(path).expect("a file of the library")).expect("TOML");
    let directive = program.get("idle_directive").and_then(toml::Value::as_str).unwrap_or_default();
    // Proxies keep their own timers, servers are told theirs.
    let directive = if kind == "proxies" { "" } else { directive };
    let directive = directive.replace("{ms}", &format!("{TOLD_S}000")).replace("{s}", TOLD_S);
    let contents = program["files"][file].as_str().expect("the text of that file");
    let contents = contents.replace("{idle_directive}", &directive).replace("{settings}", "");
    let places = [
        ("{listen}", "127.0.0.1:8000"),
        ("{listen_address}", "127.0.0.1"),
        ("{port}", "8000"),
        ("{backend_address}", "127.0.0.1:9000"),
        ("{backend_host}", "127.0.0.1"),
        ("{backend_port}", "9000"),
    ];
    let contents = places.iter().fold(contents, |text, (place, value)| text.replace(place, value));
    let folder = folder.join(kind);
    let target = folder.join(file);
    fs::create_dir_all(target.parent().expect("a folder")).expect("as the lab and the truth table have it");
    fs::write(&target, contents.replace("{dir}", &folder.to_string_lossy()))
        .expect("as the lab and the truth table have it");
    target.to_string_lossy().into_owned()
}

/// Whether the lab lost a request of a pair, of any method, as a client's first or as a later one. Where the server plays no
/// part the table has one row for the proxy.
fn lost(page: &str, proxy: &str, backend: &str) -> bool {
    let mut lost = false;
    for section in page.split("\n## ").filter(|section| section.contains("each server behind each proxy")) {
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        let column =
            rows[0].iter().position(|cell| *cell == proxy).expect("as the lab and the truth table have it");
        let row = rows.iter().find(|row| row[1] == backend).expect("as the lab and the truth table have it");
        lost |= row[column].contains("**") || row[column].contains("sent twice");
    }
    lost
}

/// HAProxy as it comes loses no client's first request, and may lose a later one: the table has that by proxy.
fn lost_later(page: &str, proxy: &str) -> bool {
    let row = page
        .lines()
        .find(|line| line.starts_with(&format!("| `{proxy}` |")))
        .expect("as the lab and the truth table have it");
    let cells: Vec<&str> = row.split('|').collect();
    cells[4..6].iter().any(|cell| cell.contains("**") || cell.contains("sent twice"))
}

#[test]
fn every_pair_of_the_truth_table_is_judged_as_the_lab_showed_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/truth-table.md")).unwrap();
    let names = |kind: &str| -> Vec<String> {
        let files = fs::read_dir(root.join("scenarios").join(kind)).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let mut judged = 0;
    let mut wrong = Vec::new();
    for proxy in names("proxies") {
        for backend in names("backends") {
            let folder = tempfile::tempdir().unwrap();
            let (front, back) =
                (party("proxies", &proxy, folder.path()), party("backends", &backend, folder.path()));
            let words = ["check", "--proxy", &front, "--backend", &back];
            let printed = output(finrace(words).current_dir(folder.path()));
            let keeps_none = backend == "gunicorn-sync";
            let raced = lost(&page, &proxy, &backend) || (!keeps_none && lost_later(&page, &proxy));
            judged += 1;
            if printed.status.code() != Some(i32::from(raced)) {
                let said = text(&printed.stdout) + &text(&printed.stderr);
                let shown = if raced { "lost a request" } else { "lost none" };
                wrong.push(format!("{proxy} in front of {backend}: the lab {shown}, check says\n{said}"));
            }
        }
    }
    assert!(judged > 100, "{judged}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
