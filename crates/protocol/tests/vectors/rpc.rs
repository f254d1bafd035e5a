//! RPC envelopes.

use serde_json::{Value, json};
use sideband_protocol::{
    rpc::{
        Envelope, EnvelopeError, MAX_NESTING, exceeds_nesting, write_error, write_notification, write_request,
        write_success,
    },
    sbp::{FrameId, Subject},
};

use crate::support::{Case, each};

const FILE: &str = "rpc-envelopes.json";

fn decode<'a>(case: &Case<'a>) -> Result<Envelope<'a>, u16> {
    let subject = Subject::parse(case.text("subject")).expect("a valid subject");
    Envelope::decode(subject, case.text("json").as_bytes()).map_err(EnvelopeError::code)
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// The members that mean something, by value.
fn members(envelope: &Envelope<'_>) -> Value {
    let mut members = json!({});
    let mut optional = |name: &str, json: Option<&str>| {
        if let Some(json) = json {
            members[name] = parse(json);
        }
    };
    let required = match envelope {
        Envelope::Request { method, params, cid } => {
            optional("p", *params);
            json!({ "t": "r", "m": method, "cid": cid.to_hex() })
        }
        Envelope::Success { cid, result } => {
            optional("result", *result);
            json!({ "t": "R", "cid": cid.to_hex() })
        }
        Envelope::Error { cid, code, message, data } => {
            optional("data", *data);
            json!({ "t": "E", "cid": cid.to_hex(), "code": code, "message": message })
        }
        Envelope::Notification { name, data } => {
            optional("d", *data);
            json!({ "t": "N", "e": name })
        }
    };
    for (name, value) in required.as_object().expect("an object") {
        members[name] = value.clone();
    }
    members
}

fn encode(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::new();
    match envelope {
        Envelope::Request { method, params, cid } => write_request(&mut out, method, *params, *cid),
        Envelope::Success { cid, result } => write_success(&mut out, *cid, *result),
        Envelope::Error { cid, code, message, data } => {
            #[expect(clippy::cast_possible_truncation, reason = "the vectors' codes are integers")]
            write_error(&mut out, *cid, *code as i64, message, *data);
        }
        Envelope::Notification { name, data } => write_notification(&mut out, name, *data),
    }
    out
}

#[test]
fn valid_envelopes_decode_and_encode() {
    each(FILE, "valid", 19, |case| {
        let envelope = decode(case).expect("a valid envelope");
        let verdict = match &envelope {
            Envelope::Request { .. } => "request",
            Envelope::Success { .. } => "success",
            Envelope::Error { .. } => "error",
            Envelope::Notification { .. } => "notification",
        };
        assert_eq!(verdict, case.text("verdict"));

        let found = members(&envelope);
        let mut wire = parse(case.text("json"));
        // Members of no meaning are ignored; numbers compare as the doubles that JavaScript has.
        wire.as_object_mut().expect("an object").retain(|name, _| found.get(name).is_some());
        if let Some(code) = wire.get_mut("code") {
            *code = json!(code.as_f64());
        }
        assert_eq!(found, wire);

        let subject = Subject::parse(case.text("subject")).expect("a valid subject");
        let encoded = encode(&envelope);
        assert_eq!(Envelope::decode(subject, &encoded), Ok(envelope));
    });
}

#[test]
fn invalid_envelopes_are_dropped_with_a_code() {
    each(FILE, "invalid", 50, |case| match decode(case) {
        Ok(_) => case.assert_outcome("expect", "deliver"),
        Err(code) => {
            case.assert_outcome("expect", "drop");
            assert_eq!(code, case.small::<u16>("code"));
        }
    });
}

const ID: FrameId = FrameId([0xab; 16]);
const CID: &str = "abababababababababababababababab";

fn request(json: &str) -> Result<Envelope<'_>, u16> {
    Envelope::decode(Subject::Rpc, json.as_bytes()).map_err(EnvelopeError::code)
}

#[test]
fn payloads_are_the_text_they_came_as() {
    let json = format!(
        r#" {{ "cid":"{CID}", "p" : {{ "n":1e400, "n":12345678901234567890, "s":"\ud800" }} , "t":"r","m":"x"}} "#
    );
    let Ok(Envelope::Request { params, .. }) = request(&json) else { panic!("a request") };
    let text = r#"{ "n":1e400, "n":12345678901234567890, "s":"\ud800" }"#;
    assert_eq!(params, Some(text));
}

#[test]
fn absent_and_null_are_two_things() {
    let absent = format!(r#"{{"t":"R","cid":"{CID}"}}"#);
    let null = format!(r#"{{"t":"R","cid":"{CID}","result":null}}"#);
    assert_eq!(request(&absent), Ok(Envelope::Success { cid: ID, result: None }));
    assert_eq!(request(&null), Ok(Envelope::Success { cid: ID, result: Some("null") }));
}

#[test]
fn of_a_repeated_member_the_last_counts() {
    let json = format!(r#"{{"t":1,"m":"a","t":"r","p":1,"cid":"","m":"b","p":2,"cid":"{CID}"}}"#);
    let expected = Envelope::Request { method: "b".into(), params: Some("2"), cid: ID };
    assert_eq!(request(&json), Ok(expected));
}

#[test]
fn escapes_are_read_in_names_and_strings() {
    let json = format!(r#"{{"\u0074":"\u0072","m":"\"\\\ud83d\udef0","cid":"{CID}"}}"#);
    let expected = Envelope::Request { method: "\"\\\u{1f6f0}".into(), params: None, cid: ID };
    assert_eq!(request(&json), Ok(expected));

    let half = format!(r#"{{"t":"r","m":"\ud83d","cid":"{CID}"}}"#);
    assert_eq!(request(&half), Err(1100));
}

#[test]
fn any_number_is_a_code() {
    for (text, code) in [("-1", -1.0), ("2000.5", 2000.5), ("2e3", 2000.0), ("1e999", f64::INFINITY)] {
        let json = format!(r#"{{"t":"E","cid":"{CID}","code":{text},"message":""}}"#);
        let expected = Envelope::Error { cid: ID, code, message: "".into(), data: None };
        assert_eq!(request(&json), Ok(expected));
    }
}

#[test]
fn members_of_other_envelopes_may_hold_anything() {
    let json = format!(r#"{{"t":"r","m":"x","code":"x","message":[],"e":0,"cid":"{CID}"}}"#);
    assert!(request(&json).is_ok());
}

#[test]
fn bytes_that_are_no_utf8_are_no_envelope() {
    let mut json = format!(r#"{{"t":"r","m":"x","cid":"{CID}"}}"#).into_bytes();
    json[12] = 0xff;
    let error = Envelope::decode(Subject::Rpc, &json).expect_err("no UTF-8");
    assert_eq!(error.code(), 1100);
}

#[test]
fn no_depth_of_nesting_hurts_the_decoder() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let json = format!(r#"{{"t":"r","m":"x","later":{deep},"p":{deep},"cid":"{CID}"}}"#);
        let Ok(Envelope::Request { params, .. }) = request(&json) else { panic!("a request") };
        assert_eq!(params, Some(&*deep));
        assert!(exceeds_nesting(&deep));
        assert_eq!(request(&open.repeat(100_000)), Err(1100));
    }
}

#[test]
fn nesting_is_counted_outside_strings() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(!exceeds_nesting(&nested(MAX_NESTING)));
    assert!(exceeds_nesting(&nested(MAX_NESTING + 1)));
    assert!(!exceeds_nesting(&format!("[{}1]", nested(100).repeat(50).replace("][", "],["))));
    assert!(!exceeds_nesting(&format!(r#"["\"{}\\",1]"#, "[{".repeat(1000))));
    assert!(exceeds_nesting(&format!(r#"["\\",{}]"#, nested(MAX_NESTING))));
}
