//! Databases and caches.

use super::{Meaning, be16, be32, le24, le32, walk};

/// MySQL and MariaDB: packets of a command phase, whose numbering begins at 0 (MySQL Source Code Documentation, "MySQL
/// Packets" and "Command Phase"), as they are or in the frame of the compressed protocol. `COM_QUIT`, `COM_STMT_CLOSE` and
/// `COM_STMT_SEND_LONG_DATA` have no response.
pub(super) fn mysql(payload: &[u8], len: usize) -> Option<Meaning> {
    walk(payload, len, |rest, _| mysql_packet(rest).or_else(|| mysql_compressed(rest)))
}

const MYSQL_HEADER: usize = 4;

fn mysql_packet(rest: &[u8]) -> Option<(usize, Meaning)> {
    const FIRST: u8 = 0;
    let len = le24(rest, 0).filter(|&len| len > 0 && rest.get(3) == Some(&FIRST))?;
    let meaning = match (rest.get(MYSQL_HEADER)?, len) {
        (0x01, 1) => Meaning::Farewell,
        (0x19, 5) => Meaning::Farewell,
        (0x18, 7..) => Meaning::OneWay,
        // COM_STATISTICS, COM_PING, COM_RESET_CONNECTION; COM_STMT_RESET; COM_SET_OPTION; COM_STMT_FETCH
        (0x09 | 0x0e | 0x1f, 1) | (0x1a, 5) | (0x1b, 3) | (0x1c, 9) => Meaning::Request,
        // COM_INIT_DB, COM_QUERY, COM_FIELD_LIST, COM_CHANGE_USER, COM_BINLOG_DUMP, COM_REGISTER_SLAVE, COM_STMT_PREPARE,
        // COM_STMT_EXECUTE, and MariaDB's COM_STMT_BULK_EXECUTE
        (0x02..=0x04 | 0x11 | 0x12 | 0x15..=0x17 | 0xfa, 2..) => Meaning::Request,
        _ => return None,
    };
    Some((MYSQL_HEADER + len, meaning))
}

fn mysql_compressed(rest: &[u8]) -> Option<(usize, Meaning)> {
    const HEADER: usize = 7;
    const ZLIB: u8 = 0x78;
    let len = le24(rest, 0).filter(|_| rest.get(3) == Some(&0))?;
    let meaning = match le24(rest, MYSQL_HEADER)? {
        0 => {
            let (inner, meaning) = mysql_packet(rest.get(HEADER..)?)?;
            if inner != len {
                return None;
            }
            meaning
        }
        _ if rest.get(HEADER) == Some(&ZLIB) => Meaning::Request,
        _ => return None,
    };
    Some((HEADER + len, meaning))
}

/// PostgreSQL: a letter and a length that counts itself (PostgreSQL documentation, "Message Formats"); a connection begins
/// with a length alone. `Terminate` has no response, and a `CancelRequest` is answered by a close.
pub(super) fn postgres(payload: &[u8], len: usize) -> Option<Meaning> {
    const CANCEL: u32 = 80_877_102;
    const TLS: u32 = 80_877_103;
    const GSS: u32 = 80_877_104;
    const VERSION_3: u32 = 3;
    if be32(payload, 0).is_some_and(|size| size as usize == len) {
        match be32(payload, 4)? {
            CANCEL if len == 16 => return Some(Meaning::Farewell),
            TLS | GSS if len == 8 => return Some(Meaning::Request),
            version if version >> 16 == VERSION_3 => return Some(Meaning::Request),
            _ => {}
        }
    }
    walk(payload, len, |rest, _| {
        let size = be32(rest, 1).filter(|size| *size < 1 << 30)? as usize;
        let meaning = match (rest.first()?, size) {
            (b'X', 4) => Meaning::Farewell,
            (b'S' | b'H' | b'c', 4) => Meaning::Request,
            (b'Q' | b'P' | b'B' | b'E' | b'D' | b'C' | b'F' | b'p' | b'f', 5..) | (b'd', 4..) => {
                Meaning::Request
            }
            _ => return None,
        };
        Some((1 + size, meaning))
    })
}

/// Redis and what speaks its protocol: an array of bulk strings (Redis serialization protocol specification, "Sending
/// commands to a Redis server"). `QUIT` is answered, if at all, by `+OK` and a close. Inline commands are text.
pub(super) fn redis(payload: &[u8], len: usize) -> Option<Meaning> {
    if payload.first() != Some(&b'*') {
        return None;
    }
    walk(payload, len, |rest, left| {
        let (strings, mut at) = redis_number(rest, b'*')?;
        let mut meaning = Meaning::Request;
        for index in 0..strings {
            let Some((size, header)) = rest.get(at..).and_then(|rest| redis_number(rest, b'$')) else {
                // The snap length, or the end of the segment, cut it.
                return Some((left, Meaning::Request));
            };
            let word = rest.get(at + header..at + header + size);
            if index == 0 && strings == 1 && word.is_some_and(|word| word.eq_ignore_ascii_case(b"QUIT")) {
                meaning = Meaning::Farewell;
            }
            at = at.saturating_add(header).saturating_add(size).saturating_add(2);
        }
        Some((at, meaning))
    })
}

/// The number of `*3\r\n`, and how long that is.
fn redis_number(bytes: &[u8], kind: u8) -> Option<(usize, usize)> {
    let line = bytes.strip_prefix(&[kind])?;
    let digits = line.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(line.get(..digits)?).ok()?.parse().ok()?;
    line.get(digits..)?.starts_with(b"\r\n").then_some((number, 1 + digits + 2))
}

/// MongoDB (MongoDB documentation, "Wire Protocol"): `OP_MSG` with the first key of its document as command. Drivers end
/// with `endSessions` (Driver Sessions specification); `OP_KILL_CURSORS` has no response, nor has a message with the flag
/// `moreToCome`.
pub(super) fn mongodb(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 16;
    const MSG: u32 = 2013;
    const KILL_CURSORS: u32 = 2007;
    const MORE_TO_COME: u32 = 2;
    walk(payload, len, |rest, _| {
        let size = le32(rest, 0).filter(|size| (HEADER as u32..48_000_000).contains(size))? as usize;
        let response_to = le32(rest, 8)?;
        let meaning = match le32(rest, 12)? {
            _ if response_to != 0 => return None,
            KILL_CURSORS => Meaning::Farewell,
            MSG if le32(rest, HEADER)? & MORE_TO_COME != 0 => Meaning::OneWay,
            MSG => {
                // Flags, the kind of the section, the length of its document, the type of its first element.
                let command = rest.get(HEADER + 4 + 1 + 4 + 1..).unwrap_or_default();
                let farewell = [&b"endSessions\0"[..], b"killCursors\0"];
                match farewell.iter().any(|name| command.starts_with(name)) {
                    true => Meaning::Farewell,
                    false => Meaning::Request,
                }
            }
            2001 | 2002 | 2004..=2006 | 2010 | 2012 => Meaning::Request,
            _ => return None,
        };
        Some((size, meaning))
    })
}

/// memcached's binary protocol (memcached, `doc/protocol-binary.xml`): `Quit` and `QuitQ`. The text protocol is text.
pub(super) fn memcached(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 24;
    walk(payload, len, |rest, _| {
        let [0x80, opcode @ 0..=0x4f, ..] = rest else { return None };
        let body = be32(rest, 8).filter(|body| *body < 1 << 27)? as usize;
        let keys_fit = be16(rest, 2)? + usize::from(*rest.get(4)?) <= body && rest.get(5) == Some(&0);
        let meaning = match opcode {
            0x07 | 0x17 if body == 0 => Meaning::Farewell,
            _ => Meaning::Request,
        };
        keys_fit.then_some((HEADER + body, meaning))
    })
}

/// Cassandra and ScyllaDB (CQL binary protocol v3 to v5, section 2): requests only, a client ends without a word.
pub(super) fn cassandra(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 9;
    walk(payload, len, |rest, _| {
        let [3..=5, 0..=0x1f, _, _, 0x01 | 0x05 | 0x07 | 0x09..=0x0b | 0x0d | 0x0f, ..] = rest else {
            return None;
        };
        let body = be32(rest, 5).filter(|body| *body < 1 << 28)? as usize;
        Some((HEADER + body, Meaning::Request))
    })
}

/// SQL Server (\[MS-TDS\] section 2.2.3): requests only, a client ends without a word.
pub(super) fn tds(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 8;
    walk(payload, len, |rest, _| {
        const END_OF_MESSAGE: u8 = 1;
        const FULL_PACKET: usize = 512;
        // SQL batch, old login, RPC, attention, bulk load, federation token, transaction manager, login, SSPI, pre-login
        let [1..=3 | 6..=8 | 14 | 16..=18, status @ (0 | 1 | 8 | 9), _, _, _, _, 0..=1, 0, ..] = rest else {
            return None;
        };
        let last = status & END_OF_MESSAGE != 0;
        let size = be16(rest, 2).filter(|size| *size >= if last { HEADER } else { FULL_PACKET })?;
        Some((size, Meaning::Request))
    })
}

/// Oracle Net: packets of type DATA (6), whose flags say `end of file` at the very end, or whose function is a logoff (as
/// Wireshark's TNS dissector reads them). The length takes two bytes, or four in newer versions.
pub(super) fn tns(payload: &[u8], len: usize) -> Option<Meaning> {
    const HEADER: usize = 8;
    const CONNECT: u8 = 1;
    const DATA: u8 = 6;
    const END_OF_FILE: usize = 0x40;
    const TTI_FUN: u8 = 3;
    const LOGOFF: u8 = 9;
    walk(payload, len, |rest, _| {
        let size = match (be16(rest, 0)?, be16(rest, 2)?) {
            (size, 0) => size,
            (0, size) => size,
            _ => return None,
        };
        let kind = *rest.get(4)?;
        if size < HEADER || rest.get(5..8)? != [0, 0, 0] {
            return None;
        }
        let meaning = match kind {
            CONNECT if size > 50 => Meaning::Request,
            DATA if size == 10 && be16(rest, 8)? == END_OF_FILE => Meaning::Farewell,
            DATA if rest.get(10..12) == Some(&[TTI_FUN, LOGOFF]) => Meaning::Farewell,
            DATA if size > 10 && be16(rest, 8)? <= END_OF_FILE => Meaning::Request,
            _ => return None,
        };
        Some((size, meaning))
    })
}

/// What a database says of itself before it closes an idle connection: of PostgreSQL an ErrorResponse of class 57P, "operator
/// intervention" (idle_session_timeout is 57P05), of MySQL an error packet with the number 0, which no response has (error 4031,
/// `ER_CLIENT_INTERACTION_TIMEOUT`).
pub(super) fn says_goodbye(payload: &[u8]) -> bool {
    const ERR: u8 = 0xff;
    let of_postgres = payload.first() == Some(&b'E')
        && be32(payload, 1).is_some_and(|size| size < 1_024)
        && payload.windows(5).any(|bytes| bytes == b"\0C57P");
    let of_mysql = le24(payload, 0).is_some_and(|size| (9..1_024).contains(&size))
        && payload.get(3..5) == Some(&[0, ERR]);
    of_postgres || of_mysql
}
