//! The truth table as Markdown that GitHub shows.

use super::{ANY_BACKEND, BACKEND_IDLE, Case, Found, Outcome, Program};
use crate::calendar;
use crate::lab::events::now_ns;
use crate::render::units;

/// Characters of a log line that are shown.
const LINE_AT_MOST: usize = 400;

/// Cases with their runs, to be looked up.
struct Table<'a> {
    outcomes: &'a [Outcome],
}

impl Table<'_> {
    fn found(&self, wanted: &Case) -> Option<&Found> {
        let (_, found) = self.outcomes.iter().find(|(case, _)| case == wanted)?;
        found.as_ref().ok()
    }

    fn cell(&self, case: &Case) -> String {
        self.found(case).map_or_else(|| "no run".to_owned(), cell)
    }
}

/// What the user saw, in a few characters: bold where it is a failure.
fn cell(found: &Found) -> String {
    match found.status {
        Some(status) if (200..300).contains(&status) => match found {
            Found { retried: true, .. } => format!("{status}, sent twice"),
            Found { proxy_closed_first: true, .. } => format!("{status}, proxy closes first"),
            Found { reused: Some(false), .. } => format!("{status}, not reused"),
            _ => status.to_string(),
        },
        Some(status) => format!("**{status}**"),
        None => match found.seen.as_str() {
            "connection closed without an answer" => "**empty reply**".to_owned(),
            "connection reset without an answer" => "**reset**".to_owned(),
            other => format!("**{other}**"),
        },
    }
}

/// The whole file.
pub(super) fn page(proxies: &[&'static str], backends: &[&'static str], outcomes: &[Outcome]) -> String {
    let table = Table { outcomes };
    let mut text = head(outcomes);
    text += &by_proxy(&table, proxies);
    for method in ["POST", "GET"] {
        text += &matrix(&table, proxies, backends, method);
    }
    text += &details(&table, proxies, backends);
    text += &versions(&table, proxies, backends);
    text
}

fn head(outcomes: &[Outcome]) -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let runs = outcomes.len();
    format!(
        "# Truth table: what a lost request looks like\n\
         \n\
         <!-- Written by `make truth-table`. Do not edit: run it again. -->\n\
         \n\
         A backend closes an idle connection, and at that moment the proxy sends the next request on it. What does the \
         user see, what does the proxy log, and what do the packets say? Every cell below is from a run in finrace's \
         lab with unmodified programs: the wire holds the backend's FIN until the request has passed, so the race is \
         certain wherever it is possible.\n\
         \n\
         `make truth-table` wrote this file on {date} from {runs} runs on Linux {kernel}. Servers were told to keep idle \
         connections for {BACKEND_IDLE} where they can be told. Proxies have their default timers, which are longer. The \
         load balancer of Amazon (`aws-alb`) is imitated; everything else is real. To see one cell with its packets, \
         log and ladder:\n\
         \n\
         ```\n\
         finrace reproduce --proxy nginx --backend gunicorn --method POST --backend-idle {BACKEND_IDLE}\n\
         ```\n\
         \n\
         - **502**, **503**, **empty reply**: the request was lost, and this is what the user saw.\n\
         - *sent twice*: the request was lost, and the proxy sent it again on another connection; the user noticed \
         nothing.\n\
         - *not reused*: the proxy sent the request over another connection than the idle one, so nothing could meet. \
         This pair has no race in this configuration.\n\
         - *proxy closes first*: the proxy gave the connection up before the backend did.\n\
         \n\
         `haproxy-safe` is HAProxy as it comes: with `http-reuse safe` a client's first request never goes over a shared \
         idle connection, so it cannot be lost this way; a later one can. `haproxy` has `http-reuse always`.\n\n",
        date = calendar::date(now_ns()),
        kernel = kernel.trim(),
    )
}

/// Each proxy in one row: what it does with a lost request, and what it says of it.
fn by_proxy(table: &Table<'_>, proxies: &[&'static str]) -> String {
    let mut text = format!(
        "## By proxy\n\n\
         The same request, lost in front of the same server ({ANY_BACKEND}). Proxies may treat the first request of a \
         client's connection and a later one differently: a client that keeps its connection is expected to repeat a \
         request itself when that connection ends.\n\n\
         | proxy | GET, client's first | POST, client's first | GET, same client again | POST, same client again | its own log, POST |\n\
         |---|---|---|---|---|---|\n"
    );
    for &proxy in proxies {
        let case = |method, same_client| Case { proxy, backend: ANY_BACKEND, method, same_client };
        let logged = match table.found(&case("POST", false)) {
            Some(found) if found.cause.is_none() => "nothing was lost".to_owned(),
            Some(found) => log(found),
            None => String::new(),
        };
        text += &format!(
            "| `{proxy}` | {} | {} | {} | {} | {logged} |\n",
            table.cell(&case("GET", false)),
            table.cell(&case("POST", false)),
            table.cell(&case("GET", true)),
            table.cell(&case("POST", true)),
        );
    }
    text + "\n"
}

/// Servers down, proxies across.
fn matrix(
    table: &Table<'_>,
    proxies: &[&'static str],
    backends: &[&'static str],
    method: &'static str,
) -> String {
    let mut text = format!("## {method}: each server behind each proxy\n\n| server | cause by packets |");
    for proxy in proxies {
        text += &format!(" {proxy} |");
    }
    text += &format!("\n|---|---|{}\n", "---|".repeat(proxies.len()));
    for &backend in backends {
        let cases: Vec<Case> =
            proxies.iter().map(|&proxy| Case { proxy, backend, method, same_client: false }).collect();
        let mut causes: Vec<&str> = Vec::new();
        for found in cases.iter().filter_map(|case| table.found(case)) {
            let cause = found.cause.as_deref().unwrap_or("none");
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        // Where a cause was found, the cells say which pairs have none.
        if causes.len() > 1 {
            causes.retain(|cause| *cause != "none");
        }
        text += &format!("| {backend} | {} |", causes.join(", "));
        for case in &cases {
            text += &format!(" {} |", table.cell(case));
        }
        text.push('\n');
    }
    text + "\n"
}

/// Every run, folded away by proxy.
fn details(table: &Table<'_>, proxies: &[&'static str], backends: &[&'static str]) -> String {
    let mut text = "## Every run\n\n".to_owned();
    for &proxy in proxies {
        text += &format!(
            "<details><summary><code>{proxy}</code></summary>\n\n\
             | server | method | idle | the user saw | cause by packets | sent again | the proxy's own log |\n\
             |---|---|---|---|---|---|---|\n"
        );
        for &backend in backends {
            for (method, same_client) in [("GET", false), ("POST", false), ("GET", true), ("POST", true)] {
                let case = Case { proxy, backend, method, same_client };
                let Some((_, outcome)) = table.outcomes.iter().find(|(known, _)| *known == case) else {
                    continue;
                };
                let again = if same_client { ", same client again" } else { "" };
                text += &match outcome {
                    Ok(found) => format!(
                        "| {backend} | {method}{again} | {} | {} | {} | {} | {} |\n",
                        units::duration(found.idle_ns),
                        found.seen,
                        found.cause.as_deref().unwrap_or(match found.reused {
                            Some(false) => "none: not reused",
                            _ => "none",
                        }),
                        if found.retried { "yes" } else { "no" },
                        log(found),
                    ),
                    Err(reason) => {
                        format!("| {backend} | {method}{again} | | no run: {} | | | |\n", escaped(reason))
                    }
                };
            }
        }
        text += "\n</details>\n\n";
    }
    text
}

/// Names and versions, as the programs state them.
fn versions(table: &Table<'_>, proxies: &[&'static str], backends: &[&'static str]) -> String {
    let mut text = "## Versions\n\n| name | program | version |\n|---|---|---|\n".to_owned();
    let runs = || table.outcomes.iter().filter_map(|(case, found)| Some((case, found.as_ref().ok()?)));
    for &proxy in proxies {
        if let Some((_, found)) = runs().find(|(case, _)| case.proxy == proxy) {
            text += &version("proxy", proxy, &found.proxy);
        }
    }
    for &backend in backends {
        if let Some((_, found)) = runs().find(|(case, _)| case.backend == backend) {
            text += &version("server", backend, &found.backend);
        }
    }
    text
}

fn version(role: &str, name: &str, program: &Program) -> String {
    let version = program.version.as_deref().unwrap_or("finrace's own");
    format!("| {role} `{name}` | {} | {version} |\n", program.name)
}

fn log(found: &Found) -> String {
    if found.log.is_empty() {
        return "nothing".to_owned();
    }
    let lines = found.log.iter().map(|line| {
        let shown: String = line.chars().take(LINE_AT_MOST).collect();
        let rest = if line.chars().count() > LINE_AT_MOST { "…" } else { "" };
        format!("<code>{}{rest}</code>", escaped(&shown))
    });
    lines.collect::<Vec<_>>().join("<br>")
}

/// Text in a cell of a Markdown table, taken literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' => {
                escaped += &format!("&#{};", u32::from(character));
            }
            '\n' | '\r' => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: Option<u64>, cause: Option<&str>) -> Found {
        Found {
            proxy: Program { name: "nginx".into(), version: Some("1.22.1".into()) },
            backend: Program { name: "Gunicorn".into(), version: Some("27.0.1".into()) },
            seen: status.map_or("connection closed without an answer".into(), |status| status.to_string()),
            status,
            cause: cause.map(str::to_owned),
            retried: false,
            reused: Some(true),
            proxy_closed_first: false,
            idle_ns: 2_000_000_000,
            log: vec!["a | b <c> 127.0.0.1 [error]".into()],
        }
    }

    #[test]
    fn a_cell_tells_what_the_user_saw_and_why_nothing_was_lost() {
        let lost = Some("crossed-fin");
        let cells = [
            cell(&found(Some(502), lost)),
            cell(&found(None, lost)),
            cell(&Found { retried: true, ..found(Some(200), lost) }),
            cell(&Found { reused: Some(false), ..found(Some(200), None) }),
            cell(&Found { proxy_closed_first: true, ..found(Some(200), None) }),
        ];
        assert_eq!(
            cells,
            ["**502**", "**empty reply**", "200, sent twice", "200, not reused", "200, proxy closes first"]
        );
    }

    #[test]
    fn a_log_line_cannot_break_the_table() {
        assert_eq!(
            log(&found(Some(502), None)),
            "<code>a &#124; b &lt;c&gt; 127.0.0.1 &#91;error&#93;</code>"
        );
    }

    #[test]
    fn every_row_of_a_table_has_as_many_cells_as_its_head() {
        let case = |method, same_client| Case { proxy: "nginx", backend: ANY_BACKEND, method, same_client };
        let outcomes = [
            (case("GET", false), Ok(found(Some(200), None))),
            (case("POST", false), Ok(found(Some(502), Some("crossed-fin")))),
            (case("GET", true), Err("no | program\nhere".into())),
            (case("POST", true), Ok(found(None, Some("crossed-fin")))),
        ];
        let text = page(&["nginx"], &[ANY_BACKEND], &outcomes);
        let mut width = None;
        for line in text.lines() {
            let cells = line.starts_with('|').then(|| line.matches('|').count());
            assert!(width.is_none() || cells.is_none() || cells == width, "{line}");
            width = cells;
        }
        assert!(text.contains("no run"), "what was not run says so");
    }
}
