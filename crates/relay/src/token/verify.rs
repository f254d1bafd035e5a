//! The checks of section 6, in their order.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Map, Value};
use sideband_protocol::sbrp::SessionId;

use super::{
    AUDIENCE, CLOCK_SKEW_SECONDS, Claims, MAX_CLIENT_LIFETIME_SECONDS, MAX_TOKEN_LEN, Role, SCOPE_CREATE, SCOPE_RESUME,
    TOKEN_TYPE,
};

/// The check that refused a token. The order of the variants is the order of the checks.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, thiserror::Error)]
#[error("token refused: {}", self.name())]
pub enum Refusal {
    /// Too long, not three parts, or a part that cannot be read.
    Form,
    /// `typ` is another.
    Typ,
    /// `kid` is missing or names no key of the issuer.
    Kid,
    /// `alg` is not `EdDSA`, or the signature is not the key's.
    Signature,
    /// `aud` does not contain this audience.
    Aud,
    /// `iss` is another.
    Iss,
    /// `iat` or `exp` is no number.
    IatExp,
    /// `exp` is over.
    Expired,
    /// `ver` is not 1.
    Ver,
    /// `role` is neither daemon nor client.
    Role,
    /// `did` is missing or empty.
    Did,
    /// A client's `sub` is missing or empty.
    Sub,
    /// A client's `sid` is no session id.
    Sid,
    /// `region` is another.
    Region,
    /// A client's token lives too long.
    Lifetime,
    /// `scp` does not allow it.
    Scp,
    /// `lim` is not a limit.
    Lim,
}

impl Refusal {
    /// Every refusal, in the order of the checks.
    pub const ALL: [Self; 17] = [
        Self::Form,
        Self::Typ,
        Self::Kid,
        Self::Signature,
        Self::Aud,
        Self::Iss,
        Self::IatExp,
        Self::Expired,
        Self::Ver,
        Self::Role,
        Self::Did,
        Self::Sub,
        Self::Sid,
        Self::Region,
        Self::Lifetime,
        Self::Scp,
        Self::Lim,
    ];

    /// The check's name, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Typ => "typ",
            Self::Kid => "kid",
            Self::Signature => "signature",
            Self::Aud => "aud",
            Self::Iss => "iss",
            Self::IatExp => "iat/exp",
            Self::Expired => "expired",
            Self::Ver => "ver",
            Self::Role => "role",
            Self::Did => "did",
            Self::Sub => "sub",
            Self::Sid => "sid",
            Self::Region => "region",
            Self::Lifetime => "lifetime",
            Self::Scp => "scp",
            Self::Lim => "lim",
        }
    }

    /// The HTTP status: 403 where the token is good, but not for this, else 401.
    pub fn status(self) -> u16 {
        match self {
            Self::Region | Self::Scp => 403,
            _ => 401,
        }
    }
}

/// What a relay expects of a token.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The issuer (`iss`).
    pub issuer: String,
    /// This relay's region; a token that names another, or names one where this is `None`, is
    /// refused.
    pub region: Option<String>,
}

/// A token whose header was read and whose signature was not checked yet.
pub struct Unverified<'a> {
    /// Everything in front of the last dot: what is signed.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    kid: String,
    /// `alg` is `EdDSA`; the refusal for another comes only after the key was found.
    eddsa: bool,
}

impl<'a> Unverified<'a> {
    /// The checks `form` and `typ`, and that there is a `kid`.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(Refusal::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Form)?;
        if payload.contains('.') {
            return Err(Refusal::Form);
        }
        let header = json(header).ok_or(Refusal::Form)?;
        if header.get("typ").and_then(Value::as_str) != Some(TOKEN_TYPE) {
            return Err(Refusal::Typ);
        }
        let kid = header.get("kid").and_then(Value::as_str);
        Ok(Self {
            signed,
            payload,
            signature,
            kid: kid.ok_or(Refusal::Kid)?.to_owned(),
            eddsa: header.get("alg").and_then(Value::as_str) == Some("EdDSA"),
        })
    }

    /// The key that the token says it is signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Everything from the signature on. `key` is the one that [`kid`](Self::kid) names, `now` is
    /// in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn verify(&self, key: &VerifyingKey, verifier: &Verifier, now: u64) -> Result<Claims, Refusal> {
        // The algorithm is fixed: whatever else the header asks for is refused before any use.
        if !self.eddsa {
            return Err(Refusal::Signature);
        }
        let mut signature = [0; 64];
        match URL_SAFE_NO_PAD.decode_slice(self.signature, &mut signature) {
            Ok(64) => (),
            _ => return Err(Refusal::Signature),
        }
        key.verify_strict(self.signed.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| Refusal::Signature)?;
        let payload = json(self.payload).ok_or(Refusal::Form)?;
        let claims = payload.as_object().ok_or(Refusal::Form)?;
        check_claims(claims, verifier, now)
    }
}

fn check_claims(claims: &Map<String, Value>, verifier: &Verifier, now: u64) -> Result<Claims, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let words = |name: &str, word: &str| match claims.get(name) {
        Some(Value::String(all)) => all == word,
        Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(word)),
        _ => false,
    };
    if !words("aud", AUDIENCE) {
        return Err(Refusal::Aud);
    }
    if text("iss") != Some(&verifier.issuer) {
        return Err(Refusal::Iss);
    }
    let number = |name: &str| claims.get(name).and_then(Value::as_f64);
    let (Some(issued), Some(expires)) = (number("iat"), number("exp")) else {
        return Err(Refusal::IatExp);
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
    if expires + CLOCK_SKEW_SECONDS as f64 <= now as f64 {
        return Err(Refusal::Expired);
    }
    if claims.get("ver").is_some_and(|ver| ver.as_u64() != Some(1)) {
        return Err(Refusal::Ver);
    }
    let is_client = match text("role") {
        Some("daemon") => false,
        Some("client") => true,
        _ => return Err(Refusal::Role),
    };
    let filled = |name: &str| text(name).filter(|value| !value.is_empty());
    let daemon_id = filled("did").ok_or(Refusal::Did)?;
    let role = if is_client {
        filled("sub").ok_or(Refusal::Sub)?;
        let session = text("sid").and_then(SessionId::from_base64url);
        Role::Client { session: session.ok_or(Refusal::Sid)? }
    } else {
        Role::Daemon
    };
    if let Some(region) = claims.get("region")
        && (region.as_str() != verifier.region.as_deref() || !region.is_string())
    {
        return Err(Refusal::Region);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    if is_client && expires - issued > MAX_CLIENT_LIFETIME_SECONDS as f64 {
        return Err(Refusal::Lifetime);
    }
    // A list, or the space-separated string that OAuth uses for the same claim.
    let scope =
        |scope: &str| words("scp", scope) || text("scp").is_some_and(|all| all.split(' ').any(|one| one == scope));
    if is_client && !scope(SCOPE_CREATE) {
        return Err(Refusal::Scp);
    }
    let concurrent_sessions = match claims.get("lim") {
        None => None,
        Some(lim) => Some(session_limit(lim).ok_or(Refusal::Lim)?),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, which is as good as any answer to a senseless time"
    )]
    let issued_at = issued as u64;
    Ok(Claims {
        role,
        daemon_id: daemon_id.to_owned(),
        subject: text("sub").unwrap_or_default().to_owned(),
        resume: !is_client && scope(SCOPE_RESUME),
        concurrent_sessions,
        issued_at,
    })
}

/// `{concurrent_sessions: ≥ 1}`; a number that no counter reaches is as good as the largest.
fn session_limit(lim: &Value) -> Option<u32> {
    let sessions = lim.get("concurrent_sessions")?.as_u64()?;
    (sessions >= 1).then(|| u32::try_from(sessions).unwrap_or(u32::MAX))
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
