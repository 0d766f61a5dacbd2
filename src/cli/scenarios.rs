//! `finrace scenarios`: list them, or print one to start from.

use crate::lab::scenario::Scenario;

use super::Exit;
use super::output;

/// Arguments of `scenarios`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print this scenario's TOML, to save and change
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Lists the built-in scenarios, or prints one.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = match &args.name {
        Some(name) => Scenario::builtin_text(name)?.to_owned(),
        None => {
            let names: Vec<&str> = Scenario::builtin_names().collect();
            let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
            let mut text = String::new();
            for name in names {
                text += &format!("{name:<width$}  {}\n", Scenario::builtin(name)?.summary);
            }
            text += "\nRun one: finrace reproduce NAME. Start your own: finrace scenarios NAME > mine.toml, then finrace \
                     reproduce ./mine.toml\n";
            text
        }
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Clean)
}
