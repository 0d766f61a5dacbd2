//! Text as it was pasted or piped, made comparable: no colours, no escapes of JSON, single blanks, ASCII quotes.

/// How often escapes of JSON are undone: a log line in a log line in a log line.
const LAYERS: usize = 3;

/// The lines within one line of input, without what only its way here added. Escaped line ends (`\n` within JSON) end
/// lines, too. Never more bytes than came in.
pub fn plain_lines(line: &[u8]) -> Vec<String> {
    // Text in UTF-16, as some shells of Windows write it, is ASCII with zeros between.
    let without_zeros: Vec<u8> = line.iter().copied().filter(|&byte| byte != 0).collect();
    let mut text = String::from_utf8_lossy(&without_zeros).into_owned();
    for _ in 0..LAYERS {
        if !text.contains('\\') {
            break;
        }
        text = unescaped(&text);
    }
    let text = without_colours(&text);
    text.split(['\n', '\r']).map(tidy).filter(|line| !line.is_empty()).collect()
}

/// One layer of JSON's escapes undone (RFC 8259 section 7); what is none stays.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain += &rest[..at];
        rest = &rest[at + 1..];
        let Some(letter) = rest.chars().next() else {
            plain.push('\\');
            break;
        };
        let (replacement, used) = match letter {
            '"' | '\\' | '/' => (Some(letter), 1),
            'n' | 'r' => (Some('\n'), 1),
            't' => (Some(' '), 1),
            'u' => {
                let code = rest.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                (code.and_then(char::from_u32), 5)
            }
            _ => (None, 0),
        };
        match replacement {
            Some(letter) => {
                plain.push(letter);
                rest = &rest[used..];
            }
            None => plain.push('\\'),
        }
    }
    plain + rest
}

/// Without the control sequences of terminals (ECMA-48: CSI and OSC), and without letters that are not shown.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let introduced = match letter {
            '\u{1b}' => letters.next_if(|next| matches!(next, '[' | ']' | '(' | ')' | 'P' | '^' | '_')),
            '\u{9b}' => Some('['),
            '\u{9d}' => Some(']'),
            _ => {
                plain.push(letter);
                continue;
            }
        };
        match introduced {
            Some('[') => while letters.next_if(|next| matches!(next, ' '..='?')).is_some() {},
            Some('(' | ')') => {}
            Some(_) => {
                // A string, up to BEL or ST; one that never ends is none.
                let ended = |next: &char| matches!(next, '\u{7}' | '\u{1b}' | '\u{9c}' | '\n');
                while letters.next_if(|next| !ended(next)).is_some() {}
                if letters.next_if_eq(&'\u{1b}').is_none() {
                    letters.next_if(|next| *next != '\n');
                    continue;
                }
            }
            None => continue,
        }
        // The final byte.
        letters.next_if(|next| !matches!(next, '\n' | '\u{1b}'));
    }
    plain
}

/// Single blanks, ASCII quotes, nothing that is not shown. A blank in front stays: it says that a line continues another.
fn tidy(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    for letter in line.chars() {
        let letter = match letter {
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            letter if letter.is_whitespace() => ' ',
            letter
                if letter.is_control()
                    || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}') =>
            {
                continue;
            }
            letter => letter,
        };
        if letter != ' ' || !plain.ends_with(' ') {
            plain.push(letter);
        }
    }
    if plain.trim().is_empty() { String::new() } else { plain.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_titles_of_terminals_go() {
        assert_eq!(
            plain_lines(b"\x1b[31;1merror\x1b[0m: \x1b]0;title\x07socket hang up"),
            ["error: socket hang up"]
        );
        assert_eq!(plain_lines(b"a\x1b]8;;http://x\x1b\\b"), ["ab"]);
        assert_eq!(plain_lines(b"{\"m\":\"\\u001b[31mEOF\\u001b[0m\"}"), [r#"{"m":"EOF"}"#]);
        assert_eq!(plain_lines(b"\x1b"), Vec::<String>::new());
        assert_eq!(plain_lines(b"\x1b["), Vec::<String>::new());
    }

    #[test]
    fn a_log_line_in_json_is_the_line() {
        assert_eq!(
            plain_lines(br#"{"log":"Post \"http:\/\/a\/\": EOF\n"}"#),
            [r#"{"log":"Post "http://a/": EOF"#, r#""}"#]
        );
        assert_eq!(plain_lines(br#"{"log":"{\"e\":\"a \\\"b\\\" c\"}"}"#), [r#"{"log":"{"e":"a "b" c"}"}"#]);
        assert_eq!(plain_lines(br"C:\x\u12"), [r"C:\x\u12"]);
        assert_eq!(plain_lines(br"end\"), [r"end\"]);
    }

    #[test]
    fn blanks_and_quotes_are_those_of_a_keyboard() {
        assert_eq!(
            plain_lines("didn\u{2019}t  send\u{a0}any\tdata\r\n".as_bytes()),
            ["didn't send any data"]
        );
        assert_eq!(plain_lines(b"E\0O\0F\0\r\0\n\0"), ["EOF"]);
        assert_eq!(plain_lines(b"\tat a.B.c"), [" at a.B.c"]);
        assert_eq!(plain_lines(b"\xff\xfe"), ["\u{fffd}\u{fffd}"]);
    }
}
