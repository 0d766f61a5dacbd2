//! `finrace odds-check`: soaks of several settings, each a run of its own, beside what the model expects of them, told in
//! one Markdown file. Nothing in the file comes from anywhere else.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::render::odds_text::amount;
use crate::render::units::count;

use super::{Exit, output};

/// Words of each soak's command line, and what is special about it.
const SETTINGS: [(&str, &str); 7] = [
    ("Poisson, last used first", "--rate 20/s --pool lifo"),
    ("Poisson, in turns", "--rate 20/s --pool fifo"),
    ("Poisson, at random", "--rate 20/s --pool random"),
    ("bursty, last used first", "--rate 20/s --pool lifo --arrivals bursty --burst 500ms --pause 1s"),
    ("bursty, in turns", "--rate 20/s --pool fifo --arrivals bursty --burst 500ms --pause 1s"),
    ("Poisson, busy, in turns", "--rate 40/s --pool fifo"),
    ("Poisson, one idle at most", "--rate 20/s --pool lifo --max-idle 1 --response-time 30ms"),
];

/// What a mark in the table means.
const BUSY: &str = "\n† The machine was too busy: packets took longer, or strayed more, than the wire was set to. What differs \
                    by the settings there says nothing of the model.\n";

/// A soak that a busy machine has spoiled is done again, but not for ever.
const TRIES: usize = 3;

/// Arguments of `odds-check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "docs/odds-check.md")]
    out: PathBuf,
    /// Folder for the runs, which stay as evidence
    #[arg(long, value_name = "DIR", default_value = "finrace-runs/odds-check")]
    runs: PathBuf,
    /// How long requests come in each setting
    #[arg(long = "for", value_name = "TIME", default_value = "60s")]
    length: String,
    /// Seed of the arrivals and of the simulations
    #[arg(long, value_name = "N", default_value = "1")]
    seed: String,
}

/// Runs all settings and writes the file. The exit code says whether the model, given the arrivals,
/// timers and delays of the packets, agreed with each.
///
/// # Errors
/// A soak cannot be run, or the file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let program = std::env::current_exe().context("cannot find finrace's own program")?;
    let mut soaks = Vec::new();
    for (number, (name, words)) in SETTINGS.iter().enumerate() {
        let folder = args.runs.join((number + 1).to_string());
        let once = || soak(&program, words, args, &folder).with_context(|| (*name).to_owned());
        let mut soak = once()?;
        for _ in 1..TRIES {
            if soak["quiet"] == Value::Bool(true) && soak["complete"] == Value::Bool(true) {
                break;
            }
            output::complain(&format!("{name}: the machine was too busy, once more"));
            soak = once()?;
        }
        let apart = |from| prediction(&soak, from).map_or(0.0, |it| number_of(it, "apart"));
        output::complain(&format!(
            "{} of {}: {name}: {} of {} requests lost; by the settings {:.1}, by the packets {:.1} standard errors apart",
            number + 1,
            SETTINGS.len(),
            soak["lost"]["count"],
            soak["requests"],
            apart("settings"),
            apart("packets"),
        ));
        if soak["complete"] != Value::Bool(true) {
            bail!("{name}: the captures are not complete: {}", soak["missing"]);
        }
        soaks.push(soak);
    }
    fs::create_dir_all(args.out.parent().unwrap_or(Path::new(".")))?;
    fs::write(&args.out, page(&soaks, args))
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    let agree = |soak: &Value| {
        prediction(soak, "packets").is_some_and(|prediction| prediction["agree"] == Value::Bool(true))
    };
    Ok(if soaks.iter().all(agree) { Exit::Clean } else { Exit::Found })
}

/// One soak, as a process: the lab can be entered only once by each.
fn soak(program: &Path, words: &str, args: &Args, folder: &Path) -> anyhow::Result<Value> {
    let mut command = Command::new(program);
    command.args(["soak", "--format", "json", "--for", &args.length, "--seed", &args.seed]);
    command.args(words.split(' ')).arg("--out").arg(folder);
    let printed = command.stdin(Stdio::null()).output().context("cannot run finrace")?;
    // What else there is, is said on standard error or in the answer.
    match serde_json::from_slice(&printed.stdout) {
        Ok(answer) => Ok(answer),
        Err(_) => bail!("{}", String::from_utf8_lossy(&printed.stderr).trim()),
    }
}

fn prediction<'a>(soak: &'a Value, from: &str) -> Option<&'a Value> {
    soak["predictions"].as_array()?.iter().find(|prediction| prediction["from"] == from)
}

fn number_of(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(0.0)
}

fn page(soaks: &[Value], args: &Args) -> String {
    let Args { length, seed, .. } = args;
    let mut text = format!(
        "# The odds against natural traffic\n\n\
         Written by `make odds-check`; the model is in [model.md](model.md). Each line is a soak of {length} (seed {seed}) with \
         finrace's own proxy and backend: 16 pools side by side, a backend that closes after 100 ms, a wire of 5 ms one way, \
         nothing held or forced. Lost are the requests that met a close of the idle timer, by the packets of both ends. ± is two \
         standard errors; the model agrees when it is within three of both errors together.\n\n\
         | setting | requests | lost | measured | by the settings | by the packets | formula |\n\
         |---|---:|---:|---:|---|---|---|\n"
    );
    for (soak, (name, _)) in soaks.iter().zip(SETTINGS) {
        let lost = &soak["lost"];
        let half = (number_of(lost, "high") - number_of(lost, "low")) / 2.0;
        let busy = if soak["quiet"] == Value::Bool(true) { "" } else { " †" };
        let cells = [
            format!("{name}{busy}"),
            count(soak["requests"].as_u64().unwrap_or(0)),
            count(lost["count"].as_u64().unwrap_or(0)),
            percent(number_of(lost, "share"), half),
            told(soak, "settings"),
            told(soak, "packets"),
            told(soak, "formula"),
        ];
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    if soaks.iter().any(|soak| soak["quiet"] != Value::Bool(true)) {
        text += BUSY;
    }
    text += "\nThe settings, as they were given to `finrace soak`:\n\n";
    for (name, words) in SETTINGS {
        let _ = writeln!(text, "- {name}: `finrace soak --for {length} --seed {seed} {words}`");
    }
    text += "\nWhat the packets say of each:\n\n| setting | backend closes after | one way | requests a second of each pool |\n|---|---|---|---|\n";
    for (soak, (name, _)) in soaks.iter().zip(SETTINGS) {
        let measured = &soak["measured"];
        let time = |mean: &str, spread: &str| {
            format!(
                "{} ± {} ms",
                amount(number_of(measured, mean) / 1e6),
                amount(number_of(measured, spread) / 1e6)
            )
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            time("timer_ns", "timer_spread_ns"),
            time("delay_ns", "delay_spread_ns"),
            amount(number_of(measured, "rate_per_s"))
        );
    }
    text
}

/// `2.85 ± 0.33 %`.
fn percent(share: f64, half: f64) -> String {
    format!("{} ± {} %", amount(share * 100.0), amount(half * 100.0))
}

fn told(soak: &Value, from: &str) -> String {
    let Some(prediction) = prediction(soak, from) else { return "–".to_owned() };
    let agree = if prediction["agree"] == Value::Bool(true) { "agrees" } else { "**differs**" };
    let error = number_of(prediction, "error");
    let share = number_of(prediction, "share");
    let share =
        if error > 0.0 { percent(share, 2.0 * error) } else { format!("{} %", amount(share * 100.0)) };
    format!("{share}, {agree} ({:.1})", number_of(prediction, "apart"))
}
