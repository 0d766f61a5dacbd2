//! Lines that people write, and lines that only look like them.

use super::*;
use crate::products::Idle;

const S: i64 = 1_000_000_000;

/// The one party of a file, of a kind that was said.
fn read(kind: Kind, file: &str, text: &str) -> Party {
    let said = Said { kind: Some(kind), version: None };
    let mut parts = super::read(file, text, said).unwrap();
    assert_eq!(parts.len(), 1, "{text}");
    parts.remove(0).party
}

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
        party.warnings.iter().any(|warning| warning.contains("with different values")),
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
    assert_eq!(party.upstream.idle, Some(Idle::Never), "the connection of each client is kept all the same");
    let closing = "defaults\n mode http\n option http-server-close\nbackend a\n no option http-server-close\nbackend b\n";
    assert_eq!(read(Kind::Haproxy, "haproxy.cfg", closing).upstream.idle, Some(Idle::Never));
    let closing = "defaults\n mode http\n option http-server-close\nbackend a\nbackend b\n";
    assert_eq!(read(Kind::Haproxy, "haproxy.cfg", closing).upstream.idle, Some(Idle::NoKeepAlive));
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
    let party = read(Kind::Python, "gunicorn.conf.py", "keepalive = 75  # seconds\n");
    assert_eq!(party.downstream.idle, Some(Idle::NoKeepAlive));
    assert!(party.warnings[0].contains("has no effect"), "{:?}", party.warnings);
    let text = "worker_class = 'gthread'\nbind = '#keepalive = 1'\nkeepalive = 75\n";
    assert_eq!(closes(&read(Kind::Python, "g.py", text).downstream), Some((75 * S, 3)));
    assert_eq!(closes(&read(Kind::Python, "g.py", "threads = 4\n").downstream), Some((2 * S, 0)));
    let computed = read(Kind::Python, "g.py", "threads = 4\nkeepalive = int(os.environ['K'])\n");
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
fn files_are_recognised_by_what_is_in_them() {
    for (text, kind) in [
        ("server {\n listen 80;\n}\n", Some(Kind::Nginx)),
        ("upstream a { server 192.0.2.1; }", Some(Kind::Nginx)),
        ("frontend f\n  bind :80\n  default_backend b\n", Some(Kind::Haproxy)),
        ("<VirtualHost *:80>\nServerName a.example\n</VirtualHost>\n", Some(Kind::Apache)),
        ("const app = express();\napp.listen(80);\n", Some(Kind::Node)),
        ("bind = '0.0.0.0:80'\nworkers = 3\n", Some(Kind::Python)),
        ("import uvicorn\nuvicorn.run(app, timeout_keep_alive=5)\n", Some(Kind::Python)),
        ("keep_alive_timeout = 5\nbind = [\"0:80\"]\n", Some(Kind::Python)),
        ("static_resources:\n  clusters: []\n", Some(Kind::Envoy)),
        ("{\"static_resources\": {\"clusters\": []}}", Some(Kind::Envoy)),
        ("entryPoints:\n  web:\n    address: ':80'\n", Some(Kind::Traefik)),
        ("[entryPoints.web]\naddress = ':80'\n", Some(Kind::Traefik)),
        ("example.org {\n  reverse_proxy localhost:80\n}\n", Some(Kind::Caddy)),
        ("spring:\n  application:\n    name: a\n", Some(Kind::Spring)),
        ("server.port=80\n", Some(Kind::Spring)),
        ("quarkus.http.port=80\n", Some(Kind::Spring)),
        ("<Server><Service><Connector port='80'/></Service></Server>", Some(Kind::Tomcat)),
        ("threads 1, 5\nport 3000\n", Some(Kind::Puma)),
        ("[uwsgi]\nhttp = :80\n", Some(Kind::Uwsgi)),
        ("apiVersion: v1\nkind: ConfigMap\n", Some(Kind::Kubernetes)),
        ("resource \"aws_lb\" \"a\" {\n  idle_timeout = 60\n}\n", Some(Kind::Terraform)),
        ("FROM python:3\nCMD gunicorn app\n", Some(Kind::Commands)),
        ("web: gunicorn app:app --keep-alive 5\n", Some(Kind::Commands)),
        ("[Service]\nExecStart=/usr/bin/uvicorn app:app\n", Some(Kind::Commands)),
        ("services:\n  web:\n    image: a\n", Some(Kind::Commands)),
        // Nothing of these is known, whatever the file is called.
        ("hello", None),
        ("", None),
        ("name: ci\non: push\njobs:\n  a:\n    runs-on: x\n", None),
        ("openapi: 3.0.0\npaths: {}\n", None),
        ("[package]\nname = 'a'\n", None),
        ("<html><body>server</body></html>", None),
        ("{\"name\": \"a\", \"dependencies\": {}}", None),
        ("int main(void) {\n  return 0;\n}\n", None),
        ("key=value\nother=1\n", None),
        ("def server():\n    return 1\n", None),
        ("# A heading\n\nSome words about nginx: it is a proxy.\n", None),
        ("global:\n  scrape_interval: 15s\nscrape_configs: []\n", None),
    ] {
        assert_eq!(Kind::recognise(text), kind, "{text}");
    }
}

#[test]
fn includes_are_followed_and_loops_detected() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    write("nginx.conf", "http {\n include mime.types;\n include conf.d/*.conf;\n}\n");
    write("conf.d/a.conf", "keepalive_timeout\n 4s;\n");
    let of = |name: &str| {
        let file = folder.path().join(name);
        super::read(&file.to_string_lossy(), &text_of(&file).unwrap(), Said::default())
    };
    let parts = of("nginx.conf").unwrap();
    assert_eq!(closes(&parts[0].party.downstream), Some((4 * S, 1)));
    assert!(parts[0].party.downstream.place.as_ref().unwrap().file.ends_with("conf.d/a.conf"));
    write("loop.conf", "http { include b.conf; }\n");
    write("b.conf", "include loop.conf;\n");
    assert!(of("loop.conf").unwrap_err().contains("includes itself"));
    write("httpd.conf", "ServerName a\nInclude httpd.conf\n");
    assert!(of("httpd.conf").unwrap_err().contains("includes itself"));
    // What is not there may set anything.
    write("gone.conf", "http { include missing.conf; server { } }\n");
    assert_eq!(of("gone.conf").unwrap()[0].party.downstream.idle, None);
}

#[test]
fn what_is_broken_is_told_and_never_judged() {
    for (text, answer) in [
        ("http {\n server {\n listen 80;\n}\n", "a } is missing"),
        ("http { keepalive_timeout 5s }\n", "a ; or a quote is missing"),
        ("http { keepalive_timeout 5s; keepalive_timeout 6s; }", "a second time"),
        ("}\nserver {\n}\n", "without its {"),
        ("<Server><Connector></Server>", "not to be read as XML"),
        ("apiVersion: v1\nkind: Service\n", "nothing in it"),
    ] {
        let error = super::read("file", text, Said::default()).unwrap_err();
        assert!(error.contains(answer), "{text}: {error}");
    }
    let error = super::read("a.yml", "a: [\n", Said::default()).unwrap_err();
    assert!(error.contains("not to be read as YAML"), "{error}");
}

#[test]
fn nothing_in_a_file_makes_a_parser_panic() {
    const KINDS: [Kind; 15] = [
        Kind::Nginx,
        Kind::Haproxy,
        Kind::Apache,
        Kind::Python,
        Kind::Envoy,
        Kind::Node,
        Kind::Traefik,
        Kind::Caddy,
        Kind::Spring,
        Kind::Tomcat,
        Kind::Puma,
        Kind::Uwsgi,
        Kind::Kubernetes,
        Kind::Terraform,
        Kind::Commands,
    ];
    let odd = [
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
        "${",
        "- - -",
        "a: *b",
        "<<: 1",
        "FROM x\nCMD",
        "FROM x\nCMD []",
        "[Service]\nExecStart=",
        "web:",
        "include",
        "resource \"aws_lb\" {",
        "new http.Agent(",
        "const keepAliveTimeout = keepAliveTimeout;\nkeepAliveTimeout: keepAliveTimeout",
        "services:\n  a: 1",
        "kind: Ingress\napiVersion: v1\nmetadata: []",
        "proxypass",
        "<proxy",
        "keepalive é",
    ];
    for text in odd {
        let _ = Kind::recognise(text);
        for kind in KINDS {
            if let Ok(parts) = super::read("file", text, Said { kind: Some(kind), version: None }) {
                assert!(parts.iter().all(|part| part.party.name.starts_with("file")));
            }
        }
    }
    let deep = "{".repeat(100_000);
    let _ = Kind::recognise(&deep);
    let _ = Kind::recognise(&format!("resource \"aws_lb\" \"a\" {{ a = {} }}", "[".repeat(50_000)));
    let _ = Kind::recognise(&"<a>".repeat(100_000));
}
