//! Packets between two hosts: delays, held FINs, injected packets, and captures that miss nothing.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use finrace::capture::Reader;
use finrace::capture::live::{LiveCapture, LiveOptions};
use finrace::lab::host::{DEVICE, Host};
use finrace::lab::recorder::{Completeness, Recorder, Recording, compare, expected_packets};
use finrace::lab::tun::Tun;
use finrace::lab::wire::{
    Connection, DropRule, Fate, HoldRule, Packet, Side, Wire, WireEvent, WireEventKind, WireLog, WireSettings,
};
use finrace::packet::{self, Endpoint, Flags};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::{ipv4, tcp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::harness::{Case, chain, in_lab};

pub const CASES: &[Case] = &[
    ("an IPv4 exchange takes the wire's delay and is captured whole", ipv4_exchange_is_captured_whole),
    ("an IPv6 exchange takes the wire's delay and is captured whole", ipv6_exchange_is_captured_whole),
    ("hosts have no address that they would announce", hosts_have_nothing_to_announce),
    ("a FIN held until the request crosses it", held_fin_crosses_the_request),
    ("a FIN that waits in vain is released", fin_that_waits_in_vain_is_released),
    ("a lost SYN is sent again", lost_syn_is_sent_again),
    ("an injected reset reaches the client", injected_reset_reaches_the_client),
    ("a burst is captured whole", burst_is_captured_whole),
    ("an unfinished capture can be read", unfinished_capture_can_be_read),
    ("low ports are open to an ordinary user", low_ports_are_open),
    ("a capture that cannot be made says why", capture_that_cannot_be_made_says_why),
];

const PORT: u16 = 3000;
const DELAY: Duration = Duration::from_millis(5);

/// Two hosts, the wire, and both captures.
struct Net {
    edge: Host,
    origin: Host,
    wire: Wire,
    events: UnboundedReceiver<WireEvent>,
    recorders: [Recorder; 2],
    folder: tempfile::TempDir,
}

/// What a run left.
struct Run {
    log: WireLog,
    edge: Recording,
    origin: Recording,
    completeness: Completeness,
    _folder: tempfile::TempDir,
}

fn good<T, E: std::error::Error>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn addresses(family: u8) -> [IpAddr; 2] {
    let texts = if family == 4 { ["192.0.2.1", "192.0.2.2"] } else { ["2001:db8::1", "2001:db8::2"] };
    texts.map(|text| text.parse().expect("an address"))
}

fn hosts(family: u8) -> [(Host, Tun); 2] {
    let [edge, origin] = addresses(family);
    [("edge", edge, origin), ("origin", origin, edge)]
        .map(|(name, address, peer)| good(Host::start(name, address, peer)))
}

impl Net {
    fn start(family: u8, delay: Duration, holds: &[HoldRule], drops: &[DropRule]) -> Net {
        let [(edge, edge_tun), (origin, origin_tun)] = hosts(family);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let recorders = [&edge, &origin].map(|host| {
            good(Recorder::start(host, &folder.path().join(host.name()).with_extension("pcapng")))
        });
        let settings = WireSettings {
            holds: holds.to_vec(),
            drops: drops.to_vec(),
            ..WireSettings::new(edge.address(), origin.address(), delay)
        };
        let (wire, events) = good(Wire::start(edge_tun, origin_tun, settings));
        Net { edge, origin, wire, events, recorders, folder }
    }

    fn target(&self) -> SocketAddr {
        SocketAddr::new(self.origin.address(), PORT)
    }

    /// A backend that answers `answers` pings on one connection, then closes it.
    async fn serve(&self, answers: usize) -> tokio::task::JoinHandle<io::Result<()>> {
        let target = self.target();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let serving = self.origin.spawn(move || async move {
            let listener = TcpListener::bind(target).await?;
            ready.send(()).expect("the case waits");
            let (mut stream, _) = listener.accept().await?;
            let mut ping = [0; 4];
            for _ in 0..answers {
                stream.read_exact(&mut ping).await?;
                stream.write_all(b"pong").await?;
            }
            Ok(())
        });
        is_ready.await.expect("the backend listens");
        serving
    }

    /// Waits for an event of this kind.
    async fn event(&mut self, from: Side, packet: Packet, kind: WireEventKind) -> WireEvent {
        loop {
            let event = self.events.recv().await.expect("the wire runs");
            if (event.from, event.packet, event.kind) == (from, packet, kind) {
                return event;
            }
        }
    }

    fn finish(self) -> Run {
        let log = self.wire.stop();
        let [edge, origin] = self.recorders;
        let edge = good(edge.finish(expected_packets(&log, Side::Edge)));
        let origin = good(origin.finish(expected_packets(&log, Side::Origin)));
        Run { completeness: compare(&log, &edge, &origin), log, edge, origin, _folder: self.folder }
    }
}

impl Run {
    fn is_clean(&self) {
        assert_eq!(self.completeness, Completeness { complete: true, missing: Vec::new() });
        assert_eq!((self.log.strays, self.log.not_tcp), (0, 0), "nothing but TCP between the hosts");
        assert!(self.log.packets.len() > 6, "a handshake, an exchange, an end: {:?}", self.log.packets);
    }
}

/// One line of a capture.
#[derive(Debug, Clone)]
struct Seen {
    time_ns: i64,
    from: Side,
    flags: Flags,
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

fn read(file: &Path) -> Vec<Seen> {
    let mut reader = good(Reader::open(file));
    let mut seen = Vec::new();
    while let Some(record) = good(reader.next()) {
        let segment = packet::decode(record.link.0, record.data, record.wire_len).expect("TCP only");
        let from = if segment.dst.port == PORT { Side::Edge } else { Side::Origin };
        let payload = segment.payload.to_vec();
        seen.push(Seen {
            time_ns: record.time_ns,
            from,
            flags: segment.flags,
            seq: segment.seq,
            ack: segment.ack,
            payload,
        });
    }
    seen
}

fn position(seen: &[Seen], is: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().position(is).unwrap_or_else(|| panic!("no such packet in {seen:#?}"))
}

async fn ping(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"ping").await?;
    stream.read_exact(&mut [0; 4]).await.map(drop)
}

fn ipv4_exchange_is_captured_whole() {
    in_lab(|_| Box::pin(exchange(4)));
}

fn ipv6_exchange_is_captured_whole() {
    in_lab(|_| Box::pin(exchange(6)));
}

async fn exchange(family: u8) {
    let net = Net::start(family, DELAY, &[], &[]);
    let serving = net.serve(3).await;
    let target = net.target();
    let client = net.edge.spawn(move || async move {
        let mut stream = TcpStream::connect(target).await?;
        for _ in 0..3 {
            ping(&mut stream).await?;
        }
        stream.read(&mut [0; 1]).await
    });
    assert_eq!(client.await.expect("no panic").expect("an exchange"), 0, "the backend closed");
    serving.await.expect("no panic").expect("three answers");
    let run = net.finish();
    run.is_clean();

    let edge = read(&run.edge.file);
    let syn = &edge[position(&edge, |seen| seen.flags == Flags(Flags::SYN))];
    let syn_ack = &edge[position(&edge, |seen| seen.flags == Flags(Flags::SYN | Flags::ACK))];
    let round_trip = syn_ack.time_ns - syn.time_ns;
    assert!(round_trip >= 2 * DELAY.as_nanos() as i64, "{round_trip} ns");
    // Each side's capture stands for itself: what one sent the other received, one delay later at the earliest.
    let origin = read(&run.origin.file);
    let syn_there = &origin[position(&origin, |seen| seen.flags == Flags(Flags::SYN))];
    assert!(syn_there.time_ns - syn.time_ns >= DELAY.as_nanos() as i64);
}

fn hosts_have_nothing_to_announce() {
    in_lab(|_| {
        Box::pin(async {
            for family in [4, 6] {
                for (host, _tun) in hosts(family) {
                    let (addresses, groups) = good(host.run(|| {
                        let read = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}"));
                        (read("if_inet6").unwrap_or_default(), read("igmp6").unwrap_or_default())
                    }));
                    // A link-local address is what router solicitations are sent from.
                    let on_tun: Vec<&str> = addresses.lines().filter(|line| line.ends_with("tun0")).collect();
                    assert_eq!(on_tun.len(), usize::from(family == 6), "{addresses}");
                    assert!(on_tun.iter().all(|line| line.starts_with("20010db8")), "{addresses}");
                    // Members of all-nodes groups (ff01::1, ff02::1) do not report themselves (RFC 3810 section 6).
                    let joined = groups.lines().filter(|line| line.contains("tun0"));
                    let group = |line: &str| line.split_ascii_whitespace().nth(2).map(str::to_owned);
                    for joined in joined.filter_map(group) {
                        assert!(joined.starts_with("ff0") && joined.ends_with("01"), "{groups}");
                        assert_eq!(joined.trim_start_matches("ff0").len(), 29, "{groups}");
                    }
                }
            }
        })
    });
}

fn hold_fin(at_most: Duration) -> HoldRule {
    HoldRule { from: Side::Origin, packet: Packet::Fin, until: Packet::Request, at_most }
}

fn held_fin_crosses_the_request() {
    in_lab(|_| Box::pin(crossing()));
}

async fn crossing() {
    let mut net = Net::start(4, DELAY, &[hold_fin(Duration::from_secs(60))], &[]);
    let serving = net.serve(1).await;
    let target = net.target();
    let (go, gate) = tokio::sync::oneshot::channel::<()>();
    let client = net.edge.spawn(move || async move {
        let mut stream = TcpStream::connect(target).await?;
        let local = stream.local_addr()?;
        ping(&mut stream).await?;
        gate.await.expect("the case opens the gate");
        stream.write_all(b"lost").await?;
        // End of file or a reset, whichever the kernel tells first: there is no answer.
        let answered = stream.read(&mut [0; 4]).await.unwrap_or(0);
        Ok::<_, io::Error>((local, answered))
    });
    let held = net.event(Side::Origin, Packet::Fin, WireEventKind::Held).await;
    serving.await.expect("no panic").expect("the backend has closed");
    go.send(()).expect("the client waits");
    let (local, answered) = client.await.expect("no panic").expect("a second request");
    assert_eq!(answered, 0);
    assert_eq!(held.connection, Connection { edge: endpoint(local), origin: endpoint(target) });
    net.event(Side::Origin, Packet::Fin, WireEventKind::Released { expired: false }).await;
    net.event(Side::Origin, Packet::Rst, WireEventKind::Forwarded).await;
    let run = net.finish();
    run.is_clean();
    assert_eq!(run.log.expired_holds, 0);

    let fin = |seen: &Seen| seen.flags.fin() && seen.from == Side::Origin;
    let request = |seen: &Seen| seen.payload == b"lost";
    let edge = read(&run.edge.file);
    let (sent, fin_came) = (position(&edge, request), position(&edge, fin));
    assert!(sent < fin_came, "at the edge the request was sent before the FIN came");
    assert_eq!(edge[sent].ack, edge[fin_came].seq, "the edge's kernel did not know of the FIN");
    let reset = &edge[position(&edge, |seen| seen.flags.rst())];
    assert_eq!(
        (reset.from, reset.flags, reset.seq),
        (Side::Origin, Flags(Flags::RST), edge[sent].ack),
        "passive"
    );

    let origin = read(&run.origin.file);
    assert!(position(&origin, fin) < position(&origin, request), "at the origin the FIN came first");
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(address.ip(), address.port())
}

fn fin_that_waits_in_vain_is_released() {
    in_lab(|_| {
        Box::pin(async {
            let mut net = Net::start(4, DELAY, &[hold_fin(Duration::from_millis(50))], &[]);
            let serving = net.serve(1).await;
            let target = net.target();
            let client = net.edge.spawn(move || async move {
                let mut stream = TcpStream::connect(target).await?;
                ping(&mut stream).await?;
                stream.read(&mut [0; 4]).await
            });
            net.event(Side::Origin, Packet::Fin, WireEventKind::Released { expired: true }).await;
            assert_eq!(client.await.expect("no panic").expect("end of file"), 0);
            serving.await.expect("no panic").expect("one answer");
            let run = net.finish();
            run.is_clean();
            assert_eq!(run.log.expired_holds, 1);
        })
    });
}

fn lost_syn_is_sent_again() {
    in_lab(|_| {
        Box::pin(async {
            let lose = DropRule { from: Side::Edge, packet: Packet::Syn, count: 1 };
            let net = Net::start(4, Duration::ZERO, &[], &[lose]);
            let serving = net.serve(1).await;
            let target = net.target();
            let client =
                net.edge.spawn(move || async move { ping(&mut TcpStream::connect(target).await?).await });
            client.await.expect("no panic").expect("an answer");
            serving.await.expect("no panic").expect("one answer");
            let run = net.finish();
            run.is_clean();
            let syns = |seen: &[Seen]| seen.iter().filter(|seen| seen.flags == Flags(Flags::SYN)).count();
            assert_eq!((syns(&read(&run.edge.file)), syns(&read(&run.origin.file))), (2, 1));
            let dropped = run.log.packets.iter().filter(|packet| packet.fate == Fate::Dropped).count();
            assert_eq!(dropped, 1);
        })
    });
}

fn injected_reset_reaches_the_client() {
    in_lab(|_| Box::pin(injection()));
}

async fn injection() {
    let net = Net::start(4, DELAY, &[], &[]);
    let _serving = net.serve(2).await;
    let target = net.target();
    let filter = Some(format!("tcp src port {PORT}"));
    let options = LiveOptions { snaplen: 2048, filter, ..LiveOptions::default() };
    let mut capture = good(good(net.edge.run(move || LiveCapture::open(DEVICE, &options))));
    let link = capture.link();
    let (connected, is_connected) = tokio::sync::oneshot::channel();
    let client = net.edge.spawn(move || async move {
        let mut stream = TcpStream::connect(target).await.expect("a connection");
        ping(&mut stream).await.expect("one exchange");
        connected.send(stream.local_addr().expect("an address")).expect("the case waits");
        stream.read(&mut [0; 4]).await.expect_err("a reset").kind()
    });
    let local = is_connected.await.expect("a connection");
    // A reset is accepted at exactly the next sequence number (RFC 5961 section 3.2).
    let pong = loop {
        let packet =
            good(capture.next()).expect("the client has read the answer, so its packet was captured");
        let segment = packet::decode(link.0, packet.data, packet.wire_len).expect("TCP only");
        if segment.payload == b"pong" {
            break segment.seq;
        }
    };
    net.wire.inject(Side::Edge, reset(target, local, pong.wrapping_add(4)));
    assert_eq!(client.await.expect("no panic"), io::ErrorKind::ConnectionReset);
    let run = net.finish();
    run.is_clean();
    let injected: Vec<Side> =
        run.log.packets.iter().filter(|packet| packet.from.is_none()).map(|packet| packet.to).collect();
    assert_eq!(injected, [Side::Edge]);
}

/// A TCP reset in an IPv4 packet.
fn reset(from: SocketAddr, to: SocketAddr, seq: u32) -> Vec<u8> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (from.ip(), to.ip()) else { panic!("IPv4 only") };
    let mut bytes = vec![0; 40];
    {
        let mut segment = tcp::MutableTcpPacket::new(&mut bytes[20..]).expect("20 bytes");
        segment.set_source(from.port());
        segment.set_destination(to.port());
        segment.set_sequence(seq);
        segment.set_data_offset(5);
        segment.set_flags(Flags::RST);
        segment.set_checksum(tcp::ipv4_checksum(&segment.to_immutable(), &source, &destination));
    }
    let mut packet = ipv4::MutableIpv4Packet::new(&mut bytes).expect("40 bytes");
    packet.set_version(4);
    packet.set_header_length(5);
    packet.set_total_length(40);
    packet.set_ttl(64);
    packet.set_next_level_protocol(IpNextHeaderProtocols::Tcp);
    packet.set_source(source);
    packet.set_destination(destination);
    packet.set_checksum(ipv4::checksum(&packet.to_immutable()));
    bytes
}

/// More packets at once than the kernel's buffer would hold if each took as much of it as libpcap takes by default.
fn burst_is_captured_whole() {
    const BYTES: usize = 8_000_000;
    in_lab(|_| {
        Box::pin(async {
            let net = Net::start(4, Duration::ZERO, &[], &[]);
            let target = net.target();
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            let serving = net.origin.spawn(move || async move {
                let listener = TcpListener::bind(target).await.expect("a free port");
                ready.send(()).expect("the case waits");
                let (mut stream, _) = listener.accept().await.expect("a client");
                stream.write_all(&vec![7; BYTES]).await.expect("a client that reads");
            });
            is_ready.await.expect("the backend listens");
            let client = net.edge.spawn(move || async move {
                let mut all = Vec::new();
                let mut stream = TcpStream::connect(target).await.expect("a connection");
                stream.read_to_end(&mut all).await.expect("the whole answer")
            });
            assert_eq!(client.await.expect("no panic"), BYTES);
            serving.await.expect("no panic");
            let run = net.finish();
            run.is_clean();
            assert!(run.log.packets.len() > BYTES / 1500);
        })
    });
}

fn unfinished_capture_can_be_read() {
    in_lab(|_| {
        Box::pin(async {
            let net = Net::start(4, DELAY, &[], &[]);
            let serving = net.serve(1).await;
            let target = net.target();
            let client =
                net.edge.spawn(move || async move { ping(&mut TcpStream::connect(target).await?).await });
            client.await.expect("no panic").expect("an answer");
            serving.await.expect("no panic").expect("one answer");
            // Nobody finishes these captures.
            let Net { recorders, folder, .. } = net;
            drop(recorders);
            for name in ["edge.pcapng", "origin.pcapng"] {
                let seen = read(&folder.path().join(name));
                position(&seen, |seen| seen.payload == b"pong");
            }
        })
    });
}

fn low_ports_are_open() {
    in_lab(|_| {
        Box::pin(async {
            let [(host, _tun), _] = hosts(4);
            let bound = good(host.run(|| std::net::TcpListener::bind("127.0.0.1:80").map(drop)));
            bound.expect("port 80 is free in a new namespace");
        })
    });
}

fn capture_that_cannot_be_made_says_why() {
    let all = LiveOptions::default();
    let unknown = LiveCapture::open("tun9", &all).err().expect("no such device").to_string();
    assert!(unknown.starts_with("there is no network device tun9; there are: lo"), "{unknown}");
    if !nix::unistd::geteuid().is_root() {
        let refused = LiveCapture::open("lo", &all).err().expect("no rights").to_string();
        assert_eq!(refused, "may not capture on lo; run `finrace doctor`, which names the remedy");
    }
    in_lab(|_| {
        Box::pin(async {
            let [(host, _tun), _] = hosts(4);
            let options = LiveOptions { filter: Some("port eighty".to_owned()), ..LiveOptions::default() };
            let invalid = good(host.run(move || LiveCapture::open(DEVICE, &options)));
            assert_eq!(
                invalid.err().expect("no such filter").to_string(),
                "the capture filter \"port eighty\" is not valid (see pcap-filter(7))"
            );
        })
    });
}
