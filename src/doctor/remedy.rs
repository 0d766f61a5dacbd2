//! The commands that mend what is missing. Every command is complete: it can be pasted as it stands.

use std::path::Path;

use super::{
    facts::{Facts, Installer, TunModule},
    trial::{Failure, Refusal, Step},
};

/// What a lack means and what mends it.
pub(super) struct Advice {
    pub(super) means: String,
    /// Any one of them is enough.
    pub(super) remedies: Vec<String>,
}

impl Advice {
    pub(super) fn new<I>(means: impl Into<String>, remedies: I) -> Advice
    where
        I: IntoIterator<Item: Into<String>>,
    {
        Advice { means: means.into(), remedies: remedies.into_iter().map(Into::into).collect() }
    }

    pub(super) fn without_command(means: impl Into<String>) -> Advice {
        Advice { means: means.into(), remedies: Vec::new() }
    }

    fn or(mut self, remedy: impl Into<String>) -> Advice {
        self.remedies.push(remedy.into());
        self
    }
}

/// For a namespace that was refused, or a right within it.
pub(super) fn for_namespace(facts: &Facts, failure: &Failure) -> Advice {
    let limits = &facts.limits;
    let step = failure.step;
    if step == Step::Start {
        return Advice::without_command(
            "Whether the wire lab works here is not known: it could not be tried.",
        );
    }
    let exhausted = failure.refusal == Refusal::Limit;
    let denied = failure.refusal == Refusal::Denied;

    if exhausted && let Some(limit) = limit_of(step) {
        let is_zero = match step {
            Step::UserNamespace => limits.no_user_namespaces,
            Step::PidNamespace => limits.no_pid_namespaces,
            _ => limits.no_net_namespaces,
        };
        let means = if is_zero {
            format!("The wire lab needs it, and {limit} = 0 forbids it to everybody.")
        } else {
            format!("The wire lab needs it, and as many as {limit} allows are in use.")
        };
        let advice = setting(facts, means, &format!("{limit}=15000"));
        // Root needs no user namespace, but the others are counted for root too.
        return if step == Step::UserNamespace { or_as_root(facts, advice) } else { advice };
    }
    if denied && step == Step::UserNamespace && limits.clone_forbidden && !facts.root {
        let means = "The wire lab needs it, and the kernel keeps it from ordinary users.";
        return or_as_root(facts, setting(facts, means, "kernel.unprivileged_userns_clone=1"));
    }
    if denied && limits.apparmor_restricts && !facts.root {
        let means = "The wire lab needs it, and AppArmor keeps the rights in a user namespace from every \
                     program that has no profile (the default of Ubuntu). Give finrace a profile, or lift the \
                     restriction until the next start, or be root.";
        let profile = Advice::new(means, [apparmor_profile(&facts.surroundings.program)]);
        return or_as_root(
            facts,
            profile.or("sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        );
    }
    if denied && facts.is_confined_container() {
        return for_container(
            "The wire lab needs it, and the container was started without the right to it.",
        );
    }
    if denied && facts.seccomp_filter {
        return Advice::without_command(
            "The wire lab needs it, and a seccomp filter refuses it: finrace was started from within a sandbox \
             or a restricted service. Start it from an ordinary shell.",
        );
    }
    if facts.root {
        return Advice::without_command(
            "The wire lab needs it. Root has given away its capabilities here, or a security module keeps \
             them: start finrace from an ordinary root shell.",
        );
    }
    or_as_root(facts, Advice::without_command("The wire lab needs it. Root can do without it."))
}

/// The limit on namespaces of a step's kind; namespaces(7).
fn limit_of(step: Step) -> Option<&'static str> {
    match step {
        Step::UserNamespace => Some("user.max_user_namespaces"),
        Step::PidNamespace => Some("user.max_pid_namespaces"),
        Step::NetworkNamespace => Some("user.max_net_namespaces"),
        _ => None,
    }
}

fn setting(facts: &Facts, means: impl Into<String>, assignment: &str) -> Advice {
    let mut means = means.into();
    if facts.is_confined_container() {
        means.push_str(" A container cannot change it: run the command on its host.");
    }
    Advice::new(means, [format!("sudo sysctl -w {assignment}")])
}

fn or_as_root(facts: &Facts, advice: Advice) -> Advice {
    if facts.root {
        return advice;
    }
    advice.or(format!("sudo {} reproduce", quoted(&facts.surroundings.program)))
}

/// A profile that confines nothing and allows user namespaces; the way Ubuntu's release notes name.
fn apparmor_profile(program: &Path) -> String {
    let head = format!("profile finrace \"{}\" flags=(unconfined) {{", program.display());
    format!(
        "printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' {} '  userns,' '}}' \
         | sudo tee /etc/apparmor.d/finrace && sudo apparmor_parser -r /etc/apparmor.d/finrace",
        quoted_text(&head)
    )
}

/// For what only the one who starts the container can give. Two ways: with the rights of a host's root over
/// its network, or without any, by way of a user namespace, which the default filters refuse.
pub(super) fn for_container(means: &str) -> Advice {
    let means = format!("{means} Start it with these options more; podman has the same.");
    let remedies = [
        "docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --device /dev/net/tun",
        "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --device /dev/net/tun",
    ];
    Advice::new(means, remedies)
}

/// Whether only the owner of `/dev/net/tun`, or a group, may open it.
pub(super) fn tun_is_closed_to_others(facts: &Facts) -> bool {
    facts.tun.mode.is_some_and(|mode| mode & 0o006 != 0o006)
}

/// For a device node that an ordinary user cannot open.
pub(super) fn for_tun_mode() -> Advice {
    let means = "The wire lab needs it. Mode 0666 is the usual one and gives nobody a right over the machine's \
                 network: the kernel asks for that when a device is created.";
    Advice::new(means, ["sudo chmod 0666 /dev/net/tun"])
}

/// For a device node that is not there, or has no driver behind it.
pub(super) fn for_tun_module(facts: &Facts) -> Advice {
    let means = "The wire lab needs it.";
    match facts.tun.module {
        _ if facts.is_confined_container() => {
            for_container("The wire lab needs it, and the container has no TUN device.")
        }
        TunModule::Loadable => {
            Advice::new(format!("{means} The kernel's module is not loaded."), ["sudo modprobe tun"])
        }
        TunModule::Present => Advice::new(
            format!("{means} The kernel has it; only its file is not there."),
            ["sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200"],
        ),
        TunModule::KernelReplaced => Advice::new(
            format!("{means} The kernel was replaced since the machine started, and its modules are gone."),
            ["sudo reboot"],
        ),
        TunModule::NotFound => Advice::without_command(format!(
            "{means} This kernel has neither the driver nor a module of it (CONFIG_TUN): the loopback lab is \
             what there is."
        )),
    }
}

/// For captures of the machine's own interfaces.
pub(super) fn for_capture(facts: &Facts) -> Advice {
    let program = quoted(&facts.surroundings.program);
    let means = "The loopback lab and `finrace watch` need it; the wire lab does not.";
    if !facts.linux {
        let advice = Advice::new(
            format!("{means} Become the owner of the capture devices until the next start, or be root."),
            ["sudo chown \"$USER\" /dev/bpf*"],
        );
        return or_as_root(facts, advice);
    }
    if !facts.ceiling.net_raw && facts.container {
        return Advice::new(
            format!("{means} Start the container with this option more, and be root in it."),
            ["docker run --cap-add NET_RAW"],
        );
    }
    if facts.root {
        return Advice::without_command(format!(
            "{means} Root has given away CAP_NET_RAW here: start finrace from an ordinary root shell."
        ));
    }
    Advice::new(means, [format!("sudo setcap cap_net_raw=ep {program}"), format!("sudo {program} watch")])
}

/// Installs packages, with the names that they have there.
pub(super) fn install(installer: Installer, packages: &str) -> String {
    match installer {
        Installer::Apt => format!("sudo apt-get install {packages}"),
        Installer::Dnf => format!("sudo dnf install {packages}"),
        Installer::Pacman => format!("sudo pacman -S {packages}"),
        Installer::Brew => format!("brew install {packages}"),
    }
}

/// A path as one word of a POSIX shell.
pub(super) fn quoted(path: &Path) -> String {
    quoted_text(&path.to_string_lossy())
}

fn quoted_text(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
