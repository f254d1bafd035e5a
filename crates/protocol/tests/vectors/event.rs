//! Event names and patterns.

use serde_json::Value;
use sideband_protocol::event::{Pattern, is_valid_name};

use crate::support::{each, load};

const FILE: &str = "event-names.json";

fn assert_all(section: &str, is_valid: impl Fn(&str) -> bool, counts: [usize; 2]) {
    let vectors = load(FILE);
    for ((list, expected), count) in [("valid", true), ("invalid", false)].into_iter().zip(counts) {
        let texts = vectors[section][list].as_array().expect("an array");
        assert_eq!(texts.len(), count, "entries in {section}, {list}");
        for text in texts.iter().filter_map(Value::as_str) {
            assert_eq!(is_valid(text), expected, "{text:?}");
        }
    }
}

#[test]
fn names() {
    assert_all("names", is_valid_name, [13, 44]);
}

#[test]
fn patterns() {
    assert_all("patterns", |text| Pattern::parse(text).is_ok(), [24, 33]);
}

#[test]
fn the_table_of_matches() {
    each(FILE, "match", 150, |case| {
        let pattern = Pattern::parse(case.text("pattern")).expect("a valid pattern");
        assert_eq!(pattern.as_str(), case.text("pattern"));
        assert_eq!(pattern.matches(case.text("name")), case.bool("match"));
    });
}
