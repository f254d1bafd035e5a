//! Event names and patterns.

use proptest::prelude::*;
use sideband_protocol::event::{Pattern, is_valid_name};

/// A valid name, the platform's or not.
fn name() -> impl Strategy<Value = String> {
    ("(\\$sideband/)?", "[ab]{1,2}(\\.[ab]{1,2}){0,4}").prop_map(|(prefix, rest)| prefix + &rest)
}

proptest! {
    #[test]
    fn a_name_is_the_pattern_of_itself(name in name(), other in name()) {
        prop_assert!(is_valid_name(&name));
        let pattern = Pattern::parse(&name).expect("a name is a pattern");
        prop_assert!(pattern.matches(&name));
        prop_assert_eq!(pattern.matches(&other), name == other);
    }

    #[test]
    fn a_star_is_one_segment(name in name(), at: prop::sample::Index) {
        let (prefix, rest) = name.split_at(name.find('/').map_or(0, |slash| slash + 1));
        let mut segments: Vec<&str> = rest.split('.').collect();
        let at = at.index(segments.len());
        segments[at] = "*";
        let pattern = Pattern::parse(&format!("{prefix}{}", segments.join("."))).expect("a pattern");
        prop_assert!(pattern.matches(&name));
        let longer = format!("{name}.a");
        prop_assert!(!pattern.matches(&longer));
    }

    #[test]
    fn a_tail_is_one_or_more(name in name(), more in name()) {
        prop_assume!(!more.starts_with('$'));
        let pattern = Pattern::parse(&format!("{name}.>")).expect("a pattern");
        let longer = format!("{name}.{more}");
        prop_assert!(!pattern.matches(&name));
        prop_assert!(pattern.matches(&longer));
    }

    #[test]
    fn any_text_harms_nobody(text: String, name in name()) {
        let is_name = is_valid_name(&text);
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert!(pattern.matches(&text) || !is_name);
            pattern.matches(&name);
        } else {
            prop_assert!(!is_name);
        }
    }
}
