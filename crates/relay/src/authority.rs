//! Who says which tokens are good: this process's own control plane, or one elsewhere.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;

use crate::{
    control::{ApiError, ControlPlane},
    remote::RemoteControl,
};

/// The one whose tokens the relay takes.
pub(crate) enum Authority {
    /// In this process, with the database at hand.
    Own(Arc<ControlPlane>),
    /// Elsewhere.
    Remote(Box<RemoteControl>),
}

impl Authority {
    pub(crate) fn remote(&self) -> Option<&RemoteControl> {
        match self {
            Self::Own(_) => None,
            Self::Remote(remote) => Some(remote),
        }
    }

    /// The key of that id; `None` when there is none.
    pub(crate) async fn key(&self, kid: &str) -> Result<Option<VerifyingKey>, ApiError> {
        match self {
            Self::Own(control) => Ok(control.issuer.keys().verifying.get(kid).copied()),
            Self::Remote(remote) => {
                let keys = remote.keys.keys(kid).await.map_err(|error| {
                    tracing::error!(%error, "tokens cannot be checked");
                    ApiError::unavailable("tokens cannot be checked at the moment")
                })?;
                Ok(keys.get(kid).copied())
            }
        }
    }

    /// Whether a daemon's token of that time is good here.
    pub(crate) async fn serves(&self, daemon: &str, issued_at: u64) -> Result<bool, ApiError> {
        match self {
            Self::Own(control) => {
                let daemon = control.store.daemon(daemon).await?;
                Ok(daemon.is_some_and(|daemon| issued_at >= daemon.valid_from))
            }
            Self::Remote(remote) => Ok(remote.serves(daemon, issued_at)),
        }
    }

    /// Whether there is such a daemon, connected or not. One who cannot know says yes.
    pub(crate) async fn knows(&self, daemon: &str) -> Result<bool, ApiError> {
        match self {
            Self::Own(control) => Ok(control.store.daemon(daemon).await?.is_some()),
            Self::Remote(_) => Ok(true),
        }
    }

    /// Whether a user's session tokens are good. Those of Quick Connect and of other issuers belong
    /// to nobody in the database, and are.
    pub(crate) async fn has_user(&self, user: &str) -> Result<bool, ApiError> {
        match self {
            Self::Own(control) => Ok(!control.store.user_is_revoked(user).await?),
            Self::Remote(remote) => Ok(remote.has_user(user)),
        }
    }
}
