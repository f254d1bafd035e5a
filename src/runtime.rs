//! The process's I/O threads. They start with the first connection and outlive every environment: `worker_threads` and
//! reloads come and go above them.
//!
//! Each thread has a runtime of its own: a link lives on one thread for good, and a frame that arrives is handled by the
//! thread that the socket woke. A work-stealing runtime would wake a second thread to look for work (measured: a lone call
//! takes a fifth longer).

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};

use crate::lock;

/// Enough for two busy links; a link's own work is never spread.
const THREADS: usize = 2;

static RUNTIMES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The runtime for the next connection: the threads take turns.
///
/// # Errors
/// The system gives no threads; the next call tries again.
pub(crate) fn handle() -> napi::Result<Handle> {
    let mut runtimes = lock(&RUNTIMES);
    while runtimes.len() < THREADS {
        let started = start()
            .map_err(|error| napi::Error::from_reason(format!("the I/O threads could not be started: {error}")))?;
        runtimes.push(started);
    }
    let turn = NEXT.fetch_add(1, Ordering::Relaxed) % runtimes.len();
    Ok(runtimes[turn].clone())
}

/// A thread that runs what is spawned on its handle, for as long as the process lives.
fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let forever = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("sideband-io".into()).spawn(forever)?;
    Ok(handle)
}
