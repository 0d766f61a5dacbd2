//! Breaking a sentence into lines.

/// Breaks `text` at spaces into lines that `measure` finds no wider than `width`; a word that is wider than a whole line
/// is broken where it must be. An empty text gives no line.
pub fn wrap(text: &str, width: i32, measure: impl Fn(&str) -> i32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if measure(&joined) <= width {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for letter in word.chars() {
            line.push(letter);
            if measure(&line) > width && line.chars().nth(1).is_some() {
                line.pop();
                lines.push(std::mem::replace(&mut line, letter.to_string()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Columns that `text` takes on a terminal.
pub fn columns(text: &str) -> i32 {
    i32::try_from(unicode_width::UnicodeWidthStr::width(text)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_lose_nothing() {
        assert_eq!(wrap("the request met a closed socket", 12, columns), ["the request", "met a closed", "socket"]);
        assert_eq!(wrap("  ", 10, columns), Vec::<String>::new());
    }

    #[test]
    fn a_word_wider_than_the_line_is_broken() {
        assert_eq!(wrap("to 2001:db8::1 now", 5, columns), ["to", "2001:", "db8::", "1 now"]);
        assert_eq!(wrap("ab", 0, columns), ["a", "b"]);
    }
}
