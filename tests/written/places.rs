//! Every command that writes a file, and every sort of place that it may be told to write to.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::common::finrace::{finrace, output, text};
use super::files::captures;

/// A command that writes one file, whose name is left out, and the ending that the name must have.
const COMMANDS: [(&[&str], &str, &[&str]); 10] = [
    (&["analyze", "given.pcap"], "html", &["-o"]),
    (&["analyze", "given.pcap"], "json", &["-o"]),
    (&["analyze", "given.pcap"], "csv", &["-o"]),
    (&["analyze", "given.pcap"], "txt", &["-o"]),
    (&["analyze", "given.pcap"], "pcapng", &["--annotate"]),
    (&["show", "given.pcap", "1"], "svg", &["-o"]),
    (&["show", "given.pcap", "1"], "png", &["-o"]),
    (&["show", "given.pcap", "1", "--chart", "timeline"], "svg", &["-o"]),
    (&["extract", "given.pcap", "1"], "pcapng", &["-w"]),
    (&["timeouts", "given.pcap"], "svg", &["-o"]),
];

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(captures().join("crossed-fin/client.pcap"), folder.path().join("given.pcap"))
            .expect("our own folder");
        Place { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, command: &[&str], option: &[&str], name: &str, more: &[&str]) -> Output {
        output(finrace([command, option, &[name], more].concat()).current_dir(self.path()))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("our own folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn each(check: impl Fn(&[&str], &[&str], &str)) {
    for (command, ending, option) in COMMANDS {
        check(command, option, &format!("out.{ending}"));
    }
}

/// 0 or 1: whether the capture holds a loss is not what is tested here.
fn succeeded(done: &Output) -> bool {
    matches!(done.status.code(), Some(0 | 1))
}

#[test]
fn a_second_run_replaces_what_the_first_one_wrote() {
    each(|command, option, name| {
        let place = Place::new();
        for _ in 0..2 {
            let done = place.run(command, option, name, &[]);
            assert!(succeeded(&done), "{command:?} {name}: {}", text(&done.stderr));
        }
        assert_eq!(place.names(), ["given.pcap", name], "{command:?}");
    });
}

#[test]
fn what_others_wrote_stays_unless_force_is_given() {
    each(|command, option, name| {
        let place = Place::new();
        let path = place.path().join(name);
        fs::write(&path, "somebody's evidence about finrace").expect("our own folder");
        let done = place.run(command, option, name, &[]);
        assert_eq!(done.status.code(), Some(2), "{command:?} {name}");
        assert!(text(&done.stderr).contains("finrace did not write it"), "{}", text(&done.stderr));
        assert_eq!(fs::read(&path).expect("still there"), b"somebody's evidence about finrace");
        let forced = place.run(command, option, name, &["--force"]);
        assert!(succeeded(&forced), "{command:?} {name}: {}", text(&forced.stderr));
        assert_ne!(fs::read(&path).expect("a result"), b"somebody's evidence about finrace");
    });
}

#[cfg(unix)]
#[test]
fn the_capture_itself_stays_whatever_leads_to_it() {
    each(|command, option, name| {
        for hard in [false, true] {
            let place = Place::new();
            let (given, path) = (place.path().join("given.pcap"), place.path().join(name));
            let before = fs::read(&given).expect("the capture");
            match hard {
                true => fs::hard_link(&given, &path).expect("a link"),
                false => std::os::unix::fs::symlink("given.pcap", &path).expect("a link"),
            }
            let done = place.run(command, option, name, &["--force"]);
            assert_eq!(done.status.code(), Some(2), "{command:?} {name}");
            assert!(text(&done.stderr).contains("is read by the same command"), "{}", text(&done.stderr));
            assert_eq!(fs::read(&given).expect("the capture"), before);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once_and_devices_stay_devices() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    each(|command, option, name| {
        let place = Place::new();
        symlink("/dev/full", place.path().join(name)).expect("a link");
        let done = place.run(command, option, name, &[]);
        assert_eq!(done.status.code(), Some(2), "{command:?} {name}: {}", text(&done.stderr));
        assert_eq!(text(&done.stderr).matches("No space left").count(), 1, "{}", text(&done.stderr));
        assert!(fs::metadata("/dev/full").expect("a device").file_type().is_char_device());
        assert_eq!(place.names(), ["given.pcap", name]);
    });
}

#[test]
fn no_file_can_be_where_there_is_no_folder_or_where_a_folder_is() {
    each(|command, option, name| {
        let place = Place::new();
        let done = place.run(command, option, &format!("no/such/{name}"), &[]);
        assert_eq!(done.status.code(), Some(2), "{command:?} {name}");
        assert!(text(&done.stderr).contains("there is no folder for"), "{}", text(&done.stderr));
        if option != ["--annotate"] {
            fs::create_dir(place.path().join(name)).expect("our own folder");
            let done = place.run(command, option, name, &[]);
            assert_eq!(done.status.code(), Some(2), "{command:?} {name}");
            assert!(text(&done.stderr).contains("is a folder: name a file in it"), "{}", text(&done.stderr));
        }
    });
}

#[test]
fn two_results_of_one_run_do_not_share_a_file() {
    let place = Place::new();
    let done = place.run(
        &["analyze", "given.pcap", "--format", "json", "-o", "out.pcapng"],
        &["--annotate"],
        "./out.pcapng",
        &[],
    );
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("two results cannot both go to"), "{}", text(&done.stderr));
}
