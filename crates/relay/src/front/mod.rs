//! Where connections come in: accepting, HTTP, and letting each WebSocket through to its shard.

mod accept;
mod address;
mod admission;
mod changes;
mod cors;
mod health;
mod held;
mod http;
pub(crate) mod io;
mod tls;
mod upgrade;

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sideband_protocol::sbrp::SessionId;
use tokio::sync::oneshot;

pub(crate) use accept::{serve, serve_operations};
pub(crate) use address::TrustedProxies;
pub(crate) use admission::{Admission, Places};
pub(crate) use changes::{Changes, watch as watch_changes};
pub(crate) use cors::Origins;
pub use tls::TlsError;
pub(crate) use tls::{Tls, watch as watch_tls};

use crate::{
    authority::Authority,
    config::Config,
    control::{ApiError, ControlPlane},
    hub::{Command, Registry, SessionInfo, ShardHandle},
    limits::Limits,
    metrics::Metrics,
    shared::Shared,
    store::digest,
    token::Verifier,
};

/// What every request may need.
pub(crate) struct Front {
    /// As it was at the start.
    pub(crate) config: Config,
    /// Where the operations' own address is, if there is one.
    pub(crate) metrics_address: Option<SocketAddr>,
    pub(crate) relay_url: String,
    pub(crate) api_url: String,
    /// The control plane, if this process is one.
    pub(crate) control: Option<Arc<ControlPlane>>,
    /// Whose tokens open WebSockets.
    pub(crate) authority: Authority,
    pub(crate) verifier: Verifier,
    /// Whether WebSockets are served here.
    pub(crate) serves_websockets: bool,
    /// What a relay and a control plane that run apart know each other by.
    pub(crate) shared_secret: Option<SecretDigest>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Shared<Limits>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) proxies: Shared<TrustedProxies>,
    /// Whose pages may call what pages call.
    pub(crate) origins: Origins,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Whether `/metrics` asks for the admin token.
    pub(crate) open_metrics: bool,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) hasher: RandomState,
    pub(crate) draining: AtomicBool,
}

/// A secret's digest: comparing digests tells nothing about the secret by its timing.
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(crate) fn new(secret: &str) -> Self {
        Self(digest(secret))
    }

    pub(crate) fn matches(&self, secret: &str) -> bool {
        digest(secret) == self.0
    }
}

impl Front {
    /// The control plane, where there is one.
    pub(crate) fn control(&self) -> Result<&Arc<ControlPlane>, ApiError> {
        self.control.as_ref().ok_or_else(|| ApiError::not_found("the control plane is elsewhere"))
    }

    /// The shard of a daemon and all its clients.
    fn shard(&self, daemon: &str) -> &ShardHandle {
        let shards = self.shards.len() as u64;
        let index = usize::try_from(self.hasher.hash_one(daemon) % shards);
        &self.shards[index.expect("less than the number of shards")]
    }

    /// Takes over what of `new` can be taken over while running: limits, trusted proxies, and what
    /// is in the certificate's files. Returns the keys of the other settings that differ.
    pub(crate) fn reload(&self, new: Config) -> Vec<&'static str> {
        if let Some(tls) = &self.tls {
            tls.reload();
        }
        let differences = self.config.fixed_differences(&new);
        self.proxies.set(TrustedProxies::new(new.trusted_proxies));
        self.set_limits(new.limits);
        differences
    }

    /// Takes new limits, for what connects and is decided from now on.
    fn set_limits(&self, limits: Limits) {
        self.admission.set_limits(&limits);
        self.limits.set(limits);
        for shard in &self.shards {
            shard.send(Command::Limits(self.limits.get()));
        }
    }

    /// Cuts a daemon's connection without a close frame. Whether there was one.
    pub(crate) async fn cut_daemon(&self, id: &str) -> bool {
        let (reply, answer) = oneshot::channel();
        self.shard(id).send(Command::CutDaemon(id.into(), reply));
        answer.await.unwrap_or(false)
    }

    /// Cuts a client's.
    pub(crate) async fn cut_client(&self, session: SessionId) -> bool {
        let mut any = false;
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::CutClient(session, reply));
            any |= answer.await.unwrap_or(false);
        }
        any
    }

    /// All sessions of the moment.
    pub(crate) async fn sessions(&self) -> Vec<SessionInfo> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Sessions(reply));
            all.extend(answer.await.unwrap_or_default());
        }
        all
    }

    /// Lets nobody in any more, closes every WebSocket with 1012 and waits until they are gone.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Drain(reply));
            answers.push(answer);
        }
        for answer in answers {
            // A shard that has ended has nothing left to drain.
            let _ = answer.await;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
