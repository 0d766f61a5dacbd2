//! Which product wrote a `Server` field (RFC 9110 section 10.2.4).

use super::{Facing, Idle, Product, find};

/// Names in `Server` fields that are none of those that products are asked for by.
const NAMES: [(&str, &str); 9] = [
    ("aiohttp", "aiohttp-server"),
    ("apache", "apache-httpd"),
    ("awselb", "aws-alb"),
    ("cloudfront", "aws-cloudfront"),
    ("istio-envoy", "istio"),
    ("microsoft-iis", "iis"),
    ("openresty", "nginx"),
    ("tornadoserver", "tornado"),
    ("wildfly", "undertow"),
];

/// The product that a `Server` field names, where it is known: `nginx/1.22.1`, `Apache/2.4.67 (Debian)`, `uvicorn`,
/// `Python/3.11 aiohttp/3.14.5`.
pub fn of_server_field(field: &str) -> Option<&'static Product> {
    // What is in parentheses is a comment, mostly the system.
    field.split(' ').filter(|word| !word.starts_with('(')).find_map(|word| {
        let name = word.split(['/', '(', '-']).next()?.to_ascii_lowercase();
        let whole = word.split(['/', '(']).next()?.to_ascii_lowercase();
        let known =
            |name: &str| NAMES.iter().find(|(written, _)| *written == name).and_then(|(_, id)| find(id));
        // The name of a language is also a short name of its server.
        let by_name =
            |name: &str| find(name).filter(|_| name.len() > 3 && !["python", "node", "java"].contains(&name));
        known(&whole).or_else(|| by_name(&whole)).or_else(|| by_name(&name))
    })
}

/// The shortest and the longest idle time after which a product closes by default, whatever its release, ns. None where it
/// does not, or where that is not known.
pub fn defaults_of(product: &Product, facing: Facing) -> Option<(i64, i64)> {
    let closing = product.timers_facing(facing).filter_map(|timer| match timer.idle {
        Idle::Closes { after_ns, at_most_ns } => Some((after_ns, at_most_ns)),
        _ => None,
    });
    closing.reduce(|(least, most), (after, at_most)| (least.min(after), most.max(at_most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(field: &str) -> Option<&'static str> {
        of_server_field(field).map(|product| product.id.as_str())
    }

    #[test]
    fn a_server_field_names_a_product() {
        assert_eq!(id("nginx/1.22.1"), Some("nginx"));
        assert_eq!(id("Apache/2.4.67 (Debian)"), Some("apache-httpd"));
        assert_eq!(id("uvicorn"), Some("uvicorn"));
        assert_eq!(id("gunicorn"), Some("gunicorn"));
        assert_eq!(id("awselb/2.0"), Some("aws-alb"));
        assert_eq!(id("openresty/1.21.4.1"), Some("nginx"));
        assert_eq!(id("Python/3.11 aiohttp/3.14.5"), Some("aiohttp-server"));
        assert_eq!(id("Werkzeug/3.1 Python/3.11"), Some("werkzeug"));
        assert_eq!(id("hypercorn-h11"), Some("hypercorn"));
        assert_eq!(id("Jetty(12.0.14)"), Some("jetty"));
        assert_eq!(id("Kestrel"), Some("kestrel"));
    }

    #[test]
    fn a_field_that_names_nobody_known_is_none() {
        for field in ["", "/", "secret", "a", "nginxish", "My Server", "Python/3.11", "(nginx)", "\u{1b}[2J"]
        {
            assert_eq!(id(field), None, "{field}");
        }
    }

    #[test]
    fn defaults_span_the_releases() {
        let node = find("node-http").unwrap();
        assert_eq!(defaults_of(node, Facing::Downstream), Some((5_000_000_000, 6_000_000_000)));
    }
}
