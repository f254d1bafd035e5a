//! From settings to a relay that runs.

use std::{fs::File, io, path::Path, sync::Arc, thread};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{oneshot, watch},
};

use super::{RelayBuilder, RunningRelay, StartError};
use crate::{
    admin::{Admin, AdminError, DaemonCredentials},
    config::Config,
    control::Issuer,
    front::{self, Changes, Front},
    hub::{self, Registry},
    store::{Store, StoreError, open_private, prepare_directory},
    token::{Verifier, VerifyingKeys},
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
async fn run(builder: RelayBuilder, report: Report, stopping: watch::Receiver<bool>) {
    let Started { front, listener, seeds, lock } = match set_up(builder).await {
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
    let mut stopping_now = stopping.clone();
    let watching = tokio::spawn(front::watch_changes(Arc::downgrade(&front)));
    front::serve(Arc::clone(&front), listener, stopping).await;
    watching.abort();
    // Closed means dropped: then nobody waits for the drain, and the shards end with it.
    if stopping_now.wait_for(|stop| *stop).await.is_ok() {
        let time = front.limits.drain_time + front.limits.close_time;
        let _ = tokio::time::timeout(time, front.drain()).await;
    }
    drop(lock);
}

async fn set_up(builder: RelayBuilder) -> Result<Started, StartError> {
    let RelayBuilder { config, trusted } = builder;
    let (store, lock, seeds) = if let Some(directory) = &config.data_dir {
        // First the lock: a newer program must not change the tables under a running older one.
        let lock = lock(directory)?;
        (Store::open(directory)?, Some(lock), None)
    } else {
        let store = Store::in_memory()?;
        let seeds = seed(&store).await?;
        (store, None, Some(seeds))
    };
    let bind_error = |error| StartError::Bind { address: config.listen, error };
    let listener = TcpListener::bind(config.listen).await.map_err(bind_error)?;
    let (relay_url, api_url) = config.urls(listener.local_addr().map_err(bind_error)?);
    let limits = Arc::new(config.limits.clone());
    let shards = (0..threads(&config)).map(|number| {
        let name = format!("sideband-shard-{number}");
        hub::start(name, Arc::clone(&limits))
    });
    let shards = shards.collect::<io::Result<_>>().map_err(StartError::Thread)?;
    let trusted = VerifyingKeys::from(&trusted);
    let front = Front {
        issuer: Issuer::new(api_url.clone(), config.region.clone(), trusted, &store).await?,
        verifier: Verifier { issuer: api_url.clone(), region: config.region },
        changes: Changes::new(&store).await?,
        relay_url,
        api_url,
        admin: Admin::new(store.clone()),
        store,
        registry: Arc::new(Registry::default()),
        limits,
        shards,
        hasher: std::hash::RandomState::new(),
    };
    Ok(Started { front: Arc::new(front), listener, seeds, lock })
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
