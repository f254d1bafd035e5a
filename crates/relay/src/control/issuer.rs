//! The keys that sign and verify, as they are now.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use sideband_protocol::sbrp::SessionId;

use crate::{
    random,
    shared::Shared,
    store::{Store, StoreError},
    token::{Jwks, SigningKey, TokenRequest, TokenSubject, VerifyingKeys},
};

/// Life of a presence token in seconds.
const PRESENCE_LIFETIME: u64 = 3_600;

/// Life of a session token in seconds: it is used at once.
const SESSION_LIFETIME: u64 = 120;

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The keys of one moment.
pub(crate) struct Keys {
    signing: SigningKey,
    pub(crate) jwks: Jwks,
    pub(crate) verifying: VerifyingKeys,
}

/// Issues tokens in the name of one URL.
pub(crate) struct Issuer {
    url: String,
    region: Option<String>,
    keys: Shared<Keys>,
    /// Keys that sign in this issuer's name elsewhere.
    trusted: VerifyingKeys,
}

impl Issuer {
    /// Loads the keys, making the first one if there is none.
    pub(crate) async fn new(
        url: String,
        region: Option<String>,
        trusted: VerifyingKeys,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let keys = Shared::new(load(store, &trusted).await?);
        Ok(Self { url, region, keys, trusted })
    }

    /// Takes in what the admin commands changed.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        self.keys.set(load(store, &self.trusted).await?);
        Ok(())
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.get()
    }

    /// A presence token. `not_before` is the time before which the daemon's tokens are dead.
    pub(crate) fn presence_token(&self, daemon_id: &str, not_before: u64, concurrent_sessions: Option<u32>) -> String {
        self.keys().signing.sign(&TokenRequest {
            issuer: &self.url,
            region: self.region.as_deref(),
            subject: TokenSubject::Daemon,
            daemon_id,
            concurrent_sessions,
            issued_at: unix_time().max(not_before),
            lifetime: PRESENCE_LIFETIME,
            token_id: &random::token_id(),
        })
    }

    /// A session token for a new session.
    pub(crate) fn session_token(&self, daemon_id: &str, user: &str, concurrent_sessions: Option<u32>) -> String {
        let session: SessionId = random::session_id();
        self.keys().signing.sign(&TokenRequest {
            issuer: &self.url,
            region: self.region.as_deref(),
            subject: TokenSubject::Client { user, session },
            daemon_id,
            concurrent_sessions,
            issued_at: unix_time(),
            lifetime: SESSION_LIFETIME,
            token_id: &random::token_id(),
        })
    }
}

async fn load(store: &Store, trusted: &VerifyingKeys) -> Result<Keys, StoreError> {
    let (signing, jwks) = store.signing_keys(unix_time()).await?;
    let mut verifying = VerifyingKeys::from(&jwks);
    verifying.extend(trusted);
    Ok(Keys { signing, jwks, verifying })
}
