//! Traces and reports to draw in tests, one for each story. Numbers are those of real runs, tidied.

use std::collections::BTreeMap;

use crate::report::{
    Capture, Cause, Clocks, Confidence, IdleBucket, IdleClose, Incident, Lane, Report, Request, Retried,
    Retry, RetrySafe, Risk, Role, Root, Segment, SegmentKind, Server, Side, Summary, Trace, Vantage, Verdict,
};

use SegmentKind::{Ack, Fin, Handshake, Request as Ask, Reset, Response};
use Side::{Client, Server as Backend};

/// Microseconds since the epoch of the story's zero.
const ZERO_NS: i64 = 1_763_820_761_220_301_000;

/// A segment sent and received at these microseconds after zero.
pub fn segment(from: Side, kind: SegmentKind, sent_us: i64, received_us: i64, label: &str) -> Segment {
    Segment {
        frame: 0,
        file: 0,
        peer_frame: None,
        from,
        sent_ns: ZERO_NS + sent_us * 1_000,
        received_ns: Some(ZERO_NS + received_us * 1_000),
        kind,
        flags: match kind {
            Handshake => "SYN",
            Ask | Response => "PSH, ACK",
            Ack => "ACK",
            Fin => "FIN, ACK",
            Reset => "RST",
        }
        .to_owned(),
        seq: 138,
        ack: (kind != Reset).then_some(229),
        len: 0,
        role: None,
        label: label.to_owned(),
        meaning: String::new(),
        count: 1,
    }
}

impl Segment {
    fn with(mut self, seq: u32, ack: Option<u32>, len: u32, role: Option<Role>, meaning: &str) -> Segment {
        (self.seq, self.ack, self.len, self.role) = (seq, ack, len, role);
        self.meaning = meaning.to_owned();
        self
    }
}

/// A trace between a proxy and a backend with two clocks; frame numbers are given in order.
pub fn trace(segments: Vec<Segment>) -> Trace {
    let lane = |name: &str, product: &str, address: &str| Lane {
        name: name.to_owned(),
        product: Some(product.to_owned()),
        address: address.to_owned(),
    };
    let mut trace = Trace {
        lanes: [
            lane("proxy", "nginx 1.22.1", "192.0.2.1:53806"),
            lane("backend", "Express 5 on Node 20.20", "192.0.2.2:3000"),
        ],
        clocks: Clocks::Both,
        stream: 0,
        zero_ns: ZERO_NS,
        segments,
        files: Vec::new(),
        omitted: 0,
    };
    for (frame, segment) in (4..).zip(&mut trace.segments) {
        segment.frame = frame;
        segment.peer_frame = Some(frame);
    }
    trace
}

/// The same trace from one capture point.
pub fn one_clock(mut trace: Trace, vantage: Vantage) -> Trace {
    trace.clocks = Clocks::One;
    for segment in &mut trace.segments {
        let received_ns = segment.received_ns.take();
        segment.peer_frame = None;
        let here = if vantage == Vantage::Client { Client } else { Backend };
        if segment.from != here
            && let Some(received_ns) = received_ns
        {
            segment.sent_ns = received_ns;
        }
    }
    trace.segments.sort_by_key(|segment| segment.sent_ns);
    trace
}

/// An answered exchange, then quiet.
fn exchange() -> Vec<Segment> {
    vec![
        segment(Client, Ask, -6_010_000, -6_004_800, "POST /").with(
            1,
            Some(1),
            137,
            None,
            "the exchange before",
        ),
        segment(Backend, Response, -6_004_200, -5_999_000, "200 OK").with(
            1,
            Some(138),
            228,
            Some(Role::PreviousResponse),
            "last byte of the answer: idle starts",
        ),
        segment(Client, Ack, -5_998_950, -5_993_800, "ACK").with(138, Some(229), 0, None, ""),
    ]
}

/// The seed's race.
pub fn crossed_fin() -> (Trace, Incident) {
    let mut segments = exchange();
    segments.extend([
        segment(Backend, Fin, 0, 10_300, "FIN").with(
            229,
            Some(138),
            0,
            Some(Role::Fin),
            "the backend closes the idle connection",
        ),
        segment(Client, Ask, 5_300, 10_400, "POST /").with(
            138,
            Some(229),
            137,
            Some(Role::Request),
            "sent before the FIN arrived: it acknowledges 229, the FIN is number 229",
        ),
        segment(Client, Ack, 10_350, 15_450, "ACK").with(
            275,
            Some(230),
            0,
            Some(Role::FinAck),
            "the proxy’s kernel acknowledges the FIN",
        ),
        segment(Backend, Reset, 10_460, 15_500, "RST").with(
            229,
            None,
            0,
            Some(Role::Reset),
            "no socket any more: the kernel answers RST",
        ),
    ]);
    (trace(segments), incident(Cause::CrossedFin))
}

/// The race seen by one capture point.
pub fn crossed_fin_from(vantage: Vantage) -> (Trace, Incident) {
    let (trace, incident) = crossed_fin();
    (one_clock(trace, vantage), Incident { vantage, ..incident })
}

/// A 20 kB POST: eleven RSTs answer it.
pub fn reset_storm() -> (Trace, Incident) {
    let (mut trace, incident) = crossed_fin();
    trace.segments[4].len = 20_480;
    trace.segments[4].count = 11;
    trace.segments[6].count = 11;
    (trace, Incident { resets: 11, ..incident })
}

/// Closed without reading what had just arrived.
pub fn unread_request() -> (Trace, Incident) {
    let mut segments = exchange();
    segments.extend([
        segment(Client, Ask, -5_300, -200, "POST /").with(
            138,
            Some(229),
            137,
            Some(Role::Request),
            "arrives just before close()",
        ),
        segment(Backend, Ack, -150, 4_900, "ACK").with(
            229,
            Some(275),
            0,
            Some(Role::RequestAck),
            "the backend’s kernel took it",
        ),
        segment(Backend, Reset, 0, 5_100, "RST").with(
            229,
            Some(275),
            0,
            Some(Role::Reset),
            "closed with the request unread: RST, no FIN",
        ),
    ]);
    segments[5].flags = "RST, ACK".to_owned();
    let mut incident = incident(Cause::UnreadRequest);
    incident.ack_covers_fin = None;
    incident.evidence = vec![
        "the request was acknowledged, then reset with RST, ACK; the backend never sent a FIN.".to_owned(),
    ];
    (trace(segments), incident)
}

/// Acknowledged and thrown away.
pub fn discarded_request() -> (Trace, Incident) {
    let mut segments = exchange();
    segments.extend([
        segment(Backend, Fin, 0, 5_100, "FIN").with(
            229,
            Some(138),
            0,
            Some(Role::Fin),
            "the backend closes its half",
        ),
        segment(Client, Ask, 2_300, 7_400, "POST /").with(
            138,
            Some(229),
            137,
            Some(Role::Request),
            "sent before the FIN arrived",
        ),
        segment(Backend, Ack, 7_450, 12_500, "ACK").with(
            230,
            Some(275),
            0,
            Some(Role::RequestAck),
            "acknowledged, never read",
        ),
        segment(Client, Fin, 13_000, 18_100, "FIN").with(
            275,
            Some(230),
            0,
            Some(Role::ClientFin),
            "the proxy gives up",
        ),
        segment(Backend, Ack, 18_150, 23_300, "ACK").with(230, Some(276), 0, None, ""),
    ]);
    let mut incident = incident(Cause::DiscardedRequest);
    incident.evidence = vec![
        "the request acknowledges 229, the FIN is number 229; it was acknowledged and never answered."
            .to_owned(),
    ];
    (trace(segments), incident)
}

/// Sent although the FIN had long arrived.
pub fn stale_reuse() -> (Trace, Incident) {
    let mut segments = exchange();
    segments.extend([
        segment(Backend, Fin, 0, 5_100, "FIN").with(
            229,
            Some(138),
            0,
            Some(Role::Fin),
            "the backend closes the idle connection",
        ),
        segment(Client, Ack, 5_150, 10_200, "ACK").with(
            138,
            Some(230),
            0,
            Some(Role::FinAck),
            "the proxy’s kernel acknowledges the FIN",
        ),
        segment(Client, Ask, 2_005_100, 2_010_200, "GET /health").with(
            138,
            Some(230),
            90,
            Some(Role::Request),
            "sent 2 s after the FIN arrived",
        ),
        segment(Backend, Reset, 2_010_260, 2_015_300, "RST").with(
            230,
            None,
            0,
            Some(Role::Reset),
            "no socket any more",
        ),
    ]);
    let mut incident = incident(Cause::StaleReuse);
    incident.ack_covers_fin = Some(true);
    incident.fin_to_request_ns = Some(2_000_000_000);
    incident.evidence = vec![
        "the request acknowledges 230, the FIN is number 229: the proxy’s kernel had it for 2.000 s."
            .to_owned(),
    ];
    incident.advice = "the proxy’s pool must look for a FIN before it reuses a connection.".to_owned();
    (trace(segments), incident)
}

/// Raced, and sent again.
pub fn retried() -> (Trace, Incident) {
    let (trace, incident) = crossed_fin();
    let retry = Retry { capture: 0, stream: 9, frame: 1_240, after_ns: 400_000_000, status: Some(200) };
    (trace, Incident { id: 3, retried: Retried::Yes, retry: Some(retry), ..incident })
}

/// A short healthy connection.
pub fn healthy() -> Trace {
    let mut segments = vec![
        segment(Client, Handshake, -6_030_000, -6_024_900, "SYN").with(
            0,
            None,
            0,
            Some(Role::Syn),
            "the proxy opens a connection",
        ),
        segment(Backend, Handshake, -6_024_850, -6_019_800, "SYN, ACK").with(0, Some(1), 0, None, ""),
        segment(Client, Ack, -6_019_750, -6_014_600, "ACK").with(1, Some(1), 0, None, ""),
    ];
    segments.extend(exchange());
    segments.extend([
        segment(Client, Fin, 0, 5_100, "FIN").with(
            138,
            Some(229),
            0,
            Some(Role::ClientFin),
            "the proxy closes first: no request can be lost",
        ),
        segment(Backend, Fin, 5_200, 10_300, "FIN").with(229, Some(139), 0, Some(Role::Fin), ""),
        segment(Client, Ack, 10_350, 15_400, "ACK").with(139, Some(230), 0, None, ""),
    ]);
    trace(segments)
}

/// An incident of this cause, with the numbers of [`crossed_fin`].
pub fn incident(cause: Cause) -> Incident {
    Incident {
        id: 1,
        cause,
        confidence: Confidence::Certain,
        capture: 0,
        stream: 0,
        client: "192.0.2.1:53806".to_owned(),
        server: "192.0.2.2:3000".to_owned(),
        time_ns: ZERO_NS + 5_300_000,
        idle_ns: Some(6_004_200_000),
        silence_ns: Some(5_001_000_000),
        path_loss: None,
        idle_at_least_ns: None,
        idle_at_close_ns: Some(6_003_000_000),
        announced: None,
        requests_before: 1,
        first_request: false,
        ack_covers_fin: Some(false),
        fin_to_request_ns: Some(-4_900_000),
        request: Request {
            method: Some("POST".to_owned()),
            path: Some("/".to_owned()),
            bytes: 137,
            protocol: "http".to_owned(),
        },
        frames_elsewhere: BTreeMap::new(),
        frames: BTreeMap::from([(Role::Fin, 285), (Role::Request, 288), (Role::Reset, 289)]),
        resets: 1,
        evidence: vec!["the request acknowledges 229, the FIN is number 229: the proxy had not received it.".to_owned()],
        counter_evidence: vec!["no byte of a response after the request.".to_owned()],
        retry_safe: RetrySafe::Yes,
        retried: Retried::No,
        retry: None,
        vantage: Vantage::Server,
        race: matches!(cause, Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest),
        root: match cause {
            Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest => Root::IdleTimers,
            _ => Root::Cause,
        },
        would_log: BTreeMap::from([("nginx".to_owned(), "upstream prematurely closed connection".to_owned())]),
        what_happened: "The backend closes idle connections after 6.0 s; the proxy keeps using them for up to 60 s. Now and then both act within one round trip, and the request meets a closed socket.".to_owned(),
        advice: "the backend must stay open longer than the proxy keeps idle connections (6 s < 60 s).".to_owned(),
    }
}

/// A report with every kind of row.
pub fn report() -> Report {
    let mut incidents =
        vec![incident(Cause::CrossedFin), unread_request().1, retried().1, incident(Cause::DiedMidRequest)];
    for (id, incident) in (1..).zip(&mut incidents) {
        incident.id = id;
        incident.time_ns += i64::from(id) * 61_000_000_000;
    }
    incidents[1].frames =
        BTreeMap::from([(Role::Request, 90_211), (Role::RequestAck, 90_212), (Role::Reset, 90_213)]);
    incidents[3].what_happened =
        "The server closed after 12.4 s of work, before any byte of the answer.".to_owned();
    incidents[3].advice = "Look for a crash or a worker time limit in the server’s own log.".to_owned();
    let close = |mode_ns| IdleClose {
        count: 97,
        mode_ns,
        min_ns: mode_ns - 700_000,
        max_ns: mode_ns + 800_000,
        histogram: vec![IdleBucket { from_ns: mode_ns - 700_000, to_ns: mode_ns + 800_000, count: 97 }],
        looks_like: Vec::new(),
    };
    let server = |address: &str, server_idle_close, client_idle_close, verdict| {
        Server {
        server: address.to_owned(),
        connections: 104,
        server_idle_close,
        client_idle_close,
        longest_reuse_ns: Some(58_700_000_000),
        path_forgets: None,
        reused_at_least_ns: None,
        closed_at_least_ns: None,
        verdict,
        risks: if verdict == Verdict::AtRisk { vec![Risk::IdleTimers] } else { Vec::new() },
        advice: "Keep the server’s idle timeout above the proxy’s 60 s (65 s or more), or bring the proxy’s below 5 s.".to_owned(),
    }
    };
    let by_cause = incidents.iter().fold(BTreeMap::new(), |mut counts, incident| {
        *counts.entry(incident.cause).or_insert(0) += 1;
        counts
    });
    Report {
        schema: 1,
        run: None,
        captures: vec![Capture {
            file: "server.pcap".to_owned(),
            format: "pcapng".to_owned(),
            link_types: vec!["ethernet".to_owned()],
            packets: 1_204_118,
            skipped: BTreeMap::from([("not TCP".to_owned(), 412)]),
            dropped_by_kernel: Some(0),
            truncated: None,
            continues: None,
            first_ns: Some(ZERO_NS),
            last_ns: Some(ZERO_NS + 2_340_000_000_000),
        }],
        summary: Summary {
            packets: 1_204_118,
            tcp_packets: 1_203_706,
            connections: 2_311,
            requests: 118_204,
            incidents: 4,
            filtered_out: 0,
            by_cause,
            conclusive: true,
            notes: Vec::new(),
        },
        incidents,
        servers: vec![
            server("10.0.2.7:3000", Some(close(5_001_000_000)), None, Verdict::AtRisk),
            server("10.0.2.9:3000", None, Some(close(60_000_000_000)), Verdict::Safe),
            server("10.0.2.10:3000", None, None, Verdict::Unknown),
        ],
        connections: None,
    }
}

/// The same captures without a loss.
pub fn healthy_report() -> Report {
    let mut report = report();
    report.incidents.clear();
    report.summary.incidents = 0;
    report.summary.by_cause.clear();
    report
}
