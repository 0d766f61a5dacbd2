//! `finrace truth-table`: every proxy in front of every server, each pair a run of its own, told in one Markdown file.
//!
//! Every run is a process: the lab can be entered only once by each. Nothing in the file comes from anywhere else.

mod markdown;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::lab::scenario::{Backend, Party, library};

use super::{Exit, output};

/// The idle timer of every server that can be told: short enough to wait for a few hundred times.
const BACKEND_IDLE: &str = "2s";

/// A run that the machine disturbed is done again, but not for ever.
const TRIES: usize = 3;

/// The server behind every proxy where the server plays no part.
const ANY_BACKEND: &str = "gunicorn";

/// Arguments of `truth-table`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "docs/truth-table.md")]
    out: PathBuf,
    /// Folder for the runs, which stay as evidence
    #[arg(long, value_name = "DIR", default_value = "finrace-runs/truth-table")]
    runs: PathBuf,
    /// Only these proxies
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    proxy: Vec<String>,
    /// Only these servers
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    backend: Vec<String>,
    /// Runs at one time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
}

/// One cell: who, and how the requests come.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    proxy: &'static str,
    backend: &'static str,
    method: &'static str,
    /// The lost request is not its client's first.
    same_client: bool,
}

/// A proxy or server as the run names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    name: String,
    /// None for finrace's own.
    version: Option<String>,
}

/// What a run showed of it.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    proxy: Program,
    backend: Program,
    /// What the user saw: `502 Bad Gateway`.
    seen: String,
    status: Option<u64>,
    cause: Option<String>,
    retried: bool,
    reused: Option<bool>,
    /// The proxy, not the backend, closed the idle connection.
    proxy_closed_first: bool,
    /// From the first answer to the second request: where a FIN was waited for, when it came.
    idle_ns: i64,
    /// The proxy's own lines.
    log: Vec<String>,
}

/// A case with what was found, or why nothing was.
type Outcome = (Case, Result<Found, String>);

/// Runs all pairs and writes the file. The exit code says whether every cell is from a run.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let proxies = chosen(Party::Proxy, &args.proxy)?;
    let backends = chosen(Party::Backend, &args.backend)?;
    let cases = cases(&proxies, &backends);
    fs::create_dir_all(&args.runs).with_context(|| format!("cannot make {}", args.runs.display()))?;
    let program = std::env::current_exe().context("cannot find finrace's own program")?;
    let outcomes = in_parallel(&cases, args.jobs, |case| attempt(&program, &args.runs, case));
    let missing = outcomes.iter().filter(|(_, found)| found.is_err()).count();
    let text = markdown::page(&proxies, &backends, &outcomes);
    fs::write(&args.out, text).with_context(|| format!("cannot write {}", args.out.display()))?;
    output::complain(&format!(
        "{} of {} runs are in {}",
        cases.len() - missing,
        cases.len(),
        args.out.display()
    ));
    Ok(if missing == 0 { Exit::Clean } else { Exit::Found })
}

/// The names asked for, in the order of the library; all where none is.
fn chosen(party: Party, asked: &[String]) -> anyhow::Result<Vec<&'static str>> {
    for name in asked {
        library::text(party, name)?;
    }
    Ok(library::names(party).filter(|name| asked.is_empty() || asked.iter().any(|one| one == name)).collect())
}

fn cases(proxies: &[&'static str], backends: &[&'static str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &proxy in proxies {
        for &backend in backends {
            for method in ["GET", "POST"] {
                cases.push(Case { proxy, backend, method, same_client: false });
                if backend == ANY_BACKEND {
                    cases.push(Case { proxy, backend, method, same_client: true });
                }
            }
        }
    }
    cases
}

/// Runs all cases, a few at a time; the outcomes are in the order of the cases.
fn in_parallel(
    cases: &[Case],
    jobs: u16,
    run: impl Fn(&Case) -> Result<Found, String> + Sync,
) -> Vec<Outcome> {
    let next = Mutex::new(cases.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let take = || next.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((number, case)) = take() {
                    let found = run(case);
                    output::complain(&format!("{} of {}: {}", number + 1, cases.len(), told(case, &found)));
                    if let Ok(mut done) = done.lock() {
                        done.push((number, (case.clone(), found)));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn told(case: &Case, found: &Result<Found, String>) -> String {
    let Case { proxy, backend, method, .. } = case;
    let again = if case.same_client { ", the same client's second request" } else { "" };
    let what = match found {
        Ok(found) => format!("{}, {}", found.seen, found.cause.as_deref().unwrap_or("no request lost")),
        Err(reason) => format!("NOT RUN: {reason}"),
    };
    format!("{method} through {proxy} to {backend}{again}: {what}")
}

/// Runs a case until the captures are complete.
fn attempt(program: &Path, runs: &Path, case: &Case) -> Result<Found, String> {
    let mut found = Err(String::new());
    for _ in 0..TRIES {
        found = attempt_once(program, runs, case).map_err(|error| format!("{error:#}"));
        if found.is_ok() {
            break;
        }
    }
    found
}

fn attempt_once(program: &Path, runs: &Path, case: &Case) -> anyhow::Result<Found> {
    let Case { proxy, backend, method, same_client } = case;
    let client = if *same_client { "-same-client" } else { "" };
    let folder = runs.join(format!("{proxy}-{backend}-{}{client}", method.to_ascii_lowercase()));
    let mut command = Command::new(program);
    command.args(["reproduce", "--format", "json", "--lab", "wire", "--proxy", proxy, "--backend", backend]);
    command.args(["--method", method]).arg("--out").arg(&folder);
    if *same_client {
        command.arg("--same-client");
    }
    if matches!(Backend::named(backend)?, Backend::Program(program) if program.idle_directive.is_some()) {
        command.args(["--backend-idle", BACKEND_IDLE]);
    }
    let printed = command.stdin(Stdio::null()).output().context("cannot run finrace")?;
    // 0 and 1 are answers; what else there is, is said on standard error.
    if !matches!(printed.status.code(), Some(0 | 1)) {
        bail!("{}", String::from_utf8_lossy(&printed.stderr).trim());
    }
    let report: Value = serde_json::from_slice(&printed.stdout).context("finrace printed no JSON")?;
    read(&report)
}

/// What the report of a run says of its one attempt.
fn read(report: &Value) -> anyhow::Result<Found> {
    let run = &report["run"];
    if run["complete"] != true {
        bail!("the captures are incomplete: {}", run["missing"]);
    }
    let Some([attempt]) = run["attempts"].as_array().map(Vec::as_slice) else {
        bail!("the run has no attempt");
    };
    if let Some(note) = attempt["note"].as_str() {
        bail!("{note}");
    }
    let program = |party: &Value| Program {
        name: party["name"].as_str().unwrap_or_default().to_owned(),
        version: party["version"].as_str().map(str::to_owned),
    };
    let logs = run["product_logs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_proxy = |log: &&Value| log["file"].as_str().is_some_and(|file| file.starts_with("proxy/"));
    let lines = logs.iter().find(of_proxy).and_then(|log| log["lines"].as_array());
    Ok(Found {
        proxy: program(&run["proxy"]),
        backend: program(&run["backend"]),
        seen: attempt["outcome"].as_str().unwrap_or_default().to_owned(),
        status: attempt["status"].as_u64(),
        cause: attempt["cause"].as_str().map(str::to_owned),
        retried: attempt["retried"] == true,
        reused: attempt["reused"].as_bool(),
        proxy_closed_first: attempt["closed_first"] == "client",
        idle_ns: attempt["idle_ns"].as_i64().unwrap_or_default(),
        log: lines.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(attempt: &str) -> Value {
        let text = format!(
            "{{\"run\": {{\"complete\": true, \"attempts\": [{attempt}], \"proxy\": {{\"name\": \"nginx\", \"version\": \
             \"1.22.1\"}}, \"backend\": {{\"name\": \"toy\", \"version\": null}}, \"product_logs\": [{{\"file\": \
             \"backend/a.log\", \"lines\": [\"no\"]}}, {{\"file\": \"proxy/error.log\", \"lines\": [\"yes\"]}}]}}}}"
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_cell_holds_what_the_report_says_and_the_proxys_own_words() {
        let found = read(&report(
            "{\"outcome\": \"502 Bad Gateway\", \"status\": 502, \"cause\": \"crossed-fin\", \"retried\": false, \
             \"reused\": true, \"idle_ns\": 7, \"closed_first\": \"server\", \"note\": null}",
        ));
        let found = found.unwrap();
        assert_eq!((found.proxy.name.as_str(), found.proxy.version.as_deref()), ("nginx", Some("1.22.1")));
        assert_eq!((found.backend.name.as_str(), found.backend.version), ("toy", None));
        assert_eq!((found.status, found.cause.as_deref()), (Some(502), Some("crossed-fin")));
        assert_eq!((found.reused, found.proxy_closed_first, found.idle_ns), (Some(true), false, 7));
        assert_eq!(found.log, ["yes"]);
    }

    #[test]
    fn a_run_that_shows_nothing_is_no_cell() {
        assert!(read(&report("{\"note\": \"the first request already failed (404)\"}")).is_err());
        let mut incomplete = report("{}");
        incomplete["run"]["complete"] = Value::from(false);
        assert!(read(&incomplete).is_err());
    }

    #[test]
    fn the_table_in_docs_has_every_pair_and_every_cell_is_from_a_run() {
        let text = include_str!("../../docs/truth-table.md");
        let (proxies, backends) = (chosen(Party::Proxy, &[]).unwrap(), chosen(Party::Backend, &[]).unwrap());
        let (_, runs) = text.split_once("## Every run").expect("the runs");
        for proxy in &proxies {
            let (_, rows) = runs.split_once(&format!("<code>{proxy}</code></summary>")).expect(proxy);
            let (rows, _) = rows.split_once("</details>").expect(proxy);
            for case in cases(&[proxy], &backends) {
                let again = if case.same_client { ", same client again" } else { "" };
                let row = format!("| {} | {}{again} | ", case.backend, case.method);
                assert!(rows.lines().any(|line| line.starts_with(&row)), "{proxy}: {row}");
            }
        }
        assert!(!text.contains("no run"), "run `make truth-table` again");
    }

    #[test]
    fn every_pair_is_run_with_both_methods_and_each_proxy_with_a_client_that_stays() {
        let proxies = chosen(Party::Proxy, &[]).unwrap();
        let backends = chosen(Party::Backend, &[]).unwrap();
        let cases = cases(&proxies, &backends);
        assert_eq!(cases.len(), proxies.len() * (backends.len() * 2 + 2));
        let outcomes = in_parallel(&cases, 3, |case| Err(case.proxy.to_owned()));
        assert!(outcomes.iter().map(|(case, _)| case).eq(&cases), "in order, whoever ends first");
        assert!(chosen(Party::Proxy, &["ngnix".into()]).is_err());
    }
}
