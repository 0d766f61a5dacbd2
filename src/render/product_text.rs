//! What is known of a product, for people: its timers, its settings with their sources, and what to know of it.

use super::columns::{Cell, Columns, Edge};
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::setting;
use crate::products::{Does, Facing, Idle, Product, Timer};

/// Writes one product, a line end after each line.
pub fn product(product: &Product, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.paragraph(
        &format!("{} ({}), {}", product.name, product.id, product.role.words()),
        Tone::Ink,
        true,
        0,
    );
    page.blank();
    for (side, heading) in [
        (Facing::Downstream, "To its clients"),
        (Facing::Upstream, "To its servers"),
        (Facing::Through, "Between others"),
    ] {
        for (index, told) in product.timers_facing(side).map(timer).enumerate() {
            page.explained(if index == 0 { heading } else { "" }, &told);
        }
    }
    if product.timers.is_empty() {
        page.explained("Idle timeout", "Not known: no source for it was found.");
    }
    for (heading, text) in
        [("How it closes", &product.closes), ("Sends again", &product.retries), ("To know", &product.note)]
    {
        if let Some(text) = text {
            page.explained(heading, text);
        }
    }
    for (index, measured) in product.measured().enumerate() {
        let with = measured.with.as_ref().map_or_else(String::new, |with| format!(", {with}"));
        let told = format!("{}{with}: {}", measured.release, measured.words());
        page.explained(if index == 0 { "Measured" } else { "" }, &told);
    }
    if !product.settings.is_empty() {
        page.blank();
        settings(&mut page, product);
    }
    cures(&mut page, product);
    page.text
}

/// `closes after 6 s of idleness (22.19 and later)`.
fn timer(timer: &Timer) -> String {
    let does = idle(timer);
    match &timer.versions {
        Some(versions) => format!("{does} ({versions})"),
        None => does,
    }
}

fn idle(timer: &Timer) -> String {
    match (timer.idle, timer.side) {
        (Idle::Closes { after_ns, .. }, Facing::Through) => {
            format!("forgets a connection after {} of silence", setting(after_ns))
        }
        (Idle::Closes { after_ns, at_most_ns }, _) if after_ns == at_most_ns => {
            format!("closes after {} of idleness", setting(after_ns))
        }
        (Idle::Closes { after_ns, at_most_ns }, _) => {
            format!("closes after {} to {} of idleness", setting(after_ns), setting(at_most_ns))
        }
        (Idle::Never, Facing::Downstream) => "never closes a connection for being idle".to_owned(),
        (Idle::Never, Facing::Upstream | Facing::Through) => {
            "keeps an idle connection until the server closes it".to_owned()
        }
        (Idle::NoKeepAlive, _) => "keeps no connection after a response".to_owned(),
    }
}

/// The table of settings; each refers to its source by number.
fn settings(page: &mut Page, product: &Product) {
    let mut sources: Vec<(&str, bool)> = Vec::new();
    let mut rows = Vec::new();
    for setting in &product.settings {
        let source = (setting.source.as_str(), setting.checked);
        let known = sources.iter().position(|known| *known == source).unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        let since = setting.since.as_ref().map_or_else(String::new, |since| format!("; since {since}"));
        rows.push(vec![
            Cell::plain(&setting.name),
            Cell::plain(setting.default_text()),
            Cell::toned(format!("{}{since} [{}]", setting.meaning, known + 1), Tone::Muted),
        ]);
    }
    let headings = vec![("setting", Edge::Left), ("default", Edge::Left), ("meaning", Edge::Left)];
    page.text += &Columns { headings, rows, indent: 0 }.text(page.options);
    page.blank();
    page.paragraph(
        "Sources; what is not marked as read is from the source named, not measured here:",
        Tone::Muted,
        false,
        0,
    );
    for (index, (source, checked)) in sources.iter().enumerate() {
        let trust = match (checked, &product.read_at) {
            (true, Some(release)) => format!(" (read at {release})"),
            (true, None) => " (read)".to_owned(),
            (false, _) => String::new(),
        };
        // Whole however long it is: a broken address cannot be copied.
        page.text += &page.options.paint(&format!("[{}] {source}{trust}", index + 1), Tone::Muted, false);
        page.blank();
    }
}

/// What can be written, with the time left open.
fn cures(page: &mut Page, product: &Product) {
    for (side, whom) in [
        (Facing::Downstream, "connections of its clients"),
        (Facing::Upstream, "connections to its servers"),
        (Facing::Through, "connections through it"),
    ] {
        for cure in product.cures(side) {
            page.blank();
            let does = match cure.does {
                Does::Timer => "To set the idle timeout of",
                Does::KeepNone => "To keep no",
                Does::Retry => "To send lost requests again on",
            };
            let tried = match &cure.tried {
                Some(tried) => format!("; run here with {tried}"),
                None => "; as documented".to_owned(),
            };
            let heading = format!("{does} {whom} ({}{tried}):", cure.place);
            page.paragraph(&heading, Tone::Ink, false, 0);
            for line in cure.template().lines() {
                page.command("", line);
            }
            if let Some(note) = &cure.note {
                page.explained("", note);
            }
        }
    }
}

/// Writes a table of every product, a line end after each line.
pub fn list(products: &[Product], options: TextOptions) -> String {
    let headings = vec![
        ("name", Edge::Left),
        ("what", Edge::Left),
        ("to clients", Edge::Right),
        ("to servers", Edge::Right),
        ("", Edge::Left),
    ];
    let rows = products
        .iter()
        .map(|product| {
            vec![
                Cell::plain(&product.id),
                Cell::toned(product.role.words(), Tone::Muted),
                Cell::plain(brief(product, Facing::Downstream)),
                Cell::plain(brief(product, Facing::Upstream)),
                Cell::toned(&product.name, Tone::Muted),
            ]
        })
        .collect();
    let mut page = Page::new(options);
    page.text += &Columns { headings, rows, indent: 0 }.text(options);
    page.blank();
    page.paragraph(
        "Idle time after which each closes when nothing is set; finrace timeouts NAME shows its settings and their sources.",
        Tone::Muted,
        false,
        0,
    );
    page.text
}

/// The first timer of one side in a word or two.
fn brief(product: &Product, side: Facing) -> String {
    match product.timers_facing(side).next().map(|timer| timer.idle) {
        Some(Idle::Closes { after_ns, at_most_ns }) if after_ns == at_most_ns => setting(after_ns),
        Some(Idle::Closes { after_ns, at_most_ns }) => {
            format!("{}–{}", setting(after_ns).trim_end_matches(" s"), setting(at_most_ns))
        }
        Some(Idle::Never) => "never".to_owned(),
        Some(Idle::NoKeepAlive) => "at once".to_owned(),
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products;
    use crate::render::wrap::columns;

    fn options(width: u16) -> TextOptions {
        TextOptions { width, color: false, unicode: true }
    }

    #[test]
    fn a_product_reads_well() {
        let node = products::find("node").unwrap();
        insta::assert_snapshot!("product_node_100", product(node, options(100)));
        insta::assert_snapshot!("product_alb_80", product(products::find("alb").unwrap(), options(80)));
    }

    #[test]
    fn every_value_printed_has_its_source_beside_it() {
        for known in products::all() {
            let text = product(known, options(160));
            for setting in &known.settings {
                let name = setting.name.split(' ').next().unwrap();
                assert!(text.contains(name) && text.contains(&setting.source), "{}: {}", known.id, name);
            }
            assert!(text.matches(['[']).count() >= known.settings.len(), "{text}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let codes: Vec<String> = products::cures().iter().map(products::Cure::template).collect();
        let shown: Vec<&str> = codes.iter().flat_map(|code| code.lines()).map(str::trim).collect();
        for width in [72, 100, 160] {
            let texts = products::all().iter().map(|known| product(known, options(width)));
            for text in texts.chain([list(products::all(), options(width))]) {
                // What is to be copied stays whole.
                let quoted = |line: &str| shown.contains(&line.trim());
                for line in text.lines().filter(|line| !line.starts_with('[') && !quoted(line)) {
                    assert!(columns(line) <= i32::from(width), "{width}: {line}");
                }
            }
        }
    }
}
