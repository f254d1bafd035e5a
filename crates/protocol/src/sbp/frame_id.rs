//! The name of a frame, and so of a call.

use std::fmt;

/// A frame's id: 16 random bytes without structure, fresh for every frame.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct FrameId(pub [u8; 16]);

impl FrameId {
    /// The 32 lower-case hex digits that an envelope's `cid` holds.
    pub fn to_hex(self) -> String {
        self.hex_digits().map(char::from).into_iter().collect()
    }

    /// The same as ASCII bytes, which cost no allocation.
    pub fn hex_digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        hex
    }

    /// Reads exactly 32 lower-case hex digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let hex: &[u8; 32] = hex.as_bytes().try_into().ok()?;
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(id))
    }
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

impl fmt::Debug for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
