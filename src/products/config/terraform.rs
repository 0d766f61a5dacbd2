//! Terraform: `idle_timeout` of `aws_lb`, `aws_alb` and `aws_elb`.

use hcl_edit::Span;
use hcl_edit::structure::{Block, Body};

use super::{Found, Reading, SECOND, Value};

const RESOURCES: [(&str, &str); 3] = [("aws_lb", "aws-alb"), ("aws_alb", "aws-alb"), ("aws_elb", "aws-clb")];
/// AWS has it where nothing is set.
const DEFAULT: i64 = 60 * SECOND;

pub(super) fn looks_like(text: &str) -> bool {
    RESOURCES.iter().any(|(name, _)| text.contains(&format!("\"{name}\"")))
        && hcl_edit::parser::parse_body(text).is_ok_and(|body| balancers(&body).next().is_some())
}

fn balancers(body: &Body) -> impl Iterator<Item = (&Block, &'static str)> {
    let product = |block: &Block| {
        let label = block.labels.first()?.as_str();
        RESOURCES.iter().find(|(name, _)| *name == label).map(|(_, id)| *id)
    };
    body.get_blocks("resource").filter_map(move |block| Some((block, product(block)?)))
}

pub(super) fn read(text: &str) -> Result<Vec<Reading>, String> {
    let body = hcl_edit::parser::parse_body(text).map_err(|error| error.message().to_owned())?;
    let line_of = |span: Option<std::ops::Range<usize>>| {
        let at = span.map_or(0, |span| span.start.min(text.len()));
        1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    };
    let mut readings = Vec::new();
    for (block, id) in balancers(&body) {
        let kind = block.body.get_attribute("load_balancer_type").and_then(|it| it.value.as_str());
        if kind.is_some_and(|kind| kind != "application") {
            continue;
        }
        let mut reading = Reading::of(Some(id), Some(id));
        reading.part = block.labels.get(1).map(|label| format!("resource {}", label.as_str()));
        let found = match block.body.get_attribute("idle_timeout") {
            Some(attribute) => {
                let number = attribute.value.as_number().and_then(|number| number.as_i64());
                let value = number.and_then(|it| it.checked_mul(SECOND)).filter(|it| *it > 0);
                // Where it begins is found by its name: the parser forgets the places of decorated parts.
                let line = attribute
                    .span()
                    .map_or_else(|| line_after(text, block, "idle_timeout"), |span| line_of(Some(span)));
                Found::at(text, line, value.map_or(Value::Unreadable, Value::Time))
            }
            None => Found::unset(text, line_after(text, block, ""), Value::Time(DEFAULT)),
        };
        reading.downstream.push(found.clone());
        reading.upstream.push(found);
        reading.line = Some(("idle_timeout = {}", SECOND));
        readings.push(reading);
    }
    if readings.is_empty() {
        return Err(
            "the load balancers in it are of type network or gateway: give them as --hop aws-nlb".to_owned()
        );
    }
    Ok(readings)
}

/// The line of an attribute of a resource, or of the resource itself.
fn line_after(text: &str, block: &Block, name: &str) -> usize {
    let labels: Vec<String> = block.labels.iter().map(|label| format!("\"{}\"", label.as_str())).collect();
    let begins = |line: &str| {
        line.trim_start().starts_with("resource") && labels.iter().all(|label| line.contains(label))
    };
    let first = text.lines().position(begins).unwrap_or(0);
    let within =
        text.lines().skip(first).position(|line| !name.is_empty() && line.trim_start().starts_with(name));
    first + within.unwrap_or(0) + 1
}
