//! Any SBP message: what is read and written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::sbp::Frame;

fuzz_target!(|message: &[u8]| {
    let Ok(frame) = Frame::decode(message) else { return };
    let mut again = Vec::new();
    frame.encode(&mut again);
    assert_eq!(Frame::decode(&again), Ok(frame));
    // Only the timestamp of what is no message gets lost.
    let lost = if matches!(frame, Frame::Message { .. }) { 0 } else { 8 * usize::from(message[1]) };
    assert_eq!(again.len() + lost, message.len());
});
