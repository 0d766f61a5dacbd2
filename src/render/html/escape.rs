//! Text from outside made harmless for the place where it goes: between tags and in attributes, or in a block of JSON.

use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::render::visible;

/// Text between tags or inside a quoted attribute: markup escaped, and what steers or hides text written as an escape.
pub fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in visible(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// JSON that can stand inside a `script` element: without `<` it cannot end the element or begin a comment (HTML section
/// 13.1.2.4), and without U+2028 and U+2029 it is no broken line to older scripts.
pub fn json(value: &impl Serialize) -> String {
    let plain = serde_json::to_string(value).expect("plain data with string keys");
    let mut escaped = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string does not fail. These letters occur within strings only.
                let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The source expression that allows exactly this script or style: `'sha256-…'` (CSP 3 section 2.3.1).
pub fn hash_source(content: &str) -> String {
    format!("'sha256-{}'", base64(&Sha256::digest(content.as_bytes())))
}

/// Base64 with padding (RFC 4648 section 4).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| word << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            text.push(if digit > three.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The bytes again.
    pub fn from_base64(text: &str) -> Vec<u8> {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = Vec::new();
        for four in text.as_bytes().chunks(4) {
            let digits: Vec<u32> =
                four.iter().filter_map(|digit| DIGITS.find(char::from(*digit))).map(|it| it as u32).collect();
            let word = (0..4).fold(0, |word, at| word << 6 | digits.get(at).copied().unwrap_or(0));
            bytes.extend(&word.to_be_bytes()[1..digits.len()]);
        }
        bytes
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            text("<img src=x onerror='a(\"b\")'>&\u{202e}\n"),
            "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;\\u{202e}\\n"
        );
    }

    #[test]
    fn json_cannot_end_its_element() {
        let hostile = "</script><!--<script>\u{2028}&";
        let escaped = json(&hostile);
        assert_eq!(escaped, r#""\u003c/script\u003e\u003c!--\u003cscript\u003e\u2028\u0026""#);
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
    }

    #[test]
    fn base64_and_hash_are_the_standards() {
        for (bytes, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), encoded);
            assert_eq!(from_base64(encoded), bytes.as_bytes());
        }
        // The example of CSP 3, section 8.3.
        assert_eq!(
            hash_source("alert('Hello, world.');"),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
        );
    }
}
