//! Sentences that the reader needs before believing the numbers.

use std::collections::BTreeSet;

use crate::connection::TableCounts;
use crate::packet::Endpoint;
use crate::report::{Capture, Cause, Incident, Role};

use super::servers::Servers;

const DAY_NS: i64 = 86_400_000_000_000;

/// `12:41:07.220 UTC`.
pub(super) fn time_of_day(epoch_ns: i64) -> String {
    let ms = epoch_ns.rem_euclid(DAY_NS) / 1_000_000;
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Several names in a sentence: the first two, and how many more.
pub(super) fn names(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [init @ .., last] if init.len() < 3 => format!("{} and {last}", init.join(", ")),
        [first, second, more @ ..] => format!("{first}, {second} and {} more", more.len()),
    }
}

/// Packets that were captured more than once.
pub(super) fn duplicates(name: &str, duplicates: u64) -> Option<String> {
    let (noun, verb) = match duplicates {
        0 => return None,
        1 => ("packet", "is"),
        _ => ("packets", "are"),
    };
    Some(format!(
        "{name}: {} {noun} {verb} in the capture twice (-i any, or a mirror); each was judged once",
        thousands(duplicates)
    ))
}

/// Packets that the capturing kernel dropped.
pub(super) fn dropped(capture: &Capture) -> Option<String> {
    let dropped = capture.dropped_by_kernel.filter(|dropped| *dropped > 0)?;
    Some(format!(
        "{}: the capturing kernel dropped {dropped} packets; what they held is unknown",
        capture.file
    ))
}

/// What the bound on connections cost; none where it cost nothing.
pub(super) fn given_up(name: &str, counts: TableCounts, max_connections: usize) -> Option<String> {
    if counts.evicted == 0 {
        return None;
    }
    let begun = match counts.evicted_half_open {
        0 => String::new(),
        half_open => format!("; {} of them had never completed their handshake", thousands(half_open)),
    };
    let mut note = format!(
        "{name}: {} open connections were given up to stay within --max-connections {max_connections}, those silent \
         longest first{begun}",
        thousands(counts.evicted)
    );
    if counts.evicted > counts.evicted_half_open {
        note += ". What they lost after that is not told: a greater --max-connections needs more memory and tells";
    }
    Some(note)
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Incidents beyond those listed.
pub(super) fn unlisted(count: u64) -> String {
    format!(
        "{count} incidents are counted and not listed: there is no room for so many. List others with --cause, --server or \
         --around, or narrow the capture down (editcap -A, -B)"
    )
}

/// Lost requests that were captured twice.
pub(super) fn copies(copies: u64) -> Option<String> {
    match copies {
        0 => None,
        1 => Some(
            "1 lost request was captured on two hops, with the same sequence numbers: it is one incident"
                .into(),
        ),
        more => Some(format!(
            "{more} lost requests were captured on two hops, with the same sequence numbers: each is one incident"
        )),
    }
}

/// Messages of which nobody can tell, without knowing their protocol, whether they asked for anything.
#[derive(Debug, Default)]
pub(super) struct Unclear {
    count: u64,
    /// Capture, stream and frame of the first.
    first: Option<(u32, u32, u64)>,
}

impl Unclear {
    /// One more.
    pub fn add(&mut self, capture: u32, stream: u32, frame: u64) {
        self.count += 1;
        let one = (capture, stream, frame);
        if self.first.is_none_or(|first| (capture, frame) < (first.0, first.2)) {
            self.first = Some(one);
        }
    }

    /// What to say of them; none where there are none.
    pub fn note(&self, captures: &[Capture]) -> Option<String> {
        let (capture, stream, frame) = self.first?;
        let file = match captures.get(capture as usize) {
            Some(capture) if captures.len() > 1 => format!(" of {}", capture.file),
            _ => String::new(),
        };
        let (noun, which, it) = match self.count {
            1 => ("connection ended on a message without an answer", "It is", "it was a request"),
            _ => ("connections ended on a message without an answer", "The first is", "these were requests"),
        };
        Some(format!(
            "{} {noun}, in a protocol that finrace does not know or cannot read: whether {it} that somebody waited for, or only \
             a goodbye, cannot be told. {which} frame {frame}{file}. To see for yourself in Wireshark: tcp.stream eq {stream}",
            thousands(self.count)
        ))
    }
}

/// Clients of lost requests that are servers themselves: a proxy between two hops, both of which were captured.
pub(super) fn two_hops_of_a_proxy(ends: &[(Endpoint, Endpoint)], servers: &Servers) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut notes = Vec::new();
    for (client, server) in ends {
        // Of a loopback address every program of the host is a client.
        if client.ip() == server.ip() || client.ip().is_loopback() || !told.insert(client.ip()) {
            continue;
        }
        if let Some(front) = servers.at_address(client.ip()) {
            notes.push(format!(
                "{} sent requests that were lost and is itself a server ({front}): both hops of a proxy are in the captures, as \
                 connections of their own",
                client.ip()
            ));
        }
    }
    notes
}

/// On macOS, and wherever Docker runs in a virtual machine, a capture on the host's loopback shows only the port-forwarder,
/// which accepts connections for the container. It looks like this: a BSD loopback, all addresses of it, and requests
/// that the kernel took and a RST without any FIN ended.
pub(super) fn port_forwarder(incidents: &[Incident], captures: &[Capture]) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, capture) in (0..).zip(captures) {
        let of_bsd = |name: &String| name == "null" || name == "loop";
        if capture.link_types.is_empty() || !capture.link_types.iter().all(of_bsd) {
            continue;
        }
        let forwarded = |incident: &&Incident| {
            incident.capture == index
                && is_loopback(&incident.server)
                && is_loopback(&incident.client)
                && matches!(incident.cause, Cause::UnreadRequest | Cause::DiedMidRequest | Cause::StateLost)
                && !incident.frames.contains_key(&Role::Fin)
                && !incident.frames_elsewhere.contains_key(&Role::Fin)
        };
        if let Some(incident) = incidents.iter().find(forwarded) {
            let port = incident.server.rsplit(':').next().unwrap_or("PORT");
            notes.push(format!(
                "{}: this is the loopback of macOS or BSD, and requests were reset there without a FIN. If the server runs in \
                 Docker Desktop, this shows only its port-forwarder, not the server. Capture inside the container: docker \
                 exec CONTAINER tcpdump -i any -s 256 -U -w - 'tcp port {port}' > capture.pcap",
                capture.file
            ));
        }
    }
    notes
}

fn is_loopback(endpoint: &str) -> bool {
    endpoint.parse::<std::net::SocketAddr>().is_ok_and(|endpoint| endpoint.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_the_first_two_and_a_number() {
        assert_eq!(names(&["a"]), "a");
        assert_eq!(names(&["a", "b"]), "a and b");
        assert_eq!(names(&["a", "b", "c"]), "a, b and c");
        assert_eq!(names(&["a", "b", "c", "d", "e"]), "a, b and 3 more");
    }

    #[test]
    fn a_time_of_day_is_that_of_the_trace() {
        assert_eq!(time_of_day(1_789_389_667_220_301_007), "12:41:07.220 UTC");
        assert_eq!(time_of_day(-1), "23:59:59.999 UTC");
    }
}
