//! Writing envelopes: appended around payloads that are JSON already.

use crate::sbp::FrameId;

/// Appends a call of `method`. `params` is JSON text.
pub fn write_request(out: &mut Vec<u8>, method: &str, params: Option<&str>, cid: FrameId) {
    out.extend_from_slice(br#"{"t":"r","m":"#);
    string(out, method);
    member(out, r#","p":"#, params);
    correlation(out, cid);
    out.push(b'}');
}

/// Appends the result of the call `cid`. `result` is JSON text.
pub fn write_success(out: &mut Vec<u8>, cid: FrameId, result: Option<&str>) {
    out.extend_from_slice(br#"{"t":"R""#);
    correlation(out, cid);
    member(out, r#","result":"#, result);
    out.push(b'}');
}

/// Appends the failure of the call `cid`. `data` is JSON text.
pub fn write_error(out: &mut Vec<u8>, cid: FrameId, code: i64, message: &str, data: Option<&str>) {
    out.extend_from_slice(br#"{"t":"E""#);
    correlation(out, cid);
    out.extend_from_slice(br#","code":"#);
    out.extend_from_slice(code.to_string().as_bytes());
    out.extend_from_slice(br#","message":"#);
    string(out, message);
    member(out, r#","data":"#, data);
    out.push(b'}');
}

/// Appends the event `name`, which the caller knows to be valid. `data` is JSON text.
pub fn write_notification(out: &mut Vec<u8>, name: &str, data: Option<&str>) {
    out.extend_from_slice(br#"{"t":"N","e":"#);
    string(out, name);
    member(out, r#","d":"#, data);
    out.push(b'}');
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string always serialises, and a Vec takes it");
}

fn correlation(out: &mut Vec<u8>, cid: FrameId) {
    out.extend_from_slice(br#","cid":""#);
    out.extend_from_slice(&cid.hex_digits());
    out.push(b'"');
}

fn member(out: &mut Vec<u8>, name: &str, json: Option<&str>) {
    if let Some(json) = json {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(json.as_bytes());
    }
}
