//! After which idle time each side of one server's connections closed, as a picture: the two timers and what lies
//! between them.

use plotters::prelude::*;

use super::ladder::{Align, Face};
use super::plot::{MARGIN, METRICS, Sheet, Trouble, WIDTH, color, time_ticks};
use super::style::{Theme, Tone};
use super::units::{count, counted, duration, setting};
use crate::report::{IdleClose, Server, Side, Verdict, likeness};

/// Height of the bars' field.
const FIELD: i32 = 250;
/// Left edge of the field: behind the counts.
const LEFT: i32 = 126;
/// Width of a bar.
const BAR: i32 = 8;
/// From a ratio of the longest time to the shortest on, times stand on a logarithmic scale.
const LOGARITHMIC_FROM: f64 = 15.0;

/// The horizontal scale: idle times to pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    from: f64,
    to: f64,
    logarithmic: bool,
}

/// A time that is pointed at.
struct Pointer {
    ns: i64,
    tone: Tone,
    words: String,
}

/// Draws one server's idle times; none when nobody closed an idle connection.
///
/// # Errors
/// When the drawing library refuses, which no report should bring about.
pub fn idle_times(server: &Server, theme: Theme) -> Result<Option<String>, Trouble> {
    if server.server_idle_close.is_none() && server.client_idle_close.is_none() {
        return Ok(None);
    }
    let pointers = pointers(server);
    let scale = Scale::of(server);
    let zone = zone(server, scale);
    let mut sheet =
        Sheet::new(&title(server), &server.advice, &description(server, &pointers, zone.as_ref()));
    let mut y = sheet.top;
    let mut leads = Vec::new();
    for pointer in &pointers {
        let x = scale.x(pointer.ns);
        let width = METRICS.measure(Face::Strong, &pointer.words);
        let (at, align) = if x + 8 + width <= WIDTH - MARGIN {
            (x + 8, Align::Left)
        } else if x - 8 - width >= MARGIN {
            (x - 8, Align::Right)
        } else {
            (MARGIN, Align::Left)
        };
        // The line of a time above runs through this row.
        sheet.patch([at, y], align, Face::Strong, pointer.tone, &pointer.words);
        leads.push((x, y + 3, pointer.tone));
        y += 22;
    }
    if let Some(Zone { from, to, tone, words }) = &zone {
        let (from, to) = (scale.x(*from), scale.x(*to));
        let half = METRICS.measure(Face::Strong, words) / 2;
        let middle = ((from + to) / 2).clamp(MARGIN + half, WIDTH - MARGIN - half);
        sheet.patch([middle, y], Align::Middle, Face::Strong, *tone, words);
        y += 22;
    }
    let (top, bottom) = (y + 4, y + 4 + FIELD);
    let bars = Bars::of(server, scale);
    let middle = bars.middle(top, bottom);
    axes(&mut sheet, scale, &bars, [top, middle, bottom]);
    sheet.height = bottom + 62;
    sheet
        .finish(theme, |area| {
            if let Some(Zone { from, to, tone, .. }) = &zone {
                let corners = [(scale.x(*from), top - 2), (scale.x(*to), bottom)];
                area.draw(&Rectangle::new(corners, color(*tone).mix(0.12).filled()))?;
            }
            for (tick, _) in scale.ticks() {
                let x = scale.x(tick);
                area.draw(&PathElement::new(vec![(x, top), (x, bottom)], color(Tone::Line).mix(0.4)))?;
            }
            bars.draw(area, middle)?;
            area.draw(&PathElement::new(
                vec![(LEFT, middle), (WIDTH - MARGIN, middle)],
                color(Tone::Muted).stroke_width(1),
            ))?;
            for (x, y, tone) in leads {
                area.draw(&PathElement::new(vec![(x, y), (x, bottom)], color(tone).stroke_width(2)))?;
            }
            Ok(())
        })
        .map(Some)
}

/// The headline: what the two timers are to each other.
fn title(server: &Server) -> String {
    let who = &server.server;
    match server.verdict {
        Verdict::AtRisk if server.path_forgets.is_some() && server.server_idle_close.is_none() => {
            format!("{who}: something between forgets connections")
        }
        Verdict::AtRisk => format!("{who} closes idle connections before its client gives them up"),
        Verdict::Safe => format!("{who}: the client gives up idle connections first"),
        Verdict::Unknown => format!("{who}: idle times, too few to tell who closes first"),
    }
}

/// The picture in sentences.
fn description(server: &Server, pointers: &[Pointer], zone: Option<&Zone>) -> String {
    let mut sentences =
        vec![format!("Idle times before a close, of {}.", counted(server.connections, "connection"))];
    sentences.extend(pointers.iter().map(|pointer| format!("{}.", pointer.words)));
    sentences.extend(zone.map(|zone| format!("{}.", zone.words)));
    sentences.push(server.advice.clone());
    sentences.join(" ")
}

/// The times that matter, in their order.
fn pointers(server: &Server) -> Vec<Pointer> {
    let closed = |who: &str, tone: Tone, close: &IdleClose| {
        let spread = match close.min_ns == close.max_ns {
            true => String::new(),
            false => format!(", {} to {} in all", duration(close.min_ns), duration(close.max_ns)),
        };
        let like =
            likeness(&close.looks_like).map_or_else(String::new, |name| format!("; looks like {name}"));
        let closes = counted(close.count, "close");
        let words = format!("the {who} closes after {} ({closes}{spread}{like})", duration(close.mode_ns));
        // A likeness is worth no cut line.
        let words = match METRICS.measure(Face::Strong, &words) > WIDTH - 2 * MARGIN {
            true => format!("the {who} closes after {} ({closes}{spread})", duration(close.mode_ns)),
            false => words,
        };
        Pointer { ns: close.mode_ns, tone, words }
    };
    let mut pointers = Vec::new();
    pointers.extend(server.server_idle_close.as_ref().map(|close| closed("server", Tone::Fin, close)));
    pointers.extend(server.client_idle_close.as_ref().map(|close| closed("client", Tone::Request, close)));
    pointers.extend(reused_ns(server).map(|ns| Pointer {
        ns,
        tone: Tone::Response,
        words: format!("the client still used connections after up to {} idle", duration(ns)),
    }));
    pointers.sort_by_key(|pointer| pointer.ns);
    pointers
}

fn reused_ns(server: &Server) -> Option<i64> {
    server.reused().map(|(longest, _)| longest)
}

/// The shaded stretch between the timers.
#[derive(Debug)]
struct Zone {
    from: i64,
    to: i64,
    tone: Tone,
    words: String,
}

/// Where a request may meet the server's close, or by how much the client is ahead of it.
fn zone(server: &Server, scale: Scale) -> Option<Zone> {
    let close = server.server_idle_close.as_ref();
    let client = server.client_idle_close.as_ref().map(|close| close.mode_ns);
    match (server.verdict, close) {
        (Verdict::AtRisk, Some(close)) => {
            let until = client.into_iter().chain(reused_ns(server)).max().filter(|ns| *ns > close.min_ns);
            let words = match until {
                Some(_) => "danger zone: a request sent now may cross the server’s FIN",
                None => "danger zone: the server closes, and the client was not seen to give up before",
            };
            Some(Zone {
                from: close.min_ns,
                to: until.unwrap_or(scale.longest()),
                tone: Tone::Reset,
                words: words.to_owned(),
            })
        }
        (Verdict::Safe, Some(close)) => {
            let client = client.filter(|ns| *ns < close.min_ns)?;
            Some(Zone {
                from: client,
                to: close.min_ns,
                tone: Tone::Response,
                words: format!(
                    "margin: {} in which nobody uses the connection",
                    duration(close.min_ns - client)
                ),
            })
        }
        _ => None,
    }
}

impl Scale {
    fn of(server: &Server) -> Scale {
        let sides = [&server.server_idle_close, &server.client_idle_close];
        let times = sides
            .into_iter()
            .flatten()
            .flat_map(|close| [close.min_ns, close.max_ns, close.mode_ns])
            .chain(reused_ns(server))
            .map(|ns| ns.max(1) as f64);
        let (shortest, longest) =
            times.fold((f64::MAX, 1.0), |(low, high), ns| (f64::min(low, ns), f64::max(high, ns)));
        match longest / shortest >= LOGARITHMIC_FROM {
            true => Scale { from: shortest / 1.6, to: longest * 1.6, logarithmic: true },
            false => Scale { from: 0.0, to: longest * 1.12, logarithmic: false },
        }
    }

    /// The pixel of an idle time.
    fn x(self, ns: i64) -> i32 {
        let ns = (ns as f64).clamp(self.from, self.to);
        let share = match self.logarithmic {
            true => (ns / self.from).ln() / (self.to / self.from).ln(),
            false => (ns - self.from) / (self.to - self.from),
        };
        LEFT + (share * f64::from(WIDTH - MARGIN - LEFT)).round() as i32
    }

    fn longest(self) -> i64 {
        self.to as i64
    }

    /// Idle times that are written below the field.
    fn ticks(self) -> Vec<(i64, String)> {
        if !self.logarithmic {
            return time_ticks(self.from as i64, self.to as i64, 8);
        }
        let mut times = Vec::new();
        let mut decade = 1_i64;
        while (decade as f64) < self.to && decade < i64::MAX / 10 {
            let shown = |ns: &i64| (*ns as f64) >= self.from && (*ns as f64) <= self.to;
            times.extend(
                [1, 2, 5].map(|it| it * decade).into_iter().filter(shown).map(|ns| (ns, setting(ns))),
            );
            decade *= 10;
        }
        times
    }
}

/// Closes in bars of the same width: the server's upwards, the client's downwards.
#[derive(Debug, Default)]
struct Bars {
    up: Vec<(i32, u64)>,
    down: Vec<(i32, u64)>,
}

impl Bars {
    fn of(server: &Server, scale: Scale) -> Bars {
        let side = |close: &Option<IdleClose>| {
            let mut bars: Vec<(i32, u64)> = Vec::new();
            for bucket in close.iter().flat_map(|close| &close.histogram) {
                let middle = bucket.from_ns.midpoint(bucket.to_ns);
                let x = scale.x(middle);
                // What would overlap is one bar.
                match bars.iter_mut().find(|(at, _)| (*at - x).abs() < BAR) {
                    Some((_, closes)) => *closes = closes.saturating_add(bucket.count),
                    None => bars.push((x, bucket.count)),
                }
            }
            bars
        };
        Bars { up: side(&server.server_idle_close), down: side(&server.client_idle_close) }
    }

    fn most(bars: &[(i32, u64)]) -> u64 {
        bars.iter().map(|(_, closes)| *closes).max().unwrap_or(0)
    }

    /// Pixels that one close is worth, the same upwards and downwards.
    fn pixels(&self) -> f64 {
        let most = Bars::most(&self.up).saturating_add(Bars::most(&self.down)).max(1);
        f64::from(FIELD - 20) / most as f64
    }

    /// Where both sides' bars begin.
    fn middle(&self, top: i32, bottom: i32) -> i32 {
        let up = (Bars::most(&self.up) as f64 * self.pixels()).round() as i32;
        let least = if self.up.is_empty() { 0 } else { 34 };
        let room = if self.down.is_empty() { 0 } else { 34 };
        (top + up + 10).clamp(top + least, bottom - room)
    }

    fn draw(&self, area: &super::plot::Area<'_>, middle: i32) -> Result<(), Trouble> {
        let pixels = self.pixels();
        for (bars, side) in [(&self.up, Side::Server), (&self.down, Side::Client)] {
            let tone = if side == Side::Server { Tone::Fin } else { Tone::Request };
            for (x, closes) in bars {
                // The rarest close is seen as well.
                let height = ((*closes as f64 * pixels).round() as i32).max(3);
                let to = if side == Side::Server { middle - height } else { middle + height };
                area.draw(&Rectangle::new(
                    [(x - BAR / 2 + 1, middle.min(to)), (x + BAR / 2 - 1, middle.max(to))],
                    color(tone).filled(),
                ))?;
            }
        }
        Ok(())
    }
}

/// Words around the field: counts at its left, times below it.
fn axes(sheet: &mut Sheet, scale: Scale, bars: &Bars, [top, middle, bottom]: [i32; 3]) {
    let pixels = bars.pixels();
    for (side, most, towards) in [("server", Bars::most(&bars.up), -1), ("client", Bars::most(&bars.down), 1)]
    {
        if most == 0 {
            continue;
        }
        let tone = if towards < 0 { Tone::Fin } else { Tone::Request };
        let y = middle + towards * (most as f64 * pixels).round() as i32;
        let at = (y - 8).clamp(top - 2, bottom - 15);
        sheet.word([LEFT - 12, at], Align::Right, Face::Time, Tone::Muted, &count(most));
        let name = if towards < 0 { at + 17 } else { at - 17 };
        sheet.word_if_free([LEFT - 12, name], Align::Right, Face::Plain, tone, &format!("{side} closed"));
    }
    for (tick, words) in scale.ticks() {
        sheet.word_if_free([scale.x(tick), bottom + 8], Align::Middle, Face::Time, Tone::Muted, &words);
    }
    let axis = match scale.logarithmic {
        true => "idle time before the close, logarithmic",
        false => "idle time before the close",
    };
    sheet.word([(LEFT + WIDTH - MARGIN) / 2, bottom + 28], Align::Middle, Face::Plain, Tone::Ink, axis);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::ladder::png;
    use crate::report::IdleBucket;

    const MS: i64 = 1_000_000;

    fn close(buckets: &[(i64, i64, u64)]) -> IdleClose {
        let histogram: Vec<IdleBucket> = buckets
            .iter()
            .map(|&(from, to, count)| IdleBucket { from_ns: from * MS, to_ns: to * MS, count })
            .collect();
        let most = histogram.iter().max_by_key(|bucket| bucket.count).unwrap();
        IdleClose {
            count: histogram.iter().map(|bucket| bucket.count).sum(),
            mode_ns: most.from_ns,
            min_ns: histogram[0].from_ns,
            max_ns: histogram[histogram.len() - 1].to_ns,
            looks_like: Vec::new(),
            histogram,
        }
    }

    fn server(
        verdict: Verdict,
        server: Option<IdleClose>,
        client: Option<IdleClose>,
        reuse_ms: i64,
    ) -> Server {
        Server {
            server: "192.0.2.2:8080".to_owned(),
            connections: 120,
            server_idle_close: server,
            client_idle_close: client,
            longest_reuse_ns: Some(reuse_ms * MS),
            path_forgets: None,
            reused_at_least_ns: None,
            closed_at_least_ns: None,
            verdict,
            advice: "Raise the server’s idle timeout above the client’s: 65 s over 60 s.".to_owned(),
        }
    }

    #[test]
    fn the_danger_zone_lies_between_the_timers_and_only_where_there_is_danger() {
        let at_risk = server(
            Verdict::AtRisk,
            Some(close(&[(5_000, 5_003, 9)])),
            Some(close(&[(60_000, 60_010, 4)])),
            4_000,
        );
        let zone_of = |server: &Server| {
            zone(server, Scale::of(server)).map(|zone| (zone.from / MS, zone.to / MS, zone.tone))
        };
        assert_eq!(zone_of(&at_risk), Some((5_000, 60_000, Tone::Reset)));
        let safe = server(
            Verdict::Safe,
            Some(close(&[(65_000, 65_003, 9)])),
            Some(close(&[(60_000, 60_010, 4)])),
            4_000,
        );
        assert_eq!(zone_of(&safe), Some((60_000, 65_000, Tone::Response)));
        let unknown = server(Verdict::Unknown, None, Some(close(&[(60_000, 60_010, 4)])), 4_000);
        assert_eq!(zone_of(&unknown), None);
        let silent = server(Verdict::AtRisk, Some(close(&[(5_000, 5_003, 9)])), None, 4_400);
        assert!(idle_times(&silent, Theme::Auto).unwrap().unwrap().contains("not seen to give up before"));
    }

    #[test]
    fn a_server_whose_connections_nobody_closed_has_no_picture() {
        let nothing = server(Verdict::Unknown, None, None, 4_000);
        assert!(idle_times(&nothing, Theme::Auto).unwrap().is_none());
    }

    #[test]
    fn names_of_servers_stay_text() {
        let mut hostile = server(Verdict::AtRisk, Some(close(&[(5_000, 5_003, 9)])), None, 4_400);
        hostile.server = "</text><script>&\u{1b}[2J".to_owned();
        let svg = idle_times(&hostile, Theme::Auto).unwrap().unwrap();
        assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && svg.matches("</svg>").count() == 1);
        assert!(png(&svg).is_ok());
    }
}
