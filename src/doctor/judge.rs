//! From facts to checks: what each lack means and which command mends it.

use super::{
    Check, Examination, Status,
    facts::{Facts, Installer},
    remedy::{self, Advice},
    trial::{Failure, Refusal, Step, Trial},
};

/// Judges a machine by what was seen of it.
pub fn judge(facts: &Facts) -> Examination {
    let mut checks = vec![system(facts), libpcap(facts)];
    if let Some(trial) = &facts.trial {
        checks.extend([
            user_namespace(facts, trial),
            network_namespace(facts, trial),
            tun(facts, trial),
            capture_in_lab(facts, trial),
        ]);
    }
    if facts.libpcap.is_some() {
        checks.push(capture_here(facts));
    }
    if facts.trial.is_some() {
        checks.extend([nginx(facts), express(facts)]);
    }
    Examination {
        checks,
        wire_lab: facts.trial.as_ref().is_some_and(|trial| trial.failure.is_none()),
        loopback_lab: facts.loopback.is_ok(),
    }
}

fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, status: Status::Ok, found: found.into(), means: String::new(), remedies: Vec::new() }
}

fn lack(name: &'static str, status: Status, found: impl Into<String>, advice: Advice) -> Check {
    Check { name, status, found: found.into(), means: advice.means, remedies: advice.remedies }
}

/// For a step that comes after the one that failed.
fn not_reached(name: &'static str, after: &str) -> Check {
    let advice = Advice::without_command(format!("It could not be tried: {after} comes first."));
    lack(name, Status::Warn, "not tried", advice)
}

fn system(facts: &Facts) -> Check {
    let name = "system";
    if !facts.linux {
        let means = "The wire lab needs the network namespaces and TUN devices of Linux; here the loopback lab \
                     is what there is. finrace has not been tried on this system.";
        return lack(name, Status::Warn, &facts.system, Advice::without_command(means));
    }
    ok(name, if facts.container { format!("{}, in a container", facts.system) } else { facts.system.clone() })
}

fn libpcap(facts: &Facts) -> Check {
    match &facts.libpcap {
        Some(version) => ok("libpcap", version),
        None => lack(
            "libpcap",
            Status::Missing,
            "not built in",
            Advice::new(
                "This finrace was built without the feature `live`: it analyzes files, and nothing else. \
                 Build it again in its source folder.",
                ["cargo install --locked --path ."],
            ),
        ),
    }
}

fn user_namespace(facts: &Facts, trial: &Trial) -> Check {
    let name = "user namespace";
    let failure = trial.failed_at(Step::Start).or(trial.failed_at(Step::UserNamespace));
    match failure {
        Some(failure) => lack(name, Status::Missing, &failure.error, remedy::for_namespace(facts, failure)),
        None if trial.in_user_namespace => ok(name, "entered, with the user mapped to itself"),
        None => ok(name, "not needed: root has the rights already"),
    }
}

fn network_namespace(facts: &Facts, trial: &Trial) -> Check {
    let name = "PID and network namespace";
    let failure = trial.failed_at(Step::PidNamespace).or(trial.failed_at(Step::NetworkNamespace));
    match failure {
        Some(failure) => lack(name, Status::Missing, &failure.error, remedy::for_namespace(facts, failure)),
        None if trial.passed(Step::NetworkNamespace) => ok(name, "entered"),
        None => not_reached(name, "the user namespace"),
    }
}

fn tun(facts: &Facts, trial: &Trial) -> Check {
    let name = "TUN device";
    if trial.passed(Step::TunDevice) {
        return ok(name, "created in a network namespace, and up");
    }
    let node = match facts.tun.mode {
        Some(mode) => format!("/dev/net/tun has mode {mode:04o}"),
        None => "there is no /dev/net/tun".to_owned(),
    };
    if let Some(failure) = trial.failed_at(Step::TunDevice) {
        let advice = match failure.refusal {
            Refusal::Unsupported => remedy::for_tun_module(facts),
            _ => remedy::for_namespace(facts, failure),
        };
        return lack(name, Status::Missing, format!("not created: {}", failure.error), advice);
    }
    if let Some(failure) = trial.failed_at(Step::TunOpen) {
        return lack(name, Status::Missing, format!("{node}: {}", failure.error), tun_node(facts, failure));
    }
    // Not tried, but what can be seen from here is said at once and not only at the next run.
    if facts.tun.mode.is_none() {
        return lack(name, Status::Missing, node, remedy::for_tun_module(facts));
    }
    if remedy::tun_is_closed_to_others(facts) && !facts.root {
        return lack(name, Status::Missing, node, remedy::for_tun_mode());
    }
    Check { found: format!("{node}; not tried"), ..not_reached(name, "the network namespace") }
}

fn tun_node(facts: &Facts, failure: &Failure) -> Advice {
    match failure.refusal {
        Refusal::Denied if remedy::tun_is_closed_to_others(facts) => remedy::for_tun_mode(),
        Refusal::Denied if facts.is_confined_container() => {
            remedy::for_container("The container may not open the device.")
        }
        Refusal::Denied => Advice::without_command(
            "The wire lab needs it. Its mode would allow it: a security module or a sandbox does not.",
        ),
        _ => remedy::for_tun_module(facts),
    }
}

fn capture_in_lab(facts: &Facts, trial: &Trial) -> Check {
    let name = "capture in the lab";
    match trial.failed_at(Step::Capture) {
        Some(failure) if failure.refusal == Refusal::Unsupported => {
            let advice = Advice::new(
                "The kernel has no packet sockets, so libpcap sees nothing; both labs and `finrace watch` \
                 need them.",
                ["sudo modprobe af_packet"],
            );
            lack(name, Status::Missing, &failure.error, advice)
        }
        Some(failure) => lack(name, Status::Missing, &failure.error, remedy::for_namespace(facts, failure)),
        None if trial.passed(Step::Capture) => ok(name, "opened on the TUN device"),
        None => not_reached(name, "the TUN device"),
    }
}

fn capture_here(facts: &Facts) -> Check {
    let name = "capture on this machine";
    match &facts.loopback {
        Ok(device) => ok(name, format!("opened on {device}")),
        Err(error) => lack(name, Status::Missing, error, remedy::for_capture(facts)),
    }
}

fn nginx(facts: &Facts) -> Check {
    real_server(facts, "nginx", facts.nginx.as_deref(), "nginx")
}

fn express(facts: &Facts) -> Check {
    let name = "Node with Express";
    match &facts.node {
        Some(node) if facts.express => ok(name, format!("Node {node}")),
        Some(node) => {
            let folder = remedy::quoted(&facts.surroundings.servers.join("express"));
            lack(
                name,
                Status::Warn,
                format!("Node {node}, without Express"),
                Advice::new(
                    "The scenario nginx-express does not run; the toy servers do not need it.",
                    [format!("npm install --prefix {folder} express@4")],
                ),
            )
        }
        None => {
            let packages = if facts.installer == Some(Installer::Brew) { "node" } else { "nodejs npm" };
            real_server(facts, name, None, packages)
        }
    }
}

fn real_server(facts: &Facts, name: &'static str, version: Option<&str>, packages: &str) -> Check {
    let Some(version) = version else {
        let means = "The scenario nginx-express does not run; the toy servers do not need it.";
        let remedies = facts.installer.map(|installer| remedy::install(installer, packages));
        return lack(name, Status::Warn, "not found", Advice::new(means, remedies));
    };
    ok(name, version)
}

#[cfg(test)]
mod tests;
