//! What the engine asks of the program it runs in.
//!
//! A [`Host`] is told everything that happens, by the task that owns the connection and in order. It must not block: it
//! takes what it needs (texts are borrowed from the frame they came in) and returns. The JavaScript addon appends to a
//! queue here; [`crate::sdk`] feeds channels.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use sideband_protocol::sbp::FrameId;

use crate::error::Error;
use crate::peer::PeerHandle;

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// The number of a peer or a daemon, unique in the process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(pub u32);

impl Id {
    pub(crate) fn next() -> Self {
        Self(NEXT_ID.fetch_add(1, Ordering::Relaxed))
    }
}

/// The caller's number for one call.
pub type CallId = u32;

/// The state of a peer (a daemon's peers know `Active`, `Paused` and `Closed` only).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerState {
    /// Looking for the relay: a token, then the WebSocket.
    Connecting,
    /// The WebSocket stands; the handshakes run.
    Negotiating,
    /// Messages flow.
    Active,
    /// The session stands, but the other side's connection to the relay dropped.
    Paused,
    /// Waiting for the next attempt.
    Reconnecting,
    /// The end.
    Closed,
}

/// Something happened to a peer.
#[derive(Clone, Copy, Debug)]
pub enum PeerEvent<'a> {
    /// Another state; `remote` is the other side's peer id where the state is `Active`.
    State {
        /// The new state.
        state: PeerState,
        /// The remote's peer id, once known.
        remote: Option<&'a str>,
        /// Why, where there is a reason to tell.
        error: Option<&'a Error>,
    },
    /// A call succeeded; `result` is JSON text.
    Result {
        /// The caller's number.
        call: CallId,
        /// JSON text, absent where the handler gave nothing.
        result: Option<&'a str>,
    },
    /// A call failed.
    Failure {
        /// The caller's number.
        call: CallId,
        /// Why.
        error: &'a Error,
    },
    /// The remote calls; answer with [`PeerHandle::respond`] or [`PeerHandle::respond_error`].
    Request {
        /// The call's correlation id.
        cid: FrameId,
        /// The method.
        method: &'a str,
        /// JSON text, absent where the caller gave nothing.
        params: Option<&'a str>,
    },
    /// The remote emitted an event.
    Event {
        /// Its name.
        name: &'a str,
        /// JSON text, absent where the emitter gave nothing.
        data: Option<&'a str>,
    },
    /// Something failed that no call waits for.
    Unhandled {
        /// What.
        error: &'a Error,
    },
    /// The transport is gone; nothing more comes for this peer.
    Gone,
}

/// Something happened to a daemon, or to a direct server.
#[derive(Debug)]
pub enum DaemonEvent<'a> {
    /// The first connection to the relay stands, or a direct server's port is bound.
    Listening {
        /// The daemon's id: the one given, or the token's. Empty for a direct server.
        daemon_id: &'a str,
        /// The relay's URL without a token, or a direct server's own.
        url: &'a str,
    },
    /// It will never listen; the daemon is gone.
    Failed {
        /// Why.
        error: &'a Error,
    },
    /// A client came in and its session is active.
    Connection {
        /// For calls, answers and events.
        peer: PeerHandle,
        /// The client's peer id.
        remote: &'a str,
    },
    /// The link to the relay stands again.
    LinkUp,
    /// The link to the relay dropped; it reconnects by itself.
    LinkDown {
        /// Why.
        error: &'a Error,
    },
    /// Something failed that nobody waits for.
    Unhandled {
        /// What.
        error: &'a Error,
    },
    /// Everything is down; nothing more comes for this daemon.
    Gone,
}

/// The program the engine runs in.
pub trait Host: Send + Sync + 'static {
    /// Something happened to a peer.
    fn peer(&self, peer: Id, event: PeerEvent<'_>);

    /// Something happened to a daemon.
    fn daemon(&self, daemon: Id, event: DaemonEvent<'_>);

    /// The owner task has nothing more for now: the moment to wake whoever waits.
    fn flush(&self);

    /// Closed while the host is behind: the engine then leaves frames in the socket, and TCP holds the sender.
    fn gate(&self) -> &Gate;
}

/// Says whether the host takes more.
#[derive(Debug, Default)]
pub struct Gate {
    closed: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    /// Stops reading from every connection of this host.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Reads again.
    pub fn open(&self) {
        if self.closed.swap(false, Ordering::SeqCst) {
            for waker in std::mem::take(&mut *self.waiting()) {
                waker.wake();
            }
        }
    }

    /// Whether the host takes more.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst)
    }

    /// Ready while the host takes more; else the task is woken at the next opening.
    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        // Under the lock, so that an opening between the two looks cannot miss this waker.
        let mut waiting = self.waiting();
        if self.is_open() {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
