//! SBP, the Sideband Protocol: what travels inside Data frames, or bare on a direct WebSocket
//! (section 3). Numbers are little-endian.
//!
//! ```text
//! offset 0   kind       u8   0 control, 1 message, 2 ack, 3 error
//!        1   flags      u8   bit 0: a timestamp follows the id; bits 1–7 are 0
//!        2   frame id   16 random bytes
//!       18   [timestamp i64, milliseconds since 1970]
//!            payload
//! ```
//!
//! Both sides send a [`Hello`] in a [`Frame::Handshake`] first, and wait for none. From then on a
//! frame that does not decode is reported and skipped.

mod decode;
mod encode;
mod frame_id;
mod hello;

pub use decode::InvalidFrame;
pub use encode::write_message_head;
pub use frame_id::FrameId;
pub use hello::{Hello, HelloError};

/// Most bytes of a subject.
pub const MAX_SUBJECT_LEN: usize = 256;

/// The codes of a [`Frame::Error`].
pub mod code {
    /// The peer broke the protocol. Fatal.
    pub const PROTOCOL_VIOLATION: u16 = 1000;
    /// The peer speaks another protocol or version. Fatal.
    pub const UNSUPPORTED_VERSION: u16 = 1001;
    /// A frame did not decode.
    pub const INVALID_FRAME: u16 = 1002;
    /// The peer asked for what this side does not do.
    pub const UNSUPPORTED_FEATURE: u16 = 1003;

    /// Whether an error of this code ends the session.
    pub fn is_fatal(code: u16) -> bool {
        matches!(code, PROTOCOL_VIOLATION | UNSUPPORTED_VERSION)
    }
}

/// What a message is about.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Subject<'a> {
    /// `rpc`: a request, a success or an error of [`rpc`](crate::rpc).
    Rpc,
    /// `event`: a notification of [`rpc`](crate::rpc).
    Event,
    /// `stream`: reserved.
    Stream,
    /// An application's own: the whole subject, `app/` included.
    App(&'a str),
}

impl<'a> Subject<'a> {
    /// Reads a subject: one of the three words, or `app/` and anything behind it; at most
    /// [`MAX_SUBJECT_LEN`] bytes and no NUL. `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text {
            "rpc" => Some(Self::Rpc),
            "event" => Some(Self::Event),
            "stream" => Some(Self::Stream),
            _ => {
                let fits = text.len() <= MAX_SUBJECT_LEN && !text.contains('\0');
                (fits && text.starts_with("app/")).then_some(Self::App(text))
            }
        }
    }

    /// The text on the wire.
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Rpc => "rpc",
            Self::Event => "event",
            Self::Stream => "stream",
            Self::App(text) => text,
        }
    }
}

/// One frame, borrowing from the message it was read from.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Frame<'a> {
    /// The first frame of either side.
    Handshake {
        /// The frame's id.
        id: FrameId,
        /// A [`Hello`] as JSON; never empty.
        data: &'a [u8],
    },
    /// To be answered with a [`Pong`](Self::Pong).
    Ping {
        /// The frame's id.
        id: FrameId,
    },
    /// The answer to a Ping.
    Pong {
        /// The frame's own id.
        id: FrameId,
    },
    /// The peer ends the session.
    Close {
        /// The frame's id.
        id: FrameId,
        /// Why, for people; `None` when nothing is said.
        reason: Option<&'a str>,
    },
    /// Data under a subject.
    Message {
        /// The frame's id, which a request's `cid` repeats.
        id: FrameId,
        /// Milliseconds since 1970, when the sender says.
        timestamp: Option<i64>,
        /// What it is about.
        subject: Subject<'a>,
        /// An [`Envelope`](crate::rpc::Envelope) for `rpc` and `event`, any bytes for `app/`.
        data: &'a [u8],
    },
    /// An acknowledgement. Nobody sends one today.
    Ack {
        /// The frame's own id.
        id: FrameId,
        /// The acknowledged frame's.
        acked: FrameId,
    },
    /// The peer reports a fault.
    Error {
        /// The frame's id.
        id: FrameId,
        /// One of [`code`], or any other.
        code: u16,
        /// For people.
        message: &'a str,
        /// Any bytes, often none.
        details: &'a [u8],
    },
}

/// The byte at offset 0.
mod kind {
    pub(super) const CONTROL: u8 = 0;
    pub(super) const MESSAGE: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const ERROR: u8 = 3;
}

/// The first payload byte of a control frame.
mod op {
    pub(super) const HANDSHAKE: u8 = 0;
    pub(super) const PING: u8 = 1;
    pub(super) const PONG: u8 = 2;
    pub(super) const CLOSE: u8 = 3;
}

/// The flag of a timestamp behind the id; no other flag exists.
const FLAG_TIMESTAMP: u8 = 1;
