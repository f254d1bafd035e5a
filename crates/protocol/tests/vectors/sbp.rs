//! SBP frames, and the handshake inside them.

use sideband_protocol::sbp::{Frame, FrameId, Hello, Subject, code, write_message_head};

use crate::support::{Case, each};

const FILE: &str = "sbp-frames.json";

/// The frame that a valid entry describes.
struct Expected<'a> {
    case: &'a Case<'a>,
    data: Vec<u8>,
    details: Vec<u8>,
}

impl<'a> Expected<'a> {
    fn new(case: &'a Case<'a>) -> Self {
        let bytes = |member| case.opt_text(member).map_or(Vec::new(), crate::support::unhex);
        Self { case, data: bytes("data"), details: bytes("details") }
    }

    fn frame(&'a self) -> Frame<'a> {
        let case = self.case;
        let id = FrameId(case.array("id"));
        match case.text("kind") {
            "control" => match case.small("op") {
                0 => Frame::Handshake { id, data: &self.data },
                1 => Frame::Ping { id },
                2 => Frame::Pong { id },
                3 => Frame::Close { id, reason: case.opt_text("reason") },
                op => panic!("unknown op {op}"),
            },
            "message" => Frame::Message {
                id,
                timestamp: case.get("timestamp").map(|_| case.number("timestamp")),
                subject: Subject::parse(case.text("subject")).expect("a valid subject"),
                data: &self.data,
            },
            "ack" => Frame::Ack { id, acked: FrameId(case.array("ackId")) },
            "error" => {
                Frame::Error { id, code: case.small("code"), message: case.text("message"), details: &self.details }
            }
            kind => panic!("unknown kind {kind}"),
        }
    }
}

#[test]
fn valid_frames_decode_and_encode() {
    each(FILE, "valid", 32, |case| {
        let message = case.frame();
        let expected = Expected::new(case);
        let frame = Frame::decode(&message).expect("a valid frame");
        assert_eq!(frame, expected.frame());
        // Only a message's timestamp is kept, so only a message with one is written with one.
        if case.get("timestamp").is_none() || case.text("kind") == "message" {
            let mut encoded = b"what stands in front".to_vec();
            frame.encode(&mut encoded);
            assert_eq!(encoded.split_off(20), message);
        }
        if let Frame::Message { id, timestamp: None, subject, data } = frame {
            let mut encoded = Vec::new();
            write_message_head(&mut encoded, id, subject);
            encoded.extend_from_slice(data);
            assert_eq!(encoded, message);
        }
    });
}

#[test]
fn invalid_frames_are_refused() {
    each(FILE, "invalid", 52, |case| {
        let outcome = if Frame::decode(&case.frame()).is_ok() { "ok" } else { "invalid_frame" };
        case.assert_outcome("refusal", outcome);
    });
}

#[test]
fn handshakes() {
    each(FILE, "handshakes", 24, |case| {
        let hello = Hello::decode(case.text("data").as_bytes());
        let outcome = match &hello {
            Ok(_) => "ok",
            Err(error) if error.code() == code::PROTOCOL_VIOLATION => "protocol_violation",
            Err(error) if error.code() == code::UNSUPPORTED_VERSION => "unsupported_version",
            Err(error) => panic!("{error}"),
        };
        case.assert_outcome("expect", outcome);
        if let Ok(hello) = hello {
            assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
    });
}

#[test]
fn fatal_codes_are_the_first_two() {
    let fatal: Vec<u16> = (0..=u16::MAX).filter(|code| code::is_fatal(*code)).collect();
    assert_eq!(fatal, [code::PROTOCOL_VIOLATION, code::UNSUPPORTED_VERSION]);
}

#[test]
fn a_frame_id_in_hex() {
    let id = FrameId(*b"\x00\x01\x09\x0a\x0f\x10\x9f\xa0\xf9\xff\x7f\x80\xde\xad\xbe\xef");
    let hex = "0001090a0f109fa0f9ff7f80deadbeef";
    assert_eq!(id.to_hex(), hex);
    assert_eq!(id.hex_digits(), hex.as_bytes());
    assert_eq!(FrameId::from_hex(hex), Some(id));
    assert_eq!(FrameId::from_hex(&hex.to_uppercase()), None);
    assert_eq!(FrameId::from_hex(&hex[1..]), None);
    assert_eq!(FrameId::from_hex("é001090a0f109fa0f9ff7f80deadbeef"), None);
}
