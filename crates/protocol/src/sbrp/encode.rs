//! Writing frames.

use super::{
    ControlCode, FrameType, HANDSHAKE_ACCEPT_LEN, HANDSHAKE_INIT_LEN, HEADER_LEN, MAX_PAYLOAD, MAX_PING_LEN, SessionId,
    Signal, SignalReason,
};

/// Writes a frame's header into the first [`HEADER_LEN`] bytes of `out`. `session` is 0 where the
/// type has none.
///
/// # Panics
///
/// When `out` is shorter than a header.
pub fn write_header(out: &mut [u8], frame_type: FrameType, payload_len: u32, session: u64) {
    out[0] = frame_type as u8;
    out[1..5].copy_from_slice(&payload_len.to_be_bytes());
    out[5..HEADER_LEN].copy_from_slice(&session.to_be_bytes());
}

/// One frame around `parts`, which together are at most [`MAX_PAYLOAD`] bytes.
fn encode(frame_type: FrameType, session: u64, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    debug_assert!(len <= MAX_PAYLOAD, "the callers below keep to the limit");
    let mut frame = Vec::with_capacity(HEADER_LEN + len);
    frame.resize(HEADER_LEN, 0);
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_PAYLOAD")]
    write_header(&mut frame, frame_type, len as u32, session);
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame
}

/// A client's first frame: its ephemeral public key, from
/// [`ClientHandshake::init_payload`](crate::handshake::ClientHandshake::init_payload).
pub fn encode_handshake_init(session: SessionId, payload: &[u8; HANDSHAKE_INIT_LEN]) -> Vec<u8> {
    encode(FrameType::HandshakeInit, session.get(), &[payload])
}

/// A daemon's answer, from [`handshake::accept`](crate::handshake::accept).
pub fn encode_handshake_accept(session: SessionId, payload: &[u8; HANDSHAKE_ACCEPT_LEN]) -> Vec<u8> {
    encode(FrameType::HandshakeAccept, session.get(), &[payload])
}

/// A daemon's word to the relay about one session.
pub fn encode_signal(session: SessionId, signal: Signal, reason: SignalReason) -> Vec<u8> {
    encode(FrameType::Signal, session.get(), &[&[signal as u8, reason as u8]])
}

/// A Ping with up to [`MAX_PING_LEN`] bytes that its Pong gives back.
///
/// # Panics
///
/// When there are more bytes than that.
pub fn encode_ping(opaque: &[u8]) -> Vec<u8> {
    assert!(opaque.len() <= MAX_PING_LEN, "a Ping carries at most {MAX_PING_LEN} bytes");
    encode(FrameType::Ping, 0, &[opaque])
}

/// The answer to a Ping, with the Ping's bytes.
///
/// # Panics
///
/// When there are more than [`MAX_PING_LEN`] bytes, which no decoded Ping has.
pub fn encode_pong(opaque: &[u8]) -> Vec<u8> {
    assert!(opaque.len() <= MAX_PING_LEN, "a Pong carries at most {MAX_PING_LEN} bytes");
    encode(FrameType::Pong, 0, &[opaque])
}

/// The relay's word to an endpoint. `session` is the session's id where the code [carries
/// one](ControlCode::carries_session), else 0. The text is for logs and holds no identifier; what
/// does not fit into a frame is cut off.
pub fn encode_control(session: u64, code: ControlCode, text: &str) -> Vec<u8> {
    let code = code.0.to_be_bytes();
    let text = text.as_bytes();
    let text = &text[..text.len().min(MAX_PAYLOAD - code.len())];
    encode(FrameType::Control, session, &[&code, text])
}
