//! An ordinary user on an ordinary Linux, for tests that run as root.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::finrace::FINRACE;

/// A user that owns nothing and needs no entry in `/etc/passwd`.
const ORDINARY: u32 = 64_999;

/// In a mount namespace of its own, so that the machine stays as it is: the TUN device is open to all, as distributions
/// have it, and program and servers lie where everyone may read them, wherever this build is. Then user and program.
const BECOME_ORDINARY: &str = "
    mkdir -p /dev/net
    mount -t tmpfs none /dev/net
    mknod -m 666 /dev/net/tun c 10 200
    mount --bind \"$PROGRAM\" \"$HOME/finrace\"
    if test -d \"$SERVERS\"; then mount --bind \"$SERVERS\" \"$HOME/servers\"; fi
    exec setpriv --reuid \"$USER_ID\" --regid \"$USER_ID\" --clear-groups \"$HOME/finrace\" \"$@\"";

/// A home for that user, who may write there.
pub struct OrdinaryUser {
    home: tempfile::TempDir,
}

impl OrdinaryUser {
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            fs::write(home.path().join("finrace"), "").expect("a place for the program");
            fs::create_dir(home.path().join("servers")).expect("a place for the servers");
            fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("our own folder");
            chown(home.path(), Some(ORDINARY), Some(ORDINARY)).expect("root may give folders away");
        }
        Self { home }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program as this user runs it. A user who is no root already is ordinary enough.
    pub fn finrace<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command;
        if is_root() {
            command = Command::new("unshare");
            command
                .args(["--mount", "sh", "-euc", BECOME_ORDINARY, "sh"])
                .env("PROGRAM", FINRACE)
                .env("SERVERS", servers())
                .env("HOME", self.home())
                .env("USER_ID", ORDINARY.to_string())
                .env("FINRACE_SERVERS", self.home().join("servers"));
        } else {
            command = Command::new(FINRACE);
        }
        command.args(arguments).current_dir(self.home());
        command
    }
}

/// Where this build looks for the packages of real servers.
fn servers() -> PathBuf {
    std::env::var_os("FINRACE_SERVERS").map_or_else(
        || {
            let folder = Path::new(FINRACE).parent().and_then(Path::parent).expect("target/debug/finrace");
            folder.join("servers")
        },
        PathBuf::from,
    )
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("/proc").uid() == 0
}
