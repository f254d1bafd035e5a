//! The completion queue of one environment: owner tasks append records, JavaScript takes all of them at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sideband::host::Gate;

use crate::record::Record;
use crate::{guard, lock};

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

    /// Whoever was called may never come: what there is wants another wake.
    pub(crate) fn forget_wake(&self) {
        lock(&self.batch).awake = false;
        self.unannounced.store(true, Ordering::Release);
    }

    /// Takes everything, in order. The next record wakes JavaScript again.
    ///
    /// # Errors
    /// What `read` fails with, or that it panicked. Everything stays in the queue then, and wants another wake.
    pub(crate) fn take<T>(&self, read: impl FnOnce(&[u8]) -> napi::Result<T>) -> napi::Result<T> {
        let (mut taken, records) = {
            let mut batch = lock(&self.batch);
            batch.awake = false;
            let records = std::mem::take(&mut batch.records);
            let spare = std::mem::take(&mut batch.spare);
            let taken = std::mem::replace(&mut batch.bytes, spare);
            // Under the lock, so that a gate closed for the next batch stays closed.
            self.gate.open();
            (taken, records)
        };
        let result = guard(|| read(&taken));
        let mut batch = lock(&self.batch);
        if result.is_err() {
            taken.extend_from_slice(&batch.bytes);
            batch.bytes = taken;
            batch.records += records;
            self.unannounced.store(true, Ordering::Release);
        } else if taken.capacity() <= KEPT_CAPACITY {
            taken.clear();
            batch.spare = taken;
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

    /// How many bytes there were.
    fn take(queue: &Queue) -> usize {
        queue.take(|batch| Ok(batch.len())).expect("nothing fails here")
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
        assert_eq!(take(&queue), 3 * (HEADER_LEN + 1));
        assert!(!queue.wants_wake());
        push(&queue, "d");
        assert!(queue.wants_wake());
    }

    #[test]
    fn a_record_taken_before_its_flush_needs_no_wake() {
        let queue = Queue::default();
        push(&queue, "a");
        take(&queue);
        assert!(!queue.wants_wake());
    }

    #[test]
    fn a_wake_that_is_forgotten_comes_again() {
        let queue = Queue::default();
        push(&queue, "a");
        assert!(queue.wants_wake());
        queue.forget_wake();
        assert!(queue.wants_wake());
        take(&queue);
        queue.forget_wake();
        assert!(!queue.wants_wake(), "there is nothing");
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
        take(&queue);
        assert!(queue.gate().is_open());
        for _ in 0..HIGH_WATER_RECORDS {
            assert!(queue.gate().is_open());
            push(&queue, "");
        }
        assert!(!queue.gate().is_open());
    }

    #[test]
    fn what_could_not_be_taken_stays_in_front_and_wants_a_wake() {
        let queue = Queue::default();
        push(&queue, "a");
        assert!(queue.wants_wake());
        let failed = queue.take(|_| {
            push(&queue, "b");
            if queue.gate().is_open() { panic!("as if by a fault") } else { Ok(()) }
        });
        assert!(failed.is_err());
        assert!(queue.wants_wake());
        let texts = queue.take(|batch| Ok([batch[HEADER_LEN], batch[2 * HEADER_LEN + 1]]));
        assert_eq!(texts.expect("both"), *b"ab");
        assert!(!queue.wants_wake());
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        let queue = Queue::default();
        push(&queue, &"x".repeat(2 * KEPT_CAPACITY));
        take(&queue);
        assert!(lock(&queue.batch).spare.capacity() <= KEPT_CAPACITY);
    }
}
