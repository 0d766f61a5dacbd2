//! Kubernetes: Istio's DestinationRule, the annotations of an Ingress for the AWS load balancer, the ConfigMap of
//! ingress-nginx, and the commands of pods.

use std::rc::Rc;

use super::tree::{Entry, Tree};
use super::{Found, Reading, SECOND, Value, command, duration, or_zero};

fn kind(tree: &Tree) -> &str {
    tree.get("kind").and_then(|entry| entry.value.text()).unwrap_or_default()
}

fn version(tree: &Tree) -> &str {
    tree.get("apiVersion").and_then(|entry| entry.value.text()).unwrap_or_default()
}

pub(super) fn looks_like(tree: &Tree) -> bool {
    !version(tree).is_empty() && !kind(tree).is_empty()
}

pub(super) fn read(text: &str) -> Result<Vec<Reading>, String> {
    let mut readings = Vec::new();
    let mut kinds = Vec::new();
    for tree in Tree::yaml(text)? {
        let items: Vec<Rc<Tree>> = match (kind(&tree), tree.get("items")) {
            ("List", Some(items)) => items.value.items().into_iter().cloned().map(Rc::new).collect(),
            _ => vec![tree],
        };
        for tree in items {
            kinds.push(kind(&tree).to_owned());
            match kind(&tree) {
                "DestinationRule" if version(&tree).starts_with("networking.istio.io") => {
                    readings.push(destination_rule(text, &tree))
                }
                "Ingress" => readings.extend(ingress(text, &tree)),
                "ConfigMap" => readings.extend(config_map(text, &tree)),
                _ => readings.extend(command::of_pods(text, &tree)),
            }
        }
    }
    if readings.is_empty() {
        kinds.dedup();
        return Err(format!(
            "nothing in it ({}) is known to set an idle timer; of Kubernetes are known DestinationRule of Istio, Ingress (ALB, ingress-nginx), ConfigMap of ingress-nginx, and pods that start Gunicorn, Uvicorn, Hypercorn, Puma, uWSGI, Waitress or Traefik",
            kinds.join(", ")
        ));
    }
    Ok(readings)
}

fn destination_rule(text: &str, tree: &Tree) -> Reading {
    const DEFAULT: Value = Value::Time(3_600 * SECOND);
    let mut reading = Reading::of(None, Some("istio"));
    let mut policies = 0;
    let mut found = Vec::new();
    tree.walk(&mut |_, entry| {
        if entry.key == "trafficPolicy" || entry.key == "portLevelSettings" {
            policies += 1;
        }
    });
    tree.walk(&mut |path, entry| {
        if entry.key == "idleTimeout" && path.ends_with(&["connectionPool", "http"]) {
            let ns = entry.value.text().and_then(|it| duration(it, SECOND));
            found.push(Found::at(text, entry.line, or_zero(ns, Value::Never)));
        }
        // That of TCP is for connections that are no HTTP.
        if entry.key == "idleTimeout" && path.ends_with(&["connectionPool", "tcp"]) {
            reading.warnings.push(format!(
                "line {}: connectionPool.tcp.idleTimeout is not that of HTTP connections",
                entry.line
            ));
        }
    });
    if found.is_empty() {
        let line = tree.get("kind").map_or(1, |entry| entry.line);
        found.push(Found::unset(text, line, DEFAULT));
    }
    reading.upstream = found;
    reading
}

fn ingress(text: &str, tree: &Tree) -> Option<Reading> {
    let annotations = tree.at("metadata.annotations").map(|entry| &entry.value);
    let class = tree.at("spec.ingressClassName").and_then(|entry| entry.value.text()).map(str::to_owned);
    let old = annotations
        .and_then(|it| it.get("kubernetes.io/ingress.class"))
        .and_then(|it| it.value.text())
        .map(str::to_owned);
    let class = class.or(old).unwrap_or_default();
    let named = |prefix: &str| {
        annotations.is_some_and(|it| it.entries().iter().any(|entry| entry.key.starts_with(prefix)))
    };
    if class == "alb" || named("alb.ingress.kubernetes.io/") {
        let mut reading = Reading::of(Some("aws-alb"), Some("aws-alb"));
        reading.line = Some((
            "alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={}",
            SECOND,
        ));
        let entry = annotations.and_then(|it| it.get("alb.ingress.kubernetes.io/load-balancer-attributes"));
        let set = entry.and_then(|entry| {
            let attributes = entry.value.text()?.split(',');
            let value = attributes
                .filter_map(|it| it.trim().split_once('='))
                .find(|(key, _)| key.trim() == "idle_timeout.timeout_seconds")?;
            Some(Found::at(text, entry.line, or_zero(duration(value.1, SECOND), Value::Unreadable)))
        });
        let line = tree.get("kind").map_or(1, |entry| entry.line);
        let found = set.unwrap_or_else(|| Found::unset(text, line, Value::Time(60 * SECOND)));
        reading.downstream.push(found.clone());
        reading.upstream.push(found);
        return Some(reading);
    }
    if class == "nginx" || named("nginx.ingress.kubernetes.io/") {
        let mut reading = Reading::of(Some("ingress-nginx"), Some("ingress-nginx"));
        reading.warnings.push("no annotation of an Ingress sets an idle timer of ingress-nginx: its ConfigMap does (keep-alive, upstream-keepalive-timeout)".to_owned());
        return Some(reading);
    }
    None
}

fn config_map(text: &str, tree: &Tree) -> Option<Reading> {
    let data = &tree.get("data")?.value;
    let (keep, upstream, connections) = (
        exact(data, "keep-alive"),
        exact(data, "upstream-keepalive-timeout"),
        exact(data, "upstream-keepalive-connections"),
    );
    let name = tree.at("metadata.name").and_then(|entry| entry.value.text()).unwrap_or_default();
    if keep.is_none() && upstream.is_none() && connections.is_none() && !name.contains("nginx") {
        return None;
    }
    // A ConfigMap may as well hold a file of nginx.
    if data.entries().iter().any(|entry| entry.key.ends_with(".conf")) {
        return None;
    }
    let mut reading = Reading::of(Some("ingress-nginx"), Some("ingress-nginx"));
    let value = |entry: &Entry, zero| {
        let ns = entry.value.text().and_then(|it| duration(it, SECOND));
        Found::at(text, entry.line, or_zero(ns, zero))
    };
    reading.downstream.extend(keep.map(|entry| value(entry, Value::NoKeepAlive)));
    reading.upstream.extend(upstream.map(|entry| value(entry, Value::Unreadable)));
    if let Some(none) = connections.filter(|entry| entry.value.text() == Some("0")) {
        reading.upstream = vec![Found::at(text, none.line, Value::NoKeepAlive)];
    }
    Some(reading)
}

fn exact<'a>(data: &'a Tree, key: &str) -> Option<&'a Entry> {
    data.entries().iter().find(|entry| entry.key == key)
}
