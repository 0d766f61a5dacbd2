//! When each request of a capture set out, and what its connection had done before: the traffic itself, where the report
//! tells what became of it.

use std::collections::HashMap;

use crate::capture::Reader;
use crate::connection::Seq;
use crate::packet::{Decoder, Endpoint, Segment};

/// Connections followed at the same time. Of more, nothing is told.
const MAX_CONNECTIONS: usize = 200_000;
/// Requests kept.
const MAX_REQUESTS: usize = 5_000_000;
/// Start of the range of ports that clients use, for connections whose beginning was not captured.
const EPHEMERAL: u16 = 32_768;

/// One request: a burst of client data after the server's last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The side that sent it.
    pub client: Endpoint,
    /// The side that was to answer.
    pub server: Endpoint,
    /// When its first byte was captured.
    pub sent_ns: i64,
    /// From the last byte of the response before it on this connection; none on the first.
    pub idle_ns: Option<i64>,
    /// When the client began to open this connection, where this is its first request and that was captured.
    pub opened_ns: Option<i64>,
    /// From its first byte to the last byte of its response; none where nothing answered.
    pub answered_after_ns: Option<i64>,
}

impl Asked {
    /// When the request was there to be sent: it may have had to wait for its connection.
    pub fn came_ns(&self) -> i64 {
        self.opened_ns.unwrap_or(self.sent_ns)
    }
}

/// The close of an idle connection by its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleEnd {
    /// The side that had asked.
    pub client: Endpoint,
    /// The side that closed.
    pub server: Endpoint,
    /// When its FIN or RST was captured.
    pub time_ns: i64,
    /// From the last byte of its last response.
    pub idle_ns: i64,
}

/// The traffic of a capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// In the order of their first packets.
    pub requests: Vec<Asked>,
    /// Closes by servers of connections that were idle.
    pub ends: Vec<IdleEnd>,
    /// There was more than is kept.
    pub incomplete: bool,
}

/// One connection so far.
struct Line {
    client: Endpoint,
    server: Endpoint,
    opened_ns: Option<i64>,
    /// One past the newest byte of the client and of the server.
    next: [Option<Seq>; 2],
    /// When the last new byte of the server was captured.
    answered_ns: Option<i64>,
    /// Index of the request that is under way, or was last.
    last: Option<usize>,
    closed: bool,
}

/// Reads a capture for its requests. What stops the reading ends the list: the report says so.
pub fn asked(mut reader: Reader, server_ports: &[u16]) -> Heard {
    let mut decoder = Decoder::new();
    let mut lines: HashMap<(Endpoint, Endpoint), Line> = HashMap::new();
    let mut heard = Heard::default();
    while let Ok(Some(record)) = reader.next() {
        let time_ns = record.time_ns;
        if let Ok(segment) = decoder.decode(record.link.0, record.data, record.wire_len, time_ns) {
            heard.segment(&segment, time_ns, &mut lines, server_ports);
        }
    }
    heard
}

impl Heard {
    fn segment(
        &mut self,
        segment: &Segment<'_>,
        time_ns: i64,
        lines: &mut HashMap<(Endpoint, Endpoint), Line>,
        server_ports: &[u16],
    ) {
        let ends = (segment.src.min(segment.dst), segment.src.max(segment.dst));
        let opens = segment.flags.syn() && !segment.flags.ack();
        if opens && lines.get(&ends).is_some_and(|line| line.closed) {
            // The port is used again.
            lines.remove(&ends);
        }
        if !lines.contains_key(&ends) {
            if lines.len() >= MAX_CONNECTIONS {
                lines.retain(|_, line| !line.closed);
            }
            if lines.len() >= MAX_CONNECTIONS {
                self.incomplete = true;
                return;
            }
        }
        let line = lines.entry(ends).or_insert_with(|| Line::of(segment, opens, time_ns, server_ports));
        self.said(line, segment, time_ns);
    }

    fn said(&mut self, line: &mut Line, segment: &Segment<'_>, time_ns: i64) {
        let by_server = segment.src == line.server;
        let start = Seq(segment.seq);
        let end = start.plus(segment.payload_len);
        let newest = &mut line.next[usize::from(by_server)];
        let is_new = segment.payload_len > 0 && newest.is_none_or(|newest| end.after(newest));
        if is_new {
            *newest = Some(end);
        }
        if by_server {
            if is_new {
                line.answered_ns = Some(time_ns);
                if let Some(asked) = line.last.and_then(|last| self.requests.get_mut(last)) {
                    asked.answered_after_ns = Some(time_ns - asked.sent_ns);
                }
            }
            let ends = (segment.flags.fin() || segment.flags.rst()) && !line.closed;
            let idle = line.last.is_none_or(|last| self.requests[last].answered_after_ns.is_some());
            if let (true, true, Some(answered_ns)) = (ends, idle, line.answered_ns) {
                let Line { client, server, .. } = *line;
                self.ends.push(IdleEnd { client, server, time_ns, idle_ns: time_ns - answered_ns });
            }
        } else if is_new {
            let under_way = line.last.is_some_and(|last| self.requests[last].answered_after_ns.is_none());
            if !under_way {
                self.begin(line, time_ns);
            }
        }
        line.closed |= segment.flags.fin() || segment.flags.rst();
    }

    fn begin(&mut self, line: &mut Line, time_ns: i64) {
        if self.requests.len() >= MAX_REQUESTS {
            self.incomplete = true;
            return;
        }
        let first = line.last.is_none();
        line.last = Some(self.requests.len());
        self.requests.push(Asked {
            client: line.client,
            server: line.server,
            sent_ns: time_ns,
            idle_ns: line.answered_ns.map(|answered_ns| time_ns - answered_ns),
            opened_ns: line.opened_ns.filter(|_| first),
            answered_after_ns: None,
        });
    }
}

impl Line {
    fn of(segment: &Segment<'_>, opens: bool, time_ns: i64, server_ports: &[u16]) -> Line {
        let weight = |end: Endpoint| (server_ports.contains(&end.port), end.port < EPHEMERAL);
        let answers = segment.flags.syn() && segment.flags.ack();
        let from_client = if opens || answers {
            opens
        } else {
            (weight(segment.dst), segment.src.port) >= (weight(segment.src), segment.dst.port)
        };
        let (client, server) =
            if from_client { (segment.src, segment.dst) } else { (segment.dst, segment.src) };
        Line {
            client,
            server,
            opened_ns: opens.then_some(time_ns),
            next: [None; 2],
            answered_ns: None,
            last: None,
            closed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn heard(capture: &str) -> Heard {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(capture);
        asked(Reader::open(&file).unwrap(), &[])
    }

    #[test]
    fn requests_and_closes_are_heard_at_either_end() {
        for end in ["client", "server"] {
            let heard = heard(&format!("mismatched-pair/{end}.pcap"));
            assert_eq!((heard.requests.len(), heard.ends.len()), (20, 10), "{end}");
            assert!(heard.requests.iter().all(|asked| asked.answered_after_ns.is_some()), "{end}");
            let (again, first): (Vec<&Asked>, Vec<&Asked>) =
                heard.requests.iter().partition(|asked| asked.idle_ns.is_some());
            assert_eq!((first.len(), again.len()), (10, 10), "{end}");
            assert!(first.iter().all(|asked| asked.opened_ns.is_some_and(|opened| opened < asked.sent_ns)));
            assert!(again.iter().all(|asked| asked.opened_ns.is_none() && asked.came_ns() == asked.sent_ns));
            // The server's timer is 5 s; at the client it is as long, since response and FIN fly equally long.
            assert!(
                heard.ends.iter().all(|end| (end.idle_ns - 5_000_000_000).abs() < 2_000_000),
                "{heard:?}"
            );
        }
    }

    #[test]
    fn a_lost_request_is_heard_once_however_many_segments_it_has() {
        let heard = heard("crossed-fin-large-post/client.pcap");
        let lost = heard.requests.last().unwrap();
        assert!(lost.answered_after_ns.is_none() && lost.idle_ns.is_some());
        assert_eq!(heard.requests.iter().filter(|asked| asked.answered_after_ns.is_none()).count(), 1);
    }

    #[test]
    fn every_capture_is_read_without_harm() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            for name in ["client.pcap", "server.pcap"] {
                let file = entry.as_ref().unwrap().path().join(name);
                let Ok(reader) = Reader::open(&file) else { continue };
                let heard = asked(reader, &[]);
                assert!(
                    heard.requests.iter().all(|asked| asked.idle_ns.is_none_or(|idle| idle >= 0)),
                    "{file:?}"
                );
                read += 1;
            }
        }
        assert!(read > 50, "{read} captures");
    }
}
