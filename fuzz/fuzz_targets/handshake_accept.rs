//! Any accept for one client: what verifies was signed by the key that it shows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_fuzz::HANDSHAKE;
use sideband_protocol::{handshake::ClientHandshake, sbrp::HANDSHAKE_ACCEPT_LEN};
use zeroize::Zeroizing;

fuzz_target!(|payload: &[u8]| {
    let client = ClientHandshake::start(Zeroizing::new(HANDSHAKE.client_ephemeral));
    let Ok(accept) = client.verify(&HANDSHAKE.daemon_id, payload, None) else { return };
    assert_eq!(payload.len(), HANDSHAKE_ACCEPT_LEN);
    assert_eq!(payload[..32], accept.identity().public_key().as_bytes()[..]);
    // A point of low order fails here, everything else gives keys.
    _ = accept.into_keys();
});
