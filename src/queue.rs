//! The completion queue of one environment: owner tasks append records, JavaScript takes all of them at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sideband::host::Gate;

use crate::lock;
use crate::record::Record;

/// Bytes waiting for JavaScript above which connections are left unread: a heap's worth of a stalled event loop, no more.
const HIGH_WATER_BYTES: usize = 8 << 20;

/// Records waiting above which connections are left unread: a few tens of milliseconds of work for JavaScript.
const HIGH_WATER_RECORDS: usize = 16_384;

/// The largest buffer kept for the next batch.
const KEPT_CAPACITY: usize = 1 << 20;

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    records: usize,
    /// An emptied buffer, so that a steady stream does not allocate.
    spare: Vec<u8>,
    /// JavaScript was called and has not taken anything yet.
    awake: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Queue {
    batch: Mutex<Batch>,
    /// Something was appended that JavaScript was not called for. Spares the lock of every flush that has nothing to say.
    unannounced: AtomicBool,
    gate: Gate,
}

impl Queue {
    /// Appends a record. Past the high-water mark the gate closes, until JavaScript takes what there is.
    pub(crate) fn push(&self, record: &Record<'_>) {
        let mut batch = lock(&self.batch);
        record.write(&mut batch.bytes);
        batch.records += 1;
        if batch.bytes.len() >= HIGH_WATER_BYTES || batch.records >= HIGH_WATER_RECORDS {
            self.gate.close();
        }
        if !batch.awake {
            self.unannounced.store(true, Ordering::Release);
        }
    }

    /// Whether JavaScript has to be called now. Says yes once per batch: whoever hears it makes the call.
    pub(crate) fn wants_wake(&self) -> bool {
        if !self.unannounced.swap(false, Ordering::AcqRel) {
            return false;
        }
        let mut batch = lock(&self.batch);
        if batch.awake || batch.bytes.is_empty() {
            return false;
        }
        batch.awake = true;
        true
    }

    /// Takes everything, in order. The next record wakes JavaScript again.
    pub(crate) fn take<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        let mut taken = {
            let mut batch = lock(&self.batch);
            batch.awake = false;
            batch.records = 0;
            let spare = std::mem::take(&mut batch.spare);
            let taken = std::mem::replace(&mut batch.bytes, spare);
            // Under the lock, so that a gate closed for the next batch stays closed.
            self.gate.open();
            taken
        };
        let result = read(&taken);
        if taken.capacity() <= KEPT_CAPACITY {
            taken.clear();
            lock(&self.batch).spare = taken;
        }
        result
    }

    /// Closed while JavaScript is behind.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{HEADER_LEN, Kind};

    fn push(queue: &Queue, text: &str) {
        queue.push(&Record::new(Kind::Event, 1).text1(text));
    }

    #[test]
    fn one_wake_for_everything_that_gathers() {
        let queue = Queue::default();
        assert!(!queue.wants_wake());
        push(&queue, "a");
        push(&queue, "b");
        assert!(queue.wants_wake());
        push(&queue, "c");
        assert!(!queue.wants_wake(), "JavaScript is called already");
        let length = queue.take(<[u8]>::len);
        assert_eq!(length, 3 * (HEADER_LEN + 1));
        assert!(!queue.wants_wake());
        push(&queue, "d");
        assert!(queue.wants_wake());
    }

    #[test]
    fn a_record_taken_before_its_flush_needs_no_wake() {
        let queue = Queue::default();
        push(&queue, "a");
        queue.take(|_| ());
        assert!(!queue.wants_wake());
    }

    #[test]
    fn the_gate_closes_at_either_limit_and_opens_when_all_is_taken() {
        let queue = Queue::default();
        let large = "x".repeat(64 << 10);
        for _ in 0..HIGH_WATER_BYTES / large.len() {
            assert!(queue.gate().is_open());
            push(&queue, &large);
        }
        assert!(!queue.gate().is_open());
        queue.take(|_| ());
        assert!(queue.gate().is_open());
        for _ in 0..HIGH_WATER_RECORDS {
            assert!(queue.gate().is_open());
            push(&queue, "");
        }
        assert!(!queue.gate().is_open());
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let queue = Queue::default();
        push(&queue, &"x".repeat(2 * KEPT_CAPACITY));
        queue.take(|_| ());
        assert!(lock(&queue.batch).spare.capacity() <= KEPT_CAPACITY);
    }
}
