//! Is a proxy safe in front of a server? Who closes an idle connection first, and by how much.

use serde::Serialize;

use super::change::{Change, changes, nice_below, shorter};
use super::{Idle, IdleTimer, Party};

const SECOND: i64 = 1_000_000_000;

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

/// Two neighbours in a chain, or the two ends of a connection through a middlebox.
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
    /// The middlebox between them that this is about; none where it is about the two alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// Who closes first; none where a timer is not known.
    pub closes_first: Option<First>,
    /// The backend's earliest close (or the middlebox's) less the proxy's latest, ns; negative where the proxy is too
    /// late. None where one of them never closes.
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

/// A middlebox between two ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Through {
    /// What it is.
    pub name: String,
    /// When it forgets an idle connection.
    pub timer: IdleTimer,
}

/// Judges every two neighbours of a chain, the first one nearest to the user. A middlebox is no neighbour: the connection
/// goes through it, and its two ends are judged once more for it.
///
/// # Errors
/// A middlebox stands at an end of the chain: one sentence.
pub fn chain(parties: &[Party], margin_asked_ns: i64) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    let mut end: Option<&Party> = None;
    let mut between: Vec<&Party> = Vec::new();
    for party in parties {
        if party.through.is_some() {
            between.push(party);
            continue;
        }
        if let Some(proxy) = end {
            let pair = judge(proxy, party, margin_asked_ns);
            let through = between.iter().map(|middlebox| judge_through(&pair, proxy, party, middlebox));
            let through: Vec<Pair> = through.collect();
            pairs.push(pair);
            pairs.extend(through);
        } else if let Some(middlebox) = between.first() {
            return Err(at_the_end(middlebox));
        }
        between.clear();
        end = Some(party);
    }
    match between.first() {
        Some(middlebox) => Err(at_the_end(middlebox)),
        None => Ok(pairs),
    }
}

fn at_the_end(middlebox: &Party) -> String {
    format!(
        "{} forwards packets and is neither proxy nor backend: give it as --hop, between the two ends of the connection",
        middlebox.name
    )
}

/// Who closes first, whether that is safe, and why.
type Judged = (Option<First>, Option<i64>, PairVerdict, String);

fn judge(proxy: &Party, backend: &Party, margin_asked_ns: i64) -> Pair {
    let mut proxy_timer = proxy.upstream.clone();
    let backend_timer = backend.downstream.clone();
    heed(&mut proxy_timer, &backend_timer);
    let mut cases: Vec<(String, Judged)> = Vec::new();
    for (when_proxy, proxy_idle) in readings(&proxy_timer) {
        for (when_backend, backend_idle) in readings(&backend_timer) {
            let when: Vec<&str> = [when_proxy, when_backend].into_iter().flatten().collect();
            let judged = judge_idle(&proxy.name, proxy_idle, &backend.name, backend_idle, margin_asked_ns);
            cases.push((when.join(" and "), judged));
        }
    }
    let racing = cases.iter().any(|(_, judged)| judged.2 == PairVerdict::Unsafe);
    let (closes_first, margin_ns, verdict, why) = together(cases);
    let change = if racing { changes(proxy, &proxy_timer, backend, margin_asked_ns) } else { Vec::new() };
    Pair {
        proxy: proxy.name.clone(),
        backend: backend.name.clone(),
        proxy_timer,
        backend_timer,
        through: None,
        closes_first,
        margin_ns,
        margin_asked_ns,
        verdict,
        why,
        change,
    }
}

/// What a timer may do, each with the condition for it.
fn readings(timer: &IdleTimer) -> Vec<(Option<&str>, Option<Idle>)> {
    match &timer.otherwise {
        None => vec![(None, timer.idle)],
        Some(otherwise) => {
            vec![(Some(&otherwise.assumed), timer.idle), (Some(&otherwise.when), Some(otherwise.idle))]
        }
    }
}

/// One answer of several cases: theirs where they agree, and otherwise that it depends on which holds.
fn together(mut cases: Vec<(String, Judged)>) -> Judged {
    let first = cases[0].1.2;
    if cases.iter().all(|(_, judged)| judged.2 == first) {
        return cases.swap_remove(0).1;
    }
    let told: Vec<String> = cases
        .iter()
        .map(|(when, (_, _, verdict, why))| {
            let word = match verdict {
                PairVerdict::Safe => "Safe",
                PairVerdict::Unsafe => "UNSAFE",
                PairVerdict::Unknown => "Not known",
            };
            format!("{word} {when}: {why}")
        })
        .collect();
    (None, None, PairVerdict::Unknown, format!("It depends. {}", told.join(" ")))
}

fn judge_idle(
    proxy: &str,
    proxy_idle: Option<Idle>,
    backend: &str,
    backend_idle: Option<Idle>,
    asked_ns: i64,
) -> Judged {
    let told = |first, verdict, why: &str| (Some(first), None, verdict, why.to_owned());
    match (proxy_idle, backend_idle) {
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
            let margin_ns = after_ns.saturating_sub(at_most_ns);
            let (first, verdict, why) = by_margin(margin_ns, asked_ns);
            (first, Some(margin_ns), verdict, why)
        }
        (None, _) => (
            None,
            None,
            PairVerdict::Unknown,
            format!("How long {proxy} keeps idle connections is not known."),
        ),
        (_, None) => (
            None,
            None,
            PairVerdict::Unknown,
            format!("After how long {backend} closes idle connections is not known."),
        ),
    }
}

/// What a client makes of the time that the server announces, where both are known to do so; where one of them may not, the
/// earliest and the latest of what is possible.
fn heed(client: &mut IdleTimer, server: &IdleTimer) {
    let (Some(heeds), Some(announced), Some(own)) = (&client.heeds, server.announces, client.idle) else {
        return;
    };
    if own == Idle::NoKeepAlive {
        return;
    }
    let believed = |ns: i64| heeds.at_most_ns.map_or(ns, |at_most| ns.min(at_most));
    let after_ns = believed(announced.ns - heeds.less_at_most_ns).max(0);
    let at_most_ns = believed(announced.ns - heeds.less_ns);
    let told = match own {
        Idle::Never if heeds.only_shortens => return,
        Idle::Closes { after_ns: earliest, at_most_ns: latest } if heeds.only_shortens => {
            Idle::Closes { after_ns: after_ns.min(earliest), at_most_ns: at_most_ns.min(latest) }
        }
        _ => Idle::Closes { after_ns, at_most_ns },
    };
    let told = match told {
        Idle::Closes { at_most_ns: ..=0, .. } => Idle::NoKeepAlive,
        other => other,
    };
    let surely = heeds.versions.is_none() && (heeds.asks || !announced.if_asked);
    let idle = match (surely, own, told) {
        (true, _, told) => Some(told),
        (false, Idle::Closes { .. }, told) => own.joined(told),
        // Who may or may not heed it keeps connections for as long as without it.
        (false, own, _) => Some(own),
    };
    let Some(idle) = idle.filter(|idle| *idle != own) else { return };
    client.idle = Some(idle);
    let seconds = announced.ns / SECOND;
    client.known_from += &format!("; the server announces Keep-Alive: timeout={seconds}, which it heeds");
}

/// Whether a middlebox can forget a connection that the proxy would still use.
fn judge_through(pair: &Pair, proxy: &Party, backend: &Party, middlebox: &Party) -> Pair {
    let timer = middlebox.through.clone().unwrap_or_else(|| IdleTimer::unknown("not known"));
    let forgets_ns = match timer.idle {
        Some(Idle::Closes { after_ns, .. }) => Some(after_ns),
        _ => None,
    };
    let asked_ns = pair.margin_asked_ns;
    let latest = |timer: &IdleTimer| {
        let of = |idle| match idle {
            Some(Idle::NoKeepAlive) => Some(0),
            Some(Idle::Closes { at_most_ns, .. }) => Some(at_most_ns),
            Some(Idle::Never) => Some(i64::MAX),
            None => None,
        };
        let all: Option<Vec<i64>> = readings(timer).into_iter().map(|(_, idle)| of(idle)).collect();
        all.and_then(|all| all.into_iter().max())
    };
    let (proxy_ns, backend_ns) = (latest(&pair.proxy_timer), latest(&pair.backend_timer));
    let within = |ns: Option<i64>| ns.zip(forgets_ns).is_some_and(|(ns, forgets)| ns <= forgets - asked_ns);
    let name = &middlebox.name;
    let (closes_first, verdict, why) = match timer.idle {
        None => (
            None,
            PairVerdict::Unknown,
            format!("After how long {name} forgets an idle connection is not known."),
        ),
        Some(Idle::Never | Idle::NoKeepAlive) => {
            (Some(First::Neither), PairVerdict::Safe, format!("{name} forgets no idle connection."))
        }
        Some(_) if within(proxy_ns) => (
            Some(First::Proxy),
            PairVerdict::Safe,
            format!("The proxy gives up an idle connection before {name} forgets it."),
        ),
        Some(_) if within(backend_ns) => (
            Some(First::Backend),
            PairVerdict::Safe,
            format!(
                "The backend closes an idle connection before {name} forgets it, and its FIN still gets through."
            ),
        ),
        Some(_) if proxy_ns.is_none() || backend_ns.is_none() => (
            None,
            PairVerdict::Unknown,
            format!(
                "One end is not known, and the other keeps idle connections for longer than {name} does."
            ),
        ),
        Some(_) => (
            None,
            PairVerdict::Unsafe,
            format!(
                "Both ends keep idle connections for longer than {name} does: it forgets one without telling them, and the next request on it is answered with RST or never."
            ),
        ),
    };
    let margin = proxy_ns.filter(|ns| *ns != i64::MAX).zip(forgets_ns).map(|(ns, forgets)| forgets - ns);
    Pair {
        closes_first,
        margin_ns: margin,
        verdict,
        why,
        change: match forgets_ns {
            Some(ns) if verdict == PairVerdict::Unsafe => through_changes(pair, proxy, backend, ns),
            _ => Vec::new(),
        },
        through: Some(Through { name: name.clone(), timer }),
        ..pair.clone()
    }
}

/// A shorter timer at the end that sends requests, or probes of TCP keep-alive, which each end can send.
fn through_changes(pair: &Pair, proxy: &Party, backend: &Party, forgets_ns: i64) -> Vec<Change> {
    let enough = nice_below(forgets_ns.saturating_sub(pair.margin_asked_ns));
    let mut changes: Vec<Change> = enough.and_then(|enough| shorter(proxy, enough)).into_iter().collect();
    if let Some(every) = nice_below(forgets_ns / 2) {
        let seconds = every / SECOND;
        let words = format!(
            "TCP keep-alive on these connections (SO_KEEPALIVE), first probe after {seconds} s of silence: TCP_KEEPIDLE={seconds}, or for all of a machine net.ipv4.tcp_keepalive_time={seconds} (Linux has 7200)"
        );
        let whose = format!("{} or {}", proxy.name, backend.name);
        changes.push(Change::words(&whose, &IdleTimer::unknown(""), words));
    }
    changes
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::products::Facing;

    fn verdict(proxy: &str, backend: &str) -> Pair {
        let parties = [
            Party::parse(proxy, Facing::Upstream).unwrap(),
            Party::parse(backend, Facing::Downstream).unwrap(),
        ];
        chain(&parties, SECOND).unwrap().remove(0)
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
        assert!(lines[0].ends_with("server.keepAliveTimeout = 65000;"), "{lines:?}");
        assert!(lines[1].ends_with("Key=idle_timeout.timeout_seconds,Value=4"), "{lines:?}");
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
