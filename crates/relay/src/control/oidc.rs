//! Access tokens of somebody else's: JWTs of an OIDC issuer, with a claim that lists daemons.
//!
//! The algorithm is the key's, never the token's choice: a token that names another than its key
//! has is refused, and symmetric ones are unknown here.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::ApiError;
use crate::{
    config::OidcConfig,
    remote::{Fetch, KeyCache, KeySet},
    token::CLOCK_SKEW_SECONDS,
};

/// Most bytes of such a token; those of identity providers are larger than the relay's own.
const MAX_TOKEN: usize = 12 * 1024;

/// The entry of the claim that stands for every daemon.
const ALL_DAEMONS: &str = "*";

/// Verifies access tokens of one issuer.
pub(crate) struct Oidc {
    issuer: String,
    audience: String,
    daemons_claim: String,
    keys: KeyCache<IssuerKeys>,
}

/// Who a token is, and whom it may reach.
pub(crate) struct OidcUser {
    pub(crate) subject: String,
    daemons: Vec<String>,
}

impl OidcUser {
    pub(crate) fn may_reach(&self, daemon: &str) -> bool {
        self.daemons.iter().any(|one| one == daemon || one == ALL_DAEMONS)
    }
}

impl Oidc {
    pub(crate) fn new(config: &OidcConfig, fetch: Fetch) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            daemons_claim: config.daemons_claim.clone(),
            keys: KeyCache::new(fetch, config.jwks_url.clone()),
        }
    }

    /// Who the bearer of a token is; `None` for one that is not good.
    pub(crate) async fn user(&self, token: &str, now: u64) -> Result<Option<OidcUser>, ApiError> {
        let Some(token) = Parsed::new(token) else {
            return Ok(None);
        };
        let keys = self.keys.keys(&token.kid).await.map_err(|error| {
            tracing::error!(%error, "access tokens cannot be checked");
            ApiError::unavailable("access tokens cannot be checked at the moment")
        })?;
        let key = keys.0.get(&token.kid);
        Ok(key.filter(|key| key.verifies(&token)).and_then(|_| self.claims(&token, now)))
    }

    fn claims(&self, token: &Parsed<'_>, now: u64) -> Option<OidcUser> {
        let claims: Map<String, Value> = serde_json::from_slice(&decode(token.payload)?).ok()?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        let for_us = match claims.get("aud")? {
            Value::String(audience) => *audience == self.audience,
            Value::Array(all) => all.iter().any(|one| one.as_str() == Some(&self.audience)),
            _ => false,
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
        let (now, skew) = (now as f64, CLOCK_SKEW_SECONDS as f64);
        let in_time = time("exp")? + skew > now
            && claims.get("nbf").is_none_or(|_| time("nbf").is_some_and(|it| it <= now + skew));
        if !for_us || !in_time || text("iss") != Some(&self.issuer) {
            return None;
        }
        let subject = text("sub").filter(|subject| !subject.is_empty())?.to_owned();
        let daemons = match claims.get(&self.daemons_claim) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(all)) => all.split(' ').map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Some(OidcUser { subject, daemons })
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A token taken apart, not verified.
struct Parsed<'a> {
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    kid: String,
}

impl<'a> Parsed<'a> {
    fn new(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
        // Extensions that must be understood are not.
        if payload.contains('.') || header.contains_key("crit") {
            return None;
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { signed, payload, signature: decode(signature)?, algorithm: text("alg")?, kid: text("kid")? })
    }
}

/// A public key, with the one algorithm that it is used with.
enum IssuerKey {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl IssuerKey {
    fn verifies(&self, token: &Parsed<'_>) -> bool {
        let (message, signature) = (token.signed.as_bytes(), &token.signature);
        match self {
            Self::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                token.algorithm == "RS256" && key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Self::P256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                token.algorithm == "ES256" && key.verify(message, signature).is_ok()
            }
            Self::Ed25519(key) => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                token.algorithm == "EdDSA" && key.verify(message, signature).is_ok()
            }
        }
    }
}

/// A key set as published.
#[derive(Deserialize)]
struct PublishedSet {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublishedKey {
    fn key(&self) -> Option<(String, IssuerKey)> {
        let part = |part: &Option<String>| decode(part.as_deref()?);
        let (algorithm, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => ("RS256", IssuerKey::Rsa { n: part(&self.n)?, e: part(&self.e)? }),
            ("EC", Some("P-256")) => {
                // The uncompressed form, which begins with 4.
                let point = [vec![4], part(&self.x)?, part(&self.y)?].concat();
                ("ES256", IssuerKey::P256(point))
            }
            ("OKP", Some("Ed25519")) => ("EdDSA", IssuerKey::Ed25519(part(&self.x)?)),
            _ => return None,
        };
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let fits = self.alg.as_deref().is_none_or(|own| own == algorithm);
        (signs && fits).then_some((self.kid.clone()?, key))
    }
}

/// The keys of a set that can be used here.
struct IssuerKeys(HashMap<String, IssuerKey>);

impl KeySet for IssuerKeys {
    fn parse(json: &[u8]) -> Option<Self> {
        let set: PublishedSet = serde_json::from_slice(json).ok()?;
        Some(Self(set.keys.iter().filter_map(PublishedKey::key).collect()))
    }

    fn has(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }
}

#[cfg(test)]
mod tests {
    use super::{IssuerKeys, Parsed};
    use crate::remote::KeySet;

    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// The examples of RFC 7515, appendices A.2 and A.3: header, key, signature.
    const RSA: [&str; 3] = [
        "eyJhbGciOiJSUzI1NiJ9",
        r#"{"kty":"RSA","kid":"k","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ];
    const P256: [&str; 3] = [
        "eyJhbGciOiJFUzI1NiJ9",
        r#"{"kty":"EC","kid":"k","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ];

    fn verifies(header: &str, key: &str, signature: &str, algorithm: &str) -> bool {
        let keys = IssuerKeys::parse(format!("{{\"keys\":[{key}]}}").as_bytes()).unwrap();
        let signed = format!("{header}.{PAYLOAD}");
        let signature = super::decode(signature).unwrap();
        let (algorithm, kid) = (algorithm.to_owned(), "k".to_owned());
        let token = Parsed { signed: &signed, payload: PAYLOAD, signature, algorithm, kid };
        keys.0.get("k").is_some_and(|key| key.verifies(&token))
    }

    #[test]
    fn signatures_of_the_rfc() {
        let [header, key, signature] = RSA;
        assert!(verifies(header, key, signature, "RS256"));
        let [header, key, signature] = P256;
        assert!(verifies(header, key, signature, "ES256"));
    }

    #[test]
    fn another_signature_key_or_algorithm_does_not_verify() {
        for algorithm in ["ES256", "EdDSA", "HS256", "none", "PS256", ""] {
            assert!(!verifies(RSA[0], RSA[1], RSA[2], algorithm), "{algorithm}");
        }
        assert!(!verifies(P256[0], P256[1], P256[2], "RS256"));
        assert!(!verifies(RSA[0], RSA[1], P256[2], "RS256"));
        assert!(!verifies(P256[0], RSA[1], RSA[2], "RS256"));
        assert!(!verifies(RSA[0], RSA[1], "", "RS256"));
    }

    #[test]
    fn keys_that_are_for_something_else_are_left_out() {
        for extra in [r#""use":"enc""#, r#""alg":"PS256""#, r#""alg":"HS256""#] {
            let key = RSA[1].replacen('{', &format!("{{{extra},"), 1);
            assert!(!verifies(RSA[0], &key, RSA[2], "RS256"), "{extra}");
        }
        let keys = IssuerKeys::parse(br#"{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}"#).unwrap();
        assert!(!keys.has("k"), "symmetric keys are none here");
    }
}
