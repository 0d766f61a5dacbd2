//! The table of captures: name, link type, and how each packet of the original becomes records.

use super::pcap::{self, Packet, Record};
use super::{fragments, links, radio, tunnels};

/// How records come from a packet.
#[derive(Debug, Clone, Copy)]
pub enum Make {
    /// One from each.
    One(fn(&Packet) -> Vec<u8>),
    /// The packet in pieces; the last one completes it.
    Pieces(fn(&Packet) -> Vec<Vec<u8>>),
}

/// One capture in `captures/formats/links/`.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// File name without `.pcap`.
    pub name: &'static str,
    pub what: &'static str,
    /// The directory in `captures/` whose packets these are.
    pub original: &'static str,
    /// `LINKTYPE_` number.
    pub link: u16,
    pub make: Make,
    /// Virtual network that every segment must name.
    pub vni: u32,
}

const V4: &str = "crossed-fin";
const V6: &str = "crossed-fin-ipv6";
const ETHERNET: u16 = 1;

const fn one(
    name: &'static str,
    link: u16,
    what: &'static str,
    original: &'static str,
    make: fn(&Packet) -> Vec<u8>,
) -> Recipe {
    Recipe { name, what, original, link, make: Make::One(make), vni: 0 }
}

const fn over_vni(name: &'static str, what: &'static str, make: fn(&Packet) -> Vec<u8>) -> Recipe {
    Recipe { name, what, original: V4, link: ETHERNET, make: Make::One(make), vni: tunnels::VNI }
}

const fn pieces(
    name: &'static str,
    what: &'static str,
    original: &'static str,
    vni: u32,
    make: fn(&Packet) -> Vec<Vec<u8>>,
) -> Recipe {
    Recipe { name, what, original, link: ETHERNET, make: Make::Pieces(make), vni }
}

pub const RECIPES: &[Recipe] = &[
    one("ethernet-snap", 1, "802.3 length, LLC and SNAP", V4, links::ethernet_snap),
    one("ethernet-llc-ip", 1, "802.3 length, LLC that names IP itself", V4, links::ethernet_llc_ip),
    one("vlan", 1, "802.1Q tag", V4, links::vlan),
    one("qinq", 1, "802.1ad and 802.1Q tags", V6, links::qinq),
    one("backbone", 1, "802.1ah, MAC in MAC", V4, links::backbone),
    one("fabric-path", 1, "Cisco FabricPath", V4, links::fabric_path),
    one("vn-tag", 1, "Cisco VN-Tag", V4, links::vn_tag),
    one("macsec-integrity", 1, "MACsec without encryption", V4, links::macsec_integrity),
    one("mpls", 1, "two MPLS labels", V4, links::mpls),
    one("mpls-pseudowire", 1, "Ethernet in MPLS, with a control word", V4, links::mpls_pseudowire),
    one("mpls-pseudowire-bare", 1, "Ethernet in MPLS, without one", V4, links::mpls_pseudowire_bare),
    one("pppoe", 1, "PPPoE session over Ethernet", V4, links::ethernet_pppoe),
    one("null", 0, "BSD loopback, little-endian", V4, links::null),
    one("null-ipv6-macos", 0, "BSD loopback with macOS's family for IPv6", V6, links::null_ipv6_of_macos),
    one("loop", 108, "OpenBSD loopback", V4, links::loopback),
    one("raw", 101, "IP without a link header", V4, links::as_it_is),
    one("raw-ipv6", 101, "IP without a link header", V6, links::as_it_is),
    one("ipv4", 228, "IPv4 without a link header", V4, links::as_it_is),
    one("ipv6", 229, "IPv6 without a link header", V6, links::as_it_is),
    one("linux-sll", 113, "Linux cooked capture", V4, links::sll),
    one("linux-sll-vlan", 113, "Linux cooked capture with an 802.1Q tag", V4, links::sll_vlan),
    one("linux-sll2", 276, "Linux cooked capture, version 2", V6, links::sll2),
    one("linux-sll2-vlan", 276, "Linux cooked capture, version 2, with an 802.1Q tag", V4, links::sll2_vlan),
    one("ppp", 9, "PPP with address and control", V4, links::ppp),
    one(
        "ppp-compressed-fields",
        9,
        "PPP without them, and a protocol of one byte",
        V4,
        links::ppp_compressed_fields,
    ),
    one("ppp-mpls", 9, "MPLS in PPP", V4, links::ppp_mpls),
    one("ppp-hdlc", 50, "PPP in HDLC framing", V4, links::ppp),
    one("ppp-hdlc-cisco", 50, "Cisco HDLC in a capture of PPP", V4, links::cisco_hdlc),
    one("ppp-with-direction", 204, "PPP with a direction", V4, links::ppp_with_direction),
    one("ppp-ether", 51, "PPPoE session without the Ethernet header", V4, links::pppoe),
    one("cisco-hdlc", 104, "Cisco HDLC", V6, links::cisco_hdlc),
    one("802-11", 105, "802.11 data", V4, radio::data),
    one("802-11-qos", 105, "802.11 QoS data", V4, radio::qos),
    one(
        "802-11-four-addresses",
        105,
        "802.11 with four addresses and HT control",
        V4,
        radio::four_addresses_ht,
    ),
    one("802-11-aggregate", 105, "802.11 A-MSDU of one packet", V4, radio::aggregate_of_one),
    one("radiotap", 127, "radiotap with a time, and a padded MAC header", V4, radio::radiotap),
    one("radiotap-two-words", 127, "radiotap with two words of fields", V4, radio::radiotap_two_words),
    one("prism", 119, "Prism header before 802.11", V4, radio::prism),
    one("prism-avs", 119, "AVS header where Prism is announced", V4, radio::avs),
    one("avs", 163, "AVS header before 802.11", V4, radio::avs),
    one("ppi", 192, "PPI header before 802.11", V4, radio::ppi),
    one("pktap", 258, "macOS PKTAP around Ethernet", V4, links::pktap),
    one("nflog", 239, "Linux NFLOG", V4, links::nflog),
    one("pflog", 117, "OpenBSD packet filter log", V4, links::pflog),
    one("enc", 109, "OpenBSD IPsec, inside", V4, links::enc),
    one("juniper-ether", 178, "Juniper Ethernet", V4, links::juniper_ether),
    one("frame-relay", 107, "Frame Relay, RFC 2427", V4, links::frame_relay),
    one("frame-relay-cisco", 107, "Frame Relay, Cisco's encapsulation", V4, links::frame_relay_cisco),
    one("atm", 100, "LLC and SNAP on ATM, RFC 2684", V4, links::llc_snap),
    one("sunatm", 123, "the same as Sun captures it", V4, links::sunatm),
    one("token-ring", 6, "Token Ring", V4, links::token_ring),
    one("token-ring-routed", 6, "Token Ring with a source route", V4, links::token_ring_routed),
    one("fddi", 10, "FDDI", V4, links::fddi),
    one("arcnet-linux", 129, "ARCNET, RFC 1051, as Linux captures it", V4, links::arcnet_linux),
    one("arcnet-bsd", 7, "ARCNET, RFC 1201, as BSD captures it", V4, links::arcnet_bsd),
    one("infiniband", 242, "IP over InfiniBand", V4, links::infiniband),
    over_vni("vxlan", "VXLAN, as AWS traffic mirroring sends it", tunnels::vxlan),
    over_vni("vxlan-vlan", "a tagged frame in VXLAN", tunnels::vxlan_vlan),
    over_vni("vxlan-8472", "VXLAN on the port Linux used first", tunnels::vxlan_port_of_linux),
    over_vni("vxlan-over-ipv6", "VXLAN over IPv6", tunnels::vxlan_over_ipv6),
    over_vni("vxlan-gpe", "VXLAN-GPE that names IPv4", tunnels::vxlan_gpe),
    over_vni("geneve", "Ethernet in GENEVE, with an option", tunnels::geneve),
    over_vni("geneve-ip", "IPv4 in GENEVE", tunnels::geneve_ip),
    one("gre", 1, "GRE", V4, tunnels::gre),
    one("gre-fields", 1, "GRE with checksum, key and sequence number", V4, tunnels::gre_fields),
    one("nvgre", 1, "Ethernet in GRE with a key, as NVGRE", V4, tunnels::nvgre),
    one("pptp", 1, "PPP in GRE version 1", V4, tunnels::pptp),
    one("erspan-i", 1, "ERSPAN type I", V4, tunnels::erspan_i),
    one("erspan-ii", 1, "ERSPAN type II", V4, tunnels::erspan_ii),
    one("erspan-iii", 1, "ERSPAN type III with the platform's header", V4, tunnels::erspan_iii),
    one("wccp", 1, "WCCP redirection", V4, tunnels::wccp),
    one("ip-in-ip", 1, "IPv4 in IPv4", V4, tunnels::ip_in_ip),
    one("6in4", 1, "IPv6 in IPv4", V6, tunnels::ipv6_in_ipv4),
    one("4in6", 1, "IPv4 in IPv6", V4, tunnels::ipv4_in_ipv6),
    one("gtp-u", 1, "GTP-U, another tunnel for each direction", V4, tunnels::gtp),
    one("gtp-u-extension", 1, "GTP-U with the extension header of 5G", V4, tunnels::gtp_extension),
    one("l2tp", 1, "PPP in L2TP", V4, tunnels::l2tp),
    one("teredo", 1, "Teredo with an origin indication", V6, tunnels::teredo),
    one("lisp", 1, "LISP", V4, tunnels::lisp),
    one("gre-in-udp", 1, "GRE in UDP", V4, tunnels::gre_in_udp),
    one("mpls-in-udp", 1, "MPLS in UDP", V4, tunnels::mpls_in_udp),
    one("mpls-in-ip", 1, "MPLS in IP", V4, tunnels::mpls_in_ip),
    one("etherip", 1, "Ethernet in IP", V4, tunnels::ether_ip),
    one("authentication-header", 1, "IPv4 with an authentication header", V4, tunnels::authenticated),
    over_vni("nested", "IP in IP in VXLAN in GRE", tunnels::nested),
    one("ipv4-options", 1, "IPv4 options", V4, fragments::ipv4_options),
    one(
        "ipv4-length-zero",
        1,
        "total length 0, as segmentation offload writes it",
        V4,
        fragments::ipv4_length_zero,
    ),
    one("ipv6-length-zero", 1, "payload length 0, the same for IPv6", V6, fragments::ipv6_length_zero),
    one("padding", 1, "bytes behind the IP packet", V4, fragments::padded),
    one("wrong-checksums", 1, "wrong checksums of IP and TCP", V4, fragments::wrong_checksums),
    one("ipv6-extensions", 1, "extension headers", V6, fragments::ipv6_extensions),
    one("ipv6-atomic-fragment", 1, "a fragment header around the whole", V6, fragments::ipv6_atomic_fragment),
    pieces("fragments", "fragments of 16 bytes", V4, 0, fragments::ipv4),
    pieces("fragments-reversed", "the last fragment first", V4, 0, fragments::ipv4_reversed),
    pieces("fragments-doubled", "fragments seen twice", V4, 0, fragments::ipv4_doubled),
    pieces("fragments-padded", "fragments with padding", V4, 0, fragments::ipv4_padded),
    pieces("fragments-ipv6", "fragments behind hop by hop options", V6, 0, fragments::ipv6),
    pieces("fragments-ipv6-reversed", "the last fragment first", V6, 0, fragments::ipv6_reversed),
    pieces("fragments-in-vxlan", "fragments in VXLAN", V4, tunnels::VNI, fragments::within_vxlan),
    pieces("fragments-of-vxlan", "VXLAN in fragments", V4, tunnels::VNI, fragments::of_vxlan),
    pieces(
        "fragments-of-both",
        "fragments in VXLAN in fragments",
        V4,
        tunnels::VNI,
        fragments::of_vxlan_and_within,
    ),
];

/// A capture as its recipe makes it.
#[derive(Debug)]
pub struct Made {
    pub file: Vec<u8>,
    /// For each packet of the original the frame that has it, or completes it.
    pub frames: Vec<u64>,
    /// All frames.
    pub count: u64,
}

impl Recipe {
    pub fn make(&self) -> Made {
        let mut records = Vec::new();
        let mut frames = Vec::new();
        for packet in pcap::packets(self.original) {
            let made = match self.make {
                Make::One(make) => vec![make(&packet)],
                Make::Pieces(make) => make(&packet),
            };
            records.extend(made.into_iter().map(|data| Record { time: packet.time, data }));
            frames.push(records.len() as u64);
        }
        Made { file: pcap::file(self.link, &records), frames, count: records.len() as u64 }
    }
}
