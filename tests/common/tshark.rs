//! What tshark sees in a capture.

use std::path::Path;
use std::process::Command;

/// These fields of each frame, a list for each.
pub fn fields(capture: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    fields_with(&[], capture, fields)
}

/// The same, with options for tshark.
pub fn fields_with(options: &[&str], capture: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(options).args(["-n", "-T", "fields", "-r"]).arg(capture);
    // Without anybody's preferences: they can change what the numbers are relative to.
    let nobodys = Path::new(env!("CARGO_TARGET_TMPDIR"));
    command.env("HOME", nobodys).env("XDG_CONFIG_HOME", nobodys);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap_or_else(|error| {
        panic!("tshark: {error}; install it: apt install tshark (Fedora: dnf install wireshark-cli, Arch: pacman -S wireshark-cli)")
    });
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark on {}: {complaint}", capture.display());
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// A field as a number; tshark writes flags in hexadecimal.
pub fn number<N: TryFrom<u64>>(field: &str) -> N {
    let value = match field.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => field.parse(),
    };
    let value = value.unwrap_or_else(|_| panic!("tshark said {field} for a number"));
    N::try_from(value).unwrap_or_else(|_| panic!("tshark said {field}"))
}
