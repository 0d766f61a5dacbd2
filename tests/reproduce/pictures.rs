//! The ladder's files are what their names say, and safe to open anywhere.

use resvg::usvg::roxmltree::Document;

use crate::common::finrace::text;
use crate::run::Run;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Width and height of a PNG: the first chunk is IHDR (PNG specification, section 11.2.2).
fn png_size(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(PNG_SIGNATURE));
    assert_eq!(&png[12..16], b"IHDR");
    assert!(png.ends_with(b"IEND\xaeB`\x82"), "the picture is whole");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    (number(16), number(20))
}

#[test]
fn the_ladder_is_a_picture_without_anything_active_in_it() {
    let run = Run::on_wire(&["discarded-request"]);
    let svg = text(&run.file("ladder.svg"));
    let document = Document::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    assert_eq!(document.root_element().tag_name().name(), "svg");
    for element in document.descendants().filter(|node| node.is_element()) {
        let name = element.tag_name().name();
        assert!(!["script", "foreignObject", "image", "iframe", "use", "a"].contains(&name), "<{name}>");
        for attribute in element.attributes() {
            assert!(!attribute.name().starts_with("on") && attribute.name() != "href", "{attribute:?}");
        }
    }
    let words: String =
        document.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect();
    assert!(words.contains("FIN") && words.contains("POST /orders"), "{words}");
    assert!(!words.contains("@import") && !words.contains("url("), "{words}");
}

#[test]
fn the_png_shows_the_same_picture_at_a_readable_size() {
    let run = Run::on_wire(&["stale-reuse"]);
    let (width, height) = png_size(&run.file("ladder.png"));
    assert!((800..8000).contains(&width) && (400..8000).contains(&height), "{width} x {height}");
    let svg = text(&run.file("ladder.svg"));
    let document = Document::parse(&svg).unwrap();
    let side = |name| -> f64 {
        let value = document.root_element().attribute(name).expect("a size");
        value.trim_end_matches("px").parse().expect("a number")
    };
    let (of_png, of_svg) = (f64::from(width) / f64::from(height), side("width") / side("height"));
    assert!((of_png / of_svg - 1.0).abs() < 0.01, "{of_png} {of_svg}");
}
