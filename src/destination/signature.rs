//! How a file says that finrace wrote it, so that a second run may replace it.
//!
//! Pictures, pages and captures say so by themselves. Text forms get a last line, PNG a text chunk; JSON and CSV have no
//! room for one and are known by how they begin.

use std::borrow::Cow;
use std::path::Path;

use flate2::Crc;

/// Bytes at the beginning of a file that are looked at.
pub const HEAD: u64 = 4_096;
/// Bytes at its end.
pub const TAIL: u64 = 64;

const NAME: &str = concat!("finrace ", env!("CARGO_PKG_VERSION"));

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Magic, and the one chunk that must come first: length, name, 13 bytes, checksum.
const PNG_HEADER: usize = 8 + 4 + 4 + 13 + 4;
const PNG_SOFTWARE: &[u8] = b"tEXtSoftware\0finrace ";
const PCAPNG: &[u8] = b"\x0a\x0d\x0d\x0a";

/// How documents begin that cannot be signed, white space left out.
const BEGINNINGS: [&[u8]; 6] = [
    b"{\"schema\":",
    b"{\"type\":\"capture\",",
    b"{\"type\":\"incident\",",
    b"id,cause,confidence,race,",
    b"from_ns,to_ns,attempts,",
    b"number,client,planned_ns,",
];

/// A result with its signature, where the ending of the name tells a form that has room for one.
pub fn signed<'b>(path: &Path, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let line = match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => format!("\n<!-- {NAME} -->\n"),
        Some("mmd") => format!("%% {NAME}\n"),
        Some("txt") => format!("\n{NAME}\n"),
        Some("png") if bytes.starts_with(PNG) && bytes.len() > PNG_HEADER => {
            let (header, rest) = bytes.split_at(PNG_HEADER);
            return [header, &software_chunk(), rest].concat().into();
        }
        _ => return bytes.into(),
    };
    [bytes, line.as_bytes()].concat().into()
}

/// Whether a file that begins and ends so is finrace's.
pub fn is_ours(head: &[u8], tail: &[u8]) -> bool {
    let holds = |wanted: &[u8]| memchr::memmem::find(head, wanted).is_some();
    if head.starts_with(b"<svg ") {
        return holds(b"class=\"finrace\"");
    }
    if head.starts_with(b"<!DOCTYPE html>") {
        return holds(b"<meta name=\"generator\" content=\"finrace\">");
    }
    if head.starts_with(PNG) {
        return holds(PNG_SOFTWARE);
    }
    if head.starts_with(PCAPNG) {
        return holds(b"finrace ");
    }
    let dense: Vec<u8> = head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).take(64).collect();
    BEGINNINGS.iter().any(|beginning| dense.starts_with(beginning)) || is_signed(tail)
}

/// Whether the last line is a signature of some version.
fn is_signed(tail: &[u8]) -> bool {
    let tail = String::from_utf8_lossy(tail);
    let Some(last) = tail.trim_end().lines().last() else { return false };
    let name = last
        .strip_prefix("<!-- ")
        .and_then(|comment| comment.strip_suffix(" -->"))
        .or_else(|| last.strip_prefix("%% "))
        .unwrap_or(last);
    name.strip_prefix("finrace ").is_some_and(|version| {
        version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte))
    })
}

/// A `tEXt` chunk (PNG specification, third edition, section 11.3.3.2).
fn software_chunk() -> Vec<u8> {
    let content = [b"tEXtSoftware\0", NAME.as_bytes()].concat();
    let mut sum = Crc::new();
    sum.update(&content);
    let length = (content.len() - b"tEXt".len()) as u32;
    [&length.to_be_bytes(), content.as_slice(), &sum.sum().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_known_again_and_nothing_else_is() {
        for name in ["a.md", "a.mmd", "a.txt"] {
            let signed = signed(Path::new(name), b"somebody's words\n").into_owned();
            assert!(is_ours(&signed, &signed), "{name}");
        }
        for foreign in [
            "notes about finrace\n",
            "finrace analyze x.pcap\n",
            "finrace 0.1.0 lost my file\n",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"><text>finrace</text></svg>",
            "<!DOCTYPE html>\n<title>finrace</title>",
            "{\"finrace\": 1}",
        ] {
            assert!(!is_ours(foreign.as_bytes(), foreign.as_bytes()), "{foreign}");
        }
    }

    #[test]
    fn a_signed_picture_is_still_one() {
        use resvg::tiny_skia::Pixmap;
        let png = Pixmap::new(9, 9).unwrap().encode_png().unwrap();
        let signed = signed(Path::new("a.png"), &png);
        assert!(is_ours(&signed, &signed) && !is_ours(&png, &png));
        assert_eq!(Pixmap::decode_png(&signed).unwrap(), Pixmap::new(9, 9).unwrap());
    }
}
