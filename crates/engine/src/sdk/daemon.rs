//! A daemon that hands out its peers one by one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::peer::{Peer, Shared};
use crate::daemon::{self, DaemonHandle, DaemonOptions};
use crate::error::{Error, PeerErrorCode};
use crate::host::{DaemonEvent, Gate, Host, Id, PeerEvent, PeerState};

/// New peers that may wait for [`Daemon::accept`]; more are closed.
const ACCEPT_LIMIT: usize = 1024;

/// A daemon that listens. Dropping it closes it and all its peers.
#[derive(Debug)]
pub struct Daemon {
    id: String,
    peers: mpsc::Receiver<Peer>,
    handle: DaemonHandle,
    gone: oneshot::Receiver<()>,
}

/// Starts a daemon and waits for its first connection to the relay.
///
/// # Errors
/// The control plane or the relay refused its credentials.
pub async fn listen(options: DaemonOptions) -> Result<Daemon, Error> {
    let (peers, accepted) = mpsc::channel(ACCEPT_LIMIT);
    let (listening, started) = oneshot::channel();
    let (gone, went) = oneshot::channel();
    let host = DaemonHost {
        state: Mutex::new(State {
            peers: HashMap::new(),
            accepted: peers,
            listening: Some(listening),
            gone: Some(gone),
        }),
        gate: Gate::default(),
    };
    let handle = daemon::listen(&tokio::runtime::Handle::current(), options, Arc::new(host));
    let closed = || Err(Error::peer(PeerErrorCode::PeerClosed, "the daemon is closed"));
    let id = started.await.unwrap_or_else(|_| closed())?;
    Ok(Daemon { id, peers: accepted, handle, gone: went })
}

impl Daemon {
    /// The daemon's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next client; `None` when the daemon ended for good.
    pub async fn accept(&mut self) -> Option<Peer> {
        self.peers.recv().await
    }

    /// Ends it in order, and waits until nothing is left.
    pub async fn close(self) {
        self.handle.close();
        // The sender is dropped with the host at the latest.
        let _ = self.gone.await;
    }
}

struct DaemonHost {
    state: Mutex<State>,
    gate: Gate,
}

struct State {
    peers: HashMap<Id, Arc<Shared>>,
    accepted: mpsc::Sender<Peer>,
    listening: Option<oneshot::Sender<Result<String, Error>>>,
    gone: Option<oneshot::Sender<()>>,
}

impl Host for DaemonHost {
    fn peer(&self, peer: Id, event: PeerEvent<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match event {
            PeerEvent::Gone => state.peers.remove(&peer),
            _ => state.peers.get(&peer).cloned(),
        };
        drop(state);
        if let Some(shared) = shared {
            shared.event(event);
        }
    }

    fn daemon(&self, _daemon: Id, event: DaemonEvent<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            DaemonEvent::Listening { daemon_id, .. } => {
                if let Some(listening) = state.listening.take() {
                    // Whoever called `listen` may have given up.
                    let _ = listening.send(Ok(daemon_id.to_owned()));
                }
            }
            DaemonEvent::Failed { error } => {
                if let Some(listening) = state.listening.take() {
                    let _ = listening.send(Err(error.clone()));
                }
            }
            DaemonEvent::Connection { peer: handle, .. } => {
                let (shared, parts) = Shared::new(PeerState::Active);
                shared.set_handle(&handle);
                state.peers.insert(handle.id(), Arc::clone(&shared));
                // A peer that nobody takes is dropped, which closes it.
                drop(state.accepted.try_send(Peer::new(handle, shared, parts)));
            }
            DaemonEvent::LinkUp => tracing::info!("link to the relay is up again"),
            DaemonEvent::LinkDown { error } => tracing::warn!(%error, "link to the relay is down"),
            DaemonEvent::Unhandled { error } => tracing::warn!(%error, "unhandled"),
            DaemonEvent::Gone => drop(state.gone.take()),
        }
    }

    fn flush(&self) {}

    fn gate(&self) -> &Gate {
        &self.gate
    }
}
