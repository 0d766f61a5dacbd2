//! The segments of one connection in the manner of a packet list, each with what it means in plain words.

use super::columns::{Cell, Columns, Edge};
use super::style::{TextOptions, Tone};
use super::units::relative;
use super::visible::visible;
use crate::report::{Clocks, Segment, Side, Trace};

/// Writes the packet table of a trace, a line end after each line.
///
/// Frame numbers are Wireshark's, with two captures `288/291`: in the first and in the other. Times are relative to
/// [`Trace::zero_ns`]; of several files each has its number below the table. Rows that are evidence are marked and bold.
pub fn segments(trace: &Trace, options: TextOptions) -> String {
    let both = trace.clocks == Clocks::Both;
    let mut headings = vec![("", Edge::Left), ("frame", Edge::Right)];
    headings.push((if both { "sent" } else { "time" }, Edge::Right));
    if both {
        headings.push(("arrives", Edge::Right));
    }
    headings.extend([
        ("from → to", Edge::Left),
        ("flags", Edge::Left),
        ("seq", Edge::Right),
        ("ack", Edge::Right),
        ("len", Edge::Right),
        ("what it means", Edge::Left),
    ]);
    let rows = trace.segments.iter().map(|segment| row(trace, segment, both)).collect();
    let mut text = Columns { headings, rows, indent: 0 }.text(options);
    for (number, file) in (1..).zip(&trace.files) {
        if trace.segments.iter().any(|segment| segment.file + 1 == number) {
            text += &options.paint(&format!("{number}: {}", visible(file)), Tone::Muted, false);
            text.push('\n');
        }
    }
    if trace.omitted > 0 {
        let line = format!("{} left out: they add nothing", super::units::counted(trace.omitted, "segment"));
        text += &options.paint(&line, Tone::Muted, false);
        text.push('\n');
    }
    text
}

fn row(trace: &Trace, segment: &Segment, both: bool) -> Vec<Cell> {
    let evidence = segment.role.is_some();
    let tone = Tone::from(segment.kind);
    let number = |text: String| Cell::toned(text, if evidence { Tone::Ink } else { Tone::Muted });
    let time = |ns: i64| relative(ns.saturating_sub(trace.zero_ns));
    let [client, server] = [&trace.lanes[0].name, &trace.lanes[1].name];
    let way = match segment.from {
        Side::Client => format!("{client} → {server}"),
        Side::Server => format!("{server} → {client}"),
    };
    let flags = if segment.count > 1 {
        format!("{} ×{}", segment.flags, segment.count)
    } else {
        segment.flags.clone()
    };
    let mut cells = vec![
        Cell::toned(if evidence { "●" } else { " " }, tone),
        number(frames(trace, segment)),
        number(time(segment.sent_ns)),
    ];
    if both {
        cells.push(number(segment.received_ns.map_or_else(|| "not seen".to_owned(), time)));
    }
    let flags = Cell::toned(flags, tone);
    cells.extend([
        number(way),
        if evidence { flags.strong() } else { flags },
        number(segment.seq.to_string()),
        number(segment.ack.map_or_else(String::new, |ack| ack.to_string())),
        number(segment.len.to_string()),
        number(match &segment.meaning {
            // The flags have said it.
            nothing if nothing.is_empty() && segment.label == segment.flags => String::new(),
            nothing if nothing.is_empty() => segment.label.clone(),
            meaning => meaning.clone(),
        }),
    ]);
    cells
}

/// `288`, or `288/291`; a dash stands for the capture that does not have it. Of several files `2:288`, in the second one.
pub(super) fn frames(trace: &Trace, segment: &Segment) -> String {
    let frame = match segment.frame {
        0 => "–".to_owned(),
        frame if trace.files.is_empty() => frame.to_string(),
        frame => format!("{}:{frame}", segment.file + 1),
    };
    segment.peer_frame.map_or_else(|| frame.clone(), |peer| format!("{frame}/{peer}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;
    use crate::render::wrap::columns;

    fn options(width: u16) -> TextOptions {
        TextOptions { width, color: false, unicode: true }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let traces = [fixtures::crossed_fin().0, fixtures::reset_storm().0, fixtures::healthy()];
        for trace in traces {
            for width in [72, 80, 100, 120, 160] {
                for line in segments(&trace, options(width)).lines() {
                    assert!(columns(line) <= i32::from(width), "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn the_race_reads_as_a_packet_list() {
        insta::assert_snapshot!("packet_table_120", segments(&fixtures::crossed_fin().0, options(120)));
        insta::assert_snapshot!("packet_table_80", segments(&fixtures::crossed_fin().0, options(80)));
    }

    #[test]
    fn a_storm_of_resets_is_one_row() {
        let text = segments(&fixtures::reset_storm().0, options(120));
        assert_eq!(text.lines().filter(|line| line.contains("RST ×11")).count(), 1, "{text}");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let trace = fixtures::crossed_fin().0;
        let coloured = segments(&trace, TextOptions { color: true, ..options(100) });
        let mut plain = String::new();
        let mut parts = coloured.split('\x1b');
        plain += parts.next().unwrap();
        for part in parts {
            plain += part.split_once('m').unwrap().1;
        }
        assert_eq!(plain, segments(&trace, options(100)));
    }
}
