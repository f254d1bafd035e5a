//! Faults for tests, which must show that a panic costs one operation and nothing else (`__test__/process-panics.test.mjs`).
//!
//! Nothing of this can be reached in a program: the one export that arms a fault is there only where the environment
//! variable `SIDEBAND_TEST_HOOKS` is `1` when the addon is loaded. What is left otherwise is one relaxed load per point.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use napi::Env;
use napi::bindgen_prelude::{JsObjectValue, Object};
use napi_derive::napi;

use crate::options;

/// Where a fault can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub(crate) enum Point {
    /// The synchronous export `call`, while it has the environment's table.
    Call,
    /// The synchronous exports by which JavaScript answers a question.
    Answer,
    /// A client's task, when a call was answered.
    Result,
    /// A daemon's task, when a request came in.
    Request,
    /// A daemon's task, when its link came back.
    Link,
    /// The task of a request to the control plane.
    Api,
    /// The callback that hands a batch of records to JavaScript.
    Batch,
}

/// The points by the names that tests know.
const POINTS: [(&str, Point); 7] = [
    ("call", Point::Call),
    ("answer", Point::Answer),
    ("result", Point::Result),
    ("request", Point::Request),
    ("link", Point::Link),
    ("api", Point::Api),
    ("batch", Point::Batch),
];

/// Whether any fault was ever armed.
static ARMED: AtomicBool = AtomicBool::new(false);

/// How often each point has to panic yet.
static LEFT: [AtomicU32; POINTS.len()] = [const { AtomicU32::new(0) }; POINTS.len()];

/// Panics, if a test wants it here.
pub(crate) fn reach(point: Point) {
    if ARMED.load(Ordering::Relaxed) {
        fall(point);
    }
}

#[cold]
fn fall(point: Point) {
    let left = &LEFT[point as usize];
    let wanted = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |times| times.checked_sub(1)).is_ok();
    assert!(!wanted, "a test wanted a panic here: {point:?}");
}

/// Makes a point panic the next so many times that it is reached.
#[napi(no_export)]
pub fn panic_at(point: String, times: u32) -> napi::Result<()> {
    let found = POINTS.iter().find(|(name, _)| *name == point);
    let (_, point) = found.ok_or_else(|| options::invalid("there is no such point"))?;
    LEFT[*point as usize].store(times, Ordering::Release);
    ARMED.store(true, Ordering::Release);
    Ok(())
}

/// Adds the export where the program's environment asks for it.
#[napi(module_exports)]
pub fn test_hooks(mut exports: Object<'_>, _env: Env) -> napi::Result<()> {
    if std::env::var_os("SIDEBAND_TEST_HOOKS").is_some_and(|value| value == "1") {
        exports.create_named_method("panicAt", panic_at_c_callback)?;
    }
    Ok(())
}
