//! The name of a session on the wire and in a token.

use std::num::NonZeroU64;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A session's id. Never 0, which on the wire means "no session".
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd, Debug)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// `None` for 0.
    pub fn new(id: u64) -> Option<Self> {
        NonZeroU64::new(id).map(Self)
    }

    /// The number, never 0.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Reads a token's `sid`: the 8 big-endian bytes in base64url without padding, which are
    /// exactly 11 characters (section 6). `None` for anything else, zero and unused bits that are
    /// set included.
    pub fn from_base64url(sid: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        let len = URL_SAFE_NO_PAD.decode_slice(sid, &mut bytes).ok()?;
        if len != bytes.len() {
            return None;
        }
        Self::new(u64::from_be_bytes(bytes))
    }

    /// Writes a token's `sid`.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.get().to_be_bytes())
    }
}
