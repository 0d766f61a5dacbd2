//! The answer of `finrace probe`: the idle timeout with its spread, how it closes, what it says of itself.

use serde::Serialize;

use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{counted, duration};
use crate::probe::{Ending, LateRequest, Measurement, Sample};
use crate::products::{self, Facing};

/// Version of the layout of [`json`].
const SCHEMA: u32 = 1;

/// A close this near to the time that the server names is as it said: timers tick late.
const AS_SAID_NS: i64 = 100_000_000;

#[derive(Serialize)]
struct Document<'a, M> {
    schema: u32,
    #[serde(flatten)]
    measurement: &'a M,
    /// Shortest and longest, where the other side closed.
    idle_min_ns: Option<u64>,
    idle_max_ns: Option<u64>,
    looks_like: Vec<&'a str>,
}

/// One document.
pub fn json(measured: &Measurement) -> String {
    let named = named(measured).map(|product| vec![product.id.as_str()]);
    let alike = || alike(measured).iter().map(|likeness| likeness.product.id.as_str()).collect();
    document(measured, measured.idle_ns(), named.unwrap_or_else(alike))
}

/// What was measured with what follows from it, as one document.
pub(super) fn document<M: Serialize>(
    measurement: &M,
    idle_ns: Option<(u64, u64)>,
    looks_like: Vec<&str>,
) -> String {
    let document = Document {
        schema: SCHEMA,
        measurement,
        idle_min_ns: idle_ns.map(|(least, _)| least),
        idle_max_ns: idle_ns.map(|(_, most)| most),
        looks_like,
    };
    serde_json::to_string_pretty(&document).expect("a measurement is plain data with string keys") + "\n"
}

/// For people, a line end after each line.
pub fn table(measured: &Measurement, options: TextOptions) -> String {
    let mut page = Page::new(options);
    page.paragraph(&format!("{} at {}", measured.target, measured.address), Tone::Ink, true, 0);
    page.explained("Idle timeout", &idle(measured));
    if let Some(how) = how(measured) {
        page.explained("How it closes", &how);
    }
    if let Some(version) = &measured.tls {
        page.explained("Encryption", &format!("{version}. The certificate was not verified."));
    }
    page.explained("It says", &says(measured));
    if let Some(unused) = &measured.unused {
        page.explained("Before any", &before_any(unused));
    }
    if let Some(limit) = measured.request_limit {
        let answered = counted(u64::from(limit.answered), "request");
        let sentence = match (limit.reached, limit.announced) {
            (false, _) => format!("None within {answered} on one connection."),
            (true, true) => {
                format!("Closes after {answered}, as its last response says: no request is lost to it.")
            }
            (true, false) => {
                format!("Closes after {answered} without announcing it: a request can meet that close.")
            }
        };
        page.explained("Request limit", &sentence);
    }
    if let Some(likeness) = looks_like(measured) {
        page.explained("Looks like", &likeness);
    }
    if let Some((least, _)) = measured.idle_ns() {
        let sentence = format!(
            "A proxy in front must give up idle connections before {}, by more than a round trip and its own spread.",
            duration(signed(least))
        );
        page.explained("What to change", &sentence);
        page.command("", &format!("finrace check --proxy NAME --backend {}ms", least / 1_000_000));
    }
    page.text
}

/// `The default of uWSGI (http-keepalive), ...`
pub(super) fn default_of(alike: &[products::Likeness]) -> String {
    let names: Vec<String> = alike
        .iter()
        .map(|likeness| match likeness.timer.setting_name() {
            Some(setting) => format!("{} ({setting})", likeness.product.name),
            None => likeness.product.name.clone(),
        })
        .collect();
    format!("The default of {}.", names.join(", "))
}

pub(super) fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// The product that its Server field names. Somebody in front of the server may have written that field.
fn named(measured: &Measurement) -> Option<&'static products::Product> {
    products::of_server_field(measured.response.server.as_deref()?)
}

/// What it says it is, or else those whose timer it has.
fn looks_like(measured: &Measurement) -> Option<String> {
    let alike = alike(measured);
    let Some(product) = named(measured) else { return (!alike.is_empty()).then(|| default_of(&alike)) };
    let named = format!("{}, as its Server field says", product.name);
    let usual = products::defaults_of(product, Facing::Downstream);
    let Some((least, most)) = measured.idle_ns() else { return Some(named + ".") };
    let (least, most) = (signed(least), signed(most));
    Some(match usual {
        None => named + ".",
        Some((from, to)) if most >= from - AS_SAID_NS && least <= to + AS_SAID_NS.max(to / 100) => {
            format!("{named}, with its default timer.")
        }
        Some((from, _)) => {
            format!(
                "{named}, with another timer than its default of {}: it was set, or somebody in front closes.",
                duration(from)
            )
        }
    })
}

fn alike(measured: &Measurement) -> Vec<products::Likeness> {
    let middle = measured.idle_ns().map(|(least, most)| signed(least / 2 + most / 2));
    middle.map_or_else(Vec::new, |middle| products::looks_like(Facing::Downstream, middle))
}

fn idle(measured: &Measurement) -> String {
    if !measured.response.keeps_alive {
        return "None: it closes the connection after each response, so no idle one can race.".to_owned();
    }
    if measured.samples.first().is_some_and(|sample| sample.ending == Ending::Talks) {
        return "Not measured: it goes on sending without being asked, so its connections are never idle."
            .to_owned();
    }
    let open = measured.samples.iter().filter(|sample| !sample.ending.is_close()).count();
    let all = measured.samples.len();
    match (measured.idle_ns(), measured.samples.first()) {
        (None, None) => "Not measured: the server took no further connection.".to_owned(),
        (None, Some(sample)) => format!(
            "Longer than {}, or none: {} still open when the wait was over (--max-wait).",
            duration(signed(sample.idle_ns)),
            if all == 1 { "the connection was".to_owned() } else { format!("all {all} connections were") }
        ),
        (Some((least, most)), _) => {
            let spread =
                if all > 1 { format!(", spread {}", duration(signed(most - least))) } else { String::new() };
            let rest =
                if open > 0 { format!("; {open} still open when the wait was over") } else { String::new() };
            format!("{} ({} of {all} closed{spread}){rest}", duration(signed(least)), all - open)
        }
    }
}

fn how(measured: &Measurement) -> Option<String> {
    let closed = measured.samples.iter().find(|sample| sample.ending.is_close())?;
    let goodbye = if closed.close_notify { "With a TLS close_notify, then" } else { "With" };
    let mut sentence = match (closed.ending, measured.late_request) {
        (Ending::Reset, _) => format!("{goodbye} RST."),
        (Ending::NotifyOnly, _) => {
            "With a TLS close_notify, and no FIN within a second: the connection stays open below.".to_owned()
        }
        (_, Some(LateRequest::Reset)) => {
            format!("{goodbye} FIN; a request that comes later is answered with RST.")
        }
        (_, Some(LateRequest::Discarded)) => {
            format!(
                "{goodbye} FIN of one direction: a request that comes later is taken and thrown away, without RST and \
                 without an answer."
            )
        }
        (_, None) => format!("{goodbye} FIN."),
    };
    if let Some(status) = closed.unsolicited_status {
        sentence += &format!(" Before that it sends a response that nobody asked for: {status}.");
    }
    Some(sentence)
}

/// What the response says of the connection, against what happened.
fn says(measured: &Measurement) -> String {
    let response = &measured.response;
    let mut said = vec![format!("Status {}", response.status)];
    for (name, value) in [
        ("Server", &response.server),
        ("Connection", &response.connection),
        ("Keep-Alive", &response.keep_alive),
    ] {
        said.extend(value.as_ref().map(|value| format!("{name}: {value}")));
    }
    let named = response.named_timeout_s().map(|seconds| signed(seconds.saturating_mul(1_000_000_000)));
    let reality = match (named, measured.idle_ns()) {
        (Some(named), Some((least, _))) if named - signed(least) > AS_SAID_NS => {
            format!(" It closes {} sooner than that.", duration(named - signed(least)))
        }
        (Some(named), Some((least, _))) if signed(least) - named > AS_SAID_NS => {
            format!(" It closes {} later than that.", duration(signed(least) - named))
        }
        (Some(_), Some(_)) => " It does as it says.".to_owned(),
        _ => String::new(),
    };
    let status = match response.status {
        300..=399 => match &response.location {
            Some(place) => {
                format!(" It redirects to {place}; the probe does not follow, and measured what redirects.")
            }
            None => " It redirects; the probe does not follow, and measured what redirects.".to_owned(),
        },
        400.. => " An error is a response like any other here; --path asks for another page.".to_owned(),
        _ => String::new(),
    };
    format!("{}.{reality}{status}", said.join("; "))
}

fn before_any(unused: &Sample) -> String {
    let after = duration(signed(unused.idle_ns));
    match (unused.ending, unused.unsolicited_status) {
        (Ending::StillOpen, _) => format!("A connection without a request was still open after {after}."),
        (Ending::Talks, _) => "A connection without a request is sent data at once.".to_owned(),
        (_, Some(status)) => {
            format!("A connection without a request gets a response, {status}, and is closed after {after}.")
        }
        (_, None) => format!("A connection without a request is closed after {after}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Facts, RequestLimit};

    fn sample(idle_ms: u64, ending: Ending) -> Sample {
        Sample { idle_ns: idle_ms * 1_000_000, ending, close_notify: false, unsolicited_status: None }
    }

    fn node() -> Measurement {
        Measurement {
            target: "http://192.0.2.2:3000/".to_owned(),
            address: "192.0.2.2:3000".to_owned(),
            tls: None,
            response: Facts {
                status: 200,
                server: None,
                connection: Some("keep-alive".to_owned()),
                keep_alive: Some("timeout=5".to_owned()),
                location: None,
                keeps_alive: true,
            },
            samples: [6_002, 6_001, 6_004].map(|ms| sample(ms, Ending::Fin)).to_vec(),
            unused: Some(sample(60_010, Ending::Fin)),
            late_request: Some(LateRequest::Reset),
            request_limit: Some(RequestLimit { answered: 100, reached: false, announced: false }),
        }
    }

    fn text(measured: &Measurement) -> String {
        table(measured, TextOptions { width: 100, color: false, unicode: true })
    }

    #[test]
    fn a_measurement_reads_well() {
        insta::assert_snapshot!("probe_100", text(&node()));
    }

    #[test]
    fn the_server_field_comes_before_the_timer() {
        let mut measured = node();
        assert!(text(&measured).contains("The default of"), "{}", text(&measured));
        measured.response.server = Some("gunicorn".to_owned());
        let on_one_line =
            |measured: &Measurement| text(measured).split_whitespace().collect::<Vec<_>>().join(" ");
        let said = on_one_line(&measured);
        assert!(
            said.contains("as its Server field says, with another timer than its default of 2.000 s"),
            "{said}"
        );
        assert!(json(&measured).contains("\"gunicorn\""));
        measured.samples = [2_001, 2_003].map(|ms| sample(ms, Ending::Fin)).to_vec();
        assert!(on_one_line(&measured).contains("with its default timer"), "{}", text(&measured));
        measured.response.server = Some("something else".to_owned());
        assert!(text(&measured).contains("The default of"), "{}", text(&measured));
    }

    #[test]
    fn errors_and_redirections_are_said_to_be_responses() {
        let mut measured = node();
        measured.response.status = 404;
        assert!(text(&measured).contains("An error is a response"), "{}", text(&measured));
        (measured.response.status, measured.response.location) = (301, Some("https://a.example/".to_owned()));
        assert!(text(&measured).contains("It redirects to https://a.example/"), "{}", text(&measured));
    }

    #[test]
    fn a_server_that_goes_on_talking_was_not_measured() {
        let mut measured = node();
        measured.samples = vec![sample(3, Ending::Talks); 3];
        assert!(text(&measured).contains("goes on sending without being asked"), "{}", text(&measured));
        assert!(measured.idle_ns().is_none());
    }

    #[test]
    fn what_was_not_closed_is_never_called_measured() {
        let mut open = node();
        open.samples = vec![sample(120_000, Ending::StillOpen); 3];
        open.late_request = None;
        let said = text(&open);
        assert!(said.contains("Longer than 120.0 s, or none: all 3 connections were still open"), "{said}");
        assert!(!said.contains("Looks like") && !said.contains("How it closes"), "{said}");
    }

    #[test]
    fn a_half_close_a_reset_and_no_keep_alive_are_told_apart() {
        let mut other = node();
        other.late_request = Some(LateRequest::Discarded);
        let said = text(&other).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("thrown away, without RST"), "{said}");
        other.samples = vec![sample(5_000, Ending::Reset)];
        assert!(text(&other).contains("With RST."), "{}", text(&other));
        other.samples.clear();
        other.response.keeps_alive = false;
        assert!(text(&other).contains("no idle one can race"), "{}", text(&other));
    }

    #[test]
    fn programs_get_nanoseconds() {
        let document: serde_json::Value = serde_json::from_str(&json(&node())).unwrap();
        assert_eq!(document["idle_min_ns"], 6_001_000_000_u64);
        assert_eq!(document["late_request"], "reset");
        assert_eq!(document["looks_like"][0], "node-http");
        assert_eq!(document["samples"][0]["ending"], "fin");
    }
}
