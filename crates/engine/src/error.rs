//! What can go wrong, and whose fault it is.
//!
//! One type crosses the whole engine, because every failure ends in the same three questions: which class and code does
//! the caller see, does a retry make sense, and what was the cause. [`Error::is_fatal`] answers the second one
//! (sections 5 and 7 of the wire contract).

use std::fmt;
use std::io;
use std::sync::Arc;

use sideband_protocol::sbrp::ControlCode;

use crate::cloud::CloudError;
use crate::dial::{DialError, Phase};

/// The code of an [`Error::Peer`]: how the caller's own connection, call or subscription failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerErrorCode {
    /// The peer is closed and will not come back.
    PeerClosed,
    /// No connection: it dropped, or there never was one.
    NotConnected,
    /// The session is paused and the policy is to fail rather than wait.
    SessionPaused,
    /// The buffer for messages that wait for a connection is full.
    BufferOverflow,
    /// The answer did not come in time.
    RpcTimeout,
    /// The caller gave up.
    RpcCancelled,
    /// The message does not fit into a frame.
    MessageTooLarge,
    /// An event name or pattern that the naming rules refuse.
    InvalidPattern,
}

impl PeerErrorCode {
    /// The code's name in the JavaScript contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::NotConnected => "not_connected",
            Self::SessionPaused => "session_paused",
            Self::BufferOverflow => "buffer_overflow",
            Self::RpcTimeout => "rpc_timeout",
            Self::RpcCancelled => "rpc_cancelled",
            Self::MessageTooLarge => "message_too_large",
            Self::InvalidPattern => "invalid_pattern",
        }
    }
}

/// The code of an [`Error::Sbrp`]: a Control code of section 1, or one of those that never travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SbrpErrorCode {
    /// The relay said so.
    Control(ControlCode),
    /// The daemon shows another identity key than the pinned one.
    IdentityKeyChanged,
    /// The handshake did not hold: a bad signature, a refused key, an unexpected frame.
    HandshakeFailed,
    /// The handshake did not finish in time.
    HandshakeTimeout,
    /// A Data frame did not decrypt.
    DecryptFailed,
    /// A Data frame came twice, or too late.
    SequenceError,
    /// A frame that cannot be parsed, ten in a row.
    MalformedFrame,
}

impl SbrpErrorCode {
    /// The code's name in the wire contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control(code) => code.name().unwrap_or("unknown_control"),
            Self::IdentityKeyChanged => "identity_key_changed",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::DecryptFailed => "decrypt_failed",
            Self::SequenceError => "sequence_error",
            Self::MalformedFrame => "malformed_frame",
        }
    }

    /// Whether the client's connection ends for good (section 5, "Client").
    fn is_fatal(self) -> bool {
        match self {
            // What leaves the connection as it is, is no reason to give it up.
            Self::Control(code) => {
                code.is_terminal()
                    && !matches!(
                        code,
                        ControlCode::DAEMON_OFFLINE
                            | ControlCode::BACKPRESSURE
                            | ControlCode::INTERNAL_ERROR
                            | ControlCode::SESSION_EXPIRED
                    )
            }
            Self::HandshakeTimeout | Self::MalformedFrame => false,
            Self::IdentityKeyChanged | Self::HandshakeFailed | Self::DecryptFailed | Self::SequenceError => true,
        }
    }
}

/// The host's own callback (a token source, a key store, a trust prompt) failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallbackError {
    /// The host's number for the question it was asked, so that it can find the original error again.
    pub ask: Option<u32>,
    /// What the host says of it.
    pub message: String,
    /// Whether another attempt is pointless.
    pub fatal: bool,
}

/// A failure of a connection, an attempt, or a call.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's connection or call, by code.
    #[error("{message}")]
    Peer {
        /// What happened.
        code: PeerErrorCode,
        /// For people.
        message: String,
        /// What led to it.
        #[source]
        cause: Option<Arc<Error>>,
    },
    /// The remote handler answered with an error (section 4).
    #[error("{message}")]
    Rpc {
        /// The envelope's code.
        wire_code: f64,
        /// The envelope's message.
        message: String,
        /// The envelope's data, as JSON text.
        data: Option<String>,
    },
    /// The relay protocol: a Control frame, the handshake, or a session's cryptography.
    #[error("{message}")]
    Sbrp {
        /// What happened.
        code: SbrpErrorCode,
        /// For people.
        message: String,
        /// What led to it.
        #[source]
        cause: Option<Arc<Error>>,
    },
    /// The session inside: what the remote sent is no SBP, or it closed the session (section 3).
    #[error("{0}")]
    Protocol(ProtocolError),
    /// The control plane, or the relay's HTTP upgrade, answered with this status.
    #[error("{message}")]
    Api {
        /// The HTTP status.
        status: u16,
        /// For people.
        message: String,
        /// Whether another attempt is pointless (section 7).
        fatal: bool,
    },
    /// The environment: DNS, TCP, TLS, a proxy, a connection that dropped.
    #[error("{message}")]
    Network {
        /// For people; names host and phase where there is one.
        message: String,
        /// What the system said, where that is for a program to decide by: a port that is taken, say.
        kind: Option<io::ErrorKind>,
    },
    /// The host's callback failed.
    #[error("{}", .0.message)]
    Callback(CallbackError),
    /// A value that nothing can be done with: no JSON form, another shape than expected, no URL to dial; the caller's fault.
    #[error("{0}")]
    Value(String),
    /// A panic was caught; a fault of ours.
    #[error("internal fault: {0}")]
    Internal(String),
}

/// The remote broke the inner protocol, or ended the session by it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The first frame was no handshake, or the handshake does not hold; error code 1000 or 1001.
    #[error("the remote's SBP handshake was refused: {0}")]
    Handshake(String),
    /// The remote sent an error frame.
    #[error("the remote reported SBP error {code}: {message}")]
    Reported {
        /// The frame's code.
        code: u16,
        /// The frame's message.
        message: String,
    },
    /// The remote sent SBP close.
    #[error("the remote closed the session{}", reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default())]
    Closed {
        /// The frame's reason, if any.
        reason: Option<String>,
    },
    /// A paused session was asked for more than this side may keep the answers to.
    #[error("more answers waited for the paused session than may be kept")]
    TooManyAnswers,
    /// Frames that the remote sent never arrived; the session goes on without them.
    #[error("frames were lost on the way: {missing}")]
    Gap {
        /// How many.
        missing: u64,
    },
    /// The connection broke the protocol so often that the rest of this minute's faults are not reported.
    #[error("more than {} faults within a minute: the rest is not reported", crate::reports::LIMIT)]
    Unreported,
    /// A frame or envelope that does not decode; reported and skipped.
    #[error("skipped what the remote sent: {0}")]
    Skipped(String),
}

impl Error {
    /// A peer error without a cause.
    pub fn peer(code: PeerErrorCode, message: impl Into<String>) -> Self {
        Self::Peer { code, message: message.into(), cause: None }
    }

    /// A peer error that follows from another.
    pub fn peer_because(code: PeerErrorCode, message: impl Into<String>, cause: Error) -> Self {
        Self::Peer { code, message: message.into(), cause: Some(Arc::new(cause)) }
    }

    /// A relay protocol error without a cause.
    pub fn sbrp(code: SbrpErrorCode, message: impl Into<String>) -> Self {
        Self::Sbrp { code, message: message.into(), cause: None }
    }

    /// What a Control frame says, as an error. Its text is for logs, so only the code's name is in the message.
    pub fn control(code: ControlCode) -> Self {
        let message = match code.name() {
            Some(name) => format!("the relay said {name}"),
            None => format!("the relay sent the unknown control code 0x{:04x}", code.0),
        };
        Self::sbrp(SbrpErrorCode::Control(code), message)
    }

    /// A dropped connection.
    pub fn dropped(why: impl fmt::Display) -> Self {
        Self::Network { message: format!("connection lost: {why}"), kind: None }
    }

    /// What led to this error, if it says so.
    pub fn cause(&self) -> Option<&Error> {
        match self {
            Self::Peer { cause, .. } | Self::Sbrp { cause, .. } => cause.as_deref(),
            _ => None,
        }
    }

    /// Whether another attempt is pointless: refused credentials, refused identity, a broken protocol.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Peer { code, cause, .. } => {
                cause.as_ref().is_some_and(|cause| cause.is_fatal()) || *code == PeerErrorCode::PeerClosed
            }
            Self::Sbrp { code, .. } => code.is_fatal(),
            Self::Api { fatal, .. } => *fatal,
            Self::Callback(error) => error.fatal,
            Self::Value(_) => true,
            Self::Protocol(_) | Self::Rpc { .. } | Self::Network { .. } | Self::Internal(_) => false,
        }
    }
}

impl From<CallbackError> for Error {
    fn from(error: CallbackError) -> Self {
        Self::Callback(error)
    }
}

impl From<CloudError> for Error {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::Api { status, .. } => Self::Api { status, message: error.to_string(), fatal: error.is_fatal() },
            CloudError::Network(error) => error.into(),
        }
    }
}

impl From<DialError> for Error {
    fn from(error: DialError) -> Self {
        match error.status {
            // A relay judges tokens, and the next token is another one.
            Some(status) => Self::Api { status, message: error.to_string(), fatal: false },
            None if error.phase == Phase::Url => Self::Value(error.to_string()),
            None => Self::Network { message: error.to_string(), kind: None },
        }
    }
}
