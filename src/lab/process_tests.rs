use super::*;

#[test]
fn a_programs_words_are_its_first_line_about_an_error_or_else_its_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("output.log");
    let said = |output: &[u8]| {
        fs::write(&file, output).unwrap();
        words(&file)
    };
    assert_eq!(
        said(
            b"loader:1228\n  throw err;\n\nError: Cannot find module 'express'\n    at stack\nNode.js v20\n"
        ),
        "`Error: Cannot find module 'express'`"
    );
    assert_eq!(said(b"nginx: [emerg] unknown directive\nbye\n"), "`nginx: [emerg] unknown directive`");
    assert_eq!(said(b"starting\n\tgiving \x1b[1mup\xff\n\n"), "`giving [1mup\u{fffd}`");
    assert_eq!(said(b"\n"), "it printed nothing");
    assert_eq!(said(&[b'x'; 10_000]).len(), SHOWN + 2, "an error stays readable");
}

#[test]
fn a_missing_program_without_known_remedy_may_be_given_by_its_path() {
    assert_eq!(remedy(Some("apt install nginx")), "install it (apt install nginx)");
    assert_eq!(remedy(None), "install it, or give its path in the scenario");
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
        needs: None,
    };
    assert!(matches!(prepare(&command), Err(ProcessError::NoCommand { .. })));

    let nowhere =
        ServerCommand { argv: vec!["sh".to_owned()], directory: "/no/such/folder".into(), ..command };
    let error = prepare(&nowhere).unwrap_err();
    assert_eq!(error.to_string(), "the proxy cannot be started: cannot use /no/such/folder");
}
