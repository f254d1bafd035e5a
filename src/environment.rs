//! A JavaScript environment (the main thread's, a worker's, a reload's) and everything that belongs to it. It goes down
//! with its environment, before teardown: nothing of one environment can be reached from another.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use napi::bindgen_prelude::{BufferSlice, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use napi::{Env, Status};
use napi_derive::napi;
use sideband::error::Error;
use sideband::peer::PeerHandle;

use crate::asks::Asks;
use crate::hooks::{self, Point};
use crate::queue::Queue;
use crate::record::{Kind, Record};
use crate::servers::Server;
use crate::{failure, guard, lock};

/// One batch of records, or nothing where it could not be handed over this time.
type Handed = Option<BufferSlice<'static>>;

/// Calls JavaScript with one batch. Weak: it keeps no process alive.
type Waker = ThreadsafeFunction<(), UnknownReturnValue, Handed, Status, false, true>;

thread_local! {
    /// The environments of this thread by address. Mostly one; a module loaded in several `vm` contexts has more.
    static ENVIRONMENTS: RefCell<Vec<(usize, Arc<Environment>)>> = const { RefCell::new(Vec::new()) };
}

/// What lives in an environment, by the numbers that JavaScript has.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) peers: HashMap<u32, PeerHandle>,
    pub(crate) servers: HashMap<u32, Server>,
    /// The environment is going down: nothing new is taken in.
    closed: bool,
}

impl Table {
    /// Fails where nothing may start any more.
    pub(crate) fn ensure_open(&self) -> napi::Result<()> {
        if self.closed { Err(napi::Error::from_reason("the environment is going down")) } else { Ok(()) }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Environment {
    pub(crate) queue: Queue,
    pub(crate) asks: Asks,
    pub(crate) table: Mutex<Table>,
    /// `None` before the start is complete and after the end.
    waker: Mutex<Option<Waker>>,
    /// The last batch could not be handed over, which is told once.
    failing: AtomicBool,
}

impl Environment {
    /// The environment that an export was called in.
    ///
    /// # Errors
    /// `start` was not called.
    pub(crate) fn of(env: Env) -> napi::Result<Arc<Self>> {
        let address = env.raw() as usize;
        ENVIRONMENTS
            .with_borrow(|all| all.iter().find(|(owner, _)| *owner == address).map(|(_, found)| Arc::clone(found)))
            .ok_or_else(|| napi::Error::from_reason("start() comes first"))
    }

    /// Queues a record; [`Environment::announce`] brings it to JavaScript.
    pub(crate) fn push(&self, record: &Record<'_>) {
        self.queue.push(record);
    }

    /// Calls JavaScript, unless it is awake or there is nothing to tell.
    pub(crate) fn announce(&self) {
        if self.queue.wants_wake()
            && let Some(waker) = &*lock(&self.waker)
        {
            // An environment that is closing takes nothing more, and needs nothing more.
            let _ = waker.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// The next batch, on the JavaScript thread. One that could not be handed over is handed over at the next turn: an error
    /// from here would end the program.
    fn hand_over(&self, env: Env) -> Handed {
        let copied = self.queue.take(|batch| {
            hooks::reach(Point::Batch);
            BufferSlice::copy_from(&env, batch)
        });
        let failing = copied.is_err();
        if failing {
            if !self.failing.swap(true, Ordering::Relaxed) {
                let error = failure::to_json(&Error::Internal("a batch could not be handed over; trying again".into()));
                self.push(&Record::new(Kind::Unhandled, 0).text1(&error));
            }
            self.announce();
        } else {
            self.failing.store(false, Ordering::Relaxed);
        }
        copied.ok()
    }

    /// Ends everything. Tasks that still run find nobody to tell.
    fn shut_down(&self) {
        drop(lock(&self.waker).take());
        self.asks.shut_down();
        let (peers, servers) = {
            let mut table = lock(&self.table);
            table.closed = true;
            (std::mem::take(&mut table.peers), std::mem::take(&mut table.servers))
        };
        for peer in peers.values() {
            peer.close();
        }
        // A server that is dropped closes.
        drop(servers);
        // Whoever waits at the gate shall see the end.
        let _ = self.queue.take(|_| Ok(()));
    }
}

/// Says where the environment's records go: every batch of them to `dispatch`, which must not throw; `null` is no batch. A
/// second call, by JavaScript that was loaded anew over the same addon (test runners do that for every file), takes over.
#[napi]
pub fn start(env: Env, dispatch: Function<'_, Handed, UnknownReturnValue>) -> napi::Result<()> {
    guard(|| {
        let known = Environment::of(env).ok();
        let is_new = known.is_none();
        let environment = known.unwrap_or_default();
        // Not the other way round: the environment owns the waker.
        let source = Arc::downgrade(&environment);
        let waker =
            dispatch.build_threadsafe_function::<()>().callee_handled::<false>().weak::<true>().build_callback(
                move |call| Ok(source.upgrade().and_then(|environment| environment.hand_over(call.env))),
            )?;
        let former = lock(&environment.waker).replace(waker);
        drop(former);
        if !is_new {
            environment.queue.forget_wake();
            environment.announce();
            return Ok(());
        }
        let address = env.raw() as usize;
        let ending = Arc::clone(&environment);
        env.add_env_cleanup_hook(ending, move |environment| {
            // Nobody is left to hear of a panic here.
            let _ = guard(|| {
                // The thread's own storage may be gone before the environment is.
                let _ = ENVIRONMENTS.try_with(|all| all.borrow_mut().retain(|(owner, _)| *owner != address));
                environment.shut_down();
                Ok(())
            });
        })?;
        ENVIRONMENTS.with_borrow_mut(|all| all.push((address, environment)));
        Ok(())
    })
}

/// The addon's version, which must be the package's.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
