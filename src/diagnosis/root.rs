//! What brought a close about: an idle timer, a limit, a restart. Told by all that is known of the server.

use crate::report::{Cause, PathLoss, Role, Root};

use super::timers::SHORTEST_IDLE_NS;
use super::{Finding, Limit, Place, ServerTimers};

/// The root of a lost request, where its cause can have several:
/// 1. something on the path refused it although there had been no silence;
/// 2. the cause is no meeting with a close;
/// 3. the close was one of a restart;
/// 4. the connection had carried no request yet: a timer for the first one;
/// 5. the server closed right after an answer: no idle timer is so short;
/// 6. it closes all its connections at an age;
/// 7. else its idle timer, which the client may have been told of.
pub fn root(finding: &Finding, timers: &ServerTimers) -> Root {
    if matches!(finding.path_loss, Some(PathLoss::Refused | PathLoss::Cut)) {
        Root::Refused
    } else if !finding.is_race() && finding.cause != Cause::ResetIdle && !finding.cause.is_race() {
        Root::Cause
    } else if happened_in_restart(finding, timers) {
        Root::Restart
    } else if finding.place == Place::First {
        Root::FirstRequestTimer
    } else if closed_after_answer(finding) {
        Root::AfterAnswer
    } else if matches!(timers.limit, Some(Limit::Age { .. })) {
        Root::AgeLimit
    } else if finding.announced.is_some_and(|announced| announced.overdue) {
        Root::Overdue
    } else {
        Root::IdleTimers
    }
}

/// Whether the close that the request died of was one of a restart.
fn happened_in_restart(finding: &Finding, timers: &ServerTimers) -> bool {
    let closed = finding.moment(Role::Fin).or(finding.moment(Role::Reset));
    closed.is_some_and(|close| timers.restarts.iter().any(|restart| restart.holds(close.time_ns)))
}

/// The server closed sooner after its last answer than any idle timer does, or with it.
pub(super) fn closed_after_answer(finding: &Finding) -> bool {
    match finding.idle_at_close_ns() {
        Some(idle_ns) => idle_ns < SHORTEST_IDLE_NS,
        // The answer itself was the last thing before a pipelined request.
        None => finding.idle_ns.is_none() && finding.place == Place::Later,
    }
}
