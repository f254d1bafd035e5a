//! ChaCha20-Poly1305, twice behind one small interface: `ring` is the fast path (an eighth of the
//! time for a small message), `chacha20poly1305` the reference. The crate's feature `ring` chooses;
//! the tests hold both to the same vectors.

use zeroize::Zeroizing;

/// Bytes of a nonce.
pub(super) const NONCE_LEN: usize = 12;
/// Bytes of a tag.
pub(super) const TAG_LEN: usize = 16;

/// A key's 32 bytes, wiped when dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// The tag does not belong to this text under this key and nonce.
pub(super) struct Forged;

/// An AEAD under one key, without associated data. The key is wiped when dropped.
pub(super) trait Aead {
    fn new(key: Key) -> Self;

    /// Encrypts in place. `text` is one message of the session, far below the cipher's limit.
    fn seal(&self, nonce: [u8; NONCE_LEN], text: &mut [u8]) -> [u8; TAG_LEN];

    /// Verifies, then decrypts in place. A forged `text` is left in an unspecified state.
    fn open(&self, nonce: [u8; NONCE_LEN], text: &mut [u8], tag: [u8; TAG_LEN]) -> Result<(), Forged>;
}

#[cfg(feature = "ring")]
pub(super) use fast::Ring as Cipher;
#[cfg(not(feature = "ring"))]
pub(super) use reference::RustCrypto as Cipher;

#[cfg(feature = "ring")]
mod fast {
    use std::hint::black_box;

    use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

    use super::{Aead, Forged, Key, NONCE_LEN, TAG_LEN};

    /// Boxed, so that moving a session leaves no copies of the key behind.
    pub(in super::super) struct Ring(Box<LessSafeKey>);

    impl Ring {
        fn key(bytes: &[u8; 32]) -> LessSafeKey {
            let key = UnboundKey::new(&CHACHA20_POLY1305, bytes);
            LessSafeKey::new(key.expect("32 bytes are a key of this algorithm"))
        }

        /// ring does not wipe its keys, so this puts another one in the place of this one.
        pub(in super::super) fn wipe(&mut self) {
            *self.0 = Self::key(&[0; 32]);
            // As far as the compiler knows, somebody looks: the write above has to happen.
            black_box(&mut self.0);
        }
    }

    impl Drop for Ring {
        fn drop(&mut self) {
            self.wipe();
        }
    }

    impl Aead for Ring {
        fn new(key: Key) -> Self {
            Self(Box::new(Self::key(&key)))
        }

        fn seal(&self, nonce: [u8; NONCE_LEN], text: &mut [u8]) -> [u8; TAG_LEN] {
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), text);
            let tag = tag.expect("a message is far below the cipher's limit of 256 GiB");
            tag.as_ref().try_into().expect("a tag of this algorithm has 16 bytes")
        }

        fn open(&self, nonce: [u8; NONCE_LEN], text: &mut [u8], tag: [u8; TAG_LEN]) -> Result<(), Forged> {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.0
                .open_in_place_separate_tag(nonce, Aad::empty(), tag.into(), text, 0..)
                .map(|_| ())
                .map_err(|_| Forged)
        }
    }
}

#[cfg(any(test, not(feature = "ring")))]
pub(super) mod reference {
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, aead::AeadInOut as _};

    use super::{Aead, Forged, Key, NONCE_LEN, TAG_LEN};

    pub(in super::super) struct RustCrypto(ChaCha20Poly1305);

    impl Aead for RustCrypto {
        fn new(key: Key) -> Self {
            Self(ChaCha20Poly1305::new((&*key).into()))
        }

        fn seal(&self, nonce: [u8; NONCE_LEN], text: &mut [u8]) -> [u8; TAG_LEN] {
            let tag = self.0.encrypt_inout_detached(&nonce.into(), &[], text.into());
            tag.expect("a message is far below the cipher's limit of 256 GiB").into()
        }

        fn open(&self, nonce: [u8; NONCE_LEN], text: &mut [u8], tag: [u8; TAG_LEN]) -> Result<(), Forged> {
            self.0.decrypt_inout_detached(&nonce.into(), &[], text.into(), &tag.into()).map_err(|_| Forged)
        }
    }
}
