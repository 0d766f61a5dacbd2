//! The one table of colours, for terminal and picture alike, and the options that select from it.

/// How text for a terminal is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns available; narrower than [`TextOptions::NARROWEST`] is drawn as that wide.
    pub width: u16,
    /// Write ANSI colour sequences.
    pub color: bool,
    /// Write box-drawing characters and typographic signs; otherwise ASCII only.
    pub unicode: bool,
}

impl Default for TextOptions {
    /// 80 columns, no colour, Unicode: text that reads well in a file or a message.
    fn default() -> TextOptions {
        TextOptions { width: 80, color: false, unicode: true }
    }
}

impl TextOptions {
    /// The fewest columns in which a ladder is still readable.
    pub const NARROWEST: u16 = 72;

    /// The width as laid out.
    pub(crate) fn columns(&self) -> i32 {
        i32::from(self.width.max(Self::NARROWEST))
    }

    /// `text` in the colour of `tone`, or as it is without colour; in ASCII where that is asked for.
    pub(crate) fn paint(&self, text: &str, tone: Tone, strong: bool) -> String {
        let text = self.spell(text);
        let codes = match (tone.ansi(), strong) {
            _ if !self.color || text.trim().is_empty() => return text,
            ("", false) => return text,
            ("", true) => "1".to_owned(),
            (code, false) => code.to_owned(),
            (code, true) => format!("1;{code}"),
        };
        format!("\x1b[{codes}m{text}\x1b[0m")
    }

    /// `text` in the character set of the terminal.
    pub(crate) fn spell(&self, text: &str) -> String {
        if self.unicode { text.to_owned() } else { text.chars().map(ascii).collect() }
    }
}

/// The nearest ASCII character of the same width, so that columns stay where they are.
fn ascii(sign: char) -> char {
    match sign {
        ' '..='~' | '\n' => sign,
        '−' | '–' | '—' | '─' | '╌' => '-',
        '│' | '┆' | '╎' => '|',
        '╲' => '\\',
        '╱' => '/',
        '╳' | '×' => 'x',
        '▶' | '→' => '>',
        '◀' | '←' => '<',
        '●' | '◆' => '*',
        '○' => 'o',
        '█' => '#',
        '▒' => '=',
        '≈' => '~',
        '·' => '-',
        '…' => '.',
        '\u{a0}' => ' ',
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        '±' => '~',
        'µ' => 'u',
        '├' | '┤' | '╮' | '╯' | '╰' | '╭' => '+',
        _ => '?',
    }
}

/// Colours of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Light, and dark where the viewer prefers it; a rasteriser without that notion draws it light.
    #[default]
    Auto,
    /// Light everywhere.
    Light,
    /// Dark everywhere.
    Dark,
}

/// What a colour stands for. Colour is never the only sign: every tone comes with words, a dash or a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Ordinary text.
    Ink,
    /// Text that may be skipped: times, numbers, acknowledgements.
    Muted,
    /// Lanes and rules.
    Line,
    /// The server's FIN and what follows from it.
    Fin,
    /// The client's request.
    Request,
    /// RST, and the loss it stands for.
    Reset,
    /// A response.
    Response,
}

/// One row of the table: name, light colour, dark colour, ANSI code.
type Look = (&'static str, &'static str, &'static str, &'static str);

impl Tone {
    /// Every tone.
    pub const ALL: [Tone; 7] =
        [Tone::Ink, Tone::Muted, Tone::Line, Tone::Fin, Tone::Request, Tone::Reset, Tone::Response];

    /// Chosen for at least 4.5:1 against the background for text (WCAG 2.2, 1.4.3) and for hues that stay apart in
    /// the common forms of colour blindness (blue, orange, crimson; the green never stands beside the crimson).
    const fn look(self) -> Look {
        match self {
            Tone::Ink => ("ink", "#1c2430", "#e6ebf2", ""),
            Tone::Muted => ("muted", "#5b6675", "#97a3b3", "2"),
            Tone::Line => ("line", "#aeb8c4", "#465262", "2"),
            Tone::Fin => ("fin", "#b45309", "#f59e0b", "33"),
            Tone::Request => ("request", "#1d4ed8", "#7aa2ff", "34"),
            Tone::Reset => ("reset", "#c81e3a", "#ff6b81", "31"),
            Tone::Response => ("response", "#15803d", "#4ade80", "32"),
        }
    }

    /// Name, for a CSS class.
    pub const fn name(self) -> &'static str {
        self.look().0
    }
    /// Colour on a light background.
    pub const fn light(self) -> &'static str {
        self.look().1
    }
    /// Colour on a dark background.
    pub const fn dark(self) -> &'static str {
        self.look().2
    }
    /// Parameter of the ANSI SGR sequence; empty for the terminal's own colour.
    pub const fn ansi(self) -> &'static str {
        self.look().3
    }
}

impl From<crate::report::SegmentKind> for Tone {
    fn from(kind: crate::report::SegmentKind) -> Tone {
        use crate::report::SegmentKind;
        match kind {
            SegmentKind::Handshake | SegmentKind::Ack => Tone::Muted,
            SegmentKind::Request => Tone::Request,
            SegmentKind::Response => Tone::Response,
            SegmentKind::Fin => Tone::Fin,
            SegmentKind::Reset => Tone::Reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_or_unicode_text_is_plain_ascii() {
        let plain = TextOptions { width: 80, color: false, unicode: false };
        assert_eq!(plain.paint("−6.010 s → “µ”…", Tone::Fin, true), "-6.010 s > \"u\".");
        let colour = TextOptions { width: 80, color: true, unicode: true };
        assert_eq!(colour.paint("RST", Tone::Reset, true), "\x1b[1;31mRST\x1b[0m");
        assert_eq!(colour.paint("words", Tone::Ink, false), "words");
    }
}
