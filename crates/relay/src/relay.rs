//! Starting a relay and holding on to it.

use std::{io, net::SocketAddr, sync::Arc, thread, time::Duration};

use sideband_protocol::sbrp::SessionId;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use zeroize::Zeroizing;

use crate::{
    control::{Issuer, unix_time},
    front::{self, AdminToken, Front},
    hub::{self, Registry, SessionInfo},
    limits::Limits,
    random,
    store::{AddDaemon, Store, StoreError},
    token::{Jwks, Verifier, VerifyingKeys},
};

/// A relay and control plane. See [`Relay::builder`].
#[derive(Debug)]
pub struct Relay(());

impl Relay {
    /// What to start.
    pub fn builder() -> RelayBuilder {
        RelayBuilder {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            limits: Limits::default(),
            shards: None,
            trusted: Jwks::default(),
        }
    }
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
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
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Settings of a relay that is about to start.
#[derive(Clone, Debug)]
pub struct RelayBuilder {
    bind: SocketAddr,
    limits: Limits,
    shards: Option<usize>,
    trusted: Jwks,
}

/// Who the relay was started for in development: one daemon, and a user who may reach every one.
struct Seeds {
    daemon_id: String,
    api_key: Zeroizing<String>,
    access_token: Zeroizing<String>,
    admin_token: Zeroizing<String>,
}

/// A daemon made by [`RunningRelay::add_daemon`].
#[derive(Clone, Eq, PartialEq)]
pub struct DaemonCredentials {
    /// Its id.
    pub daemon_id: String,
    /// Its API key. Shown only here.
    pub api_key: String,
}

impl RelayBuilder {
    /// For development and tests: nothing is stored, one daemon and one user exist from the start,
    /// and one thread serves all connections.
    #[must_use]
    pub fn dev(mut self) -> Self {
        self.shards = Some(1);
        self
    }

    /// Where to listen; the default is any free port of 127.0.0.1.
    #[must_use]
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.bind = address;
        self
    }

    /// The limits; see [`Limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a client waits for its daemon's return.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = grace;
        self
    }

    /// Keys that are trusted besides the relay's own: what they sign in this relay's name, somewhere
    /// else, is as good.
    #[must_use]
    pub fn trust_keys(mut self, keys: Jwks) -> Self {
        self.trusted = keys;
        self
    }

    /// How many threads serve connections; the default is one per processor.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards.max(1));
        self
    }

    /// Starts the relay on threads of its own. It runs until [`RunningRelay::shutdown`], or until
    /// the returned value is dropped.
    ///
    /// # Errors
    ///
    /// When the address is taken or the system has no threads left.
    pub async fn start(self) -> Result<RunningRelay, StartError> {
        let (report, started) = oneshot::channel();
        let (stop, stopping) = watch::channel(false);
        let (ended, end) = oneshot::channel();
        let thread = thread::Builder::new().name("sideband-front".to_owned());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(self.run(report, stopping)),
                Err(error) => {
                    let _ = report.send(Err(StartError::Thread(error)));
                }
            }
            let _ = ended.send(());
        };
        thread.spawn(run).map_err(StartError::Thread)?;
        let no_report = |_| StartError::Thread(io::Error::other("the thread ended"));
        let (front, seeds) = started.await.map_err(no_report)??;
        Ok(RunningRelay { front, seeds, stop, end: Some(end) })
    }

    /// The whole life of the front's thread.
    async fn run(
        self,
        report: oneshot::Sender<Result<(Arc<Front>, Seeds), StartError>>,
        stopping: watch::Receiver<bool>,
    ) {
        let (front, listener) = match self.set_up().await {
            Ok((front, listener, seeds)) => {
                // Whoever starts a relay and does not wait for it wants it gone.
                if report.send(Ok((Arc::clone(&front), seeds))).is_err() {
                    return;
                }
                (front, listener)
            }
            Err(error) => {
                let _ = report.send(Err(error));
                return;
            }
        };
        let mut stopping_now = stopping.clone();
        front::serve(Arc::clone(&front), listener, stopping).await;
        // Closed means dropped: then nobody waits for the drain, and the shards end with it.
        if stopping_now.wait_for(|stop| *stop).await.is_ok() {
            let time = front.limits.drain_time + front.limits.close_time;
            let _ = tokio::time::timeout(time, front.drain()).await;
        }
    }

    async fn set_up(self) -> Result<(Arc<Front>, TcpListener, Seeds), StartError> {
        let listener = TcpListener::bind(self.bind).await;
        let bind_error = |error| StartError::Bind { address: self.bind, error };
        let listener = listener.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let store = Store::in_memory()?;
        let seeds = seed(&store).await?;
        let registry = Arc::new(Registry::default());
        let limits = Arc::new(self.limits);
        let shards = self.shards.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        let shards = (0..shards).map(|number| {
            let name = format!("sideband-shard-{number}");
            hub::start(name, Arc::clone(&limits))
        });
        let shards = shards.collect::<io::Result<_>>().map_err(StartError::Thread)?;
        let api_url = format!("http://{address}");
        let front = Front {
            relay_url: format!("ws://{address}"),
            issuer: Issuer::new(api_url.clone(), None, &VerifyingKeys::from(&self.trusted), &store).await?,
            verifier: Verifier { issuer: api_url.clone(), region: None },
            api_url,
            store,
            registry,
            limits,
            admin_token: AdminToken::new(&seeds.admin_token),
            shards,
            hasher: std::hash::RandomState::new(),
        };
        Ok((Arc::new(front), listener, seeds))
    }
}

async fn seed(store: &Store) -> Result<Seeds, StoreError> {
    let now = unix_time();
    let added = store.add_daemon(random::daemon_id(), None, now).await?;
    let AddDaemon::Added(daemon) = added else {
        return Err(StoreError::Broken("a new database is not empty".to_owned()));
    };
    let user = store.add_user(vec!["*".to_owned()], now).await?;
    Ok(Seeds {
        daemon_id: daemon.id,
        api_key: daemon.api_key,
        access_token: user.access_token,
        admin_token: random::admin_token(),
    })
}

/// A relay that runs. Dropping it ends it at once; [`shutdown`](Self::shutdown) closes its
/// connections in order first.
pub struct RunningRelay {
    front: Arc<Front>,
    seeds: Seeds,
    stop: watch::Sender<bool>,
    end: Option<oneshot::Receiver<()>>,
}

impl RunningRelay {
    /// Where WebSockets go, `ws://…`.
    pub fn relay_url(&self) -> &str {
        &self.front.relay_url
    }

    /// Where the control plane is, `http://…`.
    pub fn api_url(&self) -> &str {
        &self.front.api_url
    }

    /// The id of the daemon that exists from the start.
    pub fn daemon_id(&self) -> &str {
        &self.seeds.daemon_id
    }

    /// That daemon's API key.
    pub fn api_key(&self) -> &str {
        &self.seeds.api_key
    }

    /// The access token of a user who may reach every daemon.
    pub fn access_token(&self) -> &str {
        &self.seeds.access_token
    }

    /// The token for the admin endpoints.
    pub fn admin_token(&self) -> &str {
        &self.seeds.admin_token
    }

    /// Registers a daemon; `id` is a random one if `None`.
    ///
    /// # Errors
    ///
    /// When there is or was one of that id.
    pub async fn add_daemon(&self, id: Option<&str>) -> Result<DaemonCredentials, StoreError> {
        let id = id.map_or_else(random::daemon_id, str::to_owned);
        match self.front.store.add_daemon(id, None, unix_time()).await? {
            AddDaemon::Added(new) => Ok(DaemonCredentials { daemon_id: new.id, api_key: new.api_key.to_string() }),
            AddDaemon::Exists => Err(StoreError::Unavailable("there is or was a daemon of that id".to_owned())),
        }
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

    /// Closes every connection with 1012 and waits until they are gone, within the limits.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(end) = self.end.take() {
            // An error means that the thread is gone, which is what is waited for.
            let _ = end.await;
        }
    }
}
