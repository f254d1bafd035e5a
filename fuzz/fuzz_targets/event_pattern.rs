//! A pattern and, behind a line break, a name: a name is a pattern that matches itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sideband_protocol::event::{Pattern, is_valid_name};

fuzz_target!(|text: &str| {
    let (pattern, name) = text.split_once('\n').unwrap_or((text, text));
    let is_name = is_valid_name(pattern);
    let Ok(parsed) = Pattern::parse(pattern) else {
        assert!(!is_name);
        return;
    };
    let matches = parsed.matches(name);
    if is_name {
        assert_eq!(matches, pattern == name);
        assert!(parsed.matches(pattern));
    }
});
