//! Pictures inside a page: bare, with their one style sheet in the page's, so that its policy can name it by its hash.

use std::fmt::Write;

use crate::render::ladder::{self, Outcome};
use crate::render::style::Theme;
use crate::render::{histogram, plot, timeline};
use crate::report::{Incident, Server, Timeline, Trace};

/// The ladder of a trace, to stand inside a page that has [`css`].
pub fn ladder(trace: &Trace, incident: Option<&Incident>) -> String {
    ladder::bare_svg(&ladder::layout(trace, incident, &Outcome::default()))
}

/// The idle times of a server, to stand inside a page that has [`css`]; none where there are none to be drawn.
pub fn idle_times(server: &Server) -> Option<String> {
    bare(&histogram::idle_times(server, Theme::Light).ok()??)
}

/// The connections of a trace on one axis of time, to stand inside a page that has [`css`].
pub fn timeline(trace: &Timeline) -> Option<String> {
    bare(&timeline::timeline(trace, None, trace.first_ns, Theme::Light).ok()?)
}

/// A picture without its style sheet.
fn bare(svg: &str) -> Option<String> {
    let (before, rest) = svg.split_once("<style>")?;
    let (_, after) = rest.split_once("</style>")?;
    Some(format!("{before}{}", after.trim_start()))
}

/// The style of all pictures: dark on a screen where the viewer prefers it or the page is switched to it, light on paper.
pub fn css() -> String {
    let dark = ladder::colours(Theme::Dark) + &plot::shape_colours(Theme::Dark);
    format!(
        "{}@media screen and (prefers-color-scheme:dark){{\n{}}}\n@media screen{{\n{}}}\n",
        ladder::style_sheet(Theme::Light),
        scoped(&dark, ":root:not([data-theme=light])"),
        scoped(&dark, ":root[data-theme=dark]")
    )
}

/// Plain rules, with each selector below `scope`.
fn scoped(css: &str, scope: &str) -> String {
    let mut scoped = String::with_capacity(css.len() * 2);
    for rule in css.split_inclusive('}') {
        let Some((selectors, body)) = rule.trim().split_once('{') else { continue };
        let selectors: Vec<String> =
            selectors.split(',').map(|selector| format!("{scope} {}", selector.trim())).collect();
        // Writing to a string does not fail.
        let _ = writeln!(scoped, "{}{{{body}", selectors.join(","));
    }
    scoped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn rules_reach_only_what_is_below_their_scope() {
        assert_eq!(scoped(".x,.y{c:d}.z{e:f}\n", ":root"), ":root .x,:root .y{c:d}\n:root .z{e:f}\n");
    }

    #[test]
    fn a_ladder_in_a_page_has_no_style_and_every_rule_is_confined_to_ladders() {
        let (trace, incident) = fixtures::crossed_fin();
        let drawing = ladder(&trace, Some(&incident));
        assert!(drawing.starts_with("<svg ") && !drawing.contains("style"), "{drawing}");
        let css = css();
        assert!(css.contains(":root[data-theme=dark] .finrace .page{fill:#0f141b}"), "{css}");
        for rule in css.split_inclusive('}').filter(|rule| rule.contains('{') && !rule.contains('@')) {
            assert!(rule.contains(".finrace "), "{rule}");
        }
    }
}
