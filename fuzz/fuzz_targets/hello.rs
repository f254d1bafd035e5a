//! Any SBP handshake: what is read and written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::sbp::Hello;

fuzz_target!(|data: &[u8]| {
    let Ok(hello) = Hello::decode(data) else { return };
    assert!(!hello.peer_id.is_empty());
    assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
});
