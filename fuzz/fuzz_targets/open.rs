//! Any Data payload for a fresh daemon: what opens is smaller, and does not open twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_fuzz::HANDSHAKE;
use sideband_protocol::{
    handshake::accept,
    identity::IdentityKeyPair,
    session::{OpenError, Opener},
};
use zeroize::Zeroizing;

fn opener() -> Opener {
    let identity = IdentityKeyPair::from_seed(&HANDSHAKE.identity_seed);
    let ephemeral = Zeroizing::new(HANDSHAKE.daemon_ephemeral);
    let (_, keys) = accept(&identity, &HANDSHAKE.daemon_id, ephemeral, &HANDSHAKE.init).expect("a good init");
    keys.into_daemon().1
}

fuzz_target!(|payload: &[u8]| {
    let mut opener = opener();
    let mut buffer = payload.to_vec();
    let Ok(message) = opener.open(&mut buffer) else { return };
    assert_eq!(message.plaintext.len() + 28, payload.len());
    assert_eq!(opener.open(&mut payload.to_vec()), Err(OpenError::SequenceError));
});
