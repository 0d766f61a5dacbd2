//! `finrace doctor` on the machine of the test, and on machines made poorer: in a user namespace of its own a
//! process may forbid itself what an administrator forbids everybody.
#![cfg(all(feature = "live", target_os = "linux"))]

use std::process::{Command, Output};

use serde_json::Value;

const FINRACE: &str = env!("CARGO_BIN_EXE_finrace");

fn doctor() -> Command {
    let mut command = Command::new(FINRACE);
    command.args(["doctor", "--format", "json"]);
    command
}

/// Runs doctor as root of a user namespace and mount namespace of its own, after a line of shell.
fn doctor_after(deprivation: &str) -> Output {
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
        .arg(format!("{deprivation}\nexec {FINRACE} doctor --format json"))
        .output()
        .expect("unshare is part of every Linux")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list of checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[test]
fn the_exit_code_says_whether_a_lab_works() {
    let output = doctor().output().unwrap();
    let report = report(&output);
    let works = report["wire_lab"] == true || report["loopback_lab"] == true;
    assert_eq!(output.status.code(), Some(if works { 0 } else { 1 }), "{report}");
}

#[test]
fn whatever_is_not_ok_says_what_that_means() {
    let report = report(&doctor().output().unwrap());
    for check in report["checks"].as_array().unwrap() {
        let means = check["means"].as_str().unwrap();
        assert_eq!(check["status"] == "ok", means.is_empty(), "{check}");
    }
}

#[test]
fn the_text_ends_with_what_works() {
    let output = Command::new(FINRACE).arg("doctor").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Vec<_> = text.lines().rev().take(3).map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(last, ["analyze", "loopback lab", "wire lab"], "{text}");
}

#[test]
fn a_root_of_a_user_namespace_has_the_wire_lab_and_no_capture_of_the_machine() {
    let output = doctor_after(":");
    let report = report(&output);
    assert_eq!(report["wire_lab"], true, "{report}");
    assert_eq!(report["loopback_lab"], false, "{report}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn forbidden_network_namespaces_are_found_and_the_setting_named() {
    let output = doctor_after("echo 0 > /proc/sys/user/max_net_namespaces");
    let report = report(&output);
    let check = check(&report, "PID and network namespace");
    assert_eq!(check["status"], "missing");
    assert_eq!(check["remedies"][0], "sudo sysctl -w user.max_net_namespaces=15000");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn forbidden_user_namespaces_are_found_where_root_lacks_the_rights_to_do_without() {
    let output = doctor_after(&format!(
        "echo 0 > /proc/sys/user/max_user_namespaces
         exec setpriv --bounding-set=-sys_admin {FINRACE} doctor --format json"
    ));
    let report = report(&output);
    let check = check(&report, "user namespace");
    assert_eq!(check["status"], "missing");
    assert_eq!(check["remedies"][0], "sudo sysctl -w user.max_user_namespaces=15000");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_missing_tun_device_is_found_and_what_comes_after_it_is_not_tried() {
    let output = doctor_after("mount -t tmpfs none /dev/net");
    let report = report(&output);
    let tun = check(&report, "TUN device");
    assert_eq!(tun["status"], "missing");
    assert!(tun["found"].as_str().unwrap().starts_with("there is no /dev/net/tun"), "{tun}");
    assert_eq!(check(&report, "capture in the lab")["found"], "not tried");
    assert_eq!(output.status.code(), Some(1));
}
