//! Proxies and servers that come with finrace, each in a file of its own: a scenario, or the command line, names them.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Backend, Expect, Hold, Packet, Party, Program, Proxy, Scenario, ScenarioError, SendWhen, ToyBackend,
    ToyProxy, Traffic, Wire, duration, format_duration, parse,
};

/// The name of finrace's own proxy or server, with its defaults.
pub const TOY: &str = "toy";

/// Bytes of a POST's body, where nobody says how many.
const BODY_BYTES: usize = 64;

const PROXIES: [(&str, &str); 9] = [
    ("aws-alb", include_str!("../../../scenarios/proxies/aws-alb.toml")),
    ("nginx", include_str!("../../../scenarios/proxies/nginx.toml")),
    ("haproxy", include_str!("../../../scenarios/proxies/haproxy.toml")),
    ("haproxy-safe", include_str!("../../../scenarios/proxies/haproxy-safe.toml")),
    ("apache", include_str!("../../../scenarios/proxies/apache.toml")),
    ("caddy", include_str!("../../../scenarios/proxies/caddy.toml")),
    ("varnish", include_str!("../../../scenarios/proxies/varnish.toml")),
    ("envoy", include_str!("../../../scenarios/proxies/envoy.toml")),
    ("traefik", include_str!("../../../scenarios/proxies/traefik.toml")),
];

const BACKENDS: [(&str, &str); 12] = [
    ("express", include_str!("../../../scenarios/backends/express.toml")),
    ("gunicorn", include_str!("../../../scenarios/backends/gunicorn.toml")),
    ("gunicorn-sync", include_str!("../../../scenarios/backends/gunicorn-sync.toml")),
    ("uwsgi-http", include_str!("../../../scenarios/backends/uwsgi-http.toml")),
    ("uwsgi-http11", include_str!("../../../scenarios/backends/uwsgi-http11.toml")),
    ("uvicorn", include_str!("../../../scenarios/backends/uvicorn.toml")),
    ("apache", include_str!("../../../scenarios/backends/apache.toml")),
    ("nginx", include_str!("../../../scenarios/backends/nginx.toml")),
    ("caddy", include_str!("../../../scenarios/backends/caddy.toml")),
    ("puma", include_str!("../../../scenarios/backends/puma.toml")),
    ("tomcat", include_str!("../../../scenarios/backends/tomcat.toml")),
    ("go", include_str!("../../../scenarios/backends/go.toml")),
];

/// Applications that keep a connection to a database, and databases: `use` takes them, and as they do not speak HTTP to each
/// other they stand in no pair of proxy and server.
const POOLS: [(&str, &str); 3] = [
    ("mysql-pool", include_str!("../../../scenarios/pools/mysql.toml")),
    ("postgresql-pool", include_str!("../../../scenarios/pools/postgresql.toml")),
    ("redis-pool", include_str!("../../../scenarios/pools/redis.toml")),
];

const DATABASES: [(&str, &str); 3] = [
    ("mariadb", include_str!("../../../scenarios/databases/mariadb.toml")),
    ("postgresql", include_str!("../../../scenarios/databases/postgresql.toml")),
    ("redis", include_str!("../../../scenarios/databases/redis.toml")),
];

/// The names that `use`, `--proxy` and `--backend` take for what speaks HTTP, except for the toys'.
pub fn names(party: Party) -> impl Iterator<Item = &'static str> {
    shelf(party).iter().map(|(name, _)| *name)
}

/// The file of a proxy or server, comments included.
///
/// # Errors
/// [`ScenarioError::UnknownProgram`], with the names there are.
pub fn text(party: Party, name: &str) -> Result<&'static str, ScenarioError> {
    let others = match party {
        Party::Proxy => &POOLS,
        Party::Backend => &DATABASES,
    };
    shelf(party).iter().chain(others).find(|(known, _)| *known == name).map(|(_, text)| *text).ok_or_else(
        || ScenarioError::UnknownProgram {
            party: party.token(),
            name: name.into(),
            known: names(party).chain([TOY]).collect(),
        },
    )
}

fn shelf(party: Party) -> &'static [(&'static str, &'static str)] {
    match party {
        Party::Proxy => &PROXIES,
        Party::Backend => &BACKENDS,
    }
}

impl Proxy {
    /// The proxy of this name.
    ///
    /// # Errors
    /// [`ScenarioError::UnknownProgram`].
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        if name == TOY {
            return Ok(Proxy::default());
        }
        let text = text(Party::Proxy, name)?;
        if text.contains("\ncommand = ") {
            read::<Program>(text, name).map(Into::into)
        } else {
            read::<ToyProxy>(text, name).map(Into::into)
        }
    }
}

impl Backend {
    /// The server of this name.
    ///
    /// # Errors
    /// [`ScenarioError::UnknownProgram`].
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        if name == TOY {
            return Ok(Backend::Toy(ToyBackend::default()));
        }
        read::<Program>(text(Party::Backend, name)?, name).map(Into::into)
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T, ScenarioError> {
    toml::from_str(text).map_err(|error| parse::text_error(&error, text, name))
}

impl Scenario {
    /// The experiment that asks of a proxy and a server whether a request can be lost between them: the backend's FIN is
    /// held until the proxy has sent a request. It expects what everybody hopes for, that none is.
    ///
    /// # Errors
    /// [`ScenarioError::UnknownProgram`].
    pub fn pair(proxy: &str, backend: &str) -> Result<Self, ScenarioError> {
        let (name, proxy, backend) =
            (format!("{proxy}-{backend}"), Proxy::named(proxy)?, Backend::named(backend)?);
        let summary = format!("{} in front of {}: can a request be lost?", proxy.name(), backend.name());
        let explain =
            "The wire holds the backend's FIN until the proxy's next request has passed, so what may happen \
                       once in a hundred thousand requests happens at once, if it can happen at all.\n"
                .to_owned();
        let hold = Hold {
            from: Party::Backend,
            packet: Packet::Fin,
            until: Packet::Request,
            at_most: Duration::from_secs(2),
        };
        Ok(Scenario {
            name,
            summary,
            explain,
            proxy,
            backend,
            wire: Wire { hold: vec![hold], ..Wire::default() },
            traffic: Traffic {
                method: "POST".into(),
                path: "/orders".into(),
                body_bytes: BODY_BYTES,
                send_when: SendWhen::FinOnWire,
                ..Traffic::default()
            },
            expect: Expect::nothing_lost(),
        })
    }
}

/// `use = "nginx"` and what a scenario changes in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Used {
    r#use: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default, with = "duration::optional")]
    set_idle_timeout: Option<Duration>,
    #[serde(default, with = "duration::optional")]
    default_idle_timeout: Option<Duration>,
    #[serde(default)]
    settings: Vec<String>,
}

impl Used {
    fn change(self, party: Party, program: &mut Program) -> Result<(), String> {
        if let Some(idle) = self.set_idle_timeout {
            let unreachable =
                || format!("set_idle_timeout cannot reach {}: it has no such setting", program.name);
            program.idle_directive.is_some().then_some(()).ok_or_else(unreachable)?;
            program.set_idle(party, idle)?;
        }
        program.port = self.port.unwrap_or(program.port);
        program.default_idle_timeout = self.default_idle_timeout.or(program.default_idle_timeout);
        program.settings.extend(self.settings);
        Ok(())
    }

    fn refuse_for_toy(&self) -> Result<(), String> {
        if self.settings.is_empty() && self.default_idle_timeout.is_none() {
            return Ok(());
        }
        Err(format!(
            "`{}` is no real program: only port and set_idle_timeout can be changed in it",
            self.r#use
        ))
    }
}

/// A proxy taken from the library.
#[derive(Deserialize)]
#[serde(try_from = "Used")]
pub(super) struct UsedProxy(Proxy);

/// A server taken from the library.
#[derive(Deserialize)]
#[serde(try_from = "Used")]
pub(super) struct UsedBackend(Backend);

impl TryFrom<Used> for UsedProxy {
    type Error = String;

    fn try_from(used: Used) -> Result<Self, String> {
        let mut proxy = Proxy::named(&used.r#use).map_err(|error| error.to_string())?;
        match &mut proxy {
            Proxy::Program(program) => used.change(Party::Proxy, program)?,
            Proxy::Toy(toy) => {
                used.refuse_for_toy()?;
                toy.port = used.port.unwrap_or(toy.port);
                toy.idle_timeout = used.set_idle_timeout.unwrap_or(toy.idle_timeout);
            }
        }
        Ok(Self(proxy))
    }
}

impl TryFrom<Used> for UsedBackend {
    type Error = String;

    fn try_from(used: Used) -> Result<Self, String> {
        let mut backend = Backend::named(&used.r#use).map_err(|error| error.to_string())?;
        match &mut backend {
            Backend::Program(program) => used.change(Party::Backend, program)?,
            Backend::Toy(toy) => {
                used.refuse_for_toy()?;
                toy.port = used.port.unwrap_or(toy.port);
                toy.idle_timeout = used.set_idle_timeout.unwrap_or(toy.idle_timeout);
            }
        }
        Ok(Self(backend))
    }
}

impl From<UsedProxy> for Proxy {
    fn from(used: UsedProxy) -> Self {
        used.0
    }
}

impl From<UsedBackend> for Backend {
    fn from(used: UsedBackend) -> Self {
        used.0
    }
}

/// One line about a proxy or server, for a list.
///
/// # Errors
/// [`ScenarioError::UnknownProgram`].
pub fn summary(party: Party, name: &str) -> Result<String, ScenarioError> {
    let (title, idle) = match party {
        Party::Proxy => {
            let proxy = Proxy::named(name)?;
            (proxy.name().to_owned(), proxy.idle_timeout())
        }
        Party::Backend => {
            let backend = Backend::named(name)?;
            (backend.name().to_owned(), backend.idle_timeout())
        }
    };
    let idle = match idle {
        Some(idle) => format!("keeps idle connections for {}", format_duration(idle)),
        None if name.ends_with("-sync") => "keeps no connection".to_owned(),
        None => "keeps idle connections until told otherwise".to_owned(),
    };
    Ok(format!("{title}; {idle}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a small scenario with these tables.
    fn complaint(tables: &str) -> String {
        let text = format!("name = 'a'\nsummary = 'b'\n{tables}\n[expect]\ncause = 'none'\nstatus = 200\n");
        Scenario::parse(&text, "my.toml").expect_err(tables).to_string()
    }

    #[test]
    fn every_pair_is_a_scenario_that_can_be_run() {
        for proxy in names(Party::Proxy).chain([TOY]) {
            for backend in names(Party::Backend).chain([TOY]) {
                let pair = Scenario::pair(proxy, backend).unwrap();
                pair.validate().unwrap();
                assert_eq!(Scenario::parse(&pair.to_toml(), "written").unwrap(), pair, "{}", pair.name);
            }
        }
    }

    #[test]
    fn every_program_says_its_version_and_what_it_needs() {
        let programs = names(Party::Backend)
            .chain(DATABASES.map(|(name, _)| name))
            .map(|name| Backend::named(name).unwrap())
            .filter_map(|backend| match backend {
                Backend::Program(program) => Some(program),
                Backend::Toy(_) => None,
            })
            .chain(names(Party::Proxy).chain(POOLS.map(|(name, _)| name)).filter_map(|name| {
                match Proxy::named(name).unwrap() {
                    Proxy::Program(program) => Some(program),
                    Proxy::Toy(_) => None,
                }
            }));
        for program in programs {
            assert!(!program.version.is_empty() && program.needs.is_some(), "{}", program.name);
        }
    }

    #[test]
    fn an_idle_timer_that_can_be_set_appears_in_a_file_or_in_the_environment() {
        for name in names(Party::Backend).chain(DATABASES.map(|(name, _)| name)) {
            let Backend::Program(program) = Backend::named(name).unwrap() else { continue };
            let places = program.files.values().chain(program.env.values());
            let carried = places.filter(|text| text.contains("{idle_directive}")).count();
            assert_eq!(carried, usize::from(program.idle_directive.is_some()), "{name}");
        }
    }

    #[test]
    fn a_scenario_takes_a_program_by_its_name_and_changes_it() {
        let text = "name = 'a'\nsummary = 'b'\n[proxy]\nuse = 'aws-alb'\nset_idle_timeout = '3s'\n[backend]\nuse = \
                    'gunicorn'\nport = 9000\nset_idle_timeout = '65s'\nsettings = ['backlog = 64']\n[[wire.hold]]\n\
                    from = 'backend'\npacket = 'fin'\nuntil = 'request'\n[expect]\ncause = 'none'\nstatus = 200\n";
        let scenario = Scenario::parse(text, "my.toml").unwrap();
        assert_eq!(scenario.proxy.idle_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(scenario.backend.idle_timeout(), Some(Duration::from_secs(65)));
        assert_eq!(scenario.backend.port(), 9000);
        let Backend::Program(gunicorn) = &scenario.backend else { panic!("a real program") };
        assert_eq!(gunicorn.settings, ["backlog = 64"]);
        assert_eq!(Scenario::parse(&scenario.to_toml(), "written").unwrap(), scenario);
    }

    #[test]
    fn a_wrong_use_is_answered_with_what_there_is() {
        let complaints = [
            complaint("[proxy]\nuse = 'ngnix'"),
            complaint("[backend]\nuse = 'expres'"),
            complaint("[backend]\nuse = 'express'\nkeep_alive = '5s'"),
            complaint("[backend]\nuse = 'gunicorn-sync'\nset_idle_timeout = '5s'"),
            complaint("[proxy]\nuse = 'aws-alb'\nsettings = ['x']"),
        ];
        insta::assert_snapshot!(complaints.join("\n"), @r#"
        my.toml:3: no proxy is called `ngnix`; there are aws-alb, nginx, haproxy, haproxy-safe, apache, caddy, varnish, envoy, traefik, toy; or spell out its command in a scenario; in `[proxy]`
        my.toml:3: no backend is called `expres`; there are express, gunicorn, gunicorn-sync, uwsgi-http, uwsgi-http11, uvicorn, apache, nginx, caddy, puma, tomcat, go, toy; or spell out its command in a scenario; in `[backend]`
        my.toml:5: unknown key `keep_alive`, expected one of `use`, `port`, `set_idle_timeout`, `default_idle_timeout`, `settings`; in `keep_alive = '5s'`
        my.toml:3: set_idle_timeout cannot reach Gunicorn, sync: it has no such setting; in `[backend]`
        my.toml:3: `aws-alb` is no real program: only port and set_idle_timeout can be changed in it; in `[proxy]`
        "#);
    }

    #[test]
    fn the_list_says_what_each_is_and_how_long_it_waits() {
        let lines =
            [(Party::Proxy, "aws-alb"), (Party::Backend, "express"), (Party::Backend, "gunicorn-sync")]
                .map(|(party, name)| summary(party, name).unwrap());
        insta::assert_snapshot!(lines.join("\n"), @r#"
        toy aws-alb; keeps idle connections for 1min
        Express on Node; keeps idle connections for 5s
        Gunicorn, sync; keeps no connection
        "#);
    }
}
