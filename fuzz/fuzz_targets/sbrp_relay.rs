//! Any message, read as the relay reads it: where an endpoint refuses it for more than its payload's
//! size, so does the relay, by the same name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::sbrp::{Frame, FrameError};

fuzz_target!(|message: &[u8]| {
    match (Frame::decode_for_relay(message), Frame::decode(message)) {
        (Err(refusal), endpoint) => assert_eq!(endpoint, Err(refusal)),
        (Ok(frame), Ok(same)) => assert_eq!(frame, same),
        (Ok(_), Err(refusal)) => assert_eq!(refusal, FrameError::MalformedFrame),
    }
});
