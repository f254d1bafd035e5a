//! A client and its daemon, and a daemon with its clients: what the table of pairs is about.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    task::Waker,
    time::Instant,
};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, SessionId};
use tokio::sync::Notify;

use super::{context::Context, link::Link};
use crate::metrics::Presence;

/// What a kept frame counts for in memory besides its bytes.
const OVERHEAD: usize = 64;

/// What a pair is, as in the contract's table.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum State {
    /// Both sides are there.
    Paired,
    /// The daemon's connection dropped.
    Paused,
    /// The daemon is back and has not said yet what it remembers.
    Pending,
    /// Over.
    Ended,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Paused => "paused",
            Self::Pending => "pending",
            Self::Ended => "ended",
        }
    }
}

/// What went one way through a pair.
#[derive(Default)]
pub(crate) struct Traffic {
    frames: Cell<u64>,
    bytes: Cell<u64>,
}

impl Traffic {
    pub(crate) fn count(&self, len: usize) {
        self.frames.set(self.frames.get() + 1);
        self.bytes.set(self.bytes.get() + len as u64);
    }

    /// Frames and bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.frames.get(), self.bytes.get())
    }
}

/// A client's frames that wait for its daemon's return.
#[derive(Default)]
struct Kept {
    frames: Vec<Bytes>,
    bytes: usize,
}

/// A client and its daemon.
pub(crate) struct Pair {
    context: Rc<Context>,
    pub(crate) session: SessionId,
    /// Whose token opened it.
    pub(crate) user: String,
    pub(crate) daemon: Rc<Daemon>,
    pub(crate) client: Rc<Link>,
    pub(crate) to_daemon: Traffic,
    pub(crate) to_client: Traffic,
    /// The end of the grace, while paused or pending.
    pub(crate) grace_ends: Cell<Option<Instant>>,
    /// Until when the daemon has to speak, while pending.
    pub(crate) signal_due: Cell<Option<Instant>>,
    state: Cell<State>,
    presence: Cell<Option<Presence>>,
    kept: RefCell<Kept>,
}

impl Pair {
    /// A pair whose both sides are there.
    pub(crate) fn new(
        context: Rc<Context>,
        session: SessionId,
        user: String,
        daemon: Rc<Daemon>,
        client: Rc<Link>,
    ) -> Self {
        let state = State::Paired;
        Self {
            session,
            user,
            daemon,
            client,
            to_daemon: Traffic::default(),
            to_client: Traffic::default(),
            grace_ends: Cell::new(None),
            signal_due: Cell::new(None),
            state: Cell::new(state),
            presence: Cell::new(Some(context.metrics.session(state.name()))),
            kept: RefCell::default(),
            context,
        }
    }

    /// When it ends by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.grace_ends.get(), self.signal_due.get()].into_iter().flatten().min()
    }

    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    /// Changes the state and returns the one before.
    pub(crate) fn set_state(&self, state: State) -> State {
        let before = self.state.replace(state);
        if state != before {
            // The one before is counted out as it is dropped.
            self.presence.set((state != State::Ended).then(|| self.context.metrics.session(state.name())));
        }
        before
    }

    /// Whether the daemon has too much waiting for more to be read from the client. Then `waker` is
    /// woken when it no longer has. `round` is the caller's: 0 at first, then left alone.
    pub(crate) fn must_wait(&self, round: &mut u64, waker: &Waker) -> bool {
        let Some(link) = self.daemon.link().filter(|link| link.is_full()) else {
            return false;
        };
        let before = *round;
        link.wait_for_room(round, waker);
        // Once each time that the client stops, not each time that it is looked at.
        if *round != before {
            self.context.count_full("daemon_queue_bytes", link.queued_bytes());
        }
        true
    }

    /// Keeps a frame for the daemon's return. `false` when there is no room for it.
    pub(crate) fn keep(&self, frame: &Bytes) -> bool {
        let mut kept = self.kept.borrow_mut();
        let bytes = kept.bytes + frame.len();
        if bytes > self.context.limits().keep_bytes || self.context.is_over(bytes) {
            self.context.count_full("keep_bytes", bytes);
            return false;
        }
        kept.bytes = bytes;
        // Kept for a while, so without the buffer it came in.
        kept.frames.push(Bytes::copy_from_slice(frame));
        self.context.wait(frame.len() + OVERHEAD);
        true
    }

    /// Takes everything that was kept.
    pub(crate) fn take_kept(&self) -> Vec<Bytes> {
        let kept = self.kept.take();
        self.context.done(kept.bytes + kept.frames.len() * OVERHEAD);
        kept.frames
    }

    /// A Control about this session to its client.
    pub(crate) fn tell_client(&self, code: ControlCode, now: Instant) {
        self.client.control(code, self.session.get(), now);
    }
}

/// A daemon that is connected, or has clients waiting for it.
pub(crate) struct Daemon {
    pub(crate) id: Arc<str>,
    pub(super) link: RefCell<Option<Rc<Link>>>,
    /// When the token of its latest connection was issued, in seconds since 1970.
    pub(super) issued_at: Cell<u64>,
    pub(super) pairs: RefCell<HashMap<SessionId, Rc<Pair>>>,
    /// A task waits for the next of its pairs' deadlines.
    pub(super) waited_for: Cell<bool>,
    /// Tells that task to look again.
    pub(super) deadlines_changed: Notify,
}

impl Daemon {
    pub(crate) fn new(id: &Arc<str>) -> Self {
        Self {
            id: Arc::clone(id),
            link: RefCell::default(),
            issued_at: Cell::new(0),
            pairs: RefCell::default(),
            waited_for: Cell::new(false),
            deadlines_changed: Notify::new(),
        }
    }

    pub(crate) fn link(&self) -> Option<Rc<Link>> {
        self.link.borrow().clone()
    }

    pub(crate) fn pair(&self, session: SessionId) -> Option<Rc<Pair>> {
        self.pairs.borrow().get(&session).cloned()
    }

    pub(crate) fn pairs(&self) -> Vec<Rc<Pair>> {
        self.pairs.borrow().values().cloned().collect()
    }

    /// Nothing is left to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.link.borrow().is_none() && self.pairs.borrow().is_empty()
    }
}
