use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_result_is_there_when_it_is_whole_and_a_second_run_may_replace_it() {
    let folder = folder();
    let path = folder.path().join("a.md");
    for words in ["first", "second"] {
        let destination = Destination::of(&path).unwrap();
        let mut staged = destination.stage().unwrap();
        staged.file().write_all(b"half").unwrap();
        drop(staged);
        destination.write(words.as_bytes()).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with(words));
    }
    assert_eq!(names(folder.path()), ["a.md"], "what was not kept is gone");
}

#[test]
fn what_others_made_is_replaced_only_by_force() {
    let folder = folder();
    let path = folder.path().join("notes.md");
    fs::write(&path, "my notes").unwrap();
    assert!(matches!(Destination::of(&path), Err(DestinationError::Foreign(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "my notes");
    Destinations::new([], true).claim(&path).unwrap().write(b"a report").unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("a report"));
    let empty = folder.path().join("empty.svg");
    fs::write(&empty, "").unwrap();
    Destination::of(&empty).unwrap();
}

#[test]
fn a_folder_is_no_file_and_a_missing_one_is_named() {
    let folder = folder();
    assert!(matches!(Destination::of(folder.path()), Err(DestinationError::Folder(_))));
    let path = folder.path().join("missing/a.svg");
    assert!(matches!(Destination::of(&path), Err(DestinationError::NoFolder(_))));
}

#[test]
fn two_results_never_go_to_one_file() {
    let folder = folder();
    let mut destinations = Destinations::default();
    let path = folder.path().join("a.svg");
    destinations.claim(&path).unwrap();
    let again = folder.path().join(".").join("a.svg");
    assert!(matches!(destinations.claim(&again), Err(DestinationError::Twice(_))));
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_capture_that_is_read_is_never_replaced_whatever_leads_to_it() {
        let folder = folder();
        let capture = folder.path().join("capture.pcap");
        fs::write(&capture, "packets").unwrap();
        let (soft, hard) = (folder.path().join("soft.pcapng"), folder.path().join("hard.pcapng"));
        symlink(&capture, &soft).unwrap();
        fs::hard_link(&capture, &hard).unwrap();
        for path in [&capture, &soft, &hard] {
            let mut destinations = Destinations::new([capture.as_path()], true);
            assert!(
                matches!(destinations.claim(path), Err(DestinationError::IsRead(_))),
                "{}",
                path.display()
            );
        }
        assert_eq!(fs::read_to_string(&capture).unwrap(), "packets");
    }

    #[test]
    fn a_link_is_followed_to_its_file_even_one_that_is_not_there_yet() {
        let folder = folder();
        let (link, file) = (folder.path().join("link.svg"), folder.path().join("file.svg"));
        symlink("file.svg", &link).unwrap();
        let svg = "<svg class=\"finrace\"/>";
        for _ in 0..2 {
            Destination::of(&link).unwrap().write(svg.as_bytes()).unwrap();
            assert!(link.is_symlink());
            assert_eq!(fs::read_to_string(&file).unwrap(), svg);
        }
        let mut destinations = Destinations::default();
        destinations.claim(&link).unwrap();
        assert!(matches!(destinations.claim(&file), Err(DestinationError::Twice(_))));
    }

    #[test]
    fn permissions_stay_as_they_were() {
        let folder = folder();
        let path = folder.path().join("a.svg");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Destination::of(&path).unwrap().write(b"<svg class=\"finrace\"/>").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_fifo_is_written_into_and_stays() {
        let folder = folder();
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        Destination::of(&path).unwrap().write(b"words").unwrap();
        assert_eq!(reader.join().unwrap(), "words");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_into_and_a_full_one_is_told() {
        let full = Path::new("/dev/full");
        let error = Destination::of(full).unwrap().write(b"words").unwrap_err();
        assert!(
            matches!(error, DestinationError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
        );
        assert!(fs::metadata(full).unwrap().file_type().is_char_device());
        Destination::of(Path::new("/dev/null")).unwrap().write(b"words").unwrap();
    }
}

#[test]
fn a_run_takes_a_new_an_empty_and_its_own_folder_and_no_other() {
    let folder = folder();
    let new = folder.path().join("deep/run");
    for _ in 0..2 {
        run_folder(&new).unwrap();
        fs::write(new.join("edge.pcapng"), "packets of this run").unwrap();
    }
    let foreign = folder.path().join("evidence");
    fs::create_dir(&foreign).unwrap();
    run_folder(&foreign).unwrap();
    fs::remove_file(foreign.join(RUN_MARK)).unwrap();
    fs::write(foreign.join("edge.pcapng"), "evidence").unwrap();
    assert!(matches!(run_folder(&foreign), Err(DestinationError::NoRun(_))));
}
