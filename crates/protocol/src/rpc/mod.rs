//! The RPC envelope: calls, answers and events as JSON in the data of SBP messages (section 4).
//!
//! An envelope is parsed, what it carries is not: parameters, results and data pass through as the
//! JSON text they came as, so that JavaScript prints and parses them and nothing in between does.

mod decode;
mod encode;
mod nesting;

use std::borrow::Cow;

pub use decode::EnvelopeError;
pub use encode::{write_error, write_notification, write_request, write_success};
pub use nesting::{MAX_NESTING, exceeds_nesting};

use crate::sbp::FrameId;

/// The codes of an [`Envelope::Error`], and of what a receiver reports. Only
/// [`NO_METHOD`](code::NO_METHOD) and applications' own codes travel.
pub mod code {
    /// The envelope is malformed.
    pub const INVALID_ENVELOPE: u16 = 1100;
    /// The called side has no such method.
    pub const NO_METHOD: u16 = 1101;
    /// A response that matches no call.
    pub const CORRELATION_MISMATCH: u16 = 1102;
    /// The answer did not come in time.
    pub const TIMEOUT: u16 = 1103;
    /// The envelope does not belong under its subject.
    pub const SUBJECT_MISMATCH: u16 = 1104;
    /// A handler threw, or its result did not fit: the first of the applications' codes.
    pub const HANDLER_FAILED: u16 = 2000;
}

/// One envelope. Payloads are raw JSON text: a `null` that is there is `Some("null")`, one that is
/// left out is `None`.
#[derive(Clone, PartialEq, Debug)]
pub enum Envelope<'a> {
    /// A call.
    Request {
        /// What is called; any string.
        method: Cow<'a, str>,
        /// The parameters.
        params: Option<&'a str>,
        /// What the answer copies.
        cid: FrameId,
    },
    /// A call's result.
    Success {
        /// The call's.
        cid: FrameId,
        /// What the call gives.
        result: Option<&'a str>,
    },
    /// A call's failure.
    Error {
        /// The call's.
        cid: FrameId,
        /// One of [`code`], or any other number.
        code: f64,
        /// For people.
        message: Cow<'a, str>,
        /// More about it.
        data: Option<&'a str>,
    },
    /// An event.
    Notification {
        /// A valid event name.
        name: Cow<'a, str>,
        /// What happened.
        data: Option<&'a str>,
    },
}
