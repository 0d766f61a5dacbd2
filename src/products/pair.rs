//! Is a proxy safe in front of a server? Who closes an idle connection first, and by how much.

use serde::Serialize;

use super::{Idle, IdleTimer, Party};

/// The answer for one pair, or for a whole chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairVerdict {
    /// The proxy gives up first, by more than the margin asked for; or no connection is ever idle.
    Safe,
    /// One of the two timers is not known.
    Unknown,
    /// The server can close a connection that the proxy would still use.
    Unsafe,
}

/// Who closes an idle connection first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// The side that sends requests: as it should be.
    Proxy,
    /// The side that answers.
    Backend,
    /// Now the one, now the other.
    Either,
    /// Nobody: no connection is kept, or none is ever closed.
    Neither,
}

/// Two neighbours in a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The side that sends requests.
    pub proxy: String,
    /// The side that answers.
    pub backend: String,
    /// When the proxy gives up an idle connection.
    pub proxy_timer: IdleTimer,
    /// When the backend closes one.
    pub backend_timer: IdleTimer,
    /// Who closes first; none where a timer is not known.
    pub closes_first: Option<First>,
    /// The backend's earliest close less the proxy's latest, ns; negative where the backend is first. None where one of
    /// them never closes.
    pub margin_ns: Option<i64>,
    /// The least margin that counts as safe, ns.
    pub margin_asked_ns: i64,
    /// The answer.
    pub verdict: PairVerdict,
    /// One sentence: why.
    pub why: String,
    /// What to write, best first; each is enough alone. Empty where nothing needs to change.
    pub change: Vec<Change>,
}

/// One way out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Whose configuration.
    pub whose: String,
    /// The file and line to change, where one was read.
    pub place: Option<String>,
    /// The line to write, or words where no line is known.
    pub line: String,
}

/// Judges every two neighbours of a chain, the first one nearest to the user.
pub fn chain(parties: &[Party], margin_asked_ns: i64) -> Vec<Pair> {
    parties.windows(2).map(|two| judge(&two[0], &two[1], margin_asked_ns)).collect()
}

fn judge(proxy: &Party, backend: &Party, margin_asked_ns: i64) -> Pair {
    let mut pair = Pair {
        proxy: proxy.name.clone(),
        backend: backend.name.clone(),
        proxy_timer: proxy.upstream.clone(),
        backend_timer: backend.downstream.clone(),
        closes_first: None,
        margin_ns: None,
        margin_asked_ns,
        verdict: PairVerdict::Unknown,
        why: String::new(),
        change: Vec::new(),
    };
    let told = |first, verdict, why: &str| (Some(first), verdict, why.to_owned());
    let (first, verdict, why) = match (proxy.upstream.idle, backend.downstream.idle) {
        (_, Some(Idle::NoKeepAlive)) => told(
            First::Neither,
            PairVerdict::Safe,
            "The backend keeps no connection after a response, so no idle one can race.",
        ),
        (Some(Idle::NoKeepAlive), _) => told(
            First::Neither,
            PairVerdict::Safe,
            "The proxy keeps no connection to the backend, so no idle one can race.",
        ),
        (Some(Idle::Never), Some(Idle::Never)) => {
            told(First::Neither, PairVerdict::Safe, "Neither side closes an idle connection.")
        }
        (_, Some(Idle::Never)) => {
            told(First::Proxy, PairVerdict::Safe, "The backend never closes an idle connection.")
        }
        (Some(Idle::Never), Some(Idle::Closes { .. })) => told(
            First::Backend,
            PairVerdict::Unsafe,
            "The proxy never gives up an idle connection, so the backend always closes it, now and then as a request is sent.",
        ),
        (Some(Idle::Closes { at_most_ns, .. }), Some(Idle::Closes { after_ns, .. })) => {
            pair.margin_ns = Some(after_ns - at_most_ns);
            by_margin(after_ns - at_most_ns, margin_asked_ns)
        }
        (None, _) => (
            None,
            PairVerdict::Unknown,
            format!("How long {} keeps idle connections is not known.", proxy.name),
        ),
        (_, None) => (
            None,
            PairVerdict::Unknown,
            format!("After how long {} closes idle connections is not known.", backend.name),
        ),
    };
    (pair.closes_first, pair.verdict, pair.why) = (first, verdict, why);
    if pair.verdict == PairVerdict::Unsafe {
        pair.change = changes(proxy, backend, margin_asked_ns);
    }
    pair
}

fn by_margin(margin_ns: i64, asked_ns: i64) -> (Option<First>, PairVerdict, String) {
    let (first, verdict, why) = if margin_ns < 0 {
        (
            First::Backend,
            PairVerdict::Unsafe,
            "The backend can close a connection that the proxy would still use.",
        )
    } else if margin_ns == 0 {
        (
            First::Either,
            PairVerdict::Unsafe,
            "Both close after the same time: now the one, now the other is first, and a request can meet the close.",
        )
    } else if margin_ns < asked_ns {
        (
            First::Proxy,
            PairVerdict::Unsafe,
            "The proxy gives up first, but by less than a round trip and two timers may stray.",
        )
    } else {
        (
            First::Proxy,
            PairVerdict::Safe,
            "The proxy gives up an idle connection before the backend closes it.",
        )
    };
    (Some(first), verdict, why.to_owned())
}

/// The backend's timer raised above the proxy's, or the proxy's lowered below the backend's: never the other way round.
fn changes(proxy: &Party, backend: &Party, asked_ns: i64) -> Vec<Change> {
    let mut changes = Vec::new();
    if let Some(Idle::Closes { at_most_ns, .. }) = proxy.upstream.idle {
        let enough = nice_above(at_most_ns.saturating_add(asked_ns));
        changes.push(change(&backend.name, &backend.downstream, enough, "close idle connections after"));
    }
    if let Some(Idle::Closes { after_ns, .. }) = backend.downstream.idle {
        match nice_below(after_ns.saturating_sub(asked_ns)) {
            Some(enough) if proxy.upstream.can_change() => {
                changes.push(change(&proxy.name, &proxy.upstream, enough, "give up idle connections after"));
            }
            _ if proxy.upstream.idle == Some(Idle::Never) => changes.push(Change {
                whose: backend.name.clone(),
                place: None,
                line: "never close idle connections: this proxy has no setting to give them up".to_owned(),
            }),
            _ => {}
        }
    }
    changes
}

fn change(whose: &str, timer: &IdleTimer, ns: i64, words: &str) -> Change {
    let place = timer.place.as_ref().map(|place| format!("{}, line {}", place.file, place.line));
    let line = timer.line_for(ns).unwrap_or_else(|| format!("{words} {} s", ns / 1_000_000_000));
    Change { whose: whose.to_owned(), place, line }
}

const SECOND: i64 = 1_000_000_000;

/// Whole seconds, from 10 s on a multiple of 5 s, not below `ns`.
pub fn nice_above(ns: i64) -> i64 {
    let step = if ns > 10 * SECOND { 5 * SECOND } else { SECOND };
    ns.saturating_add(step - 1) / step * step
}

/// Whole seconds, from 10 s on a multiple of 5 s, not above `ns`; none below a second.
pub fn nice_below(ns: i64) -> Option<i64> {
    let step = if ns > 10 * SECOND { 5 * SECOND } else { SECOND };
    Some(ns / step * step).filter(|ns| *ns >= SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::Facing;

    fn verdict(proxy: &str, backend: &str) -> Pair {
        let parties = [
            Party::parse(proxy, Facing::Upstream).unwrap(),
            Party::parse(backend, Facing::Downstream).unwrap(),
        ];
        chain(&parties, SECOND).remove(0)
    }

    /// Pairs as people run them, right and wrong.
    #[test]
    fn pairs_are_judged_as_written_down() {
        use PairVerdict::{Safe, Unknown, Unsafe};
        for (proxy, backend, expected) in [
            ("aws-alb", "express", Unsafe),
            ("aws-alb", "express:keepAliveTimeout=65000", Safe),
            ("aws-alb", "express:keepAliveTimeout=65", Unsafe),
            ("aws-alb", "gunicorn", Unsafe),
            ("aws-alb", "gunicorn:keepalive=75", Safe),
            ("aws-alb", "gunicorn-sync:keepalive=2", Safe),
            ("aws-alb", "uwsgi", Safe),
            ("aws-alb", "uwsgi:http-keepalive=1,harakiri=65", Unsafe),
            ("aws-alb", "uwsgi:http-keepalive=75", Safe),
            ("aws-alb", "uwsgi:http-keepalive=75,http-timeout=60", Safe),
            ("aws-alb", "uwsgi:http-timeout=75,http-keepalive=1", Safe),
            ("aws-alb", "uwsgi:http-timeout=60", Safe),
            ("60s", "60s", Unsafe),
            ("60s", "60500ms", Unsafe),
            ("4s", "5s", Safe),
            ("nginx", "tomcat-embedded", Unsafe),
            ("nginx:keepalive_timeout=15s", "tomcat", Safe),
            ("nginx-old", "express", Safe),
            ("haproxy", "express", Unsafe),
            ("haproxy", "go", Safe),
            ("haproxy", "express:keepAliveTimeout=0", Safe),
            ("apache-mod-proxy:ttl=4", "uvicorn", Safe),
            ("fastly", "express", Unknown),
            ("aws-alb", "go:ReadTimeout=5s", Unsafe),
            ("gcp-lb", "express:keepAliveTimeout=620000", Safe),
            ("aws-cloudfront", "node", Unsafe),
        ] {
            let pair = verdict(proxy, backend);
            assert_eq!(pair.verdict, expected, "{proxy} in front of {backend}: {pair:#?}");
        }
    }

    #[test]
    fn the_backend_is_raised_or_the_proxy_lowered_and_never_the_reverse() {
        let pair = verdict("aws-alb", "express");
        let lines: Vec<&str> = pair.change.iter().map(|change| change.line.as_str()).collect();
        assert!(lines[0].starts_with("server.keepAliveTimeout = 65000;"), "{lines:?}");
        assert!(lines[1].starts_with("idle_timeout.timeout_seconds = 4 "), "{lines:?}");
        assert_eq!(pair.closes_first, Some(First::Backend));
        assert_eq!(pair.margin_ns, Some(-55 * SECOND));
        for (proxy, backend) in
            [("60s", "5s"), ("nginx", "uvicorn"), ("haproxy", "puma"), ("90s", "go:IdleTimeout=90s")]
        {
            let pair = verdict(proxy, backend);
            assert!(!pair.change.is_empty());
            for change in &pair.change {
                let number: String = change.line.chars().filter(char::is_ascii_digit).collect();
                let seconds: Option<i64> = number.parse().ok();
                if let (Some(seconds), Some(Idle::Closes { at_most_ns, .. })) =
                    (seconds, pair.proxy_timer.idle)
                {
                    let raised = change.whose == pair.backend;
                    assert_eq!(seconds * SECOND > at_most_ns, raised, "{proxy} {backend}: {change:?}");
                }
            }
        }
    }

    #[test]
    fn equal_timers_are_told_apart_from_the_wrong_order() {
        assert_eq!(verdict("60s", "60s").closes_first, Some(First::Either));
        assert_eq!(verdict("60s", "60s").margin_ns, Some(0));
    }

    #[test]
    fn units_that_were_confused_are_warned_about() {
        let party = Party::parse("express:keepAliveTimeout=65", Facing::Downstream).unwrap();
        assert!(party.warnings[0].contains("65 s are written 65000"), "{:?}", party.warnings);
        let party = Party::parse("gunicorn:keepalive=65000", Facing::Downstream).unwrap();
        assert!(party.warnings[0].contains("in seconds"), "{:?}", party.warnings);
    }

    #[test]
    fn what_is_often_taken_for_an_idle_timer_is_said_to_be_none() {
        for setting in [
            "uwsgi:harakiri=65",
            "node:headersTimeout=70000",
            "gunicorn:timeout=120",
            "uwsgi:so-keepalive=true",
        ] {
            let party = Party::parse(setting, Facing::Downstream).unwrap();
            assert!(
                party.warnings.iter().any(|warning| warning.contains("does not change")),
                "{setting}: {:?}",
                party.warnings
            );
        }
    }

    #[test]
    fn a_mistake_is_answered_with_what_to_write() {
        let answers: Vec<String> =
            ["60", "expres", "nginx:keepalive_timout=5s", "nginx:5s", "express:keepAliveTimeout=soon", "0s"]
                .into_iter()
                .map(|text| Party::parse(text, Facing::Downstream).unwrap_err())
                .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }
}
