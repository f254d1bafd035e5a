//! SBRP frames and session ids.

use proptest::prelude::*;
use sideband_protocol::sbrp::{
    ControlCode, Frame, FrameType, HEADER_LEN, SessionId, Signal, SignalReason, encode_control,
    encode_handshake_accept, encode_handshake_init, encode_ping, encode_pong, encode_signal, write_header,
};

use crate::support::{assert_modest, bytes, damage};

fn session() -> impl Strategy<Value = SessionId> {
    (1..=u64::MAX).prop_filter_map("not 0", SessionId::new)
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::Ready), Just(Signal::Close)]
}

fn reason() -> impl Strategy<Value = SignalReason> {
    prop::sample::select(&[
        SignalReason::None,
        SignalReason::StateLost,
        SignalReason::Shutdown,
        SignalReason::Policy,
        SignalReason::Error,
    ])
}

fn data(session: SessionId, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; HEADER_LEN];
    let len = u32::try_from(payload.len()).expect("a small payload");
    write_header(&mut message, FrameType::Data, len, session.get());
    message.extend_from_slice(payload);
    message
}

/// A frame of any type, as an endpoint or the relay writes it.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let key = any::<[u8; 32]>();
    prop_oneof![
        (session(), key).prop_map(|(session, key)| encode_handshake_init(session, &key)),
        (session(), any::<[[u8; 32]; 4]>()).prop_map(|(session, parts)| {
            let payload = parts.concat().try_into().expect("128 bytes");
            encode_handshake_accept(session, &payload)
        }),
        (session(), prop::collection::vec(any::<u8>(), 28..300)).prop_map(|(session, payload)| data(session, &payload)),
        (session(), signal(), reason()).prop_map(|(session, s, r)| encode_signal(session, s, r)),
        prop::collection::vec(any::<u8>(), 0..=8).prop_map(|bytes| encode_ping(&bytes)),
        prop::collection::vec(any::<u8>(), 0..=8).prop_map(|bytes| encode_pong(&bytes)),
        (any::<u64>(), any::<u16>(), any::<String>()).prop_map(|(session, code, text)| encode_control(
            session,
            ControlCode(code),
            &text
        )),
    ]
}

proptest! {
    #[test]
    fn handshake_frames_round_trip(session in session(), key: [u8; 32], parts: [[u8; 32]; 4]) {
        let message = encode_handshake_init(session, &key);
        let frame = Frame::HandshakeInit { session, payload: &key };
        prop_assert_eq!(Frame::decode(&message), Ok(frame));

        let payload: [u8; 128] = parts.concat().try_into().expect("128 bytes");
        let message = encode_handshake_accept(session, &payload);
        let frame = Frame::HandshakeAccept { session, payload: &payload };
        prop_assert_eq!(Frame::decode(&message), Ok(frame));
    }

    #[test]
    fn data_round_trips(session in session(), payload in prop::collection::vec(any::<u8>(), 28..300)) {
        let message = data(session, &payload);
        prop_assert_eq!(Frame::decode(&message), Ok(Frame::Data { session, payload: &payload }));
    }

    #[test]
    fn signals_round_trip(session in session(), signal in signal(), reason in reason()) {
        let message = encode_signal(session, signal, reason);
        let frame = Frame::Signal { session, signal: Some(signal), reason };
        prop_assert_eq!(Frame::decode(&message), Ok(frame));
    }

    #[test]
    fn pings_round_trip(opaque in prop::collection::vec(any::<u8>(), 0..=8)) {
        let (ping, pong) = (encode_ping(&opaque), encode_pong(&opaque));
        prop_assert_eq!(Frame::decode(&ping), Ok(Frame::Ping(&opaque)));
        prop_assert_eq!(Frame::decode(&pong), Ok(Frame::Pong(&opaque)));
    }

    #[test]
    fn controls_round_trip(session: u64, code: u16, text: String) {
        let code = ControlCode(code);
        let message = encode_control(session, code, &text);
        let frame = Frame::Control { session, code, text: text.into() };
        prop_assert_eq!(Frame::decode(&message), Ok(frame));
    }

    #[test]
    fn session_ids_round_trip(session in session()) {
        let sid = session.to_base64url();
        prop_assert_eq!(sid.len(), 11);
        prop_assert_eq!(SessionId::from_base64url(&sid), Some(session));
    }

    /// What the endpoint takes, the relay takes; it reads the same.
    #[test]
    fn the_relay_is_no_stricter(mut message in message(), damage in damage()) {
        damage.apply(&mut message);
        if let Ok(frame) = Frame::decode(&message) {
            prop_assert_eq!(Frame::decode_for_relay(&message), Ok(frame));
        }
    }

    #[test]
    fn damaged_frames_harm_nobody(mut message in message(), damage in damage()) {
        damage.apply(&mut message);
        decode(&message);
    }

    #[test]
    fn random_bytes_harm_nobody(bytes in bytes()) {
        decode(&bytes);
    }

    #[test]
    fn random_texts_are_no_session_ids(text in "[A-Za-z0-9_=+/-]{0,14}") {
        if let Some(session) = SessionId::from_base64url(&text) {
            prop_assert_eq!(session.to_base64url(), text);
        }
    }
}

/// Only a Control's text may be copied, to mend what is no UTF-8: a byte becomes at most three.
fn decode(message: &[u8]) {
    let per_byte = if message.first() == Some(&0x20) { 8 } else { 0 };
    assert_modest(message, per_byte, |message| _ = Frame::decode(message));
    assert_modest(message, per_byte, |message| _ = Frame::decode_for_relay(message));
}
