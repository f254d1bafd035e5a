//! A relay that runs.

use std::{net::SocketAddr, sync::Arc};

use sideband_protocol::sbrp::SessionId;
use tokio::sync::{oneshot, watch};

use super::start::Seeds;
use crate::{
    admin::{Admin, AdminError, DaemonCredentials},
    config::{Config, ConfigError},
    front::Front,
    hub::SessionInfo,
};

/// A relay that runs. Dropping it ends it at once; [`shutdown`](Self::shutdown) closes its
/// connections in order first.
pub struct RunningRelay {
    front: Arc<Front>,
    seeds: Option<Seeds>,
    stop: watch::Sender<bool>,
    end: Option<oneshot::Receiver<()>>,
}

impl RunningRelay {
    pub(super) fn new(
        front: Arc<Front>,
        seeds: Option<Seeds>,
        stop: watch::Sender<bool>,
        end: oneshot::Receiver<()>,
    ) -> Self {
        Self { front, seeds, stop, end: Some(end) }
    }

    /// Where WebSockets go, `ws://…` or `wss://…`.
    pub fn relay_url(&self) -> &str {
        &self.front.relay_url
    }

    /// Where the control plane is, `http://…` or `https://…`.
    pub fn api_url(&self) -> &str {
        &self.front.api_url
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are served besides, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.front.metrics_address
    }

    fn seeds(&self) -> &Seeds {
        self.seeds.as_ref().expect("only a relay without a data directory has somebody from the start")
    }

    /// The id of the daemon that exists from the start.
    ///
    /// # Panics
    ///
    /// When the relay has a data directory: then nobody exists whom [`admin`](Self::admin) did not
    /// add. The same goes for the next three.
    pub fn daemon_id(&self) -> &str {
        &self.seeds().daemon.daemon_id
    }

    /// That daemon's API key.
    ///
    /// # Panics
    ///
    /// See [`daemon_id`](Self::daemon_id).
    pub fn api_key(&self) -> &str {
        &self.seeds().daemon.api_key
    }

    /// The access token of a user who may reach every daemon.
    ///
    /// # Panics
    ///
    /// See [`daemon_id`](Self::daemon_id).
    pub fn access_token(&self) -> &str {
        &self.seeds().access_token
    }

    /// The token for the admin endpoints.
    ///
    /// # Panics
    ///
    /// See [`daemon_id`](Self::daemon_id).
    pub fn admin_token(&self) -> &str {
        &self.seeds().admin_token
    }

    /// The daemons, users and keys of this relay.
    ///
    /// # Panics
    ///
    /// When the control plane is elsewhere, and they with it.
    pub fn admin(&self) -> &Admin {
        &self.front.control.as_ref().expect("a relay apart from its control plane has no database").admin
    }

    /// Registers a daemon; `id` is a random one if `None`. Short for [`Admin::add_daemon`].
    ///
    /// # Errors
    ///
    /// When the id is none, or there is or was one of it.
    ///
    /// # Panics
    ///
    /// See [`admin`](Self::admin).
    pub async fn add_daemon(&self, id: Option<&str>) -> Result<DaemonCredentials, AdminError> {
        self.admin().add_daemon(id, None).await
    }

    /// Cuts a daemon's TCP connection without a close frame, like a network that fails. Whether it
    /// was connected.
    pub async fn disconnect_daemon(&self, id: &str) -> bool {
        self.front.cut_daemon(id).await
    }

    /// Cuts a client's, likewise.
    pub async fn disconnect_client(&self, session: SessionId) -> bool {
        self.front.cut_client(session).await
    }

    /// The sessions of this moment.
    pub async fn sessions(&self) -> Vec<SessionInfo> {
        self.front.sessions().await
    }

    /// Takes over new settings: limits, trusted proxies, and the certificate's files. Returns the
    /// keys of settings that differ and need a new start.
    ///
    /// # Errors
    ///
    /// When the settings do not fit together; then everything stays as it was.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, ConfigError> {
        config.check()?;
        Ok(self.front.reload(config))
    }

    /// Closes every connection with 1012 and waits until they are gone, within the limits.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(end) = self.end.take() {
            // An error means that the thread is gone, which is what is waited for.
            let _ = end.await;
        }
    }
}
