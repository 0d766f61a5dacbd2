//! How long what lies between a client and a server remembers a connection on which nothing passes.

use std::net::IpAddr;

use crate::connection::Connection;
use crate::products::{self, Likeness};
use crate::report::{Cause, LooksLike, PathForgets, PathLoss, Role, Side, likeness};

use super::path::SHORTEST_MEMORY_NS;
use super::{Finding, duration};

/// Clients of one server whose paths are told apart; of further ones nothing is known.
const MOST_PATHS: usize = 64;

/// The paths to one server, one for each client's address.
#[derive(Debug, Clone, Default)]
pub struct Paths(Vec<Path>);

/// The way from one client's address to the server.
#[derive(Debug, Clone, Copy)]
struct Path {
    client: IpAddr,
    survived_ns: Option<i64>,
    gone_ns: Option<i64>,
    losses: u64,
}

impl Paths {
    /// Takes a connection into account, and what was found on it. A path that is not known yet is only added if there is
    /// `room`.
    pub fn add(&mut self, connection: &Connection, findings: &[Finding], room: bool) {
        let survived_ns = connection.survived_ns();
        let gone = findings.iter().filter_map(gone_after);
        let (losses, gone_ns) = gone.fold((0, None::<i64>), |(count, least), ns| {
            (count + 1, Some(least.map_or(ns, |least| least.min(ns))))
        });
        // What survived less says nothing that the timers of known devices could be held against.
        if gone_ns.is_none() && survived_ns.is_none_or(|ns| ns < SHORTEST_MEMORY_NS) {
            return;
        }
        let client = connection.endpoint(Side::Client).ip();
        let at = match self.0.binary_search_by_key(&client, |path| path.client) {
            Ok(at) => at,
            Err(_) if !room || self.0.len() == MOST_PATHS => return,
            Err(at) => {
                self.0.insert(at, Path { client, survived_ns: None, gone_ns: None, losses: 0 });
                at
            }
        };
        let path = &mut self.0[at];
        path.survived_ns = path.survived_ns.max(survived_ns);
        path.gone_ns = path.gone_ns.into_iter().chain(gone_ns).min();
        path.losses += losses;
    }

    /// What the path of one client shows; none where no connection was gone on it.
    pub fn of(&self, client: IpAddr) -> Option<PathForgets> {
        let at = self.0.binary_search_by_key(&client, |path| path.client).ok()?;
        self.0[at].forgets()
    }

    /// The path that forgets soonest.
    pub fn soonest(&self) -> Option<PathForgets> {
        self.0.iter().filter_map(Path::forgets).min_by_key(|forgets| forgets.gone_ns)
    }
}

/// The silence after which a request found that its connection was gone.
fn gone_after(finding: &Finding) -> Option<i64> {
    match (finding.cause, finding.path_loss) {
        (Cause::StateLost | Cause::SilentDrop, Some(PathLoss::Forgot)) => finding.silence_ns,
        // A device that tells both ends what it forgets.
        (Cause::ResetIdle, _) if finding.from_stranger => {
            let reset = finding.moment(Role::Reset)?.time_ns;
            Some(reset - finding.moment(Role::PreviousResponse)?.time_ns)
                .filter(|ns| *ns >= SHORTEST_MEMORY_NS)
        }
        _ => None,
    }
}

impl Path {
    fn forgets(&self) -> Option<PathForgets> {
        let gone_ns = self.gone_ns?;
        let by_timer = self.survived_ns.is_none_or(|survived| survived < gone_ns);
        let alike = if by_timer { products::forgets_between(self.survived_ns, gone_ns) } else { Vec::new() };
        let looks_like = alike
            .into_iter()
            .map(|Likeness { product, timer, default_ns }| LooksLike {
                product: product.id.clone(),
                name: product.name.clone(),
                setting: timer.setting_name().map(str::to_owned),
                default_ns,
                versions: timer.versions.clone(),
            })
            .collect();
        Some(PathForgets { survived_ns: self.survived_ns, gone_ns, losses: self.losses, looks_like })
    }
}

/// How long the path remembers, in a sentence or two.
pub(super) fn bracket(forgets: &PathForgets) -> String {
    let gone = duration(forgets.gone_ns);
    let bracket = match forgets.survived_ns {
        Some(survived) if !forgets.is_by_timer() => {
            return format!(
                "Another connection on this path survived {} of silence, so no idle timer explains that one was gone after \
                 {gone}.",
                duration(survived)
            );
        }
        Some(survived) => {
            format!(
                "On this path connections survived {} of silence, and one was gone after {gone}",
                duration(survived)
            )
        }
        None => format!("On this path a connection was gone after {gone} of silence"),
    };
    match (likeness(&forgets.looks_like), forgets.looks_like.first()) {
        (Some(named), Some(first))
            if forgets.looks_like.iter().all(|it| it.default_ns == first.default_ns) =>
        {
            format!("{bracket}, which looks like the {} of {named}.", duration(first.default_ns))
        }
        (Some(named), _) => format!("{bracket}, which looks like the default of {named}."),
        _ => format!("{bracket}."),
    }
}

/// Who has to do what, with the observed numbers.
pub fn path_advice(forgets: &PathForgets) -> String {
    if !forgets.is_by_timer() {
        return "Look for a restart or a failover of the server or of a device in the path at this time, or a full table of \
                connections there: connections that were silent for longer survived, so idle timeouts are not the cause."
            .to_owned();
    }
    let below = match (forgets.survived_ns, forgets.looks_like.iter().map(|it| it.default_ns).min()) {
        (Some(survived), _) => format!("{} at most", duration(survived)),
        (None, Some(default)) => format!("less than {}, if it is that", duration(default)),
        (None, None) => format!("well below {}", duration(forgets.gone_ns)),
    };
    format!(
        "Let the client, or the proxy that keeps the connections, give up an idle one after {below}: that end sends the \
         request that is lost. Where it cannot, send TCP keep-alive probes that often, from either end (Linux waits two hours \
         before the first one unless told otherwise). If nothing between the two keeps a table, look for a restart of the \
         server instead."
    )
}
