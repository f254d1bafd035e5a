//! Issuing tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer;
use serde_json::json;
use sha2::{Digest, Sha256};
use sideband_protocol::sbrp::SessionId;
use zeroize::Zeroizing;

use super::{AUDIENCE, Jwk, SCOPE_CREATE, SCOPE_RESUME, TOKEN_TYPE};

/// An issuer's signing key. Wiped when dropped.
pub struct SigningKey {
    kid: String,
    key: ed25519_dalek::SigningKey,
}

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    /// The issuer's URL.
    pub issuer: &'a str,
    /// The relay's region, if the token is to be good there only.
    pub region: Option<&'a str>,
    /// Who gets it.
    pub subject: TokenSubject<'a>,
    /// The daemon's id.
    pub daemon_id: &'a str,
    /// Most sessions at once for the daemon.
    pub concurrent_sessions: Option<u32>,
    /// Now, in seconds since 1970.
    pub issued_at: u64,
    /// Its life in seconds.
    pub lifetime: u64,
    /// Unique per token (`jti`).
    pub token_id: &'a str,
}

/// Who a token is for.
#[derive(Clone, Debug)]
pub enum TokenSubject<'a> {
    /// The daemon itself; its sessions may be resumed.
    Daemon,
    /// A user, for one session.
    Client {
        /// The user's id.
        user: &'a str,
        /// The session.
        session: SessionId,
    },
}

impl SigningKey {
    /// The key of a 32-byte seed. Its id is derived from the public key, so that no two keys share
    /// one.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let digest = Sha256::digest(key.verifying_key().as_bytes());
        Self { kid: URL_SAFE_NO_PAD.encode(&digest[..12]), key }
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The seed, for storing it.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half, for publication.
    pub fn jwk(&self) -> Jwk {
        Jwk::new(&self.kid, &self.key.verifying_key())
    }

    /// Issues a token.
    pub fn sign(&self, request: &TokenRequest<'_>) -> String {
        let header = json!({ "alg": "EdDSA", "typ": TOKEN_TYPE, "kid": self.kid });
        let mut claims = json!({
            "iss": request.issuer,
            "aud": AUDIENCE,
            "iat": request.issued_at,
            "exp": request.issued_at + request.lifetime,
            "jti": request.token_id,
            "did": request.daemon_id,
            "ver": 1,
        });
        match request.subject {
            TokenSubject::Daemon => {
                claims["role"] = json!("daemon");
                claims["sub"] = json!(request.daemon_id);
                claims["scp"] = json!([SCOPE_RESUME]);
            }
            TokenSubject::Client { user, session } => {
                claims["role"] = json!("client");
                claims["sub"] = json!(user);
                claims["sid"] = json!(session.to_base64url());
                claims["scp"] = json!([SCOPE_CREATE]);
            }
        }
        if let Some(region) = request.region {
            claims["region"] = json!(region);
        }
        if let Some(sessions) = request.concurrent_sessions {
            claims["lim"] = json!({ "concurrent_sessions": sessions });
        }
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
