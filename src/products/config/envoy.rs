//! Envoy in YAML or JSON: `idle_timeout` in `common_http_protocol_options`, of the connection manager and of clusters.

use super::tree::{Entry, Tree};
use super::{Found, Reading, SECOND, Value};

/// What it is where nothing is set.
const DEFAULT: Value = Value::Time(3_600 * SECOND);

pub(super) fn looks_like(tree: &Tree) -> bool {
    let mut typed = false;
    tree.walk(&mut |_, entry| {
        typed |= entry.key == "@type" && entry.value.text().is_some_and(|it| it.contains("envoy."));
    });
    typed
        || tree.has("static_resources")
        || tree.has("dynamic_resources")
        || tree.has("common_http_protocol_options")
        || (tree.has("clusters") && tree.has("listeners"))
        || (tree.has("load_assignment") && tree.has("connect_timeout"))
}

pub(super) fn read(text: &str) -> Result<Reading, String> {
    let mut reading = Reading::of(Some("envoy"), Some("envoy"));
    for tree in Tree::yaml(text)? {
        let mut clusters = Vec::new();
        tree.walk(&mut |path, entry| {
            let within = |name: &str| path.contains(&name);
            let upstream = within("clusters")
                || within("upstream_http_protocol_options")
                || within("typed_extension_protocol_options");
            if entry.key == "clusters" {
                clusters.extend(entry.value.items());
            }
            if alike(entry, "idle_timeout") && within_options(path) && !upstream {
                reading.downstream.push(Found::at(text, entry.line, seconds(entry)));
            }
        });
        // A cluster alone, as a discovery service hands it out.
        if clusters.is_empty() {
            clusters.push(&tree);
        }
        for cluster in clusters {
            let mut set = None;
            let mut name_line = cluster.line;
            cluster.walk(&mut |path, entry| {
                if path.is_empty() && entry.key == "name" {
                    name_line = entry.line;
                }
                let upstream = !path.iter().any(|key| *key == "listeners" || *key == "filter_chains");
                if alike(entry, "idle_timeout") && within_options(path) && upstream {
                    set = Some(Found::at(text, entry.line, seconds(entry)));
                }
            });
            if set.is_some() || !std::ptr::eq(cluster, tree.as_ref()) {
                reading.upstream.push(set.unwrap_or_else(|| Found::unset(text, name_line, DEFAULT)));
            }
        }
    }
    Ok(reading)
}

fn alike(entry: &Entry, key: &str) -> bool {
    entry.key == key || (key == "idle_timeout" && entry.key == "idleTimeout")
}

fn within_options(path: &[&str]) -> bool {
    path.iter().any(|key| *key == "common_http_protocol_options" || *key == "commonHttpProtocolOptions")
}

/// A duration as protobuf writes it, `3600s` or `0.5s`; 0 switches the timer off.
fn seconds(entry: &Entry) -> Value {
    let number =
        entry.value.text().and_then(|text| text.strip_suffix('s')).and_then(|it| it.parse::<f64>().ok());
    match number {
        Some(0.0) => Value::Never,
        Some(number) if number > 0.0 && number < 1e9 => Value::Time((number * SECOND as f64) as i64),
        _ => Value::Unreadable,
    }
}
