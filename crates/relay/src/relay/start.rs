//! From settings to a relay that runs.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use reqwest::Url;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{oneshot, watch},
    task::JoinSet,
};

use super::{RelayBuilder, RunningRelay, StartError};
use crate::{
    admin::{Admin, AdminError, DaemonCredentials},
    authority::Authority,
    config::{Config, ConfigError, Role},
    control::{ControlPlane, Issuer, Oidc, Presence},
    front::{self, Admission, Changes, Front, Origins, SecretDigest, Tls, TrustedProxies},
    hub::{self, Registry},
    metrics::Metrics,
    remote::{Fetch, RemoteControl, RemoteRelay, watch_control},
    shared::Shared,
    store::{Store, StoreError, open_private, prepare_directory},
    token::{Jwks, Verifier, VerifyingKeys},
};

/// Who exists from the start where nothing is stored: one daemon, and a user who may reach every
/// one.
pub(super) struct Seeds {
    pub(super) daemon: DaemonCredentials,
    pub(super) access_token: String,
    pub(super) admin_token: String,
}

/// Held for as long as the relay runs, so that no second one serves the same daemons.
pub(super) struct DataDirLock(#[allow(dead_code, reason = "it is locked while it is open")] File);

/// What a start leaves behind.
struct Started {
    front: Arc<Front>,
    listener: TcpListener,
    operations: Option<TcpListener>,
    seeds: Option<Seeds>,
    lock: Option<DataDirLock>,
}

pub(super) async fn start(builder: RelayBuilder) -> Result<RunningRelay, StartError> {
    let (report, started) = oneshot::channel();
    let (stop, stopping) = watch::channel(false);
    let (ended, end) = oneshot::channel();
    let thread = thread::Builder::new().name("sideband-front".to_owned());
    let run = move || {
        match runtime(&builder.config) {
            Ok(runtime) => runtime.block_on(run(builder, report, stopping)),
            Err(error) => {
                let _ = report.send(Err(StartError::Thread(error)));
            }
        }
        let _ = ended.send(());
    };
    thread.spawn(run).map_err(StartError::Thread)?;
    let no_report = |_| StartError::Thread(io::Error::other("the thread ended"));
    let (front, seeds) = started.await.map_err(no_report)??;
    Ok(RunningRelay::new(front, seeds, stop, end))
}

fn threads(config: &Config) -> usize {
    let processors = || thread::available_parallelism().map_or(1, Into::into);
    config.threads.unwrap_or_else(processors)
}

/// What accepts, shakes hands and answers HTTP. Established WebSockets are not served here, so that
/// a storm of handshakes does not get between two frames.
fn runtime(config: &Config) -> io::Result<Runtime> {
    match threads(config) {
        1 => Builder::new_current_thread().enable_all().build(),
        threads => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name("sideband-front").enable_all().build()
        }
    }
}

type Report = oneshot::Sender<Result<(Arc<Front>, Option<Seeds>), StartError>>;

/// The whole life of the front.
async fn run(builder: RelayBuilder, report: Report, mut stopping: watch::Receiver<bool>) {
    let Started { front, listener, operations, seeds, lock } = match set_up(builder).await {
        Ok(started) => started,
        Err(error) => {
            let _ = report.send(Err(error));
            return;
        }
    };
    // Whoever starts a relay and does not wait for it wants it gone.
    if report.send(Ok((Arc::clone(&front), seeds))).is_err() {
        return;
    }
    let (stop_serving, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(front::serve(Arc::clone(&front), listener, stopped.clone()));
    if let Some(operations) = operations {
        tasks.spawn(front::serve_operations(Arc::clone(&front), operations, stopped));
    }
    let mut watching = JoinSet::new();
    watching.spawn(front::watch_changes(Arc::downgrade(&front)));
    watching.spawn(watch_control(Arc::downgrade(&front)));
    if let Some(tls) = &front.tls {
        watching.spawn(front::watch_tls(Arc::downgrade(tls)));
    }
    // Closed means dropped: then nobody waits for the drain, and the shards end with it.
    if stopping.wait_for(|stop| *stop).await.is_ok() {
        let limits = front.limits.get();
        // Still serving meanwhile, so that who asks learns that this relay is on its way out.
        if tokio::time::timeout(limits.drain_time + limits.close_time, front.drain()).await.is_err() {
            tracing::warn!("not every connection was closed in time; the rest is cut");
        }
    }
    stop_serving.send_replace(true);
    while tasks.join_next().await.is_some() {}
    drop(lock);
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bind_error = |error| StartError::Bind { address, error };
    let listener = TcpListener::bind(address).await.map_err(bind_error)?;
    let bound = listener.local_addr().map_err(bind_error)?;
    Ok((listener, bound))
}

async fn set_up(builder: RelayBuilder) -> Result<Started, StartError> {
    let RelayBuilder { config, trusted } = builder;
    let metrics = Arc::new(Metrics::new());
    let tls = config.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    let registry = Arc::new(Registry::default());
    let (listener, address) = listen(config.listen).await?;
    let operations = match config.metrics_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let (operations, metrics_address) = operations.unzip();
    let (relay_url, api_url) = config.urls(address);
    let whole = Whole { config: &config, metrics: &metrics, registry: &registry, api_url: &api_url };
    let Authorized { control, authority, issuer, seeds, lock } = whole.authority(&trusted).await?;
    let limits = Arc::new(config.limits.clone());
    let count = threads(&config);
    let shards = (0..count).map(|shard| hub::start(shard, count, Arc::clone(&limits), Arc::clone(&metrics)));
    let shards = shards.collect::<io::Result<_>>().map_err(StartError::Thread)?;
    let front = Front {
        metrics_address,
        relay_url,
        api_url,
        control,
        authority,
        verifier: Verifier { issuer, region: config.region.clone() },
        serves_websockets: config.role != Role::Control,
        shared_secret: config.shared_secret.as_ref().map(|secret| SecretDigest::new(secret.expose())),
        registry,
        admission: Arc::new(Admission::new(&limits, Arc::clone(&metrics))),
        limits: Shared::new(config.limits.clone()),
        metrics,
        proxies: Shared::new(TrustedProxies::new(config.trusted_proxies.clone())),
        origins: Origins::new(&config.cors_origins),
        tls,
        open_metrics: config.open_metrics,
        shards,
        hasher: std::hash::RandomState::new(),
        draining: AtomicBool::new(false),
        config,
    };
    Ok(Started { front: Arc::new(front), listener, operations, seeds, lock })
}

/// What decides who is let in.
struct Authorized {
    control: Option<Arc<ControlPlane>>,
    authority: Authority,
    issuer: String,
    seeds: Option<Seeds>,
    lock: Option<DataDirLock>,
}

/// What that is made of.
struct Whole<'a> {
    config: &'a Config,
    metrics: &'a Metrics,
    registry: &'a Arc<Registry>,
    api_url: &'a str,
}

impl Whole<'_> {
    async fn authority(&self, trusted: &Jwks) -> Result<Authorized, StartError> {
        let config = self.config;
        let secret = config.shared_secret.as_ref().map(|secret| secret.expose().clone());
        if let Some(control) = &config.control {
            let fetch = Fetch::new(config.ca_file.as_deref())?;
            let remote = RemoteControl::new(fetch, &control.url, control.jwks_url(), secret);
            let (authority, issuer) = (Authority::Remote(Box::new(remote)), control.issuer());
            return Ok(Authorized { control: None, authority, issuer, seeds: None, lock: None });
        }
        let errors = &self.metrics.store_errors;
        let (store, lock, seeds) = if let Some(directory) = &config.data_dir {
            // First the lock: a newer program must not change the tables under a running older one.
            let lock = lock(directory)?;
            let store = Store::open(directory, errors)?;
            store.check().await.map_err(|error| error.at(directory))?;
            (store, Some(lock), None)
        } else {
            let store = Store::in_memory(errors)?;
            let seeds = seed(&store).await?;
            (store, None, Some(seeds))
        };
        let presence = match secret {
            Some(secret) if config.role == Role::Control => {
                let (fetch, url) = (Fetch::new(config.ca_file.as_deref())?, self.relay_http_url()?);
                Presence::There(RemoteRelay::new(fetch, url, secret))
            }
            _ => Presence::Here(Arc::clone(self.registry)),
        };
        let oidc = match &config.oidc {
            Some(oidc) => Some(Oidc::new(oidc, Fetch::new(config.ca_file.as_deref())?)),
            None => None,
        };
        let (issuer, trusted) = (self.api_url.to_owned(), VerifyingKeys::from(trusted));
        let control = Arc::new(ControlPlane {
            issuer: Issuer::new(issuer.clone(), config.region.clone(), trusted, &store).await?,
            changes: Changes::new(&store).await?,
            admin: Admin::new(store.clone()),
            store,
            presence,
            oidc,
        });
        let authority = Authority::Own(Arc::clone(&control));
        Ok(Authorized { control: Some(control), authority, issuer, seeds, lock })
    }

    /// The relay's URL as HTTP has it.
    fn relay_http_url(&self) -> Result<Url, ConfigError> {
        let url = self.config.relay_url.as_deref().unwrap_or_default();
        let fault = |_| ConfigError::new("configuration", format!("relay_url = {url:?} is no URL"));
        Url::parse(&url.replacen("ws", "http", 1)).map_err(fault)
    }
}

fn lock(directory: &Path) -> Result<DataDirLock, StartError> {
    prepare_directory(directory)?;
    let path = directory.join("relay.lock");
    let file = open_private(&path)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DataDirLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::DataDirInUse(directory.display().to_string())),
        Err(error) => Err(StoreError::Broken(format!("{}: {error}", path.display())).into()),
    }
}

async fn seed(store: &Store) -> Result<Seeds, StoreError> {
    let admin = Admin::new(store.clone());
    let seeds = async || -> Result<Seeds, AdminError> {
        Ok(Seeds {
            daemon: admin.add_daemon(None, None).await?,
            access_token: admin.add_user(None).await?.access_token,
            admin_token: admin.set_admin_token().await?,
        })
    };
    seeds().await.map_err(|error| match error {
        AdminError::Store(error) => error,
        other => StoreError::Broken(other.to_string()),
    })
}
