//! The verdict in words: one plain sentence of what happened, one of what to change.

use crate::report::{self, Cause, PathForgets, PathLoss, Role, Side};

use super::memory::{bracket, path_advice};
use super::{Finding, Place, ServerTimers, duration};

const RESTART_ADVICE: &str = "The server was restarted and closed all its connections at once: take it out of the proxy's \
                              rotation and let idle connections end before it stops. Timers are not the cause.";

const UNUSED_ADVICE: &str = "Raise the server's timer for the first request of a connection (header or request timeout) above \
                             the time for which the client keeps connections open in advance, or do not open them in \
                             advance.";
const ANNOUNCE_ADVICE: &str = "Let the server announce that it closes (Connection: close) in its last response, or keep the \
                               connection open longer than the client does.";

/// Two sentences for a reader who does not know TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// What happened.
    pub what_happened: String,
    /// What to change, on which side.
    pub advice: String,
}

/// Tells a finding; `forgets` is what its path showed of something that forgets connections.
pub fn tell(finding: &Finding, timers: &ServerTimers, forgets: Option<&PathForgets>) -> Story {
    let idle_ns = finding.idle_ns.or(finding.idle_at_least_ns);
    let idle = match (finding.idle_ns, finding.idle_at_least_ns) {
        (Some(idle), _) => duration(idle),
        (None, Some(idle)) => format!("at least {}", duration(idle)),
        (None, None) => "some time".to_owned(),
    };
    let what_happened = match finding.cause {
        Cause::CrossedFin if finding.place == Place::First => {
            "The server closed a connection that had not carried any request yet; the first request crossed the close on \
             the wire and reached a connection that no longer existed."
                .to_owned()
        }
        Cause::CrossedFin if idle_ns.is_none() && finding.place == Place::Unknown => {
            "The server closed the connection as the request was on its way, which reached a connection that no longer \
             existed. How long it had been idle was not captured."
                .to_owned()
        }
        Cause::CrossedFin if idle_ns.is_none() => {
            "The server closed the connection right after answering an earlier request; the next one was already on its way, \
             and reached a connection that no longer existed."
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
        Cause::ResetIdle if finding.from_stranger => format!(
            "Something between the client and the server reset a connection idle for {idle} as a request was on its way.{}",
            forgets.map(|forgets| format!(" {}", bracket(forgets))).unwrap_or_default()
        ),
        Cause::ResetIdle => format!("The server reset a connection idle for {idle} as a request was on its way."),
        Cause::StateLost => state_lost(finding, forgets),
        Cause::SilentDrop => format!(
            "{}he request was sent again and again and nothing came back: something in the path dropped it without a word.{}",
            match finding.path_loss {
                Some(_) => format!("After {} of silence, t", finding.silence_ns.map_or_else(|| idle.clone(), duration)),
                None => "T".to_owned(),
            },
            forgets.map(|forgets| format!(" {}", bracket(forgets))).unwrap_or_default()
        ),
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
    let advice = match finding.cause {
        _ if happened_in_restart(finding, timers) => RESTART_ADVICE.to_owned(),
        Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest
            if finding.place == Place::First =>
        {
            UNUSED_ADVICE.to_owned()
        }
        Cause::CrossedFin if idle_ns.is_none() && finding.place == Place::Later => ANNOUNCE_ADVICE.to_owned(),
        Cause::StateLost | Cause::SilentDrop => path_loss_advice(finding, forgets),
        Cause::ResetIdle if let Some(forgets) = forgets.filter(|_| finding.from_stranger) => {
            path_advice(forgets)
        }
        _ => advice(finding, timers),
    };
    let what_happened = match likeness(finding, timers) {
        Some(likeness) if idle_ns.is_some() => format!("{what_happened} {likeness}"),
        _ => what_happened,
    };
    Story { what_happened, advice }
}

/// What happened to a request that met somebody who did not know its connection.
fn state_lost(finding: &Finding, forgets: Option<&PathForgets>) -> String {
    let answered = finding.moment(Role::Reset).zip(finding.moment(Role::Request));
    let soon = answered.map_or_else(String::new, |(reset, request)| {
        format!(", {} after it was sent", duration((reset.time_ns - request.time_ns).max(0)))
    });
    let who = match finding.from_stranger {
        true => {
            "by something between the client and the server (a firewall, a load balancer, an intrusion prevention system)"
        }
        false => {
            "by something between the two that rejects it, or by a host that had just lost the connection in a restart or \
                  a failover"
        }
    };
    match finding.path_loss {
        Some(PathLoss::Cut) => format!(
            "The server had the request when the connection was cut off{}.",
            if finding.from_stranger {
                " by something between the two (a firewall, an intrusion prevention system)"
            } else {
                ""
            }
        ),
        Some(PathLoss::Refused) if finding.place == Place::First => {
            format!("The very first request of the connection was refused{soon}: {who}.")
        }
        Some(PathLoss::Refused) => format!("A request on a connection in use was refused{soon}: {who}."),
        Some(PathLoss::Forgot) | None => {
            let silence = finding.silence_ns.map_or_else(|| "some time".to_owned(), duration);
            let who = match finding.from_stranger {
                true => "something between the client and the server",
                false => "something",
            };
            let or_restart = if finding.from_stranger { "" } else { ", or a server that had restarted" };
            format!(
                "After {silence} of silence {who} no longer knew the connection: a NAT, firewall or load balancer that had \
                 forgotten it{or_restart}.{}",
                forgets.map(|forgets| format!(" {}", bracket(forgets))).unwrap_or_default()
            )
        }
    }
}

/// What to change where the path lost the request.
fn path_loss_advice(finding: &Finding, forgets: Option<&PathForgets>) -> String {
    match (finding.path_loss, forgets) {
        (Some(PathLoss::Refused | PathLoss::Cut), _) => {
            "Look at this time and for these addresses in the logs of the firewalls, load balancers and intrusion prevention \
             systems between the two (a policy, a signature, a limit), and for a restart or failover of the server. Idle \
             timeouts are not the cause."
                .to_owned()
        }
        (Some(PathLoss::Forgot), Some(forgets)) => path_advice(forgets),
        (Some(PathLoss::Forgot), None) => "Make the client drop idle connections sooner than the device in the path forgets \
                                           them, or send TCP keep-alive probes more often than that."
            .to_owned(),
        (None, _) => "Capture at the server's side at the same time: if the packets do not arrive there, look for what drops \
                      them in between; if they do, at the server's host. The connection had not been idle for long, so idle \
                      timeouts are not the cause."
            .to_owned(),
    }
}

/// Which product's default the server's timer looks like, where that timer made this close: the time from the last
/// response to the close is the timer's, give or take 5 % for the way of the packets.
fn likeness(finding: &Finding, timers: &ServerTimers) -> Option<String> {
    if !finding.is_race() || happened_in_restart(finding, timers) {
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

/// Whether the close that the request died of was one of a restart.
pub fn happened_in_restart(finding: &Finding, timers: &ServerTimers) -> bool {
    let closed = finding.moment(Role::Fin).or(finding.moment(Role::Reset));
    closed.is_some_and(|close| timers.restarts.iter().any(|restart| restart.holds(close.time_ns)))
}

fn advice(finding: &Finding, timers: &ServerTimers) -> String {
    match finding.cause {
        Cause::StaleReuse if finding.stale_for_ns.is_none() => {
            "Capture again without gaps: how long the client had known of the close tells whether its pool or the timers are \
             at fault."
                .to_owned()
        }
        Cause::StaleReuse if !finding.is_race() => format!(
            "Fix the client: its pool must drop a connection as soon as the server's FIN can be read ({} after the FIN is \
             no race). Timeouts only hide it.",
            finding.stale_for_ns.map_or_else(|| "this long".to_owned(), duration)
        ),
        Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest | Cause::StaleReuse | Cause::ResetIdle => {
            timer_advice(timers)
        }
        Cause::StateLost | Cause::SilentDrop => path_loss_advice(finding, None),
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
        Cause::Unknown => "Capture at the other side as well, without a filter on flags, and compare.".to_owned(),
    }
}

/// Who must give up first, with the observed numbers.
pub fn timer_advice(timers: &ServerTimers) -> String {
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
