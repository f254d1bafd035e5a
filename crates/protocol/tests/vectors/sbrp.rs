//! SBRP frames, who may send them, control codes, session ids.

use sideband_protocol::sbrp::{
    ControlCode, Frame, FrameType, HEADER_LEN, Sender, SessionId, Signal, SignalReason, encode_control,
    encode_handshake_accept, encode_handshake_init, encode_ping, encode_pong, encode_signal, may_send, write_header,
};

use crate::support::{Case, each};

const FILE: &str = "sbrp-frames.json";

fn type_of(case: &Case) -> FrameType {
    let frame_type = FrameType::from_byte(case.small("type")).expect("a known type");
    assert_eq!(format!("{frame_type:?}"), case.text("typeName"));
    frame_type
}

fn signal_name(signal: Option<Signal>) -> &'static str {
    match signal {
        Some(Signal::Ready) => "ready",
        Some(Signal::Close) => "close",
        None => "ignored",
    }
}

fn reason_name(reason: SignalReason) -> &'static str {
    match reason {
        SignalReason::None => "none",
        SignalReason::StateLost => "state_lost",
        SignalReason::Shutdown => "shutdown",
        SignalReason::Policy => "policy",
        SignalReason::Error => "error",
    }
}

/// Writes a frame anew.
fn encode(frame: &Frame) -> Vec<u8> {
    match *frame {
        Frame::HandshakeInit { session, payload } => {
            encode_handshake_init(session, payload.try_into().expect("32 bytes"))
        }
        Frame::HandshakeAccept { session, payload } => {
            encode_handshake_accept(session, payload.try_into().expect("128 bytes"))
        }
        Frame::Data { session, payload } => {
            let len = u32::try_from(payload.len()).expect("a small payload");
            let mut message = vec![0; HEADER_LEN];
            write_header(&mut message, FrameType::Data, len, session.get());
            message.extend_from_slice(payload);
            message
        }
        Frame::Signal { session, signal, reason } => encode_signal(session, signal.expect("a known signal"), reason),
        Frame::Ping(bytes) => encode_ping(bytes),
        Frame::Pong(bytes) => encode_pong(bytes),
        Frame::Control { session, code, ref text } => encode_control(session, code, text),
    }
}

#[test]
fn valid_frames_decode_and_encode() {
    each(FILE, "valid", 70, |case| {
        let message = case.frame();
        let frame = Frame::decode(&message).expect("a valid frame");
        assert_eq!(Frame::decode_for_relay(&message).as_ref(), Ok(&frame));
        assert_eq!(frame.frame_type(), type_of(case));
        assert_eq!(frame.session(), case.number::<u64>("sessionId"));
        let payload = &message[HEADER_LEN..];
        match &frame {
            Frame::HandshakeInit { payload: given, .. }
            | Frame::HandshakeAccept { payload: given, .. }
            | Frame::Data { payload: given, .. }
            | Frame::Ping(given)
            | Frame::Pong(given) => assert_eq!(*given, payload),
            Frame::Signal { signal, reason, .. } => {
                assert_eq!(signal_name(*signal), case.text("signal"));
                assert_eq!(reason_name(*reason), case.text("reason"));
            }
            Frame::Control { code, text, .. } => {
                assert_eq!(code.0, case.small::<u16>("code"));
                assert_eq!(code.name().unwrap_or("unknown"), case.text("control"));
                assert_eq!(code.is_terminal(), case.bool("terminal"));
                assert_eq!(text, case.text("text"));
            }
        }
        if case.get("payload").is_some() {
            assert_eq!(payload, case.bytes("payload"));
        }
        // A reason that is not known reads as none, and is written so.
        if !case.text("what").contains("unknown reason") {
            assert_eq!(encode(&frame), message);
        }
    });
}

#[test]
fn invalid_frames_are_refused_by_name() {
    each(FILE, "invalid", 61, |case| {
        let message = case.frame();
        let refusal = Frame::decode(&message).expect_err("an invalid frame");
        let name = refusal.control_code().name().expect("a refusal has a name");
        case.assert_outcome("refusal", name);
        assert!(refusal.to_string().starts_with(name), "the text starts with the name");
    });
}

/// The relay refuses the same for the same reasons, except for the payload sizes it leaves alone.
#[test]
fn the_relay_leaves_payloads_to_the_endpoints() {
    each(FILE, "invalid", 61, |case| {
        let message = case.frame();
        let is_the_endpoints_business = ["HandshakeInit of", "HandshakeAccept of", "Data of"]
            .iter()
            .chain(&["Control of"])
            .any(|what| case.text("what").starts_with(what));
        let read = Frame::decode_for_relay(&message);
        if is_the_endpoints_business {
            assert_eq!(read.expect("none of the relay's business").session(), 0x0102_0304_0506_0708);
        } else {
            assert_eq!(read, Frame::decode(&message));
        }
    });
}

#[test]
fn only_its_author_may_send_a_type() {
    each(FILE, "senders", 14, |case| {
        let sender = match case.text("from") {
            "client" => Sender::Client,
            "daemon" => Sender::Daemon,
            other => panic!("unknown sender {other}"),
        };
        assert_eq!(may_send(sender, type_of(case)), case.bool("allowed"));
    });
    for own in [FrameType::Ping, FrameType::Pong, FrameType::Control] {
        assert!(may_send(Sender::Relay, own));
    }
    for forwarded in [FrameType::HandshakeInit, FrameType::HandshakeAccept, FrameType::Data] {
        assert!(!may_send(Sender::Relay, forwarded));
    }
    assert!(!may_send(Sender::Relay, FrameType::Signal));
}

#[test]
fn control_codes_are_the_table() {
    each(FILE, "controls", 18, |case| {
        let code = ControlCode(case.small("code"));
        assert_eq!(code.name(), Some(case.text("name")));
        assert_eq!(code.is_terminal(), case.bool("terminal"));
        assert_eq!(code.carries_session(), case.text("sid") == "S");
        assert_eq!(code.to_string(), case.text("name"));
    });
    // No other number has a name.
    assert_eq!((0..=u16::MAX).filter(|code| ControlCode(*code).name().is_some()).count(), 18);
    assert_eq!(ControlCode(0x1005).to_string(), "unknown (0x1005)");
}

#[test]
fn session_ids_in_tokens() {
    each("tokens.json", "sids", 22, |case| {
        // What is not a string never gets as far as here.
        let Some(sid) = case.opt_text("sid") else { return };
        let read = SessionId::from_base64url(sid);
        let expected = case.opt_text("sessionId").map(|id| id.parse().expect("a u64"));
        assert_eq!(read.map(SessionId::get), expected);
        if let Some(id) = read {
            assert_eq!(id.to_base64url(), sid);
        }
    });
}

#[test]
fn zero_is_no_session() {
    assert_eq!(SessionId::new(0), None);
    assert_eq!(SessionId::new(u64::MAX).map(SessionId::get), Some(u64::MAX));
}

#[test]
fn an_unknown_signal_is_ignored_and_not_refused() {
    let mut message = encode_signal(SessionId::new(1).expect("not 0"), Signal::Close, SignalReason::Policy);
    message[HEADER_LEN] = 0x02;
    let frame = Frame::decode(&message).expect("a valid frame");
    assert!(matches!(frame, Frame::Signal { signal: None, reason: SignalReason::Policy, .. }));
}

#[test]
fn control_text_is_read_leniently_and_cut_to_fit() {
    let mut message = encode_control(0, ControlCode::INTERNAL_ERROR, "fault");
    *message.last_mut().expect("not empty") = 0xff;
    let Ok(Frame::Control { text, .. }) = Frame::decode(&message) else { panic!("a Control") };
    assert_eq!(text, "faul\u{fffd}");

    let message = encode_control(0, ControlCode::INTERNAL_ERROR, &"x".repeat(100_000));
    let Ok(Frame::Control { text, .. }) = Frame::decode(&message) else { panic!("a Control") };
    assert_eq!(text.len(), 65_534);
}
