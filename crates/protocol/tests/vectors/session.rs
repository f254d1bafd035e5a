//! Opening Data frames: known answers, refusals, replay. (Sealing at any sequence needs to set it,
//! so those answers are checked inside the crate.)

use serde_json::Value;
use sideband_protocol::{
    handshake::{ClientHandshake, VerifiedAccept},
    sbrp::{Frame, SessionId},
    session::{OpenError, Opener, SEALED_PREFIX, SessionKeys},
};
use zeroize::Zeroizing;

use crate::support::{Case, each, load, sha256};

const FILE: &str = "session.json";
const SESSION: u64 = 0x0102_0304_0506_0708;

/// The session of `session.json`: its keys are those of the first handshake.
fn keys() -> SessionKeys {
    let (handshakes, session) = (load("handshake.json"), load(FILE));
    let case = Case(&handshakes["cases"][0]);
    assert_eq!(Case(&session).number::<u64>("sessionId"), SESSION);
    for key in ["clientToDaemonKey", "daemonToClientKey"] {
        assert_eq!(handshakes["cases"][0][key], session[key]);
    }
    ClientHandshake::start(Zeroizing::new(case.array("clientEphemeralPrivate")))
        .verify(case.text("daemonId"), &case.bytes("acceptPayload"), None)
        .and_then(VerifiedAccept::into_keys)
        .expect("a good handshake")
}

fn receiver(name: &str) -> Opener {
    match name {
        "daemon" => keys().into_daemon().1,
        "client" => keys().into_client().1,
        other => panic!("unknown receiver {other}"),
    }
}

fn outcome(opener: &mut Opener, payload: &mut [u8]) -> &'static str {
    match opener.open(payload) {
        Ok(_) => "ok",
        Err(OpenError::DecryptFailed) => "decrypt_failed",
        Err(OpenError::SequenceError) => "sequence_error",
    }
}

fn plaintext(case: &Case) -> Vec<u8> {
    let Some(rule) = case.get("plaintextGen").map(Case) else { return case.bytes("plaintext") };
    assert_eq!(rule.text("rule"), "byte i is i mod 251");
    (0..=250).cycle().take(rule.small("count")).collect()
}

#[test]
fn frames_open_to_their_plaintext() {
    each(FILE, "frames", 20, |case| {
        let mut opener = match case.text("direction") {
            "client-to-daemon" => receiver("daemon"),
            "daemon-to-client" => receiver("client"),
            other => panic!("unknown direction {other}"),
        };
        // The largest one is given by what it comes from; the crate's own test holds its bytes.
        if case.get("frame").is_none() {
            return;
        }
        let frame = case.bytes("frame");
        let Ok(Frame::Data { session, payload }) = Frame::decode(&frame) else { panic!("a Data frame") };
        assert_eq!(session.get(), SESSION);
        let mut payload = payload.to_vec();
        assert_eq!(payload, case.bytes("payload"));
        let message = opener.open(&mut payload).expect("a good frame");
        assert_eq!(message.plaintext, plaintext(case));
        assert_eq!(message.gap, case.number::<u64>("sequence"), "all before it are missing");
    });
}

#[test]
fn the_largest_frame_goes_both_ways() {
    each(FILE, "frames", 20, |case| {
        if case.get("frame").is_some() {
            return;
        }
        let (mut sealer, mut opener) = match case.text("direction") {
            "client-to-daemon" => (keys().into_client().0, receiver("daemon")),
            "daemon-to-client" => (keys().into_daemon().0, receiver("client")),
            other => panic!("unknown direction {other}"),
        };
        let session = SessionId::new(SESSION).expect("not 0");
        let mut frame = Vec::new();
        while sealer.sequence() <= case.number("sequence") {
            frame = vec![0; SEALED_PREFIX];
            frame.extend_from_slice(&plaintext(case));
            sealer.seal(session, &mut frame).expect("it just fits");
        }
        assert_eq!(frame.len(), case.small::<usize>("frameLength"));
        assert_eq!(sha256(&frame), case.text("frameSha256"));
        assert!(frame.ends_with(&case.bytes("tag")));
        let message = opener.open(&mut frame[13..]).expect("a good frame");
        assert_eq!(message.plaintext, plaintext(case));
    });
}

#[test]
fn what_a_fresh_receiver_says() {
    each(FILE, "receive", 13, |case| {
        let outcome = outcome(&mut receiver(case.text("receiver")), &mut case.bytes("payload"));
        case.assert_outcome("expect", outcome);
    });
}

#[test]
fn scripts_of_the_replay_window() {
    let session = load(FILE);
    let window = Case(&session["window"]);
    assert_eq!(window.small::<u32>("minimumWidth"), 128);
    let scripts = session["window"]["scripts"].as_array().expect("scripts");
    let mut steps_run = 0;
    for script in scripts {
        let mut opener = receiver(window.text("receiver"));
        for (i, step) in script["steps"].as_array().into_iter().flatten().enumerate() {
            let step = Case(step);
            let outcome = match outcome(&mut opener, &mut step.bytes("payload")) {
                "ok" => "accept",
                refusal => refusal,
            };
            let expected = step.text("expect");
            let what = &script["what"];
            assert!(expected == "either" || expected == outcome, "{what}, step {i}: {outcome} instead of {expected}");
            steps_run += 1;
        }
    }
    assert_eq!((scripts.len(), steps_run), (23, 273));
    assert!(scripts.iter().all(|script| script["what"].is_string() && script["steps"] != Value::Null));
}
