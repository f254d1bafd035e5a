//! SBP frames and the handshake inside them.

use proptest::prelude::*;
use sideband_protocol::sbp::{Frame, FrameId, Hello, Subject};

use crate::support::{assert_modest, bytes, damage, frame_id, json};

#[derive(Clone, Debug)]
struct Parts {
    id: FrameId,
    other: FrameId,
    timestamp: Option<i64>,
    code: u16,
    text: String,
    subject: String,
    data: Vec<u8>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let subject =
        prop_oneof![Just("rpc".to_owned()), Just("event".to_owned()), Just("stream".to_owned()), "app/[^\0]{0,60}",];
    let fields = (frame_id(), frame_id(), any::<Option<i64>>(), any::<u16>(), any::<String>());
    (fields, subject, bytes()).prop_map(|((id, other, timestamp, code, text), subject, data)| Parts {
        id,
        other,
        timestamp,
        code,
        text,
        subject,
        data,
    })
}

impl Parts {
    /// One frame of every form.
    fn frames(&self) -> Vec<Frame<'_>> {
        let Self { id, code, timestamp, text, data, .. } = self;
        let (id, code, timestamp) = (*id, *code, *timestamp);
        let subject = Subject::parse(&self.subject).expect("a valid subject");
        let reason = (!text.is_empty()).then_some(&**text);
        let mut frames = vec![
            Frame::Ping { id },
            Frame::Pong { id },
            Frame::Close { id, reason },
            Frame::Message { id, timestamp, subject, data },
            Frame::Ack { id, acked: self.other },
            Frame::Error { id, code, message: text, details: data },
        ];
        if !data.is_empty() {
            frames.push(Frame::Handshake { id, data });
        }
        frames
    }
}

fn encode(frame: Frame<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    frame.encode(&mut message);
    message
}

/// Nothing is copied, so nothing is allocated.
fn decode(message: &[u8]) {
    assert_modest(message, 0, |message| _ = Frame::decode(message));
}

/// A handshake's data is built into values; a byte is at most one of them.
fn decode_hello(data: &[u8]) {
    assert_modest(data, 256, |data| _ = Hello::decode(data));
}

proptest! {
    #[test]
    fn frames_round_trip(parts in parts()) {
        for frame in parts.frames() {
            let message = encode(frame);
            prop_assert_eq!(Frame::decode(&message), Ok(frame));
        }
    }

    #[test]
    fn subjects_round_trip(text in ".{0,300}") {
        if let Some(subject) = Subject::parse(&text) {
            prop_assert_eq!(subject.as_str(), &text);
        }
    }

    #[test]
    fn damaged_frames_harm_nobody(parts in parts(), damage in damage()) {
        for frame in parts.frames() {
            let mut message = encode(frame);
            damage.apply(&mut message);
            decode(&message);
        }
    }

    #[test]
    fn random_bytes_harm_nobody(bytes in bytes()) {
        decode(&bytes);
        decode_hello(&bytes);
    }

    #[test]
    fn hellos_round_trip(peer_id in ".{1,40}", caps: Vec<String>) {
        let hello = Hello { peer_id, caps };
        prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }

    #[test]
    fn damaged_hellos_harm_nobody(caps: Vec<String>, json in json(), damage in damage()) {
        let mut data = Hello { peer_id: "peer".into(), caps }.encode();
        damage.apply(&mut data);
        decode_hello(&data);
        decode_hello(json.as_bytes());
    }
}
