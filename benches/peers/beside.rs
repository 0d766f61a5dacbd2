//! Commands on one capture, each beside the one that it is compared with, in alternation.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::FINRACE;
use super::goals::{Bound, Goals};
use super::measure::{self, Cost, median, ratio};

/// A command with what its runs took.
struct Contestant {
    name: String,
    command: Vec<String>,
    /// The name of the contestant that it is measured by.
    beside: &'static str,
    /// Takes so long that one run must do.
    is_slow: bool,
    costs: Vec<Cost>,
}

impl Contestant {
    fn new(name: impl Into<String>, beside: &'static str, command: &[&str]) -> Contestant {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Contestant { name: name.into(), command, beside, is_slow: false, costs: Vec::new() }
    }

    fn wall(&self) -> Duration {
        median(self.costs.iter().map(|cost| cost.wall))
    }

    fn cpu(&self) -> Duration {
        median(self.costs.iter().map(|cost| cost.cpu))
    }

    fn peak_mib(&self) -> f64 {
        self.costs.iter().map(Cost::peak_mib).fold(0.0, f64::max)
    }
}

/// Those that have been run.
struct Field(Vec<Contestant>);

impl Field {
    /// Runs all that are installed in alternation.
    fn run(contestants: Vec<Contestant>, runs: usize) -> anyhow::Result<Field> {
        let mut field = Vec::new();
        for contestant in contestants {
            let program = &contestant.command[0];
            if Command::new(program).arg("--version").output().is_ok() {
                field.push(contestant);
            } else {
                eprintln!("{}: not installed, left out", contestant.name);
            }
        }
        for contestant in field.iter().filter(|contestant| !contestant.is_slow) {
            // Once unmeasured: the file into the page cache, the program too.
            measure::run(&contestant.command)?;
        }
        for run in 0..runs {
            for contestant in &mut field {
                if run == 0 || !contestant.is_slow {
                    contestant.costs.push(measure::run(&contestant.command)?);
                }
            }
        }
        Ok(Field(field))
    }

    fn get(&self, name: &str) -> Option<&Contestant> {
        self.0.iter().find(|contestant| contestant.name == name)
    }

    /// Wall time and processor time of one as multiples of another's; none where one of them was not run.
    fn ratios(&self, name: &str, other: &str) -> Option<(f64, f64)> {
        let (mine, theirs) = (self.get(name)?, self.get(other)?);
        Some((ratio(mine.wall(), theirs.wall()), ratio(mine.cpu(), theirs.cpu())))
    }

    fn print(&self, beside: &str) {
        println!("| | wall s | cpu s | peak MiB | wall / {beside} | cpu / {beside} |");
        println!("|---|---:|---:|---:|---:|---:|");
        for contestant in &self.0 {
            let (wall, cpu) = (contestant.wall().as_secs_f64(), contestant.cpu().as_secs_f64());
            let ratios = self.ratios(&contestant.name, contestant.beside);
            let ratios = ratios.map_or(" | ".to_owned(), |(wall, cpu)| format!("{wall:.2} | {cpu:.2}"));
            println!(
                "| {} | {wall:.3} | {cpu:.3} | {:.1} | {ratios} |",
                contestant.name,
                contestant.peak_mib()
            );
        }
    }
}

/// finrace beside tcpdump and others on a capture as it is. `of` names the capture among the goals.
pub fn peers(capture: &Path, of: &str, runs: usize, slow: bool, goals: &mut Goals) -> anyhow::Result<()> {
    let capture = &*capture.display().to_string();
    let piped = format!("cat '{capture}' | {FINRACE} analyze -");
    let mut contestants = vec![
        Contestant::new("finrace", "tcpdump", &[FINRACE, "analyze", capture]),
        Contestant::new("finrace, one thread", "tcpdump", &[FINRACE, "analyze", "--threads=1", capture]),
        Contestant::new("finrace, by a pipe from cat", "tcpdump", &["sh", "-c", &piped]),
        Contestant::new("tcpdump", "tcpdump", &["tcpdump", "-r", capture, "-w", "/dev/null"]),
        Contestant::new("cat", "tcpdump", &["cat", capture]),
        Contestant::new("capinfos", "tcpdump", &["capinfos", "-c", capture]),
    ];
    if slow {
        let tcptrace = Contestant::new("tcptrace", "tcpdump", &["tcptrace", "-q", capture]);
        let tshark = ["tshark", "-q", "-z", "conv,tcp", "-r", capture];
        let tshark = Contestant::new("tshark", "tcpdump", &tshark);
        contestants.extend([tcptrace, tshark].map(|it| Contestant { is_slow: true, ..it }));
    }
    let field = Field::run(contestants, runs)?;
    field.print("tcpdump");
    if let Some((wall, cpu)) = field.ratios("finrace", "tcpdump") {
        goals.hold(format!("{of}: wall / tcpdump"), Bound::AtMost(0.4), wall);
        goals.hold(format!("{of}: cpu / tcpdump"), Bound::AtMost(0.7), cpu);
    }
    if let Some(finrace) = field.get("finrace") {
        goals.hold(format!("{of}: peak memory, MiB"), Bound::AtMost(64.0), finrace.peak_mib());
    }
    if let Some((rate, _)) = field.ratios("finrace", "finrace, by a pipe from cat") {
        goals.hold(format!("{of}: a pipe's rate / the file's"), Bound::AtLeast(0.7), rate);
    }
    Ok(())
}

/// finrace on the capture in gzip and zstd, each beside the program that unpacks it.
pub fn packed(capture: &Path, of: &str, runs: usize, goals: &mut Goals) -> anyhow::Result<()> {
    let mut contestants = Vec::new();
    let programs = [("gzip", "gz"), ("zstd", "zst")];
    for (program, suffix) in programs {
        let to = format!("{}.{suffix}", capture.display());
        let file = std::fs::File::create(&to)?;
        let made = Command::new(program).arg("-c").arg(capture).stdout(file).status();
        let Ok(made) = made else {
            eprintln!("{program}: not installed, left out");
            continue;
        };
        anyhow::ensure!(made.success(), "{program} could not make {to}");
        contestants.push(Contestant::new(format!("finrace, {program}"), program, &[FINRACE, "analyze", &to]));
        contestants.push(Contestant::new(program, program, &[program, "-dc", &to]));
    }
    let field = Field::run(contestants, runs)?;
    field.print("unpacker");
    for (program, _) in programs {
        if let Some((wall, _)) = field.ratios(&format!("finrace, {program}"), program) {
            goals.hold(format!("{of}: wall / {program} -dc"), Bound::AtMost(1.1), wall);
        }
    }
    Ok(())
}
