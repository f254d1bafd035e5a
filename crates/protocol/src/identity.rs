//! A daemon's long-lived Ed25519 identity, and how people see it: the fingerprint (section 2).

use std::fmt::{self, Write as _};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// An identity key as it stands on the wire and in pin stores: any 32 bytes.
///
/// Whether they are a key at all shows when a signature is checked against them, which is the only
/// thing that is ever done with a key that somebody else sent.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes any 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What a person compares: `SHA256:` and the key's SHA-256 as upper-case hex pairs joined by
    /// `:`.
    pub fn fingerprint(&self) -> String {
        let mut text = String::from("SHA256");
        for byte in Sha256::digest(self.0) {
            write!(text, ":{byte:02X}").expect("a String takes everything");
        }
        text
    }

    /// Checks a signature strictly: the key is the one encoding of a point that is not of small
    /// order, and so is the signature's.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), NotSigned> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| NotSigned)?;
        // dalek also decodes a point's second, unreduced encoding: two keys for one identity.
        if key.to_edwards().compress().as_bytes() != &self.0 {
            return Err(NotSigned);
        }
        key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| NotSigned)
    }
}

/// The fingerprint, which is what a log should show of a key.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

/// The key is no key, or did not make this signature.
pub(crate) struct NotSigned;

/// A daemon's identity: the seed, and the key pair that follows from it. Wiped when dropped.
pub struct IdentityKeyPair(SigningKey);

impl IdentityKeyPair {
    /// The key pair of 32 secret random bytes. The caller wipes its own copy.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The half that clients pin.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The secret half, for whoever stores the identity.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}
