//! The JWTs that open a WebSocket (section 6): what they claim, and every reason to refuse one.
//!
//! Reading is in two steps, because the key has to be found in between, perhaps over the network:
//! [`Unverified::parse`] reads the header, [`Unverified::verify`] does the rest with the key.
//!
//! The contract fixes the order of the checks, and the order decides what a refusal is called.
//! JWT libraries check in an order of their own, so the dozen lines of comparing claims are here,
//! and the signature itself is `ed25519-dalek`'s strict verification.

mod claims;
mod jwks;
mod sign;
mod verify;

pub use claims::{Claims, Role};
pub use jwks::{Jwk, Jwks, VerifyingKeys};
pub use sign::{SigningKey, TokenRequest, TokenSubject};
pub use verify::{Refusal, Unverified, Verifier};

/// The header's `typ`.
pub(crate) const TOKEN_TYPE: &str = "sbrp-relay+jwt";

/// What `aud` has to contain.
pub const AUDIENCE: &str = "sideband-relay";

/// Most bytes a token may have.
pub const MAX_TOKEN_LEN: usize = 4_096;

/// How far apart the clocks of issuer and relay may be, in seconds.
pub const CLOCK_SKEW_SECONDS: u64 = 30;

/// Longest life of a client's token, in seconds.
pub const MAX_CLIENT_LIFETIME_SECONDS: u64 = 300;

/// The scope that lets a client open a session.
pub(crate) const SCOPE_CREATE: &str = "session:create";

/// The scope that lets a daemon's sessions outlive a lost link.
pub(crate) const SCOPE_RESUME: &str = "session:resume";
