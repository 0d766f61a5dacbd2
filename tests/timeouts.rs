//! `finrace timeouts`: of a capture what was observed, of a product what is known.

use std::path::{Path, PathBuf};

mod common {
    pub mod finrace;
}
use common::finrace::{finrace, json, output, text};

fn capture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(path)
}

#[test]
fn a_product_is_asked_for_by_any_of_its_names() {
    for name in ["node-http", "Node", "node.js"] {
        let printed = output(&mut finrace(["timeouts", name]));
        assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
        let said = text(&printed.stdout);
        assert!(said.contains("closes after 6 s") && said.contains("server.keepAliveTimeout"), "{said}");
        assert!(said.contains("nodejs/node:doc/api/http.md"), "{said}");
    }
}

#[test]
fn everything_known_is_listed_and_every_setting_has_a_source() {
    let list = json(&output(&mut finrace(["timeouts", "--list", "--format", "json"])), 0);
    let products = list["products"].as_array().expect("a list");
    assert!(products.len() > 80);
    for product in products {
        for setting in product["settings"].as_array().expect("a list") {
            assert!(setting["source"].as_str().is_some_and(|source| source.len() > 3), "{setting}");
        }
    }
    let table = text(&output(&mut finrace(["timeouts", "--list"])).stdout);
    assert!(products.iter().all(|product| table.contains(product["id"].as_str().unwrap())), "{table}");
}

#[test]
fn a_name_that_is_not_known_is_answered_with_those_that_are() {
    let printed = output(&mut finrace(["timeouts", "gunicron"]));
    assert_eq!(printed.status.code(), Some(2));
    assert!(text(&printed.stderr).contains("Did you mean gunicorn"), "{}", text(&printed.stderr));
    let printed = output(&mut finrace(["timeouts", "missing.pcap"]));
    assert_eq!(printed.status.code(), Some(2));
    assert!(text(&printed.stderr).contains("no file missing.pcap"), "{}", text(&printed.stderr));
}

#[test]
fn captures_and_names_do_not_go_together() {
    let file = capture("safe-pair/client.pcap");
    let printed = output(finrace(["timeouts", "nginx"]).arg(file));
    assert_eq!(printed.status.code(), Some(2));
    assert!(text(&printed.stderr).contains("do not go together"), "{}", text(&printed.stderr));
}
