//! A store for pins that live as long as the program.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sideband_protocol::handshake::VerifiedIdentity;
use sideband_protocol::identity::PublicKey;

use crate::error::CallbackError;
use crate::trust::{BoxFuture, IdentityKeyStore};

/// Pinned identity keys in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    pins: Mutex<HashMap<String, PublicKey>>,
}

impl MemoryStore {
    /// Pins a key that came to this program another way, before the first connection.
    pub fn pin(&self, daemon_id: impl Into<String>, key: PublicKey) {
        self.pins().insert(daemon_id.into(), key);
    }

    /// The pinned key of a daemon.
    pub fn pinned(&self, daemon_id: &str) -> Option<PublicKey> {
        self.pins().get(daemon_id).copied()
    }

    fn pins(&self) -> MutexGuard<'_, HashMap<String, PublicKey>> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdentityKeyStore for MemoryStore {
    fn get<'a>(&'a self, daemon_id: &'a str) -> BoxFuture<'a, Result<Option<PublicKey>, CallbackError>> {
        Box::pin(ready(Ok(self.pinned(daemon_id))))
    }

    fn set<'a>(&'a self, identity: &'a VerifiedIdentity) -> BoxFuture<'a, Result<(), CallbackError>> {
        self.pin(identity.daemon_id(), *identity.public_key());
        Box::pin(ready(Ok(())))
    }
}
