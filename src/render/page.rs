//! A page of text in the making: paragraphs, headings and wrapped explanations.

use super::columns::blanks;
use super::style::{TextOptions, Tone};
use super::visible::visible;
use super::wrap::{columns, wrap};

/// Columns for the heading of an explanation.
const HEADING: i32 = 16;

/// A page so far.
pub(super) struct Page {
    /// What is written.
    pub text: String,
    /// How it is written.
    pub options: TextOptions,
}

impl Page {
    /// An empty page.
    pub fn new(options: TextOptions) -> Page {
        Page { text: String::new(), options }
    }

    /// Ends a line, or leaves one blank.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A sentence, wrapped under its first word.
    pub fn paragraph(&mut self, sentence: &str, tone: Tone, strong: bool, indent: i32) {
        for line in wrap(&visible(sentence), self.options.columns() - indent, columns) {
            self.text += &blanks(indent);
            self.text += &self.options.paint(&line, tone, strong);
            self.blank();
        }
    }

    /// A sentence beside its heading, wrapped under itself; below a heading that fills its columns.
    pub fn explained(&mut self, heading: &str, sentence: &str) {
        let heading = if columns(heading) < HEADING {
            heading
        } else {
            self.paragraph(heading, Tone::Ink, true, 0);
            ""
        };
        for (index, line) in
            wrap(&visible(sentence), self.options.columns() - HEADING, columns).iter().enumerate()
        {
            self.command(if index == 0 { heading } else { "" }, line);
        }
    }

    /// A line beside its heading, whole however long it is: a broken command cannot be copied.
    pub fn command(&mut self, heading: &str, line: &str) {
        self.text += &self.options.paint(heading, Tone::Ink, true);
        self.text += &blanks(HEADING - columns(heading));
        self.text += &self.options.paint(&visible(line), Tone::Ink, false);
        self.blank();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_never_touches_what_it_explains() {
        let mut page = Page::new(TextOptions::default());
        page.explained("fifteen columns", "beside");
        page.explained("sixteen columns.", "below");
        assert_eq!(page.text, "fifteen columns beside\nsixteen columns.\n                below\n");
    }
}
