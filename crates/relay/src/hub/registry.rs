//! What all threads have to know: which session ids are taken, which daemons are there.
//!
//! Touched when a connection comes or goes, never for a frame.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sideband_protocol::sbrp::SessionId;

/// Shared by all shards and by the front.
#[derive(Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: HashSet<SessionId>,
    daemons: HashMap<Arc<str>, Entries>,
}

/// What is there of one daemon.
#[derive(Default)]
struct Entries {
    /// Its clients' connections.
    sessions: u32,
    /// Its own connections: two for the moment in which one replaces another.
    links: u32,
    /// The session limit of its latest token.
    limit: Option<u32>,
}

/// Why a client cannot be let in.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum LeaseRefusal {
    /// Its session id is taken: HTTP 409.
    Taken,
    /// The daemon has as many sessions as it may: HTTP 429.
    Full,
}

impl Registry {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way, so a poisoned lock still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session id for as long as the lease lives. `limit` is what the client's own token and
    /// the relay allow.
    pub(crate) fn lease(
        self: &Arc<Self>,
        session: SessionId,
        daemon: &Arc<str>,
        limit: u32,
    ) -> Result<Lease, LeaseRefusal> {
        let mut state = self.state();
        if state.taken.contains(&session) {
            return Err(LeaseRefusal::Taken);
        }
        let entries = state.daemons.entry(Arc::clone(daemon)).or_default();
        if entries.sessions >= entries.limit.map_or(limit, |own| own.min(limit)) {
            return Err(LeaseRefusal::Full);
        }
        entries.sessions += 1;
        state.taken.insert(session);
        Ok(Lease { registry: Arc::clone(self), daemon: Arc::clone(daemon), session })
    }

    /// Counts a daemon's connection for as long as the value lives.
    pub(crate) fn daemon_online(self: &Arc<Self>, daemon: &Arc<str>, limit: Option<u32>) -> Online {
        let mut state = self.state();
        let entries = state.daemons.entry(Arc::clone(daemon)).or_default();
        entries.links += 1;
        entries.limit = limit;
        Online { registry: Arc::clone(self), daemon: Arc::clone(daemon) }
    }

    /// Whether a daemon is connected.
    pub(crate) fn is_online(&self, daemon: &str) -> bool {
        let state = self.state();
        state.daemons.get(daemon).is_some_and(|it| it.links > 0)
    }

    fn change(&self, daemon: &Arc<str>, change: impl FnOnce(&mut State, &Arc<str>)) {
        let mut state = self.state();
        change(&mut state, daemon);
        if let Entry::Occupied(entry) = state.daemons.entry(Arc::clone(daemon))
            && entry.get().sessions == 0
            && entry.get().links == 0
        {
            entry.remove();
        }
    }
}

/// A session id in use. Given back when dropped.
pub(crate) struct Lease {
    registry: Arc<Registry>,
    daemon: Arc<str>,
    session: SessionId,
}

impl Lease {
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.registry.change(&self.daemon, |state, daemon| {
            state.taken.remove(&self.session);
            if let Some(entries) = state.daemons.get_mut(daemon) {
                entries.sessions -= 1;
            }
        });
    }
}

/// A daemon's connection. Counted out when dropped.
pub(crate) struct Online {
    registry: Arc<Registry>,
    daemon: Arc<str>,
}

impl Drop for Online {
    fn drop(&mut self) {
        self.registry.change(&self.daemon, |state, daemon| {
            if let Some(entries) = state.daemons.get_mut(daemon) {
                entries.links -= 1;
            }
        });
    }
}
