//! What everything on one shard shares: limits, metrics, and the memory that may wait.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use prometheus_client::metrics::gauge::Gauge;

use crate::{
    limits::Limits,
    metrics::{Metrics, ShardMetrics},
};

/// What a receiver may always have waiting, however little memory is left for all.
const FAIR_SHARE: usize = 64 * 1024;

/// One shard's surroundings.
pub(crate) struct Context {
    limits: RefCell<Arc<Limits>>,
    /// The shards' number, among which the memory is divided.
    shards: usize,
    /// Bytes that wait on this shard.
    waiting: Cell<usize>,
    waiting_gauge: Gauge,
    /// The last number that was given to a [`Link`](super::link::Link)'s round of waking.
    rounds: Cell<u64>,
    pub(crate) metrics: Arc<Metrics>,
    /// Those that only this shard writes to.
    pub(crate) own: ShardMetrics,
}

impl Context {
    pub(crate) fn new(limits: Arc<Limits>, metrics: Arc<Metrics>, shard: usize, shards: usize) -> Self {
        let own = metrics.shard(shard);
        Self {
            limits: RefCell::new(limits),
            shards,
            waiting: Cell::new(0),
            waiting_gauge: own.queued.clone(),
            rounds: Cell::new(0),
            metrics,
            own,
        }
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.borrow())
    }

    pub(crate) fn set_limits(&self, limits: Arc<Limits>) {
        *self.limits.borrow_mut() = limits;
    }

    /// A number that no link on this shard has had for a round, and never 0.
    pub(crate) fn next_round(&self) -> u64 {
        self.rounds.set(self.rounds.get() + 1);
        self.rounds.get()
    }

    /// That many bytes more wait on this shard.
    pub(crate) fn wait(&self, bytes: usize) {
        self.waiting.set(self.waiting.get() + bytes);
    }

    /// That many no longer do.
    pub(crate) fn done(&self, bytes: usize) {
        self.waiting.set(self.waiting.get() - bytes);
    }

    /// Tells the metrics; once per turn of a connection is enough.
    pub(crate) fn publish(&self) {
        self.waiting_gauge.set(i64::try_from(self.waiting.get()).unwrap_or(i64::MAX));
    }

    /// Counts that somebody who has that many bytes waiting is full: for `own` limit, or because
    /// there is too little memory left for all.
    pub(crate) fn count_full(&self, own: &'static str, bytes: usize) {
        self.metrics.limit(if self.is_over(bytes) { "memory_bytes" } else { own });
    }

    /// Whether somebody who has that many bytes waiting has too many for the memory that is left.
    pub(crate) fn is_over(&self, bytes: usize) -> bool {
        bytes >= FAIR_SHARE && self.waiting.get() >= self.limits.borrow().memory_bytes / self.shards
    }
}
