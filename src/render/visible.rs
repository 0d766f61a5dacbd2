//! Text from outside, such as a file name, made safe to show: it cannot steer a terminal or hide what it says.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with each letter that has no shape of its own written as an escape (`\x1b`, `\n`, `\u{202e}`): control
/// characters, line separators, and the marks that turn or hide text.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        // Writing to a string does not fail.
        let _ = match letter {
            '\n' | '\r' | '\t' => write!(shown, "{}", letter.escape_default()),
            hidden if is_hidden(hidden) && hidden.is_ascii() => write!(shown, "\\x{:02x}", u32::from(hidden)),
            hidden if is_hidden(hidden) => write!(shown, "{}", hidden.escape_unicode()),
            other => shown.write_char(other),
        };
    }
    Cow::Owned(shown)
}

/// Whether a letter steers or hides text instead of being text: controls (Unicode category Cc), separators of lines and
/// paragraphs, and the marks of the bidirectional algorithm (UAX 9) and of zero width.
pub(super) fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}')
}

/// A file name as one word of a POSIX shell; with letters that cannot be seen, of bash, zsh and ksh.
pub fn quoted(file: &str) -> String {
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "./_-+,:@%".contains(letter);
    if !file.is_empty() && file.chars().all(harmless) {
        file.to_owned()
    } else if let Cow::Owned(_) = visible(file) {
        let mut word = String::from("$'");
        for letter in file.chars() {
            match letter {
                '\'' | '\\' => word.extend(['\\', letter]),
                hidden if is_hidden(hidden) => {
                    for byte in hidden.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(word, "\\x{byte:02x}");
                    }
                }
                other => word.push(other),
            }
        }
        word + "'"
    } else {
        format!("'{}'", file.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_turns_text_is_written_as_an_escape() {
        assert_eq!(
            visible("a\x1b[2Jb\u{9b}c\r\nd\te\u{202e}f\u{7f}"),
            "a\\x1b[2Jb\\u{9b}c\\r\\nd\\te\\u{202e}f\\x7f"
        );
        assert_eq!(visible("Grüße, 東京 – 5 µs"), "Grüße, 東京 – 5 µs");
    }

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        assert_eq!(quoted("race.pcap"), "race.pcap");
        assert_eq!(quoted("it's here.pcap"), "'it'\\''s here.pcap'");
        assert_eq!(quoted("a\x1b'\\\u{202e}.pcap"), "$'a\\x1b\\'\\\\\\xe2\\x80\\xae.pcap'");
        assert_eq!(quoted(""), "''");
    }
}
