//! Traefik in YAML or TOML, static and dynamic: `idleConnTimeout` to servers and `idleTimeout` to clients.

use super::tree::{Entry, Tree};
use super::{Found, Reading, SECOND, Value, duration, or_zero};

pub(super) fn looks_like(tree: &Tree) -> bool {
    let entry_points = tree.get("entryPoints").is_some_and(|entry| !entry.value.entries().is_empty());
    let dynamic = tree.at("http").is_some_and(|http| {
        http.value.has("serversTransports") || (http.value.has("routers") && http.value.has("services"))
    });
    entry_points || tree.has("serversTransport.forwardingTimeouts") || dynamic
}

pub(super) fn read(text: &str) -> Result<Reading, String> {
    let trees = match Tree::yaml(text) {
        Ok(trees) if trees.iter().any(|tree| looks_like(tree)) => trees,
        _ => vec![std::rc::Rc::new(Tree::toml(text)?)],
    };
    let mut reading = Reading::of(Some("traefik"), Some("traefik"));
    reading.line = Some(("idleTimeout: {}s", SECOND));
    for tree in &trees {
        if let Some(points) = tree.get("entryPoints") {
            for point in points.value.entries() {
                let set = point.value.at("transport.respondingTimeouts.idleTimeout");
                reading.downstream.push(match set {
                    Some(entry) => Found::at(text, entry.line, timeout(entry)),
                    None => Found::unset(text, point.line, Value::Time(180 * SECOND)),
                });
            }
        }
        let dynamic = tree.at("http.serversTransports").into_iter().flat_map(|it| it.value.entries());
        for transport in tree.get("serversTransport").into_iter().chain(dynamic) {
            let set = transport.value.at("forwardingTimeouts.idleConnTimeout");
            reading.upstream.push(match set {
                Some(entry) => Found::at(text, entry.line, timeout(entry)),
                None => Found::unset(text, transport.line, Value::Time(90 * SECOND)),
            });
        }
    }
    Ok(reading)
}

/// A number alone is in seconds, as the manual has it; 0 is no limit.
fn timeout(entry: &Entry) -> Value {
    or_zero(entry.value.text().and_then(|text| duration(text, SECOND)), Value::Never)
}
