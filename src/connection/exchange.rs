//! One request and what became of it.

use super::http::Method;
use super::{Mark, MaybeNs, Meaning, Message, Moment, Point, Seq};

/// A request and its response, as far as they were captured.
///
/// A request is one HTTP request, or, where the payload cannot be read, one burst of client data.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The segment that holds the first byte of the request.
    pub request: Mark,
    /// Sequence number of the first byte of the request.
    pub start: Seq,
    /// One past the last byte of the request seen so far.
    pub end: Seq,
    /// HTTP method, where readable.
    pub method: Option<Method>,
    /// HTTP path, printable ASCII without query; empty where unreadable.
    pub path: Vec<u8>,
    /// The request is complete, as far as HTTP framing can tell; always true for bursts.
    pub complete: bool,
    idle: MaybeNs,
    silence_ns: i64,
    /// The idle time began before the capture of the connection: at least so long.
    idle_is_bound: bool,
    /// The first segment from the server that acknowledges at least the first byte.
    pub acked: Option<Moment>,
    /// False where HTTP was expected and the bytes that were captured are no request.
    pub is_request: bool,
    /// It says `Connection: close`: the client's last one.
    pub says_close: bool,
    /// It follows at once on a request of which the server had answered a part, or with what may have been an interim
    /// response: then it is rather the rest of that one.
    pub continues: bool,
    /// What its sender expects, as far as its bytes tell; never known of HTTP and inside TLS.
    pub message: Message,
    /// HTTP/2 stream; 0 where the protocol has none.
    pub http2_stream: u32,
    answer: Option<Box<Answer>>,
    /// The response is complete, as far as HTTP framing can tell, though the request may not be.
    pub response_complete: bool,
    /// HTTP status.
    pub status: Option<u16>,
    /// Fingerprint of the first bytes, to recognise equal requests on other connections.
    pub fingerprint: u64,
    again: Option<Box<Again>>,
    /// It is under way; otherwise its memory waits for the next request.
    pub(super) in_use: bool,
}

/// How long a connection was idle before a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// It was not, or nothing shows it.
    Unknown,
    /// So many ns.
    Exactly(i64),
    /// So many ns in the capture, which lacks the beginning.
    AtLeast(i64),
}

/// The segments of a response; a request that waits for it does without.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    first: Option<Mark>,
    last: Option<Mark>,
    interim: bool,
}

/// What is kept of a request that was sent more than once.
#[derive(Debug, Clone, Default)]
struct Again {
    retransmissions: u32,
    last_retransmission: MaybeNs,
    follows_loss: bool,
}

impl Exchange {
    /// A request of which the first byte was seen. `path` is a buffer.
    pub(super) fn new(
        request: Mark,
        start: Seq,
        idle: Idle,
        silence_ns: i64,
        fingerprint: u64,
        path: Vec<u8>,
    ) -> Exchange {
        Exchange {
            request,
            start,
            end: start,
            method: None,
            path,
            complete: false,
            idle: match idle {
                Idle::Unknown => MaybeNs::default(),
                Idle::Exactly(ns) | Idle::AtLeast(ns) => ns.into(),
            },
            idle_is_bound: matches!(idle, Idle::AtLeast(_)),
            silence_ns,
            acked: None,
            is_request: true,
            says_close: false,
            continues: false,
            message: Message::UNKNOWN,
            http2_stream: 0,
            answer: None,
            response_complete: false,
            status: None,
            fingerprint,
            again: None,
            in_use: true,
        }
    }

    /// What it was begun with turned out to be something else: its request begins here.
    pub(super) fn begin_anew(&mut self, request: Mark, start: Seq, fingerprint: u64) {
        (self.request, self.start, self.end, self.fingerprint) = (request, start, start, fingerprint);
        self.is_request = true;
        self.complete = false;
        self.acked = None;
    }

    /// Time from the last byte of the previous exchange, ns; none on the first request of a connection, and where the
    /// previous exchange was not captured.
    pub fn idle_ns(&self) -> Option<i64> {
        self.idle.get().filter(|_| !self.idle_is_bound)
    }

    /// Where the previous exchange lies before the capture: for how long the capture shows that nothing was sent, ns.
    pub fn idle_at_least_ns(&self) -> Option<i64> {
        self.idle.get().filter(|_| self.idle_is_bound)
    }

    /// Time since the packet before it, of either side and whatever it carried, ns; 0 where it is the first of the capture.
    /// Devices on the path count from there: a keep-alive probe is no data, and reminds them.
    pub fn silence_ns(&self) -> i64 {
        self.silence_ns
    }

    /// Retransmissions of its bytes.
    pub fn retransmissions(&self) -> u32 {
        self.again.as_ref().map_or(0, |again| again.retransmissions)
    }

    /// An equal one was lost on another connection shortly before: what becomes of this one is to be told.
    pub(super) fn follows_loss(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.follows_loss)
    }

    /// The first segment of the response.
    pub fn response_first(&self) -> Option<Mark> {
        self.answer.as_ref()?.first
    }

    /// The newest segment of the response.
    pub fn response_last(&self) -> Option<Mark> {
        self.answer.as_ref()?.last
    }

    /// A segment belongs to the response.
    pub(super) fn answer(&mut self, mark: Mark) {
        let answer = self.answer.get_or_insert_default();
        answer.first.get_or_insert(mark);
        answer.last = Some(mark);
    }

    /// A part of the response arrives behind its end: the last to arrive, and not the last by number.
    pub(super) fn answer_arrives(&mut self, mark: Mark) {
        let last = self.answer.as_mut().and_then(|answer| answer.last.as_mut());
        if let Some(last) = last {
            *last = Mark { frame: mark.frame, time_ns: mark.time_ns, ..*last };
        }
    }

    /// What came last may have been an interim response (RFC 9110 section 15.2), which cannot be read.
    pub(super) fn answer_may_be_interim(&mut self, interim: bool) {
        if let Some(answer) = &mut self.answer {
            answer.interim = interim;
        }
    }

    /// What came last may have been an interim response.
    pub(super) fn is_answer_interim(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.interim)
    }

    /// What came so far was not the response.
    pub(super) fn forget_answer(&mut self) {
        if let Some(answer) = &mut self.answer {
            **answer = Answer::default();
        }
    }

    /// The segment that ends the response, with the number behind it.
    pub(super) fn response_end(&self) -> Option<Point> {
        self.response_last().map(|last| Point { seq: last.seq.plus(last.len), ..last.into() })
    }

    /// Memory for the answer, lent until it begins.
    #[inline]
    pub(super) fn lend(&mut self, lend: impl FnOnce() -> Option<Box<Answer>>) {
        if self.answer.is_none() {
            self.answer = lend();
        }
    }

    /// The memory for the answer, where none has begun.
    #[inline]
    pub(super) fn give_back(&mut self) -> Option<Box<Answer>> {
        self.answer.take_if(|answer| answer.first.is_none())
    }

    /// Another request begins in the memory of this one, which is over.
    pub(super) fn renew(&mut self, make: impl FnOnce(Vec<u8>) -> Exchange) {
        self.forget_answer();
        let answer = self.answer.take();
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        *self = Exchange { answer, ..make(path) };
    }

    /// Time of the last retransmission, ns, or of the request itself.
    pub(super) fn last_sent_ns(&self) -> i64 {
        let last = self.again.as_ref().and_then(|again| again.last_retransmission.get());
        last.unwrap_or(self.request.time_ns)
    }

    /// It was retransmitted.
    pub(super) fn sent_again(&mut self, time_ns: i64) {
        let again = self.again.get_or_insert_default();
        again.retransmissions += 1;
        again.last_retransmission = time_ns.into();
    }

    /// An equal one was lost on another connection.
    pub(super) fn follow(&mut self) {
        self.again.get_or_insert_default().follows_loss = true;
    }

    /// Bytes of the request seen so far.
    pub fn bytes(&self) -> u32 {
        self.end.since(self.start).max(0) as u32
    }

    /// Its bytes are a goodbye, or nothing else that anybody misses.
    pub fn is_farewell(&self) -> bool {
        self.message.meaning == Meaning::Farewell
    }

    /// Some byte of a response was captured.
    pub fn answered(&self) -> bool {
        self.response_first().is_some()
    }
}
