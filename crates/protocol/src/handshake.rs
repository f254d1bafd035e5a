//! The handshake that gives a client and a daemon their session keys (section 2).
//!
//! Both roles are states that the next step consumes, so that no step is left out or done twice:
//!
//! ```text
//! client   ClientHandshake::start ─ verify ─► VerifiedAccept ─ into_keys ─► SessionKeys
//!                                             │ policy, pin │
//! daemon   DaemonHandshake::new ─ accept ─► the payload to send, SessionKeys
//! ```
//!
//! A client decides about trust between its two steps. What it decides about, and what it may store
//! as a pin, is a [`VerifiedIdentity`], which only a verified signature makes.

use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey as EphemeralPublic, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::{
    identity::{IdentityKeyPair, PublicKey},
    sbrp::{HANDSHAKE_ACCEPT_LEN, HANDSHAKE_INIT_LEN},
    session::SessionKeys,
};

const SIGNED_LABEL: &[u8] = b"sbrp-v1-handshake";
const TRANSCRIPT_LABEL: &[u8] = b"sbrp-v1-transcript";

/// Why a handshake failed. Always the other side's fault, always `handshake_failed`, never retried.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client's payload is not 32 bytes.
    #[error("the handshake init has {len} bytes instead of {HANDSHAKE_INIT_LEN}")]
    MalformedInit {
        /// The bytes that came.
        len: usize,
    },
    /// The daemon's payload is not 128 bytes.
    #[error("the handshake accept has {len} bytes instead of {HANDSHAKE_ACCEPT_LEN}")]
    MalformedAccept {
        /// The bytes that came.
        len: usize,
    },
    /// The identity key on the wire is no valid key, or did not sign this handshake.
    #[error("the daemon's signature does not verify")]
    BadSignature,
    /// The other side's ephemeral key is a point of low order, which makes the secret all zero.
    #[error("the peer's ephemeral key is of low order")]
    LowOrder,
}

/// A client that has sent, or is about to send, its `HandshakeInit`.
///
/// Holds the ephemeral secret, which is wiped when the handshake ends or is dropped.
pub struct ClientHandshake {
    ephemeral: Ephemeral,
}

impl ClientHandshake {
    /// Starts with 32 secret random bytes that serve this handshake only.
    pub fn start(ephemeral: Zeroizing<[u8; 32]>) -> Self {
        Self { ephemeral: Ephemeral::new(ephemeral) }
    }

    /// The payload of the `HandshakeInit` frame.
    pub fn init_payload(&self) -> [u8; HANDSHAKE_INIT_LEN] {
        self.ephemeral.public.to_bytes()
    }

    /// Checks the signature of a `HandshakeAccept`'s payload, before anything else is made of it.
    ///
    /// The key it is checked against is the one on the wire, which is the pinned one where `pin`
    /// equals it. Where it does not, the answer is no error: the signature is good, and
    /// [`VerifiedAccept::pin`] reports the mismatch for the trust policy to decide.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::MalformedAccept`], [`HandshakeError::BadSignature`].
    pub fn verify(
        self,
        daemon_id: &str,
        accept_payload: &[u8],
        pin: Option<&PublicKey>,
    ) -> Result<VerifiedAccept, HandshakeError> {
        let accept = Accept::parse(accept_payload)?;
        let exchange = Exchange { daemon_id, client: &self.ephemeral.public, daemon: &accept.ephemeral };
        accept.identity.verify(&exchange.signed(), &accept.signature).map_err(|_| HandshakeError::BadSignature)?;
        let transcript = exchange.transcript(&accept.signature);
        let pin = match pin {
            None => PinMatch::None,
            Some(pinned) if *pinned == accept.identity => PinMatch::Equal,
            Some(pinned) => PinMatch::Differs { pinned: *pinned },
        };
        Ok(VerifiedAccept {
            identity: VerifiedIdentity { public_key: accept.identity, daemon_id: daemon_id.to_owned() },
            pin,
            ephemeral: self.ephemeral,
            daemon: accept.ephemeral,
            transcript,
        })
    }
}

/// A `HandshakeAccept` whose signature verified: the moment to apply the trust policy and to store
/// a pin, before the keys are derived.
pub struct VerifiedAccept {
    identity: VerifiedIdentity,
    pin: PinMatch,
    ephemeral: Ephemeral,
    daemon: EphemeralPublic,
    transcript: [u8; 32],
}

impl VerifiedAccept {
    /// Who signed.
    pub fn identity(&self) -> &VerifiedIdentity {
        &self.identity
    }

    /// How the signer compares with the pin that was given.
    pub fn pin(&self) -> PinMatch {
        self.pin
    }

    /// Derives the session keys; the client's part of the handshake is over.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::LowOrder`].
    pub fn into_keys(self) -> Result<SessionKeys, HandshakeError> {
        let shared = self.ephemeral.agree(&self.daemon)?;
        Ok(SessionKeys::derive(shared.as_bytes(), &self.transcript))
    }
}

/// Proof that a daemon holds the identity key it showed: a pin store's `set` takes this, and only
/// [`ClientHandshake::verify`] makes it.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct VerifiedIdentity {
    public_key: PublicKey,
    daemon_id: String,
}

impl VerifiedIdentity {
    /// The key that signed.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The id it signed for, as given.
    pub fn daemon_id(&self) -> &str {
        &self.daemon_id
    }
}

/// How a verified key compares with the stored one.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum PinMatch {
    /// Nothing is stored yet.
    None,
    /// It is the stored key.
    Equal,
    /// Another key is stored.
    Differs {
        /// The stored one.
        pinned: PublicKey,
    },
}

/// A daemon that has received a `HandshakeInit`, or is about to.
///
/// Holds the ephemeral secret, which is wiped when the handshake ends or is dropped.
pub struct DaemonHandshake<'a> {
    identity: &'a IdentityKeyPair,
    daemon_id: &'a str,
    ephemeral: Ephemeral,
}

impl<'a> DaemonHandshake<'a> {
    /// Starts with 32 secret random bytes that serve this handshake only.
    pub fn new(identity: &'a IdentityKeyPair, daemon_id: &'a str, ephemeral: Zeroizing<[u8; 32]>) -> Self {
        Self { identity, daemon_id, ephemeral: Ephemeral::new(ephemeral) }
    }

    /// Answers a `HandshakeInit`'s payload: gives the payload of the `HandshakeAccept` frame, and
    /// the keys.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::MalformedInit`], [`HandshakeError::LowOrder`].
    pub fn accept(self, init_payload: &[u8]) -> Result<([u8; HANDSHAKE_ACCEPT_LEN], SessionKeys), HandshakeError> {
        let client = <[u8; HANDSHAKE_INIT_LEN]>::try_from(init_payload)
            .map_err(|_| HandshakeError::MalformedInit { len: init_payload.len() })?
            .into();
        let shared = self.ephemeral.agree(&client)?;
        let exchange = Exchange { daemon_id: self.daemon_id, client: &client, daemon: &self.ephemeral.public };
        let signature = self.identity.sign(&exchange.signed());
        let keys = SessionKeys::derive(shared.as_bytes(), &exchange.transcript(&signature));
        let accept = Accept { identity: self.identity.public_key(), ephemeral: self.ephemeral.public, signature };
        Ok((accept.encode(), keys))
    }
}

/// The daemon's whole part in one call: [`DaemonHandshake::new`], then [`DaemonHandshake::accept`].
///
/// # Errors
///
/// [`HandshakeError::MalformedInit`], [`HandshakeError::LowOrder`].
pub fn accept(
    identity: &IdentityKeyPair,
    daemon_id: &str,
    ephemeral: Zeroizing<[u8; 32]>,
    init_payload: &[u8],
) -> Result<([u8; HANDSHAKE_ACCEPT_LEN], SessionKeys), HandshakeError> {
    DaemonHandshake::new(identity, daemon_id, ephemeral).accept(init_payload)
}

/// The payload of a `HandshakeAccept`.
struct Accept {
    identity: PublicKey,
    ephemeral: EphemeralPublic,
    signature: [u8; 64],
}

impl Accept {
    fn parse(payload: &[u8]) -> Result<Self, HandshakeError> {
        let malformed = HandshakeError::MalformedAccept { len: payload.len() };
        let (identity, rest) = payload.split_first_chunk::<32>().ok_or(malformed)?;
        let (ephemeral, rest) = rest.split_first_chunk::<32>().ok_or(malformed)?;
        let signature = rest.try_into().map_err(|_| malformed)?;
        Ok(Self { identity: PublicKey::from_bytes(*identity), ephemeral: EphemeralPublic::from(*ephemeral), signature })
    }

    fn encode(&self) -> [u8; HANDSHAKE_ACCEPT_LEN] {
        let mut payload = [0; HANDSHAKE_ACCEPT_LEN];
        payload[..32].copy_from_slice(self.identity.as_bytes());
        payload[32..64].copy_from_slice(self.ephemeral.as_bytes());
        payload[64..].copy_from_slice(&self.signature);
        payload
    }
}

/// What both sides hash: the id as it was given, the ephemeral keys as they were sent.
struct Exchange<'a> {
    daemon_id: &'a str,
    client: &'a EphemeralPublic,
    daemon: &'a EphemeralPublic,
}

impl Exchange<'_> {
    fn hash(&self, label: &[u8]) -> Sha256 {
        Sha256::new()
            .chain_update(label)
            .chain_update(self.daemon_id)
            .chain_update(self.client)
            .chain_update(self.daemon)
    }

    fn signed(&self) -> [u8; 32] {
        self.hash(SIGNED_LABEL).finalize().into()
    }

    fn transcript(&self, signature: &[u8; 64]) -> [u8; 32] {
        self.hash(TRANSCRIPT_LABEL).chain_update(signature).finalize().into()
    }
}

/// A key pair for one handshake. The secret half is wiped when dropped.
struct Ephemeral {
    secret: StaticSecret,
    public: EphemeralPublic,
}

impl Ephemeral {
    #[expect(clippy::needless_pass_by_value, reason = "one ephemeral secret serves one handshake")]
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = EphemeralPublic::from(&secret);
        Self { secret, public }
    }

    fn agree(&self, other: &EphemeralPublic) -> Result<SharedSecret, HandshakeError> {
        let shared = self.secret.diffie_hellman(other);
        if shared.was_contributory() { Ok(shared) } else { Err(HandshakeError::LowOrder) }
    }
}
