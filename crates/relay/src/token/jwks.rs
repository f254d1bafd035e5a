//! The issuer's public keys, as published and as used.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::remote::KeySet;

/// One published key.
#[derive(Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP` for the keys used here.
    pub kty: String,
    /// `Ed25519` for the keys used here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The 32 bytes of the public key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// `EdDSA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

impl Jwk {
    /// Describes a key for publication.
    pub fn new(kid: &str, key: &VerifyingKey) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: Some("Ed25519".to_owned()),
            kid: Some(kid.to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(key.as_bytes())),
            alg: Some("EdDSA".to_owned()),
            usage: Some("sig".to_owned()),
        }
    }

    /// The id and the key, if it is one that can sign relay tokens.
    fn verifying_key(&self) -> Option<(String, VerifyingKey)> {
        let fits = self.kty == "OKP"
            && self.crv.as_deref() == Some("Ed25519")
            && self.alg.as_deref().is_none_or(|alg| alg == "EdDSA")
            && self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let mut bytes = [0; 32];
        let len = URL_SAFE_NO_PAD.decode_slice(self.x.as_deref()?, &mut bytes);
        if !fits || len != Ok(32) {
            return None;
        }
        Some((self.kid.clone()?, VerifyingKey::from_bytes(&bytes).ok()?))
    }
}

/// A key set as served at `/.well-known/jwks.json`.
#[derive(Clone, Eq, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys, in no particular order.
    pub keys: Vec<Jwk>,
}

/// Keys by their id, ready to verify with.
#[derive(Clone, Debug, Default)]
pub struct VerifyingKeys(HashMap<String, VerifyingKey>);

impl VerifyingKeys {
    /// The key of that id.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }

    /// Takes in another set's keys. One of an id that is there already is left out.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (kid, key) in &other.0 {
            self.0.entry(kid.clone()).or_insert(*key);
        }
    }
}

impl KeySet for VerifyingKeys {
    fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Jwks>(json).ok().map(|jwks| Self::from(&jwks))
    }

    fn has(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }
}

impl From<&Jwks> for VerifyingKeys {
    /// Keys of other kinds, which a shared set may hold, are left out.
    fn from(jwks: &Jwks) -> Self {
        Self(jwks.keys.iter().filter_map(Jwk::verifying_key).collect())
    }
}
