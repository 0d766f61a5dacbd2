//! Tomcat's `server.xml`: `keepAliveTimeout` of each HTTP connector.

use roxmltree::{Document, Node};

use super::super::setting::suspicion;
use super::{Found, MS, Reading, SECOND, Value};

/// What the code has where neither attribute is set; the shipped file sets 20 s.
const DEFAULT: i64 = 60 * SECOND;

pub(super) fn looks_like(text: &str) -> bool {
    let Ok(document) = Document::parse(text) else { return false };
    let root = document.root_element();
    matches!(root.tag_name().name(), "Server" | "Service") && connectors(&document).next().is_some()
        || root.tag_name().name() == "Connector"
}

/// Why it is no XML.
pub(super) fn complaint(text: &str) -> Option<String> {
    Document::parse(text).err().map(|error| format!("not to be read as XML: {error}"))
}

fn connectors<'a>(document: &'a Document<'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(|node| node.tag_name().name() == "Connector")
}

pub(super) fn read(text: &str) -> Result<Reading, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let mut reading = Reading::of(Some("tomcat"), None);
    for connector in connectors(&document) {
        let protocol = connector.attribute("protocol").unwrap_or("HTTP/1.1");
        if protocol.to_ascii_uppercase().contains("AJP") {
            continue;
        }
        let set =
            ["keepAliveTimeout", "connectionTimeout"].iter().find_map(|name| connector.attribute_node(*name));
        reading.downstream.push(match set {
            Some(attribute) => {
                let line = document.text_pos_at(attribute.range().start).row as usize;
                let number: Option<i64> = attribute.value().trim().parse().ok();
                let key = format!("{} (line {line})", attribute.name());
                reading.warnings.extend(number.and_then(|ms| suspicion(&key, ms as f64, "ms")));
                let value = match number {
                    Some(..0) => Value::Never,
                    Some(ms) => ms.checked_mul(MS).map_or(Value::Unreadable, Value::Time),
                    None => Value::Unreadable,
                };
                Found::at(text, line, value)
            }
            None => {
                let line = document.text_pos_at(connector.range().start).row as usize;
                let text = "a Connector without keepAliveTimeout and connectionTimeout: 60 s".to_owned();
                Found { file: None, line, text, value: Value::Time(DEFAULT), unset: false }
            }
        });
        if connector.attribute("maxKeepAliveRequests") == Some("1") {
            reading.downstream.pop();
            let line = document.text_pos_at(connector.range().start).row as usize;
            reading.downstream.push(Found::at(text, line, Value::NoKeepAlive));
        }
    }
    if reading.downstream.is_empty() {
        return Err("there is no Connector of HTTP in it".to_owned());
    }
    Ok(reading)
}
