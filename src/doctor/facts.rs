//! What is to be known of a machine, and gathering it.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::trial::Trial;

/// Where finrace itself stands; remedies name these paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The running program.
    pub program: PathBuf,
    /// The folder that holds the packages of real servers.
    pub servers: PathBuf,
}

/// Everything that a judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where finrace stands.
    pub surroundings: Surroundings,
    /// The operating system and its release.
    pub system: String,
    /// Whether the system has namespaces and TUN at all, that is, whether it is Linux.
    pub linux: bool,
    /// Whether the effective user is root.
    pub root: bool,
    /// Whether something says that this is a container.
    pub container: bool,
    /// What even root cannot have here.
    pub ceiling: Ceiling,
    /// Whether a seccomp filter stands between this process and the kernel.
    pub seccomp_filter: bool,
    /// What the kernel is told to refuse.
    pub limits: NamespaceLimits,
    /// The TUN device.
    pub tun: TunDevice,
    /// How the trial of the wire lab went; `None` where finrace has no wire lab.
    pub trial: Option<Trial>,
    /// libpcap's description of itself; `None` in a finrace built without it.
    pub libpcap: Option<String>,
    /// The loopback device that was opened for capture, or what libpcap said.
    pub loopback: Result<String, String>,
    /// nginx's own version line.
    pub nginx: Option<String>,
    /// Node's own version line.
    pub node: Option<String>,
    /// Whether Express is among the packages of real servers.
    pub express: bool,
    /// The machine's package manager, where finrace knows it.
    pub installer: Option<Installer>,
}

/// The part of the capability bounding set that both labs depend on; capabilities(7). An ordinary root has
/// all of it, the root of most containers has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// CAP_SYS_ADMIN: entering namespaces without a user namespace.
    pub sys_admin: bool,
    /// CAP_NET_ADMIN: creating network devices.
    pub net_admin: bool,
    /// CAP_NET_RAW: capturing.
    pub net_raw: bool,
}

/// The kernel's settings that can forbid namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceLimits {
    /// `kernel.apparmor_restrict_unprivileged_userns` is on: the default of Ubuntu since 24.04. A program
    /// without an AppArmor profile that allows it may enter a user namespace, but has no rights there.
    pub apparmor_restricts: bool,
    /// `kernel.unprivileged_userns_clone` is off: Debian before 11, hardened kernels of Arch Linux.
    pub clone_forbidden: bool,
    /// `user.max_user_namespaces` is 0: RHEL 7, hardened machines.
    pub no_user_namespaces: bool,
    /// `user.max_pid_namespaces` is 0.
    pub no_pid_namespaces: bool,
    /// `user.max_net_namespaces` is 0.
    pub no_net_namespaces: bool,
}

/// `/dev/net/tun` and the kernel's part behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunDevice {
    /// The permission bits of the device node; `None` where there is no node.
    pub mode: Option<u32>,
    /// The kernel's part.
    pub module: TunModule,
}

/// Whether the kernel has TUN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunModule {
    /// Built in, or loaded.
    Present,
    /// A module that can be loaded.
    Loadable,
    /// There are modules, but none of the running kernel: it was replaced since the machine started.
    KernelReplaced,
    /// Neither the driver nor a module of it is there.
    NotFound,
}

/// A package manager that remedies can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora.
    Dnf,
    /// Arch Linux.
    Pacman,
    /// macOS.
    Brew,
}

impl Installer {
    const ALL: [(&str, Installer); 4] = [
        ("apt-get", Installer::Apt),
        ("dnf", Installer::Dnf),
        ("pacman", Installer::Pacman),
        ("brew", Installer::Brew),
    ];
}

impl Facts {
    /// Whether this is a container whose root has less than the rights of a root.
    pub(super) fn is_confined_container(&self) -> bool {
        let Ceiling { sys_admin, net_admin, net_raw } = self.ceiling;
        self.container && !(sys_admin && net_admin && net_raw)
    }

    /// Looks at this machine. See [`super::examine`] for when to call it.
    pub fn gather(surroundings: &Surroundings) -> Facts {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Facts {
            surroundings: surroundings.clone(),
            // First, because it forks: before anything below could start a thread.
            trial: attempt(),
            system: system(),
            linux: cfg!(target_os = "linux"),
            root: field(&status, "Uid:", 1) == Some("0"),
            container: is_container(),
            ceiling: Ceiling::read(&status),
            seccomp_filter: field(&status, "Seccomp:", 0) == Some("2"),
            limits: NamespaceLimits::read(Path::new("/proc/sys")),
            tun: TunDevice { mode: mode("/dev/net/tun"), module: tun_module() },
            libpcap: libpcap_version(),
            loopback: capture_on_loopback(),
            nginx: first_line("nginx", "-v"),
            node: first_line("node", "--version"),
            express: surroundings.servers.join("express/node_modules/express/package.json").exists(),
            installer: Installer::ALL.into_iter().find(|(name, _)| is_program(name)).map(|(_, it)| it),
        }
    }
}

impl Ceiling {
    fn read(status: &str) -> Ceiling {
        let bounding = field(status, "CapBnd:", 0).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        // The numbers of linux/capability.h. Where there is no such set, nothing is capped.
        let has = |number: u32| bounding.is_none_or(|set| set & (1 << number) != 0);
        Ceiling { sys_admin: has(21), net_admin: has(12), net_raw: has(13) }
    }
}

impl NamespaceLimits {
    fn read(sysctls: &Path) -> NamespaceLimits {
        let is = |name: &str, value: &str| {
            fs::read_to_string(sysctls.join(name)).is_ok_and(|content| content.trim() == value)
        };
        NamespaceLimits {
            apparmor_restricts: is("kernel/apparmor_restrict_unprivileged_userns", "1"),
            clone_forbidden: is("kernel/unprivileged_userns_clone", "0"),
            no_user_namespaces: is("user/max_user_namespaces", "0"),
            no_pid_namespaces: is("user/max_pid_namespaces", "0"),
            no_net_namespaces: is("user/max_net_namespaces", "0"),
        }
    }
}

#[cfg(all(feature = "live", target_os = "linux"))]
fn attempt() -> Option<Trial> {
    Some(super::sandbox::attempt())
}

#[cfg(not(all(feature = "live", target_os = "linux")))]
fn attempt() -> Option<Trial> {
    None
}

#[cfg(feature = "live")]
fn libpcap_version() -> Option<String> {
    Some(super::libpcap::version())
}

#[cfg(not(feature = "live"))]
fn libpcap_version() -> Option<String> {
    None
}

#[cfg(feature = "live")]
fn capture_on_loopback() -> Result<String, String> {
    let loopback = pnet::datalink::interfaces()
        .into_iter()
        .find(|interface| interface.is_loopback())
        .ok_or("this machine has no loopback device")?;
    super::libpcap::open_capture(&loopback.name).map_err(|error| error.to_string())?;
    Ok(loopback.name)
}

#[cfg(not(feature = "live"))]
fn capture_on_loopback() -> Result<String, String> {
    Err("this finrace was built without libpcap".into())
}

fn system() -> String {
    // Linux says it in a file; elsewhere uname is at hand.
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|release| format!("Linux {}", release.trim()))
        .ok()
        .or_else(|| first_line("uname", "-sr"))
        .unwrap_or_else(|| std::env::consts::OS.to_owned())
}

/// The word at `index` (from 0) of the line of `/proc/self/status` that begins with `name`.
fn field<'a>(status: &'a str, name: &str, index: usize) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(index)
}

/// Docker and Podman leave a file; systemd-nspawn, LXC and Podman tell the first process's environment;
/// Kubernetes and older Docker show in its control group.
fn is_container() -> bool {
    let group = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || std::env::var_os("container").is_some()
        || ["docker", "kubepods", "containerd", "/lxc"].iter().any(|mark| group.contains(mark))
}

fn mode(path: &str) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

fn tun_module() -> TunModule {
    // The driver registers itself there, built in or loaded, as minor number 200.
    let drivers = fs::read_to_string("/proc/misc").unwrap_or_default();
    if drivers.lines().any(|line| line.split_whitespace().eq(["200", "tun"])) {
        return TunModule::Present;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    if !modules.exists() && Path::new("/lib/modules").exists() {
        return TunModule::KernelReplaced;
    }
    let list = fs::read_to_string(modules.join("modules.dep")).unwrap_or_default();
    if list.contains("/net/tun.ko") { TunModule::Loadable } else { TunModule::NotFound }
}

/// The first line that a program prints when asked for its version, on either stream: nginx uses stderr.
fn first_line(program: &str, flag: &str) -> Option<String> {
    let output = run(program, flag).ok()?;
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&said).lines().next().map(str::to_owned)
}

/// Debian keeps servers in `/usr/sbin`, which is not in an ordinary user's search path.
fn run(program: &str, flag: &str) -> io::Result<std::process::Output> {
    Command::new(program).arg(flag).output().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Command::new(Path::new("/usr/sbin").join(program)).arg(flag).output(),
        _ => Err(error),
    })
}

fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_is_read_from_the_bounding_set() {
        // The set that Docker gives to a container without further options.
        let docker = Ceiling::read("CapPrm:\t0000000000000000\nCapBnd:\t00000000a80425fb\n");
        assert_eq!(docker, Ceiling { sys_admin: false, net_admin: false, net_raw: true });
        let machine = Ceiling::read("CapBnd:\t000001ffffffffff\n");
        assert_eq!(machine, Ceiling { sys_admin: true, net_admin: true, net_raw: true });
        assert_eq!(Ceiling::read(""), machine, "a system without such sets caps nothing");
    }

    #[test]
    fn a_setting_that_a_kernel_does_not_have_forbids_nothing() {
        let sysctls = tempfile::tempdir().unwrap();
        assert_eq!(NamespaceLimits::read(sysctls.path()), NamespaceLimits::default());
    }

    #[test]
    fn settings_are_read_from_the_files_of_proc_sys() {
        let sysctls = tempfile::tempdir().unwrap();
        for (name, value) in [
            ("kernel/apparmor_restrict_unprivileged_userns", "1\n"),
            ("kernel/unprivileged_userns_clone", "0\n"),
            ("user/max_user_namespaces", "0\n"),
            ("user/max_net_namespaces", "96365\n"),
        ] {
            let file = sysctls.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, value).unwrap();
        }
        let expected = NamespaceLimits {
            apparmor_restricts: true,
            clone_forbidden: true,
            no_user_namespaces: true,
            no_pid_namespaces: false,
            no_net_namespaces: false,
        };
        assert_eq!(NamespaceLimits::read(sysctls.path()), expected);
    }

    #[test]
    fn a_field_is_a_word_of_the_line_with_its_name() {
        let status = "Name:\tfinrace\nUid:\t1000\t0\t1000\t0\n";
        assert_eq!(field(status, "Uid:", 1), Some("0"));
        assert_eq!(field(status, "Gid:", 0), None);
    }
}
