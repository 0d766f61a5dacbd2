use super::*;
use crate::render::{fixtures, style::Theme};
#[test]
fn dump() {
    let dir = std::env::var("DUMP").unwrap_or("/tmp/render_out".into());
    std::fs::create_dir_all(&dir).unwrap();
    let stories: Vec<(&str, (Trace, Option<Incident>))> = vec![
        ("crossed", fixtures::crossed_fin()),
        ("server", fixtures::crossed_fin_from(crate::report::Vantage::Server)),
        ("client", fixtures::crossed_fin_from(crate::report::Vantage::Client)),
        ("unknown", fixtures::crossed_fin_from(crate::report::Vantage::Unknown)),
        ("storm", fixtures::reset_storm()),
        ("unread", fixtures::unread_request()),
        ("discarded", fixtures::discarded_request()),
        ("stale", fixtures::stale_reuse()),
        ("retried", fixtures::retried()),
    ]
    .into_iter()
    .map(|(n, (t, i))| (n, (t, Some(i))))
    .chain([("healthy", (fixtures::healthy(), None))])
    .collect();
    for (name, (trace, incident)) in stories {
        let saw = match name {
            "healthy" => None,
            "retried" => Some("200 OK".to_owned()),
            _ => Some("502 Bad Gateway".to_owned()),
        };
        let outcome = Outcome { user_saw: saw };
        let ladder = layout(&trace, incident.as_ref(), &outcome);
        std::fs::write(format!("{dir}/{name}.svg"), svg(&ladder, Theme::Auto)).unwrap();
        std::fs::write(format!("{dir}/{name}.png"), png(&ladder, Theme::Auto).unwrap()).unwrap();
        std::fs::write(format!("{dir}/{name}-dark.png"), png(&ladder, Theme::Dark).unwrap()).unwrap();
        for width in [80, 120] {
            std::fs::write(
                format!("{dir}/{name}-{width}.txt"),
                text(&trace, incident.as_ref(), &outcome, TextOptions { width, color: false, unicode: true }),
            )
            .unwrap();
        }
    }
}
