//! The frame of every page: head, policy, header, sections, script.

use super::drawing;
use super::escape;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page says first.
#[derive(Debug)]
pub struct Headline {
    /// How bad it is; the words say it, too.
    pub tone: HeadlineTone,
    /// The sentence.
    pub text: String,
    /// What the page is called in a list of tabs, where the headline alone would not do.
    pub about: String,
}

/// How bad a headline is.
#[derive(Debug, Clone, Copy)]
pub enum HeadlineTone {
    /// Requests were lost.
    Bad,
    /// They can be lost, or nothing can be said.
    Warning,
    /// Nothing was lost.
    Good,
}

/// A page whose parts are HTML already, but for the headline.
pub struct Document {
    headline: Headline,
    /// Below the headline: what was read.
    pub lead: String,
    /// What happened and what to change.
    pub causes: String,
    /// Whose timer is the shorter one.
    pub servers: String,
    /// The table of incidents.
    pub incidents: String,
    /// What the captures hold, and how to check it.
    pub captures: String,
    /// Rows for the script, as JSON; none where there is no table.
    pub data: String,
    /// What incidents open, compressed.
    pub stories: String,
}

impl Document {
    /// A page with nothing but its headline.
    pub fn new(headline: Headline) -> Document {
        Document {
            headline,
            lead: String::new(),
            causes: String::new(),
            servers: String::new(),
            incidents: String::new(),
            captures: String::new(),
            data: String::new(),
            stories: String::new(),
        }
    }

    /// The whole page. Its policy forbids everything but the one script and the one style that are in it.
    pub fn written(self) -> String {
        let style = format!("{STYLE}{}", drawing::css());
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
            escape::hash_source(SCRIPT),
            escape::hash_source(&style)
        );
        let title = format!("{} – {}", self.headline.text, self.headline.about);
        let tone = match self.headline.tone {
            HeadlineTone::Bad => "bad",
            HeadlineTone::Warning => "warning",
            HeadlineTone::Good => "good",
        };
        let parts = [
            ("policy", policy),
            ("title", escape::text(&title)),
            ("style", style),
            ("tone", tone.to_owned()),
            ("headline", escape::text(&self.headline.text)),
            ("lead", self.lead),
            ("causes", self.causes),
            ("servers", self.servers),
            ("incidents", self.incidents),
            ("captures", self.captures),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("data", self.data),
            ("stories", self.stories),
            ("script", SCRIPT.to_owned()),
        ];
        fill(&parts)
    }
}

/// The template with its `{{name}}`s replaced; what replaces one is not looked at again.
fn fill(parts: &[(&str, String)]) -> String {
    let mut page =
        String::with_capacity(TEMPLATE.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let part = parts.iter().find(|(known, _)| *known == name);
        debug_assert!(part.is_some(), "the template names {name}");
        page.push_str(part.map_or("", |(_, part)| part));
        rest = after;
    }
    page.push_str(rest);
    page
}
