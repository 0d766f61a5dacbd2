//! The verdict in words: one plain sentence of what happened, one of what to change.

use crate::report::{self, Cause, Risk, Root, Side};

use super::{Finding, Limit, ServerTimers, duration, root};

const RESTART_ADVICE: &str = "The server was restarted and closed all its connections at once: take it out of the proxy's \
                              rotation and let idle connections end before it stops. Timers are not the cause.";

const UNUSED_ADVICE: &str = "Raise the server's timer for the first request of a connection (header or request timeout) above \
                             the time for which the client keeps connections open in advance, or do not open them in \
                             advance.";
const RECYCLE_ADVICE: &str = "No timeout cures it, for no idle timer closed: the server closes right after an answer, as it does \
                              at a limit on requests (gunicorn max_requests, nginx keepalive_requests, Tomcat \
                              maxKeepAliveRequests, Apache MaxKeepAliveRequests), when a worker is recycled, or on a \
                              reload. Let it announce that in its last answer (Connection: close) or lift the limit, and \
                              let the client send such a request again on a new connection.";
const PIPELINE_ADVICE: &str = "Let the client send it again on a new connection: whoever sends a request before the answer to \
                               the one before has arrived must expect that (RFC 9112 section 9.3.2). The server announced \
                               the close as it should, and timers are not the cause.";
const AGE_ADVICE: &str = "Give the client a limit on the age of its connections below the server's (nginx keepalive_time in the \
                          upstream block, Envoy max_connection_duration), or let the server announce its close \
                          (Connection: close). Idle timeouts are not the cause.";
/// Two sentences for a reader who does not know TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// What happened.
    pub what_happened: String,
    /// What to change, on which side.
    pub advice: String,
}

/// Tells a finding.
pub fn tell(finding: &Finding, timers: &ServerTimers) -> Story {
    let idle_ns = finding.idle_ns.or(finding.idle_at_least_ns);
    let idle = match (finding.idle_ns, finding.idle_at_least_ns) {
        (Some(idle), _) => duration(idle),
        (None, Some(idle)) => format!("at least {}", duration(idle)),
        (None, None) => "some time".to_owned(),
    };
    let root = root(finding, timers);
    let what_happened = match finding.cause {
        Cause::CrossedFin if root == Root::FirstRequestTimer => {
            "The server closed a connection that had not carried any request yet; the first request crossed the close on \
             the wire and reached a connection that no longer existed."
                .to_owned()
        }
        _ if root == Root::AfterAnswer => closed_after_answer(finding),
        Cause::CrossedFin if idle_ns.is_none() => {
            "The server closed the connection as the request was on its way, which reached a connection that no longer \
             existed. How long it had been idle was not captured."
                .to_owned()
        }
        Cause::CrossedFin => format!(
            "The server closed a connection idle for {idle}; the request was sent before the close had arrived, and reached a \
             connection that no longer existed."
        ),
        Cause::UnreadRequest => format!(
            "The request arrived on a connection idle for {idle} just as the server was closing it; the server threw the \
             connection away without reading the request."
        ),
        Cause::DiscardedRequest => format!(
            "The server had closed its side of a connection idle for {idle}; it read the request that was on its way, and \
             dropped it without an answer."
        ),
        Cause::StaleReuse if finding.is_race() => format!(
            "The server closed a connection idle for {idle}; the client sent a request in the moment before it noticed."
        ),
        Cause::StaleReuse if finding.stale_for_ns.is_none() => {
            "The server had closed the connection and the client's kernel knew it when the request was sent; the capture \
             missed the close itself."
                .to_owned()
        }
        Cause::StaleReuse => "The server had closed the connection, the client had been told, and the client used it all \
                              the same."
            .to_owned(),
        Cause::AnnouncedClose => {
            "The last exchange on this connection had announced that it would close; the client knew, and sent another \
             request on it all the same."
                .to_owned()
        }
        Cause::ResetIdle => format!("The server reset a connection idle for {idle} as a request was on its way."),
        Cause::StateLost => format!(
            "After {idle} of silence something no longer knew the connection: a NAT, firewall or load balancer that had \
             forgotten it, or a server that had restarted."
        ),
        Cause::SilentDrop => "The request was sent again and again and nothing came back: something in the path dropped it \
                              without a word."
            .to_owned(),
        Cause::DiedMidRequest => {
            "The server received the request, worked on it, and closed the connection without an answer.".to_owned()
        }
        Cause::TruncatedResponse => "The server closed the connection in the middle of its response.".to_owned(),
        Cause::ResponseReset => {
            "The server answered, then reset the connection; the reset may have destroyed the answer on arrival.".to_owned()
        }
        Cause::ProxyTimeout => "The client gave up waiting for the response and closed.".to_owned(),
        Cause::ClientAbort => "The client closed while its request was still being answered.".to_owned(),
        Cause::Refused => "Nothing was listening on the server's port.".to_owned(),
        Cause::ConnectTimeout => "The server never answered the attempt to connect.".to_owned(),
        Cause::UnsolicitedResponse => {
            "The server sent a response nobody had asked for and closed; a request crossed it.".to_owned()
        }
        Cause::Goaway => "The server had announced that it would take no more requests on this connection.".to_owned(),
        Cause::Unknown => "The request got no response, and this capture does not show why.".to_owned(),
    };
    let advice = match root {
        Root::Restart => RESTART_ADVICE.to_owned(),
        Root::FirstRequestTimer => UNUSED_ADVICE.to_owned(),
        Root::AfterAnswer if finding.announced.is_some_and(|it| it.close) => PIPELINE_ADVICE.to_owned(),
        Root::AfterAnswer => RECYCLE_ADVICE.to_owned(),
        Root::AgeLimit => AGE_ADVICE.to_owned(),
        Root::Overdue => heed_advice(finding),
        Root::IdleTimers => timer_advice(timers),
        Root::Cause => advice(finding),
    };
    let what_happened = match (root, finding.announced.and_then(|announced| announced.timeout_ns)) {
        (Root::Overdue, Some(announced_ns)) => format!(
            "{what_happened} It had announced that it keeps idle connections for {} (Keep-Alive: timeout); when the client \
             sent the request, that was over.",
            duration(announced_ns)
        ),
        _ => what_happened,
    };
    let what_happened = match likeness(finding, root, timers) {
        Some(likeness) if idle_ns.is_some() => format!("{what_happened} {likeness}"),
        _ => what_happened,
    };
    Story { what_happened, advice }
}

/// What to change, where the client used a connection for longer than the server had announced.
fn heed_advice(finding: &Finding) -> String {
    let announced_ns = finding.announced.and_then(|announced| announced.timeout_ns).unwrap_or_default();
    format!(
        "Let the client heed what the server announces: give it an idle timeout below {}, by a second or more. No header makes \
         nginx, HAProxy, Envoy or a cloud load balancer do so: there, set it by hand, or raise the server's idle timeout above \
         theirs.",
        duration(announced_ns)
    )
}

/// What happened, where the server closed right after an answer or with it.
fn closed_after_answer(finding: &Finding) -> String {
    let after = match finding.idle_at_close_ns() {
        Some(ns) if ns >= 1_000 => format!("{} after", duration(ns)),
        _ => "with".to_owned(),
    };
    let which = match finding.requests_before {
        0 | 1 => "an answer".to_owned(),
        answered => format!("its {} answer", ordinal(answered)),
    };
    let unannounced = match finding.announced {
        Some(announced) if announced.close => ", and had announced that",
        Some(_) => ", and had not announced that",
        None => "",
    };
    format!(
        "The server closed the connection {after} {which} on it{unannounced}; the next request was already on its way, \
         and reached a connection that no longer existed."
    )
}

/// `7th`.
fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Which product's default the server's timer looks like, where that timer made this close: the time from the last
/// response to the close is the timer's, give or take 5 % for the way of the packets.
fn likeness(finding: &Finding, root: Root, timers: &ServerTimers) -> Option<String> {
    if !finding.is_race() || !matches!(root, Root::IdleTimers | Root::Overdue) {
        return None;
    }
    let timer_ns = timers.server_close.timer_ns()?;
    let idle_ns = finding.idle_at_close_ns()?;
    if (idle_ns - timer_ns).abs() > timer_ns / 20 {
        return None;
    }
    let named = report::likeness(&timers.server_close.looks_like(Side::Server))?;
    Some(format!("Its timer of {} looks like the default of {named}.", duration(timer_ns)))
}

/// What to change, where the cause alone says it.
fn advice(finding: &Finding) -> String {
    match finding.cause {
        Cause::StaleReuse if finding.stale_for_ns.is_none() => {
            "Capture again without gaps: how long the client had known of the close tells whether its pool or the timers are \
             at fault."
                .to_owned()
        }
        Cause::StaleReuse => format!(
            "Fix the client: its pool must drop a connection as soon as the server's FIN can be read ({} after the FIN is \
             no race). Timeouts only hide it.",
            finding.stale_for_ns.map_or_else(|| "this long".to_owned(), duration)
        ),
        Cause::AnnouncedClose => "Fix the client: after an answer that announces the close it must not send another request \
                                  on that connection (RFC 9112 section 9.6). No timer cures it, and the server is not at \
                                  fault."
            .to_owned(),
        Cause::StateLost | Cause::SilentDrop => "Make the client drop idle connections sooner than the device in the path \
                                                 forgets them, or send TCP keep-alive probes more often than that."
            .to_owned(),
        Cause::DiedMidRequest | Cause::TruncatedResponse => "Look for a crash, a killed worker or a request limit in the \
                                                             server's log at this time; idle timeouts are not the cause."
            .to_owned(),
        Cause::ResponseReset => "Let the server read the whole request body before it closes, or close in two steps \
                                 (shutdown, drain, close)."
            .to_owned(),
        Cause::ProxyTimeout => "Make the server faster or the client's response timeout longer; idle timeouts are not the \
                                cause."
            .to_owned(),
        Cause::ClientAbort => "Nothing to change here: the client went away.".to_owned(),
        Cause::Refused => "Check that the server is running and listens on this address and port.".to_owned(),
        Cause::ConnectTimeout => "Check routing, firewall and the server's accept queue.".to_owned(),
        Cause::UnsolicitedResponse => "Raise the server's header or request timer above the client's idle timeout.".to_owned(),
        Cause::Goaway => "Let the client retry on a new connection: by protocol the request was not processed.".to_owned(),
        // These have roots of their own.
        Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest | Cause::ResetIdle | Cause::Unknown => "Capture at the other side as well, without a filter on flags, and compare.".to_owned(),
    }
}

/// What to change about a server at risk.
pub fn server_advice(timers: &ServerTimers) -> String {
    let risks = timers.risks();
    let sentences = risks.iter().map(|risk| match risk {
        Risk::IdleTimers if matches!(timers.limit, Some(Limit::Age { .. })) => AGE_ADVICE.to_owned(),
        Risk::IdleTimers => timer_advice(timers),
        Risk::AfterAnswer => RECYCLE_ADVICE.to_owned(),
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// Who must give up first, with the observed numbers.
fn timer_advice(timers: &ServerTimers) -> String {
    let closes = timers.server_close.summary();
    let reuse = timers.client_close.summary().map(|close| close.max_ns).max(timers.reused_ns());
    if let (None, Some(kept_ns)) = (closes, timers.kept_at_least_ns()) {
        return format!(
            "The side that sends requests must give up first: keep the server's idle timeout (at least {}: it began before \
             the capture) above the client's, or the client's below the server's.",
            duration(kept_ns)
        );
    }
    match (closes, reuse) {
        (Some(server), Some(client)) => format!(
            "The side that sends requests must give up first: keep the server's idle timeout (it closed after {}) above the \
             client's (it used connections idle for up to {}), or the client's below the server's.{}",
            duration(server.mode_ns),
            duration(client),
            margin(timers)
        ),
        (Some(server), None) => format!(
            "The side that sends requests must give up first: raise the server's idle timeout ({} here) above the client's, \
             or lower the client's below {}.{}",
            duration(server.mode_ns),
            duration(server.mode_ns),
            margin(timers)
        ),
        _ => "The side that sends requests must give up first: keep the server's idle timeout above the client's.".to_owned(),
    }
}

/// Fewer closes show no spread worth a number.
const FEWEST_FOR_A_MARGIN: u64 = 3;

/// By how much: as far as both timers were seen to stray, and a packet's way, which nobody can measure from one capture.
fn margin(timers: &ServerTimers) -> String {
    let closes = [timers.server_close.summary(), timers.client_close.summary()];
    let counted = closes.iter().flatten().filter(|close| close.count >= FEWEST_FOR_A_MARGIN);
    let strayed: Option<i64> = counted
        .map(|close| close.max_ns - close.min_ns)
        .fold(None, |sum, spread| Some(sum.unwrap_or(0) + spread));
    match strayed {
        Some(strayed) => format!(
            " The margin must exceed {}, as far as the timers strayed here, and a round trip.",
            duration(strayed.max(1_000_000))
        ),
        None => String::new(),
    }
}
