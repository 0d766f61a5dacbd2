//! A report that says the same and names nobody: `--redact`.
//!
//! Addresses become roles, numbered in the order in which they appear: `proxy-1` sends requests, `backend-1` answers them, `host-1`
//! is only mentioned. Ports stay: they tell connections apart and no hosts. Paths become `/path-1`, files `capture-1.pcap`.
//! Times, frames, streams, numbers and verdicts stay, so that whoever has the capture can check every word.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Capture, Incident, Report, Run, Timeline, Trace};

/// Gives names and remembers them: the same address has one name through everything that one redaction has seen.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    addresses: BTreeMap<IpAddr, String>,
    /// Names given so far: proxies, backends, others.
    given: [u32; 3],
    paths: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

/// What an address does where it is met.
#[derive(Debug, Clone, Copy)]
enum Job {
    Proxy,
    Backend,
    Host,
}

impl Redaction {
    /// Takes every name out of a report.
    pub fn report(&mut self, report: &mut Report) {
        for (number, capture) in (1..).zip(&report.captures) {
            self.name_file(number, &capture.file);
        }
        self.name_ends(report);
        for path in report.incidents.iter().filter_map(|incident| incident.request.path.as_ref()) {
            self.path(path);
        }
        report.captures.iter_mut().for_each(|capture| self.capture(capture));
        report.summary.notes.iter_mut().for_each(|note| self.text(note));
        report.incidents.iter_mut().for_each(|incident| self.incident(incident));
        for server in &mut report.servers {
            self.end(&mut server.server, Job::Backend);
            self.text(&mut server.advice);
        }
        for connection in report.connections.iter_mut().flatten() {
            self.end(&mut connection.client, Job::Proxy);
            self.end(&mut connection.server, Job::Backend);
        }
        if let Some(run) = &mut report.run {
            self.run(run);
        }
    }

    /// Takes every name out of an incident.
    pub fn incident(&mut self, incident: &mut Incident) {
        self.end(&mut incident.client, Job::Proxy);
        self.end(&mut incident.server, Job::Backend);
        if let Some(path) = &mut incident.request.path {
            *path = self.path(path);
        }
        let sentences = incident.evidence.iter_mut().chain(&mut incident.counter_evidence);
        let logged = incident.would_log.values_mut();
        let told = [&mut incident.what_happened, &mut incident.advice];
        sentences.chain(logged).chain(told).for_each(|text| self.text(text));
    }

    /// Takes every name out of a trace. Of what runs at its ends, the product stays.
    pub fn trace(&mut self, trace: &mut Trace) {
        let [client, server] = &mut trace.lanes;
        self.end(&mut client.address, Job::Proxy);
        self.end(&mut server.address, Job::Backend);
        for (number, file) in (1..).zip(&mut trace.files) {
            self.file(number, file);
        }
        for segment in &mut trace.segments {
            self.request(&mut segment.label);
            self.text(&mut segment.meaning);
        }
    }

    /// Takes every name out of a timeline.
    pub fn timeline(&mut self, timeline: &mut Timeline) {
        for (number, file) in (1..).zip(&mut timeline.files) {
            self.file(number, file);
        }
        for lane in &mut timeline.lanes {
            self.end(&mut lane.client, Job::Proxy);
            self.end(&mut lane.server, Job::Backend);
            lane.incidents.iter_mut().for_each(|incident| self.request(&mut incident.request));
        }
    }

    /// Names all ends that a report has in its columns, so that one that both asks and answers is a proxy wherever it is met.
    fn name_ends(&mut self, report: &Report) {
        let connections = || report.connections.iter().flatten();
        let incidents = || report.incidents.iter();
        let clients = incidents().map(|it| &it.client).chain(connections().map(|it| &it.client));
        let servers = incidents().map(|it| &it.server);
        let servers = servers.chain(report.servers.iter().map(|it| &it.server));
        let servers = servers.chain(connections().map(|it| &it.server));
        for (ends, job) in [(clients.collect::<Vec<_>>(), Job::Proxy), (servers.collect(), Job::Backend)] {
            for end in ends {
                self.end(&mut end.clone(), job);
            }
        }
    }

    fn capture(&mut self, capture: &mut Capture) {
        if let Some(why) = &mut capture.truncated {
            self.text(why);
        }
        if let Some(name) = self.files.get(&capture.file) {
            capture.file.clone_from(name);
        }
    }

    fn run(&mut self, run: &mut Run) {
        let attempts = run.attempts.iter_mut().filter_map(|attempt| attempt.note.as_mut());
        let logs = run.product_logs.iter_mut().flat_map(|log| &mut log.lines);
        let rules = run.wire_rules.iter_mut().chain(&mut run.missing);
        attempts.chain(logs).chain(rules).for_each(|text| self.text(text));
    }

    /// `capture-1.pcap.gz`; a pipe has no name to hide.
    fn name_file(&mut self, number: usize, file: &str) {
        const ENDINGS: [&str; 7] = [".pcap", ".pcapng", ".cap", ".gz", ".zst", ".lz4", ".xz"];
        if file == "-" {
            return;
        }
        let mut kept = String::new();
        let mut rest = file;
        while let Some(ending) = ENDINGS.iter().find(|ending| rest.ends_with(**ending)) {
            kept.insert_str(0, ending);
            rest = &rest[..rest.len() - ending.len()];
        }
        self.files.insert(file.to_owned(), format!("capture-{number}{kept}"));
    }

    /// A file that a report may have named already.
    fn file(&mut self, number: usize, file: &mut String) {
        if !self.files.contains_key(file) {
            self.name_file(number, file);
        }
        if let Some(name) = self.files.get(file) {
            file.clone_from(name);
        }
    }

    /// One end of a connection: `address:port`.
    fn end(&mut self, end: &mut String, job: Job) {
        match end.parse::<std::net::SocketAddr>() {
            Ok(address) => *end = format!("{}:{}", self.name(address.ip(), job), address.port()),
            // No address: a name that was given before, or nothing that this program writes.
            Err(_) => self.text(end),
        }
    }

    fn name(&mut self, ip: IpAddr, job: Job) -> String {
        let given = &mut self.given;
        let name = self.addresses.entry(ip.to_canonical()).or_insert_with(|| {
            let number = &mut given[job as usize];
            *number += 1;
            let word = match job {
                Job::Proxy => "proxy",
                Job::Backend => "backend",
                Job::Host => "host",
            };
            format!("{word}-{number}")
        });
        name.clone()
    }

    fn path(&mut self, path: &str) -> String {
        let next = self.paths.len() + 1;
        let name = self.paths.entry(path.to_owned()).or_insert_with(|| format!("/path-{next}"));
        name.clone()
    }

    /// `POST /orders + FIN`: a word in capitals and a path, or something without names.
    fn request(&mut self, label: &mut String) {
        let is_method = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let mut words: Vec<String> = label.split(' ').map(str::to_owned).collect();
        // What was sent already is called `again: POST /orders`.
        let behind = usize::from(words.first().is_some_and(|word| word.ends_with(':')));
        if let [method, path, ..] = &mut words[behind..]
            && is_method(method)
            && path != "+"
        {
            *path = self.path(path);
        }
        *label = words.join(" ");
    }

    /// Replaces addresses and file names wherever they stand in a text.
    pub fn text(&mut self, text: &mut String) {
        let named = self.without_paths(text);
        let mut out = String::with_capacity(named.len());
        let mut rest = named.as_str();
        let mut before = ' ';
        while let Some(letter) = rest.chars().next() {
            let starts_word = !before.is_ascii_alphanumeric() && !matches!(before, '_' | '.');
            if let Some((ip, len)) = starts_word.then(|| address(rest)).flatten() {
                let name = self.name(ip, Job::Host);
                out.push_str(&name);
                rest = &rest[len..];
                before = 'x';
                continue;
            }
            out.push(letter);
            before = letter;
            rest = &rest[letter.len_utf8()..];
        }
        *text = out;
    }

    /// The text with the new names of files and paths, longer names first. A lone `/` says nothing.
    fn without_paths(&self, text: &str) -> String {
        let paths = self.paths.iter().filter(|(path, _)| path.len() > 1);
        let mut names: Vec<(&String, &String)> = self.files.iter().chain(paths).collect();
        names.sort_by_key(|(file, _)| std::cmp::Reverse(file.len()));
        names.iter().fold(text.to_owned(), |text, (file, name)| replaced(&text, file, name))
    }
}

/// Replaces a file's name where it stands by itself, not within a longer word.
fn replaced(text: &str, file: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(file) {
        let end = at + file.len();
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '/' | '-');
        let before = rest[..at].chars().next_back().or(out.chars().next_back());
        let alone = !before.is_some_and(is_part) && !rest[end..].chars().next().is_some_and(is_part);
        out.push_str(&rest[..at]);
        out.push_str(if alone { name } else { file });
        rest = &rest[end..];
    }
    out + rest
}

/// The address that a text begins with, and its length with brackets, if it has them.
fn address(text: &str) -> Option<(IpAddr, usize)> {
    let bracket = usize::from(text.starts_with('['));
    let inner = &text[bracket..];
    let run = |belongs: fn(u8) -> bool| inner.bytes().take_while(|byte| belongs(*byte)).count();
    let v6 =
        inner[..run(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))].trim_end_matches('.');
    // A colon may be the sentence's.
    let v6 = [v6, v6.strip_suffix(':').unwrap_or(v6)]
        .into_iter()
        .find_map(|candidate| candidate.parse::<Ipv6Addr>().ok().map(|ip| (IpAddr::V6(ip), candidate.len())));
    let v4 = || {
        let candidate = inner[..run(|byte| byte.is_ascii_digit() || byte == b'.')].trim_end_matches('.');
        candidate.parse::<Ipv4Addr>().ok().map(|ip| (IpAddr::V4(ip), candidate.len()))
    };
    let (ip, len) = v6.or_else(v4)?;
    match (bracket, inner[len..].starts_with(']')) {
        (1, true) => Some((ip, len + 2)),
        // The bracket is something else's; the address is met again behind it.
        (1, false) => None,
        _ => Some((ip, len)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted_text(text: &str) -> String {
        let mut text = text.to_owned();
        Redaction::default().text(&mut text);
        text
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        for (text, wanted) in [
            ("10.1.2.3 was refused", "host-1 was refused"),
            ("(10.1.2.3:80 to 10.1.2.4:90)", "(host-1:80 to host-2:90)"),
            ("from 10.1.2.3.", "from host-1."),
            ("[2001:db8::1]:443, [2001:db8::1]", "host-1:443, host-1"),
            ("2001:db8::1: gone", "host-1: gone"),
            ("fe80::1 and ::ffff:10.0.0.1 or 10.0.0.1", "host-1 and host-2 or host-2"),
            ("[10.1.2.3]", "host-1"),
            ("upstream=10.1.2.3,x", "upstream=host-1,x"),
        ] {
            assert_eq!(redacted_text(text), wanted);
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "at 12:41:07.220 UTC",
            "nginx 1.22.1",
            "5.000 s",
            "frame 7",
            "a 502: bad",
            "300.1.2.3",
            "[1] first",
        ] {
            assert_eq!(redacted_text(text), text);
        }
    }

    #[test]
    fn files_are_replaced_as_whole_words() {
        let mut redaction = Redaction::default();
        redaction.name_file(1, "db1.pcap");
        redaction.name_file(2, "/var/db1.pcap.gz");
        let mut text = "db1.pcap: cut; /var/db1.pcap.gz and db1.pcap; mydb1.pcap".to_owned();
        redaction.text(&mut text);
        assert_eq!(text, "capture-1.pcap: cut; capture-2.pcap.gz and capture-1.pcap; mydb1.pcap");
    }

    #[test]
    fn the_same_name_is_given_again() {
        let mut redaction = Redaction::default();
        let mut end = "192.0.2.1:80".to_owned();
        redaction.end(&mut end, Job::Proxy);
        assert_eq!(end, "proxy-1:80");
        let mut end = "192.0.2.1:81".to_owned();
        redaction.end(&mut end, Job::Backend);
        assert_eq!(end, "proxy-1:81");
        assert_eq!(redaction.path("/a"), "/path-1");
        assert_eq!(redaction.path("/b"), "/path-2");
        assert_eq!(redaction.path("/a"), "/path-1");
    }
}
