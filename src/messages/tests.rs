//! The data keeps what it promises: each message is found in its examples before all others, and not in what is like it.

use std::collections::BTreeSet;

use super::*;

fn explained(text: &str) -> crate::report::explanation::Explanation {
    let mut recogniser = Recogniser::default();
    for line in text.lines() {
        recogniser.line(line.as_bytes(), false);
    }
    recogniser.explanation()
}

fn ids(text: &str) -> Vec<String> {
    explained(text).messages.into_iter().map(|message| message.id).collect()
}

#[test]
fn there_are_more_than_four_hundred_messages_with_names_of_their_own() {
    let names: BTreeSet<&str> = all().iter().map(|message| message.id.as_str()).collect();
    assert_eq!(names.len(), all().len());
    assert!(all().len() > 400, "{}", all().len());
}

#[test]
fn each_message_is_found_first_in_its_examples() {
    let mut wrong = Vec::new();
    for message in all() {
        assert!(!message.examples.is_empty(), "{}", message.id);
        for example in &message.examples {
            let found = ids(example);
            if found.first() != Some(&message.id) {
                wrong.push(format!("{}: {found:?} in {example}", message.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_message_is_found_in_what_is_like_it() {
    for message in all() {
        for near in &message.near {
            assert!(!ids(near).contains(&message.id), "{} in {near}", message.id);
        }
    }
}

#[test]
fn each_message_has_a_source_and_one_who_writes_it() {
    for message in all() {
        assert!(!message.who.is_empty(), "{}", message.id);
        let source = &message.source;
        assert!(
            source.starts_with("https://") || source.starts_with("measured: "),
            "{}: {source}",
            message.id
        );
        assert!(!message.causes.is_empty(), "{}", message.id);
        let fits: Vec<_> = message.causes.iter().map(|candidate| candidate.fit).collect();
        assert!(fits.is_sorted(), "{}: the best fit comes first", message.id);
        let causes: BTreeSet<_> = message.causes.iter().map(|candidate| candidate.cause).collect();
        assert_eq!(causes.len(), message.causes.len(), "{}: a cause twice", message.id);
        if let Some(party) = &message.party {
            assert!(
                crate::products::find(party).is_some(),
                "{}: `finrace check` knows no {party}",
                message.id
            );
        }
        for covered in &message.covers {
            assert!(all().iter().any(|other| other.id == *covered), "{}: {covered}", message.id);
        }
    }
    for moment in moments() {
        assert!(all().iter().any(|message| message.moment.id == moment.id), "{} is no message's", moment.id);
        assert!(moment.causes.is_sorted_by_key(|candidate| candidate.fit), "{}", moment.id);
    }
}

/// What reports mention is recognised, as a message that fits the cause that the report gives.
#[test]
fn what_reports_mention_is_known_and_leads_back_to_its_cause() {
    for cause in Cause::ALL {
        for (product, line) in usual(*cause) {
            let explanation = explained(&line);
            let message = explanation.messages.first().unwrap_or_else(|| panic!("{product}: {line}"));
            assert!(
                message.causes.iter().any(|candidate| candidate.cause == *cause),
                "{cause}: {product}: {line}"
            );
        }
    }
    let of_race = usual(Cause::CrossedFin);
    let products: Vec<&str> = of_race.keys().map(String::as_str).collect();
    assert_eq!(products, ["aws-alb", "envoy", "go", "haproxy", "java", "nginx", "node", "python"]);
    assert!(usual(Cause::ConnectTimeout)["nginx"].ends_with("while connecting to upstream"));
}

#[test]
fn good_news_is_no_message() {
    for line in [
        "10.0.0.1 - - [29/Nov/2026:08:02:12 +0000] \"GET /orders/502 HTTP/1.1\" 200 5 \"-\" \"curl/8.0\"",
        "10.0.0.7:60654 [29/Nov/2026:08:02:20.137] in out/app1 0/0/0/1/2 200 209 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
        "[2026-11-29T08:02:12.137Z] \"GET / HTTP/1.1\" 200 - via_upstream - \"-\" 0 95 1 0 \"-\" \"curl\" \"0f\" \"a\" \"192.0.2.2:80\"",
        "http 2026-11-29T08:02:12.1Z app/my-lb/50 192.0.2.9:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \"GET http://a/ HTTP/1.1\" \"c\" - -",
        "INFO server listening on port 3000",
        "started worker 104 with 32 threads and 54 connections",
        "The quick brown fox jumps over the lazy dog; EOFs are not in here",
        "CRON daemon, SHIP it, CHIP shop, PRIDE, SDKs and CDNs",
        "UC Berkeley, DC power, UT Austin, NR radio, SI units, LR parser",
        "H13N1, H130, SH, SH-",
        "{\"status\":200,\"duration_ms\":502,\"bytes\":504}",
        "commit 502abc",
        "it took 503 ms",
        "port 504",
        "",
    ] {
        assert_eq!(ids(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn the_wrapping_of_a_line_does_not_matter() {
    let line = "upstream prematurely closed connection while reading response header from upstream";
    for wrapped in [
        format!("\u{1b}[31m2026/11/29 08:02:12 [error]\u{1b}[0m 1#1: *3 {line}, client: 10.0.0.1"),
        format!(
            "{{\"log\":\"2026/11/29 [error] 1#1: *3 {line}, client: \\\"10.0.0.1\\\"\\n\",\"stream\":\"stderr\"}}"
        ),
        format!("2026-11-29T08:02:12.137Z stderr F 2026/11/29 [error] {line}\r"),
        format!("<13>Nov 29 08:02:12 host nginx: 2026/11/29 [error] {line}"),
        format!("> {line}"),
        format!("\u{feff}{line}"),
        line.replace(' ', "  "),
        line.replace(' ', "\u{a0}"),
        line.bytes().flat_map(|byte| [char::from(byte), '\0']).collect::<String>(),
    ] {
        assert_eq!(ids(&wrapped), ["nginx-eof-header"], "{wrapped}");
    }
}

#[test]
fn an_exception_is_told_once_however_many_lines_it_has() {
    let python = r#"Traceback (most recent call last):
  File "/usr/lib/python3/urllib3/connectionpool.py", line 715, in urlopen
    httplib_response = self._make_request(
http.client.RemoteDisconnected: Remote end closed connection without response

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/usr/lib/python3/requests/adapters.py", line 501, in send
    raise ConnectionError(err, request=request)
requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))
"#;
    assert_eq!(ids(python), ["requests-remote-disconnected"]);
    let java = "org.springframework.web.client.ResourceAccessException: I/O error on POST request for \"http://a/\": Connection reset
\tat org.springframework.web.client.RestTemplate.doExecute(RestTemplate.java:785)
Caused by: java.net.SocketException: Connection reset
\tat java.base/sun.nio.ch.NioSocketImpl.implRead(NioSocketImpl.java:328)
\t... 12 more";
    assert_eq!(ids(java), ["java-socket-reset"]);
    let node = "TypeError: fetch failed
    at node:internal/deps/undici/undici:12637:11 {
  [cause]: SocketError: other side closed
      at Socket.onSocketEnd (node:internal/deps/undici/undici:9069:26) {
    code: 'UND_ERR_SOCKET',
    socket: { localAddress: '127.0.0.1' }
  }
}";
    assert_eq!(ids(node), ["undici-other-side"]);
    let twice = explained(&format!("{node}\n{node}"));
    assert_eq!((twice.messages.len(), twice.messages[0].count), (1, 2));
}

#[test]
fn many_lines_are_counted_in_bounded_memory() {
    let mut recogniser = Recogniser::default();
    for number in 0..2_000 {
        recogniser.line(format!("request {number} failed: socket hang up").as_bytes(), false);
        recogniser.line(format!("request {number} went well").as_bytes(), false);
        recogniser.line(format!("widget {number} closed itself").as_bytes(), false);
    }
    let explanation = recogniser.explanation();
    assert_eq!((explanation.lines, explanation.recognised_lines), (6_000, 2_000));
    let [message] = &explanation.messages[..] else { panic!("{:?}", explanation.messages) };
    assert_eq!((message.count, message.first_line), (2_000, 1));
    assert_eq!((explanation.not_recognised.len(), explanation.not_recognised_count), (5, 2_000));
}

#[test]
fn a_long_line_is_shown_around_its_message() {
    let line = format!("{}socket hang up{}", "x ".repeat(5_000), " y".repeat(5_000));
    let [message] = &explained(&line).messages[..] else { panic!("one message") };
    assert!(message.quote.chars().count() <= 242, "{}", message.quote);
    assert!(message.quote.starts_with('…') && message.quote.ends_with('…'));
    assert!(message.quote.contains("socket hang up"));
}
