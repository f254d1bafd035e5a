//! Deadlines of many sessions in one place, so that an idle one costs nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longer than any program runs, and a time that every clock can still tell.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The deadline of what may take so long.
pub(crate) fn after(now: Instant, time: Duration) -> Instant {
    now + time.min(FOREVER)
}

/// Which keys may have something due, and when. An entry is a hint: the owner looks at the key when it comes up, and
/// schedules it again where its real deadline lies later. It keeps to one entry a key.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    entries: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { entries: BTreeSet::new() }
    }

    pub(crate) fn schedule(&mut self, at: Instant, key: K) {
        self.entries.insert((at, key));
    }

    pub(crate) fn cancel(&mut self, at: Instant, key: K) {
        self.entries.remove(&(at, key));
    }

    /// Takes one key whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<K> {
        let (at, _) = self.entries.first()?;
        (*at <= now).then(|| self.entries.pop_first()).flatten().map(|(_, key)| key)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
