//! Which client belongs to which daemon, and the contract's table of what becomes of it.
//!
//! One [`Pairing`] per shard; it knows nothing of sockets. Events come in as calls, with the time;
//! what has to go out is pushed on the [`Link`]s.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, Frame, SessionId};

use super::{
    context::Context,
    link::{End, Link, close},
    pair::{Daemon, Pair, State},
};

/// All daemons and pairs of one shard.
pub(crate) struct Pairing {
    daemons: RefCell<HashMap<Arc<str>, Rc<Daemon>>>,
    context: Rc<Context>,
}

impl Pairing {
    pub(crate) fn new(context: Rc<Context>) -> Self {
        Self { daemons: RefCell::default(), context }
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
        let context = Rc::clone(&self.context);
        let pair = Rc::new(Pair::new(context, session, user, Rc::clone(&daemon), client));
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
            let daemon = Rc::new(Daemon::new(id));
            self.daemons.borrow_mut().insert(Arc::clone(id), Rc::clone(&daemon));
            daemon
        });
        *daemon.link.borrow_mut() = Some(link);
        for pair in daemon.pairs() {
            if resume {
                pair.set_state(State::Pending);
                pair.signal_due.set(Some(now + self.context.limits().pending_time));
                pair.tell_client(ControlCode::SESSION_PENDING, now);
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
            pair.signal_due.set(None);
            if pair.set_state(State::Paused) == State::Paired {
                pair.grace_ends.set(Some(now + self.context.limits().grace));
                pair.tell_client(ControlCode::SESSION_PAUSED, now);
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
                pair.to_daemon.count(frame.len());
                self.context.own.to_daemon.count(frame.len());
                if let Some(link) = pair.daemon.link.borrow().as_ref() {
                    link.forward(frame, now);
                }
            }
            State::Paused | State::Pending => {
                if !is_data || !pair.keep(&frame) {
                    self.expire(pair, now);
                }
            }
            State::Ended => (),
        }
    }

    /// Data or HandshakeAccept of a daemon.
    pub(crate) fn daemon_sends(&self, pair: &Rc<Pair>, frame: Bytes, now: Instant) {
        match pair.state() {
            State::Paired => {
                pair.to_client.count(frame.len());
                self.context.own.to_client.count(frame.len());
                pair.client.forward(frame, now);
                if pair.client.is_full() {
                    self.context.count_full("client_queue_bytes", pair.client.queued_bytes());
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
        pair.set_state(State::Paired);
        pair.grace_ends.set(None);
        pair.signal_due.set(None);
        pair.tell_client(ControlCode::SESSION_RESUMED, now);
        for frame in pair.take_kept() {
            self.client_sends(pair, frame, true, now);
        }
    }

    /// Signal close.
    pub(crate) fn daemon_closes(&self, pair: &Rc<Pair>, now: Instant) {
        // Ended first: the daemon need not be told what it said itself.
        pair.set_state(State::Ended);
        self.expire(pair, now);
    }

    /// Ends a pair and tells its client.
    pub(crate) fn expire(&self, pair: &Rc<Pair>, now: Instant) {
        pair.client.terminate(ControlCode::SESSION_EXPIRED, pair.session.get(), now);
        self.end(pair, now);
    }

    /// Takes a pair out; the daemon hears of it if it is there and does not know.
    fn end(&self, pair: &Rc<Pair>, now: Instant) {
        let daemon = &pair.daemon;
        if matches!(pair.set_state(State::Ended), State::Paired | State::Pending)
            && let Some(link) = daemon.link()
        {
            link.control(ControlCode::SESSION_ENDED, pair.session.get(), now);
        }
        drop(pair.take_kept());
        let mut pairs = daemon.pairs.borrow_mut();
        if pairs.get(&pair.session).is_some_and(|it| Rc::ptr_eq(it, pair)) {
            pairs.remove(&pair.session);
        }
        drop(pairs);
        self.forget_if_empty(daemon);
    }

    fn forget_if_empty(&self, daemon: &Rc<Daemon>) {
        let mut daemons = self.daemons.borrow_mut();
        if daemon.is_empty() && daemons.get(&daemon.id).is_some_and(|it| Rc::ptr_eq(it, daemon)) {
            daemons.remove(&daemon.id);
        }
    }

    /// Whether any of a daemon's pairs will end by itself, so that somebody has to call
    /// [`end_overdue`](Self::end_overdue).
    pub(crate) fn needs_waiting(daemon: &Daemon) -> bool {
        daemon.pairs.borrow().values().any(|pair| pair.deadline().is_some())
    }

    /// Ends the pairs whose time is over, and says when the next one's is.
    pub(crate) fn end_overdue(&self, daemon: &Rc<Daemon>, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for pair in daemon.pairs() {
            match pair.deadline() {
                Some(deadline) if deadline <= now => {
                    let in_grace = pair.grace_ends.get().is_some_and(|end| end > now);
                    self.context.metrics.limit(if in_grace { "pending_seconds" } else { "grace_seconds" });
                    self.expire(&pair, now);
                }
                Some(deadline) => next = Some(next.map_or(deadline, |it| it.min(deadline))),
                None => (),
            }
        }
        next
    }
}
