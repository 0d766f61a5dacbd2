//! Spring Boot and Quarkus: `application.yml` and `application.properties`.

use std::rc::Rc;

use super::tree::{Data, Entry, Tree};
use super::{Found, MS, Reading, SECOND, Value, duration, or_zero};

/// A servlet container, the setting that counts, what stands in for it, and how it is written.
struct Container {
    id: &'static str,
    words: &'static str,
    settings: [&'static str; 2],
    /// A number alone is in this unit.
    bare_ns: i64,
    yaml: (&'static str, i64),
    properties: (&'static str, i64),
}

const CONTAINERS: [Container; 5] = [
    Container {
        id: "tomcat-embedded",
        words: "server.tomcat",
        settings: ["server.tomcat.keep-alive-timeout", "server.tomcat.connection-timeout"],
        bare_ns: MS,
        yaml: ("keep-alive-timeout: {}s # below server.tomcat", SECOND),
        properties: ("server.tomcat.keep-alive-timeout={}s", SECOND),
    },
    Container {
        id: "jetty",
        words: "server.jetty",
        settings: ["server.jetty.connection-idle-timeout", ""],
        bare_ns: MS,
        yaml: ("connection-idle-timeout: {}s # below server.jetty", SECOND),
        properties: ("server.jetty.connection-idle-timeout={}s", SECOND),
    },
    Container {
        id: "undertow",
        words: "server.undertow",
        settings: ["server.undertow.no-request-timeout", ""],
        bare_ns: MS,
        yaml: ("no-request-timeout: {}s # below server.undertow", SECOND),
        properties: ("server.undertow.no-request-timeout={}s", SECOND),
    },
    Container {
        id: "reactor-netty-server",
        words: "server.netty",
        settings: ["server.netty.idle-timeout", ""],
        bare_ns: MS,
        yaml: ("idle-timeout: {}s # below server.netty", SECOND),
        properties: ("server.netty.idle-timeout={}s", SECOND),
    },
    Container {
        id: "quarkus",
        words: "quarkus",
        settings: ["quarkus.http.idle-timeout", ""],
        bare_ns: SECOND,
        yaml: ("idle-timeout: {}s # below quarkus.http", SECOND),
        properties: ("quarkus.http.idle-timeout={}s", SECOND),
    },
];

pub(super) fn looks_like(tree: &Tree) -> bool {
    let server = tree.get("server").map(|entry| &entry.value);
    let own = |server: &Rc<Tree>| {
        const KEYS: [&str; 9] =
            ["port", "tomcat", "jetty", "undertow", "netty", "servlet", "compression", "address", "ssl"];
        KEYS.iter().any(|key| server.has(key))
    };
    let dotted = tree.entries().iter().any(|entry| is_key(&entry.key));
    server.is_some_and(own) || tree.has("spring") || tree.has("quarkus") || dotted
}

fn is_key(key: &str) -> bool {
    // A profile of Quarkus goes before the key.
    let key = key.rsplit_once("%").and_then(|(_, rest)| rest.split_once('.')).map_or(key, |(_, rest)| rest);
    ["server.", "spring.", "quarkus."].iter().any(|prefix| key.starts_with(prefix))
}

/// Lines `key=value`, at least one of them of Spring or Quarkus.
pub(super) fn is_properties(text: &str) -> bool {
    properties(text).entries().iter().any(|entry| is_key(&entry.key))
}

fn properties(text: &str) -> Tree {
    let entries = text.lines().enumerate().filter_map(|(index, raw)| {
        let line = raw.trim();
        let (key, value) = line.split_once(['=', ':']).filter(|_| !line.starts_with(['#', '!', '<', '{']))?;
        let key = key.trim();
        let plain = !key.is_empty() && !key.contains(char::is_whitespace);
        plain.then(|| Entry {
            key: key.to_owned(),
            line: index + 1,
            value: Rc::new(Tree { line: index + 1, data: Data::Scalar(value.trim().to_owned()) }),
        })
    });
    Tree { line: 1, data: Data::Map(entries.collect()) }
}

pub(super) fn read(text: &str) -> Result<Reading, String> {
    let documents = Tree::yaml(text).unwrap_or_default();
    let yaml = documents.iter().any(|tree| looks_like(tree));
    let trees = if yaml && !documents.iter().any(|tree| tree.text().is_some()) {
        documents
    } else {
        vec![Rc::new(properties(text))]
    };
    let named = |container: &&Container| {
        trees.iter().any(|tree| {
            let prefix = format!("{}.", container.words);
            tree.has(container.words) || tree.entries().iter().any(|entry| entry.key.contains(&prefix))
        })
    };
    let container = CONTAINERS.iter().find(named).unwrap_or(&CONTAINERS[0]);
    let mut reading = Reading::of(Some(container.id), None);
    reading.line = Some(if yaml { container.yaml } else { container.properties });
    if !CONTAINERS.iter().any(|it| named(&it)) {
        reading.warnings.push(
            "Tomcat is taken for the server, as Spring Boot does by default: jetty, undertow and netty keep connections otherwise".to_owned(),
        );
    }
    for setting in container.settings.iter().filter(|setting| !setting.is_empty()) {
        for tree in &trees {
            let profiles = tree.entries().iter().filter(|entry| entry.key.starts_with('%'));
            let of_profile = profiles.filter_map(|entry| {
                let rest = entry.key.split_once('.').map_or("", |(_, rest)| rest);
                if rest == *setting { Some(entry) } else { entry.value.at(setting) }
            });
            for entry in tree.at(setting).into_iter().chain(of_profile) {
                reading.downstream.push(Found::at(text, entry.line, value(container, entry)));
            }
        }
        // The first that is set counts, and the other one only stands in for it.
        if !reading.downstream.is_empty() {
            break;
        }
    }
    Ok(reading)
}

/// `75s`, `PT75S`, `${KEEP_ALIVE:75s}`; of Quarkus also `30M`.
fn value(container: &Container, entry: &Entry) -> Value {
    let Some(text) = entry.value.text() else { return Value::Unreadable };
    if container.id == "quarkus" {
        let upper = text.ends_with(['S', 'M', 'H']);
        let ns = duration(&if upper { text.to_ascii_lowercase() } else { text.to_owned() }, SECOND);
        return or_zero(ns, Value::Never);
    }
    match duration(text, container.bare_ns) {
        Some(..0) => Value::Never,
        Some(0) => Value::Unreadable,
        ns => or_zero(ns, Value::Unreadable),
    }
}
