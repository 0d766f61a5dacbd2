//! When things happened on each connection of a capture: for whoever measures idle times rather than incidents.

use std::collections::HashMap;
use std::path::Path;

use crate::capture::{CaptureError, Reader};
use crate::packet::{Decoder, Endpoint, Segment};

/// The moments of one connection that was captured from its beginning, in ns since the Unix epoch, as the capture point
/// saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instants {
    /// The side that opened it.
    pub client: Endpoint,
    /// The other.
    pub server: Endpoint,
    /// Its SYN.
    pub syn_ns: i64,
    /// The server's SYN and ACK.
    pub syn_ack_ns: Option<i64>,
    /// The last byte of the first response.
    pub response_ns: Option<i64>,
    /// The first byte of the second request.
    pub second_request_ns: Option<i64>,
    /// The server's first FIN, or its RST where it sent no FIN before.
    pub server_end_ns: Option<i64>,
    /// Sequence number of the SYN: the same addresses may carry another connection later.
    syn: u32,
    /// One past the last byte of the client that was seen.
    client_next: Option<u32>,
}

impl Instants {
    /// From the last byte of the first response to the second request.
    pub fn idle_ns(&self) -> Option<i64> {
        Some(self.second_request_ns? - self.response_ns?)
    }

    /// From the last byte of the first response to the server's close, where that came before a second request or
    /// without one: the server's timer.
    pub fn timer_ns(&self) -> Option<i64> {
        let end = self.server_end_ns?;
        let unasked = self.second_request_ns.is_none_or(|request| end < request);
        unasked.then_some(end - self.response_ns?)
    }

    /// From SYN to SYN and ACK: a round trip, seen at the client.
    pub fn handshake_ns(&self) -> Option<i64> {
        Some(self.syn_ack_ns? - self.syn_ns)
    }

    fn take(&mut self, segment: &Segment<'_>, time_ns: i64) {
        let data = segment.payload_len > 0;
        if segment.src == self.server {
            if segment.flags.syn() {
                self.syn_ack_ns.get_or_insert(time_ns);
            }
            if data && self.second_request_ns.is_none() {
                self.response_ns = Some(time_ns);
            }
            if segment.flags.fin() || segment.flags.rst() {
                self.server_end_ns.get_or_insert(time_ns);
            }
        } else if data {
            // A retransmission is no second request.
            let new = self.client_next.is_none_or(|next| segment.seq.wrapping_sub(next) as i32 >= 0);
            if new {
                self.client_next = Some(segment.seq.wrapping_add(segment.payload_len));
                if self.response_ns.is_some() {
                    self.second_request_ns.get_or_insert(time_ns);
                }
            }
        }
    }
}

/// Reads the moments of every connection whose SYN a capture holds, in the order of those.
///
/// # Errors
/// If the capture cannot be opened or read to its end.
pub fn instants(path: &Path) -> Result<Vec<Instants>, CaptureError> {
    let mut reader = Reader::open(path)?;
    let mut decoder = Decoder::new();
    let mut found: Vec<Instants> = Vec::new();
    let mut latest: HashMap<(Endpoint, Endpoint), usize> = HashMap::new();
    while let Some(record) = reader.next()? {
        let time_ns = record.time_ns;
        let Ok(segment) = decoder.decode(record.link.0, record.data, record.wire_len, time_ns) else {
            continue;
        };
        let (here, there) = ((segment.src, segment.dst), (segment.dst, segment.src));
        if segment.flags.syn() && !segment.flags.ack() {
            let known = latest.get(&here).and_then(|index| found.get(*index));
            if known.is_none_or(|known| known.syn != segment.seq) {
                latest.insert(here, found.len());
                found.push(Instants {
                    client: segment.src,
                    server: segment.dst,
                    syn_ns: time_ns,
                    syn_ack_ns: None,
                    response_ns: None,
                    second_request_ns: None,
                    server_end_ns: None,
                    syn: segment.seq,
                    client_next: None,
                });
            }
        } else if let Some(index) = latest.get(&here).or_else(|| latest.get(&there)) {
            found[*index].take(&segment, time_ns);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(name: &str) -> Vec<Instants> {
        instants(&Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name)).unwrap()
    }

    #[test]
    fn a_crossed_request_is_idle_for_less_than_the_timer_at_the_client_and_more_at_the_server() {
        let (client, server) = (capture("crossed-fin/client.pcap"), capture("crossed-fin/server.pcap"));
        let ([at_client], [at_server]) = (client.as_slice(), server.as_slice()) else { panic!("one each") };
        assert_eq!((at_client.client, at_client.server), (at_server.client, at_server.server));
        // The FIN left after the timer; the request came to the server later than that.
        let timer = at_server.timer_ns().unwrap();
        assert!(at_server.idle_ns().unwrap() > timer, "{at_server:?}");
        // At the client the same request left before the FIN was there, so no timer can be told.
        assert!(at_client.idle_ns().unwrap() < timer, "{at_client:?}");
        assert_eq!(at_client.timer_ns(), None);
        assert!(at_client.handshake_ns().unwrap() > at_server.handshake_ns().unwrap());
    }

    #[test]
    fn what_is_no_capture_is_an_error() {
        assert!(instants(Path::new("/nonexistent.pcap")).is_err());
    }
}
