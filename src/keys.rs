//! Keys and names: pure functions without an environment.

use napi::bindgen_prelude::Uint8ArraySlice;
use napi::{Env, Status};
use napi_derive::napi;
use sideband::cloud;
use sideband::protocol::event::{self, Pattern};
use sideband::protocol::identity::{IdentityKeyPair, PublicKey};
use sideband::random;
use zeroize::Zeroizing;

use crate::guard;

/// The bytes of a key, copied; wiped when dropped.
pub(crate) fn key_bytes(bytes: &[u8], name: &str) -> napi::Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return Err(napi::Error::new(Status::InvalidArg, format!("{name} must have 32 bytes")));
    }
    key.copy_from_slice(bytes);
    Ok(key)
}

/// A fresh random identity seed.
#[napi]
pub fn generate_seed(env: Env) -> napi::Result<Uint8ArraySlice<'static>> {
    guard(|| Uint8ArraySlice::copy_from(&env, random::secret().as_slice()))
}

/// The Ed25519 public key of a seed.
#[napi]
pub fn public_key_from_seed(env: Env, seed: &[u8]) -> napi::Result<Uint8ArraySlice<'static>> {
    guard(|| {
        let identity = IdentityKeyPair::from_seed(&*key_bytes(seed, "seed")?);
        Uint8ArraySlice::copy_from(&env, identity.public_key().as_bytes())
    })
}

/// `SHA256:AA:BB…` of a public key.
#[napi]
pub fn fingerprint(public_key: &[u8]) -> napi::Result<String> {
    guard(|| Ok(PublicKey::from_bytes(*key_bytes(public_key, "publicKey")?).fingerprint()))
}

/// Whether the naming rules take this as an event's name.
#[napi]
pub fn is_valid_event_name(name: String) -> napi::Result<bool> {
    guard(|| Ok(event::is_valid_name(&name)))
}

/// Whether the naming rules take this as a pattern.
#[napi]
pub fn is_valid_pattern(pattern: String) -> napi::Result<bool> {
    guard(|| Ok(Pattern::parse(&pattern).is_ok()))
}

/// Whether a pattern matches an event's name; a pattern or name that is not valid matches nothing.
#[napi]
pub fn match_pattern(pattern: String, name: String) -> napi::Result<bool> {
    guard(|| Ok(event::is_valid_name(&name) && Pattern::parse(&pattern).is_ok_and(|pattern| pattern.matches(&name))))
}

/// The daemon's id in a token, unverified.
#[napi]
pub fn daemon_id_from_token(token: String) -> napi::Result<Option<String>> {
    let token = Zeroizing::new(token);
    guard(|| Ok(cloud::daemon_id_from_token(&token)))
}
