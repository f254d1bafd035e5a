//! Which client belongs to which daemon, and the contract's table of what becomes of it.
//!
//! One [`Pairing`] per shard; it knows nothing of sockets. Events come in as calls, with the time;
//! what has to go out is pushed on the [`Link`]s.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, Frame, SessionId};

use super::link::{End, Link, close};
use crate::limits::Limits;

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

/// What went through a pair.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) frames_to_daemon: Cell<u64>,
    pub(crate) frames_to_client: Cell<u64>,
    pub(crate) bytes_to_daemon: Cell<u64>,
    pub(crate) bytes_to_client: Cell<u64>,
}

fn count(frames: &Cell<u64>, bytes: &Cell<u64>, frame: &Bytes) {
    frames.set(frames.get() + 1);
    bytes.set(bytes.get() + frame.len() as u64);
}

/// A client and its daemon.
pub(crate) struct Pair {
    pub(crate) session: SessionId,
    /// Whose token opened it.
    pub(crate) user: String,
    pub(crate) daemon: Rc<Daemon>,
    pub(crate) client: Rc<Link>,
    pub(crate) traffic: Traffic,
    state: Cell<State>,
    /// The end of the grace, while paused or pending.
    deadline: Cell<Option<Instant>>,
    /// The client's frames of that time.
    kept: RefCell<Vec<Bytes>>,
    kept_bytes: Cell<usize>,
}

impl Pair {
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }
}

/// A daemon that is connected, or has clients waiting for it.
pub(crate) struct Daemon {
    pub(crate) id: Arc<str>,
    link: RefCell<Option<Rc<Link>>>,
    pairs: RefCell<HashMap<SessionId, Rc<Pair>>>,
    /// A task waits for the end of the next grace.
    waited_for: Cell<bool>,
}

impl Daemon {
    pub(crate) fn link(&self) -> Option<Rc<Link>> {
        self.link.borrow().clone()
    }

    pub(crate) fn pair(&self, session: SessionId) -> Option<Rc<Pair>> {
        self.pairs.borrow().get(&session).cloned()
    }

    pub(crate) fn pairs(&self) -> Vec<Rc<Pair>> {
        self.pairs.borrow().values().cloned().collect()
    }

    fn control(&self, code: ControlCode, session: SessionId, now: Instant) {
        if let Some(link) = self.link.borrow().as_ref() {
            link.control(code, session.get(), now);
        }
    }
}

/// All daemons and pairs of one shard.
pub(crate) struct Pairing {
    daemons: RefCell<HashMap<Arc<str>, Rc<Daemon>>>,
    limits: Arc<Limits>,
}

impl Pairing {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self { daemons: RefCell::default(), limits }
    }

    pub(crate) fn daemon(&self, id: &str) -> Option<Rc<Daemon>> {
        self.daemons.borrow().get(id).cloned()
    }

    pub(crate) fn daemons(&self) -> Vec<Rc<Daemon>> {
        self.daemons.borrow().values().cloned().collect()
    }

    /// A client connects: `None` when its daemon is offline.
    pub(crate) fn client_connects(
        &self,
        daemon: &str,
        session: SessionId,
        user: String,
        client: Rc<Link>,
    ) -> Option<Rc<Pair>> {
        let daemon = self.daemon(daemon).filter(|it| it.link().is_some())?;
        let pair = Rc::new(Pair {
            session,
            user,
            daemon: Rc::clone(&daemon),
            client,
            traffic: Traffic::default(),
            state: Cell::new(State::Paired),
            deadline: Cell::new(None),
            kept: RefCell::default(),
            kept_bytes: Cell::new(0),
        });
        daemon.pairs.borrow_mut().insert(session, Rc::clone(&pair));
        Some(pair)
    }

    /// A daemon connects, perhaps in place of another connection of its own. What was paused goes
    /// on if the daemon may resume, and ends if not.
    pub(crate) fn daemon_connects(&self, id: &Arc<str>, resume: bool, link: Rc<Link>, now: Instant) -> Rc<Daemon> {
        let replaced = self.daemon(id).and_then(|it| Some((it.link()?, it)));
        if let Some((old, daemon)) = replaced {
            // The frames that the old connection did not take go to the new one, so they are taken
            // before the close is decided.
            self.daemon_drops(&daemon, &old, now);
            old.end(End::Close(close::REPLACED));
        }
        let daemon = self.daemon(id).unwrap_or_else(|| {
            let daemon = Rc::new(Daemon {
                id: Arc::clone(id),
                link: RefCell::default(),
                pairs: RefCell::default(),
                waited_for: Cell::new(false),
            });
            let mut daemons = self.daemons.borrow_mut();
            daemons.insert(Arc::clone(id), Rc::clone(&daemon));
            daemon
        });
        *daemon.link.borrow_mut() = Some(link);
        for pair in daemon.pairs() {
            if resume {
                pair.state.set(State::Pending);
                let code = ControlCode::SESSION_PENDING;
                pair.client.control(code, pair.session.get(), now);
            } else {
                self.expire(&pair, now);
            }
        }
        daemon
    }

    /// A daemon's connection is gone. Nothing happens if another has taken its place.
    pub(crate) fn daemon_drops(&self, daemon: &Rc<Daemon>, link: &Rc<Link>, now: Instant) {
        if !daemon.link().is_some_and(|it| Rc::ptr_eq(&it, link)) {
            return;
        }
        *daemon.link.borrow_mut() = None;
        for pair in daemon.pairs() {
            if pair.state.replace(State::Paused) == State::Paired {
                pair.deadline.set(Some(now + self.limits.grace));
                let code = ControlCode::SESSION_PAUSED;
                pair.client.control(code, pair.session.get(), now);
            }
        }
        for frame in link.take_unsent() {
            self.keep_unsent(daemon, frame, now);
        }
        self.forget_if_empty(daemon);
    }

    /// A frame that was forwarded and did not reach the socket any more: kept like one that came
    /// after the drop, so that it is not lost either.
    fn keep_unsent(&self, daemon: &Rc<Daemon>, frame: Bytes, now: Instant) {
        // The relay's own frames were meant for that connection only.
        let (session, is_data) = match Frame::decode_for_relay(&frame) {
            Ok(Frame::Data { session, .. }) => (session, true),
            Ok(Frame::HandshakeInit { session, .. }) => (session, false),
            _ => return,
        };
        if let Some(pair) = daemon.pair(session) {
            self.client_sends(&pair, frame, is_data, now);
        }
    }

    /// A client's connection is gone.
    pub(crate) fn client_drops(&self, pair: &Rc<Pair>, now: Instant) {
        self.end(pair, now);
    }

    /// Data of a client, or its HandshakeInit (`is_data` is false).
    pub(crate) fn client_sends(&self, pair: &Rc<Pair>, frame: Bytes, is_data: bool, now: Instant) {
        match pair.state() {
            State::Paired => {
                let traffic = &pair.traffic;
                count(&traffic.frames_to_daemon, &traffic.bytes_to_daemon, &frame);
                if let Some(link) = pair.daemon.link.borrow().as_ref() {
                    link.forward(frame, now);
                }
            }
            State::Paused | State::Pending if is_data => self.keep(pair, &frame, now),
            State::Paused | State::Pending => self.expire(pair, now),
            State::Ended => (),
        }
    }

    fn keep(&self, pair: &Rc<Pair>, frame: &Bytes, now: Instant) {
        let kept = pair.kept_bytes.get() + frame.len();
        if kept > self.limits.keep_bytes {
            return self.expire(pair, now);
        }
        pair.kept_bytes.set(kept);
        // Kept for a while, so without the buffer it came in.
        pair.kept.borrow_mut().push(Bytes::copy_from_slice(frame));
    }

    /// Data or HandshakeAccept of a daemon.
    pub(crate) fn daemon_sends(&self, pair: &Rc<Pair>, frame: Bytes, now: Instant) {
        match pair.state() {
            State::Paired => {
                let traffic = &pair.traffic;
                count(&traffic.frames_to_client, &traffic.bytes_to_client, &frame);
                pair.client.forward(frame, now);
                if pair.client.is_full() {
                    pair.client.overflow(now);
                    self.end(pair, now);
                }
            }
            State::Paused | State::Pending => self.expire(pair, now),
            State::Ended => (),
        }
    }

    /// Signal ready.
    pub(crate) fn daemon_is_ready(&self, pair: &Rc<Pair>, now: Instant) {
        if pair.state() != State::Pending {
            return;
        }
        pair.state.set(State::Paired);
        pair.deadline.set(None);
        let code = ControlCode::SESSION_RESUMED;
        pair.client.control(code, pair.session.get(), now);
        pair.kept_bytes.set(0);
        for frame in pair.kept.take() {
            self.client_sends(pair, frame, true, now);
        }
    }

    /// Signal close.
    pub(crate) fn daemon_closes(&self, pair: &Rc<Pair>, now: Instant) {
        // Ended first: the daemon need not be told what it said itself.
        pair.state.set(State::Ended);
        self.expire(pair, now);
    }

    /// Ends a pair and tells its client.
    pub(crate) fn expire(&self, pair: &Rc<Pair>, now: Instant) {
        let code = ControlCode::SESSION_EXPIRED;
        pair.client.terminate(code, pair.session.get(), now);
        self.end(pair, now);
    }

    /// Takes a pair out; the daemon hears of it if it is there and does not know.
    fn end(&self, pair: &Rc<Pair>, now: Instant) {
        let daemon = &pair.daemon;
        if matches!(pair.state.get(), State::Paired | State::Pending) {
            daemon.control(ControlCode::SESSION_ENDED, pair.session, now);
        }
        pair.state.set(State::Ended);
        pair.kept.take();
        let mut pairs = daemon.pairs.borrow_mut();
        if pairs.get(&pair.session).is_some_and(|it| Rc::ptr_eq(it, pair)) {
            pairs.remove(&pair.session);
        }
        drop(pairs);
        self.forget_if_empty(daemon);
    }

    fn forget_if_empty(&self, daemon: &Rc<Daemon>) {
        if daemon.link.borrow().is_none() && daemon.pairs.borrow().is_empty() {
            let mut daemons = self.daemons.borrow_mut();
            if daemons.get(&daemon.id).is_some_and(|it| Rc::ptr_eq(it, daemon)) {
                daemons.remove(&daemon.id);
            }
        }
    }

    /// Whether somebody has to call [`end_of_grace`](Self::end_of_grace) for this daemon from now
    /// on. True once, until that says that nothing is left to wait for.
    pub(crate) fn needs_waiting(daemon: &Daemon) -> bool {
        let pairs = daemon.pairs.borrow();
        let any = pairs.values().any(|pair| pair.deadline.get().is_some());
        any && !daemon.waited_for.replace(true)
    }

    /// Ends the pairs whose grace is over, and says when the next one's is.
    pub(crate) fn end_of_grace(&self, daemon: &Rc<Daemon>, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for pair in daemon.pairs() {
            match pair.deadline.get() {
                Some(deadline) if deadline <= now => self.expire(&pair, now),
                Some(deadline) => next = Some(next.map_or(deadline, |it| it.min(deadline))),
                None => (),
            }
        }
        daemon.waited_for.set(next.is_some());
        next
    }
}
