//! Directories, files, remote access, telecommunication and control.

use super::{Meaning, be16, be24, be32, le16, le32, walk};

/// SMB (\[MS-SMB2\] sections 2.1 and 2.2.1, \[MS-CIFS\] section 2.2.3): in SMB2, Logoff (2), Tree Disconnect (4), Cancel (12)
/// and Echo (13) are no loss. An encrypted message shows its size alone (\[MS-SMB2\] section 2.2.41): those four have 68 bytes.
pub(super) fn smb(payload: &[u8], len: usize) -> Option<Meaning> {
    const SMALLEST: u32 = 64 + 4;
    walk(payload, len, |rest, _| {
        let size = be24(rest, 1).filter(|_| rest.first() == Some(&0))?;
        let message = rest.get(4..)?;
        let is_small = |meaning: bool| if meaning { Meaning::Farewell } else { Meaning::Request };
        let meaning = match message.first_chunk()? {
            b"\xfeSMB" => smb2(message)?,
            b"\xffSMB" => is_small(matches!(message.get(4)?, 0x71 | 0x74 | 0xa4 | 0x2b)),
            b"\xfdSMB" => is_small(le32(message, 36)? == SMALLEST),
            b"\xfcSMB" => Meaning::Request,
            _ => return None,
        };
        Some((4 + size, meaning))
    })
}

/// The commands of a chain (\[MS-SMB2\] section 3.2.4.1.4).
fn smb2(mut message: &[u8]) -> Option<Meaning> {
    let mut meaning = Meaning::Farewell;
    loop {
        if !matches!(le16(message, 12)?, 2 | 4 | 12 | 13) {
            meaning = Meaning::Request;
        }
        match le32(message, 20)? as usize {
            0 => return Some(meaning),
            next => message = message.get(next..).filter(|_| next >= 64)?,
        }
    }
}

/// SSH (RFC 4253 sections 4.2, 6 and 11.1): a message before encryption begins; what is encrypted shows nothing.
pub(super) fn ssh(payload: &[u8], len: usize) -> Option<Meaning> {
    const DISCONNECT: u8 = 1;
    if payload.starts_with(b"SSH-") {
        return Some(Meaning::Request);
    }
    let (size, reason) = (be32(payload, 0)?, be32(payload, 6)?);
    let [padding @ 4..=64, DISCONNECT, ..] = payload.get(4..)? else { return None };
    let whole = size as usize + 4 == len && usize::from(*padding) + 14 <= len;
    (whole && (1..=15).contains(&reason)).then_some(Meaning::Farewell)
}

/// BGP (RFC 4271 section 4): a NOTIFICATION ends a session, a KEEPALIVE keeps it; an UPDATE has no answer.
pub(super) fn bgp(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let size = be16(rest, 16).filter(|size| *size >= 19 && rest.starts_with(&[0xff; 16]))?;
        let meaning = match rest.get(18)? {
            3 | 4 => Meaning::Farewell,
            2 | 5 => Meaning::OneWay,
            _ => Meaning::Request,
        };
        Some((size, meaning))
    })
}

/// RDP, and what else lies in TPKT (RFC 1006, ITU-T X.224): an MCS Disconnect Provider Ultimatum (T.125; \[MS-RDPBCGR\] section
/// 2.2.2.3), an X.224 disconnect request, and of S7comm the jobs.
pub(super) fn rdp(payload: &[u8], len: usize) -> Option<Meaning> {
    const DISCONNECT_REQUEST: u8 = 0x80;
    const CONNECTION_REQUEST: u8 = 0xe0;
    walk(payload, len, |rest, _| {
        let [3, 0, _, _, _, code, ..] = rest else { return None };
        let size = be16(rest, 2).filter(|size| *size >= 7)?;
        let meaning = match (*code, rest.get(6..)?) {
            (DISCONNECT_REQUEST, _) => Meaning::Farewell,
            (CONNECTION_REQUEST, _) => Meaning::Request,
            (0xf0, [0x80, 0x21, 0x80, ..]) if size == 9 => Meaning::Farewell,
            (0xf0, [0x80, 0x32, 1, ..]) => Meaning::Request,
            _ => Meaning::Unknown,
        };
        Some((size, meaning))
    })
}

/// PPTP (RFC 2637 section 2): what stops a session, ends a call or keeps the connection is no loss, and a Set-Link-Info (15)
/// has no answer.
pub(super) fn pptp(payload: &[u8], len: usize) -> Option<Meaning> {
    const MAGIC: u32 = 0x1a2b_3c4d;
    walk(payload, len, |rest, _| {
        let size = be16(rest, 0).filter(|_| be16(rest, 2) == Some(1) && be32(rest, 4) == Some(MAGIC))?;
        let meaning = match be16(rest, 8)? {
            3..=6 | 12 | 13 => Meaning::Farewell,
            15 => Meaning::OneWay,
            _ => Meaning::Request,
        };
        Some((size, meaning))
    })
}

/// SMPP 5.0 section 2.3.2: `unbind` and `enquire_link` are no loss, responses have no answer.
pub(super) fn smpp(payload: &[u8], len: usize) -> Option<Meaning> {
    const UNBIND: u32 = 6;
    const ENQUIRE_LINK: u32 = 0x15;
    const RESPONSE: u32 = 1 << 31;
    walk(payload, len, |rest, _| {
        let size = be32(rest, 0).filter(|size| (16..65_536).contains(size))? as usize;
        let (command, status) = (be32(rest, 4)?, be32(rest, 8)?);
        let meaning = match command {
            UNBIND | ENQUIRE_LINK if size == 16 && status == 0 => Meaning::Farewell,
            _ if command & RESPONSE != 0 && command & 0xffff <= 0x112 && status <= 0x500 => Meaning::OneWay,
            1..=9 | 0x21 | 0x103 | 0x111 | 0x112 if status == 0 && size > 16 => Meaning::Request,
            _ => return None,
        };
        Some((size, meaning))
    })
}

/// LDAP (RFC 4511 sections 4.1.1, 4.3 and 4.11): `UnbindRequest` and `AbandonRequest` have no response. With Kerberos each
/// message lies in a token (RFC 4752 section 3.1, RFC 4121 section 4.2.6.2), readable where it is only signed.
pub(super) fn ldap(payload: &[u8], len: usize) -> Option<Meaning> {
    const WRAP: &[u8] = &[5, 4];
    const SEALED: u8 = 2;
    const UNBIND: &[u8] = &[0x42, 0];
    if be32(payload, 0).is_some_and(|size| size as usize + 4 == len) && payload.get(4..6) == Some(WRAP) {
        let readable = payload.get(6)? & SEALED == 0 && payload.len() == len;
        return Some(if readable && payload.ends_with(UNBIND) {
            Meaning::Farewell
        } else {
            Meaning::Unknown
        });
    }
    walk(payload, len, |rest, _| {
        let (size, header) = ber(rest, 0x30)?;
        let message = rest.get(header..)?;
        let (number, number_header) = ber(message, 2).filter(|(size, _)| (1..=4).contains(size))?;
        let meaning = match message.get(number_header + number)? {
            0x42 | 0x50 => Meaning::Farewell,
            0x60 | 0x63 | 0x66 | 0x68 | 0x4a | 0x6c | 0x6e | 0x77 => Meaning::Request,
            _ => return None,
        };
        Some((header + size, meaning))
    })
}

/// The length of a value that begins with a tag (ITU-T X.690 section 8.1.3), and that of what stands before it.
fn ber(bytes: &[u8], tag: u8) -> Option<(usize, usize)> {
    let (found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first().filter(|_| *found == tag)?;
    match first {
        0..=0x7f => Some((usize::from(first), 2)),
        0x81..=0x84 => {
            let octets = usize::from(first - 0x80);
            let size = rest.get(..octets)?.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
            Some((size, 2 + octets))
        }
        _ => None,
    }
}

/// DCE/RPC over connections (The Open Group C706, section 12.6): `auth3`, `co_cancel` and `orphaned` have no answer.
pub(super) fn dce_rpc(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let [5, 0..=1, kind @ 0..=19, _, order @ (0 | 0x10), ..] = rest else { return None };
        let size = if *order == 0 { be16(rest, 8)? } else { le16(rest, 8)? };
        let meaning = match kind {
            16 | 18 | 19 => Meaning::Farewell,
            0 | 11 | 14 => Meaning::Request,
            _ => return None,
        };
        (size >= 16).then_some((size, meaning))
    })
}

/// ONC RPC over TCP, as of NFS (RFC 5531 sections 9 and 11): calls.
pub(super) fn onc_rpc(payload: &[u8], len: usize) -> Option<Meaning> {
    const LAST_FRAGMENT: u32 = 1 << 31;
    walk(payload, len, |rest, _| {
        let mark = be32(rest, 0).filter(|mark| mark & LAST_FRAGMENT != 0)?;
        let is_call = be32(rest, 8)? == 0 && be32(rest, 12)? == 2;
        is_call.then_some((4 + (mark & !LAST_FRAGMENT) as usize, Meaning::Request))
    })
}

/// Diameter (RFC 6733 sections 3, 5.4 and 5.5): a Disconnect-Peer-Request is the goodbye, a Device-Watchdog the heartbeat.
pub(super) fn diameter(payload: &[u8], len: usize) -> Option<Meaning> {
    const DISCONNECT_PEER: usize = 282;
    const WATCHDOG: usize = 280;
    walk(payload, len, |rest, _| {
        let (size, command) = (be24(rest, 1)?, be24(rest, 5)?);
        let (&flags, known) = (rest.get(4)?, rest.first() == Some(&1) && size >= 20 && size % 4 == 0);
        if !known || flags & 0x0f != 0 || command < 257 {
            return None;
        }
        let meaning = match command {
            DISCONNECT_PEER | WATCHDOG => Meaning::Farewell,
            _ if flags & 0x80 != 0 => Meaning::Request,
            _ => Meaning::OneWay,
        };
        Some((size, meaning))
    })
}

/// FIX (FIX session protocol, "Message types"): Logout (5) is the goodbye, Heartbeat (0) and Test Request (1) keep the session.
pub(super) fn fix(payload: &[u8], len: usize) -> Option<Meaning> {
    let kind = payload.split(|byte| *byte == 1).nth(2).filter(|_| payload.starts_with(b"8=FIX"))?;
    // A message ends with its checksum: `10=`, three digits, and the byte that ends each field.
    let checksum = payload.windows(4).position(|bytes| bytes == b"\x0110=");
    let one = payload.len() == len && checksum.is_some_and(|at| at + 8 == len);
    Some(match kind {
        b"35=0" | b"35=1" | b"35=5" if one => Meaning::Farewell,
        b"35=0" | b"35=1" | b"35=5" => Meaning::Unknown,
        _ => Meaning::Request,
    })
}

/// Modbus over TCP (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3): requests only.
pub(super) fn modbus(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let size = be16(rest, 4).filter(|size| (2..=254).contains(size) && be16(rest, 2) == Some(0))?;
        matches!(rest.get(7)?, 1..=43).then_some((6 + size, Meaning::Request))
    })
}

/// IEC 60870-5-104 section 5: supervisory frames and the ones that start, stop and test a link ask nothing that is missed.
pub(super) fn iec104(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let [0x68, size @ 4..=253, control, ..] = rest else { return None };
        let meaning = match (control, size) {
            (0x01 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83, 4) => Meaning::Farewell,
            (0x07, 4) => Meaning::Request,
            (control, 5..) if control % 2 == 0 => Meaning::OneWay,
            _ => return None,
        };
        Some((2 + usize::from(*size), meaning))
    })
}

/// DLMS/COSEM in the wrapper of TCP (IEC 62056-47): a release request (0x62) is the goodbye.
pub(super) fn dlms(payload: &[u8], len: usize) -> Option<Meaning> {
    const VERSION: usize = 1;
    walk(payload, len, |rest, _| {
        let size = be16(rest, 6).filter(|size| *size > 0 && be16(rest, 0) == Some(VERSION))?;
        let meaning = match rest.get(8)? {
            0x62 => Meaning::Farewell,
            0x60 | 0xc0 | 0xc1 | 0xc3 | 0xc8 | 0xc9 | 0xcb | 0xd0 | 0xd1 | 0xd3 | 0xd9 | 0xdb | 0x05
            | 0x06 => Meaning::Request,
            _ => return None,
        };
        Some((8 + size, meaning))
    })
}

/// OpenFlow (OpenFlow Switch Specification 1.3, sections 6.2 and 7.1): an echo, asked or answered, keeps the connection. It is
/// the switch that connects, and what it sends are answers and reports.
pub(super) fn openflow(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let [1..=6, kind @ 0..=35, ..] = rest else { return None };
        let size = be16(rest, 2).filter(|size| *size >= 8)?;
        Some((size, if matches!(kind, 2 | 3) { Meaning::Farewell } else { Meaning::OneWay }))
    })
}

/// DNS over TCP (RFC 7766 section 8, RFC 1035 section 4.1.1): queries with one question.
pub(super) fn dns(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| {
        let size = be16(rest, 0).filter(|size| *size >= 12)?;
        let (flags, questions, answers) = (be16(rest, 4)?, be16(rest, 6)?, be16(rest, 8)?);
        (flags & 0xf800 == 0 && questions == 1 && answers == 0).then_some((2 + size, Meaning::Request))
    })
}
