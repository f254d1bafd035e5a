//! Reading frames.

use super::{FLAG_TIMESTAMP, Frame, FrameId, Subject, kind, op};

/// Why a message is not a frame. Always the sender's fault; on the wire it is
/// [`code::INVALID_FRAME`](super::code::INVALID_FRAME).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, thiserror::Error)]
#[error("invalid_frame: {0}")]
pub struct InvalidFrame(&'static str);

type Result<T> = std::result::Result<T, InvalidFrame>;

impl<'a> Frame<'a> {
    /// Reads one frame, which is the whole message.
    ///
    /// # Errors
    ///
    /// [`InvalidFrame`], which says what is wrong.
    pub fn decode(message: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(message);
        let [kind, flags] = reader.array("shorter than its header")?;
        let id = FrameId(reader.array("shorter than its header")?);
        let timestamp = match flags {
            0 => None,
            FLAG_TIMESTAMP => Some(i64::from_le_bytes(reader.array("shorter than its timestamp")?)),
            _ => return Err(InvalidFrame("unknown flags")),
        };
        match kind {
            kind::CONTROL => control(id, reader),
            kind::MESSAGE => {
                let subject = reader.text("a subject that is cut off or no UTF-8")?;
                let subject = Subject::parse(subject).ok_or(InvalidFrame("unknown subject"))?;
                Ok(Self::Message { id, timestamp, subject, data: reader.0 })
            }
            kind::ACK => {
                let acked = reader.0.try_into().map_err(|_| InvalidFrame("an ack is one id"))?;
                Ok(Self::Ack { id, acked: FrameId(acked) })
            }
            kind::ERROR => {
                let code = u16::from_le_bytes(reader.array("an error without a code")?);
                let message = reader.text("an error message that is cut off or no UTF-8")?;
                Ok(Self::Error { id, code, message, details: reader.0 })
            }
            _ => Err(InvalidFrame("unknown kind")),
        }
    }
}

fn control(id: FrameId, mut reader: Reader<'_>) -> Result<Frame<'_>> {
    let [op] = reader.array("a control frame without an op")?;
    let data = reader.0;
    match op {
        op::HANDSHAKE if data.is_empty() => Err(InvalidFrame("a handshake without data")),
        op::HANDSHAKE => Ok(Frame::Handshake { id, data }),
        op::PING | op::PONG if !data.is_empty() => Err(InvalidFrame("a ping or pong with data")),
        op::PING => Ok(Frame::Ping { id }),
        op::PONG => Ok(Frame::Pong { id }),
        op::CLOSE => {
            let reason = utf8(data, "a close reason that is no UTF-8")?;
            Ok(Frame::Close { id, reason: (!reason.is_empty()).then_some(reason) })
        }
        _ => Err(InvalidFrame("unknown op")),
    }
}

/// What is left of a message. Every step says what is wrong when it cannot be taken.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self, wrong: &'static str) -> Result<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk().ok_or(InvalidFrame(wrong))?;
        self.0 = rest;
        Ok(*array)
    }

    /// A length (u32), then as many bytes of UTF-8.
    fn text(&mut self, wrong: &'static str) -> Result<&'a str> {
        let len = u32::from_le_bytes(self.array(wrong)?);
        let (text, rest) =
            usize::try_from(len).ok().and_then(|len| self.0.split_at_checked(len)).ok_or(InvalidFrame(wrong))?;
        self.0 = rest;
        utf8(text, wrong)
    }
}

fn utf8<'a>(bytes: &'a [u8], wrong: &'static str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| InvalidFrame(wrong))
}
