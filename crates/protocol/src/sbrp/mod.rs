//! SBRP, the Sideband Relay Protocol: one frame per binary WebSocket message, numbers big-endian
//! (section 1).
//!
//! ```text
//! offset 0   type        u8
//!        1   length      u32   payload bytes, header not counted
//!        5   session id  u64
//!       13   payload     0..65536 bytes
//! ```
//!
//! An endpoint reads with [`Frame::decode`], the relay with [`Frame::decode_for_relay`]; the
//! `encode_*` functions write. A Data frame is written by
//! [`Sealer::seal`](crate::session::Sealer::seal), in the buffer that holds its plaintext.

mod control;
mod encode;
mod frame;
mod session_id;

pub use control::ControlCode;
pub use encode::{
    encode_control, encode_handshake_accept, encode_handshake_init, encode_ping, encode_pong, encode_signal,
    write_header,
};
pub use frame::{Frame, FrameError};
pub use session_id::SessionId;

/// Bytes of the header in front of every payload.
pub const HEADER_LEN: usize = 13;

/// Most bytes a payload may have.
pub const MAX_PAYLOAD: usize = 65_536;

/// Bytes of a [`Frame::HandshakeInit`] payload: the client's ephemeral X25519 public key.
pub const HANDSHAKE_INIT_LEN: usize = 32;

/// Bytes of a [`Frame::HandshakeAccept`] payload: identity key (32), daemon's ephemeral key (32),
/// signature (64).
pub const HANDSHAKE_ACCEPT_LEN: usize = 128;

/// Least bytes of a [`Frame::Data`] payload: nonce (12) and tag (16) around an empty plaintext.
pub const MIN_DATA_LEN: usize = 28;

/// Most bytes that a Ping carries, and its Pong gives back.
pub const MAX_PING_LEN: usize = 8;

/// The type byte of a frame.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
#[repr(u8)]
pub enum FrameType {
    /// Client → daemon: opens a handshake.
    HandshakeInit = 0x01,
    /// Daemon → client: answers it.
    HandshakeAccept = 0x02,
    /// Both ways between client and daemon: one encrypted message.
    Data = 0x03,
    /// Daemon → relay: what is to become of a session.
    Signal = 0x04,
    /// Any → any: answered with a Pong at once.
    Ping = 0x10,
    /// The answer to a Ping, with its bytes.
    Pong = 0x11,
    /// Relay → endpoint: a state change or an error.
    Control = 0x20,
}

impl FrameType {
    /// The type that `byte` stands for; `None` for every reserved, vendor or later value.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::HandshakeInit,
            0x02 => Self::HandshakeAccept,
            0x03 => Self::Data,
            0x04 => Self::Signal,
            0x10 => Self::Ping,
            0x11 => Self::Pong,
            0x20 => Self::Control,
            _ => return None,
        })
    }
}

/// Who wrote a frame, for [`may_send`].
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Sender {
    /// The side with one session.
    Client,
    /// The side with the identity key and many sessions.
    Daemon,
    /// The one in the middle.
    Relay,
}

/// Whether `sender` may be the author of a frame of this type. What the relay merely forwards is
/// its author's.
pub fn may_send(sender: Sender, frame_type: FrameType) -> bool {
    match frame_type {
        FrameType::HandshakeInit => sender == Sender::Client,
        FrameType::HandshakeAccept | FrameType::Signal => sender == Sender::Daemon,
        FrameType::Data => sender != Sender::Relay,
        FrameType::Ping | FrameType::Pong => true,
        FrameType::Control => sender == Sender::Relay,
    }
}

/// What a daemon tells the relay about one of its sessions.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Signal {
    /// The session's state is intact; go on.
    Ready = 0x00,
    /// The session is over.
    Close = 0x01,
}

impl Signal {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::Ready),
            0x01 => Some(Self::Close),
            _ => None,
        }
    }
}

/// Why a daemon sends a [`Signal`].
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum SignalReason {
    /// No reason given, or one of a later version.
    None = 0,
    /// The daemon no longer has the session's keys or sequences.
    StateLost = 1,
    /// The daemon is going away in order.
    Shutdown = 2,
    /// The daemon does not want the session.
    Policy = 3,
    /// The session failed on the daemon's side.
    Error = 4,
}

impl SignalReason {
    /// An unknown reason is read as none.
    fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::StateLost,
            2 => Self::Shutdown,
            3 => Self::Policy,
            4 => Self::Error,
            _ => Self::None,
        }
    }
}
