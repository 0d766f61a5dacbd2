//! The scenarios that come with finrace: the files of `scenarios/`, in the order in which to meet them.

use super::{Scenario, ScenarioError};

const BUILTIN: [(&str, &str); 21] = [
    ("crossed-fin", include_str!("../../../scenarios/crossed-fin.toml")),
    ("unread-request", include_str!("../../../scenarios/unread-request.toml")),
    ("discarded-request", include_str!("../../../scenarios/discarded-request.toml")),
    ("stale-reuse", include_str!("../../../scenarios/stale-reuse.toml")),
    ("retried", include_str!("../../../scenarios/retried.toml")),
    ("fixed", include_str!("../../../scenarios/fixed.toml")),
    ("nginx-express", include_str!("../../../scenarios/nginx-express.toml")),
    ("nginx-apache", include_str!("../../../scenarios/nginx-apache.toml")),
    ("alb-express", include_str!("../../../scenarios/alb-express.toml")),
    ("alb-express-fixed", include_str!("../../../scenarios/alb-express-fixed.toml")),
    ("alb-gunicorn", include_str!("../../../scenarios/alb-gunicorn.toml")),
    ("alb-gunicorn-fixed", include_str!("../../../scenarios/alb-gunicorn-fixed.toml")),
    ("alb-uwsgi", include_str!("../../../scenarios/alb-uwsgi.toml")),
    ("alb-uwsgi-article", include_str!("../../../scenarios/alb-uwsgi-article.toml")),
    ("alb-uwsgi-fixed", include_str!("../../../scenarios/alb-uwsgi-fixed.toml")),
    ("mysql", include_str!("../../../scenarios/mysql.toml")),
    ("mysql-goodbye", include_str!("../../../scenarios/mysql-goodbye.toml")),
    ("postgresql", include_str!("../../../scenarios/postgresql.toml")),
    ("postgresql-goodbye", include_str!("../../../scenarios/postgresql-goodbye.toml")),
    ("redis", include_str!("../../../scenarios/redis.toml")),
    ("redis-goodbye", include_str!("../../../scenarios/redis-goodbye.toml")),
];

impl Scenario {
    /// The scenario that runs when none is named.
    pub const DEFAULT: &str = BUILTIN[0].0;

    /// Names of the built-in scenarios.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The text of a built-in scenario, comments included.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`], with the names there are.
    pub fn builtin_text(name: &str) -> Result<&'static str, ScenarioError> {
        let found = BUILTIN.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| *text).ok_or_else(|| ScenarioError::Unknown {
            name: name.into(),
            known: Self::builtin_names().collect(),
        })
    }

    /// A built-in scenario.
    ///
    /// # Errors
    /// [`ScenarioError::Unknown`], with the names there are.
    pub fn builtin(name: &str) -> Result<Self, ScenarioError> {
        Self::parse(Self::builtin_text(name)?, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scenario::{Overrides, SendWhen};
    use crate::report::Cause;
    use std::time::Duration;

    #[test]
    fn every_builtin_scenario_is_valid_and_called_what_its_file_is_called() {
        for name in Scenario::builtin_names() {
            let scenario = Scenario::builtin(name).unwrap();
            assert_eq!(scenario.name, name);
            assert!(!scenario.summary.is_empty() && !scenario.explain.is_empty(), "{name} explains itself");
            // Equal timers need a response that takes its time.
            let delay = if name.starts_with("alb-uwsgi-") { 100 } else { 5 };
            assert_eq!(scenario.wire.delay, Duration::from_millis(delay), "{name}");
        }
    }

    #[test]
    fn what_is_written_out_reads_back_as_the_same_scenario() {
        for name in Scenario::builtin_names() {
            let scenario = Scenario::builtin(name).unwrap();
            assert_eq!(Scenario::parse(&scenario.to_toml(), "written").unwrap(), scenario, "{name}");
        }
    }

    #[test]
    fn each_of_the_four_race_causes_has_its_scenario() {
        for (name, cause) in [
            ("crossed-fin", Some(Cause::CrossedFin)),
            ("unread-request", Some(Cause::UnreadRequest)),
            ("discarded-request", Some(Cause::DiscardedRequest)),
            ("stale-reuse", Some(Cause::StaleReuse)),
            ("fixed", None),
        ] {
            assert_eq!(Scenario::builtin(name).unwrap().expect.cause, cause);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_names_there_are() {
        insta::assert_snapshot!(Scenario::builtin("crossed").unwrap_err(), @"no scenario is called `crossed`; there are crossed-fin, unread-request, discarded-request, stale-reuse, retried, fixed, nginx-express, nginx-apache, alb-express, alb-express-fixed, alb-gunicorn, alb-gunicorn-fixed, alb-uwsgi, alb-uwsgi-article, alb-uwsgi-fixed, mysql, mysql-goodbye, postgresql, postgresql-goodbye, redis, redis-goodbye; or give the path of a TOML file");
    }

    #[test]
    fn only_scenarios_without_the_wire_can_run_on_loopback() {
        let supported: Vec<_> = Scenario::builtin_names()
            .filter(|name| Scenario::builtin(name).unwrap().loopback_support().is_ok())
            .collect();
        assert_eq!(supported, ["unread-request", "stale-reuse", "fixed"]);
        insta::assert_snapshot!(Scenario::builtin("crossed-fin").unwrap().loopback_support().unwrap_err(), @"crossed-fin cannot be made on loopback: on loopback a FIN arrives within microseconds of the close() that sends it, and nothing can hold it, so a request crosses it only by rare luck. Run it with --lab wire (`finrace doctor` says what that needs), or run one of unread-request, stale-reuse and fixed here.");
        insta::assert_snapshot!(Scenario::builtin("nginx-express").unwrap().loopback_support().unwrap_err(), @"nginx-express cannot be made on loopback: the loopback lab has no network of its own to put a real program in, and needs gates inside both programs. Run it with --lab wire (`finrace doctor` says what that needs), or run one of unread-request, stale-reuse and fixed here.");
    }

    #[test]
    fn when_the_proxy_is_made_to_close_first_nothing_may_die() {
        let overrides = Overrides { backend_idle: Some(Duration::from_secs(65)), ..Overrides::default() };
        let scenario = Scenario::builtin("nginx-express").unwrap().with_overrides(&overrides).unwrap();
        assert_eq!(scenario.proxy_closes_first(), Some(true));
        assert_eq!((scenario.expect.cause, scenario.expect.status), (None, 200));
        assert_eq!(scenario.traffic.send_when, SendWhen::FinOnWire);
    }

    #[test]
    fn a_timer_that_leaves_the_backend_first_keeps_the_expectation() {
        let overrides = Overrides { backend_idle: Some(Duration::from_secs(2)), ..Overrides::default() };
        let scenario = Scenario::builtin("crossed-fin").unwrap().with_overrides(&overrides).unwrap();
        assert_eq!(scenario.backend.idle_timeout(), Some(Duration::from_secs(2)));
        assert_eq!(scenario.expect.cause, Some(Cause::CrossedFin));
    }

    #[test]
    fn attempts_of_a_real_proxy_run_one_after_the_other() {
        let many = Overrides { attempts: Some(200), ..Overrides::default() };
        let lanes = |name| Scenario::builtin(name).unwrap().with_overrides(&many).unwrap().lanes();
        assert_eq!(lanes("crossed-fin"), 32);
        assert_eq!(lanes("nginx-express"), 1);
        assert_eq!(lanes("alb-express"), 32, "a toy proxy has a pool for each lane, whatever is behind it");
        assert_eq!(Scenario::builtin("alb-express-fixed").unwrap().backend_ports(), 1);
        assert_eq!(Scenario::builtin("crossed-fin").unwrap().lanes(), 1, "one attempt needs one lane");
    }
}
