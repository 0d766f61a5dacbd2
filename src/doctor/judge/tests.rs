use super::*;
use crate::doctor::{Ceiling, NamespaceLimits, Surroundings, TunDevice, TunModule};

const AS_ROOT: &str = "sudo '/opt/my tools/finrace' reproduce";
const CONTAINER: [&str; 2] = [
    "docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --device /dev/net/tun",
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --device /dev/net/tun",
];

/// An ordinary user of a Linux machine where everything works, captures of the machine included.
fn everything_works() -> Facts {
    Facts {
        surroundings: Surroundings {
            program: "/opt/my tools/finrace".into(),
            servers: "/opt/finrace/servers".into(),
        },
        system: "Linux 6.12".into(),
        linux: true,
        root: false,
        container: false,
        ceiling: Ceiling { sys_admin: true, net_admin: true, net_raw: true },
        seccomp_filter: false,
        limits: NamespaceLimits::default(),
        tun: TunDevice { mode: Some(0o666), module: TunModule::Present },
        trial: Some(Trial { in_user_namespace: true, failure: None }),
        libpcap: Some("libpcap version 1.10.3".into()),
        loopback: Ok("lo".into()),
        nginx: Some("nginx version: nginx/1.22.1".into()),
        node: Some("v20.20.2".into()),
        express: true,
        installer: Some(Installer::Apt),
    }
}

fn with(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = everything_works();
    change(&mut facts);
    facts
}

/// The trial of an ordinary user that failed at `step`.
fn failed(step: Step, refusal: Refusal) -> Option<Trial> {
    let failure = Failure { step, refusal, error: "what the system said".into() };
    Some(Trial { in_user_namespace: true, failure: Some(failure) })
}

/// The trial of a root that needs no user namespace.
fn failed_for_root(step: Step, refusal: Refusal) -> Option<Trial> {
    failed(step, refusal).map(|trial| Trial { in_user_namespace: false, ..trial })
}

fn docker(facts: &mut Facts) {
    facts.root = true;
    facts.container = true;
    facts.seccomp_filter = true;
    facts.ceiling = Ceiling { sys_admin: false, net_admin: false, net_raw: true };
}

/// Asserts what the named check says. `means` has to occur in its explanation.
#[track_caller]
fn expect(facts: &Facts, name: &str, status: Status, means: &str, remedies: &[&str]) {
    let examination = judge(facts);
    let check = examination.checks.iter().find(|check| check.name == name).expect("there is such a check");
    assert_eq!(check.status, status, "{check:#?}");
    assert!(check.means.contains(means), "{check:#?}");
    assert_eq!(check.remedies, remedies);
}

#[test]
fn where_everything_works_every_check_is_ok_and_both_labs_run() {
    let examination = judge(&everything_works());
    for check in &examination.checks {
        assert_eq!(check.status, Status::Ok, "{check:#?}");
        assert!(check.means.is_empty() && check.remedies.is_empty(), "{check:#?}");
    }
    assert!(examination.wire_lab && examination.loopback_lab);
}

#[test]
fn any_failed_step_of_the_trial_costs_the_wire_lab_and_shows_as_missing() {
    let steps = [
        (Step::Start, "user namespace"),
        (Step::UserNamespace, "user namespace"),
        (Step::PidNamespace, "PID and network namespace"),
        (Step::NetworkNamespace, "PID and network namespace"),
        (Step::TunOpen, "TUN device"),
        (Step::TunDevice, "TUN device"),
        (Step::Capture, "capture in the lab"),
    ];
    for (step, name) in steps {
        for refusal in [Refusal::Denied, Refusal::Limit, Refusal::Unsupported, Refusal::Other] {
            let examination = judge(&with(|facts| facts.trial = failed(step, refusal)));
            assert!(!examination.wire_lab);
            let missing: Vec<_> =
                examination.checks.iter().filter(|check| check.status == Status::Missing).collect();
            assert_eq!(missing.iter().map(|check| check.name).collect::<Vec<_>>(), [name], "{step:?}");
            assert!(missing[0].found.contains("what the system said") && !missing[0].means.is_empty());
        }
    }
}

#[test]
fn a_limit_of_zero_namespaces_is_named_with_the_setting_that_lifts_it() {
    let limit = |step, set: fn(&mut NamespaceLimits)| {
        with(|facts| {
            facts.trial = failed(step, Refusal::Limit);
            set(&mut facts.limits);
        })
    };
    let facts = limit(Step::UserNamespace, |limits| limits.no_user_namespaces = true);
    let raise = "sudo sysctl -w user.max_user_namespaces=15000";
    expect(&facts, "user namespace", Status::Missing, "max_user_namespaces = 0", &[raise, AS_ROOT]);

    // These two are counted for root too, so being root is no way out.
    let name = "PID and network namespace";
    let facts = limit(Step::PidNamespace, |limits| limits.no_pid_namespaces = true);
    let raise = "sudo sysctl -w user.max_pid_namespaces=15000";
    expect(&facts, name, Status::Missing, "max_pid_namespaces = 0", &[raise]);
    let facts = limit(Step::NetworkNamespace, |limits| limits.no_net_namespaces = true);
    let raise = "sudo sysctl -w user.max_net_namespaces=15000";
    expect(&facts, name, Status::Missing, "max_net_namespaces = 0", &[raise]);
    let facts = limit(Step::NetworkNamespace, |_| ());
    expect(&facts, name, Status::Missing, "are in use", &[raise]);
}

#[test]
fn debians_old_switch_is_named_with_the_setting_that_turns_it() {
    let facts = with(|facts| {
        facts.trial = failed(Step::UserNamespace, Refusal::Denied);
        facts.limits.clone_forbidden = true;
    });
    let allow = "sudo sysctl -w kernel.unprivileged_userns_clone=1";
    expect(&facts, "user namespace", Status::Missing, "ordinary users", &[allow, AS_ROOT]);
}

#[test]
fn ubuntus_apparmor_restriction_is_named_wherever_it_bites() {
    let profile = "printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' \
                   'profile finrace \"/opt/my tools/finrace\" flags=(unconfined) {' '  userns,' '}' \
                   | sudo tee /etc/apparmor.d/finrace && sudo apparmor_parser -r /etc/apparmor.d/finrace";
    let lift = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    // Ubuntu 23.10 refuses the namespace itself, 24.04 grants it and keeps the rights in it.
    let places = [
        (Step::UserNamespace, "user namespace"),
        (Step::PidNamespace, "PID and network namespace"),
        (Step::NetworkNamespace, "PID and network namespace"),
        (Step::TunDevice, "TUN device"),
        (Step::Capture, "capture in the lab"),
    ];
    for (step, name) in places {
        let facts = with(|facts| {
            facts.trial = failed(step, Refusal::Denied);
            facts.limits.apparmor_restricts = true;
        });
        expect(&facts, name, Status::Missing, "AppArmor", &[profile, lift, AS_ROOT]);
    }
}

#[test]
fn a_setting_that_forbids_nothing_here_is_not_blamed() {
    let facts = with(|facts| {
        facts.root = true;
        facts.limits.apparmor_restricts = true;
        facts.limits.clone_forbidden = true;
        facts.trial = failed_for_root(Step::NetworkNamespace, Refusal::Denied);
    });
    expect(&facts, "PID and network namespace", Status::Missing, "given away its capabilities", &[]);
}

#[test]
fn a_container_without_the_rights_is_told_the_options_to_start_it_with() {
    let places = [
        (Step::UserNamespace, Refusal::Denied, "user namespace"),
        (Step::NetworkNamespace, Refusal::Denied, "PID and network namespace"),
        (Step::TunOpen, Refusal::Unsupported, "TUN device"),
        (Step::TunOpen, Refusal::Denied, "TUN device"),
        (Step::TunDevice, Refusal::Denied, "TUN device"),
        (Step::Capture, Refusal::Denied, "capture in the lab"),
    ];
    for (step, refusal, name) in places {
        let facts = with(|facts| {
            docker(facts);
            facts.trial = failed(step, refusal);
        });
        expect(&facts, name, Status::Missing, "container", &CONTAINER);
    }
}

#[test]
fn a_container_that_cannot_change_a_setting_is_told_where_to_change_it() {
    let facts = with(|facts| {
        docker(facts);
        facts.limits.no_user_namespaces = true;
        facts.trial = failed(Step::UserNamespace, Refusal::Limit);
    });
    let raise = "sudo sysctl -w user.max_user_namespaces=15000";
    expect(&facts, "user namespace", Status::Missing, "on its host", &[raise]);
}

#[test]
fn a_container_with_all_rights_is_treated_as_a_machine() {
    let facts = with(|facts| {
        facts.container = true;
        facts.tun = TunDevice { mode: None, module: TunModule::Present };
        facts.trial = failed(Step::TunOpen, Refusal::Unsupported);
    });
    let make = "sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200";
    expect(&facts, "TUN device", Status::Missing, "only its file", &[make]);
}

#[test]
fn a_sandbox_is_named_where_a_seccomp_filter_refuses() {
    let facts = with(|facts| {
        facts.seccomp_filter = true;
        facts.trial = failed(Step::UserNamespace, Refusal::Denied);
    });
    expect(&facts, "user namespace", Status::Missing, "seccomp", &[]);
}

#[test]
fn a_kernel_without_user_namespaces_leaves_the_way_of_root() {
    let facts = with(|facts| facts.trial = failed(Step::UserNamespace, Refusal::Unsupported));
    expect(&facts, "user namespace", Status::Missing, "Root can do without it", &[AS_ROOT]);
}

#[test]
fn a_tun_device_closed_to_users_is_opened_with_its_usual_mode() {
    let open = ["sudo chmod 0666 /dev/net/tun"];
    let closed = |step, refusal| {
        with(|facts| {
            facts.tun.mode = Some(0o600);
            facts.trial = failed(step, refusal);
        })
    };
    let facts = closed(Step::TunOpen, Refusal::Denied);
    expect(&facts, "TUN device", Status::Missing, "0666", &open);
    // Said at once, although the trial did not come so far.
    let facts = closed(Step::UserNamespace, Refusal::Denied);
    expect(&facts, "TUN device", Status::Missing, "0666", &open);
}

#[test]
fn a_missing_tun_device_is_mended_according_to_what_the_kernel_has() {
    let without_node = |module| {
        with(|facts| {
            facts.tun = TunDevice { mode: None, module };
            facts.trial = failed(Step::TunOpen, Refusal::Unsupported);
        })
    };
    let cases: [(_, _, &[&str]); 4] = [
        (TunModule::Loadable, "not loaded", &["sudo modprobe tun"]),
        (
            TunModule::Present,
            "only its file",
            &["sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200"],
        ),
        (TunModule::KernelReplaced, "replaced since the machine started", &["sudo reboot"]),
        (TunModule::NotFound, "CONFIG_TUN", &[]),
    ];
    for (module, means, remedies) in cases {
        expect(&without_node(module), "TUN device", Status::Missing, means, remedies);
    }
}

#[test]
fn a_kernel_without_packet_sockets_is_told_the_module_to_load() {
    let facts = with(|facts| facts.trial = failed(Step::Capture, Refusal::Unsupported));
    let load = ["sudo modprobe af_packet"];
    expect(&facts, "capture in the lab", Status::Missing, "packet sockets", &load);
}

#[test]
fn an_ordinary_user_who_may_not_capture_is_told_the_one_capability_it_takes() {
    let facts = with(|facts| facts.loopback = Err("what libpcap said".into()));
    let grant = ["sudo setcap cap_net_raw=ep '/opt/my tools/finrace'", "sudo '/opt/my tools/finrace' watch"];
    expect(&facts, "capture on this machine", Status::Missing, "the wire lab does not", &grant);
    let examination = judge(&facts);
    assert!(examination.wire_lab && !examination.loopback_lab && examination.can_reproduce());
}

#[test]
fn a_container_without_the_right_to_capture_is_told_the_option() {
    let facts = with(|facts| {
        facts.container = true;
        facts.ceiling.net_raw = false;
        facts.loopback = Err("what libpcap said".into());
    });
    let option = ["docker run --cap-add NET_RAW"];
    expect(&facts, "capture on this machine", Status::Missing, "be root in it", &option);
}

#[test]
fn without_both_labs_nothing_can_be_reproduced() {
    let facts = with(|facts| {
        facts.trial = failed(Step::UserNamespace, Refusal::Denied);
        facts.loopback = Err("what libpcap said".into());
    });
    assert!(!judge(&facts).can_reproduce());
}

#[test]
fn missing_real_servers_are_a_warning_and_cost_no_lab() {
    let without_nginx = |installer| {
        with(|facts| {
            facts.nginx = None;
            facts.installer = installer;
        })
    };
    let cases = [
        (Installer::Apt, "sudo apt-get install nginx"),
        (Installer::Dnf, "sudo dnf install nginx"),
        (Installer::Pacman, "sudo pacman -S nginx"),
        (Installer::Brew, "brew install nginx"),
    ];
    for (installer, remedy) in cases {
        expect(&without_nginx(Some(installer)), "nginx", Status::Warn, "nginx-express", &[remedy]);
    }
    expect(&without_nginx(None), "nginx", Status::Warn, "nginx-express", &[]);

    let facts = with(|facts| facts.express = false);
    let install = ["npm install --prefix /opt/finrace/servers/express express@4"];
    expect(&facts, "Node with Express", Status::Warn, "nginx-express", &install);
    let facts = with(|facts| facts.node = None);
    let install = ["sudo apt-get install nodejs npm"];
    expect(&facts, "Node with Express", Status::Warn, "nginx-express", &install);
    assert!(judge(&facts).wire_lab);
}

#[test]
fn a_finrace_without_libpcap_says_how_to_build_one_with_it() {
    let facts = with(|facts| {
        facts.libpcap = None;
        facts.trial = None;
        facts.loopback = Err("built without it".into());
    });
    let build = ["cargo install --locked --path ."];
    expect(&facts, "libpcap", Status::Missing, "analyzes files", &build);
    assert!(!judge(&facts).can_reproduce());
}

#[test]
fn macos_has_the_loopback_lab_and_is_said_to_be_untried() {
    let mac = |loopback| {
        with(|facts| {
            facts.linux = false;
            facts.system = "Darwin 24.6.0".into();
            facts.trial = None;
            facts.loopback = loopback;
        })
    };
    let facts = mac(Ok("lo0".into()));
    expect(&facts, "system", Status::Warn, "not been tried", &[]);
    let examination = judge(&facts);
    assert!(!examination.wire_lab && examination.loopback_lab);

    let facts = mac(Err("(cannot open BPF device) /dev/bpf0: Permission denied".into()));
    let own = ["sudo chown \"$USER\" /dev/bpf*", AS_ROOT];
    expect(&facts, "capture on this machine", Status::Missing, "until the next start", &own);
}
