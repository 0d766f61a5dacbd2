use super::*;

#[test]
fn the_tail_is_the_last_lines_that_say_something() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("output.log");
    fs::write(&file, "1\n2\n3\n4\n\n5\n6\n\n").unwrap();
    assert_eq!(tail(&file), "  2\n  3\n  4\n  5\n  6");
    fs::write(&file, b"6\xff\n").unwrap();
    assert_eq!(tail(&file), "  6\u{fffd}");
    fs::write(&file, "\n").unwrap();
    assert_eq!(tail(&file), "  (it printed nothing)");
}

#[test]
fn an_empty_command_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let command = ServerCommand {
        name: "the proxy".to_owned(),
        argv: Vec::new(),
        env: Vec::new(),
        directory: folder.path().to_owned(),
        output: folder.path().join("output.log"),
        port: 80,
        ready_timeout: Duration::ZERO,
        needs: String::new(),
    };
    assert!(matches!(prepare(&command), Err(ProcessError::NoCommand { .. })));

    let nowhere =
        ServerCommand { argv: vec!["sh".to_owned()], directory: "/no/such/folder".into(), ..command };
    let error = prepare(&nowhere).unwrap_err();
    assert_eq!(error.to_string(), "the proxy cannot be started: cannot use /no/such/folder");
}
