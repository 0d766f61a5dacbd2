//! What to write so that a product no longer takes part in the race, as it is written in its own language.
//!
//! The lines live in `data/cures/*.toml`. A cure is given only within what the product accepts: where it cannot be set to
//! the time that is needed, there is none.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::product::nanoseconds;
use super::{Facing, Product};

/// The files of cures.
const CURES: [&str; 4] = [
    include_str!("data/cures/servers.toml"),
    include_str!("data/cures/proxies.toml"),
    include_str!("data/cures/middleboxes.toml"),
    include_str!("data/cures/clients.toml"),
];

/// One thing that can be written in a product's configuration or code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Cure {
    /// The product's name in the data.
    #[serde(skip_serializing)]
    pub product: String,
    /// The connections that it is about.
    pub side: Facing,
    /// What it brings about.
    pub does: Does,
    /// Where it is written: `nginx.conf, in the upstream block`, `Java`.
    pub place: String,
    /// The language of the code, as a Markdown fence names it.
    pub language: String,
    /// What to write; `{s}`, `{ms}`, `{min}` and `{hms}` stand for a time.
    pub code: String,
    /// The least time that the product accepts, ns.
    pub least_ns: i64,
    /// The longest time that the product accepts, ns.
    pub most_ns: i64,
    /// The product closes up to this before the time that is set, ns.
    pub early_ns: i64,
    /// What it costs, and what is often got wrong.
    pub note: Option<String>,
    /// Where this is said: a file of a repository, or a page.
    pub source: String,
    /// The release with which the code was run here, and what was seen; none where it is only documented.
    pub tried: Option<String>,
}

/// What a cure brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Sets the idle timeout.
    Timer,
    /// Keeps no connection.
    KeepNone,
    /// Sends a lost request again: hides the loss.
    Retry,
}

/// To which side a time is rounded when it is written in coarser units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// A server has to keep connections for at least that long.
    Up,
    /// A client has to give them up after no more than that.
    Down,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    product: String,
    side: Facing,
    does: Does,
    place: String,
    language: String,
    code: String,
    least: Option<String>,
    most: Option<String>,
    early: Option<String>,
    note: Option<String>,
    source: String,
    tried: Option<String>,
}

impl TryFrom<Raw> for Cure {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Cure, String> {
        let or = |text: Option<&str>, otherwise| text.map_or(Ok(otherwise), nanoseconds);
        Ok(Cure {
            least_ns: or(raw.least.as_deref(), SECOND)?,
            most_ns: or(raw.most.as_deref(), i64::MAX)?,
            early_ns: or(raw.early.as_deref(), 0)?,
            product: raw.product,
            side: raw.side,
            does: raw.does,
            place: raw.place,
            language: raw.language,
            code: raw.code.trim_start_matches('\n').to_owned(),
            note: raw.note,
            source: raw.source,
            tried: raw.tried,
        })
    }
}

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;

impl Cure {
    /// What to write, with words for the time.
    pub fn template(&self) -> String {
        let code = self.code.replace("{s}", "SECONDS").replace("{ms}", "MILLISECONDS");
        code.replace("{min}", "MINUTES").replace("{hms}", "HH:MM:SS")
    }

    /// What to write so that the time becomes `ns`, or not less, or not more; none where the product does not accept that
    /// time.
    pub fn written(&self, ns: i64, rounding: Rounding) -> Option<String> {
        if self.does != Does::Timer {
            return Some(self.code.clone());
        }
        let early_ns = if rounding == Rounding::Up { self.early_ns } else { 0 };
        let unit_ns = if self.code.contains("{min}") { MINUTE } else { SECOND };
        let set_ns = whole(ns.checked_add(early_ns)?, unit_ns, rounding)?;
        if !(self.least_ns..=self.most_ns).contains(&set_ns) {
            return None;
        }
        let seconds = set_ns / SECOND;
        let hms = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let code = self.code.replace("{s}", &seconds.to_string());
        let code = code.replace("{ms}", &seconds.checked_mul(1_000)?.to_string());
        Some(code.replace("{min}", &(set_ns / MINUTE).to_string()).replace("{hms}", &hms))
    }
}

/// A multiple of the unit, greater than nothing.
fn whole(ns: i64, unit_ns: i64, rounding: Rounding) -> Option<i64> {
    let down = ns / unit_ns * unit_ns;
    let rounded = match rounding {
        Rounding::Up if down < ns => down.checked_add(unit_ns)?,
        Rounding::Up | Rounding::Down => down,
    };
    Some(rounded).filter(|ns| *ns > 0)
}

/// All of them, in the order of the data.
pub fn cures() -> &'static [Cure] {
    static ALL: OnceLock<Vec<Cure>> = OnceLock::new();
    ALL.get_or_init(|| {
        let files = CURES.iter().map(|text| toml::from_str::<File>(text));
        files.flat_map(|file| file.expect("the embedded tables are checked by a test").cure).collect()
    })
}

#[derive(Deserialize)]
struct File {
    cure: Vec<Cure>,
}

impl Product {
    /// What can be written for one kind of its connections: timers first.
    pub fn cures(&self, side: Facing) -> impl Iterator<Item = &'static Cure> {
        cures_of(&self.id, side)
    }
}

/// The cures of a product by its name in the data.
pub(super) fn cures_of(id: &str, side: Facing) -> impl Iterator<Item = &'static Cure> {
    cures().iter().filter(move |cure| cure.product == id && cure.side == side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::{Idle, ProductRole, all, find};

    fn cure(id: &str, side: Facing, does: Does) -> &'static Cure {
        find(id).unwrap().cures(side).find(|cure| cure.does == does).unwrap()
    }

    #[test]
    fn every_cure_belongs_to_a_product_that_has_such_connections() {
        for cure in cures() {
            let product = all().iter().find(|product| product.id == cure.product);
            let product = product.unwrap_or_else(|| panic!("{}: no such product", cure.product));
            assert!(product.may_face(cure.side), "{}: {:?}", cure.product, cure.side);
            assert!(cure.source.len() > 3 && !cure.place.is_empty() && !cure.language.is_empty(), "{cure:?}");
        }
    }

    #[test]
    fn a_timer_has_a_place_for_its_time_and_nothing_else_has() {
        for cure in cures() {
            let places = ["{s}", "{ms}", "{min}", "{hms}"];
            let has = places.iter().any(|place| cure.code.contains(place));
            assert_eq!(has, cure.does == Does::Timer, "{}: {}", cure.product, cure.code);
            let written =
                cure.written(75 * SECOND, Rounding::Up).or_else(|| cure.written(9 * SECOND, Rounding::Up));
            let written = written.unwrap_or_else(|| panic!("{}: neither 75 nor 9 s", cure.product));
            assert!(!places.iter().any(|place| written.contains(place)), "{written}");
        }
    }

    /// A default within the table that can be changed is changed by a cure, unless the setting itself says why not.
    #[test]
    fn a_timer_without_a_cure_is_fixed_or_has_no_setting() {
        for product in all() {
            for timer in &product.timers {
                let closes = matches!(timer.idle, Idle::Closes { .. });
                let fixed = timer.setting.contains("fixed")
                    || timer.setting.contains("hard-coded")
                    || timer.setting.contains("no option");
                let unreleased = timer.versions.as_deref() == Some("unreleased");
                let cured = product.cures(timer.side).any(|cure| cure.does == Does::Timer);
                let middlebox = timer.side == Facing::Through;
                let others = matches!(product.role, ProductRole::LoadBalancer | ProductRole::Cdn);
                let may_be = !closes || cured || fixed || middlebox || unreleased || others;
                assert!(may_be, "{}: {}", product.id, timer.setting);
                assert!(!(cured && fixed), "{}: {} is fixed", product.id, timer.setting);
            }
        }
    }

    #[test]
    fn times_are_written_in_the_units_of_the_product() {
        let written = |id, side, ns| cure(id, side, Does::Timer).written(ns, Rounding::Up).unwrap();
        assert_eq!(
            written("fastify", Facing::Downstream, 65 * SECOND),
            "fastify({ keepAliveTimeout: 65000 })"
        );
        assert_eq!(
            written("iis", Facing::Downstream, 75 * SECOND),
            "<limits connectionTimeout=\"00:01:15\" />"
        );
        assert_eq!(written("nginx", Facing::Upstream, 4 * SECOND), "keepalive_timeout 4s;");
        assert!(written("envoy", Facing::Upstream, 4 * SECOND).ends_with("http_protocol_options: {}"));
    }

    #[test]
    fn parts_of_a_second_are_rounded_to_the_safe_side() {
        let gunicorn = cure("gunicorn", Facing::Downstream, Does::Timer);
        assert_eq!(gunicorn.written(4 * SECOND + 1, Rounding::Up).unwrap(), "keepalive = 5");
        let httpx = cure("httpx", Facing::Upstream, Does::Timer);
        assert!(httpx.written(5 * SECOND - 1, Rounding::Down).unwrap().contains("keepalive_expiry=4"));
        assert_eq!(httpx.written(SECOND - 1, Rounding::Down), None);
    }

    #[test]
    fn nothing_is_given_that_the_product_would_not_accept() {
        let bun = cure("bun-serve", Facing::Downstream, Does::Timer);
        assert!(bun.written(60 * SECOND, Rounding::Up).unwrap().contains("idleTimeout: 64"));
        assert_eq!(bun.written(600 * SECOND, Rounding::Up), None);
        let granian = cure("granian", Facing::Downstream, Does::Timer);
        assert_eq!(granian.written(65 * SECOND, Rounding::Up), None);
        let cloudfront = cure("cloudfront", Facing::Upstream, Does::Timer);
        assert_eq!(cloudfront.written(400 * SECOND, Rounding::Down), None);
    }
}
