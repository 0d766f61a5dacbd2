//! Combinations that can never work, each with a sentence that says what to change.

use super::{
    Backend, Close, Hold, LANES_AT_MOST, Packet, Party, Proxy, Retry, Scenario, ScenarioError, SendWhen,
    ToyBackend, ToyProxy, Traffic,
};

/// Largest body in either direction: bodies are held in memory, once for each lane.
const BODY_AT_MOST: usize = 16 * 1024 * 1024;

impl Scenario {
    /// Checks what a single value cannot show.
    ///
    /// # Errors
    /// [`ScenarioError::Impossible`] with a sentence for each problem.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        let mut problems = Vec::new();
        let well_named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(well_named) {
            problems.push(
                "name must be lower-case letters, digits and hyphens: it names the run directory.".into(),
            );
        }
        match &self.proxy {
            Proxy::Toy(toy) => toy_proxy(toy, &mut problems),
            Proxy::Program(program) => problems.extend(program.problems(Party::Proxy)),
        }
        match &self.backend {
            Backend::Toy(toy) => toy_backend(toy, &mut problems),
            Backend::Program(program) => problems.extend(program.problems(Party::Backend)),
        }
        self.ports(&mut problems);
        for hold in &self.wire.hold {
            check_hold(hold, &mut problems);
        }
        for drop in &self.wire.drop {
            cannot_send("[[wire.drop]] packet", drop.from, drop.packet, &mut problems);
            if drop.count == 0 {
                problems.push(
                    "[[wire.drop]] count is 0, so nothing is dropped: use 1 or more, or remove it.".into(),
                );
            }
        }
        traffic(&self.traffic, &mut problems);
        self.moment(&mut problems);
        self.expectation(&mut problems);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ScenarioError::Impossible { origin: self.name.clone(), problems })
        }
    }

    /// Whether the loopback lab can run this scenario: one network stack, nothing between the ends, toys only.
    ///
    /// # Errors
    /// Plain sentences: why not, and what to run instead.
    pub fn loopback_support(&self) -> Result<(), String> {
        const INSTEAD: &str = "Run it with --lab wire (`finrace doctor` says what that needs), or run one of \
                               unread-request, stale-reuse and fixed here.";
        let reason = if matches!(self.proxy, Proxy::Program(_)) || matches!(self.backend, Backend::Program(_))
        {
            "the loopback lab has no network of its own to put a real program in, and needs gates inside both programs"
        } else if self.traffic.send_when == SendWhen::FinOnWire {
            "on loopback a FIN arrives within microseconds of the close() that sends it, and nothing can hold it, so a \
             request crosses it only by rare luck"
        } else if !self.wire.hold.is_empty() || !self.wire.drop.is_empty() {
            "on loopback there is no wire that could hold or drop a packet"
        } else {
            return Ok(());
        };
        Err(format!("{} cannot be made on loopback: {reason}. {INSTEAD}", self.name))
    }

    fn ports(&self, problems: &mut Vec<String>) {
        let lanes = self.lanes().max(1);
        let range = |port: u16, ports: usize| usize::from(port)..usize::from(port) + ports.max(1);
        let proxy = range(self.proxy.port(), lanes);
        let backend = range(self.backend.port(), self.backend_ports());
        for (table, ports) in [("proxy", &proxy), ("backend", &backend)] {
            if ports.start == 0 {
                problems.push(format!(
                    "[{table}] port is 0: name a port, because the other side has to know it."
                ));
            }
            if ports.end > 65_536 {
                let first = ports.start;
                problems.push(format!(
                    "[{table}] port {first} leaves no room for {lanes} lanes: use a lower port or fewer side_by_side."
                ));
            }
        }
        if proxy.start < backend.end && backend.start < proxy.end {
            let (proxy, backend) = (proxy.start, backend.start);
            problems.push(format!(
                "[proxy] port {proxy} and [backend] port {backend} collide: each lane takes the next port of both, \
                 so keep them {lanes} or more apart."
            ));
        }
    }

    /// Whether the moment of the second request can come at all.
    fn moment(&self, problems: &mut Vec<String>) {
        let send_when = self.traffic.send_when.token();
        let waits_for_fin = matches!(self.traffic.send_when, SendWhen::FinOnWire | SendWhen::FinDelivered);
        if let Backend::Toy(toy) = &self.backend {
            if waits_for_fin && matches!(toy.close, Close::Unread | Close::Reset) {
                let close = if toy.close == Close::Reset { "reset" } else { "unread" };
                problems.push(format!(
                    "[traffic] send_when = \"{send_when}\" waits for a FIN, but [backend] close = \"{close}\" sends \
                     none: use send_when = \"backend-timer\" or \"idle\", or another close."
                ));
            }
            if self.traffic.send_when == SendWhen::BackendTimer && toy.max_requests == 1 {
                problems.push(
                    "[traffic] send_when = \"backend-timer\" waits for the idle timer, but [backend] max_requests = 1 \
                     closes before it can fire: use send_when = \"fin-delivered\", or a higher limit."
                        .into(),
                );
            }
        } else if self.traffic.send_when == SendWhen::BackendTimer {
            problems.push(format!(
                "[traffic] send_when = \"backend-timer\" needs the toy backend: nobody can see inside {}; use \
                 \"fin-on-wire\" or \"idle\".",
                self.backend.name()
            ));
        }
        let holds_fin = |hold: &Hold| {
            hold.from == Party::Backend && matches!(hold.packet, Packet::Fin | Packet::Rst | Packet::Any)
        };
        if self.traffic.send_when == SendWhen::FinOnWire && !self.wire.hold.iter().any(holds_fin) {
            problems.push(
                "[traffic] send_when = \"fin-on-wire\" needs a [[wire.hold]] that keeps the backend's fin on the wire: \
                 without it the moment is over in one delay; add the hold, or use send_when = \"fin-delivered\"."
                    .into(),
            );
        }
    }

    fn expectation(&self, problems: &mut Vec<String>) {
        let method = &self.traffic.method;
        if !(100..600).contains(&self.expect.status) {
            problems
                .push(format!("[expect] status {} is no HTTP status: use 100 to 599.", self.expect.status));
        }
        if let Proxy::Toy(toy) = &self.proxy
            && self.expect.retried
            && !toy.retry.allows(method)
        {
            let cure =
                if toy.retry == Retry::Never { "idempotent\" with a GET, or \"always" } else { "always" };
            problems.push(format!(
                "[expect] retried = true, but the toy proxy would not repeat a {method}: set [proxy] retry = \"{cure}\"."
            ));
        }
    }
}

fn toy_proxy(toy: &ToyProxy, problems: &mut Vec<String>) {
    if toy.idle_timeout.is_zero() {
        problems
            .push("[proxy] idle_timeout is zero: use max_idle = 0 for a proxy that keeps nothing.".into());
    }
}

fn toy_backend(toy: &ToyBackend, problems: &mut Vec<String>) {
    if toy.idle_timeout.is_zero() {
        problems.push(
            "[backend] idle_timeout is zero: no request could arrive in time; use max_requests = 1 for a backend that \
             closes after each response."
                .into(),
        );
    }
    if toy.header_timeout.is_zero() {
        problems.push("[backend] header_timeout is zero: no request could arrive in time.".into());
    }
    if toy.announce_close && toy.max_requests == 0 {
        problems.push(
            "[backend] announce_close needs max_requests: an idle timer cannot announce anything.".into(),
        );
    }
    if toy.response_bytes > BODY_AT_MOST {
        problems.push(format!(
            "[backend] response_bytes is above {BODY_AT_MOST}, the most the lab keeps in memory."
        ));
    }
}

fn check_hold(hold: &Hold, problems: &mut Vec<String>) {
    let other = if hold.from == Party::Proxy { Party::Backend } else { Party::Proxy };
    cannot_send("[[wire.hold]] packet", hold.from, hold.packet, problems);
    cannot_send("[[wire.hold]] until", other, hold.until, problems);
    if matches!(hold.packet, Packet::Syn | Packet::SynAck) {
        problems.push(format!(
            "[[wire.hold]] of {} waits for a packet that cannot come before the handshake ends: use a longer delay.",
            hold.packet.token()
        ));
    }
    if hold.at_most.is_zero() {
        problems.push(
            "[[wire.hold]] at_most is zero, so nothing is held: give it time, or remove the hold.".into(),
        );
    }
}

/// A packet of a kind that only the other side sends.
fn cannot_send(what: &str, party: Party, packet: Packet, problems: &mut Vec<String>) {
    if packet.sender().is_some_and(|sender| sender != party) {
        let (party, packet) = (party.token(), packet.token());
        problems.push(format!(
            "{what} = \"{packet}\" never comes from the {party}: name a packet that the {party} sends."
        ));
    }
}

fn traffic(traffic: &Traffic, problems: &mut Vec<String>) {
    let token = |c: char| c.is_ascii_uppercase() || c == '-';
    if traffic.method.is_empty() || !traffic.method.chars().all(token) {
        problems.push(format!("[traffic] method `{}` is no HTTP method: use GET, POST, …", traffic.method));
    }
    if !traffic.path.starts_with('/') || !traffic.path.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(format!("[traffic] path `{}` must begin with / and hold no spaces.", traffic.path));
    }
    if traffic.body_bytes > 0 && matches!(traffic.method.as_str(), "GET" | "HEAD") {
        let method = &traffic.method;
        problems
            .push(format!("[traffic] a {method} carries no body: set body_bytes = 0, or method = \"POST\"."));
    }
    if traffic.body_bytes > BODY_AT_MOST {
        problems
            .push(format!("[traffic] body_bytes is above {BODY_AT_MOST}, the most the lab keeps in memory."));
    }
    if traffic.attempts == 0 {
        problems.push("[traffic] attempts is 0: there would be nothing to see; use 1 or more.".into());
    }
    if !(1..=LANES_AT_MOST).contains(&traffic.side_by_side) {
        problems.push(format!("[traffic] side_by_side must be 1 to {LANES_AT_MOST}."));
    }
    match (traffic.send_when, traffic.idle) {
        (SendWhen::Idle, None) => problems.push(
            "[traffic] send_when = \"idle\" needs the range of idle times, for example idle = [\"0ms\", \"900ms\"]."
                .into(),
        ),
        (SendWhen::Idle, Some([from, to])) if from > to => {
            problems.push("[traffic] idle ends before it begins: write the shorter time first.".into());
        }
        (SendWhen::Idle, Some(_)) | (_, None) => {}
        (other, Some(_)) => problems.push(format!(
            "[traffic] idle is only used with send_when = \"idle\", not with \"{}\": remove one of them.",
            other.token()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What is said of crossed-fin after one change.
    fn after(change: impl FnOnce(&mut Scenario)) -> String {
        let mut scenario = Scenario::builtin("crossed-fin").unwrap();
        change(&mut scenario);
        scenario.validate().expect_err("the change is impossible").to_string()
    }

    fn toy(scenario: &mut Scenario) -> &mut ToyBackend {
        match &mut scenario.backend {
            Backend::Toy(toy) => toy,
            Backend::Program(_) => panic!("crossed-fin uses the toy backend"),
        }
    }

    fn toy_proxy(scenario: &mut Scenario) -> &mut ToyProxy {
        match &mut scenario.proxy {
            Proxy::Toy(toy) => toy,
            Proxy::Program(_) => panic!("crossed-fin uses the toy proxy"),
        }
    }

    #[test]
    fn every_impossible_combination_gets_a_sentence_that_says_what_to_change() {
        let answers = [
            after(|s| s.name = "My Test".into()),
            after(|s| toy_proxy(s).idle_timeout = Duration::ZERO),
            after(|s| toy(s).idle_timeout = Duration::ZERO),
            after(|s| toy(s).header_timeout = Duration::ZERO),
            after(|s| toy(s).announce_close = true),
            after(|s| toy(s).port = 0),
            after(|s| toy(s).port = 8080),
            after(|s| {
                toy(s).port = 65_530;
                s.traffic.attempts = 32;
            }),
            after(|s| toy(s).close = Close::Unread),
            after(|s| {
                toy(s).max_requests = 1;
                s.traffic.send_when = SendWhen::BackendTimer;
            }),
            after(|s| s.wire.hold.clear()),
            after(|s| s.wire.hold[0].until = Packet::Response),
            after(|s| s.wire.hold[0].packet = Packet::SynAck),
            after(|s| s.wire.hold[0].at_most = Duration::ZERO),
            after(|s| {
                s.wire.drop.push(crate::lab::scenario::Loss {
                    from: Party::Backend,
                    packet: Packet::Syn,
                    count: 0,
                })
            }),
            after(|s| s.traffic.method = "post it".into()),
            after(|s| s.traffic.method = "GET".into()),
            after(|s| s.traffic.path = "orders".into()),
            after(|s| s.traffic.body_bytes = usize::MAX),
            after(|s| s.traffic.attempts = 0),
            after(|s| s.traffic.side_by_side = 0),
            after(|s| s.traffic.send_when = SendWhen::Idle),
            after(|s| s.traffic.idle = Some([Duration::ZERO; 2])),
            after(|s| {
                s.traffic.send_when = SendWhen::Idle;
                s.traffic.idle = Some([Duration::from_secs(2), Duration::from_secs(1)]);
            }),
            after(|s| s.expect.status = 42),
            after(|s| s.expect.retried = true),
        ];
        insta::assert_snapshot!(answers.join("\n"), @r#"
        My Test: name must be lower-case letters, digits and hyphens: it names the run directory.
        crossed-fin: [proxy] idle_timeout is zero: use max_idle = 0 for a proxy that keeps nothing.
        crossed-fin: [backend] idle_timeout is zero: no request could arrive in time; use max_requests = 1 for a backend that closes after each response.
        crossed-fin: [backend] header_timeout is zero: no request could arrive in time.
        crossed-fin: [backend] announce_close needs max_requests: an idle timer cannot announce anything.
        crossed-fin: [backend] port is 0: name a port, because the other side has to know it.
        crossed-fin: [proxy] port 8080 and [backend] port 8080 collide: each lane takes the next port of both, so keep them 1 or more apart.
        crossed-fin: [backend] port 65530 leaves no room for 32 lanes: use a lower port or fewer side_by_side.
        crossed-fin: [traffic] send_when = "fin-on-wire" waits for a FIN, but [backend] close = "unread" sends none: use send_when = "backend-timer" or "idle", or another close.
        crossed-fin: [traffic] send_when = "backend-timer" waits for the idle timer, but [backend] max_requests = 1 closes before it can fire: use send_when = "fin-delivered", or a higher limit.
        crossed-fin: [traffic] send_when = "fin-on-wire" needs a [[wire.hold]] that keeps the backend's fin on the wire: without it the moment is over in one delay; add the hold, or use send_when = "fin-delivered".
        crossed-fin: [[wire.hold]] until = "response" never comes from the proxy: name a packet that the proxy sends.
        crossed-fin: [[wire.hold]] of syn-ack waits for a packet that cannot come before the handshake ends: use a longer delay. [traffic] send_when = "fin-on-wire" needs a [[wire.hold]] that keeps the backend's fin on the wire: without it the moment is over in one delay; add the hold, or use send_when = "fin-delivered".
        crossed-fin: [[wire.hold]] at_most is zero, so nothing is held: give it time, or remove the hold.
        crossed-fin: [[wire.drop]] packet = "syn" never comes from the backend: name a packet that the backend sends. [[wire.drop]] count is 0, so nothing is dropped: use 1 or more, or remove it.
        crossed-fin: [traffic] method `post it` is no HTTP method: use GET, POST, …
        crossed-fin: [traffic] a GET carries no body: set body_bytes = 0, or method = "POST".
        crossed-fin: [traffic] path `orders` must begin with / and hold no spaces.
        crossed-fin: [traffic] body_bytes is above 16777216, the most the lab keeps in memory.
        crossed-fin: [traffic] attempts is 0: there would be nothing to see; use 1 or more.
        crossed-fin: [traffic] side_by_side must be 1 to 512.
        crossed-fin: [traffic] send_when = "idle" needs the range of idle times, for example idle = ["0ms", "900ms"].
        crossed-fin: [traffic] idle is only used with send_when = "idle", not with "fin-on-wire": remove one of them.
        crossed-fin: [traffic] idle ends before it begins: write the shorter time first.
        crossed-fin: [expect] status 42 is no HTTP status: use 100 to 599.
        crossed-fin: [expect] retried = true, but the toy proxy would not repeat a POST: set [proxy] retry = "idempotent" with a GET, or "always".
        "#);
    }

    #[test]
    fn the_inside_of_a_real_backend_cannot_be_waited_for() {
        let mut scenario = Scenario::builtin("nginx-express").unwrap();
        scenario.traffic.send_when = SendWhen::BackendTimer;
        insta::assert_snapshot!(scenario.validate().unwrap_err(), @r#"nginx-express: [traffic] send_when = "backend-timer" needs the toy backend: nobody can see inside Express on Node; use "fin-on-wire" or "idle"."#);
    }

    #[test]
    fn a_timer_that_a_real_program_cannot_take_is_refused_with_the_table_to_change() {
        let mut scenario = Scenario::builtin("nginx-express").unwrap();
        if let Proxy::Program(nginx) = &mut scenario.proxy {
            nginx.idle_directive = None;
        }
        let idle = Some(Duration::from_secs(1));
        let overrides = crate::lab::scenario::Overrides { proxy_idle: idle, ..Default::default() };
        insta::assert_snapshot!(scenario.with_overrides(&overrides).unwrap_err(), @"nginx-express: --proxy-idle cannot reach nginx: its [proxy] table has no idle_directive that would set the timer.");
    }
}
