//! Writing frames. Everything is appended, so that a frame can be written behind a
//! [`SEALED_PREFIX`](crate::session::SEALED_PREFIX) and sealed where it stands.

use super::{FLAG_TIMESTAMP, Frame, FrameId, Subject, kind, op};

impl Frame<'_> {
    /// Appends the frame's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Handshake { id, data } => {
                head(out, kind::CONTROL, id, None);
                out.push(op::HANDSHAKE);
                out.extend_from_slice(data);
            }
            Self::Ping { id } => {
                head(out, kind::CONTROL, id, None);
                out.push(op::PING);
            }
            Self::Pong { id } => {
                head(out, kind::CONTROL, id, None);
                out.push(op::PONG);
            }
            Self::Close { id, reason } => {
                head(out, kind::CONTROL, id, None);
                out.push(op::CLOSE);
                out.extend_from_slice(reason.unwrap_or_default().as_bytes());
            }
            Self::Message { id, timestamp, subject, data } => {
                head(out, kind::MESSAGE, id, timestamp);
                text(out, subject.as_str());
                out.extend_from_slice(data);
            }
            Self::Ack { id, acked } => {
                head(out, kind::ACK, id, None);
                out.extend_from_slice(&acked.0);
            }
            Self::Error { id, code, message, details } => {
                head(out, kind::ERROR, id, None);
                out.extend_from_slice(&code.to_le_bytes());
                text(out, message);
                out.extend_from_slice(details);
            }
        }
    }
}

/// Appends a message without timestamp up to its data, which the caller appends itself.
pub fn write_message_head(out: &mut Vec<u8>, id: FrameId, subject: Subject<'_>) {
    Frame::Message { id, timestamp: None, subject, data: &[] }.encode(out);
}

fn head(out: &mut Vec<u8>, kind: u8, id: FrameId, timestamp: Option<i64>) {
    out.push(kind);
    out.push(if timestamp.is_some() { FLAG_TIMESTAMP } else { 0 });
    out.extend_from_slice(&id.0);
    if let Some(timestamp) = timestamp {
        out.extend_from_slice(&timestamp.to_le_bytes());
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    let len = u32::try_from(text.len()).expect("a frame's text is far below 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
