//! How to tell that the change works.

use super::Page;
use super::change::{Timers, seconds};
use crate::render::units::count;
use crate::render::visible::quoted;

impl Page<'_> {
    pub(super) fn verification(&mut self) {
        let report = self.report();
        let Some(server) = self
            .groups
            .first()
            .map(|group| group.example().server.as_str())
            .or_else(|| self.at_risk().map(|server| server.server.as_str()).next())
        else {
            return;
        };
        self.heading("How to verify the fix");
        let port = server.rsplit_once(':').map_or("PORT", |(_, port)| port);
        let mut commands = vec![
            format!(
                "tcpdump -i any -s 256 -w after.pcap 'tcp port {port}'   # on the client's or the server's host"
            ),
            format!("finrace analyze after.pcap --server {}   # exit code 0: nothing lost", quoted(server)),
        ];
        let timers = self.servers_with_timers().first().map(|server| Timers::of(server));
        if timers.is_some() {
            commands.push(
                "finrace timeouts after.pcap   # exit code 0: the client gives up first, seen in the packets"
                    .to_owned(),
            );
        }
        self.paragraph("Capture again after the change, headers are enough, and ask the same questions:");
        self.commands(&commands);
        if !self.groups.is_empty() {
            let sentence = self.how_long(report.summary.requests);
            self.paragraph(&sentence);
        }
        if let Some(timers) = timers {
            self.timers_verified(server, timers);
        }
    }

    /// The timers can be held against each other without waiting for a loss.
    fn timers_verified(&mut self, server: &str, timers: Timers) {
        self.paragraph("The timers can be checked without waiting for a loss (in CI, too):");
        let tls = self.groups.iter().any(|group| group.example().request.protocol == "tls");
        let scheme = if tls { "https" } else { "http" };
        let (before, enough) = (timers.client_gives_up_ns(), timers.server_enough_ns());
        let [old, client, server_enough] =
            [timers.server_ns.unwrap_or(0), before, enough].map(duration_argument);
        let probe = quoted(&format!("{scheme}://{server}/"));
        let mut commands = vec![
            format!(
                "finrace probe {probe}   # after how long the server closes now: {} or more, if its timer was changed",
                seconds(enough)
            ),
            format!(
                "finrace check --proxy {client} --backend {server_enough}   # exit code 0: safe; put in your own values"
            ),
        ];
        self.commands(&commands);
        if timers.server_ns.is_none() {
            return;
        }
        self.paragraph("And the loss can be made on a laptop, with the old timers and with the new ones:");
        commands = vec![format!(
            "finrace reproduce crossed-fin --proxy-idle {client} --backend-idle {old}   # lost, each time"
        )];
        if let Some(client_enough) = timers.client_enough_ns() {
            let client_enough = duration_argument(client_enough);
            commands.push(format!(
                "finrace reproduce crossed-fin --proxy-idle {client_enough} --backend-idle {old}   # nothing lost"
            ));
        } else {
            commands.push(format!(
                "finrace reproduce crossed-fin --proxy-idle {client} --backend-idle {server_enough}   # nothing lost"
            ));
        }
        self.commands(&commands);
    }

    /// How much traffic without a loss means something: at three divided by the old rate, none at all would be a surprise
    /// (5 %, the rule of three).
    fn how_long(&self, requests: u64) -> String {
        let lost = self.groups.iter().filter(|group| !group.kind.is_of_connecting());
        let lost = lost.map(|group| group.incidents.len() as u64).sum::<u64>();
        if lost == 0 || requests < ENOUGH_FOR_A_RATE {
            return "That nothing is lost for a while proves little: losses are rare. If one in N requests was lost before, \
                    3 N requests without a loss mean something (95 %, rule of three). These captures are too short to \
                    tell N; the client's log may."
                .to_owned();
        }
        format!(
            "That nothing is lost for a while proves little: losses are rare. At the old rate (1 in {} requests) a capture \
             without a loss means something from about {} requests on (95 %, rule of three).",
            count(requests.div_ceil(lost)),
            count((3 * requests).div_ceil(lost))
        )
    }
}

/// Fewer requests show no rate of what is rare.
const ENOUGH_FOR_A_RATE: u64 = 1_000;

/// A time as the command line takes it, from a second on to 10 ms: people set round values.
fn duration_argument(ns: i64) -> String {
    let step = if ns < 1_000_000_000 { 1 } else { 10 };
    let ms = (ns / 1_000_000 + step / 2) / step * step;
    if ms % 1_000 == 0 { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}
