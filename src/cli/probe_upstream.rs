//! `finrace probe --upstream`: a backend that measures the proxy in front of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::duration::format_duration;
use crate::probe::Target;
use crate::probe::upstream::{Backend, Options, SoFar};
use crate::render::probe_upstream_text;
use crate::render::units::counted;

use super::Exit;
use super::output::{self, Color};
use super::probe::{ProbeFormat, waiting};

/// Arguments of `probe --upstream`.
#[derive(Debug, clap::Args)]
pub(super) struct UpstreamArgs {
    /// Measure a proxy instead: be the backend that it sends requests to, at this address (127.0.0.1 if only a port is given)
    #[arg(
        long = "upstream",
        value_name = "[ADDRESS:]PORT",
        value_parser = listen,
        conflicts_with_all = ["method", "path", "connections", "first_request", "max_requests"],
        help_heading = "Measuring a proxy"
    )]
    upstream: Option<SocketAddr>,
    /// Send harmless requests through the proxy at this URL; without it, send them yourself
    #[arg(
        long,
        value_name = "URL",
        requires = "upstream",
        conflicts_with = "target",
        help_heading = "Measuring a proxy"
    )]
    via: Option<Target>,
    /// How many idle connections the proxy has to give up
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        requires = "upstream", conflicts_with = "target",
        value_parser = clap::value_parser!(u16).range(1..=100),
        help_heading = "Measuring a proxy"
    )]
    samples: u16,
    /// Let one GET and one POST each meet a FIN and a RST, and see whether the proxy sends them again. Its clients may get
    /// 502 for them
    #[arg(long, requires = "upstream", conflicts_with = "target", help_heading = "Measuring a proxy")]
    test_retry: bool,
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let of_port = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    text.parse().or_else(|_| text.trim_start_matches(':').parse().map(of_port)).map_err(|_| {
        "give an address of this machine and a port, such as 127.0.0.1:9000, or 0.0.0.0:9000 for all addresses"
            .to_owned()
    })
}

impl UpstreamArgs {
    /// Serves the proxy until enough is known; Ctrl-C ends it with what is known by then.
    ///
    /// # Errors
    /// The address cannot be listened on, or the proxy not be reached.
    pub(super) fn run(&self, max_wait: Duration, format: ProbeFormat, color: Color) -> anyhow::Result<Exit> {
        let Some(listen) = self.upstream else {
            anyhow::bail!("give a server to probe, or --upstream");
        };
        let samples = usize::from(self.samples);
        let options = Options { via: self.via.clone(), samples, max_wait, test_retry: self.test_retry };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let measured = runtime.block_on(async {
            let backend = Backend::bind(listen).await?;
            output::complain(&format!(
                "listening on {}: point the proxy's upstream there",
                backend.address()
            ));
            let progress = waiting(said(SoFar::default(), samples, max_wait));
            // A Ctrl-C that cannot be caught ends the program as it always does.
            let enough = async {
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let mut last = SoFar::default();
            let measured = backend
                .run(&options, enough, |so_far| {
                    if so_far != last {
                        progress.set_message(said(so_far, samples, max_wait));
                        last = so_far;
                    }
                })
                .await;
            progress.finish_and_clear();
            measured
        })?;
        let text = match format {
            ProbeFormat::Table => probe_upstream_text::table(&measured, output::text_options(color)),
            ProbeFormat::Json => probe_upstream_text::json(&measured),
        };
        output::print(text.as_bytes())?;
        let known = measured.keeps_none() || (!measured.samples.is_empty() && !measured.is_open_ended());
        Ok(if known { Exit::Clean } else { Exit::Inconclusive })
    }
}

/// What is waited for.
fn said(so_far: SoFar, samples: usize, max_wait: Duration) -> String {
    let most = format_duration(max_wait);
    if so_far.requests == 0 {
        return format!("waiting for the first request, at most {most}");
    }
    format!(
        "{}, {} kept, {} of {samples} given up, at most {most}",
        counted(u64::from(so_far.requests), "request"),
        counted(so_far.kept as u64, "connection"),
        so_far.given_up,
    )
}
