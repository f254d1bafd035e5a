//! Calls that wait for their answer.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use sideband_protocol::sbp::FrameId;

use crate::host::CallId;

/// The calls of one peer, found by correlation id, by call number, and by the time at which they give up. Its size is
/// bounded by the caller, who holds one number a call and whose calls all time out.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_cid: HashMap<FrameId, (CallId, Instant)>,
    by_call: HashMap<CallId, FrameId>,
    deadlines: BTreeSet<(Instant, CallId)>,
}

impl Pending {
    /// A number that is still in use is forgotten as its first call's.
    pub(super) fn insert(&mut self, cid: FrameId, call: CallId, deadline: Instant) {
        self.cancel(call);
        self.by_cid.insert(cid, (call, deadline));
        self.by_call.insert(call, cid);
        self.deadlines.insert((deadline, call));
    }

    /// Takes the call that this answer belongs to.
    pub(super) fn take(&mut self, cid: FrameId) -> Option<CallId> {
        let (call, deadline) = self.by_cid.remove(&cid)?;
        self.by_call.remove(&call);
        self.deadlines.remove(&(deadline, call));
        Some(call)
    }

    pub(super) fn cancel(&mut self, call: CallId) -> bool {
        self.by_call.get(&call).copied().is_some_and(|cid| self.take(cid).is_some())
    }

    /// Takes one call whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<CallId> {
        let (deadline, call) = *self.deadlines.first()?;
        (deadline <= now && self.cancel(call)).then_some(call)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes every call, oldest deadline first.
    pub(super) fn drain(&mut self) -> Vec<CallId> {
        self.by_cid.clear();
        self.by_call.clear();
        std::mem::take(&mut self.deadlines).into_iter().map(|(_, call)| call).collect()
    }
}
