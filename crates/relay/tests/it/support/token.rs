//! Tokens with whatever claims a test wants.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sideband_protocol::sbrp::SessionId;
use sideband_relay::token::{Jwk, Jwks};

/// The seed of the key that tests sign with.
const KEY_SEED: [u8; 32] = [7; 32];

const KID: &str = "test-key";

/// What a relay has to trust for it.
pub(crate) fn test_keys() -> Jwks {
    let key = SigningKey::from_bytes(&KEY_SEED);
    Jwks { keys: vec![Jwk::new(KID, &key.verifying_key())] }
}

/// A token's claims.
#[derive(Clone)]
pub(crate) struct Claims(pub(crate) Value);

impl Claims {
    fn new(issuer: &str, daemon: &str, lifetime: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self(json!({
            "iss": issuer, "aud": "sideband-relay", "iat": now, "exp": now + lifetime, "jti": "test", "did": daemon,
        }))
    }

    pub(crate) fn daemon(issuer: &str, daemon: &str) -> Self {
        let claims = Self::new(issuer, daemon, 3_600);
        claims.set("role", json!("daemon")).set("sub", json!(daemon)).set("scp", json!(["session:resume"]))
    }

    pub(crate) fn client(issuer: &str, daemon: &str, session: SessionId) -> Self {
        let claims = Self::new(issuer, daemon, 120).set("role", json!("client")).set("sub", json!("u_test"));
        claims.set("scp", json!(["session:create"])).set("sid", json!(session.to_base64url()))
    }

    pub(crate) fn set(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }

    pub(crate) fn sign(&self) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "sbrp-relay+jwt", "kid": KID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&self.0));
        let signature = SigningKey::from_bytes(&KEY_SEED).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
