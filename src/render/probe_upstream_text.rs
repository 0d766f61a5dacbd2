//! The answer of `finrace probe --upstream`: after how long a proxy gives up idle connections, and what it sends again.

use super::page::Page;
use super::probe_text::{default_of, document, signed};
use super::style::{TextOptions, Tone};
use super::units::{counted, duration};
use crate::probe::Ending;
use crate::probe::upstream::{Again, Close, Measurement, Retry};
use crate::products::{self, Facing};

/// Idle times of one timer lie closer together than this; a second timer, or a full pool, shows as more.
const ONE_TIMER_NS: i64 = 1_000_000_000;

/// One document.
pub fn json(measured: &Measurement) -> String {
    let alike = alike(measured);
    let ids = alike.iter().map(|likeness| likeness.product.id.as_str()).collect();
    document(measured, measured.idle_ns(), ids)
}

/// For people, a line end after each line.
pub fn table(measured: &Measurement, options: TextOptions) -> String {
    let mut page = Page::new(options);
    let via = measured.via.as_ref().map(|via| format!(", asked at {via}")).unwrap_or_default();
    let title = format!("The proxy that sends its requests to {}{via}", measured.listen);
    page.paragraph(&title, Tone::Ink, true, 0);
    page.explained("Idle timeout", &idle(measured));
    if measured.requests > 0 {
        page.explained("Reuse", &reuse(measured));
    }
    if let Some((count, why)) = &measured.unreadable {
        page.explained(
            "Not understood",
            &format!(
                "{}: {why}. This backend speaks HTTP/1 in clear text: switch TLS and HTTP/2 to it off.",
                counted(u64::from(*count), "connection")
            ),
        );
    }
    for (index, method) in ["GET", "POST"].into_iter().enumerate() {
        let of_method: Vec<&Retry> = measured.retries.iter().filter(|retry| retry.method == method).collect();
        if !of_method.is_empty() {
            page.explained(
                if index == 0 { "Retries" } else { "" },
                &retries(method, &of_method, measured.via.is_some()),
            );
        }
    }
    let alike = alike(measured);
    if !alike.is_empty() {
        page.explained("Looks like", &default_of(&alike));
    }
    if let Some((_, most)) = measured.idle_ns()
        && !measured.is_open_ended()
    {
        let sentence = format!(
            "Every server behind it must keep idle connections for longer than {}, by more than a round trip and its \
             own spread.",
            duration(signed(most))
        );
        page.explained("What to change", &sentence);
        page.command("", &format!("finrace check --proxy {}ms --backend NAME", most.div_ceil(1_000_000)));
    } else if !measured.still_open_ns.is_empty() {
        let sentence = "Wait longer (--max-wait). A proxy that closes no idle connection leaves every close to the servers, and each close can \
                        meet a request, unless it looks at the age of a connection before it uses it, as Apache's ttl \
                        does: set its idle timeout for connections to servers, below theirs.";
        page.explained("What to change", sentence);
    }
    page.text
}

fn alike(measured: &Measurement) -> Vec<products::Likeness> {
    let one_timer = measured.idle_ns().filter(|(least, most)| signed(most - least) <= ONE_TIMER_NS);
    let middle = one_timer.map(|(least, most)| signed(least / 2 + most / 2));
    middle.map_or_else(Vec::new, |middle| products::looks_like(Facing::Upstream, middle))
}

fn idle(measured: &Measurement) -> String {
    if measured.requests == 0 {
        return format!(
            "Not measured: no request came to {}. Point the proxy's upstream there, and send requests through the \
             proxy, or let --via send them.",
            measured.listen
        );
    }
    if measured.keeps_none() {
        return if measured.not_kept > 0 {
            format!(
                "None: it keeps no connection to a server ({} of {} asked for the close: HTTP/1.0, or Connection: \
                 close), so no idle one can race.",
                measured.not_kept,
                counted(u64::from(measured.requests), "request")
            )
        } else {
            "None: it closes the connection right after each response, so no idle one can race.".to_owned()
        };
    }
    let open = measured.still_open_ns.len();
    let mut sentence = match (measured.idle_ns(), measured.still_open_ns.first()) {
        (None, None) => "Not measured: no kept connection was left.".to_owned(),
        (None, Some(&longest)) => format!(
            "Longer than {}, or none: {} still open when the probe ended.",
            duration(signed(longest)),
            if open == 1 {
                "the kept connection was".to_owned()
            } else {
                format!("all {open} kept connections were")
            }
        ),
        (Some((least, most)), _) => {
            let all = measured.samples.len();
            let spread =
                if all > 1 { format!(", spread {}", duration(signed(most - least))) } else { String::new() };
            let resets = measured.samples.iter().filter(|sample| sample.ending == Ending::Reset).count();
            let how = match resets {
                0 => "with FIN",
                some if some == all => "with RST",
                _ => "some with FIN, some with RST",
            };
            let gave_up = counted(all as u64, "connection");
            format!("{} ({gave_up} given up, {how}{spread}).", duration(signed(least)))
        }
    };
    if let (Some(_), true, Some(&longest)) =
        (measured.idle_ns(), measured.is_open_ended(), measured.still_open_ns.first())
    {
        sentence += &format!(
            " That is no timer of every connection: {open} still open when the probe ended, after up to {}.",
            duration(signed(longest))
        );
    } else if let Some((least, most)) = measured.idle_ns()
        && signed(most - least) > ONE_TIMER_NS
    {
        sentence += " That is more than one timer: a limit on idle connections closes some earlier, too.";
    }
    if measured.samples.len() == 1 {
        sentence += " One connection says little: send more requests side by side.";
    }
    if measured.closed_at_once > 0 {
        sentence += &format!(
            " {} closed right after a response, as where a pool has no room.",
            match measured.closed_at_once {
                1 => "1 more connection was".to_owned(),
                more => format!("{more} more connections were"),
            }
        );
    }
    sentence
}

fn reuse(measured: &Measurement) -> String {
    let connections = counted(u64::from(measured.connections), "connection");
    let requests = counted(u64::from(measured.requests), "request");
    let after = measured
        .longest_reuse_ns
        .map(|longest| format!(", at most {} after the one before", duration(signed(longest))));
    format!(
        "{requests} on {connections}; {} of them on a connection that had carried one before{}.",
        measured.reused,
        after.unwrap_or_default()
    )
}

/// `The proxy sent GET again after a FIN and after a RST (...)`.
fn retries(method: &str, of_method: &[&Retry], of_via: bool) -> String {
    let after = |again: Again| {
        let ways = of_method.iter().filter(|retry| retry.again == again).map(|retry| match retry.close {
            Close::Fin => "after a FIN",
            Close::Reset => "after a RST",
        });
        ways.collect::<Vec<_>>().join(if again == Again::Sent { " and " } else { " or " })
    };
    let status = |again: Again| {
        let mut got: Vec<String> = Vec::new();
        for retry in of_method.iter().filter(|retry| retry.again == again) {
            let said = retry.client_status.map(|status| status.to_string());
            got.extend(said.filter(|said| !got.contains(said)));
        }
        if got.is_empty() && of_via && again == Again::NotSent {
            return " (the client got no answer)".to_owned();
        }
        if got.is_empty() { String::new() } else { format!(" (the client got {})", got.join(" and ")) }
    };
    let mut said = Vec::new();
    for (again, words) in [(Again::Sent, "sent"), (Again::NotSent, "did not send")] {
        let after = after(again);
        if !after.is_empty() {
            said.push(format!("The proxy {words} {method} again {after}{}.", status(again)));
        }
    }
    let untested = after(Again::NotTested);
    if !untested.is_empty() {
        said.push(format!(
            "{method} {untested} was not tested: no {} came on a kept connection.",
            if said.is_empty() { method.to_owned() } else { format!("further {method}") }
        ));
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::upstream::GivenUp;

    fn retry(method: &'static str, close: Close, again: Again) -> Retry {
        let sent = again == Again::Sent;
        let client_status = (again != Again::NotTested).then_some(if sent { 200 } else { 502 });
        Retry { method, close, again, after_ns: sent.then_some(400_000), client_status }
    }

    fn nginx() -> Measurement {
        let given_up = |ms: u64| GivenUp { idle_ns: ms * 1_000_000, ending: Ending::Fin, requests: 1 };
        Measurement {
            listen: "127.0.0.1:9000".to_owned(),
            via: Some("http://127.0.0.1:8080/".to_owned()),
            connections: 7,
            requests: 14,
            reused: 7,
            longest_reuse_ns: Some(1_100_000),
            not_kept: 0,
            samples: vec![given_up(60_001), given_up(60_004), given_up(60_002)],
            closed_at_once: 0,
            still_open_ns: Vec::new(),
            retries: vec![
                retry("GET", Close::Fin, Again::Sent),
                retry("GET", Close::Reset, Again::Sent),
                retry("POST", Close::Fin, Again::NotSent),
                retry("POST", Close::Reset, Again::NotTested),
            ],
            unreadable: None,
        }
    }

    fn text(measured: &Measurement) -> String {
        table(measured, TextOptions { width: 100, color: false, unicode: true })
    }

    fn in_one_line(measured: &Measurement) -> String {
        text(measured).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_measurement_reads_well() {
        insta::assert_snapshot!("probe_upstream_100", text(&nginx()));
    }

    #[test]
    fn what_was_not_closed_is_never_called_measured() {
        let open = Measurement { samples: Vec::new(), still_open_ns: vec![9_000_000_000; 3], ..nginx() };
        let said = in_one_line(&open);
        assert!(said.contains("Longer than 9.000 s, or none: all 3 kept connections were"), "{said}");
        assert!(!said.contains("Looks like") && !said.contains("check --proxy"), "{said}");
        let some = Measurement { still_open_ns: vec![90_000_000_000], ..nginx() };
        let said = in_one_line(&some);
        assert!(said.contains("no timer of every connection: 1 still open"), "{said}");
        assert!(!said.contains("check --proxy"), "{said}");
    }

    #[test]
    fn a_limit_is_not_taken_for_a_timer() {
        let mut spread = nginx();
        spread.samples[0].idle_ns = 2_000_000_000;
        spread.closed_at_once = 2;
        let said = in_one_line(&spread);
        assert!(said.contains("more than one timer") && !said.contains("Looks like"), "{said}");
        assert!(said.contains("2 more connections were closed right after a response"), "{said}");
    }

    #[test]
    fn a_proxy_that_keeps_nothing_and_one_that_sends_nothing_are_told_apart() {
        let idle = Measurement { samples: Vec::new(), reused: 0, retries: Vec::new(), ..nginx() };
        let said = in_one_line(&Measurement { not_kept: 14, ..idle.clone() });
        assert!(said.contains("14 of 14 requests asked for the close"), "{said}");
        let said = in_one_line(&Measurement { requests: 0, ..idle });
        assert!(said.contains("no request came to 127.0.0.1:9000"), "{said}");
    }

    #[test]
    fn programs_get_tokens_and_nanoseconds() {
        let document: serde_json::Value = serde_json::from_str(&json(&nginx())).unwrap();
        assert_eq!(document["idle_max_ns"], 60_004_000_000_u64);
        assert_eq!(document["looks_like"][0], "nginx");
        assert_eq!(document["retries"][2]["again"], "not-sent");
        assert_eq!(document["retries"][1]["close"], "reset");
    }
}
