//! The sessions of a daemon's link, found by session id and by peer number.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use sideband_protocol::sbrp::SessionId;
use sideband_protocol::session::SealError;

use crate::host::Id;
use crate::peer::Outgoing;
use crate::peer::core::PeerCore;
use crate::session::Session;
use crate::timers::Timers;

/// How far a session is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The keys are there; the client's SBP handshake is not, and has until then.
    Greeting(Instant),
    /// Messages flow, or wait for the link.
    Open,
}

pub(super) struct Entry {
    pub(super) session: Session,
    pub(super) core: PeerCore,
    pub(super) phase: Phase,
    /// The earliest hint that the timers hold for this session.
    scheduled: Option<Instant>,
    /// Whether the session is in the list of those with something to send.
    ready: bool,
    /// Callers' frames that are not sealed yet, in order.
    pub(super) plain: VecDeque<Outgoing>,
}

impl Entry {
    pub(super) fn new(session: Session, core: PeerCore, phase: Phase) -> Self {
        Self { session, core, phase, scheduled: None, ready: false, plain: VecDeque::new() }
    }

    fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Greeting(deadline) => Some(deadline),
            Phase::Open => self.core.next_deadline(),
        }
    }
}

/// The table. Its size is bounded by the daemon's session limit.
pub(super) struct Sessions {
    by_id: HashMap<SessionId, Entry>,
    by_peer: HashMap<Id, SessionId>,
    timers: Timers<SessionId>,
    /// Sessions with frames to seal. They take turns.
    ready: VecDeque<SessionId>,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self { by_id: HashMap::new(), by_peer: HashMap::new(), timers: Timers::new(), ready: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        let id = entry.session.id();
        self.by_peer.insert(entry.core.id(), id);
        self.by_id.insert(id, entry);
        self.touched(id);
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Entry> {
        let entry = self.by_id.remove(&id)?;
        self.by_peer.remove(&entry.core.id());
        Some(entry)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn of_peer(&self, peer: Id) -> Option<SessionId> {
        self.by_peer.get(&peer).copied()
    }

    pub(super) fn ids(&self) -> Vec<SessionId> {
        self.by_id.keys().copied().collect()
    }

    /// To be called after anything happened to a session: notes what it wants to send, and when something is due.
    pub(super) fn touched(&mut self, id: SessionId) {
        let Some(entry) = self.by_id.get_mut(&id) else { return };
        if !entry.plain.is_empty() && !entry.ready {
            entry.ready = true;
            self.ready.push_back(id);
        }
        if let Some(deadline) = entry.next_deadline()
            && entry.scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            entry.scheduled = Some(deadline);
            self.timers.schedule(deadline, id);
        }
    }

    /// Takes one session that may have something due.
    pub(super) fn due(&mut self, now: Instant) -> Option<SessionId> {
        loop {
            let id = self.timers.due(now)?;
            if let Some(entry) = self.by_id.get_mut(&id) {
                entry.scheduled = None;
                return Some(id);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether no session has anything to send.
    pub(super) fn are_drained(&self) -> bool {
        self.ready.is_empty()
    }

    /// Seals one frame of the session whose turn it is.
    pub(super) fn seal_next(&mut self) -> Option<(SessionId, Result<Vec<u8>, SealError>)> {
        loop {
            let id = self.ready.pop_front()?;
            let Some(entry) = self.by_id.get_mut(&id) else { continue };
            let frame = entry.plain.pop_front();
            entry.ready = !entry.plain.is_empty();
            if entry.ready {
                self.ready.push_back(id);
            }
            if let Some(frame) = frame {
                return Some((id, entry.session.seal(frame)));
            }
        }
    }
}
