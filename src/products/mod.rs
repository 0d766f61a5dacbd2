//! What is known of the servers, proxies, load balancers and clients that people run: idle timers, how they close, what
//! they retry.
//!
//! The knowledge lives in `data/*.toml`, each setting with its source; what is not known is absent, never guessed.
//! A leaf of the module tree: it knows neither captures nor the lab.

mod change;
pub mod config;
mod cure;
mod find;
mod likeness;
mod measured;
mod pair;
mod party;
mod product;
mod server_field;
mod setting;
mod written;

use std::sync::OnceLock;

use serde::Deserialize;

pub use change::{Change, nice_above, nice_below};
pub use cure::{Cure, Does, Rounding, cures};
pub use find::{find, find_facing, suggestions};
pub use likeness::{Likeness, forgets_between, looks_like};
pub use measured::{Measured, Seen, measured, measured_document};
pub use pair::{First, Pair, PairVerdict, chain};
pub use party::{Announcement, IdleTimer, Otherwise, Party, Place};
use product::nanoseconds;
pub use product::{Facing, Heeds, Idle, Meaning, Product, ProductRole, Setting, SettingKind, Timer, Value};
pub use server_field::{defaults_of, of_server_field};

/// The data files, in the order in which products are listed.
const DATA: [&str; 9] = [
    include_str!("data/scripting_servers.toml"),
    include_str!("data/javascript_servers.toml"),
    include_str!("data/compiled_servers.toml"),
    include_str!("data/proxies.toml"),
    include_str!("data/clouds.toml"),
    include_str!("data/middleboxes.toml"),
    include_str!("data/clients.toml"),
    include_str!("data/rpc.toml"),
    include_str!("data/databases.toml"),
];

/// Everything known, in a fixed order: servers, proxies, load balancers and middleboxes, clients.
pub fn all() -> &'static [Product] {
    static ALL: OnceLock<Vec<Product>> = OnceLock::new();
    ALL.get_or_init(|| {
        let files = DATA.iter().map(|text| toml::from_str::<File>(text));
        files.flat_map(|file| file.expect("the embedded tables are checked by a test").product).collect()
    })
}

#[derive(Deserialize)]
struct File {
    product: Vec<Product>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_timer_belongs_to_a_setting_and_every_setting_has_a_source() {
        assert!(all().len() > 80);
        for product in all() {
            for timer in &product.timers {
                assert!(product.setting(timer).is_some(), "{}: {}", product.id, timer.setting);
            }
            for setting in &product.settings {
                assert!(setting.source.len() > 3, "{}: {}", product.id, setting.name);
                assert!(!setting.meaning.is_empty(), "{}: {}", product.id, setting.name);
            }
        }
    }

    /// A default that is a time is what the timer does, unless words say why not.
    #[test]
    fn timers_agree_with_the_defaults_of_their_settings() {
        for product in all() {
            for timer in &product.timers {
                let setting = product.setting(timer).unwrap();
                let unit = match setting.unit.as_deref() {
                    Some("ms") => 1_000_000,
                    Some("s") => 1_000_000_000,
                    _ => continue,
                };
                let (Some(Value::Integer(number)), Idle::Closes { after_ns, .. }) =
                    (&setting.default, timer.idle)
                else {
                    continue;
                };
                // Node.js adds a second, Bun counts in coarse steps; other releases had other defaults.
                let added = after_ns - number * unit;
                let explained =
                    added == 1_000_000_000 || added == -timer.early_ns || timer.versions.is_some();
                assert!(added == 0 || explained, "{}: {} {after_ns}", product.id, setting.name);
            }
        }
    }

    #[test]
    fn no_two_products_answer_to_the_same_name() {
        let mut names = BTreeSet::new();
        for product in all() {
            for name in [&product.id].into_iter().chain(&product.aliases) {
                assert!(names.insert(name.to_ascii_lowercase()), "{name}");
                assert!(!name.is_empty() && !name.contains(char::is_whitespace), "{name}");
            }
        }
    }

    #[test]
    fn a_name_means_one_client_and_there_is_a_server_or_proxy_of_that_name_or_none() {
        let mut names = BTreeSet::new();
        for product in all() {
            for name in &product.as_client {
                assert!(names.insert(name.to_ascii_lowercase()), "{name}");
                assert!(product.timers_facing(Facing::Upstream).next().is_some(), "{}", product.id);
                assert_ne!(find(name).map(|it| &it.id), Some(&product.id), "{name} is an alias as well");
            }
        }
    }

    #[test]
    fn a_value_that_is_no_time_belongs_to_a_setting_that_rules_a_side() {
        for product in all() {
            for setting in &product.settings {
                assert!(
                    setting.values.is_empty() || setting.rules().is_some(),
                    "{}: {}",
                    product.id,
                    setting.name
                );
                if let Some(main) = &setting.stands_in_for {
                    assert!(
                        product.settings.iter().any(|other| other.name == *main),
                        "{}: {main}",
                        product.id
                    );
                }
            }
        }
    }

    #[test]
    fn only_what_is_not_known_has_no_timer() {
        let without: Vec<&str> =
            all().iter().filter(|product| product.timers.is_empty()).map(|it| it.id.as_str()).collect();
        assert_eq!(
            without,
            ["passenger", "robyn", "aws-api-gateway", "azure-front-door", "fastly", "fly-proxy", "render"]
        );
    }
}
