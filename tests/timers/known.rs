//! `finrace timeouts`: of a capture what was observed, of a product what is known.

use std::path::{Path, PathBuf};

use crate::common::finrace::{analyzed, finrace, json, output, text};

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

#[test]
fn a_mismatched_pair_shows_both_sides_and_what_the_timer_looks_like() {
    let report = analyzed(&capture("mismatched-pair/client.pcap"), 0);
    let close = &report["servers"][0]["server_idle_close"];
    let histogram = close["histogram"].as_array().expect("a histogram");
    let counted: u64 = histogram.iter().filter_map(|bucket| bucket["count"].as_u64()).sum();
    assert_eq!(Some(counted), close["count"].as_u64());
    let products: Vec<&str> = close["looks_like"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|product| product["product"].as_str())
        .collect();
    assert!(products.contains(&"uvicorn") && products.contains(&"node-http"), "{products:?}");

    let printed = output(finrace(["timeouts"]).arg(capture("mismatched-pair/client.pcap")));
    assert_eq!(printed.status.code(), Some(1));
    let said = text(&printed.stdout);
    assert!(said.contains("5.001 s  server closed  ███"), "{said}");
    assert!(said.contains("used again after up to this idle time"), "{said}");
    assert!(said.contains("looks like the default of"), "{said}");
}

#[test]
fn a_safe_pair_shows_the_timer_of_the_client() {
    let printed = output(finrace(["timeouts"]).arg(capture("safe-pair/client.pcap")));
    assert_eq!(printed.status.code(), Some(0));
    let said = text(&printed.stdout);
    assert!(said.contains("4.000 s  client closed  ▒▒▒"), "{said}");
}
