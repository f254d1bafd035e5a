//! Any message, read as an endpoint reads it: what it takes, the relay takes, and reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::sbrp::{Frame, HEADER_LEN, MAX_PAYLOAD};

fuzz_target!(|message: &[u8]| {
    let Ok(frame) = Frame::decode(message) else { return };
    assert!(message.len() <= HEADER_LEN + MAX_PAYLOAD);
    assert_eq!(message[0], frame.frame_type() as u8);
    assert_eq!(message[5..HEADER_LEN], frame.session().to_be_bytes());
    assert_eq!(Frame::decode_for_relay(message), Ok(frame));
});
