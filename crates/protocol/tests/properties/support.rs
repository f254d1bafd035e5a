//! What several properties need.

use proptest::prelude::*;
use sideband_protocol::sbp::FrameId;

/// Any bytes, short ones more often than long ones.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..64),
        1 => prop::collection::vec(any::<u8>(), 0..2000),
    ]
}

pub(crate) fn frame_id() -> impl Strategy<Value = FrameId> {
    any::<[u8; 16]>().prop_map(FrameId)
}

/// JSON text of any shape, with whitespace between its parts.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        Just("1e400".to_owned()),
        any::<String>().prop_map(|s| serde_json::to_string(&s).expect("a string")),
        Just(r#""\ud800 \" [{""#.to_owned()),
    ];
    scalar.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|members| {
                let member = |(name, value)| format!("{} :{value}", serde_json::to_string(&name).expect("a string"));
                format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

/// A way to damage a good message.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// One bit is flipped.
    Flip(prop::sample::Index, u8),
    /// The end is missing.
    Truncate(prop::sample::Index),
    /// Something follows.
    Append(Vec<u8>),
    /// Four bytes, a length perhaps, are as large as they can be.
    Inflate(prop::sample::Index),
}

impl Damage {
    pub(crate) fn apply(&self, message: &mut Vec<u8>) {
        match self {
            _ if message.is_empty() => {}
            Self::Flip(at, bit) => {
                let at = at.index(message.len());
                message[at] ^= 1 << (bit % 8);
            }
            Self::Truncate(at) => message.truncate(at.index(message.len())),
            Self::Append(bytes) => message.extend_from_slice(bytes),
            Self::Inflate(at) => {
                let at = at.index(message.len());
                message.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff);
            }
        }
    }
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<prop::sample::Index>().prop_map(Damage::Truncate),
        bytes().prop_map(Damage::Append),
        any::<prop::sample::Index>().prop_map(Damage::Inflate),
    ]
}

/// That `decode` allocates at most `per_byte` for every byte it is given, whatever these say, and
/// does not panic.
pub(crate) fn assert_modest(input: &[u8], per_byte: u64, decode: impl FnOnce(&[u8])) {
    // What an error or an empty map costs.
    const SLACK: u64 = 1024;
    let allowed = if per_byte == 0 { 0 } else { per_byte * input.len() as u64 + SLACK };
    let used = allocation_counter::measure(|| decode(input)).bytes_total;
    assert!(used <= allowed, "{used} bytes allocated for {} of input", input.len());
}

#[test]
#[should_panic(expected = "4096 bytes allocated for 3 of input")]
fn an_announced_length_would_be_noticed() {
    assert_modest(&[0, 16, 0], 16, |_| drop(vec![0_u8; 4096]));
}
