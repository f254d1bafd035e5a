//! Reading frames, with every refusal by name and in the contract's order.

use std::borrow::Cow;

use super::{
    ControlCode, FrameType, HANDSHAKE_ACCEPT_LEN, HANDSHAKE_INIT_LEN, HEADER_LEN, MAX_PAYLOAD, MAX_PING_LEN,
    MIN_DATA_LEN, SessionId, Signal, SignalReason,
};

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

/// A message that passed every check that does not depend on the payload's meaning.
struct Envelope<'a> {
    frame_type: FrameType,
    session: u64,
    payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Header, size, type and session id, in this order: the first failure decides.
    fn parse(message: &'a [u8]) -> Result<Self, FrameError> {
        let Some((header, payload)) = message.split_first_chunk::<HEADER_LEN>() else {
            return Err(FrameError::MalformedFrame);
        };
        let &[type_byte, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7] = header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::PayloadTooLarge);
        }
        if length != payload.len() {
            return Err(FrameError::MalformedFrame);
        }
        let frame_type = FrameType::from_byte(type_byte).ok_or(FrameError::InvalidFrameType)?;
        let session = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        Ok(Self { frame_type, session, payload })
    }

    fn session(&self) -> Result<SessionId, FrameError> {
        SessionId::new(self.session).ok_or(FrameError::InvalidSessionId)
    }

    fn no_session(&self) -> Result<(), FrameError> {
        if self.session == 0 { Ok(()) } else { Err(FrameError::InvalidSessionId) }
    }
}

/// The payload sizes that both readers insist on or only endpoints do.
#[derive(Copy, Clone, Eq, PartialEq)]
enum Reader {
    Endpoint,
    Relay,
}

impl<'a> Frame<'a> {
    /// Reads a message as an endpoint does: every payload has a size of the table.
    ///
    /// # Errors
    ///
    /// The first check that fails names the refusal; section 1 has the order.
    pub fn decode(message: &'a [u8]) -> Result<Self, FrameError> {
        Self::read(message, Reader::Endpoint)
    }

    /// Reads a message as the relay does, which leaves the payloads of 0x01–0x03 to the endpoints
    /// and checks the sizes of Signal, Ping and Pong only. A Control, which no endpoint may send
    /// whatever its size, reads as code 0 when it is too short to hold one.
    ///
    /// # Errors
    ///
    /// The first check that fails names the refusal; section 1 has the order.
    pub fn decode_for_relay(message: &'a [u8]) -> Result<Self, FrameError> {
        Self::read(message, Reader::Relay)
    }

    fn read(message: &'a [u8], reader: Reader) -> Result<Self, FrameError> {
        let envelope = Envelope::parse(message)?;
        let payload = envelope.payload;
        // The size checks that are the endpoints' business.
        let endpoint_wants = |fits: bool| {
            if fits || reader == Reader::Relay { Ok(()) } else { Err(FrameError::MalformedFrame) }
        };
        Ok(match envelope.frame_type {
            FrameType::HandshakeInit => {
                let session = envelope.session()?;
                endpoint_wants(payload.len() == HANDSHAKE_INIT_LEN)?;
                Self::HandshakeInit { session, payload }
            }
            FrameType::HandshakeAccept => {
                let session = envelope.session()?;
                endpoint_wants(payload.len() == HANDSHAKE_ACCEPT_LEN)?;
                Self::HandshakeAccept { session, payload }
            }
            FrameType::Data => {
                let session = envelope.session()?;
                endpoint_wants(payload.len() >= MIN_DATA_LEN)?;
                Self::Data { session, payload }
            }
            FrameType::Signal => {
                let session = envelope.session()?;
                let &[signal, reason] = payload else {
                    return Err(FrameError::MalformedFrame);
                };
                Self::Signal { session, signal: Signal::from_byte(signal), reason: SignalReason::from_byte(reason) }
            }
            FrameType::Ping => {
                envelope.no_session()?;
                Self::Ping(ping_bytes(payload)?)
            }
            FrameType::Pong => {
                envelope.no_session()?;
                Self::Pong(ping_bytes(payload)?)
            }
            FrameType::Control => {
                endpoint_wants(payload.len() >= 2)?;
                let (code, text) = payload.split_first_chunk().unwrap_or((&[0, 0], &[]));
                Self::Control {
                    session: envelope.session,
                    code: ControlCode(u16::from_be_bytes(*code)),
                    text: String::from_utf8_lossy(text),
                }
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

fn ping_bytes(payload: &[u8]) -> Result<&[u8], FrameError> {
    if payload.len() <= MAX_PING_LEN { Ok(payload) } else { Err(FrameError::MalformedFrame) }
}
