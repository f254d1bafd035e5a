//! Where a command takes its settings from.

use std::path::PathBuf;

use clap::Args;
use sideband_relay::{
    Admin, Relay,
    config::{Config, ConfigError, Source, environment, read_file},
};

use super::Failure;

/// The variable that names the configuration file; the other ones are settings.
const CONFIG_VARIABLE: &str = "SIDEBAND_RELAY_CONFIG";

/// But this one: where the relay is, as this repository's programs are told. Whoever tries the relay
/// has it in the shell.
const PROGRAMS_VARIABLE: &str = "SIDEBAND_RELAY_URL";

/// Flags over environment over file. Keys are those of the file.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    pub(crate) config: Option<PathBuf>,

    /// Directory of the database
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,

    /// What to run: all, relay or control
    #[arg(long)]
    pub(crate) role: Option<String>,

    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,

    /// Where WebSockets go, as clients are told
    #[arg(long, value_name = "URL")]
    pub(crate) relay_url: Option<String>,

    /// Where the control plane is, as clients and daemons are told
    #[arg(long, value_name = "URL")]
    pub(crate) api_url: Option<String>,

    /// Certificate chain for TLS (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<String>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<String>,

    /// Serve plain ws:// and http:// on an address that others can reach
    #[arg(long)]
    pub(crate) allow_plain: bool,

    /// Any other setting, as in the file: --set `limits.grace_seconds=30`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Settings {
    /// Whether anything was given that a relay for development does not take.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { config, data_dir, role, listen, relay_url, api_url, tls_certificate, tls_key, allow_plain, set } =
            self;
        config.is_none()
            && set.is_empty()
            && !allow_plain
            && [data_dir, role, listen, relay_url, api_url, tls_certificate, tls_key].iter().all(|flag| flag.is_none())
    }

    fn sources(&self) -> Result<Vec<Source>, ConfigError> {
        let mut sources = Vec::new();
        if let Some(path) = &self.config {
            sources.push(read_file(path)?);
        }
        let variables = std::env::vars_os();
        let variables = variables.filter(|(name, _)| name != CONFIG_VARIABLE && name != PROGRAMS_VARIABLE);
        sources.push(environment(variables)?);
        let mut flags = Source::flags([
            ("data_dir", self.data_dir.clone()),
            ("role", self.role.clone()),
            ("listen", self.listen.clone()),
            ("relay_url", self.relay_url.clone()),
            ("api_url", self.api_url.clone()),
            ("tls.certificate", self.tls_certificate.clone()),
            ("tls.key", self.tls_key.clone()),
        ])?;
        if self.allow_plain {
            flags.set_pair("allow_plain=true")?;
        }
        for pair in &self.set {
            flags.set_pair(pair)?;
        }
        sources.push(flags);
        Ok(sources)
    }

    /// All settings, checked.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        Config::from_sources(&self.sources()?)
    }

    /// `sideband-relay check-config`.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let config = self.load().map_err(Failure::unusable)?;
        Relay::builder().config(config).check().map_err(Failure::unusable)?;
        println!("The configuration is good.");
        Ok(())
    }

    /// The data directory's daemons, users and keys.
    pub(crate) fn admin(&self) -> Result<Admin, Failure> {
        let sources = self.sources().map_err(Failure::unusable)?;
        let data_dir = Config::data_dir_of(&sources).map_err(Failure::unusable)?;
        Admin::open(&data_dir).map_err(Failure::unusable)
    }
}
