//! What needs a hand inside: both ciphers, any sequence, the end of the sequence.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    Direction, SealError, Sealer, SessionKeys,
    aead::{Aead, Cipher, Key, reference::RustCrypto},
};
use crate::{sbrp::SessionId, session::SEALED_PREFIX};

struct KnownAnswer {
    what: String,
    key: [u8; 32],
    direction: Direction,
    sequence: u64,
    plaintext: Vec<u8>,
    /// The whole frame, or its length and last bytes where it is too large to be written down.
    frame: Result<Vec<u8>, (usize, Vec<u8>)>,
}

fn unhex(value: &Value) -> Vec<u8> {
    let hex = value.as_str().expect("hex");
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn known_answers() -> Vec<KnownAnswer> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors/session.json");
    let text = fs::read_to_string(path).expect("the vectors");
    let vectors: Value = serde_json::from_str(&text).expect("JSON");
    let frames = vectors["frames"].as_array().expect("frames");
    assert_eq!(frames.len(), 20);
    let answer = |frame: &Value| {
        let (direction, key) = match frame["direction"].as_str() {
            Some("client-to-daemon") => (Direction::ClientToDaemon, "clientToDaemonKey"),
            Some("daemon-to-client") => (Direction::DaemonToClient, "daemonToClientKey"),
            other => panic!("unknown direction {other:?}"),
        };
        let plaintext = match frame["plaintextGen"]["count"].as_u64() {
            Some(count) => (0..=250).cycle().take(count.try_into().expect("small")).collect(),
            None => unhex(&frame["plaintext"]),
        };
        KnownAnswer {
            what: frame["what"].to_string(),
            key: unhex(&vectors[key]).try_into().expect("32 bytes"),
            direction,
            sequence: frame["sequence"].as_str().expect("a number").parse().expect("a u64"),
            plaintext,
            frame: match frame["frameLength"].as_u64() {
                Some(len) => Err((len.try_into().expect("small"), unhex(&frame["tag"]))),
                None => Ok(unhex(&frame["frame"])),
            },
        }
    };
    frames.iter().map(answer).collect()
}

/// The session id of the known answers.
fn session() -> SessionId {
    SessionId::new(0x0102_0304_0506_0708).expect("not 0")
}

fn with_room(plaintext: &[u8]) -> Vec<u8> {
    [&[0xee; SEALED_PREFIX], plaintext].concat()
}

#[test]
fn sealing_gives_the_known_answers() {
    for answer in known_answers() {
        let mut sealer = Sealer::new(Key::new(answer.key), answer.direction);
        sealer.sequence = answer.sequence;
        let mut frame = with_room(&answer.plaintext);
        sealer.seal(session(), &mut frame).expect("it fits");
        match answer.frame {
            Ok(expected) => assert_eq!(frame, expected, "{}", answer.what),
            Err((len, tag)) => {
                assert_eq!(frame.len(), len, "{}", answer.what);
                assert!(frame.ends_with(&tag), "{}", answer.what);
            }
        }
        assert_eq!(sealer.sequence(), answer.sequence + 1);
    }
}

/// Seals and opens every known answer with one of the two ciphers.
fn hold_to_known_answers<A: Aead>() {
    for answer in known_answers() {
        let cipher = A::new(Key::new(answer.key));
        let nonce = super::nonce(answer.direction, answer.sequence);
        let mut text = answer.plaintext.clone();
        let tag = cipher.seal(nonce, &mut text);
        match answer.frame {
            Ok(frame) => assert_eq!([&text[..], &tag].concat(), frame[SEALED_PREFIX..]),
            Err((_, expected)) => assert_eq!(tag[..], expected),
        }

        let sealed = text.clone();
        assert!(cipher.open(nonce, &mut text, tag).is_ok(), "{}", answer.what);
        assert_eq!(text, answer.plaintext, "{}", answer.what);

        let mut forged_tag = tag;
        forged_tag[15] ^= 1;
        assert!(cipher.open(nonce, &mut sealed.clone(), forged_tag).is_err());
        let other_nonce = super::nonce(answer.direction, answer.sequence ^ 1);
        assert!(cipher.open(other_nonce, &mut sealed.clone(), tag).is_err());
        if let Some(first) = sealed.clone().first_mut() {
            *first ^= 0x80;
            assert!(cipher.open(nonce, &mut text, tag).is_err());
        }
    }
}

#[test]
fn the_cipher_in_use_gives_the_known_answers() {
    hold_to_known_answers::<Cipher>();
}

#[test]
fn the_reference_cipher_gives_the_known_answers() {
    hold_to_known_answers::<RustCrypto>();
}

#[cfg(feature = "ring")]
#[test]
fn a_wiped_key_is_another_key() {
    let seal = |cipher: &Cipher| cipher.seal([1; 12], &mut [2; 40]);
    let mut cipher = Cipher::new(Key::new([7; 32]));
    let zero = Cipher::new(Key::new([0; 32]));
    assert_ne!(seal(&cipher), seal(&zero));
    cipher.wipe();
    assert_eq!(seal(&cipher), seal(&zero));
}

#[test]
fn the_last_sequence_is_not_used() {
    let (mut sealer, _) = SessionKeys::derive(&[1; 32], &[2; 32]).into_client();
    sealer.sequence = u64::MAX - 1;
    let mut frame = with_room(b"last");
    sealer.seal(session(), &mut frame).expect("one is left");

    let mut frame = with_room(b"none is left");
    assert_eq!(sealer.seal(session(), &mut frame), Err(SealError::SequenceExhausted));
    assert_eq!(frame, with_room(b"none is left"));
    assert_eq!(sealer.sequence(), u64::MAX);
}
