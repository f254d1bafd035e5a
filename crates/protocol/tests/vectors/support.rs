//! Reading the vector files.

use std::{fs, path::PathBuf, thread};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The project's own copy of the vectors.
pub(crate) fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../testdata/vectors"].iter().collect()
}

pub(crate) fn load(file: &str) -> Value {
    let path = directory().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Runs `check` on every entry of a section of a file, of which there are exactly `count`.
pub(crate) fn each(file: &str, section: &str, count: usize, check: impl Fn(&Case)) {
    let vectors = load(file);
    let entries = vectors[section].as_array().expect("a section is an array");
    assert_eq!(entries.len(), count, "entries in {file}, {section}");
    for entry in entries {
        let case = Case(entry);
        let _named = Named(&case);
        check(&case);
    }
}

/// One entry.
pub(crate) struct Case<'a>(pub(crate) &'a Value);

impl<'a> Case<'a> {
    pub(crate) fn get(&self, member: &str) -> Option<&'a Value> {
        self.0.get(member)
    }

    pub(crate) fn text(&self, member: &str) -> &'a str {
        self.opt_text(member).unwrap_or_else(|| panic!("{member} is no string"))
    }

    pub(crate) fn opt_text(&self, member: &str) -> Option<&'a str> {
        self.get(member)?.as_str()
    }

    pub(crate) fn bool(&self, member: &str) -> bool {
        self.get(member).and_then(Value::as_bool).unwrap_or_else(|| panic!("{member} is no bool"))
    }

    /// A number that is written as one.
    pub(crate) fn small<T: TryFrom<u64>>(&self, member: &str) -> T {
        let number = self.get(member).and_then(Value::as_u64);
        number.and_then(|number| number.try_into().ok()).unwrap_or_else(|| panic!("{member}"))
    }

    /// A u64 or i64, which is written as a decimal string.
    pub(crate) fn number<T: std::str::FromStr>(&self, member: &str) -> T {
        self.text(member).parse().unwrap_or_else(|_| panic!("{member} is no such number"))
    }

    pub(crate) fn bytes(&self, member: &str) -> Vec<u8> {
        unhex(self.text(member))
    }

    pub(crate) fn array<const N: usize>(&self, member: &str) -> [u8; N] {
        self.bytes(member).try_into().unwrap_or_else(|_| panic!("{member} is not {N} bytes"))
    }

    /// The frame: as it is written, or built as `gen` says.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let Some(rule) = self.get("gen").map(Case) else { return self.bytes("frame") };
        let mut frame = rule.bytes("prefix");
        let [byte] = rule.array("byte");
        frame.resize(frame.len() + rule.small::<usize>("count"), byte);
        assert_eq!(sha256(&frame), self.text("sha256"), "the frame is built wrongly");
        frame
    }

    /// That `outcome` is the one in `member`, or one that the entry allows besides.
    pub(crate) fn assert_outcome(&self, member: &str, outcome: &str) {
        let besides = self.get("or").and_then(Value::as_array).into_iter().flatten();
        let is_allowed = self.text(member) == outcome || besides.clone().any(|or| or == outcome);
        assert!(is_allowed, "gives {outcome} instead of {}", self.text(member));
    }
}

/// Says which entry it was when its check panics.
struct Named<'a>(&'a Case<'a>);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the entry: {}", self.0.opt_text("what").unwrap_or("without a name"));
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("below 16");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
