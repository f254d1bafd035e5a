//! What a relay is told: from a file, the environment and flags, checked before anything starts.
//!
//! A key that nobody knows, a value that makes no sense and settings that contradict each other stop
//! the start. Nothing here falls back to something more open.

mod keys;
mod parts;
mod source;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use reqwest::Url;

use keys::Keys;
pub use parts::{ControlConfig, LogFormat, LogLevel, OidcConfig, Role, SharedSecret, TlsFiles};
pub use source::{Source, environment, read_file};

use crate::limits::Limits;

/// What the environment variables begin with.
pub const ENV_PREFIX: &str = "SIDEBAND_RELAY_";

/// Least characters of a shared secret.
const MIN_SECRET: usize = 32;

/// What stands for every origin.
const ANY_ORIGIN: &str = "*";

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

/// A relay's settings, complete and consistent.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the process does.
    pub role: Role,
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
    /// Origins (`https://app.example.com`) whose pages may ask for sessions and keys from a browser;
    /// `*` alone is every one.
    pub cors_origins: Vec<String>,
    /// Where `/healthz`, `/readyz` and `/metrics` are served besides, to whoever can reach it.
    pub metrics_listen: Option<SocketAddr>,
    /// `/metrics` on the main address does not ask for the admin token.
    pub open_metrics: bool,
    /// Somebody else whose access tokens are good.
    pub oidc: Option<OidcConfig>,
    /// The control plane, for a relay that runs apart from it.
    pub control: Option<ControlConfig>,
    /// What the two know each other by.
    pub shared_secret: Option<SharedSecret>,
    /// Certificates to trust besides the system's, when others are asked (PEM).
    pub ca_file: Option<PathBuf>,
    /// All limits.
    pub limits: Limits,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which there are.
    pub log_level: LogLevel,
}

impl Config {
    /// Settings for development and tests: in memory, any free port of 127.0.0.1, one thread, no
    /// limits per second.
    pub fn dev() -> Self {
        Self {
            role: Role::All,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: None,
            relay_url: None,
            api_url: None,
            region: None,
            threads: Some(1),
            allow_plain: false,
            tls: None,
            trusted_proxies: Vec::new(),
            cors_origins: vec![ANY_ORIGIN.to_owned()],
            metrics_listen: None,
            open_metrics: true,
            oidc: None,
            control: None,
            shared_secret: None,
            ca_file: None,
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
        let config = Keys::gather(sources)?.into_config()?;
        if config.role != Role::Relay && config.data_dir.is_none() {
            return Err(ConfigError::whole("data_dir is missing"));
        }
        config.check()?;
        Ok(config)
    }

    /// The data directory alone, for commands that need nothing else.
    ///
    /// # Errors
    ///
    /// When there is none, or a source is faulty.
    pub fn data_dir_of(sources: &[Source]) -> Result<PathBuf, ConfigError> {
        Keys::gather(sources)?.data_dir().ok_or_else(|| ConfigError::whole("data_dir is missing"))
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
        check_origins(&self.cors_origins)?;
        if self.listen.ip().is_unspecified() && self.relay_url.is_none() {
            let message = format!("relay_url is missing: nobody can connect to {}", self.listen.ip());
            return Err(ConfigError::whole(message));
        }
        if let Some(metrics) = self.metrics_listen
            && overlap(self.listen, metrics)
        {
            let message = format!("metrics_listen = {metrics} and listen = {} are one address", self.listen);
            return Err(ConfigError::whole(message));
        }
        if self.region.as_ref().is_some_and(|region| region.trim().is_empty()) {
            return Err(ConfigError::whole("region is empty; leave it out where there are none"));
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
        self.check_role()
    }

    fn check_role(&self) -> Result<(), ConfigError> {
        let need = |there: bool, what: &str| {
            there.then_some(()).ok_or_else(|| ConfigError::whole(format!("{what} is missing for this role")))
        };
        let refuse = |there: bool, what: &str| {
            (!there).then_some(()).ok_or_else(|| ConfigError::whole(format!("{what} makes no sense for this role")))
        };
        match self.role {
            Role::All => {
                refuse(self.control.is_some(), "control")?;
                refuse(self.shared_secret.is_some(), "shared_secret")?;
            }
            Role::Relay => {
                need(self.control.is_some(), "control.url")?;
                refuse(self.data_dir.is_some(), "data_dir")?;
                refuse(self.oidc.is_some(), "oidc")?;
            }
            Role::Control => {
                need(self.relay_url.is_some(), "relay_url")?;
                need(self.api_url.is_some(), "api_url")?;
                need(self.shared_secret.is_some(), "shared_secret")?;
                refuse(self.control.is_some(), "control")?;
            }
        }
        let short = self.shared_secret.as_ref().is_some_and(|it| it.expose().chars().count() < MIN_SECRET);
        if short {
            let message = format!("shared_secret has less than {MIN_SECRET} characters");
            return Err(ConfigError::whole(message));
        }
        if let Some(control) = &self.control {
            self.check_asked("control.url", &control.url)?;
            self.check_asked("control.jwks_url", &control.jwks_url())?;
        }
        if let Some(oidc) = &self.oidc {
            self.check_asked("oidc.jwks_url", &oidc.jwks_url)?;
        }
        Ok(())
    }

    /// Keys that come over a plain connection are anybody's.
    fn check_asked(&self, key: &str, url: &Url) -> Result<(), ConfigError> {
        if has_credentials(url) {
            return Err(credentials_in(key));
        }
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match url.scheme() {
            "https" => Ok(()),
            "http" if loopback || self.allow_plain => Ok(()),
            _ => Err(ConfigError::whole(format!("{key} = {url} is not https://"))),
        }
    }

    /// Which settings of `new` a running relay cannot take over; the others it can.
    pub(crate) fn fixed_differences(&self, new: &Self) -> Vec<&'static str> {
        let pairs = [
            ("role", self.role == new.role),
            ("listen", self.listen == new.listen),
            ("data_dir", self.data_dir == new.data_dir),
            ("relay_url", self.relay_url == new.relay_url),
            ("api_url", self.api_url == new.api_url),
            ("region", self.region == new.region),
            ("threads", self.threads == new.threads),
            ("allow_plain", self.allow_plain == new.allow_plain),
            ("tls", self.tls == new.tls),
            ("cors_origins", self.cors_origins == new.cors_origins),
            ("metrics_listen", self.metrics_listen == new.metrics_listen),
            ("open_metrics", self.open_metrics == new.open_metrics),
            ("oidc", self.oidc == new.oidc),
            ("control", self.control == new.control),
            ("shared_secret", self.shared_secret == new.shared_secret),
            ("ca_file", self.ca_file == new.ca_file),
            ("log", (self.log_format, self.log_level) == (new.log_format, new.log_level)),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }

    /// Where WebSockets go and where the control plane is, for a relay that listens there.
    pub(crate) fn urls(&self, address: SocketAddr) -> (String, String) {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let relay = self.relay_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
        let relay = relay.trim_end_matches('/').to_owned();
        let control = self.control.as_ref().map(|control| control.url.to_string());
        // ws:// belongs to http://, and wss:// to https://.
        let api = self.api_url.clone().or(control).unwrap_or_else(|| relay.replacen("ws", "http", 1));
        (relay, api.trim_end_matches('/').to_owned())
    }
}

fn check_url(key: &str, url: Option<&str>, schemes: [&str; 2]) -> Result<(), ConfigError> {
    let Some(url) = url else {
        return Ok(());
    };
    let known = schemes.iter().any(|scheme| url.starts_with(scheme));
    match Url::parse(url) {
        Ok(parsed) if has_credentials(&parsed) => Err(credentials_in(key)),
        Ok(parsed) if known && parsed.has_host() && parsed.query().is_none() && parsed.fragment().is_none() => Ok(()),
        _ => {
            let [plain, secure] = schemes;
            let shown = parts::harmless(url, " = ");
            Err(ConfigError::whole(format!("{key}{shown} is not a URL that begins with {plain} or {secure}")))
        }
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// URLs are told to others and written in logs. The message must not repeat what is refused.
fn credentials_in(key: &str) -> ConfigError {
    ConfigError::whole(format!("{key} has a user or a password in it (before the @); leave them out"))
}

/// Whether nobody can listen on both: one port, and one address or all of its kind.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (first, second) = (one.ip(), other.ip());
    let all = first.is_unspecified() || second.is_unspecified();
    one.port() != 0 && one.port() == other.port() && (first == second || (all && first.is_ipv4() == second.is_ipv4()))
}

fn check_origins(origins: &[String]) -> Result<(), ConfigError> {
    let fault = |what| Err(ConfigError::whole(format!("cors_origins: {what}")));
    if origins.len() > 1 && origins.iter().any(|origin| origin == ANY_ORIGIN) {
        return fault("\"*\" is every origin; leave it or the others out".to_owned());
    }
    match origins.iter().find(|origin| *origin != ANY_ORIGIN && !is_origin(origin)) {
        Some(bad) => fault(format!("{bad:?} is not an origin as browsers write it (\"https://app.example.com\")")),
        None => Ok(()),
    }
}

/// Whether a browser may send this text: it is compared with what one sends, letter by letter.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    // No page comes from a WebSocket, and none from all hosts at once.
    let of_pages = !matches!(url.scheme(), "ws" | "wss") && !text.contains('*');
    of_pages && url.host_str().is_some_and(|host| format!("{}://{host}{port}", url.scheme()) == text)
}
