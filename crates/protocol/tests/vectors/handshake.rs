//! Whole handshakes, and accepts and inits that must fail.

use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::AeadInOut as _};
use sideband_protocol::{
    handshake::{self, ClientHandshake, DaemonHandshake, HandshakeError, PinMatch},
    identity::{IdentityKeyPair, PublicKey},
    sbrp::{SessionId, encode_handshake_accept, encode_handshake_init},
    session::{SEALED_PREFIX, Sealer, SessionKeys},
};
use zeroize::Zeroizing;

use crate::support::{Case, each, hex};

const FILE: &str = "handshake.json";

fn identity(case: &Case) -> IdentityKeyPair {
    IdentityKeyPair::from_seed(&case.array("identitySeed"))
}

fn client(case: &Case) -> ClientHandshake {
    ClientHandshake::start(Zeroizing::new(case.array("clientEphemeralPrivate")))
}

fn daemon_ephemeral(case: &Case) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(case.array("daemonEphemeralPrivate"))
}

/// That `sealer` seals with the key in `member`: its first frame is what the reference cipher makes.
fn assert_seals_with(mut sealer: Sealer, case: &Case, member: &str, direction: u8) {
    let key: [u8; 32] = case.array(member);
    let mut nonce = [0; 12];
    nonce[3] = direction;
    let mut text = *b"which key is it?";
    let tag = ChaCha20Poly1305::new(&key.into())
        .encrypt_inout_detached(&nonce.into(), &[], text.as_mut_slice().into())
        .expect("a short text");

    let mut frame = vec![0; SEALED_PREFIX];
    frame.extend_from_slice(b"which key is it?");
    sealer.seal(SessionId::new(1).expect("not 0"), &mut frame).expect("a short text");
    let expected = [&nonce[..], &text, &tag].concat();
    assert_eq!(hex(&frame[13..]), hex(&expected), "another key than {member}");
}

fn assert_client_keys(keys: SessionKeys, case: &Case) {
    assert_seals_with(keys.into_client().0, case, "clientToDaemonKey", 1);
}

#[test]
fn whole_handshakes() {
    each(FILE, "cases", 7, |case| {
        let session = SessionId::new(case.number("sessionId")).expect("not 0");
        let daemon_id = case.text("daemonId");
        assert_eq!(daemon_id.as_bytes(), case.bytes("daemonIdUtf8"));

        let identity = identity(case);
        assert_eq!(identity.public_key().as_bytes(), &case.array("identityPublic"));
        assert_eq!(identity.public_key().fingerprint(), case.text("fingerprint"));
        assert_eq!(format!("{:?}", identity.public_key()), case.text("fingerprint"));
        assert_eq!(identity.seed(), &case.array("identitySeed"));

        let client = client(case);
        let init = client.init_payload();
        assert_eq!(init, case.array("clientEphemeralPublic"));
        assert_eq!(encode_handshake_init(session, &init), case.bytes("initFrame"));

        let daemon = DaemonHandshake::new(&identity, daemon_id, daemon_ephemeral(case));
        let (accept, daemon_keys) = daemon.accept(&init).expect("a good init");
        assert_eq!(accept, case.array("acceptPayload"));
        assert_eq!(encode_handshake_accept(session, &accept), case.bytes("acceptFrame"));

        let verified = client.verify(daemon_id, &accept, None).expect("a good accept");
        assert_eq!(verified.pin(), PinMatch::None);
        assert_eq!(verified.identity().public_key(), &identity.public_key());
        assert_eq!(verified.identity().daemon_id(), daemon_id);

        assert_client_keys(verified.into_keys().expect("no low-order key"), case);
        assert_seals_with(daemon_keys.into_daemon().0, case, "daemonToClientKey", 2);
    });
}

/// What a client does with an accept: verify, then policy, then keys.
fn connect(case: &Case) -> Result<SessionKeys, &'static str> {
    let pin = case.get("pin").map(|_| PublicKey::from_bytes(case.array("pin")));
    let accept = case.bytes("acceptPayload");
    let verified = client(case).verify(case.text("daemonId"), &accept, pin.as_ref()).map_err(|_| "handshake_failed")?;
    match (case.opt_text("policy").unwrap_or("auto"), verified.pin()) {
        ("auto", _) | ("pinned-only", PinMatch::Equal) => {}
        ("pinned-only", PinMatch::None) => return Err("handshake_failed"),
        ("pinned-only", PinMatch::Differs { pinned }) => {
            assert_eq!(Some(pinned), pin);
            return Err("identity_key_changed");
        }
        (policy, _) => panic!("unknown policy {policy}"),
    }
    verified.into_keys().map_err(|_| "handshake_failed")
}

#[test]
fn what_a_client_makes_of_an_accept() {
    each(FILE, "client", 38, |case| match connect(case) {
        Err(outcome) => case.assert_outcome("expect", outcome),
        Ok(keys) => {
            case.assert_outcome("expect", "ok");
            if case.get("clientToDaemonKey").is_some() {
                assert_client_keys(keys, case);
            }
        }
    });
}

#[test]
fn what_a_daemon_makes_of_an_init() {
    each(FILE, "daemon", 8, |case| {
        let init = case.bytes("initPayload");
        let result = handshake::accept(&identity(case), case.text("daemonId"), daemon_ephemeral(case), &init);
        case.assert_outcome("expect", if result.is_ok() { "ok" } else { "handshake_failed" });
        assert_eq!(result.err(), Some(HandshakeError::LowOrder));
    });
}

#[test]
fn an_init_of_another_size_fails() {
    each(FILE, "cases", 7, |case| {
        for len in [0, 31, 33] {
            let init = vec![9; len];
            let result = handshake::accept(&identity(case), case.text("daemonId"), daemon_ephemeral(case), &init);
            assert_eq!(result.err(), Some(HandshakeError::MalformedInit { len }));
        }
    });
}
