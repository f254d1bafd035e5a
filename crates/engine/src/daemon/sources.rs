//! Where a daemon's presence tokens come from: the control plane, or a relay of one's own.

use std::sync::Arc;

use url::Url;

use super::{Presence, PresenceSource};
use crate::client::TokenSource;
use crate::cloud::Cloud;
use crate::error::{Error, PeerErrorCode};
use crate::secret::Secret;
use crate::trust::BoxFuture;

/// An API key, exchanged for a presence token before every attempt.
pub struct ApiKey {
    /// The control plane.
    pub cloud: Cloud,
    /// The key, `sbnd_dak_…`.
    pub api_key: Secret,
    /// The relay.
    pub relay_url: Url,
}

impl PresenceSource for ApiKey {
    fn presence(&self) -> BoxFuture<'_, Result<Presence, Error>> {
        Box::pin(async {
            let token = self.cloud.renew_presence_token(&self.api_key).await?;
            Ok(Presence { relay_url: self.relay_url.clone(), token })
        })
    }
}

/// A relay of one's own: its URL and presence tokens made elsewhere.
pub struct RelayPresence {
    /// The relay's URL; a `token` in its query serves where `presence_token` is absent.
    pub url: Url,
    /// Gives the presence token.
    pub presence_token: Option<Arc<dyn TokenSource>>,
}

impl PresenceSource for RelayPresence {
    fn presence(&self) -> BoxFuture<'_, Result<Presence, Error>> {
        Box::pin(async {
            let token = match &self.presence_token {
                Some(source) => source.token().await?,
                None => crate::client::token_in_query(&self.url).ok_or_else(|| {
                    Error::peer(PeerErrorCode::PeerClosed, "no presence token: neither in the endpoint nor given")
                })?,
            };
            Ok(Presence { relay_url: self.url.clone(), token })
        })
    }
}
