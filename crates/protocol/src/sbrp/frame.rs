//! Reading frames, with every refusal by name and in the contract's order.

use std::borrow::Cow;

use super::{
    ControlCode, FrameType, HANDSHAKE_ACCEPT_LEN, HANDSHAKE_INIT_LEN, HEADER_LEN, MAX_PAYLOAD, MAX_PING_LEN,
    MIN_DATA_LEN, SessionId, Signal, SignalReason,
};

/// Bytes of a Control's code, in front of its text.
const CODE_LEN: usize = 2;

/// One decoded frame, borrowing its payload from the message.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Frame<'a> {
    /// A client opens a handshake.
    HandshakeInit {
        /// The session it opens.
        session: SessionId,
        /// The client's ephemeral X25519 public key.
        payload: &'a [u8],
    },
    /// A daemon answers it.
    HandshakeAccept {
        /// The session it is about.
        session: SessionId,
        /// Identity key, the daemon's ephemeral key, signature.
        payload: &'a [u8],
    },
    /// One encrypted message.
    Data {
        /// The session whose keys seal it.
        session: SessionId,
        /// Nonce, ciphertext, tag; for [`Opener::open`](crate::session::Opener::open).
        payload: &'a [u8],
    },
    /// A daemon's word about one of its sessions.
    Signal {
        /// The session it is about.
        session: SessionId,
        /// `None` for a signal byte of a later version, which is ignored.
        signal: Option<Signal>,
        /// Why.
        reason: SignalReason,
    },
    /// To be answered at once with a [`Pong`](Self::Pong) of the same bytes.
    Ping(&'a [u8]),
    /// The answer to a Ping.
    Pong(&'a [u8]),
    /// The relay's word.
    Control {
        /// The session it is about, 0 for none.
        session: u64,
        /// What happened.
        code: ControlCode,
        /// A diagnostic for logs; nobody decides anything by it.
        text: Cow<'a, str>,
    },
}

/// Why a message is not a frame. It is always the sender's fault, and a relay answers it with
/// [`control_code`](Self::control_code).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header, not as long as the header says, or a payload size that the type does
    /// not have.
    #[error("malformed_frame: not one whole frame of its type")]
    MalformedFrame,
    /// The announced length is over [`MAX_PAYLOAD`].
    #[error("payload_too_large: more than {MAX_PAYLOAD} bytes announced")]
    PayloadTooLarge,
    /// A type byte of no known type.
    #[error("invalid_frame_type: unknown type byte")]
    InvalidFrameType,
    /// No session where the type needs one, or one where it has none.
    #[error("invalid_session_id: the id does not fit the type")]
    InvalidSessionId,
}

impl FrameError {
    /// The code that names this refusal on the wire.
    pub fn control_code(self) -> ControlCode {
        match self {
            Self::MalformedFrame => ControlCode::MALFORMED_FRAME,
            Self::PayloadTooLarge => ControlCode::PAYLOAD_TOO_LARGE,
            Self::InvalidFrameType => ControlCode::INVALID_FRAME_TYPE,
            Self::InvalidSessionId => ControlCode::INVALID_SESSION_ID,
        }
    }
}

impl<'a> Frame<'a> {
    /// Reads a message as an endpoint does: every payload has a size of the table.
    ///
    /// # Errors
    ///
    /// The first check that fails names the refusal; section 1 has the order.
    pub fn decode(message: &'a [u8]) -> Result<Self, FrameError> {
        let frame = Self::decode_for_relay(message)?;
        let len = message.len() - HEADER_LEN;
        let fits = match frame {
            Self::HandshakeInit { .. } => len == HANDSHAKE_INIT_LEN,
            Self::HandshakeAccept { .. } => len == HANDSHAKE_ACCEPT_LEN,
            Self::Data { .. } => len >= MIN_DATA_LEN,
            Self::Control { .. } => len >= CODE_LEN,
            // Their sizes are checked for everybody.
            Self::Signal { .. } | Self::Ping(_) | Self::Pong(_) => true,
        };
        if fits { Ok(frame) } else { Err(FrameError::MalformedFrame) }
    }

    /// Reads a message as the relay does, which leaves the payloads of 0x01–0x03 to the endpoints
    /// and checks the sizes of Signal, Ping and Pong only. A Control, which no endpoint may send
    /// whatever its size, reads as code 0 when it is too short to hold one.
    ///
    /// # Errors
    ///
    /// The first check that fails names the refusal; section 1 has the order.
    pub fn decode_for_relay(message: &'a [u8]) -> Result<Self, FrameError> {
        let (frame_type, id, payload) = split(message)?;
        let session = SessionId::new(id).ok_or(FrameError::InvalidSessionId);
        Ok(match frame_type {
            FrameType::HandshakeInit => Self::HandshakeInit { session: session?, payload },
            FrameType::HandshakeAccept => Self::HandshakeAccept { session: session?, payload },
            FrameType::Data => Self::Data { session: session?, payload },
            FrameType::Signal => {
                let session = session?;
                let &[signal, reason] = payload else { return Err(FrameError::MalformedFrame) };
                Self::Signal { session, signal: Signal::from_byte(signal), reason: SignalReason::from_byte(reason) }
            }
            FrameType::Ping | FrameType::Pong if id != 0 => return Err(FrameError::InvalidSessionId),
            FrameType::Ping | FrameType::Pong if payload.len() > MAX_PING_LEN => {
                return Err(FrameError::MalformedFrame);
            }
            FrameType::Ping => Self::Ping(payload),
            FrameType::Pong => Self::Pong(payload),
            FrameType::Control => {
                let (code, text) = payload.split_first_chunk::<CODE_LEN>().unwrap_or((&[0, 0], &[]));
                let code = ControlCode(u16::from_be_bytes(*code));
                Self::Control { session: id, code, text: String::from_utf8_lossy(text) }
            }
        })
    }

    /// The frame's type.
    pub fn frame_type(&self) -> FrameType {
        match self {
            Self::HandshakeInit { .. } => FrameType::HandshakeInit,
            Self::HandshakeAccept { .. } => FrameType::HandshakeAccept,
            Self::Data { .. } => FrameType::Data,
            Self::Signal { .. } => FrameType::Signal,
            Self::Ping(_) => FrameType::Ping,
            Self::Pong(_) => FrameType::Pong,
            Self::Control { .. } => FrameType::Control,
        }
    }

    /// The session id in the frame's header, 0 for none.
    pub fn session(&self) -> u64 {
        match self {
            Self::HandshakeInit { session, .. }
            | Self::HandshakeAccept { session, .. }
            | Self::Data { session, .. }
            | Self::Signal { session, .. } => session.get(),
            Self::Ping(_) | Self::Pong(_) => 0,
            Self::Control { session, .. } => *session,
        }
    }
}

/// Header, size and type, in this order: gives the type, the session id and the payload.
fn split(message: &[u8]) -> Result<(FrameType, u64, &[u8]), FrameError> {
    let (header, payload) = message.split_first_chunk::<HEADER_LEN>().ok_or(FrameError::MalformedFrame)?;
    let &[type_byte, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7] = header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_PAYLOAD {
        return Err(FrameError::PayloadTooLarge);
    }
    if length != payload.len() {
        return Err(FrameError::MalformedFrame);
    }
    let frame_type = FrameType::from_byte(type_byte).ok_or(FrameError::InvalidFrameType)?;
    Ok((frame_type, u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]), payload))
}
