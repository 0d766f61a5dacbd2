//! `finrace timeouts`: the idle timers that captures reveal, whether or not anything broke; or those of a product.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::analysis::{self, Options};
use crate::destination::{Destination, Destinations};
use crate::products::{self, Product};
use crate::render::{self, TextOptions};
use crate::report::{Redaction, Report, Server, Verdict};

use super::Exit;
use super::captures::{Captures, Found};
use super::ctrl_c;
use super::output::{self, Color, Format};
use super::picture::{self, Theme};
use super::progress::ProgressLine;

/// Arguments of `timeouts`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("files", |files| files
    .required(false)
    .required_unless_present("list")
    .value_name("FILE|NAME")
    .help("Capture files, - for a pipe; or names of products: node, aws-alb, nginx")))]
pub struct Args {
    #[command(flatten)]
    captures: Captures,
    /// List the products whose timers are known
    #[arg(long, conflicts_with = "files")]
    list: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draw the idle times of a server into this file, .svg or .png, beside what is printed
    #[arg(short, long, value_name = "FILE", conflicts_with = "list")]
    output: Option<PathBuf>,
    /// Replace that file even if finrace did not write it
    #[arg(long, requires = "output")]
    force: bool,
    /// The server to draw, address:port as the table has it (the one most at risk if left out)
    #[arg(long, value_name = "SERVER", requires = "output")]
    server: Option<String>,
    /// Colours of the picture; auto follows the viewer where the format can (SVG), and is light elsewhere
    #[arg(long, value_enum, default_value_t = Theme::Auto, requires = "output")]
    theme: Theme,
    /// Name nobody in the timers of captures: addresses become roles (proxy-1, backend-3), file names numbers
    #[arg(long)]
    redact: bool,
}

/// Prints the timers observed in captures, or those known of products.
///
/// For captures, exit code 1 when a pair is at risk, 3 when nothing could be observed.
///
/// # Errors
/// A name is neither a file nor a product; captures and products are mixed; standard output cannot be written.
pub fn run(args: &Args, color: Color) -> anyhow::Result<Exit> {
    if args.list {
        return print_products(products::all(), args.format, color, true);
    }
    let files = args.captures.files();
    let known = files.iter().map(|file| product(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let asked: Vec<Product> = known.iter().copied().flatten().cloned().collect();
    if asked.len() == known.len() {
        if args.output.is_some() {
            bail!("-o draws what captures show: name capture files instead of products");
        }
        return print_products(&asked, args.format, color, false);
    }
    if !asked.is_empty() {
        bail!("capture files and names of products do not go together: ask for one of them at a time");
    }
    observed(args, color)
}

/// The product that an argument names; none where it is a capture.
fn product(argument: &Path) -> anyhow::Result<Option<&'static Product>> {
    if argument.exists() || argument.as_os_str() == "-" {
        return Ok(None);
    }
    let name = argument.to_string_lossy();
    if let Some(product) = products::find(&name) {
        return Ok(Some(product));
    }
    if argument.extension().is_some() || argument.components().count() > 1 {
        return Ok(None);
    }
    let near = products::suggestions(&name, None);
    if near.is_empty() {
        bail!(
            "`{name}` is neither a file nor a product known here: `finrace timeouts --list` lists the products"
        );
    }
    bail!(
        "`{name}` is neither a file nor a product known here. Did you mean {}? `finrace timeouts --list` lists all",
        near.join(", ")
    )
}

fn print_products(products: &[Product], format: Format, color: Color, all: bool) -> anyhow::Result<Exit> {
    let options = output::text_options(color);
    let text = match format {
        Format::Table if all => render::product_text::list(products, options),
        Format::Table => {
            let pages: Vec<String> =
                products.iter().map(|product| render::product_text::product(product, options)).collect();
            pages.join("\n")
        }
        Format::Json => render::product_data::json(products),
        Format::Ndjson => render::product_data::lines(products),
        Format::Csv => render::product_data::csv(products),
        Format::Markdown => render::product_data::markdown(products),
        Format::Chat => {
            let options = TextOptions { width: TextOptions::NARROWEST, color: false, unicode: true };
            let pages: Vec<String> =
                products.iter().map(|product| render::product_text::product(product, options)).collect();
            pages.join("\n")
        }
        Format::Html => bail!("there is no page of products: --format html is for captures"),
    };
    output::print(text.as_bytes())?;
    Ok(Exit::Clean)
}

fn observed(args: &Args, color: Color) -> anyhow::Result<Exit> {
    let mut destinations = Destinations::new(args.captures.files().iter().map(PathBuf::as_path), args.force);
    let output = args.output.as_deref().map(|path| destinations.claim(path)).transpose()?;
    let interrupt = ctrl_c::interrupts_reading()?;
    let Found { inputs, unreadable } = args.captures.find(&interrupt);
    if inputs.is_empty() {
        return Ok(if interrupt.is_raised() { Exit::Inconclusive } else { Exit::Trouble });
    }
    let options = Options {
        server_ports: args.captures.server_port.clone(),
        interrupt: interrupt.clone(),
        ..Options::default()
    };
    let mut progress = ProgressLine::new();
    let mut report = analysis::analyze_inputs(inputs, &options, &mut progress);
    progress.clear();
    if args.redact {
        Redaction::default().report(&mut report);
    }
    let text = match args.format {
        Format::Table => render::report_text::timeouts(&report, output::text_options(color)),
        other => output::structured(&report, other),
    };
    if let Some(output) = &output {
        draw(output, &report, args)?;
    }
    output::print(text.as_bytes())?;
    Ok(if report.servers.iter().any(|server| server.verdict == Verdict::AtRisk) {
        Exit::Found
    } else if unreadable {
        Exit::Trouble
    } else if report.servers.is_empty() || interrupt.is_raised() {
        Exit::Inconclusive
    } else {
        Exit::Clean
    })
}

/// Draws one server's idle times.
fn draw(output: &Destination, report: &Report, args: &Args) -> anyhow::Result<()> {
    let is_drawn =
        |server: &&Server| server.server_idle_close.is_some() || server.client_idle_close.is_some();
    let server = match &args.server {
        Some(name) => {
            let known = report.servers.iter().find(|server| server.server == *name);
            let Some(server) = known else {
                bail!("there is no server {} in these captures: the table lists them", render::visible(name));
            };
            Some(server).filter(is_drawn)
        }
        None => report.servers.iter().filter(is_drawn).min_by_key(|server| match server.verdict {
            Verdict::AtRisk => 0,
            Verdict::Safe => 1,
            Verdict::Unknown => 2,
        }),
    };
    let Some(server) = server else {
        bail!(
            "nothing to draw: nobody closed an idle connection in these captures; capture for longer than both idle timeouts"
        );
    };
    let svg = render::histogram::idle_times(server, args.theme.into())
        .map_err(|error| picture::refused(error.as_ref()))?
        .unwrap_or_default();
    let path = output.path();
    output.write(&picture::form(path, svg)?)?;
    let others = report.servers.iter().filter(is_drawn).count().saturating_sub(1);
    if others > 0 && args.server.is_none() {
        output::complain(&format!(
            "{} shows {}; --server draws another of the {others} in the table",
            path.display(),
            render::visible(&server.server)
        ));
    }
    Ok(())
}
