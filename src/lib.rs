//! The N-API boundary of Sideband: strings, bytes and numbers in, batches of records out, and nothing else. Classes,
//! defaults and argument checks are JavaScript (`lib/`); protocol, timeouts and reconnects are the engine.
//!
//! Every function here is synchronous and cheap. What happens later comes back through the one dispatch function of the
//! environment that asked ([`environment`]), as records in one buffer ([`record`]), taken in one go ([`queue`]).
//!
//! No panic reaches the host: every export runs under [`guard`], the engine catches those of its tasks.

#![cfg_attr(test, allow(dead_code, reason = "in test builds napi registers no exports"))]
#![allow(clippy::needless_pass_by_value, reason = "napi hands values over")]
#![allow(unreachable_pub, reason = "exports are reached through napi's registration")]

mod asks;
mod dialers;
mod environment;
mod failure;
mod hooks;
mod host;
mod keys;
mod options;
mod peers;
mod queue;
mod record;
mod runtime;
mod servers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Runs an export's body; a panic in it becomes a JavaScript error.
fn guard<T>(body: impl FnOnce() -> napi::Result<T>) -> napi::Result<T> {
    catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|_| Err(napi::Error::from_reason("internal fault: a panic was caught in the addon")))
}

/// Locks; what a panic elsewhere left behind is still whole, because nothing here panics halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
