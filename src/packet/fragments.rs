//! Putting IP fragments together.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;

use super::ip::Fragment;
use super::{Skip, tunnel};

/// Datagrams under way at the same time.
const MAX_DATAGRAMS: usize = 64;
/// Bytes of all of them, with the gaps in them.
const MAX_BYTES: usize = 1 << 20;
/// How long fragments are waited for, from the first one captured: that of Linux (`net.ipv4.ipfrag_time`).
const LIFETIME_NS: i64 = 30_000_000_000;
/// A datagram cannot be longer (RFC 791).
const MAX_DATAGRAM_LEN: usize = 0xffff;

/// Which fragments belong together (RFC 791 section 2.3, RFC 8200 section 4.5); and in which virtual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub id: u32,
    pub protocol: u8,
    pub vni: u32,
}

/// A datagram of which not all is there.
#[derive(Debug)]
struct Datagram {
    key: Key,
    since_ns: i64,
    /// Fragments taken in.
    fragments: u64,
    /// Length of the whole, once the last fragment has told.
    len: Option<usize>,
    bytes: Vec<u8>,
    /// What is there, in order, neither overlapping nor touching.
    there: Vec<Range<usize>>,
    /// Its first fragment showed that no TCP is in it: nothing is kept.
    dismissed: bool,
}

/// The datagrams that fragments have begun.
///
/// Overlaps keep what was captured first, as Wireshark does; Linux gives the whole datagram up (RFC 5722), so that no
/// honest sender has any.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    under_way: VecDeque<Datagram>,
    bytes: usize,
    joined: u64,
}

impl Fragments {
    /// Fragments that were refused as [`Skip::Fragment`] when they came, and of which a later one proved that nothing was
    /// lost.
    pub fn joined(&self) -> u64 {
        self.joined
    }

    /// Takes in a fragment. Returns the datagram that it completes.
    ///
    /// # Errors
    /// [`Skip::Fragment`] while some are missing; [`Skip::NotTcp`] where no TCP can be in it.
    pub fn add(&mut self, fragment: &Fragment, bytes: &[u8], time_ns: i64) -> Result<Vec<u8>, Skip> {
        let Fragment { key, offset, more } = *fragment;
        if offset + bytes.len() > MAX_DATAGRAM_LEN {
            return Err(Skip::MalformedIp);
        }
        self.give_up_old(time_ns);
        let at = match self.under_way.iter().position(|datagram| datagram.key == key) {
            Some(at) => at,
            None => {
                if self.under_way.len() == MAX_DATAGRAMS {
                    self.give_up_oldest();
                }
                self.under_way.push_back(Datagram::new(key, time_ns));
                self.under_way.len() - 1
            }
        };
        let datagram = &mut self.under_way[at];
        if offset == 0 && !tunnel::may_carry_tcp(key.protocol, Some(bytes)) {
            self.joined += datagram.fragments;
            self.bytes -= datagram.bytes.len();
            datagram.dismiss();
        }
        if datagram.dismissed {
            return Err(Skip::NotTcp);
        }
        let before = datagram.bytes.len();
        datagram.add(offset, more, bytes);
        self.bytes += datagram.bytes.len() - before;
        if !datagram.is_whole() {
            while self.bytes > MAX_BYTES {
                self.give_up_oldest();
            }
            return Err(Skip::Fragment);
        }
        let mut whole = self.under_way.remove(at).ok_or(Skip::Fragment)?;
        self.bytes -= whole.bytes.len();
        self.joined += whole.fragments - 1;
        // A contradicting fragment may have put something behind the end.
        whole.bytes.truncate(whole.len.unwrap_or(MAX_DATAGRAM_LEN));
        Ok(whole.bytes)
    }

    /// Datagrams are in the order of their first fragments.
    fn give_up_old(&mut self, now_ns: i64) {
        while self
            .under_way
            .front()
            .is_some_and(|oldest| now_ns.saturating_sub(oldest.since_ns) > LIFETIME_NS)
        {
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) {
        if let Some(oldest) = self.under_way.pop_front() {
            self.bytes -= oldest.bytes.len();
        }
    }
}

impl Datagram {
    fn new(key: Key, since_ns: i64) -> Datagram {
        Datagram {
            key,
            since_ns,
            fragments: 0,
            len: None,
            bytes: Vec::new(),
            there: Vec::new(),
            dismissed: false,
        }
    }

    fn dismiss(&mut self) {
        self.dismissed = true;
        self.fragments = 0;
        self.bytes = Vec::new();
        self.there = Vec::new();
    }

    fn add(&mut self, offset: usize, more: bool, bytes: &[u8]) {
        self.fragments += 1;
        let end = offset + bytes.len();
        if !more && self.len.is_none() {
            self.len = Some(end);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        // Fill the gaps that this fragment covers, and only them.
        let touching = self.there.partition_point(|have| have.end < offset)
            ..self.there.partition_point(|have| have.start <= end);
        let mut from = offset;
        let mut merged = offset..end;
        for have in &self.there[touching.clone()] {
            if from < have.start {
                self.bytes[from..have.start].copy_from_slice(&bytes[from - offset..have.start - offset]);
            }
            from = from.max(have.end);
            merged = merged.start.min(have.start)..merged.end.max(have.end);
        }
        if from < end {
            self.bytes[from..end].copy_from_slice(&bytes[from - offset..]);
        }
        self.there.splice(touching, [merged]);
    }

    /// Whether all is there up to the end.
    fn is_whole(&self) -> bool {
        self.len
            .is_some_and(|len| matches!(self.there.first(), Some(have) if have.start == 0 && have.end >= len))
    }
}
