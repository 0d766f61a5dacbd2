//! Lines that people write, and lines that only look like them.

use super::*;
use crate::products::Idle;

const S: i64 = 1_000_000_000;

fn closes(timer: &IdleTimer) -> Option<(i64, usize)> {
    match timer.idle {
        Some(Idle::Closes { after_ns, .. }) => {
            Some((after_ns, timer.place.as_ref().map_or(0, |place| place.line)))
        }
        _ => None,
    }
}

#[test]
fn nginx_is_read_by_block() {
    let text = "# keepalive_timeout 1s;\nhttp {\n  keepalive_timeout 65s 60s; # not 5s\n  log_format x 'keepalive_timeout 2s; {';\n\
                upstream app {\n server 192.0.2.2;\n keepalive 32;\n keepalive_timeout\n 1m30s;\n }\n\
                server { keepalive_timeout 75; }\n}\n";
    let party = read(Kind::Nginx, "nginx.conf", text);
    assert_eq!(closes(&party.downstream), Some((65 * S, 3)));
    assert_eq!(closes(&party.upstream), Some((90 * S, 8)));
    assert!(
        party.warnings.iter().any(|warning| warning.contains("different values")),
        "{:?}",
        party.warnings
    );
    let off = read(Kind::Nginx, "nginx.conf", "http { keepalive_timeout 0; }");
    assert_eq!(off.downstream.idle, Some(Idle::NoKeepAlive));
    let default = read(Kind::Nginx, "nginx.conf", "http { }");
    assert_eq!(closes(&default.upstream), Some((60 * S, 0)));
    assert!(default.upstream.known_from.contains("not set in nginx.conf"));
    let confused = read(Kind::Nginx, "nginx.conf", "keepalive_timeout 65000;");
    assert!(confused.warnings[0].contains("in seconds"), "{:?}", confused.warnings);
}

#[test]
fn haproxy_counts_in_milliseconds() {
    let text = "defaults\n  timeout client 30s # timeout http-keep-alive 1s\n  timeout http-request 10000\n";
    let party = read(Kind::Haproxy, "haproxy.cfg", text);
    assert_eq!(closes(&party.downstream), Some((10 * S, 3)));
    assert_eq!(party.upstream.idle, Some(Idle::Never));
    let party =
        read(Kind::Haproxy, "haproxy.cfg", "frontend f\n timeout http-keep-alive 60\n http-reuse never\n");
    assert!(party.warnings[0].contains("60 s are written 60000"), "{:?}", party.warnings);
    assert_eq!(party.upstream.idle, Some(Idle::NoKeepAlive));
}

#[test]
fn apache_is_read_as_server_and_as_proxy() {
    let text = "#KeepAliveTimeout 1\nKeepAlive On\nkeepalivetimeout 75\n\
                ProxyPass / \\\n  http://192.0.2.2/ ttl=4 keepalive=On\n";
    let party = read(Kind::Apache, "httpd.conf", text);
    assert_eq!(closes(&party.downstream), Some((75 * S, 3)));
    assert_eq!(closes(&party.upstream), Some((4 * S, 4)));
    assert!(party.warnings.iter().any(|warning| warning.contains("probes of TCP")), "{:?}", party.warnings);
    assert_eq!(read(Kind::Apache, "x", "KeepAlive Off").downstream.idle, Some(Idle::NoKeepAlive));
    assert_eq!(read(Kind::Apache, "x", "").upstream.idle, Some(Idle::Never));
    assert_eq!(closes(&read(Kind::Apache, "x", "KeepAliveTimeout 500ms").downstream), Some((S / 2, 1)));
}

#[test]
fn gunicorn_keeps_nothing_alive_without_threads() {
    let party = read(Kind::Gunicorn, "gunicorn.conf.py", "keepalive = 75  # seconds\n");
    assert_eq!(party.downstream.idle, Some(Idle::NoKeepAlive));
    assert!(party.warnings[0].contains("has no effect"), "{:?}", party.warnings);
    let text = "worker_class = 'gthread'\nbind = '#keepalive = 1'\nkeepalive = 75\n";
    assert_eq!(closes(&read(Kind::Gunicorn, "g.py", text).downstream), Some((75 * S, 3)));
    assert_eq!(closes(&read(Kind::Gunicorn, "g.py", "threads = 4\n").downstream), Some((2 * S, 0)));
    let computed = read(Kind::Gunicorn, "g.py", "threads = 4\nkeepalive = int(os.environ['K'])\n");
    assert_eq!(computed.downstream.idle, None);
    assert_eq!(computed.downstream.place.unwrap().line, 2);
}

#[test]
fn envoy_tells_clusters_from_listeners() {
    let text = "static_resources:\n  listeners:\n  - name: in\n    common_http_protocol_options:\n      idle_timeout: 75s\n\
                \x20 clusters:\n  - name: app\n    typed_extension_protocol_options:\n      x:\n        common_http_protocol_options:\n          \
                idle_timeout: 4.5s # not 1s\n    idle_timeout: 1s\n";
    let party = read(Kind::Envoy, "envoy.yaml", text);
    assert_eq!(closes(&party.downstream), Some((75 * S, 5)));
    assert_eq!(closes(&party.upstream), Some((4_500 * S / 1_000, 11)));
    assert_eq!(closes(&read(Kind::Envoy, "envoy.yaml", "").upstream), Some((3_600 * S, 0)));
}

#[test]
fn node_is_read_outside_comments_and_strings() {
    let text = "// server.keepAliveTimeout = 1\n/* keepAliveTimeout: 2,\n */ const s = 'keepAliveTimeout = 3';\n\
                server.keepAliveTimeoutBuffer = 4;\nserver.keepAliveTimeout = 65 * 1_000; // ms\nif (server.keepAliveTimeout == 7) {}\n";
    let party = read(Kind::Node, "app.js", text);
    assert_eq!(closes(&party.downstream), Some((65 * S, 5)));
    assert!(party.warnings.is_empty(), "{:?}", party.warnings);
    let options = read(Kind::Node, "app.js", "http.createServer({ keepAliveTimeout: 75000 }, handler);");
    assert_eq!(closes(&options.downstream), Some((75 * S, 1)));
    let confused = read(Kind::Node, "app.js", "server.keepAliveTimeout = 65;");
    assert!(confused.warnings[0].contains("65 s are written 65000"), "{:?}", confused.warnings);
    let computed = read(Kind::Node, "app.js", "server.keepAliveTimeout = config.idle;");
    assert_eq!(computed.downstream.idle, None);
}

#[test]
fn a_timeout_set_on_an_express_application_has_no_effect() {
    let text = "const app = express();\napp.keepAliveTimeout = 65000;\napp.listen(3000);\n";
    let party = read(Kind::Node, "app.js", text);
    assert_eq!(closes(&party.downstream), Some((5 * S, 0)));
    assert!(party.warnings[0].contains("app.listen() returns"), "{:?}", party.warnings);
}

#[test]
fn files_are_recognised_by_name_and_by_words() {
    for (file, text, kind) in [
        ("/etc/nginx/sites/app", "", Some(Kind::Nginx)),
        ("haproxy.cfg", "", Some(Kind::Haproxy)),
        ("server.ts", "", Some(Kind::Node)),
        ("gunicorn.conf.py", "", Some(Kind::Gunicorn)),
        ("site.conf", "<VirtualHost *:80>\n", Some(Kind::Apache)),
        ("site.conf", "server {\n", Some(Kind::Nginx)),
        ("notes.txt", "hello", None),
    ] {
        assert_eq!(Kind::guess(file, text), kind, "{file}");
    }
}

#[test]
fn nothing_in_a_file_makes_a_parser_fail() {
    for text in [
        "",
        "{",
        "}}};",
        "\\",
        "keepalive_timeout",
        "'",
        "/*",
        "timeout",
        "keepAliveTimeout =",
        "a: {",
        "é#'\"\\",
    ] {
        for kind in [Kind::Nginx, Kind::Haproxy, Kind::Apache, Kind::Gunicorn, Kind::Envoy, Kind::Node] {
            assert_eq!(read(kind, "file", text).name, "file");
        }
    }
}
