//! RPC envelopes.

use proptest::prelude::*;
use sideband_protocol::{
    rpc::{Envelope, MAX_NESTING, exceeds_nesting, write_error, write_notification, write_request, write_success},
    sbp::Subject,
};

use crate::support::{assert_modest, bytes, damage, frame_id, json};

const SUBJECTS: [Subject<'static>; 4] = [Subject::Rpc, Subject::Event, Subject::Stream, Subject::App("app/x")];

/// A parser may note every open bracket, and an escaped string is copied.
fn decode(data: &[u8]) {
    for subject in SUBJECTS {
        assert_modest(data, 16, |data| {
            _ = Envelope::decode(subject, data);
        });
    }
}

fn read<'a>(subject: Subject<'_>, data: &'a [u8]) -> Envelope<'a> {
    Envelope::decode(subject, data).expect("a valid envelope")
}

fn payload() -> impl Strategy<Value = Option<String>> {
    prop::option::of(json())
}

/// The depth of valid JSON, as a parser sees it.
fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn requests_round_trip(method: String, params in payload(), cid in frame_id()) {
        let mut data = Vec::new();
        write_request(&mut data, &method, params.as_deref(), cid);
        let expected = Envelope::Request { method: method.into(), params: params.as_deref(), cid };
        prop_assert_eq!(read(Subject::Rpc, &data), expected);
    }

    #[test]
    fn successes_round_trip(result in payload(), cid in frame_id()) {
        let mut data = Vec::new();
        write_success(&mut data, cid, result.as_deref());
        let expected = Envelope::Success { cid, result: result.as_deref() };
        prop_assert_eq!(read(Subject::Rpc, &data), expected);
    }

    #[test]
    fn errors_round_trip(code: i32, message: String, more in payload(), cid in frame_id()) {
        let mut data = Vec::new();
        write_error(&mut data, cid, code.into(), &message, more.as_deref());
        let (code, message) = (code.into(), message.into());
        let expected = Envelope::Error { cid, code, message, data: more.as_deref() };
        prop_assert_eq!(read(Subject::Rpc, &data), expected);
    }

    #[test]
    fn notifications_round_trip(name in "[a-z]{1,9}(\\.[0-9_-]{1,9}){0,3}", more in payload()) {
        let mut data = Vec::new();
        write_notification(&mut data, &name, more.as_deref());
        let expected = Envelope::Notification { name: name.into(), data: more.as_deref() };
        prop_assert_eq!(read(Subject::Event, &data), expected);
    }

    #[test]
    fn damaged_envelopes_harm_nobody(
        method: String,
        params in payload(),
        cid in frame_id(),
        damage in damage(),
    ) {
        let mut data = Vec::new();
        write_request(&mut data, &method, params.as_deref(), cid);
        damage.apply(&mut data);
        decode(&data);
    }

    #[test]
    fn random_bytes_harm_nobody(bytes in bytes()) {
        decode(&bytes);
    }

    #[test]
    fn any_json_harms_nobody(json in json()) {
        decode(json.as_bytes());
    }

    #[test]
    fn any_text_is_measured(text: String) {
        exceeds_nesting(&text);
    }

    #[test]
    fn nesting_is_the_depth_of_the_value(levels in 0_usize..140, json in json()) {
        // A value that cannot be represented (1e400) is not measured the other way.
        let Ok(value) = serde_json::from_str(&json) else { return Ok(()) };
        let nested = format!("{}{json}{}", "[".repeat(levels), "]".repeat(levels));
        prop_assert_eq!(exceeds_nesting(&nested), levels + depth(&value) > MAX_NESTING);
    }
}
