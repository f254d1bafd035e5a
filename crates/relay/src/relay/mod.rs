//! Starting a relay and holding on to it.

mod running;
mod start;

use std::{io, net::SocketAddr, time::Duration};

pub use running::RunningRelay;

use crate::{
    config::{Config, ConfigError},
    front::{Tls, TlsError},
    limits::Limits,
    remote::read_authorities,
    store::{StoreError, check_directory},
    token::Jwks,
};

/// A relay and control plane. See [`Relay::builder`].
#[derive(Debug)]
pub struct Relay(());

impl Relay {
    /// What to start. Without further word it is what [`RelayBuilder::dev`] makes it.
    pub fn builder() -> RelayBuilder {
        RelayBuilder { config: Config::dev(), trusted: Jwks::default() }
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// A thread or its event loop could not be made.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another relay runs on the data directory.
    #[error("{0}: another relay is running on this data directory")]
    DataDirInUse(String),
}

/// Settings of a relay that is about to start.
#[derive(Clone, Debug)]
pub struct RelayBuilder {
    config: Config,
    trusted: Jwks,
}

impl RelayBuilder {
    /// For development and tests: nothing is stored, one daemon and one user exist from the start,
    /// and one thread serves all connections, without limits per second.
    #[must_use]
    pub fn dev(mut self) -> Self {
        self.config = Config::dev();
        self
    }

    /// All settings at once.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where to listen; the default is any free port of 127.0.0.1.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// The limits; see [`Limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// How long a client waits for its daemon's return.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.limits.grace = grace;
        self
    }

    /// Keys that are trusted besides the relay's own: what they sign in this relay's name, somewhere
    /// else, is as good.
    #[must_use]
    pub fn trust_keys(mut self, keys: Jwks) -> Self {
        self.trusted = keys;
        self
    }

    /// How many threads serve connections; the default in production is one per processor.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.config.threads = Some(shards);
        self
    }

    /// What can be said of a start without one: whether the settings fit together, and whether the
    /// files that they name can be used. Nothing is made, opened for writing or listened on.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong; [`start`](Self::start) fails with the same.
    pub fn check(&self) -> Result<(), StartError> {
        let Config { tls, ca_file, data_dir, .. } = &self.config;
        self.config.check()?;
        tls.clone().map(Tls::load).transpose()?;
        ca_file.as_deref().map(read_authorities).transpose()?;
        data_dir.as_deref().map(check_directory).transpose()?;
        Ok(())
    }

    /// Starts the relay on threads of its own. It runs until [`RunningRelay::shutdown`], or until
    /// the returned value is dropped.
    ///
    /// # Errors
    ///
    /// When the settings do not fit, the address is taken, the data directory cannot be used or is
    /// in use, or the system has no threads left.
    pub async fn start(self) -> Result<RunningRelay, StartError> {
        self.check()?;
        start::start(self).await
    }
}
