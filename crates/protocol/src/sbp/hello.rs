//! What both sides say first.

use serde_json::{Map, Value, json};

use super::code;

const PROTOCOL: &str = "sideband";
const VERSION: &str = "1";

/// A side's introduction, as JSON in its first frame.
///
/// `metadata` is checked to be an object and not kept, as nothing gives it a meaning yet.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Hello {
    /// The name that the side goes by; never empty in a decoded one.
    pub peer_id: String,
    /// What the side can do beyond the protocol's version. Unknown ones are ignored.
    pub caps: Vec<String>,
}

/// Why a peer's introduction ends the session. Always the peer's fault.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum HelloError {
    /// It is not the JSON that the contract asks for.
    #[error("protocol violation in the handshake: {0}")]
    ProtocolViolation(&'static str),
    /// It is for another protocol or version.
    #[error("unsupported version in the handshake: {0}")]
    UnsupportedVersion(&'static str),
}

impl HelloError {
    /// The code of the [`Frame::Error`](super::Frame::Error) that reports it.
    pub fn code(self) -> u16 {
        match self {
            Self::ProtocolViolation(_) => code::PROTOCOL_VIOLATION,
            Self::UnsupportedVersion(_) => code::UNSUPPORTED_VERSION,
        }
    }
}

impl Hello {
    /// An introduction without capabilities beyond the protocol's version.
    pub fn new(peer_id: impl Into<String>) -> Self {
        Self { peer_id: peer_id.into(), caps: Vec::new() }
    }

    /// Reads the data of a [`Frame::Handshake`](super::Frame::Handshake). Unknown members are
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`HelloError`]. Protocol and version are looked at first: another version may well name its
    /// members differently.
    pub fn decode(data: &[u8]) -> Result<Self, HelloError> {
        use HelloError::{ProtocolViolation, UnsupportedVersion};

        let mut hello: Map<String, Value> =
            serde_json::from_slice(data).map_err(|_| ProtocolViolation("not a JSON object"))?;
        if hello.get("protocol").and_then(Value::as_str) != Some(PROTOCOL) {
            return Err(UnsupportedVersion("the protocol is not \"sideband\""));
        }
        if hello.get("version").and_then(Value::as_str) != Some(VERSION) {
            return Err(UnsupportedVersion("the version is not \"1\""));
        }
        let peer_id = match hello.remove("peerId") {
            Some(Value::String(peer_id)) if !peer_id.is_empty() => peer_id,
            _ => return Err(ProtocolViolation("peerId is no string, or empty")),
        };
        let caps = hello.remove("caps").map_or(Ok(Vec::new()), serde_json::from_value);
        let caps = caps.map_err(|_| ProtocolViolation("caps is no array of strings"))?;
        if !hello.get("metadata").is_none_or(Value::is_object) {
            return Err(ProtocolViolation("metadata is no object"));
        }
        Ok(Self { peer_id, caps })
    }

    /// Writes the data of a [`Frame::Handshake`](super::Frame::Handshake).
    pub fn encode(&self) -> Vec<u8> {
        json!({
            "protocol": PROTOCOL,
            "version": VERSION,
            "peerId": self.peer_id,
            "caps": self.caps,
        })
        .to_string()
        .into_bytes()
    }
}
