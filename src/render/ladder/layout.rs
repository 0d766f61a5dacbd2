//! Where everything stands: one pass down the instants gives each its y, then arrows, words and marks follow.

use super::Outcome;
use super::instants::{End, Instant, instants, shortest_fold};
use super::labels;
use super::metrics::Metrics;
use super::model::{Align, Arrow, Dot, Face, Fold, Ladder, LaneDrawing, Mark, Words};
use super::story::{Line, Story, lane};
use crate::render::style::Tone;
use crate::render::wrap::wrap;
use crate::report::{Cause, Clocks, Incident, SegmentKind, Side, Trace};

/// Lays out one trace for one medium.
pub fn ladder(trace: &Trace, incident: Option<&Incident>, outcome: &Outcome, metrics: Metrics) -> Ladder {
    let story = Story { trace, incident, outcome };
    let mut ladder = Ladder {
        metrics,
        clocks: trace.clocks,
        title: story.title(),
        description: story.description(),
        height: 0,
        lanes: lanes(&story, &metrics),
        lane_span: [0, 0],
        arrows: Vec::new(),
        dots: Vec::new(),
        folds: Vec::new(),
        marks: Vec::new(),
        words: Vec::new(),
        foot: None,
    };
    let below_head = head(&story, &mut ladder);
    ladder.lane_span[0] = below_head;
    let mut pen = Pen::new(story, &mut ladder, below_head + metrics.body_gap);
    pen.place_instants();
    let below_body = pen.bottom();
    ladder.lane_span[1] = below_body + metrics.body_gap / 2;
    marks(&story, &mut ladder);
    if !metrics.cells {
        labels::place(&mut ladder);
    }
    foot(&story, &mut ladder);
    ladder
}

/// The boxes at the head of the lanes; their height comes with the head.
fn lanes(story: &Story, metrics: &Metrics) -> [LaneDrawing; 2] {
    [Side::Client, Side::Server].map(|side| {
        let it = &story.trace.lanes[lane(side)];
        let text =
            metrics.measure(Face::Heading, &it.name).max(metrics.measure(Face::Address, &it.address)) + 28;
        let widest = metrics.lane_x[1] - metrics.lane_x[0] - 10;
        LaneDrawing {
            x: metrics.lane_x[lane(side)],
            top: 0,
            width: text.max(150).min(widest),
            height: 0,
            observed: story.unobserved() != Some(side),
        }
    })
}

/// Headline, subtitle and lane headings; returns where the life lines begin.
fn head(story: &Story, ladder: &mut Ladder) -> i32 {
    let metrics = ladder.metrics;
    let mut y = if metrics.cells { 0 } else { 24 };
    let free = metrics.width - 2 * metrics.margin;
    for (face, tone, text) in
        [(Face::Title, Tone::Ink, story.title()), (Face::Subtitle, Tone::Muted, story.subtitle())]
    {
        for line in wrap(&text, free, |part| metrics.measure(face, part)) {
            ladder.words.push(Words {
                x: metrics.margin,
                y,
                align: Align::Left,
                face,
                tone,
                text: line,
                segment: None,
            });
            y += metrics.line(face);
        }
    }
    y += if metrics.cells { 1 } else { 18 };
    let padding = if metrics.cells { 0 } else { 6 };
    let mut below = y;
    for side in [Side::Client, Side::Server] {
        let (it, drawing) = (&story.trace.lanes[lane(side)], &mut ladder.lanes[lane(side)]);
        let mut lines = vec![
            (Face::Heading, Tone::Ink, it.name.as_str()),
            (Face::Address, Tone::Muted, it.address.as_str()),
        ];
        if story.unobserved().is_some() {
            let here = if drawing.observed { "(captured here)" } else { "(not captured)" };
            lines.push((Face::Address, Tone::Muted, here));
        }
        drawing.top = y;
        let mut line_y = y + padding;
        let widest = drawing.width.min(2 * drawing.x).min(2 * (metrics.width - drawing.x)) - 2 * padding;
        for (face, tone, text) in lines {
            let text = clip(text, widest, &metrics, face);
            ladder.words.push(Words {
                x: drawing.x,
                y: line_y,
                align: Align::Middle,
                face,
                tone,
                text,
                segment: None,
            });
            line_y += metrics.line(face);
        }
        drawing.height = line_y + padding - y;
        below = below.max(line_y + padding);
    }
    for drawing in &mut ladder.lanes {
        drawing.height = below - y;
    }
    below
}

/// The box at the end that says why and what to do; sets the height of the whole.
fn foot(story: &Story, ladder: &mut Ladder) {
    let metrics = ladder.metrics;
    let paragraphs = story.foot();
    let mut y = ladder.lane_span[1] + if metrics.cells { 1 } else { 12 };
    if paragraphs.is_empty() {
        ladder.height = ladder.lane_span[1] + metrics.margin + metrics.step;
        return;
    }
    let top = y;
    y += metrics.foot_padding;
    let x = metrics.margin + metrics.foot_padding;
    for paragraph in paragraphs {
        for text in wrap(&paragraph, metrics.width - 2 * x, |part| metrics.measure(Face::Foot, part)) {
            ladder.words.push(Words {
                x,
                y,
                align: Align::Left,
                face: Face::Foot,
                tone: Tone::Ink,
                text,
                segment: None,
            });
            y += metrics.line(Face::Foot);
        }
    }
    y += metrics.foot_padding;
    ladder.foot = Some([top, y - top]);
    ladder.height = y + metrics.margin / 2;
}

/// Goes down the instants and remembers what is already drawn above.
struct Pen<'a> {
    story: Story<'a>,
    ladder: &'a mut Ladder,
    /// The last instant.
    y: i32,
    /// Below the words on each side.
    words_end: [i32; 2],
    /// The last segment sent from and received at each side.
    last_sent: [Option<i32>; 2],
    last_received: [Option<i32>; 2],
    /// Where each segment left.
    sent_at: Vec<i32>,
    /// The lowest point of an arrow.
    lowest: i32,
    /// Below the last fold.
    ceiling: i32,
}

impl<'a> Pen<'a> {
    fn new(story: Story<'a>, ladder: &'a mut Ladder, top: i32) -> Self {
        let segments = story.trace.segments.len();
        Pen {
            story,
            y: top - ladder.metrics.step,
            words_end: [top - ladder.metrics.note_gap - ladder.metrics.note_rise; 2],
            last_sent: [None; 2],
            last_received: [None; 2],
            sent_at: vec![top; segments],
            lowest: top,
            ceiling: top,
            ladder,
        }
    }

    /// Below everything drawn so far.
    fn bottom(&self) -> i32 {
        (self.lowest + self.ladder.metrics.step).max(self.words_end[0]).max(self.words_end[1])
    }

    fn place_instants(&mut self) {
        let trace = self.story.trace;
        let instants = instants(trace);
        let shortest_fold = shortest_fold(trace, &instants);
        self.ladder.arrows = trace.segments.iter().enumerate().map(|(index, _)| self.arrow(index)).collect();
        let mut in_flight = 0_usize;
        for (position, instant) in instants.iter().enumerate() {
            let least = match position.checked_sub(1).map(|before| instants[before].time_ns) {
                Some(before) if in_flight == 0 && instant.time_ns.saturating_sub(before) >= shortest_fold => {
                    self.fold(instant.time_ns - before, *instant)
                }
                _ => self.y + self.ladder.metrics.step,
            };
            self.place(*instant, least);
            let arrives =
                trace.clocks == Clocks::Both && trace.segments[instant.segment].received_ns.is_some();
            match instant.end {
                End::Sent => in_flight += usize::from(arrives),
                End::Received => in_flight -= 1,
            }
        }
    }

    fn arrow(&self, index: usize) -> Arrow {
        let segment = &self.story.trace.segments[index];
        Arrow {
            segment: index,
            frame: segment.frame,
            peer_frame: segment.peer_frame,
            file: segment.file,
            from: segment.from,
            kind: segment.kind,
            y_sent: 0,
            y_received: None,
            inferred_at: self.story.unobserved(),
            label: self.story.label(segment),
            short_label: segment.label.clone(),
            label_at: 50,
            label_below: false,
        }
    }

    /// Leaves a quiet time out; returns where the next instant may stand.
    fn fold(&mut self, length_ns: i64, until: Instant) -> i32 {
        let [before, height, after] = self.ladder.metrics.fold;
        let above = self.lowest.max(self.y).max(self.words_end[0] - 1).max(self.words_end[1] - 1);
        let y = above + before;
        let by = until.side(self.story.trace);
        let label = self.story.quiet(length_ns, until.segment, by, until.time_ns);
        self.ladder.folds.push(Fold { y, label });
        self.words_end = [y + height; 2];
        self.ceiling = y + height;
        self.last_sent = [None; 2];
        self.last_received = [None; 2];
        y + height + after
    }

    /// Gives one instant its y, not above `least`, and writes its words.
    fn place(&mut self, instant: Instant, least: i32) {
        let metrics = self.ladder.metrics;
        let trace = self.story.trace;
        let side = instant.side(trace);
        let mut y = least;
        let mut notes = vec![(side, self.note(instant, instant.end))];
        if trace.clocks == Clocks::One {
            notes.push((side.peer(), self.note(instant, End::Received)));
        } else if trace.segments[instant.segment].received_ns.is_none() {
            notes.push((side.peer(), vec![(Face::Plain, Tone::Muted, "not seen to arrive".to_owned())]));
        }
        for (side, lines) in &notes {
            if !lines.is_empty() {
                y = y.max(self.words_end[lane(*side)] + metrics.note_gap + metrics.note_rise);
            }
        }
        let neighbour = match instant.end {
            End::Sent if trace.clocks == Clocks::One => self.last_sent[0].max(self.last_sent[1]),
            End::Sent => self.last_sent[lane(side)],
            End::Received => self.last_received[lane(side)],
        };
        y = neighbour.map_or(y, |above| y.max(above + metrics.same_direction));
        y = y.max(self.clearance(instant));
        if let Some(height) = self.inference_height(instant) {
            let above = self.ceiling.max(self.y);
            y = y.max(above + height);
            let lines = inference_lines(&self.story, &metrics);
            self.ladder.marks.push(Mark::InferredCrossing { y: [above, y], lines });
        }
        self.settle(instant, side, y);
        for (side, lines) in notes {
            self.write(side, y, &lines, instant);
        }
    }

    /// What the story needs between two of its instants.
    fn clearance(&self, instant: Instant) -> i32 {
        let metrics = self.ladder.metrics;
        let meeting = self.story.meeting();
        let is = |index: usize| instant.segment == index;
        match (instant.end, meeting) {
            (End::Received, _) => self.sent_at[instant.segment] + self.drop(instant.segment),
            // Room for the words in the window in which a request is already lost.
            (End::Sent, Some((request, met)))
                if !metrics.cells && is(request) && self.ladder.arrows[met].y_sent > 0 =>
            {
                self.sent_at[met] + metrics.same_direction
            }
            _ => i32::MIN,
        }
    }

    /// The height of what is inferred of this instant and the one it is concluded to have crossed, if that one is already
    /// drawn.
    fn inference_height(&self, instant: Instant) -> Option<i32> {
        let (request, met) = self.story.meeting().filter(|_| self.story.crossing_is_inferred())?;
        let other = match instant.segment {
            it if it == request => met,
            it if it == met => request,
            _ => return None,
        };
        self.ladder.arrows[other].y_received?;
        let metrics = self.ladder.metrics;
        let lines =
            inference_lines(&self.story, &metrics).iter().map(|_| metrics.line(Face::Strong)).sum::<i32>();
        Some(lines + metrics.inference_padding[1])
    }

    /// How far a segment sinks at least on its way.
    fn drop(&self, index: usize) -> i32 {
        let metrics = self.ladder.metrics;
        let segments = &self.story.trace.segments;
        let in_meeting = self.story.meeting().is_some_and(|(request, met)| index == request || index == met);
        let crosses = |a: usize, b: usize| {
            let (a, b) = (&segments[a], &segments[b]);
            a.received_ns.is_none_or(|at| b.sent_ns < at) && b.received_ns.is_none_or(|at| a.sent_ns < at)
        };
        match self.story.meeting() {
            Some((request, met)) if in_meeting && crosses(request, met) => metrics.story_drop,
            _ if segments[index].role.is_some() && segments[index].kind == SegmentKind::Reset => {
                metrics.answer_drop
            }
            _ => metrics.drop,
        }
    }

    /// Writes the instant's y into its arrow.
    fn settle(&mut self, instant: Instant, side: Side, y: i32) {
        let drop = self.drop(instant.segment);
        let arrow = &mut self.ladder.arrows[instant.segment];
        self.y = y;
        self.lowest = self.lowest.max(y);
        match instant.end {
            End::Sent => {
                arrow.y_sent = y;
                self.sent_at[instant.segment] = y;
                self.last_sent[lane(side)] = Some(y);
                if self.story.trace.clocks == Clocks::One {
                    arrow.y_received = Some(y);
                } else if self.story.trace.segments[instant.segment].received_ns.is_none() {
                    self.lowest = self.lowest.max(y + drop);
                }
            }
            End::Received => {
                arrow.y_received = Some(y);
                self.last_received[lane(side)] = Some(y);
            }
        }
    }

    /// The lines beside an instant, the time first.
    fn note(&self, instant: Instant, end: End) -> Vec<Line> {
        let trace = self.story.trace;
        let segment = &trace.segments[instant.segment];
        let side = if end == End::Sent { segment.from } else { segment.from.peer() };
        let words = self.story.words(instant.segment, end);
        let far = self.story.unobserved();
        let timed = match (trace.clocks, end) {
            (Clocks::Both, End::Sent) => segment.kind != SegmentKind::Ack && !self.answers_at_once(instant),
            (Clocks::Both, End::Received) => false,
            // One capture point: its side has all the times; where it is unknown, each sender's side.
            (Clocks::One, _) => {
                segment.kind != SegmentKind::Ack && far.map_or(end == End::Sent, |far| side != far)
            }
        };
        let shows_time = timed || !words.is_empty();
        let first = match far {
            _ if !shows_time => None,
            Some(far) if far == side => Some("inferred".to_owned()),
            None if trace.clocks == Clocks::One && end == End::Received => None,
            _ => Some(self.story.clock(instant.time_ns)),
        };
        first.map(|time| (Face::Time, Tone::Muted, time)).into_iter().chain(words).collect()
    }

    /// A segment that says nothing of its own and leaves in the moment another arrived: its time is told already.
    fn answers_at_once(&self, instant: Instant) -> bool {
        const AT_ONCE_NS: i64 = 1_000_000;
        let segments = &self.story.trace.segments;
        let from = segments[instant.segment].from;
        self.story.words(instant.segment, End::Sent).is_empty()
            && segments[..instant.segment].iter().filter(|it| it.from != from).any(|it| {
                it.received_ns.is_some_and(|at| (0..AT_ONCE_NS).contains(&instant.time_ns.saturating_sub(at)))
                    && !self.story.words(self.position(it), End::Received).is_empty()
            })
    }

    fn position(&self, segment: &crate::report::Segment) -> usize {
        self.story.trace.segments.iter().position(|it| std::ptr::eq(it, segment)).unwrap_or_default()
    }

    /// Writes the lines beside an instant, and its dot.
    fn write(&mut self, side: Side, y: i32, lines: &[Line], instant: Instant) {
        let metrics = self.ladder.metrics;
        let (x, align) = match side {
            Side::Client => (metrics.lane_x[0] - metrics.note_offset, Align::Right),
            Side::Server => (metrics.lane_x[1] + metrics.note_offset, Align::Left),
        };
        if lines.len() > 1 {
            let tone = Tone::from(self.story.trace.segments[instant.segment].kind);
            self.ladder.dots.push(Dot { side, y, tone });
        }
        let mut line_y = y - metrics.note_rise;
        for (face, tone, text) in lines {
            for text in wrap(text, metrics.note_width(lane(side)), |part| metrics.measure(*face, part)) {
                let segment = Some(instant.segment);
                let words = Words { x, y: line_y, align, face: *face, tone: *tone, text, segment };
                line_y += metrics.line(*face);
                self.ladder.words.push(words);
            }
        }
        if !lines.is_empty() {
            self.words_end[lane(side)] = line_y;
        }
    }
}

/// Points at what matters: the crossing, the window, the gap.
fn marks(story: &Story, ladder: &mut Ladder) {
    let Some((request, met)) = story.meeting() else { return };
    let between = [request, met];
    let [request, met] = between.map(|index| &ladder.arrows[index]);
    let mut marks = Vec::new();
    if ladder.clocks == Clocks::Both
        && let Some(known) = met.y_received
    {
        if let Some([x, y]) = crossing(request, met, &ladder.metrics) {
            marks.push(Mark::LostWindow {
                y: [met.y_sent, known],
                label: "a request sent in here is already lost".to_owned(),
                label_at: None,
            });
            marks.push(Mark::Bracket { y: [met.y_sent, known], tone: Tone::Fin });
            marks.push(Mark::Crossing { between, x, y, label: "they cross".to_owned(), label_at: None });
        } else if story.cause() == Some(Cause::StaleReuse) && known < request.y_sent {
            marks.push(Mark::Bracket { y: [known, request.y_sent], tone: Tone::Fin });
        }
    }
    ladder.marks.extend(marks);
}

/// The words of an inferred crossing, broken to fit between the lanes.
fn inference_lines(story: &Story, metrics: &Metrics) -> Vec<String> {
    let width = metrics.lane_x[1] - metrics.lane_x[0] - metrics.inference_padding[0];
    let words = ["inferred: they crossed on the way".to_owned()].into_iter().chain(story.crossing_proof());
    words.flat_map(|text| wrap(&text, width, |part| metrics.measure(Face::Strong, part))).collect()
}

/// Where two arrows in opposite directions cross, if they do.
pub fn crossing(a: &Arrow, b: &Arrow, metrics: &Metrics) -> Option<[i32; 2]> {
    if a.from == b.from {
        return None;
    }
    let ([a_left, a_right], [b_left, b_right]) = (ends(a)?, ends(b)?);
    let (left, right) = (i64::from(a_left - b_left), i64::from(a_right - b_right));
    if left.signum() * right.signum() >= 0 {
        return None;
    }
    let [x0, x1] = metrics.lane_x.map(i64::from);
    let x = x0 + (x1 - x0) * left / (left - right);
    let y = i64::from(a_left) + i64::from(a_right - a_left) * left / (left - right);
    Some([i32::try_from(x).ok()?, i32::try_from(y).ok()?])
}

/// The y of an arrow at the client's and at the server's life line.
pub fn ends(arrow: &Arrow) -> Option<[i32; 2]> {
    let received = arrow.y_received?;
    Some(match arrow.from {
        Side::Client => [arrow.y_sent, received],
        Side::Server => [received, arrow.y_sent],
    })
}

/// `text` cut to `width`, with an ellipsis where something was cut.
pub fn clip(text: &str, width: i32, metrics: &Metrics, face: Face) -> String {
    if metrics.measure(face, text) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let shown = format!("{}…", kept.trim_end());
        if metrics.measure(face, &shown) <= width {
            return shown;
        }
    }
    String::new()
}
