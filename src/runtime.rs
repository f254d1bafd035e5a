//! The process's one tokio runtime. It starts with the first connection and outlives every environment: `worker_threads`
//! and reloads come and go above it.

use std::sync::Mutex;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::lock;

/// Enough for two busy links; a link's own work is never spread.
const WORKERS: usize = 2;

static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// The runtime, started if it was not yet.
///
/// # Errors
/// The system gives no threads; the next call tries again.
pub(crate) fn handle() -> napi::Result<Handle> {
    let mut runtime = lock(&RUNTIME);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let started =
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("sideband-io")
            .enable_all()
            .build()
            .map_err(|error| napi::Error::from_reason(format!("the I/O threads could not be started: {error}")))?;
    Ok(runtime.insert(started).handle().clone())
}
