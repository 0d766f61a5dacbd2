//! Narrowing a report to what was asked for, without hiding that it was narrowed.

use std::collections::BTreeMap;

use super::{Cause, Incident, Moment, Report};

/// Which incidents to keep; an empty filter keeps all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only these causes; all when empty.
    pub causes: Vec<Cause>,
    /// Only servers with one of these addresses: `10.0.2.7:3000`, `10.0.2.7` or `:3000`; all when empty.
    pub servers: Vec<String>,
    /// Only incidents captured around this time.
    pub around: Option<Around>,
}

/// A time, and how far before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// The time.
    pub moment: Moment,
    /// Before and after it, ns.
    pub within_ns: u64,
}

impl Filter {
    /// Whether it keeps everything.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    /// Whether an incident is one of those asked for.
    pub fn keeps(&self, incident: &Incident) -> bool {
        self.keeps_with_cause(incident, incident.cause)
    }

    /// Whether an incident would be one of those asked for if its cause were this one.
    pub fn keeps_with_cause(&self, incident: &Incident, cause: Cause) -> bool {
        let cause = self.causes.is_empty() || self.causes.contains(&cause);
        let server =
            self.servers.is_empty() || self.servers.iter().any(|wanted| is_server(&incident.server, wanted));
        let time =
            self.around.is_none_or(|around| around.moment.distance_ns(incident.time_ns) <= around.within_ns);
        cause && server && time
    }
}

/// Whether `server` (`address:port`, IPv6 in brackets) is meant by `wanted`.
fn is_server(server: &str, wanted: &str) -> bool {
    let (address, port) = server.rsplit_once(':').unwrap_or((server, ""));
    match wanted.strip_prefix(':') {
        Some(wanted_port) if !wanted_port.contains(':') => wanted_port == port,
        _ => wanted == server || wanted == address || wanted == address.trim_matches(['[', ']']),
    }
}

/// Incidents that were counted, and for which the list had no room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unlisted {
    /// Those that the filter keeps, by cause.
    pub kept: BTreeMap<Cause, u64>,
    /// The others.
    pub filtered_out: u64,
}

impl Report {
    /// Keeps the incidents that a filter keeps, with their numbers, and counts all: what is kept, by cause, and what is left
    /// out. Nothing that was found disappears from both counts.
    pub fn narrow(&mut self, filter: &Filter, unlisted: Unlisted) {
        for wanted in &filter.servers {
            if !self.servers.iter().any(|row| is_server(&row.server, wanted))
                && !self.incidents.iter().any(|incident| is_server(&incident.server, wanted))
            {
                self.summary.notes.push(format!(
                    "no server {wanted} reused connections or lost requests in these captures"
                ));
            }
        }
        let before = self.incidents.len();
        self.incidents.retain(|incident| filter.keeps(incident));
        self.summary.filtered_out = (before - self.incidents.len()) as u64 + unlisted.filtered_out;
        self.summary.by_cause = unlisted.kept;
        for incident in &self.incidents {
            *self.summary.by_cause.entry(incident.cause).or_default() += 1;
        }
        self.summary.incidents = self.summary.by_cause.values().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_address_port_or_both() {
        for wanted in ["10.0.2.7:3000", "10.0.2.7", ":3000"] {
            assert!(is_server("10.0.2.7:3000", wanted), "{wanted}");
        }
        for wanted in ["10.0.2.70", ":300", "0.2.7:3000", "3000"] {
            assert!(!is_server("10.0.2.7:3000", wanted), "{wanted}");
        }
    }

    #[test]
    fn an_ipv6_server_is_named_with_or_without_brackets() {
        for wanted in ["[2001:db8::2]:80", "[2001:db8::2]", "2001:db8::2", ":80"] {
            assert!(is_server("[2001:db8::2]:80", wanted), "{wanted}");
        }
        assert!(!is_server("[2001:db8::2]:80", "::2"));
    }
}
