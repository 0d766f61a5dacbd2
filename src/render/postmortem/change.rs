//! What to change: the exact setting, on either side, where the products are recognised.

use std::fmt::Write;

use super::words::{Kind, Root};
use super::{Page, named};
use crate::products::{self, Cure, Facing, Rounding};
use crate::render::markdown::escape;
use crate::render::units::{counted, duration};
use crate::report::{Cause, IdleClose, LooksLike, Server};

/// Servers whose settings are written out; more would bury the page.
const SERVERS: usize = 5;
/// The least difference between both timers that counts as safe: two timers stray, and packets travel.
const MARGIN_NS: i64 = 1_000_000_000;
/// The idle timeout of a client that is not known: the default of nginx and of the load balancers of AWS.
const USUAL_CLIENT_NS: i64 = 60_000_000_000;
/// Clients that people have in front of servers, where the capture does not tell which one it is.
const USUAL_CLIENTS: [&str; 7] =
    ["nginx", "haproxy", "envoy", "aws-alb", "apache-mod-proxy", "traefik", "go-transport"];

/// The two timers of a pair, as they were seen, and what they have to become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timers {
    /// The earliest close of the server.
    pub server_ns: Option<i64>,
    /// The usual close of the client, where one was seen.
    pub client_ns: Option<i64>,
    /// The longest idle time after which the client still used a connection.
    pub reused_ns: Option<i64>,
    margin_ns: i64,
}

impl Timers {
    pub(super) fn of(server: &Server) -> Timers {
        let stray = |close: &Option<IdleClose>| close.as_ref().map_or(0, |close| close.max_ns - close.min_ns);
        Timers {
            server_ns: server
                .server_idle_close
                .as_ref()
                .map(|close| close.min_ns)
                .or(server.closed_at_least_ns),
            client_ns: server.client_idle_close.as_ref().map(|close| close.max_ns),
            reused_ns: server.reused().map(|(longest, _)| longest),
            margin_ns: MARGIN_NS.max(stray(&server.server_idle_close) + stray(&server.client_idle_close)),
        }
    }

    /// After how long the client gives up, as far as can be told: its timer if it was seen, else the usual one, and never
    /// less than it was seen to use a connection.
    pub(super) fn client_gives_up_ns(&self) -> i64 {
        let known = self.client_ns.unwrap_or(USUAL_CLIENT_NS);
        known.max(self.reused_ns.unwrap_or(0))
    }

    /// The server's idle timeout that suffices.
    pub(super) fn server_enough_ns(&self) -> i64 {
        products::nice_above(self.client_gives_up_ns().saturating_add(self.margin_ns))
    }

    /// The client's idle timeout that suffices, if the server's timer leaves room for one.
    pub(super) fn client_enough_ns(&self) -> Option<i64> {
        products::nice_below(self.server_ns?.saturating_sub(self.margin_ns))
    }
}

impl<'a> Page<'a> {
    pub(super) fn changes(&mut self) {
        let servers = self.servers_with_timers();
        if self.groups.is_empty() && servers.is_empty() {
            return;
        }
        self.heading("What to change");
        for group in self.groups.iter().filter(|group| !group.kind.is_of_timers()) {
            let advice = escape(&group.example().advice);
            let _ = write!(self.text, "**{}.** {advice}\n\n", group.kind.cause);
            if let Some(more) = more(group.kind) {
                self.paragraph(more);
            }
        }
        let told: Vec<(&Server, String)> =
            servers.iter().map(|server| (*server, settings(server, Timers::of(server)))).collect();
        let mut bodies: Vec<(&str, Vec<&str>)> = Vec::new();
        for (server, body) in &told {
            match bodies.iter_mut().find(|(known, _)| known == body) {
                Some((_, servers)) => servers.push(&server.server),
                None => bodies.push((body, vec![&server.server])),
            }
        }
        if !bodies.is_empty() {
            self.paragraph(
                "**Rule: the side that sends requests must give up an idle connection first.** The client's idle timeout \
                 has to be shorter than the server's, by more than both timers stray and a packet travels; equal values \
                 are not enough. With several hops (CDN, load balancer, proxy, application) that holds for each hop. One \
                 of the two changes is enough:",
            );
        }
        for (body, servers) in bodies.iter().take(SERVERS) {
            let _ = write!(self.text, "### {}\n\n{body}", named(servers));
        }
        if let Some(more) = bodies.len().checked_sub(SERVERS).filter(|&more| more > 0) {
            let words = counted(more as u64, "more set of timers");
            self.paragraph(&format!("{words}: `finrace timeouts` names each server with its own."));
        }
        if !bodies.is_empty() {
            self.paragraph(
                "**What does not help:** TCP keep-alive (`SO_KEEPALIVE`) is another feature. More capacity does not \
                 change the timers. A close without RST loses the request all the same. A retry hides the loss, and is \
                 right only where the packets show that the request was not processed, or where it may be done twice.",
            );
        }
    }

    /// Servers whose timers are to be changed: those that lost requests to them, and those at risk.
    pub(super) fn servers_with_timers(&self) -> Vec<&'a Server> {
        let of_groups = |server: &Server| {
            self.groups
                .iter()
                .filter(|group| group.kind.is_of_timers())
                .any(|group| group.incidents.iter().any(|incident| incident.server == server.server))
        };
        let at_risk: Vec<&'a Server> = self.at_risk().collect();
        // Beside other kinds of loss the risk is told, too, but of a restart no timer is to be changed.
        let servers = self.report().servers.iter();
        servers
            .filter(|server| of_groups(server) || at_risk.iter().any(|it| it.server == server.server))
            .collect()
    }
}

/// Both ways out for one server.
fn settings(server: &Server, timers: Timers) -> String {
    let mut text = String::new();
    let closes = match &server.server_idle_close {
        Some(close) if duration(close.min_ns) == duration(close.max_ns) => {
            format!(
                "closed idle connections after {} ({})",
                duration(close.mode_ns),
                counted(close.count, "time")
            )
        }
        Some(close) => format!(
            "closed idle connections after {} to {}, mostly {} ({})",
            duration(close.min_ns),
            duration(close.max_ns),
            duration(close.mode_ns),
            counted(close.count, "time")
        ),
        None => "was not seen to close an idle connection by a timer".to_owned(),
    };
    let client = match (&server.client_idle_close, timers.reused_ns) {
        (Some(close), _) => format!("the client gave up idle connections after {}", duration(close.mode_ns)),
        (None, Some(reused)) => format!(
            "the client used a connection again after up to {} idle; after how long it would give one up was not seen",
            duration(reused)
        ),
        (None, None) => "what the client does with idle connections was not seen".to_owned(),
    };
    let _ = write!(text, "Seen: the server {closes}; {client}.\n\n");
    let enough = timers.server_enough_ns();
    let above = match &server.client_idle_close {
        Some(_) => format!("above the client's {}", duration(timers.client_gives_up_ns())),
        None => format!(
            "above the client's, here taken to be {} (the default of nginx and of the load balancers of AWS; look yours \
             up, `finrace timeouts NAME`, and take more if it is longer)",
            seconds(timers.client_gives_up_ns())
        ),
    };
    let _ = writeln!(
        text,
        "- **Either the server keeps idle connections for longer**: {} or more, {above}.",
        seconds(enough)
    );
    let alike = server.server_idle_close.as_ref().map_or(&[][..], |close| &close.looks_like);
    text += &blocks("server", &of_likeness(alike, Facing::Downstream, enough));
    text += &recognised("server", alike, server.server_idle_close.as_ref());
    match timers.client_enough_ns() {
        Some(enough) => {
            let _ = writeln!(
                text,
                "- **Or the client gives up idle connections sooner**: after {} or less, below the server's {}.",
                seconds(enough),
                duration(timers.server_ns.unwrap_or(0))
            );
            let alike = server.client_idle_close.as_ref().map_or(&[][..], |close| &close.looks_like);
            if alike.is_empty() {
                let usual = USUAL_CLIENTS.iter().filter_map(|id| written(id, None, Facing::Upstream, enough));
                text += &blocks("client", &usual.collect::<Vec<_>>());
                text += "  What the client is cannot be seen in the packets; these are common ones, more with \
                         `finrace timeouts --list`.\n\n";
            } else {
                text += &blocks("client", &of_likeness(alike, Facing::Upstream, enough));
                text += &recognised("client", alike, server.client_idle_close.as_ref());
            }
        }
        None => {
            text += "- Lowering the client's timeout instead is no way out here: the server's is too short, or was not \
                     seen.\n\n";
        }
    }
    text
}

/// A product, and what to write in its configuration.
struct Written {
    name: String,
    cure: &'static Cure,
    code: String,
}

fn of_likeness(alike: &[LooksLike], side: Facing, ns: i64) -> Vec<Written> {
    alike.iter().filter_map(|like| written(&like.product, like.versions.as_deref(), side, ns)).collect()
}

fn written(id: &str, versions: Option<&str>, side: Facing, ns: i64) -> Option<Written> {
    let product = products::find(id)?;
    let rounding = if side == Facing::Downstream { Rounding::Up } else { Rounding::Down };
    let (cure, code) = product.cures(side).find_map(|cure| Some((cure, cure.written(ns, rounding)?)))?;
    let name = match versions {
        Some(versions) => format!("{} ({versions})", product.name),
        None => product.name.clone(),
    };
    Some(Written { name, cure, code })
}

/// Set in below an item of a list: a block of code for each product, to be copied as it is.
fn blocks(who: &str, all: &[Written]) -> String {
    let mut text = "\n".to_owned();
    for Written { name, cure, code } in all {
        let place = escape(&cure.place);
        let _ = writeln!(text, "  - if the {who} is {}, write ({place}):\n", escape(name));
        let _ = writeln!(text, "    ```{}", cure.language);
        for line in code.lines() {
            let _ = writeln!(text, "    {line}");
        }
        text += "    ```\n\n";
    }
    text
}

/// How the products were recognised, and how little that proves.
fn recognised(who: &str, alike: &[LooksLike], close: Option<&IdleClose>) -> String {
    match (alike, close) {
        (_, None) => String::new(),
        ([], Some(close)) => format!(
            "  {} is no default that finrace knows: look for this value in the {who}'s configuration. `finrace timeouts \
             --list` has the settings of many products.\n\n",
            duration(close.mode_ns)
        ),
        (_, Some(close)) => format!(
            "  Recognised by their default: {} is close to it. That is a likeness, not a proof; anybody can set any \
             value.\n\n",
            duration(close.mode_ns)
        ),
    }
}

/// What the sentence of the report leaves out.
fn more(kind: Kind) -> Option<&'static str> {
    Some(match (kind.cause, kind.root) {
        (_, Root::Restart) => {
            "In order: the server stops to announce itself as healthy; the client stops to send new requests (longer than \
             its health check takes to notice); idle connections end, or the server answers its last requests with \
             `Connection: close`; only then it exits."
        }
        (Cause::StaleReuse, _) => {
            "Look for an option of the client that checks a pooled connection before use or drops it as soon as the end \
             of the stream can be read, and for a newer release of it. A client idle timeout below the server's makes the \
             event rarer until then."
        }
        (_, Root::Refused) => return None,
        (Cause::StateLost | Cause::SilentDrop, _) => {
            "Known limits of devices in the path: AWS NLB and NAT gateway 350 s, Azure load balancer 4 minutes \
             (`finrace timeouts aws-nlb`, `aws-nat-gw`, `azure-lb`, `linux-conntrack`). If the server was restarted at \
             that time, the restart is the cause instead."
        }
        (Cause::DiedMidRequest | Cause::TruncatedResponse, _) => {
            "Where to look: the server's own log at the times above, the kernel's (a process killed for its memory), limits \
             such as a worker's time or number of requests, and deploys. Do not let the client send such a request again \
             unless it may be done twice."
        }
        (Cause::ProxyTimeout, _) => {
            "Compare the waiting time in the timeline with the client's response timeout (`proxy_read_timeout`, `timeout \
             server`, and the like) and with the server's own measurements for this path."
        }
        _ => return None,
    })
}

/// Whole seconds as people set them.
pub(super) fn seconds(ns: i64) -> String {
    crate::render::units::setting(ns)
}
