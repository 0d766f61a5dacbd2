//! What people hand over by mistake: every time one line on standard error that says what to do, nothing on standard
//! output, exit code 2; or a partial result that says it is one. What was found is never lost.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

mod common {
    pub mod finrace;
    #[cfg(target_os = "linux")]
    pub mod ordinary_user;
}
use common::finrace::{analyzed, finrace, json, output, text};

/// A folder to run the program in, with the capture of one lost request: messages then hold short names.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("race.pcap"), race()).expect("our own folder");
    folder
}

/// A capture with one incident, a request that was lost to crossed-fin.
fn race() -> Vec<u8> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/crossed-fin/client.pcap");
    fs::read(kept).expect("a labelled capture")
}

fn run_in(folder: &TempDir, words: &[&str]) -> Output {
    output(finrace(words).current_dir(folder.path()))
}

/// What is said by a program that does not take its input.
fn complaint(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix("finrace: ").unwrap_or_else(|| panic!("{said}")).trim_end().to_owned()
}

/// The same of a usage error, which has the form that all programs of this kind have.
fn usage_error(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// What `analyze` says of these bytes.
fn complaint_about(bytes: &[u8]) -> String {
    let folder = folder();
    fs::write(folder.path().join("given"), bytes).expect("our own folder");
    complaint(&run_in(&folder, &["analyze", "given"]))
}

/// What `analyze` reports on these bytes, when it does report.
fn report_on(bytes: &[u8], code: i32) -> Value {
    let folder = folder();
    let path = folder.path().join("given");
    fs::write(&path, bytes).expect("our own folder");
    analyzed(&path, code)
}

#[test]
fn a_file_that_is_no_capture_is_told_by_its_first_bytes() {
    insta::assert_snapshot!(complaint_about(b"hello, world"), @"given is not a pcap or pcapng capture (it starts with the bytes 68 65 6c 6c 6f 2c 20 77): if Wireshark opens it, convert it with editcap -F pcapng");
    insta::assert_snapshot!(complaint_about(b"x"), @"given is not a pcap or pcapng capture (it starts with the bytes 78): if Wireshark opens it, convert it with editcap -F pcapng");
    insta::assert_snapshot!(complaint_about(b"\x1f\x8b\x08\x00rest"), @"given holds no packet that can be read: the gzip stream ends early, after 0 unpacked bytes; copy it again from where it was made");
}

#[test]
fn a_compressed_capture_that_was_cut_gives_what_it_holds_and_says_so() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/formats/containers/us-le.pcap.gz");
    let whole = fs::read(kept).expect("a capture in gzip");
    let report = report_on(&whole[..whole.len() - 8], 1);
    let capture = &report["captures"][0];
    assert_eq!(capture["format"], "pcap, little-endian, microseconds, in gzip");
    assert_eq!(capture["packets"], 11);
    insta::assert_snapshot!(capture["truncated"].as_str().expect("a reason"), @"the gzip stream ends early, after 982 unpacked bytes (whole records before it: 11)");
    assert_eq!(report["summary"]["incidents"], 1);
}

#[test]
fn an_empty_file_is_told_with_the_usual_reason() {
    insta::assert_snapshot!(complaint_about(b""), @"given is empty: nothing has been written to it (tcpdump writes only when its buffer is full or when it ends; -U makes it write every packet)");
}

#[test]
fn a_file_cut_inside_its_header_holds_nothing() {
    insta::assert_snapshot!(complaint_about(&race()[..20]), @"given ends inside its file header (20 of 24 bytes): it holds no packet; capture again");
}

#[test]
fn a_file_cut_after_the_incident_still_shows_it_and_says_where_it_ends() {
    let whole = race();
    let report = report_on(&whole[..whole.len() - 1], 1);
    assert_eq!(report["incidents"][0]["cause"], "crossed-fin");
    let said = report["captures"][0]["truncated"].as_str().expect("the end is told");
    insta::assert_snapshot!(said, @"the capture ends inside a record (75 of its 76 bytes are there), at byte 906 (whole records before it: 10)");
}

#[test]
fn a_file_cut_before_any_incident_is_judged_by_what_is_there_and_marked() {
    let report = report_on(&race()[..400], 0);
    assert_eq!(report["captures"][0]["packets"], 4);
    assert!(report["captures"][0]["truncated"].is_string());

    let folder = folder();
    fs::write(folder.path().join("cut.pcap"), &race()[..400]).unwrap();
    let page = text(&run_in(&folder, &["analyze", "cut.pcap"]).stdout);
    assert!(page.contains("the capture ends early: "), "{page}");
}

#[test]
fn a_file_cut_in_its_first_record_is_no_pass() {
    let report = report_on(&race()[..30], 2);
    assert_eq!(
        (&report["captures"][0]["packets"], &report["summary"]["conclusive"]),
        (&0.into(), &false.into())
    );
}

#[test]
fn a_capture_of_an_unknown_link_type_is_inconclusive_and_says_which() {
    let mut capture = race();
    // The link type of a classic capture, LINKTYPE_USER0.
    capture[20..24].copy_from_slice(&147u32.to_le_bytes());
    let report = report_on(&capture, 3);
    assert_eq!(report["captures"][0]["skipped"], serde_json::json!({"unknown-link-type": 11}));
    let note = report["summary"]["notes"][0].as_str().expect("a note");
    let (_, reason) = note.split_once("given: ").expect("the name of the file");
    insta::assert_snapshot!(reason, @"finrace does not read packets of its link type (linktype-147). Capture again where they are Ethernet or IP: tcpdump -i any -s 256 -w capture.pcap 'tcp port PORT'");
}

#[test]
fn a_directory_and_a_missing_file_are_told_apart() {
    let folder = folder();
    fs::create_dir(folder.path().join("captures")).unwrap();
    insta::assert_snapshot!(complaint(&run_in(&folder, &["analyze", "captures"])), @"captures is a directory: name the capture files in it");
    insta::assert_snapshot!(complaint(&run_in(&folder, &["analyze", "missing.pcap"])), @"there is no file missing.pcap: check the name, or give - to read from a pipe");
    let said = complaint(&run_in(&folder, &["analyze", "race.pcap/within"]));
    assert!(said.starts_with("there is no file race.pcap/within: "), "{said}");
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "missing.pcap"])), @"there is no file missing.pcap: check the name, or give - to read from a pipe");
}

#[test]
fn bad_files_among_good_ones_lose_nothing() {
    let folder = folder();
    fs::write(folder.path().join("empty.pcap"), "").unwrap();
    let words = ["analyze", "--format", "json", "missing.pcap", "race.pcap", "empty.pcap"];
    let printed = run_in(&folder, &words);
    let report = json(&printed, 1);
    assert_eq!(report["summary"]["by_cause"], serde_json::json!({"crossed-fin": 1}));
    let said = text(&printed.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.starts_with("finrace: ")), "{said}");
    assert!(lines[0].contains("missing.pcap") && lines[1].contains("empty.pcap"), "{said}");
}

#[test]
fn a_bad_file_among_good_ones_without_incident_is_no_pass() {
    let folder = folder();
    let safe = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/safe-pair/client.pcap");
    fs::copy(safe, folder.path().join("safe.pcap")).unwrap();
    assert_eq!(run_in(&folder, &["analyze", "safe.pcap"]).status.code(), Some(0));
    let printed = run_in(&folder, &["analyze", "--format", "json", "safe.pcap", "missing.pcap"]);
    assert_eq!(json(&printed, 2)["summary"]["incidents"], 0);
}

#[test]
fn when_no_file_can_be_read_each_gets_its_line() {
    let printed = run_in(&folder(), &["analyze", "a.pcap", "b.pcap"]);
    assert_eq!((printed.status.code(), printed.stdout.len()), (Some(2), 0));
    insta::assert_snapshot!(text(&printed.stderr), @"
    finrace: there is no file a.pcap: check the name, or give - to read from a pipe
    finrace: there is no file b.pcap: check the name, or give - to read from a pipe
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn an_unreadable_file_is_told_with_the_way_round() {
    use std::os::unix::fs::PermissionsExt;

    let user = common::ordinary_user::OrdinaryUser::new();
    let file = user.home().join("secret.pcap");
    fs::write(&file, race()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let said = complaint(&output(&mut user.finrace(["analyze", "secret.pcap"])));
    insta::assert_snapshot!(said, @"no permission to read secret.pcap: make it readable, or pipe it in (sudo cat secret.pcap | finrace analyze -)");
}

#[test]
fn a_capture_can_come_by_a_pipe() {
    let mut child = finrace(["analyze", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&race()).unwrap();
    let report = json(&child.wait_with_output().unwrap(), 1);
    assert_eq!(report["captures"][0]["file"], "-");
    assert_eq!(report["incidents"][0]["cause"], "crossed-fin");
}

#[test]
fn a_pipe_that_brings_nothing_is_told_as_one() {
    let said = complaint(&output(finrace(["analyze", "-"]).stdin(Stdio::null())));
    assert!(said.starts_with("standard input is empty: "), "{said}");
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_the_exit_code_stands() {
    let folder = folder();
    for words in [&["analyze", "race.pcap"][..], &["analyze", "--format", "csv", "race.pcap"]] {
        let mut child = finrace(words)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(1), ""), "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told_as_that() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let printed = output(finrace(["schema"]).stdout(full));
    insta::assert_snapshot!(complaint(&printed), @"cannot write the result to standard output: make room there, or send it elsewhere: No space left on device (os error 28)");
}

#[test]
fn a_capture_alone_means_analyze() {
    let folder = folder();
    let short = run_in(&folder, &["race.pcap"]);
    let long = run_in(&folder, &["analyze", "race.pcap"]);
    assert_eq!((short.status.code(), &short.stdout), (Some(1), &long.stdout));
    assert_eq!(long.status.code(), Some(1));
}

#[test]
fn a_mistyped_command_is_answered_with_the_one_meant() {
    let said = usage_error(&run_in(&folder(), &["analyse", "race.pcap"]));
    assert!(said.contains("unrecognized subcommand 'analyse'"), "{said}");
    assert!(said.contains("'analyze'"), "{said}");
}

#[test]
fn a_filter_that_cannot_match_is_a_usage_error() {
    let said = |words: &[&str]| usage_error(&run_in(&folder(), &[&["analyze", "race.pcap"], words].concat()));
    let cause = said(&["--cause", "bad-luck"]);
    assert!(cause.contains("unknown cause `bad-luck`; known: crossed-fin, unread-request, "), "{cause}");
    insta::assert_snapshot!(said(&["--around", "noon"]), @"
    error: invalid value 'noon' for '--around <TIME>': `noon` is no UTC time: write 2026-09-14T12:41:07Z, or 12:41:07
    For more information, try '--help'.
    ");
    insta::assert_snapshot!(said(&["--window", "5"]), @r#"
    error: invalid value '5' for '--window <TIME>': a duration needs a unit: 5 could mean "5s" or "5ms", write the one you mean
    For more information, try '--help'.
    "#);
}

#[test]
fn show_says_what_there_is_to_be_shown() {
    let folder = folder();
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "race.pcap", "99"])), @"there is no incident 99 in race.pcap (1 found); `finrace analyze race.pcap` lists them, --stream shows any connection");
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "race.pcap", "7", "--stream"])), @"there is no stream 7 in race.pcap: its only stream is 0");
    fs::write(folder.path().join("none.pcap"), &race()[..24]).unwrap();
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "none.pcap", "0", "--stream"])), @"there is no TCP connection in none.pcap: `finrace analyze none.pcap` says what it holds");
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "race.pcap", "first"])), @"there is no file first: check the name, or give - to read from a pipe");
}

#[test]
fn show_needs_a_file_that_can_be_read_twice_and_a_form_that_it_can_draw() {
    let folder = folder();
    insta::assert_snapshot!(complaint(&run_in(&folder, &["show", "-"])), @"show reads the capture more than once and cannot do that with a pipe: save it to a file first");
    for name in ["race.gif", "race"] {
        let said = complaint(&run_in(&folder, &["show", "race.pcap", "-o", name]));
        assert_eq!(
            said,
            format!("{name} must end in .svg, .png, .html, .md, .mmd or .txt: the ending chooses the form")
        );
        assert!(!folder.path().join(name).exists());
    }
    let said = complaint(&run_in(&folder, &["show", "race.pcap", "-o", "no/such/race.svg"]));
    assert_eq!(said, "there is no folder for no/such/race.svg: make it, or name another file");
    for chart in ["timeline", "sequence"] {
        let said = complaint(&run_in(&folder, &["show", "race.pcap", "--chart", chart, "-o", "race.txt"]));
        assert_eq!(said, "race.txt must end in .svg or .png: the ending chooses the form");
        let words = ["show", "race.pcap", "--chart", chart, "-o", "race.svg"];
        assert_eq!(run_in(&folder, &words).status.code(), Some(0));
    }
}

#[test]
fn two_clocks_are_drawn_only_where_they_agree() {
    let folder = folder();
    let captures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    for (name, from) in [
        ("client.pcap", "crossed-fin/client"),
        ("server.pcap", "crossed-fin/server"),
        ("other.pcap", "crossed-fin-ipv6/server"),
    ] {
        fs::copy(captures.join(from).with_extension("pcap"), folder.path().join(name)).unwrap();
    }
    let ends = |here, there| run_in(&folder, &["show", here, "--server-end", there]);
    let shown = ends("client.pcap", "server.pcap");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("one-way delay 20.0 ms"), "{shown:?}");
    insta::assert_snapshot!(complaint(&ends("server.pcap", "client.pcap")), @"by these clocks packets arrive up to 20.0 ms before they are sent: client.pcap has another clock, or is not the server's end; leave --server-end out, or name the client's capture first");
    insta::assert_snapshot!(complaint(&ends("client.pcap", "other.pcap")), @"other.pcap holds no packet of this connection: leave --server-end out");
}

#[test]
fn idle_times_are_drawn_of_a_server_that_is_there() {
    let folder = folder();
    let said = |words: &[&str]| complaint(&run_in(&folder, &[&["timeouts"], words].concat()));
    insta::assert_snapshot!(said(&["node", "-o", "idle.svg"]), @"-o draws what captures show: name capture files instead of products");
    insta::assert_snapshot!(said(&["race.pcap", "-o", "idle.svg", "--server", "192.0.2.9:1"]), @"there is no server 192.0.2.9:1 in these captures: the table lists them");
    insta::assert_snapshot!(said(&["race.pcap", "-o", "idle.gif"]), @"idle.gif must end in .svg or .png: the ending chooses the form");
    assert_eq!(run_in(&folder, &["timeouts", "race.pcap", "-o", "idle.svg"]).status.code(), Some(1));
    assert!(fs::read_to_string(folder.path().join("idle.svg")).unwrap().contains("danger zone"));
}

#[cfg(feature = "live")]
mod scenarios {
    use super::*;

    /// A scenario that is right, to be made wrong.
    const GOOD: &str = "name = \"mine\"\nsummary = \"a trial\"\n\n[traffic]\nsend_when = \"backend-timer\"\n\n\
                        [backend]\nclose = \"unread\"\n\n[expect]\ncause = \"unread-request\"\nstatus = 502\n";

    /// What is said of a scenario file with this text.
    fn complaint_about(scenario: &str) -> String {
        let folder = folder();
        fs::write(folder.path().join("mine.toml"), scenario).expect("our own folder");
        let said = complaint(&run_in(&folder, &["reproduce", "mine.toml", "--lab", "loopback"]));
        assert!(!folder.path().join("finrace-runs").exists(), "nothing was begun");
        said
    }

    fn complaint_after(old: &str, new: &str) -> String {
        assert!(GOOD.contains(old));
        complaint_about(&GOOD.replace(old, new))
    }

    #[test]
    fn a_wrong_key_is_told_with_its_line_and_the_right_ones() {
        insta::assert_snapshot!(complaint_after("close", "closing"), @r#"mine.toml:8: unknown key `closing`, expected one of `idle_timeout`, `header_timeout`, `close`, `max_requests`, `announce_close`, `response_delay`, `response_bytes`, `port`; in `closing = "unread"`"#);
        insta::assert_snapshot!(complaint_after("[traffic]", "[trafic]"), @"mine.toml:4: unknown key `trafic`, expected one of `name`, `summary`, `explain`, `proxy`, `backend`, `wire`, `traffic`, `expect`; in `[trafic]`");
    }

    #[test]
    fn a_duration_needs_a_unit_and_one_that_exists() {
        let with_idle =
            |idle: &str| complaint_after("[backend]", &format!("[backend]\nidle_timeout = {idle}"));
        insta::assert_snapshot!(with_idle("5"), @r#"mine.toml:8: a duration needs a unit: 5 could mean "5s" or "5ms", write the one you mean; in `idle_timeout = 5`"#);
        insta::assert_snapshot!(with_idle("\"5 fortnights\""), @r#"mine.toml:8: `fortnights` is not a unit of time: use ns, us, ms, s, min, h or d; in `idle_timeout = "5 fortnights"`"#);
        insta::assert_snapshot!(with_idle("\"-5s\""), @r#"mine.toml:8: `-5s` is not a duration: write a number and a unit, for example "500ms"; in `idle_timeout = "-5s"`"#);
    }

    #[test]
    fn combinations_that_cannot_work_are_told_before_anything_starts() {
        insta::assert_snapshot!(complaint_after("backend-timer", "fin-delivered"), @r#"mine.toml: [traffic] send_when = "fin-delivered" waits for a FIN, but [backend] close = "unread" sends none: use send_when = "backend-timer" or "idle", or another close."#);
        insta::assert_snapshot!(complaint_after("[backend]", "[proxy]\nport = 3000\n\n[backend]"), @"mine.toml: [proxy] port 3000 and [backend] port 3000 collide: each lane takes the next port of both, so keep them 1 or more apart.");
    }

    #[test]
    fn what_is_no_scenario_at_all_is_told_with_what_would_be() {
        insta::assert_snapshot!(complaint_about(""), @"mine.toml:1: missing key `name`");
        insta::assert_snapshot!(complaint_about("<scenario/>"), @"mine.toml:1: key with no value, expected `=`; in `<scenario/>`");
        let folder = folder();
        let said = complaint(&run_in(&folder, &["reproduce", "race.pcap/"]));
        assert!(
            said.starts_with("cannot read the scenario race.pcap/; give a TOML file, or a name"),
            "{said}"
        );
        let said = complaint(&run_in(&folder, &["reproduce", "missing.toml"]));
        assert!(
            said.starts_with("cannot read the scenario missing.toml; give a TOML file, or a name"),
            "{said}"
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_names_there_are() {
        for words in [["reproduce", "crosed-fin"], ["scenarios", "crosed-fin"]] {
            let said = complaint(&run_in(&folder(), &words));
            assert!(
                said.starts_with("no scenario is called `crosed-fin`; there are crossed-fin, "),
                "{said}"
            );
            assert!(said.ends_with("; or give the path of a TOML file"), "{said}");
        }
    }

    #[test]
    fn options_that_make_no_sense_are_usage_errors_that_say_what_would() {
        let said = |words: &[&str]| usage_error(&run_in(&folder(), &[&["reproduce"], words].concat()));
        insta::assert_snapshot!(said(&["--lab", "mars"]), @"
        error: invalid value 'mars' for '--lab <LAB>'
          [possible values: auto, wire, loopback]
        For more information, try '--help'.
        ");
        insta::assert_snapshot!(said(&["--repeat", "0"]), @"
        error: invalid value '0' for '--repeat <N>': 0 is not in 1..=100000
        For more information, try '--help'.
        ");
        insta::assert_snapshot!(said(&["--delay", "5"]), @r#"
        error: invalid value '5' for '--delay <TIME>': a duration needs a unit: 5 could mean "5s" or "5ms", write the one you mean
        For more information, try '--help'.
        "#);
        insta::assert_snapshot!(said(&["--backend-idle", "1week"]), @"
        error: invalid value '1week' for '--backend-idle <TIME>': `week` is not a unit of time: use ns, us, ms, s, min, h or d
        For more information, try '--help'.
        ");
    }

    #[test]
    fn a_timer_that_cannot_be_set_is_refused() {
        let said = |words: &[&str]| complaint(&run_in(&folder(), &[&["reproduce"], words].concat()));
        insta::assert_snapshot!(said(&["--backend-idle", "0s"]), @"crossed-fin: [backend] idle_timeout is zero: no request could arrive in time; use max_requests = 1 for a backend that closes after each response.");
        insta::assert_snapshot!(said(&["nginx-express", "--backend-idle", "0s"]), @"nginx-express: [backend] an idle timeout of zero means never to one program and at once to another: set at least 1ms.");
    }

    #[test]
    fn a_run_directory_that_cannot_be_made_is_told_with_the_option_to_change() {
        let said = complaint(&run_in(&folder(), &["reproduce", "fixed", "--out", "race.pcap/run"]));
        assert!(
            said.starts_with("cannot use the run directory race.pcap/run: name another with --out: "),
            "{said}"
        );
    }
}

#[cfg(all(feature = "live", target_os = "linux"))]
mod programs {
    use super::*;
    use std::path::PathBuf;

    use common::ordinary_user::OrdinaryUser;

    /// What is said of a scenario whose backend is this program.
    fn complaint_about(command: &[&str], more: &str) -> (String, TempDir) {
        let folder = folder();
        let scenario = format!(
            "name = \"mine\"\nsummary = \"a trial\"\n[backend]\nname = \"the shop\"\ncommand = {command:?}\nport = 3000\n{more}\n\
             [traffic]\nsend_when = \"fin-delivered\"\n[expect]\ncause = \"none\"\nstatus = 200\n"
        );
        fs::write(folder.path().join("mine.toml"), scenario).expect("our own folder");
        let said = complaint(&run_in(&folder, &["reproduce", "mine.toml", "--out", "run"]));
        let canonical = fs::canonicalize(folder.path()).expect("our own folder");
        (said.replace(&canonical.display().to_string(), "[FOLDER]"), folder)
    }

    fn kept(folder: &TempDir) -> PathBuf {
        folder.path().join("run/backend/output.log")
    }

    #[test]
    fn a_backend_that_never_listens_is_told_with_its_own_words() {
        let (said, folder) =
            complaint_about(&["sh", "-c", "echo thinking; exec sleep 1000"], "ready_timeout = \"2s\"");
        insta::assert_snapshot!(said, @"the shop runs but did not listen on port 3000 within 2s: `thinking`; check the port in its configuration, or raise ready_timeout; its whole output is in [FOLDER]/run/backend/output.log");
        assert_eq!(fs::read_to_string(kept(&folder)).unwrap(), "thinking\n");
    }

    #[test]
    fn a_backend_that_ends_at_once_is_told_with_its_own_words() {
        let script = "echo reading settings; echo 'Error: no such database' >&2; echo bye; exit 3";
        let (said, folder) = complaint_about(&["sh", "-c", script], "needs = \"a database\"");
        insta::assert_snapshot!(said, @"the shop ended (exit status: 3) before it listened on port 3000: `Error: no such database`; it needs a database; its whole output is in [FOLDER]/run/backend/output.log");
        assert_eq!(fs::read_to_string(kept(&folder)).unwrap().lines().count(), 3);
    }

    #[test]
    fn a_program_that_is_not_there_is_told_with_how_to_get_it() {
        let (said, _) = complaint_about(&["finrace-no-such-program"], "needs = \"apt install shop\"");
        insta::assert_snapshot!(said, @"the shop cannot be started: there is no program finrace-no-such-program in PATH or /usr/local/sbin, /usr/sbin, /sbin; install it (apt install shop)");
        let (said, _) = complaint_about(&["finrace-no-such-program"], "");
        insta::assert_snapshot!(said, @"the shop cannot be started: there is no program finrace-no-such-program in PATH or /usr/local/sbin, /usr/sbin, /sbin; install it, or give its path in the scenario");
    }

    #[test]
    fn packages_that_are_not_installed_are_told_with_how_to_install_them() {
        let folder = folder();
        let words = ["reproduce", "nginx-express", "--out", "run"];
        let mut command = finrace(words);
        command.current_dir(folder.path()).env("FINRACE_SERVERS", folder.path().join("nothing"));
        let said = complaint(&output(&mut command));
        assert!(said.contains("Cannot find module 'express'") && said.contains("`make servers`"), "{said}");
    }

    #[test]
    fn who_may_not_capture_on_loopback_is_sent_to_the_doctor() {
        let user = OrdinaryUser::new();
        let said = complaint(&output(&mut user.finrace(["reproduce", "fixed", "--lab", "loopback"])));
        assert!(
            said.starts_with("may not capture on lo; run `finrace doctor`, which names the remedy"),
            "{said}"
        );
    }

    #[test]
    fn who_may_not_write_to_the_folder_is_told_to_name_another() {
        let user = OrdinaryUser::new();
        let said = complaint(&output(user.finrace(["reproduce"]).current_dir("/proc")));
        assert!(said.starts_with("cannot use the run directory finrace-runs/"), "{said}");
        assert!(said.contains(": name another with --out: "), "{said}");
    }
}
