//! The connections of a table, found by their endpoints.

use std::hash::{Hash, Hasher};

use hashbrown::HashTable;

use crate::connection::embryo::Embryo;
use crate::connection::http::Head;
use crate::connection::spares::Spares;
use crate::connection::streams::{Bases, Streams};
use crate::connection::{Connection, Half, Mark, RoleHints};
use crate::packet::{Endpoint, Segment};
use crate::report::Side;

use super::RetryAnswer;
use super::digest::Digester;

/// Both endpoints in canonical order, so that either direction finds the same connection, and the virtual network: the same
/// addresses in two of them are two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    low: Endpoint,
    high: Endpoint,
    tunnel: u32,
}

impl Key {
    /// The key of a segment's connection.
    #[inline(always)]
    pub fn of(segment: &Segment<'_>) -> Key {
        Key::between(segment.src, segment.dst, segment.tunnel)
    }

    #[inline(always)]
    fn between(a: Endpoint, b: Endpoint, tunnel: u32) -> Key {
        let in_order = match (a.v4_bits(), b.v4_bits()) {
            // As one number each: what nearly every packet has is compared without a branch that cannot be foreseen.
            (Some(ip_a), Some(ip_b)) => {
                let number = |ip: u32, port: u16| u64::from(ip) << 16 | u64::from(port);
                number(ip_a, a.port) <= number(ip_b, b.port)
            }
            _ => a <= b,
        };
        let (low, high) = if in_order { (a, b) } else { (b, a) };
        Key { low, high, tunnel }
    }

    /// The endpoints, the lesser first.
    pub fn ends(&self) -> (&Endpoint, &Endpoint) {
        (&self.low, &self.high)
    }

    /// The same endpoints outside of any virtual network.
    pub fn without_tunnel(self) -> Key {
        Key { tunnel: 0, ..self }
    }

    /// Whether an endpoint is the second in canonical order: the index of its numbers in [`Bases`] of a tombstone.
    pub fn place(&self, endpoint: Endpoint) -> usize {
        usize::from(endpoint != self.low)
    }
}

impl Hash for Key {
    /// Few and wide words: hashing is a good part of what a packet costs.
    #[inline(always)]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let ports = u64::from(self.low.port) << 48 | u64::from(self.high.port) << 32;
        hasher.write_u64(ports | u64::from(self.tunnel));
        if let (Some(low), Some(high)) = (self.low.v4_bits(), self.high.v4_bits()) {
            hasher.write_u64(u64::from(low) << 32 | u64::from(high));
        } else {
            [self.low, self.high].iter().for_each(|end| hasher.write_u128(end.v6_bits()));
        }
    }
}

/// A connection, in as much memory as it needs.
#[derive(Debug)]
pub(super) enum Flow {
    /// A handshake at most.
    Embryo(Box<Embryo>),
    /// Everything else.
    Full(Box<Connection>),
}

impl Flow {
    /// Its key.
    pub fn key(&self) -> Key {
        let (ends, tunnel) = self.ends();
        Key::between(ends[0], ends[1], tunnel)
    }

    /// Whether these are its endpoints, in whatever order.
    #[inline]
    fn is_between(&self, a: &Endpoint, b: &Endpoint, tunnel: u32) -> bool {
        let ([first, second], own_tunnel) = self.ends();
        tunnel == own_tunnel && ((first == a && second == b) || (first == b && second == a))
    }

    #[inline]
    fn ends(&self) -> (&[Endpoint; 2], u32) {
        match self {
            Flow::Embryo(embryo) => (&embryo.ends, embryo.tunnel),
            Flow::Full(connection) => (&connection.ends, connection.tunnel),
        }
    }

    /// Index of the stream.
    pub fn stream(&self) -> u32 {
        match self {
            Flow::Embryo(embryo) => embryo.stream,
            Flow::Full(connection) => connection.stream,
        }
    }

    /// Number of the connection in the table.
    pub fn serial(&self) -> u32 {
        match self {
            Flow::Embryo(embryo) => embryo.serial,
            Flow::Full(connection) => connection.serial,
        }
    }

    /// Time of the last segment.
    pub fn last_ns(&self) -> i64 {
        match self {
            Flow::Embryo(embryo) => embryo.last_ns(),
            Flow::Full(connection) => connection.last_ns,
        }
    }

    /// Nothing more can come: both FINs, or a RST.
    pub fn is_closed(&self) -> bool {
        match self {
            Flow::Embryo(embryo) => embryo.is_closed(),
            Flow::Full(connection) => connection.is_closed(),
        }
    }

    /// The client cannot send a request any more: it closed, or it never got a connection. A RST of the server alone may have
    /// been lost on its way.
    pub fn client_is_gone(&self) -> bool {
        match self {
            Flow::Embryo(embryo) => embryo.is_closed(),
            Flow::Full(connection) => {
                let client = connection.half(Side::Client);
                client.has_ended()
            }
        }
    }

    /// No side has said goodbye.
    pub fn is_intact(&self) -> bool {
        match self {
            Flow::Embryo(embryo) => !embryo.is_closed(),
            Flow::Full(connection) => !connection.halves.iter().any(Half::has_ended),
        }
    }

    /// The handshake was begun and never completed.
    pub fn is_half_open(&self) -> bool {
        match self {
            Flow::Embryo(embryo) => embryo.is_half_open(),
            Flow::Full(_) => false,
        }
    }

    /// Most packets of the connection come twice.
    pub fn is_mirrored(&self) -> bool {
        let (packets, copies) = match self {
            Flow::Embryo(embryo) => embryo.packets_and_copies(),
            Flow::Full(connection) => (connection.packets(), connection.duplicates()),
        };
        // Between the two packets of a pair, the copies are less than half of the packets.
        copies > 0 && copies * 3 >= packets
    }

    /// Zero of the relative numbers, in the order of `key`.
    pub fn bases(&self) -> Bases {
        let (ends, bases) = match self {
            Flow::Embryo(embryo) => (embryo.ends, embryo.bases),
            Flow::Full(connection) => (connection.ends, connection.bases()),
        };
        if ends[0] <= ends[1] { bases } else { bases.exchanged() }
    }

    /// Numbers the connection in the file in hand; `shared` is its index there, where virtual networks share one.
    pub fn appear(&mut self, segment: &Segment<'_>, streams: &mut Streams, shared: Option<u32>) {
        let (ends, stream, appearances) = match self {
            Flow::Embryo(embryo) => (embryo.ends, embryo.stream, &mut embryo.appearances),
            Flow::Full(connection) => (connection.ends, connection.stream, &mut connection.appearances),
        };
        appearances.note(stream, usize::from(segment.src != ends[0]), segment, streams, shared);
    }

    /// The newest file of the trace with packets of it, and its index there.
    pub fn newest_appearance(&self) -> (u32, u32) {
        match self {
            Flow::Embryo(embryo) => embryo.appearances.newest(embryo.stream),
            Flow::Full(connection) => connection.appearances.newest(connection.stream),
        }
    }

    /// The connection with its full state.
    pub fn grow(self, hints: &RoleHints) -> Box<Connection> {
        match self {
            Flow::Embryo(embryo) => Box::new(embryo.grow(hints)),
            Flow::Full(connection) => connection,
        }
    }
}

/// Where connections live: a slot keeps its number as long as its connection is in the table.
#[derive(Debug)]
pub(super) struct Slots {
    digester: Digester,
    // Slots by key; the keys are those of the connections.
    index: HashTable<u32>,
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    /// Connections taken out so far, modulo 2^32.
    removed: u32,
    spares: Spares,
}

impl Slots {
    pub fn new() -> Slots {
        Slots {
            digester: Digester::default(),
            index: HashTable::new(),
            flows: Vec::new(),
            free: Vec::new(),
            removed: 0,
            spares: Spares::default(),
        }
    }

    /// Connections in the table.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// What makes the hashes of keys.
    pub fn digester(&self) -> &Digester {
        &self.digester
    }

    /// The keyed hash of a key.
    pub fn hash(&self, key: &Key) -> u64 {
        self.digester.hash(key)
    }

    /// The slot of the connection between two endpoints, by the hash of their key.
    #[inline]
    pub fn find(&self, hash: u64, (a, b): (&Endpoint, &Endpoint), tunnel: u32) -> Option<u32> {
        let is_it = |&slot: &u32| self.has(slot, (a, b), tunnel);
        self.index.find(hash, is_it).copied()
    }

    /// Connections taken out so far, modulo 2^32: as long as it stays the same, each connection is where it was.
    pub fn removed(&self) -> u32 {
        self.removed
    }

    /// Whether the connection between two endpoints is in this slot.
    #[inline]
    fn has(&self, slot: u32, (a, b): (&Endpoint, &Endpoint), tunnel: u32) -> bool {
        self.get(slot).is_some_and(|flow| flow.is_between(a, b, tunnel))
    }

    /// The connection in a slot.
    pub fn get(&self, slot: u32) -> Option<&Flow> {
        self.flows.get(slot as usize)?.as_ref()
    }

    /// The connection in a slot, to be changed.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        self.flows.get_mut(slot as usize)?.as_mut()
    }

    /// The connection in a slot, if it is still the one with a serial number.
    pub fn same(&self, slot: u32, serial: u32) -> Option<&Flow> {
        self.get(slot).filter(|flow| flow.serial() == serial)
    }

    /// Adds a connection whose key is not in the table.
    pub fn add(&mut self, hash: u64, flow: Flow) -> u32 {
        let slot = self.free.pop().unwrap_or(self.flows.len() as u32);
        match self.flows.get_mut(slot as usize) {
            Some(place) => *place = Some(flow),
            None => self.flows.push(Some(flow)),
        }
        let (flows, digester) = (&self.flows, &self.digester);
        self.index.insert_unique(hash, slot, |&slot| {
            flows.get(slot as usize).and_then(Option::as_ref).map_or(0, |flow| digester.hash(&flow.key()))
        });
        slot
    }

    /// Takes a connection out; with the hash of its key.
    pub fn remove(&mut self, slot: u32) -> Option<(u64, Flow)> {
        let flow = self.flows.get_mut(slot as usize)?.take()?;
        let hash = self.hash(&flow.key());
        if let Ok(entry) = self.index.find_entry(hash, |&known| known == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.removed = self.removed.wrapping_add(1);
        Some((hash, flow))
    }

    /// The connections and their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Flow)> {
        (0..).zip(&self.flows).filter_map(|(slot, flow)| Some((slot, flow.as_ref()?)))
    }

    /// All slots in use, in the order of their connections' first packets.
    pub fn in_order(&self) -> Vec<u32> {
        let mut used: Vec<(u32, u32)> = self.iter().map(|(slot, flow)| (flow.serial(), slot)).collect();
        used.sort_unstable();
        used.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Takes one segment into account and returns the fingerprint of a request that began with it.
    #[inline]
    pub fn ingest(
        &mut self,
        slot: u32,
        segment: &Segment<'_>,
        head: Option<&Head>,
        mark: Mark,
        hints: &RoleHints,
    ) -> Option<u64> {
        if let Some(Flow::Embryo(embryo)) = self.get_mut(slot)
            && embryo.admit(segment, mark)
        {
            return None;
        }
        let place = self.flows.get_mut(slot as usize)?;
        let connection = grown(place, hints)?;
        if segment.payload_len == 0 {
            return connection.ingest(segment, head, mark, hints);
        }
        connection.borrow(&mut self.spares);
        let begun = connection.ingest(segment, head, mark, hints);
        connection.give_back(&mut self.spares);
        begun
    }

    /// The side that an endpoint plays.
    pub fn side_of(&self, slot: u32, endpoint: Endpoint) -> Side {
        match self.get(slot) {
            Some(Flow::Full(connection)) => connection.side_of(endpoint),
            _ => Side::Client,
        }
    }

    /// How a request that followed a lost one was answered, if the last segment told.
    #[inline]
    pub fn take_retry_answer(&mut self, slot: u32) -> Option<RetryAnswer> {
        match self.get_mut(slot) {
            Some(Flow::Full(connection)) => connection.take_retry_answer(),
            _ => None,
        }
    }

    /// Counts a copy of a segment that was taken into account before.
    pub fn count_copy(&mut self, slot: u32, segment: &Segment<'_>, time_ns: i64, hints: &RoleHints) {
        if let Some(Flow::Embryo(embryo)) = self.get_mut(slot)
            && embryo.count_copy(segment.src)
        {
            return;
        }
        if let Some(connection) = self.flows.get_mut(slot as usize).and_then(|place| grown(place, hints)) {
            connection.count_copy(segment.src, time_ns);
        }
    }
}

/// The connection in a slot with its full state.
fn grown<'p>(place: &'p mut Option<Flow>, hints: &RoleHints) -> Option<&'p mut Connection> {
    if let Some(Flow::Embryo(_)) = place {
        *place = place.take().map(|flow| Flow::Full(flow.grow(hints)));
    }
    match place {
        Some(Flow::Full(connection)) => Some(connection),
        _ => None,
    }
}
