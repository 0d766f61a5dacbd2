//! Narrowing a report to what was asked for, without hiding that it was narrowed.

use super::{Cause, Incident, Report};

/// Which incidents to keep; an empty filter keeps all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Only these causes; all when empty.
    pub causes: Vec<Cause>,
    /// Only servers with one of these addresses: `10.0.2.7:3000`, `10.0.2.7` or `:3000`; all when empty.
    pub servers: Vec<String>,
    /// Only incidents captured from the first to the second time, ns since the Unix epoch.
    pub between_ns: Option<(i64, i64)>,
}

impl Filter {
    /// Whether an incident is one of those asked for.
    pub fn keeps(&self, incident: &Incident) -> bool {
        let cause = self.causes.is_empty() || self.causes.contains(&incident.cause);
        let server =
            self.servers.is_empty() || self.servers.iter().any(|wanted| is_server(&incident.server, wanted));
        let time = self.between_ns.is_none_or(|(from, to)| (from..=to).contains(&incident.time_ns));
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

impl Report {
    /// Keeps the incidents that a filter keeps, with their numbers, and counts those left out.
    pub fn narrow(&mut self, filter: &Filter) {
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
        let hidden = before - self.incidents.len();
        if hidden == 0 {
            return;
        }
        self.summary.incidents = self.incidents.len() as u64;
        self.summary.by_cause.clear();
        for incident in &self.incidents {
            *self.summary.by_cause.entry(incident.cause).or_default() += 1;
        }
        self.summary.filtered_out = hidden as u64;
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
