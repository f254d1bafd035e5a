//! What a relay is told: from a file, the environment and flags, checked before anything starts.
//!
//! A key that nobody knows, a value that makes no sense and settings that contradict each other stop
//! the start. Nothing here falls back to something more open.

mod source;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use ipnet::IpNet;
use serde::Deserialize;

pub use source::{Source, environment, read_file};

use crate::limits::Limits;

/// What the environment variables begin with.
pub const ENV_PREFIX: &str = "SIDEBAND_RELAY_";

/// The port of a relay that is not told another.
const DEFAULT_PORT: u16 = 8787;

/// A setting that cannot be used: what, where, and why, in one line.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
#[error("{where_from}: {what}")]
pub struct ConfigError {
    /// The file, the variable, or the flags.
    where_from: String,
    /// What is wrong with it.
    what: String,
}

impl ConfigError {
    pub(crate) fn new(where_from: impl Into<String>, what: impl Into<String>) -> Self {
        Self { where_from: where_from.into(), what: what.into() }
    }

    /// A fault of the settings together.
    fn whole(what: impl Into<String>) -> Self {
        Self::new("configuration", what)
    }
}

/// How log lines look.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// From which level on lines are logged.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happens: connections, revocations, reloads.
    #[default]
    Info,
    /// Why single requests failed.
    Debug,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Eq, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The server's certificate first, then those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A relay's settings, complete and consistent.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the database is; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Where WebSockets go, as clients are told; `None` derives it from the address.
    pub relay_url: Option<String>,
    /// Where the control plane is, as told; `None` derives it likewise.
    pub api_url: Option<String>,
    /// The region in this relay's tokens.
    pub region: Option<String>,
    /// Threads that serve connections; `None` takes one per processor.
    pub threads: Option<usize>,
    /// Plain `ws://` and `http://` on addresses that others can reach.
    pub allow_plain: bool,
    /// TLS; `None` serves plain.
    pub tls: Option<TlsFiles>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served besides, to whoever can reach it.
    pub metrics_listen: Option<SocketAddr>,
    /// `/metrics` on the main address does not ask for the admin token.
    pub open_metrics: bool,
    /// All limits.
    pub limits: Limits,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which there are.
    pub log_level: LogLevel,
}

/// The keys as they are written. Every field is optional, because each source has only some.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    listen: Option<String>,
    data_dir: Option<PathBuf>,
    relay_url: Option<String>,
    api_url: Option<String>,
    region: Option<String>,
    threads: Option<usize>,
    allow_plain: Option<bool>,
    tls: Option<TlsFiles>,
    trusted_proxies: Option<Vec<IpNet>>,
    metrics_listen: Option<SocketAddr>,
    open_metrics: Option<bool>,
    #[serde(default)]
    log: LogKeys,
    #[serde(default)]
    limits: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogKeys {
    format: Option<LogFormat>,
    level: Option<LogLevel>,
}

impl Config {
    /// Settings for development and tests: in memory, any free port of 127.0.0.1, one thread, no
    /// limits per second.
    pub fn dev() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: None,
            relay_url: None,
            api_url: None,
            region: None,
            threads: Some(1),
            allow_plain: false,
            tls: None,
            trusted_proxies: Vec::new(),
            metrics_listen: None,
            open_metrics: true,
            limits: Limits::default().without_rates(),
            log_format: LogFormat::default(),
            log_level: LogLevel::Warn,
        }
    }

    /// Settings for an embedded relay with a data directory, otherwise like a server's.
    pub fn with_data_dir(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: Some(data_dir.into()),
            limits: Limits::default(),
            threads: None,
            open_metrics: false,
            log_level: LogLevel::default(),
            ..Self::dev()
        }
    }

    /// Puts sources together, the later ones over the earlier ones, and checks the whole.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and where.
    pub fn from_sources(sources: &[Source]) -> Result<Self, ConfigError> {
        let mut keys = Keys::default();
        let mut limits = Limits::default();
        for source in sources {
            let own: Keys = source.read()?;
            for (key, number) in &own.limits {
                let set = limits.set(key, *number);
                set.map_err(|error| ConfigError::new(source.name(), format!("limits: {error}")))?;
            }
            keys = own.over(keys);
        }
        let config = Self {
            listen: address(keys.listen.as_deref())?,
            data_dir: Some(keys.data_dir.ok_or_else(|| ConfigError::whole("data_dir is missing"))?),
            relay_url: keys.relay_url,
            api_url: keys.api_url,
            region: keys.region,
            threads: keys.threads,
            allow_plain: keys.allow_plain.unwrap_or(false),
            tls: keys.tls,
            trusted_proxies: keys.trusted_proxies.unwrap_or_default(),
            metrics_listen: keys.metrics_listen,
            open_metrics: keys.open_metrics.unwrap_or(false),
            limits,
            log_format: keys.log.format.unwrap_or_default(),
            log_level: keys.log.level.unwrap_or_default(),
        };
        config.check()?;
        Ok(config)
    }

    /// The data directory alone, for commands that need nothing else.
    ///
    /// # Errors
    ///
    /// When there is none, or a source is faulty.
    pub fn data_dir_of(sources: &[Source]) -> Result<PathBuf, ConfigError> {
        let mut data_dir = None;
        for source in sources {
            data_dir = source.read::<Keys>()?.data_dir.or(data_dir);
        }
        data_dir.ok_or_else(|| ConfigError::whole("data_dir is missing"))
    }

    /// Whether the settings fit together.
    ///
    /// # Errors
    ///
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.threads == Some(0) {
            return Err(ConfigError::whole("threads must be at least 1"));
        }
        check_url("relay_url", self.relay_url.as_deref(), ["ws://", "wss://"])?;
        check_url("api_url", self.api_url.as_deref(), ["http://", "https://"])?;
        if self.listen.ip().is_unspecified() && self.relay_url.is_none() {
            let message = format!("relay_url is missing: nobody can connect to {}", self.listen.ip());
            return Err(ConfigError::whole(message));
        }
        if self.tls.is_some() && self.allow_plain {
            return Err(ConfigError::whole("tls and allow_plain contradict each other"));
        }
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.allow_plain {
            return Err(ConfigError::whole(format!(
                "plain ws:// on {} can be read by everybody in between; set tls, or allow_plain if a proxy in front has TLS",
                self.listen
            )));
        }
        Ok(())
    }

    /// Which settings of `new` a running relay cannot take over; the others it can.
    pub(crate) fn fixed_differences(&self, new: &Self) -> Vec<&'static str> {
        let pairs = [
            ("listen", self.listen == new.listen),
            ("data_dir", self.data_dir == new.data_dir),
            ("relay_url", self.relay_url == new.relay_url),
            ("api_url", self.api_url == new.api_url),
            ("region", self.region == new.region),
            ("threads", self.threads == new.threads),
            ("tls", self.tls == new.tls),
            ("metrics_listen", self.metrics_listen == new.metrics_listen),
            ("open_metrics", self.open_metrics == new.open_metrics),
            ("log", (self.log_format, self.log_level) == (new.log_format, new.log_level)),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }

    /// Where WebSockets go and where the control plane is, for a relay that listens there.
    pub(crate) fn urls(&self, address: SocketAddr) -> (String, String) {
        let relay = self.relay_url.clone().unwrap_or_else(|| {
            let scheme = if self.tls.is_some() { "wss" } else { "ws" };
            format!("{scheme}://{address}")
        });
        let relay = relay.trim_end_matches('/').to_owned();
        // ws:// belongs to http://, and wss:// to https://.
        let api = self.api_url.clone().unwrap_or_else(|| relay.replacen("ws", "http", 1));
        (relay, api.trim_end_matches('/').to_owned())
    }
}

impl Keys {
    /// These, and for what they leave out, `below`.
    fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            data_dir: self.data_dir.or(below.data_dir),
            relay_url: self.relay_url.or(below.relay_url),
            api_url: self.api_url.or(below.api_url),
            region: self.region.or(below.region),
            threads: self.threads.or(below.threads),
            allow_plain: self.allow_plain.or(below.allow_plain),
            tls: self.tls.or(below.tls),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            metrics_listen: self.metrics_listen.or(below.metrics_listen),
            open_metrics: self.open_metrics.or(below.open_metrics),
            log: LogKeys { format: self.log.format.or(below.log.format), level: self.log.level.or(below.log.level) },
            // Taken over one by one, each with its source's name in the message.
            limits: BTreeMap::new(),
        }
    }
}

fn address(listen: Option<&str>) -> Result<SocketAddr, ConfigError> {
    let Some(listen) = listen else {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
    };
    SocketAddr::from_str(listen)
        .map_err(|_| ConfigError::whole(format!("listen = {listen:?} is not an IP address and a port")))
}

fn check_url(key: &str, url: Option<&str>, schemes: [&str; 2]) -> Result<(), ConfigError> {
    let Some(url) = url else {
        return Ok(());
    };
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority {
        Some(authority) if !authority.is_empty() && !url.contains(['?', '#', ' ']) => Ok(()),
        _ => {
            let [plain, secure] = schemes;
            Err(ConfigError::whole(format!("{key} = {url:?} is not a URL that begins with {plain} or {secure}")))
        }
    }
}
