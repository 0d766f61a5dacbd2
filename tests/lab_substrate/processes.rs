//! Real programs on a host. The program is this one, in another role, because that is certainly installed.

use std::io::Read;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use finrace::lab::host::Host;
use finrace::lab::process::{ProcessError, Server, ServerCommand, find_program, version};
use finrace::lab::tun::Tun;
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::harness::{Case, chain, in_lab};

pub const CASES: &[Case] = &[
    ("a program listens on its host and nowhere else", program_listens_on_its_host_only),
    ("a program that ends early is quoted", program_that_ends_early_is_quoted),
    ("a program that never listens is quoted", program_that_never_listens_is_quoted),
    ("a port in use is told before the program starts", port_in_use_is_told),
    ("a missing program is told with its remedy", missing_program_is_told),
    ("a program that ignores SIGTERM is killed with its workers", stubborn_program_is_killed),
    ("an unprivileged lab gives its programs no capabilities", programs_have_no_capabilities),
    ("the version of a program is its first line", version_is_the_first_line),
];

const PORT: u16 = 3000;
/// Longer than any of these programs takes to start.
const LONG: Duration = Duration::from_secs(60);

/// What this program does when a case has started it.
pub fn act(role: &str) -> ExitCode {
    match role {
        "act-as-server" => serve(),
        "act-as-failure" => {
            println!("reading configuration");
            eprintln!("no such directive: keepalive_tymeout");
            return ExitCode::from(3);
        }
        "act-as-sleeper" => {
            println!("thinking");
            wait();
        }
        "act-as-stubborn" => {
            // SAFETY: ignoring a signal runs no handler.
            unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.expect("SIGTERM can be ignored");
            serve();
        }
        "act-as-version" => eprintln!("\nfinrace test program 1.2.3\nbuilt today"),
        other => panic!("unknown role {other}"),
    }
    ExitCode::SUCCESS
}

fn serve() {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).expect("a free port");
    println!("listening");
    for stream in listener.incoming() {
        drop(stream);
    }
}

fn wait() {
    loop {
        std::thread::park();
    }
}

fn host() -> (Host, Tun) {
    let [address, peer]: [IpAddr; 2] =
        ["192.0.2.2", "192.0.2.1"].map(|text| text.parse().expect("an address"));
    Host::start("origin", address, peer).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn command(role: &str, folder: &Path) -> ServerCommand {
    ServerCommand {
        name: "the backend".to_owned(),
        argv: vec!["/proc/self/exe".to_owned(), role.to_owned()],
        env: Vec::new(),
        directory: folder.to_owned(),
        output: folder.join("output.log"),
        port: PORT,
        ready_timeout: LONG,
        needs: None,
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

async fn refused(host: &Host, command: ServerCommand) -> ProcessError {
    Server::start(host, command).await.expect_err("it does not serve")
}

fn program_listens_on_its_host_only() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let server = Server::start(&host, command("act-as-server", folder.path())).await;
            let server = server.unwrap_or_else(|error| panic!("{}", chain(&error)));
            let read = host.run(|| TcpStream::connect(("127.0.0.1", PORT))?.read(&mut [0; 1]));
            assert_eq!(read.expect("the host runs").expect("a connection"), 0, "the program closed it");
            let [address, peer]: [IpAddr; 2] =
                ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("v4"));
            let (other, _tun) = Host::start("edge", address, peer).expect("another host");
            let elsewhere = other.run(|| TcpStream::connect(("127.0.0.1", PORT)).map(drop));
            elsewhere.expect("the host runs").expect_err("another network");
            let status = server.stop(LONG).await;
            assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
            assert_eq!(
                std::fs::read_to_string(folder.path().join("output.log")).expect("output"),
                "listening\n"
            );
        })
    });
}

fn program_that_ends_early_is_quoted() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let error = refused(&host, command("act-as-failure", folder.path())).await;
            let output = folder.path().join("output.log");
            assert_eq!(
                error.to_string(),
                format!(
                    "the backend ended (exit status: 3) before it listened on port 3000: `no such directive: \
                     keepalive_tymeout`; look at its command in the scenario; its whole output is in {}",
                    output.display()
                )
            );
        })
    });
}

fn program_that_never_listens_is_quoted() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let mut command = command("act-as-sleeper", folder.path());
            command.ready_timeout = Duration::ZERO;
            let error = refused(&host, command).await;
            assert!(matches!(error, ProcessError::NotListening { port: PORT, .. }), "{error}");
        })
    });
}

fn port_in_use_is_told() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let taken = host
                .run(|| TcpListener::bind(("::", PORT)).or_else(|_| TcpListener::bind(("0.0.0.0", PORT))));
            let _taken = taken.expect("the host runs").expect("a free port");
            let error = refused(&host, command("act-as-server", folder.path())).await;
            assert_eq!(
                error.to_string(),
                "the backend cannot be started: port 3000 is already in use on host origin; give it another port"
            );
            assert!(!folder.path().join("output.log").exists(), "it was not started");
        })
    });
}

fn missing_program_is_told() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let mut command = command("", folder.path());
            command.argv = vec!["finrace-no-such-program".to_owned()];
            command.needs = Some("apt install it".to_owned());
            let error = refused(&host, command).await.to_string();
            assert!(
                error.contains("no program finrace-no-such-program in PATH or /usr/local/sbin"),
                "{error}"
            );
            assert!(error.ends_with("install it (apt install it)"), "{error}");
        })
    });
}

fn stubborn_program_is_killed() {
    in_lab(|_| {
        Box::pin(async {
            let (host, _tun) = host();
            let folder = folder();
            let mut command = command("act-as-stubborn", folder.path());
            // A shell that stays above the program, as a server's master stays above its workers.
            let script = format!("trap '' TERM; \"$0\" {}; :", command.argv[1]);
            let program = std::fs::read_link("/proc/self/exe").expect("/proc").display().to_string();
            command.argv = vec!["sh".to_owned(), "-c".to_owned(), script, program];
            let server =
                Server::start(&host, command).await.unwrap_or_else(|error| panic!("{}", chain(&error)));
            let status = server.stop(Duration::ZERO).await;
            assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
            let mut freed = false;
            while !freed {
                // The kernel closes a killed process' sockets when it gets to it; a case that hangs fails.
                freed = host.run(|| TcpListener::bind(("0.0.0.0", PORT)).is_ok()).expect("the host runs");
            }
        })
    });
}

fn programs_have_no_capabilities() {
    in_lab(|entered| {
        Box::pin(async move {
            let (host, _tun) = host();
            let status = host.run(|| std::process::Command::new("cat").arg("/proc/self/status").output());
            let status = status.expect("the host runs").expect("cat");
            let status = String::from_utf8(status.stdout).expect("text");
            let line = |name| status.lines().find_map(|line| line.strip_prefix(name)).expect("a line").trim();
            let effective = u64::from_str_radix(line("CapEff:"), 16).expect("hexadecimal");
            assert_eq!(effective == 0, entered.user_namespace, "{effective:x}");
            let user = line("Uid:").split_whitespace().next().expect("a number").to_owned();
            assert_eq!(user == "0", !entered.user_namespace, "nobody is root who was not before");
        })
    });
}

fn version_is_the_first_line() {
    let program = find_program("/proc/self/exe").expect("this program").display().to_string();
    assert_eq!(
        version(&[program, "act-as-version".to_owned()]).as_deref(),
        Some("finrace test program 1.2.3")
    );
    assert_eq!(version(&["finrace-no-such-program".to_owned()]), None);
}
