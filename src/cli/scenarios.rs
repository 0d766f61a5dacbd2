//! `finrace scenarios`: list them, or print one to start from.

use crate::lab::scenario::{Party, Scenario, ScenarioError, library};

use super::Exit;
use super::output;

/// Arguments of `scenarios`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the TOML of this scenario, proxy or server (backends/NAME where a proxy has the same name)
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// The file of a scenario, or else of a proxy or server.
fn text_of(name: &str) -> Result<&'static str, ScenarioError> {
    if let Some(name) = name.strip_prefix("backends/") {
        return library::text(Party::Backend, name);
    }
    if let Some(name) = name.strip_prefix("proxies/") {
        return library::text(Party::Proxy, name);
    }
    Scenario::builtin_text(name).or_else(|unknown| {
        library::text(Party::Proxy, name)
            .or_else(|_| library::text(Party::Backend, name))
            .map_err(|_| unknown)
    })
}

/// Lists the built-in scenarios, or prints one.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = match &args.name {
        Some(name) => text_of(name)?.to_owned(),
        None => {
            let names: Vec<&str> = Scenario::builtin_names().collect();
            let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
            let mut text = String::new();
            for name in names {
                text += &format!("{name:<width$}  {}\n", Scenario::builtin(name)?.summary);
            }
            for (heading, party) in [("Proxies", Party::Proxy), ("Servers", Party::Backend)] {
                text += &format!("\n{heading}\n");
                let width = library::names(party).map(str::len).max().unwrap_or(0);
                for name in library::names(party) {
                    text += &format!("  {name:<width$}  {}\n", library::summary(party, name)?);
                }
            }
            text += "\nRun a scenario: finrace reproduce NAME. Run a pair: finrace reproduce --proxy nginx --backend \
                     express. Start your own: finrace scenarios NAME > mine.toml, then finrace reproduce ./mine.toml\n";
            text
        }
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Clean)
}
