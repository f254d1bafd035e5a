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
    /// The hint that the timers hold for this session.
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
        if let Some(at) = entry.scheduled {
            self.timers.cancel(at, id);
        }
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
            if let Some(later) = entry.scheduled.replace(deadline) {
                self.timers.cancel(later, id);
            }
            self.timers.schedule(deadline, id);
        }
    }

    /// Takes one session that may have something due.
    pub(super) fn due(&mut self, now: Instant) -> Option<SessionId> {
        let id = self.timers.due(now)?;
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.scheduled = None;
        }
        Some(id)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use sideband_protocol::handshake::{self, ClientHandshake};
    use sideband_protocol::identity::IdentityKeyPair;

    use super::*;
    use crate::host::{DaemonEvent, Gate, Host, PeerEvent};
    use crate::peer::core::Flow;
    use crate::peer::policy::PeerPolicy;
    use crate::peer::{Inbox, PeerHandle};
    use crate::random;
    use crate::session::Role;

    #[derive(Default)]
    struct Indifferent(Gate);

    impl Host for Indifferent {
        fn peer(&self, _: Id, _: PeerEvent<'_>) {}

        fn daemon(&self, _: Id, _: DaemonEvent<'_>) {}

        fn flush(&self) {}

        fn gate(&self) -> &Gate {
            &self.0
        }
    }

    fn entry(id: u64, phase: Phase) -> Entry {
        let identity = IdentityKeyPair::from_seed(&random::secret());
        let init = ClientHandshake::start(random::secret()).init_payload();
        let (_, keys) = handshake::accept(&identity, "d", random::secret(), &init).unwrap();
        let session = Session::new(SessionId::new(id).unwrap(), keys, Role::Daemon);
        let host = Arc::new(Indifferent::default());
        Entry::new(session, PeerCore::new(Id::next(), PeerPolicy::default(), host, Flow::Active), phase)
    }

    #[test]
    fn a_session_has_one_timer_whatever_happens_to_it() {
        let mut sessions = Sessions::new();
        let entry = entry(1, Phase::Open);
        let id = entry.session.id();
        let (mailbox, mut inbox) = Inbox::new();
        let handle = PeerHandle::new(entry.core.id(), mailbox);
        sessions.insert(entry);
        let mut now = Instant::now();
        let mut call = |sessions: &mut Sessions, now, number, seconds| {
            handle.call(number, "m", None, Duration::from_secs(seconds)).unwrap();
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let std::task::Poll::Ready(Some((_, command))) = inbox.poll(&mut cx) else { panic!("a command") };
            let entry = sessions.get_mut(id).unwrap();
            entry.core.command(now, command, &mut entry.plain).unwrap();
            sessions.touched(id);
        };
        call(&mut sessions, now, 0, 1_000_000);
        for number in 1..100 {
            call(&mut sessions, now, number, 10);
            now += Duration::from_secs(10);
            assert_eq!(sessions.due(now), Some(id));
            sessions.get_mut(id).unwrap().core.expire(now);
            sessions.touched(id);
            assert_eq!(sessions.due(now), None);
            assert_eq!(sessions.timers.len(), 1);
        }
        sessions.remove(id);
        assert_eq!(sessions.next_deadline(), None);
    }

    #[test]
    fn a_session_that_is_replaced_leaves_no_timer_behind() {
        let mut sessions = Sessions::new();
        let now = Instant::now();
        for second in 1..100 {
            let entry = entry(1, Phase::Greeting(now + Duration::from_secs(second)));
            sessions.remove(entry.session.id());
            sessions.insert(entry);
            assert_eq!(sessions.timers.len(), 1);
        }
        assert_eq!(sessions.next_deadline(), Some(now + Duration::from_secs(99)));
    }
}
