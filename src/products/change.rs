//! What to change so that a pair no longer races: what its two sides can really do, best first.

use serde::Serialize;

use super::cure::{Cure, Does, Rounding, cures_of};
use super::{Facing, Idle, IdleTimer, Party};

const SECOND: i64 = 1_000_000_000;
/// A server's idle timeout that keeps most connections alive in front of a client that gives them up at no certain time.
const RARER_NS: i64 = 75 * SECOND;

/// One way out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Whose configuration.
    pub whose: String,
    /// The file and line to change, where one was read.
    pub place: Option<String>,
    /// What that line says now, as it stands in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// Where it is written, `nginx.conf, in the upstream block`, or in which language; none where `line` is words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_in: Option<String>,
    /// What to write, one line or several; words where the product is not known.
    pub line: String,
    /// Whether that is to be copied as it stands.
    pub is_code: bool,
    /// What it costs, and what is often got wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Change {
    /// Words, where there is nothing to quote.
    pub(super) fn words(whose: &str, timer: &IdleTimer, words: String) -> Change {
        Change {
            whose: whose.to_owned(),
            place: timer.place.as_ref().map(|place| format!("{}, line {}", place.file, place.line)),
            now: timer.place.as_ref().map(|place| place.text.clone()),
            written_in: None,
            line: words,
            is_code: false,
            note: None,
        }
    }

    fn quoted(whose: &str, timer: &IdleTimer, cure: &Cure, line: String) -> Change {
        Change {
            written_in: Some(cure.place.clone()),
            is_code: true,
            note: cure.note.clone(),
            ..Change::words(whose, timer, line)
        }
    }
}

/// The backend's timer raised above the proxy's, or the proxy's lowered below the backend's, never the other way round.
/// Where the proxy's cannot be lowered: no connection kept, or a lost request sent again.
pub(super) fn changes(proxy: &Party, proxy_timer: &IdleTimer, backend: &Party, asked_ns: i64) -> Vec<Change> {
    let closes = |timer: &IdleTimer| match timer.idle {
        Some(Idle::Closes { after_ns, at_most_ns }) => Some((after_ns, at_most_ns)),
        _ => None,
    };
    let never = [proxy_timer.idle, proxy_timer.otherwise.as_ref().map(|otherwise| otherwise.idle)]
        .contains(&Some(Idle::Never));
    // A client that does as the server announces follows it upwards, too.
    let follows = proxy_timer.heeds.as_ref().is_some_and(|heeds| !heeds.only_shortens)
        && backend.downstream.announces.is_some();
    let mut changes = Vec::new();
    if let (Some((_, latest_ns)), false) = (closes(proxy_timer), never || follows) {
        changes.extend(longer(backend, nice_above(latest_ns.saturating_add(asked_ns))));
    }
    let earliest = closes(&backend.downstream).map(|(earliest_ns, _)| earliest_ns);
    let room = earliest.and_then(|earliest_ns| nice_below(earliest_ns.saturating_sub(asked_ns)));
    let lowered = room.and_then(|enough| shorter(proxy, enough));
    if lowered.is_none() {
        changes.extend(otherwise(proxy));
        if never {
            changes.extend(rarer(proxy, backend, earliest));
        }
    }
    changes.extend(lowered);
    if changes.is_empty() {
        changes.push(between(proxy, backend, earliest));
    }
    changes
}

/// The server keeps idle connections for at least that long.
fn longer(server: &Party, ns: i64) -> Option<Change> {
    let words = |seconds| format!("close idle connections after {seconds} s or more");
    to_time(&server.name, &server.downstream, Facing::Downstream, ns, Rounding::Up, words)
}

/// The client gives up idle connections after no more than that.
pub(super) fn shorter(client: &Party, ns: i64) -> Option<Change> {
    let words = |seconds| format!("give up idle connections after {seconds} s or less");
    to_time(&client.name, &client.upstream, Facing::Upstream, ns, Rounding::Down, words)
}

fn to_time(
    whose: &str,
    timer: &IdleTimer,
    side: Facing,
    ns: i64,
    rounding: Rounding,
    words: impl Fn(i64) -> String,
) -> Option<Change> {
    // The file that was read has a way of its own to write it.
    if let Some(line) = &timer.line {
        let rounded = if rounding == Rounding::Up { ns.saturating_add(timer.unit_ns - 1) } else { ns };
        let line = line.replace("{}", &(rounded / timer.unit_ns).to_string());
        return Some(Change { is_code: true, ..Change::words(whose, timer, line) });
    }
    let Some(product) = &timer.product else {
        return Some(Change::words(whose, timer, words(ns / SECOND)));
    };
    let mut cures = cures_of(product, side).filter(|cure| cure.does == Does::Timer);
    cures.find_map(|cure| Some(Change::quoted(whose, timer, cure, cure.written(ns, rounding)?)))
}

/// What a client can do that cannot give up idle connections in time.
fn otherwise(client: &Party) -> Vec<Change> {
    let Some(product) = &client.upstream.product else { return Vec::new() };
    let cures = cures_of(product, Facing::Upstream).filter(|cure| cure.does != Does::Timer);
    cures.map(|cure| Change::quoted(&client.name, &client.upstream, cure, cure.code.clone())).collect()
}

/// A longer timer of the server, in front of a client that gives up at no certain time: rarer, not impossible.
fn rarer(client: &Party, server: &Party, earliest_ns: Option<i64>) -> Option<Change> {
    let ns = earliest_ns.map_or(RARER_NS, |ns| ns.saturating_mul(4).max(RARER_NS));
    let mut change = longer(server, nice_above(ns))?;
    let rarer = format!(
        "Makes the loss rarer, not impossible: {} gives up a kept connection at no certain time.",
        client.name
    );
    change.note = Some(change.note.map_or_else(|| rarer.clone(), |note| format!("{rarer} {note}")));
    Some(change)
}

/// What is left where neither side can be set.
fn between(proxy: &Party, backend: &Party, earliest_ns: Option<i64>) -> Change {
    let below = earliest_ns.map_or_else(
        || "that server's idle timeout".to_owned(),
        |ns| format!("the {} s of that server", ns / SECOND),
    );
    let words = format!(
        "no setting of {} or {} is known that would do: put a proxy between the two that gives up idle connections before {below} (nginx: keepalive_timeout in the upstream block)",
        proxy.name, backend.name
    );
    Change::words("Neither", &IdleTimer::unknown(""), words)
}

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
    use crate::products::chain;

    fn told(proxy: &str, backend: &str) -> Vec<Change> {
        let parties = [
            Party::parse(proxy, Facing::Upstream).unwrap(),
            Party::parse(backend, Facing::Downstream).unwrap(),
        ];
        chain(&parties, SECOND).unwrap().remove(0).change
    }

    #[test]
    fn haproxy_is_told_what_it_can_do_and_gunicorn_never_what_it_cannot() {
        let changes = told("haproxy", "gunicorn");
        let lines: Vec<&str> = changes.iter().map(|change| change.line.as_str()).collect();
        assert_eq!(lines[0], "option http-server-close");
        assert!(lines[1].contains("retry-on conn-failure empty-response"), "{lines:?}");
        assert_eq!(lines[2], "keepalive = 75");
        assert!(changes[2].note.as_ref().unwrap().contains("rarer"), "{changes:?}");
        assert!(!lines.iter().any(|line| line.contains("never")), "{lines:?}");
    }

    #[test]
    fn fastify_is_told_the_option_of_its_constructor() {
        let changes = told("aws-alb", "fastify:keepAliveTimeout=5000");
        assert_eq!(changes[0].line, "fastify({ keepAliveTimeout: 65000 })");
    }

    #[test]
    fn a_client_is_told_in_its_own_language() {
        for (client, language, code) in [
            ("okhttp", "Java", "new ConnectionPool(5, 4, TimeUnit.SECONDS)"),
            ("go-transport", "Go", "transport.IdleConnTimeout = 4 * time.Second"),
            ("dotnet-socketshttp", "C#", "PooledConnectionIdleTimeout = TimeSpan.FromSeconds(4)"),
            ("webclient", "Java", ".maxIdleTime(Duration.ofSeconds(4))"),
            ("reqwest", "Rust", ".pool_idle_timeout(Duration::from_secs(4))"),
            ("jdk-httpclient", "the command line of java", "-Djdk.httpclient.keepalive.timeout=4"),
            ("httpclient5", "Java", "TimeValue.ofSeconds(4)"),
            ("requests", "Python", "requests.get(url)"),
        ] {
            let changes = told(client, "uvicorn");
            let found = changes.iter().find(|change| change.line.contains(code));
            let found = found.unwrap_or_else(|| panic!("{client}: {changes:#?}"));
            assert_eq!(found.written_in.as_deref(), Some(language), "{client}");
        }
    }

    /// No pair of two known products is left without a word, and none is told to do what is out of range.
    #[test]
    fn every_pair_that_races_is_told_something() {
        let all = crate::products::all();
        let clients = all.iter().filter(|product| product.may_face(Facing::Upstream));
        for client in clients {
            for server in all.iter().filter(|product| product.may_face(Facing::Downstream)) {
                let parties = [Party::of_product(client), Party::of_product(server)];
                let pair = chain(&parties, SECOND).unwrap().remove(0);
                let racing = pair.verdict == crate::products::PairVerdict::Unsafe;
                assert!(!racing || !pair.change.is_empty(), "{} {}", client.id, server.id);
                for change in &pair.change {
                    assert!(!change.line.contains("{s}") && !change.line.contains("{ms}"), "{change:?}");
                }
            }
        }
    }

    #[test]
    fn where_neither_side_can_be_set_a_proxy_between_them_can() {
        let changes = told("gcp-lb", "granian");
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(changes[0].line.contains("put a proxy between"), "{changes:?}");
    }
}
