//! The known answers as the fuzz targets use them: keys to start from, messages to start with.

use std::sync::LazyLock;

use serde_json::Value;

/// A file of `testdata/vectors`.
pub fn file(name: &str) -> Value {
    let text = match name {
        "event-names" => include_str!("../testdata/vectors/event-names.json"),
        "handshake" => include_str!("../testdata/vectors/handshake.json"),
        "rpc-envelopes" => include_str!("../testdata/vectors/rpc-envelopes.json"),
        "sbp-frames" => include_str!("../testdata/vectors/sbp-frames.json"),
        "sbrp-frames" => include_str!("../testdata/vectors/sbrp-frames.json"),
        "session" => include_str!("../testdata/vectors/session.json"),
        other => panic!("no such file: {other}"),
    };
    serde_json::from_str(text).expect("the vectors are JSON")
}

/// The bytes of a hex string, `None` for anything else.
pub fn unhex(value: &Value) -> Option<Vec<u8>> {
    let hex = value.as_str()?;
    let byte = |i| u8::from_str_radix(hex.get(i..i + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// What both sides of the first handshake know; its session is the one of `session.json`.
pub struct Handshake {
    pub daemon_id: String,
    pub identity_seed: [u8; 32],
    pub client_ephemeral: [u8; 32],
    pub daemon_ephemeral: [u8; 32],
    pub init: [u8; 32],
}

pub static HANDSHAKE: LazyLock<Handshake> = LazyLock::new(|| {
    let case = &file("handshake")["cases"][0];
    let key = |member: &str| unhex(&case[member]).and_then(|bytes| bytes.try_into().ok()).expect("32 bytes");
    Handshake {
        daemon_id: case["daemonId"].as_str().expect("a string").to_owned(),
        identity_seed: key("identitySeed"),
        client_ephemeral: key("clientEphemeralPrivate"),
        daemon_ephemeral: key("daemonEphemeralPrivate"),
        init: key("clientEphemeralPublic"),
    }
});
