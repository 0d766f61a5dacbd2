//! Breaking a sentence into lines.

/// Breaks `text` at spaces into lines that `measure` finds no wider than `width`; a word that is wider than a whole line
/// is broken where it must be. A number stays with its unit and its groups of digits. An empty text gives no line.
pub fn wrap(text: &str, width: i32, measure: impl Fn(&str) -> i32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in unbreakable(text) {
        let word = word.as_str();
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

/// The words of `text`, a number and what belongs to it counting as one: `5.001 s`, `1 204 118 B`.
fn unbreakable(text: &str) -> Vec<String> {
    const UNITS: [&str; 6] = ["ns", "µs", "ms", "s", "min", "B"];
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let bare = word.trim_end_matches(|letter: char| letter.is_ascii_punctuation());
        let digits = bare.len() == 3 && bare.bytes().all(|letter| letter.is_ascii_digit());
        match words.last_mut() {
            Some(number)
                if number.ends_with(|it: char| it.is_ascii_digit()) && (digits || UNITS.contains(&bare)) =>
            {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
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
        assert_eq!(
            wrap("the request met a closed socket", 12, columns),
            ["the request", "met a closed", "socket"]
        );
        assert_eq!(wrap("  ", 10, columns), Vec::<String>::new());
    }

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrap("idle for 6 s, then 1 204 B", 10, columns), ["idle for", "6 s, then", "1 204 B"]);
    }

    #[test]
    fn a_word_wider_than_the_line_is_broken() {
        assert_eq!(wrap("to 2001:db8::1 now", 5, columns), ["to", "2001:", "db8::", "1 now"]);
        assert_eq!(wrap("ab", 0, columns), ["a", "b"]);
    }
}
