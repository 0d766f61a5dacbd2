//! Protocols of lines.

use super::Meaning;

/// How far a line is looked at.
const LINE: usize = 512;

/// Commands after which a client wants nothing more: QUIT of SMTP (RFC 5321 section 4.1.1.10), FTP (RFC 959), POP3 (RFC 1939),
/// NNTP (RFC 3977), IRC (RFC 2812), Redis, memcached and beanstalkd; LOGOUT of IMAP (RFC 9051, behind a tag), ManageSieve (RFC
/// 5804) and NUT; RSET of SMTP, which ends a mail transaction as the end of the connection does; BYE and EXIT of FTP clients and shells; CLOSE of MPD; END of clamd; XMPP's closing tag (RFC 6120 section 4.4).
const GOODBYES: [&str; 9] =
    ["RSET", "QUIT", "LOGOUT", "LOGOFF", "BYE", "EXIT", "CLOSE", "END", "</STREAM:STREAM>"];

/// Commands that are answered, of the same protocols.
const COMMANDS: [&str; 95] = [
    // SMTP
    "EHLO",
    "HELO",
    "LHLO",
    "MAIL",
    "RCPT",
    "DATA",
    "BDAT",
    "VRFY",
    "EXPN",
    "AUTH",
    "STARTTLS",
    "NOOP",
    "HELP", // POP3
    "USER",
    "PASS",
    "APOP",
    "STAT",
    "LIST",
    "RETR",
    "DELE",
    "UIDL",
    "TOP",
    "CAPA", // FTP
    "ACCT",
    "CWD",
    "CDUP",
    "PWD",
    "XPWD",
    "TYPE",
    "MODE",
    "STRU",
    "PORT",
    "PASV",
    "EPRT",
    "EPSV",
    "STOR",
    "STOU",
    "APPE",
    "ALLO",
    "REST",
    "RNFR",
    "RNTO",
    "ABOR",
    "MKD",
    "RMD",
    "NLST",
    "SITE",
    "SYST",
    "SIZE",
    "MDTM",
    "MLSD",
    "MLST",
    "FEAT",
    "OPTS",
    "PBSZ",
    "PROT", // NNTP
    "GROUP",
    "ARTICLE",
    "HEAD",
    "BODY",
    "NEXT",
    "LAST",
    "POST",
    "IHAVE",
    "OVER",
    "XOVER",
    "NEWNEWS",
    "NEWGROUPS",
    // memcached and Redis
    "GET",
    "GETS",
    "GAT",
    "GATS",
    "SET",
    "ADD",
    "REPLACE",
    "APPEND",
    "PREPEND",
    "CAS",
    "DELETE",
    "INCR",
    "DECR",
    "TOUCH",
    "STATS",
    "VERSION",
    "FLUSH_ALL",
    "MG",
    "MS",
    "MD",
    "MA",
    "PING",
    "ECHO",
    "INFO",
    "DEL",
    "EXISTS",
    "EXPIRE",
];

/// Commands of IMAP that are answered (RFC 9051 section 6); they stand behind a tag.
const TAGGED: [&str; 24] = [
    "CAPABILITY",
    "NOOP",
    "LOGIN",
    "AUTHENTICATE",
    "STARTTLS",
    "ENABLE",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "LIST",
    "NAMESPACE",
    "STATUS",
    "APPEND",
    "IDLE",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
    "MOVE",
    "UID",
];

/// Lines of a protocol of lines. Blanks alone keep a connection alive (RFC 5626 section 3.5.1, RFC 6120 section 4.6.1, STOMP).
pub(super) fn commands(payload: &[u8], len: usize) -> Option<Meaning> {
    let whole = payload.len() == len;
    let mut found: Option<Meaning> = None;
    for line in payload.split_inclusive(|byte| *byte == b'\n') {
        let ends = line.ends_with(b"\n");
        let meaning = match command(line.trim_ascii()) {
            Some(Meaning::Farewell) if !ends && !line.trim_ascii().ends_with(b">") => {
                return found.map(|meaning| meaning.max(Meaning::Unknown));
            }

            Some(meaning) => meaning,
            None if found.is_some() => Meaning::Unknown,
            None => return None,
        };
        found = found.max(Some(meaning));
        if meaning == Meaning::Request {
            break;
        }
    }
    if whole { found } else { found.map(|meaning| meaning.max(Meaning::Unknown)) }
}

/// What one line means.
fn command(line: &[u8]) -> Option<Meaning> {
    let text = std::str::from_utf8(line.get(..LINE.min(line.len()))?).ok()?;
    let mut words = text.split(' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let is = |word: &str, list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    let said = |word: &str| GOODBYES.iter().any(|known| known.eq_ignore_ascii_case(word));
    match second {
        None if first.is_empty() => Some(Meaning::Farewell),
        None if said(first) => Some(Meaning::Farewell),
        // IRC gives its reasons.
        Some(reason) if first.eq_ignore_ascii_case("QUIT") && reason.starts_with(':') => {
            Some(Meaning::Farewell)
        }
        Some(verb) if verb.eq_ignore_ascii_case("LOGOUT") && words.next().is_none() => {
            Some(Meaning::Farewell)
        }
        _ if is(first, &COMMANDS) => Some(Meaning::Request),
        Some(verb) if is(verb, &TAGGED) && first.len() <= 16 => Some(Meaning::Request),
        // RTSP (RFC 7826 section 13.7).
        Some(_) if first == "TEARDOWN" => Some(Meaning::Farewell),
        _ => None,
    }
}

/// JSON-RPC (its specification 2.0, section 4), and what looks like it: without an `id`, a call is not answered.
pub(super) fn json_rpc(payload: &[u8], len: usize) -> Option<Meaning> {
    let text = payload.trim_ascii_start();
    if !matches!(text.first()?, b'{' | b'[') {
        return None;
    }
    let holds = |name: &[u8]| text.windows(name.len()).any(|bytes| bytes == name);
    if !holds(b"\"method\"") {
        return None;
    }
    let whole = payload.len() == len && text.trim_ascii_end().ends_with(b"}");
    Some(if whole && !holds(b"\"id\"") { Meaning::OneWay } else { Meaning::Request })
}

/// Syslog over TCP (RFC 6587 section 3.4): a priority, with or without a count of bytes before it.
pub(super) fn syslog(payload: &[u8], _len: usize) -> Option<Meaning> {
    let counted = payload.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let line = match payload.get(counted)? {
        b' ' if counted > 0 => payload.get(counted + 1..)?,
        _ if counted == 0 => payload,
        _ => return None,
    };
    let priority = line.strip_prefix(b"<")?;
    let digits = priority.iter().take_while(|byte| byte.is_ascii_digit()).count();
    ((1..=3).contains(&digits) && priority.get(digits) == Some(&b'>')).then_some(Meaning::OneWay)
}
