//! After which idle time each side closed, as bars in text: one server's histogram.

use super::columns::blanks;
use super::page::Page;
use super::report_text::reused;
use super::style::Tone;
use super::units::{count, duration};
use super::wrap::columns;
use crate::report::{IdleBucket, IdleClose, Server, Side, likeness};

/// More rows than this, and nobody sees the peaks.
const MOST_ROWS: usize = 12;
/// How much longer the longest idle time of a row may be than its shortest, in percent: the first that makes few enough
/// rows.
const WIDTHS_PERCENT: [i64; 8] = [2, 5, 10, 20, 50, 100, 400, i64::MAX];
/// Columns of the longest bar at least and at most.
const BARS: (i32, i32) = (10, 60);

/// One row: closes of one side after about the same idle time.
struct Row {
    from_ns: i64,
    to_ns: i64,
    side: Side,
    closes: u64,
}

impl Page {
    /// Draws when the two sides of one server's connections closed, and up to when the client used them.
    pub(super) fn idle_chart(&mut self, server: &Server) {
        let rows = rows(server);
        if rows.is_empty() {
            return;
        }
        let heading = format!("{}, idle time before the close", server.server);
        self.paragraph(&heading, Tone::Ink, true, 0);
        let labels: Vec<String> = rows.iter().map(label).collect();
        let reuse = server.reused().map(|(ns, _)| (ns, reused(server)));
        let widest = labels.iter().chain(reuse.iter().map(|(_, label)| label)).map(|it| columns(it)).max();
        let widest = widest.unwrap_or(0);
        let most = rows.iter().map(|row| row.closes).max().unwrap_or(1);
        let counted = columns(&count(most));
        // Two blanks before the label, after it, after the words, and before the count.
        let room = self.options.columns() - widest - columns(CLOSED[0]) - counted - 8;
        let longest = room.clamp(BARS.0, BARS.1);
        let mut reuse = reuse;
        for (row, label) in rows.iter().zip(&labels) {
            if let Some((_, used)) = reuse.take_if(|(ns, _)| *ns < row.from_ns) {
                self.reused(&used, widest);
            }
            let filled = (row.closes as f64 / most as f64 * f64::from(longest)).round() as i32;
            let (tone, block) = match row.side {
                Side::Server => (Tone::Fin, "█"),
                Side::Client => (Tone::Request, "▒"),
            };
            let bar = block.repeat(usize::try_from(filled.max(1)).unwrap_or(1));
            self.text += &blanks(2 + widest - columns(label));
            self.text += &self.options.paint(label, Tone::Ink, false);
            self.text += &format!("  {}  ", CLOSED[row.side as usize]);
            self.text += &self.options.paint(&bar, tone, false);
            self.text += &format!("  {}\n", count(row.closes));
        }
        if let Some((_, used)) = reuse {
            self.reused(&used, widest);
        }
        for (side, close) in [("server", &server.server_idle_close), ("client", &server.client_idle_close)] {
            if let Some(sentence) = close.as_ref().and_then(looks_like) {
                self.paragraph(&format!("The {side}: {sentence}"), Tone::Ink, false, 2);
            }
        }
        self.blank();
    }

    fn reused(&mut self, label: &str, widest: i32) {
        let line = format!("{}{label}  ", blanks(2 + widest - columns(label)));
        self.text += &self.options.spell(&line);
        self.text += &self.options.paint("◆ used again after up to this idle time", Tone::Response, true);
        self.blank();
    }
}

/// By side, as wide as each other.
const CLOSED: [&str; 2] = ["client closed", "server closed"];

/// `5.001 s looks like the default of Node.js http.Server (server.keepAliveTimeout).`, where it does.
pub(super) fn looks_like(close: &IdleClose) -> Option<String> {
    let named = likeness(&close.looks_like)?;
    Some(format!("{} looks like the default of {named}.", duration(close.mode_ns)))
}

/// The rows of both sides in the order of their idle times.
fn rows(server: &Server) -> Vec<Row> {
    let sides = [(Side::Server, &server.server_idle_close), (Side::Client, &server.client_idle_close)];
    let mut rows = Vec::new();
    for percent in WIDTHS_PERCENT {
        rows.clear();
        for (side, close) in sides {
            let Some(close) = close else { continue };
            let first = rows.len();
            for bucket in &close.histogram {
                join(&mut rows, first, side, bucket, percent);
            }
        }
        if rows.len() <= MOST_ROWS {
            break;
        }
    }
    rows.sort_by_key(|row: &Row| (row.from_ns, row.side));
    rows
}

/// Adds a bucket to the last row of its side, if the row stays narrow enough; otherwise it begins a row.
fn join(rows: &mut Vec<Row>, first: usize, side: Side, bucket: &IdleBucket, percent: i64) {
    let IdleBucket { from_ns, to_ns, count } = *bucket;
    if let Some(last) = rows[first..].last_mut() {
        let widest_ns = (last.from_ns / 100).saturating_mul(percent);
        if to_ns.saturating_sub(last.from_ns) <= widest_ns {
            last.to_ns = to_ns;
            last.closes += count;
            return;
        }
    }
    rows.push(Row { from_ns, to_ns, side, closes: count });
}

/// `5.001 s`, or `4.998 s – 5.003 s`.
fn label(row: &Row) -> String {
    let (from, to) = (duration(row.from_ns), duration(row.to_ns));
    if from == to { from } else { format!("{from} – {to}") }
}

#[cfg(test)]
mod tests {
    use super::super::style::TextOptions;
    use super::*;
    use crate::report::{LooksLike, Verdict};

    const MS: i64 = 1_000_000;

    fn close(buckets: &[(i64, i64, u64)]) -> Option<IdleClose> {
        let histogram: Vec<IdleBucket> = buckets
            .iter()
            .map(|&(from, to, count)| IdleBucket { from_ns: from * MS, to_ns: to * MS, count })
            .collect();
        let most = histogram.iter().max_by_key(|bucket| bucket.count)?;
        Some(IdleClose {
            count: histogram.iter().map(|bucket| bucket.count).sum(),
            mode_ns: most.from_ns,
            min_ns: histogram.first()?.from_ns,
            max_ns: histogram.last()?.to_ns,
            looks_like: Vec::new(),
            histogram,
        })
    }

    fn server(server: Option<IdleClose>, client: Option<IdleClose>) -> Server {
        Server {
            server: "192.0.2.2:8080".to_owned(),
            connections: 120,
            server_idle_close: server,
            client_idle_close: client,
            longest_reuse_ns: Some(4_419 * MS),
            path_forgets: None,
            reused_at_least_ns: None,
            closed_at_least_ns: None,
            verdict: Verdict::AtRisk,
            advice: String::new(),
        }
    }

    fn chart(server: &Server, width: u16, unicode: bool) -> String {
        let mut page = Page::new(TextOptions { width, color: false, unicode });
        page.idle_chart(server);
        page.text
    }

    fn mismatched() -> Server {
        let mut mismatched = server(
            close(&[(900, 900, 1), (4_998, 5_001, 92), (5_040, 5_060, 5)]),
            close(&[(60_002, 60_010, 11)]),
        );
        mismatched.server_idle_close.as_mut().unwrap().looks_like = vec![LooksLike {
            product: "uvicorn".to_owned(),
            name: "Uvicorn".to_owned(),
            setting: Some("timeout_keep_alive".to_owned()),
            default_ns: 5_000 * MS,
            versions: None,
        }];
        mismatched
    }

    #[test]
    fn both_sides_and_the_longest_reuse_are_on_one_scale() {
        insta::assert_snapshot!("idle_chart_100", chart(&mismatched(), 100, true));
        insta::assert_snapshot!("idle_chart_ascii_72", chart(&mismatched(), 72, false));
    }

    #[test]
    fn a_chart_has_few_rows_and_fits_however_many_buckets_there_are() {
        let buckets: Vec<(i64, i64, u64)> =
            (1..64).map(|step| (step * step * 100, step * step * 100 + 7, 1_000_000)).collect();
        let both = server(close(&buckets), close(&buckets));
        for width in [72, 80, 120, 160] {
            let text = chart(&both, width, true);
            assert!(text.lines().count() <= MOST_ROWS + 4, "{text}");
            for line in text.lines() {
                assert!(columns(line) <= i32::from(width), "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_server_whose_connections_nobody_closed_has_no_chart() {
        assert_eq!(chart(&server(None, None), 80, true), "");
    }
}
