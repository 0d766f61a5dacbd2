//! Whose configuration a file is.

use super::files::Files;
use super::tree::Tree;
use super::{
    Reading, apache, caddy, command, envoy, haproxy, kubernetes, nginx, node, puma, python, spring,
    terraform, tomcat, traefik, uwsgi,
};
use crate::products::Product;

/// What is understood, for a sentence.
pub const KNOWN: &str = "nginx, HAProxy, Apache httpd, Envoy, Traefik, Caddy, Spring Boot and Quarkus (YAML or properties), \
Tomcat (server.xml), Puma, Gunicorn, Uvicorn, Hypercorn, uWSGI, source files of Node.js (Express, Fastify, Koa, Nest), Istio \
DestinationRule, Kubernetes Ingress and ingress-nginx ConfigMap, Terraform (aws_lb), and Dockerfile, Procfile, compose file, \
Kubernetes manifest or systemd unit that starts one of them";

/// A release: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let mut numbers = text.split('.').map(str::parse::<u32>);
        let mut next = |needed: bool| match numbers.next() {
            Some(Ok(number)) => Ok(number),
            None if !needed => Ok(0),
            _ => Err(format!("`{text}` is no release: write numbers with points, as in 1.24.0")),
        };
        Ok(Version(next(true)?, next(false)?, next(false)?))
    }
}

/// The kinds of files that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named like what it configures")]
pub enum Kind {
    Nginx,
    Haproxy,
    Apache,
    Python,
    Envoy,
    Node,
    Traefik,
    Caddy,
    Spring,
    Tomcat,
    Puma,
    Uwsgi,
    Kubernetes,
    Terraform,
    /// A file of commands: Dockerfile, Procfile, compose file, systemd unit.
    Commands,
}

/// A kind and what tells it.
type Recogniser<T> = (Kind, fn(&T) -> bool);

impl Kind {
    /// The kind of a product's files.
    pub fn of_product(product: &Product) -> Option<Kind> {
        match product.id.as_str() {
            "nginx" | "nginx-packaged" | "nginx-old" => Some(Kind::Nginx),
            "haproxy" => Some(Kind::Haproxy),
            "apache-httpd" | "apache-mod-proxy" => Some(Kind::Apache),
            "gunicorn" | "gunicorn-sync" | "uvicorn" | "hypercorn" => Some(Kind::Python),
            "envoy" => Some(Kind::Envoy),
            "traefik" => Some(Kind::Traefik),
            "caddy" => Some(Kind::Caddy),
            "tomcat" => Some(Kind::Tomcat),
            "tomcat-embedded" | "quarkus" => Some(Kind::Spring),
            "puma" | "puma-6" => Some(Kind::Puma),
            "uwsgi-http" => Some(Kind::Uwsgi),
            "istio" | "ingress-nginx" => Some(Kind::Kubernetes),
            "node-http" | "express" | "fastify" | "koa" | "hapi" | "nestjs" | "node-agent"
            | "node-global-agent" => Some(Kind::Node),
            _ => None,
        }
    }

    /// The kind that a text is by what is in it; none where it is of no kind known here.
    pub fn recognise(text: &str) -> Option<Kind> {
        if text.trim_start().starts_with('<') && tomcat::looks_like(text) {
            return Some(Kind::Tomcat);
        }
        // Kinds whose words cannot be YAML go first: much can be read as YAML that is none.
        let lines: [Recogniser<str>; 10] = [
            (Kind::Uwsgi, uwsgi::looks_like),
            (Kind::Haproxy, haproxy::looks_like),
            (Kind::Nginx, nginx::looks_like),
            (Kind::Apache, apache::looks_like),
            (Kind::Terraform, terraform::looks_like),
            (Kind::Caddy, caddy::looks_like),
            (Kind::Python, python::looks_like),
            (Kind::Puma, puma::looks_like),
            (Kind::Node, node::looks_like),
            (Kind::Commands, command::looks_like),
        ];
        if let Some((kind, _)) = lines.iter().find(|(_, looks_like)| looks_like(text)) {
            return Some(*kind);
        }
        let trees: [Recogniser<Tree>; 5] = [
            (Kind::Kubernetes, kubernetes::looks_like),
            (Kind::Commands, command::is_compose),
            (Kind::Envoy, envoy::looks_like),
            (Kind::Traefik, traefik::looks_like),
            (Kind::Spring, spring::looks_like),
        ];
        let documents = Tree::yaml(text).unwrap_or_default();
        let toml = Tree::toml(text).ok().map(std::rc::Rc::new);
        let of_tree = documents
            .iter()
            .chain(&toml)
            .find_map(|tree| trees.iter().find(|(_, looks_like)| looks_like(tree)).map(|(kind, _)| *kind));
        of_tree.or_else(|| spring::is_properties(text).then_some(Kind::Spring)).or_else(|| {
            let hypercorn = |tree: &std::rc::Rc<Tree>| tree.has("keep_alive_timeout");
            toml.as_ref().is_some_and(hypercorn).then_some(Kind::Python)
        })
    }

    /// What a file of this kind says of each party in it.
    pub(super) fn read(self, files: &mut Files) -> Result<Vec<Reading>, String> {
        let text = files.text(&files.main()).to_owned();
        let one = |reading: Reading| Ok(vec![reading]);
        match self {
            Kind::Nginx => nginx::read(files).map(|reading| vec![reading]),
            Kind::Apache => apache::read(files).map(|reading| vec![reading]),
            Kind::Haproxy => one(haproxy::read(&text)),
            Kind::Python => one(python::read(&text)),
            Kind::Envoy => one(envoy::read(&text)?),
            Kind::Node => one(node::read(&text)),
            Kind::Traefik => one(traefik::read(&text)?),
            Kind::Caddy => one(caddy::read(&text)?),
            Kind::Spring => one(spring::read(&text)?),
            Kind::Tomcat => one(tomcat::read(&text)?),
            Kind::Puma => one(puma::read(&text)),
            Kind::Uwsgi => one(uwsgi::read(&text)),
            Kind::Kubernetes => kubernetes::read(&text),
            Kind::Terraform => terraform::read(&text),
            Kind::Commands => command::read(&text),
        }
    }
}

/// What is wrong with a text that was most likely meant to be nginx's, XML, TOML or YAML.
pub(super) fn complaint(file: &str, text: &str) -> Option<String> {
    let begins = |words: &[&str]| {
        text.lines().any(|line| words.iter().any(|word| line.trim_start().starts_with(word)))
    };
    if begins(&["http {", "server {", "upstream ", "location "]) {
        return nginx::complaint(text);
    }
    if text.trim_start().starts_with('<') {
        return tomcat::complaint(text);
    }
    match file.rsplit_once('.')?.1 {
        "yml" | "yaml" | "json" => {
            Tree::yaml(text).err().map(|error| format!("not to be read as YAML: {error}"))
        }
        "toml" => Tree::toml(text).err().map(|error| format!("not to be read as TOML: {error}")),
        _ => None,
    }
}
