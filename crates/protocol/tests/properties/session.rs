//! Handshake and sealed frames.

use proptest::prelude::*;
use sideband_protocol::{
    handshake::{ClientHandshake, HandshakeError, accept},
    identity::IdentityKeyPair,
    sbrp::{Frame, HEADER_LEN, SessionId},
    session::{MAX_PLAINTEXT, OpenError, Opener, SEALED_PREFIX, SealError, Sealer, SessionKeys},
};
use zeroize::Zeroizing;

use crate::support::{assert_modest, bytes, damage};

const DAEMON_ID: &str = "d_test";

/// Both ends of a session: the client's keys, then the daemon's.
fn session_of(seeds: [[u8; 32]; 3]) -> (SessionKeys, SessionKeys) {
    let identity = IdentityKeyPair::from_seed(&seeds[0]);
    let client = ClientHandshake::start(Zeroizing::new(seeds[1]));
    let daemon = Zeroizing::new(seeds[2]);
    let (payload, daemon) = accept(&identity, DAEMON_ID, daemon, &client.init_payload()).expect("a good init");
    let client = client.verify(DAEMON_ID, &payload, None).expect("a good accept");
    (client.into_keys().expect("no low-order key"), daemon)
}

fn ends() -> ((Sealer, Opener), (Sealer, Opener)) {
    let (client, daemon) = session_of([[1; 32], [2; 32], [3; 32]]);
    (client.into_client(), daemon.into_daemon())
}

fn session_id() -> SessionId {
    SessionId::new(7).expect("not 0")
}

fn seal(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut frame = [&[0; SEALED_PREFIX], plaintext].concat();
    sealer.seal(session_id(), &mut frame).expect("it fits");
    frame
}

#[test]
fn one_byte_too_many_is_refused_and_costs_nothing() {
    let ((mut sealer, _), _) = ends();
    let mut frame = vec![0; SEALED_PREFIX + MAX_PLAINTEXT + 1];
    let len = MAX_PLAINTEXT + 1;
    assert_eq!(sealer.seal(session_id(), &mut frame), Err(SealError::TooLarge { len }));
    assert_eq!(frame, vec![0; SEALED_PREFIX + MAX_PLAINTEXT + 1]);
    assert_eq!(sealer.sequence(), 0);
}

#[test]
fn frames_of_one_side_do_not_open_on_the_same_side() {
    let ((mut sealer, mut opener), _) = ends();
    let mut frame = seal(&mut sealer, b"reflected");
    assert_eq!(opener.open(&mut frame[HEADER_LEN..]), Err(OpenError::DecryptFailed));
}

#[test]
fn lost_frames_are_reported_as_a_gap() {
    let ((mut sealer, _), (_, mut opener)) = ends();
    let mut frames: Vec<Vec<u8>> = (0..5).map(|i| seal(&mut sealer, &[i])).collect();
    for (i, gap) in [(0, 0), (3, 2), (2, 0), (4, 0)] {
        let payload = &mut frames[i][HEADER_LEN..];
        let message = opener.open(payload).expect("a good frame");
        assert_eq!((message.plaintext, message.gap), (&[u8::try_from(i).expect("small")][..], gap));
    }
}

proptest! {
    // Every case is a handshake or more, which unoptimised arithmetic makes slow.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the keys are, both sides come to the same ones.
    #[test]
    fn both_sides_agree(seeds: [[u8; 32]; 3], there in bytes(), back in bytes()) {
        let (client, daemon) = session_of(seeds);
        let ((mut to_daemon, mut from_daemon), (mut to_client, mut from_client)) =
            (client.into_client(), daemon.into_daemon());
        for (sealer, opener, text) in [
            (&mut to_daemon, &mut from_client, &there),
            (&mut to_client, &mut from_daemon, &back),
        ] {
            let frame = seal(sealer, text);
            let Ok(Frame::Data { session, payload }) = Frame::decode(&frame) else {
                panic!("a Data frame")
            };
            prop_assert_eq!(session, session_id());
            let mut payload = payload.to_vec();
            let message = opener.open(&mut payload).expect("a good frame");
            prop_assert_eq!((message.plaintext, message.gap), (&**text, 0));
        }
    }

    /// No damage goes unseen, none moves the window, and nothing is allocated.
    #[test]
    fn damaged_payloads_are_refused(text in bytes(), damage in damage()) {
        let ((mut sealer, _), (_, mut opener)) = ends();
        let good = seal(&mut sealer, &text).split_off(HEADER_LEN);
        let mut damaged = good.clone();
        damage.apply(&mut damaged);
        prop_assume!(damaged != good);
        let mut buffer = damaged.clone();
        assert_modest(&damaged, 0, |_| assert!(opener.open(&mut buffer).is_err()));
        prop_assert!(opener.open(&mut good.clone()).is_ok());
    }

    #[test]
    fn random_payloads_are_refused(mut bytes in bytes()) {
        let (_, (_, mut opener)) = ends();
        prop_assert!(opener.open(&mut bytes).is_err());
    }

    #[test]
    fn damaged_accepts_are_refused(seeds: [[u8; 32]; 3], damage in damage()) {
        let identity = IdentityKeyPair::from_seed(&seeds[0]);
        let client = ClientHandshake::start(Zeroizing::new(seeds[1]));
        let daemon = Zeroizing::new(seeds[2]);
        let (payload, _) =
            accept(&identity, DAEMON_ID, daemon, &client.init_payload()).expect("a good init");
        let mut damaged = payload.to_vec();
        damage.apply(&mut damaged);
        prop_assume!(damaged != payload);
        let pin = identity.public_key();
        let error = client.verify(DAEMON_ID, &damaged, Some(&pin)).err();
        let len = damaged.len();
        let expected = if len == payload.len() {
            HandshakeError::BadSignature
        } else {
            HandshakeError::MalformedAccept { len }
        };
        prop_assert_eq!(error, Some(expected));
    }

    #[test]
    fn random_inits_harm_nobody(init in bytes(), key: [u8; 32]) {
        let identity = IdentityKeyPair::from_seed(&[1; 32]);
        for init in [&init[..], &key] {
            let result = accept(&identity, DAEMON_ID, Zeroizing::new([2; 32]), init);
            prop_assert!(init.len() == 32 || result.is_err());
        }
    }
}
