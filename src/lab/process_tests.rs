use super::*;

/// As the kernel prints it: a listener on port 3000, an established connection on 3001, a listener on 443 (IPv6).
const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20612 1 0 100 0 0 10 0
   1: 0100007F:0BB9 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000     0        0 20613 1 0 100 0 0 10 0
";
const TCP6: &str =
    "  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000
";

#[test]
fn only_a_listener_counts_as_listening() {
    assert!(lists_listener(TCP, 3000));
    assert!(!lists_listener(TCP, 3001));
    assert!(lists_listener(TCP6, 443));
    assert!(!lists_listener("", 443));
    assert!(!lists_listener("header\n   0: nonsense\n", 443));
}

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
