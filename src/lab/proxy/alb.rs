//! What an Application Load Balancer of Amazon Web Services shows of itself: its 502 page and its access log.
//!
//! Fields and their order: "Access logs for your Application Load Balancer", section "Access log entries", in the
//! Elastic Load Balancing user guide.

use std::net::SocketAddr;

use crate::calendar::iso_micros;
use crate::lab::http::{Fields, Request, Response};

/// Names that a log line has and a laptop has not: AWS's own documentation uses this account number.
const BALANCER: &str = "app/finrace/0000000000000000";
const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/finrace/0000000000000000";

const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
                           <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

/// The load balancer's own answer to a request whose target failed.
pub(super) fn bad_gateway() -> Response {
    Response {
        code: 502,
        reason: "Bad Gateway".into(),
        fields: Fields::default().with("Server", "awselb/2.0").with("Content-Type", "text/html"),
        keep_alive: true,
        body: BAD_GATEWAY.into(),
    }
}

/// One request and what became of it.
pub(super) struct Access<'a> {
    pub(super) client: SocketAddr,
    pub(super) target: SocketAddr,
    pub(super) request: &'a Request,
    /// When the request was complete, and when the response was, nanoseconds since the Unix epoch.
    pub(super) received_ns: i64,
    pub(super) answered_ns: i64,
    /// Status of the response that the client gets.
    pub(super) status: u16,
    /// It is the target's response, not the balancer's own.
    pub(super) from_target: bool,
    pub(super) bytes: (usize, usize),
}

impl Access<'_> {
    /// The line for it. Where the target ended the connection, the log holds `-` for the target's status and -1 for the
    /// time of its response.
    pub(super) fn line(&self) -> String {
        let Access { client, target, request, status, bytes: (received, sent), .. } = self;
        let field = |name: &str| {
            let value = request.fields.first(name).unwrap_or_default();
            value.chars().filter(|c| c.is_ascii_graphic() && *c != '"' || *c == ' ').collect::<String>()
        };
        let target_seconds = (self.answered_ns - self.received_ns).max(0) as f64 / 1e9;
        let (response_seconds, target_status) =
            if self.from_target { ("0.000", status.to_string()) } else { ("-1", "-".to_owned()) };
        format!(
            "http {time} {BALANCER} {client} {target} 0.000 {target_seconds:.3} {response_seconds} {status} \
             {target_status} {received} {sent} \"{method} http://{host}{path} HTTP/1.1\" \"{agent}\" - - \
             {TARGET_GROUP} \"Root=1-{epoch:08x}-{trace:024x}\" \"-\" \"-\" 0 {created} \"forward\" \"-\" \"-\" \
             \"{target}\" \"{target_status}\" \"-\" \"-\" TID_{trace:032x}\n",
            time = iso_micros(self.answered_ns),
            method = request.method,
            host = field("host"),
            path = request.target,
            agent = field("user-agent"),
            epoch = self.received_ns / 1_000_000_000,
            trace = self.received_ns,
            created = iso_micros(self.received_ns),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(request: &Request, status: u16, from_target: bool) -> String {
        Access {
            client: "192.0.2.7:40000".parse().unwrap(),
            target: "192.0.2.2:3000".parse().unwrap(),
            request,
            received_ns: 1_763_820_761_220_301_000,
            answered_ns: 1_763_820_761_232_301_000,
            status,
            from_target,
            bytes: (199, 289),
        }
        .line()
    }

    #[test]
    fn the_page_is_the_one_whose_length_operators_see_in_their_logs() {
        let page = String::from_utf8(bad_gateway().encode("POST")).unwrap();
        assert!(
            page.contains("Server: awselb/2.0\r\n") && page.contains("Content-Length: 122\r\n"),
            "{page}"
        );
    }

    #[test]
    fn a_line_has_the_documented_fields_and_says_whose_the_answer_is() {
        let request = Request {
            method: "POST".into(),
            target: "/orders".into(),
            fields: Fields::default()
                .with("Host", "shop.example:80")
                .with("User-Agent", "a \"quoted\"\n agent"),
            keep_alive: true,
            body: Vec::new(),
        };
        insta::assert_snapshot!([access(&request, 502, false), access(&request, 200, true)].concat(), @r#"
        http 2025-11-22T14:12:41.232301Z app/finrace/0000000000000000 192.0.2.7:40000 192.0.2.2:3000 0.000 0.012 -1 502 - 199 289 "POST http://shop.example:80/orders HTTP/1.1" "a quoted agent" - - arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/finrace/0000000000000000 "Root=1-6921c4d9-00000000187a59a31ffec0c8" "-" "-" 0 2025-11-22T14:12:41.220301Z "forward" "-" "-" "192.0.2.2:3000" "-" "-" "-" TID_0000000000000000187a59a31ffec0c8
        http 2025-11-22T14:12:41.232301Z app/finrace/0000000000000000 192.0.2.7:40000 192.0.2.2:3000 0.000 0.012 0.000 200 200 199 289 "POST http://shop.example:80/orders HTTP/1.1" "a quoted agent" - - arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/finrace/0000000000000000 "Root=1-6921c4d9-00000000187a59a31ffec0c8" "-" "-" 0 2025-11-22T14:12:41.220301Z "forward" "-" "-" "192.0.2.2:3000" "200" "-" "-" TID_0000000000000000187a59a31ffec0c8
        "#);
    }
}
