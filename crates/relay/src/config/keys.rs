//! The settings as they are written, before they are put together.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use ipnet::IpNet;
use serde::Deserialize;

use super::{
    ANY_ORIGIN, Config, ConfigError, ControlConfig, LogFormat, LogLevel, OidcConfig, Role, SharedSecret, Source,
    TlsFiles,
};
use crate::limits::Limits;

/// The port of a relay that is not told another.
const DEFAULT_PORT: u16 = 8787;

/// Every key there is. Each is optional, because each source has only some.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    role: Option<Role>,
    listen: Option<String>,
    data_dir: Option<PathBuf>,
    relay_url: Option<String>,
    api_url: Option<String>,
    region: Option<String>,
    threads: Option<usize>,
    allow_plain: Option<bool>,
    tls: Option<TlsFiles>,
    trusted_proxies: Option<Vec<Network>>,
    cors_origins: Option<Vec<String>>,
    metrics_listen: Option<SocketAddr>,
    open_metrics: Option<bool>,
    oidc: Option<OidcConfig>,
    control: Option<ControlConfig>,
    shared_secret: Option<SharedSecret>,
    shared_secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
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

/// A network, `192.0.2.0/24`, or an address, which is a network of one.
#[derive(Copy, Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let network = text.parse().or_else(|_| address());
        network.map(Self).map_err(|_| format!("{text:?} is no IP address and no network (192.0.2.0/24)"))
    }
}

impl Keys {
    /// Puts sources together, the later ones over the earlier ones. Each is read by itself first, so
    /// that a fault is found in its place.
    pub(super) fn gather(sources: &[Source]) -> Result<Self, ConfigError> {
        let mut all = Source::empty();
        for source in sources {
            let own: Self = source.read_part()?;
            for (key, number) in &own.limits {
                let set = Limits::default().set(key, *number);
                set.map_err(|error| ConfigError::new(source.name(), format!("limits: {error}")))?;
            }
            all.merge(source);
        }
        all.read()
    }

    pub(super) fn data_dir(self) -> Option<PathBuf> {
        self.data_dir
    }

    pub(super) fn into_config(self) -> Result<Config, ConfigError> {
        let mut limits = Limits::default();
        for (key, number) in &self.limits {
            limits.set(key, *number).map_err(|error| ConfigError::whole(format!("limits: {error}")))?;
        }
        let shared_secret = match (self.shared_secret, &self.shared_secret_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::whole("shared_secret and shared_secret_file contradict each other"));
            }
            (None, Some(path)) => Some(read_secret(path)?),
            (secret, None) => secret,
        };
        Ok(Config {
            role: self.role.unwrap_or_default(),
            listen: address(self.listen.as_deref())?,
            data_dir: self.data_dir,
            relay_url: self.relay_url,
            api_url: self.api_url,
            region: self.region,
            threads: self.threads,
            allow_plain: self.allow_plain.unwrap_or(false),
            tls: self.tls,
            trusted_proxies: self.trusted_proxies.into_iter().flatten().map(|it| it.0).collect(),
            cors_origins: self.cors_origins.unwrap_or_else(|| vec![ANY_ORIGIN.to_owned()]),
            metrics_listen: self.metrics_listen,
            open_metrics: self.open_metrics.unwrap_or(false),
            oidc: self.oidc,
            control: self.control,
            shared_secret,
            ca_file: self.ca_file,
            limits,
            log_format: self.log.format.unwrap_or_default(),
            log_level: self.log.level.unwrap_or_default(),
        })
    }
}

fn read_secret(path: &Path) -> Result<SharedSecret, ConfigError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| ConfigError::new(path.display().to_string(), error.to_string()))?;
    Ok(SharedSecret::new(&zeroize::Zeroizing::new(text)))
}

fn address(listen: Option<&str>) -> Result<SocketAddr, ConfigError> {
    let Some(listen) = listen else {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
    };
    SocketAddr::from_str(listen)
        .map_err(|_| ConfigError::whole(format!("listen = {listen:?} is not an IP address and a port")))
}
