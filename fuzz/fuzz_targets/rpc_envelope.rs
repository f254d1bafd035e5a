//! Any envelope under both subjects: what is read and written again reads the same, payloads to the
//! letter; and its nesting can be measured.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::{
    rpc::{Envelope, exceeds_nesting, write_error, write_notification, write_request, write_success},
    sbp::Subject,
};

fuzz_target!(|data: &[u8]| {
    for subject in [Subject::Rpc, Subject::Event] {
        let Ok(envelope) = Envelope::decode(subject, data) else { continue };
        let mut again = Vec::new();
        let payload = match &envelope {
            Envelope::Request { method, params, cid } => {
                write_request(&mut again, method, *params, *cid);
                params
            }
            Envelope::Success { cid, result } => {
                write_success(&mut again, *cid, *result);
                result
            }
            Envelope::Error { cid, code, message, data } => {
                // An error is written with a whole number.
                if code.fract() != 0.0 || code.abs() > 1e15 {
                    continue;
                }
                write_error(&mut again, *cid, *code as i64, message, *data);
                data
            }
            Envelope::Notification { name, data } => {
                write_notification(&mut again, name, *data);
                data
            }
        };
        if let Some(json) = payload {
            exceeds_nesting(json);
        }
        assert_eq!(Envelope::decode(subject, &again), Ok(envelope));
    }
});
