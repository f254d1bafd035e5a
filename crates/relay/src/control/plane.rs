//! The control plane's parts.

use std::sync::Arc;

use super::{issuer::Issuer, oidc::Oidc, wire::ApiError};
use crate::{admin::Admin, front::Changes, hub::Registry, remote::RemoteRelay, store::Store};

/// Where to ask whether a daemon is connected.
pub(crate) enum Presence {
    /// The relay is in this process.
    Here(Arc<Registry>),
    /// It is elsewhere.
    There(RemoteRelay),
}

impl Presence {
    pub(crate) async fn is_online(&self, daemon: &str) -> Result<bool, ApiError> {
        match self {
            Self::Here(registry) => Ok(registry.is_online(daemon)),
            Self::There(relay) => relay.is_online(daemon).await.map_err(|error| {
                tracing::error!(%error, "the relay cannot be asked for a daemon");
                ApiError::unavailable("the relay cannot be reached at the moment")
            }),
        }
    }
}

/// Issues tokens to those who may have them.
pub(crate) struct ControlPlane {
    pub(crate) store: Store,
    pub(crate) admin: Admin,
    pub(crate) issuer: Issuer,
    pub(crate) changes: Changes,
    pub(crate) presence: Presence,
    /// Whose access tokens are good besides this control plane's own.
    pub(crate) oidc: Option<Oidc>,
}
