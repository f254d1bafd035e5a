//! One session: its id and its keys, or none on a direct connection, and the SBP handshake inside.

use sideband_protocol::sbp::{Frame, Hello, HelloError};
use sideband_protocol::sbrp::{HEADER_LEN, SessionId};
use sideband_protocol::session::{OpenError, Opened, Opener, SealError, Sealer, SessionKeys};

use crate::error::{Error, SbrpErrorCode};
use crate::peer::Outgoing;
use crate::random;

/// What a side says of itself in the SBP handshake (section 3).
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The name that the side goes by; never empty.
    pub peer_id: String,
    /// What the side can do beyond the protocol's version (`caps`). The remote ignores those it does not know.
    pub capabilities: Vec<String>,
}

impl Default for Introduction {
    /// A random peer id, and no capabilities.
    fn default() -> Self {
        Self { peer_id: random::peer_id(), capabilities: Vec::new() }
    }
}

/// Which side of the session this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Client,
    Daemon,
}

pub(crate) struct Session {
    id: SessionId,
    sealer: Sealer,
    opener: Opener,
}

impl Session {
    pub(crate) fn new(id: SessionId, keys: SessionKeys, role: Role) -> Self {
        let (sealer, opener) = match role {
            Role::Client => keys.into_client(),
            Role::Daemon => keys.into_daemon(),
        };
        Self { id, sealer, opener }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// Makes a complete SBRP Data frame of an SBP frame, in place.
    pub(crate) fn seal(&mut self, frame: Outgoing) -> Result<Vec<u8>, SealError> {
        let mut bytes = frame.bytes;
        self.sealer.seal(self.id, &mut bytes)?;
        Ok(bytes)
    }

    /// Opens a complete SBRP Data frame in place.
    pub(crate) fn open<'a>(&mut self, message: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        self.opener.open(&mut message[HEADER_LEN..]).map_err(|error| {
            let code = match error {
                OpenError::DecryptFailed => SbrpErrorCode::DecryptFailed,
                OpenError::SequenceError => SbrpErrorCode::SequenceError,
            };
            Error::sbrp(code, error.to_string())
        })
    }
}

/// What carries a conversation's SBP frames.
pub(crate) enum Channel {
    /// An encrypted session through the relay.
    Sealed(Session),
    /// A WebSocket of their own, a frame a message.
    Bare,
}

impl Channel {
    /// The WebSocket message of an SBP frame.
    pub(crate) fn seal(&mut self, frame: Outgoing) -> Result<Vec<u8>, SealError> {
        match self {
            Self::Sealed(session) => session.seal(frame),
            Self::Bare => Ok(frame.plaintext().to_vec()),
        }
    }

    /// The SBP frame in a WebSocket message.
    pub(crate) fn open<'a>(&mut self, message: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        match self {
            Self::Sealed(session) => session.open(message),
            Self::Bare => Ok(Opened { plaintext: message, gap: 0 }),
        }
    }
}

/// An SBP ping as a message of its own.
pub(crate) fn bare_ping() -> Vec<u8> {
    let mut message = Vec::new();
    Frame::Ping { id: random::frame_id() }.encode(&mut message);
    message
}

/// This side's SBP handshake (section 3), the first frame of a session.
pub(crate) fn hello(introduction: &Introduction) -> Outgoing {
    let hello = Hello { peer_id: introduction.peer_id.clone(), caps: introduction.capabilities.clone() };
    let data = hello.encode();
    Outgoing::frame(&Frame::Handshake { id: random::frame_id(), data: &data })
}

/// Reads the remote's first frame, which must be its SBP handshake, and gives its peer id.
pub(crate) fn read_hello(plaintext: &[u8]) -> Result<String, HelloError> {
    match Frame::decode(plaintext) {
        Ok(Frame::Handshake { data, .. }) => Hello::decode(data).map(|hello| hello.peer_id),
        Ok(_) => Err(HelloError::ProtocolViolation("the first frame is no handshake")),
        Err(_) => Err(HelloError::ProtocolViolation("the first frame does not decode")),
    }
}

/// The error frame that answers a refused handshake.
pub(crate) fn refusal(error: &HelloError) -> Outgoing {
    let message = error.to_string();
    Outgoing::frame(&Frame::Error { id: random::frame_id(), code: error.code(), message: &message, details: &[] })
}
