//! A connection as a Mermaid sequence diagram, for Markdown that draws it: GitHub, GitLab, many wikis.
//!
//! Mermaid draws each arrow level, so what the ladder shows by slants and heights is said in words here.

use super::ladder::{self, Ladder, Mark};
use super::units::{counted, relative};
use super::visible::visible;
use super::wrap::{columns, wrap};
use crate::report::{Cause, Incident, Role, Segment, SegmentKind, Side, Trace};

/// Columns of a note: Mermaid breaks no lines by itself.
const NOTE: i32 = 40;

/// Writes `sequenceDiagram` and its lines, each closed with a line feed.
pub fn sequence(trace: &Trace, incident: Option<&Incident>) -> String {
    let picture = ladder::layout(trace, incident, &ladder::Outcome::default());
    let mut text = String::from("sequenceDiagram\n");
    text += &format!("    accTitle: {}\n", escape(&picture.title));
    for (id, lane) in ["C", "S"].into_iter().zip(&trace.lanes) {
        let names = [Some(&lane.name), lane.product.as_ref(), Some(&lane.address)];
        let names: Vec<String> = names.into_iter().flatten().map(|name| escape(name)).collect();
        text += &format!("    participant {id} as {}\n", names.join("<br/>"));
    }
    for step in steps(&picture) {
        match step {
            Step::Between(lines) => text += &note("over C,S", &lines),
            Step::Segment(index) => {
                let Some(segment) = trace.segments.get(index) else { continue };
                let arrives = !matches!(segment.role, Some(Role::Request)) || incident.is_none_or(arrives);
                text += &message(trace, segment, arrives);
                text += &beside(segment);
            }
        }
    }
    if let Some(incident) = incident {
        let why = incident.evidence.first().map_or("", String::as_str);
        text += &note("over C,S", &[format!("{}, {}: {why}", incident.cause, incident.confidence)]);
    }
    if trace.omitted > 0 {
        text += &note("over C,S", &[format!("{} left out", counted(trace.omitted, "more segment"))]);
    }
    text
}

/// What comes next, from top to bottom.
enum Step {
    Segment(usize),
    /// Words between the two ends.
    Between(Vec<String>),
}

/// Segments, folded silences and crossings in the order of the picture.
fn steps(picture: &Ladder) -> Vec<Step> {
    // On one height a fold stands above a segment, and a crossing below the second of the two.
    let arrows = picture.arrows.iter().map(|arrow| (arrow.y_sent, 1, Step::Segment(arrow.segment)));
    let folds = picture.folds.iter().map(|fold| (fold.y, 0, Step::Between(vec![fold.label.clone()])));
    let crossings = picture.marks.iter().filter_map(|mark| match mark {
        Mark::Crossing { between, .. } => {
            let below =
                between.iter().filter_map(|&index| picture.arrows.get(index)).map(|it| it.y_sent).max()?;
            Some((below, 2, Step::Between(vec!["the two cross on their way".to_owned()])))
        }
        Mark::InferredCrossing { y, lines } => Some((y[1], 2, Step::Between(lines.clone()))),
        Mark::LostWindow { .. } | Mark::Bracket { .. } => None,
    });
    let mut steps: Vec<(i32, i32, Step)> = arrows.chain(folds).chain(crossings).collect();
    steps.sort_by_key(|(y, kind, _)| (*y, *kind));
    steps.into_iter().map(|(_, _, step)| step).collect()
}

/// Whether the lost request reached a kernel that took it.
fn arrives(incident: &Incident) -> bool {
    !matches!(
        incident.cause,
        Cause::CrossedFin
            | Cause::StaleReuse
            | Cause::AnnouncedClose
            | Cause::ResetIdle
            | Cause::StateLost
            | Cause::SilentDrop
    )
}

/// One arrow. A cross at its head means that nobody took it, or that it ends the connection by force.
fn message(trace: &Trace, segment: &Segment, arrives: bool) -> String {
    let (from, to) = match segment.from {
        Side::Client => ("C", "S"),
        Side::Server => ("S", "C"),
    };
    let arrow = match segment.kind {
        SegmentKind::Reset => "--x",
        _ if !arrives => "-x",
        SegmentKind::Ack => "-->>",
        _ => "->>",
    };
    let size = if segment.len > 0 { format!(" {} B", segment.len) } else { String::new() };
    let times = if segment.count > 1 { format!(" (×{})", segment.count) } else { String::new() };
    let frame = match (segment.frame, segment.peer_frame) {
        (0, Some(there)) => format!("frame {there} of the server’s capture"),
        (here, Some(there)) if here != there => format!("frames {here} and {there}"),
        (here, _) => format!("frame {here}"),
    };
    let file = match trace.files.get(segment.file as usize) {
        Some(file) => format!(" of {file}"),
        None => String::new(),
    };
    let clock = relative(segment.sent_ns.saturating_sub(trace.zero_ns));
    let label = format!("{}{size}{times}, {clock}, {frame}{file}", segment.label);
    format!("    {from}{arrow}{to}: {}\n", escape(&label))
}

/// What a segment means, beside its sender.
fn beside(segment: &Segment) -> String {
    if segment.role.is_none() || segment.meaning.is_empty() {
        return String::new();
    }
    let place = match segment.from {
        Side::Client => "left of C",
        Side::Server => "right of S",
    };
    note(place, std::slice::from_ref(&segment.meaning))
}

fn note(place: &str, paragraphs: &[String]) -> String {
    let lines = paragraphs.iter().flat_map(|words| wrap(words, NOTE, columns));
    let lines: Vec<String> = lines.map(|line| escape(&line)).collect();
    format!("    Note {place}: {}\n", lines.join("<br/>"))
}

/// Text that Mermaid shows as it is: what it would read as the end of a statement, a comment, an entity, markup, a
/// directive or a formula is written as an entity of its own (`#59;`), and so is the first letter of the word `end`,
/// which closes a block wherever it stands.
fn escape(text: &str) -> String {
    let text = visible(text);
    let mut escaped = String::with_capacity(text.len());
    let mut word = String::new();
    let finish = |word: &mut String, escaped: &mut String| {
        if word.eq_ignore_ascii_case("end") {
            let letter = word.remove(0);
            escaped.push_str(&format!("#{};", u32::from(letter)));
        }
        escaped.push_str(word);
        word.clear();
    };
    for letter in text.chars() {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        finish(&mut word, &mut escaped);
        // At the beginning of a label `wrap:` is an order to Mermaid.
        let orders = matches!(escaped.to_ascii_lowercase().as_str(), "" | "wrap" | "nowrap");
        match letter {
            ':' if orders => escaped.push_str("#58;"),
            ' ' | '/' | '.' | ',' | '-' | '(' | ')' | '=' | '+' | ':' | '?' | '\'' => escaped.push(letter),
            other if other.is_ascii() => escaped.push_str(&format!("#{};", u32::from(other))),
            other => escaped.push(other),
        }
    }
    finish(&mut word, &mut escaped);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn the_race_is_told_in_the_order_of_the_packets() {
        let (trace, incident) = fixtures::crossed_fin();
        insta::assert_snapshot!("mermaid_crossed_fin", sequence(&trace, Some(&incident)));
    }

    #[test]
    fn what_mermaid_would_read_as_its_own_is_an_entity() {
        assert_eq!(escape("GET /a;b#c"), "GET /a#59;b#35;c");
        assert_eq!(escape("GET /end"), "GET /#101;nd");
        assert_eq!(escape("END endless"), "#69;ND endless");
        assert_eq!(escape("%%{init}<b>&\"`$$"), "#37;#37;#123;init#125;#60;b#62;#38;#34;#96;#36;#36;");
        assert_eq!(escape("two\nlines"), "two#92;nlines");
        assert_eq!([":wrap: a:b", "nowrap:a"].map(escape), ["#58;wrap: a:b", "nowrap#58;a"]);
    }

    #[test]
    fn each_line_is_one_statement_whatever_the_path() {
        let (mut trace, incident) = fixtures::crossed_fin();
        let lines = sequence(&trace, Some(&incident)).lines().count();
        for segment in &mut trace.segments {
            segment.label = "POST /x;end\nalt <script>alert(1)</script> #quot; %%".to_owned();
        }
        let text = sequence(&trace, Some(&incident));
        assert_eq!(text.lines().count(), lines);
        assert!(!text.contains("<script") && !text.contains(";end") && !text.contains("%%"), "{text}");
    }
}
