//! Lost requests that are sent again on another connection.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::connection::{Connection, Exchange, Retry};
use crate::report::Side;

use super::slots::{Flow, Slots};

/// How long after a loss the same request on another connection counts as its retry: proxies retry at once, people and
/// schedulers come back later with bytes that may well be the same.
pub(super) const RETRY_WINDOW_NS: i64 = 2_000_000_000;
/// Losses watched for a retry at the same time.
const MAX_WATCHED: usize = 256;

/// A request that seems lost: the same bytes on another connection would be its retry.
#[derive(Debug)]
struct Watched {
    fingerprint: u64,
    slot: u32,
    serial: u32,
    stream: u32,
    request_frame: u64,
    client: IpAddr,
    since_ns: i64,
}

/// The requests that seem lost, oldest first.
#[derive(Debug, Default)]
pub(super) struct Retries {
    watched: VecDeque<Watched>,
}

impl Retries {
    /// A side of a connection closes: what was not answered until now may be lost.
    pub fn watch_outstanding(&mut self, slots: &Slots, slot: u32, time_ns: i64) {
        let Some(Flow::Full(connection)) = slots.get(slot) else { return };
        for exchange in connection.exchanges.iter().filter(|exchange| !exchange.answered()) {
            self.watch(connection, exchange, slot, time_ns);
        }
    }

    /// A request that begins after the server closed is lost from its first byte.
    pub fn watch_if_late(&mut self, slots: &Slots, slot: u32, time_ns: i64) {
        let Some(Flow::Full(connection)) = slots.get(slot) else { return };
        let server = connection.half(Side::Server);
        if server.has_ended()
            && let Some(exchange) = connection.exchanges.back()
        {
            self.watch(connection, exchange, slot, time_ns);
        }
    }

    fn watch(&mut self, connection: &Connection, exchange: &Exchange, slot: u32, since_ns: i64) {
        let (serial, request_frame) = (connection.serial, exchange.request.frame);
        let known = |watched: &Watched| watched.serial == serial && watched.request_frame == request_frame;
        if self.watched.iter().any(known) {
            return;
        }
        if self.watched.len() == MAX_WATCHED {
            self.watched.pop_front();
        }
        self.watched.push_back(Watched {
            fingerprint: exchange.fingerprint,
            slot,
            serial,
            stream: connection.stream,
            request_frame,
            client: connection.endpoint(Side::Client).ip(),
            since_ns,
        });
    }

    /// A request begins: is it one of those that seem lost?
    pub fn match_retry(
        &mut self,
        slots: &mut Slots,
        request: u64,
        client: IpAddr,
        retry: Retry,
        time_ns: i64,
    ) {
        self.watched.retain(|watched| time_ns - watched.since_ns <= RETRY_WINDOW_NS);
        let is_it = |watched: &Watched| {
            watched.fingerprint == request && watched.client == client && watched.stream != retry.stream
        };
        let Some(at) = self.watched.iter().position(is_it) else { return };
        let Some(watched) = self.watched.remove(at) else { return };
        if let Some(Flow::Full(connection)) = slots.get_mut(watched.slot)
            && connection.serial == watched.serial
            && let Some(lost) = connection
                .exchanges
                .iter_mut()
                .find(|exchange| exchange.request.frame == watched.request_frame)
        {
            lost.set_retried(retry);
        }
    }
}
