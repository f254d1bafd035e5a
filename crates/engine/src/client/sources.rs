//! Where a client's session tokens come from: an account, a Quick Connect code, or a relay of one's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;

use super::{SessionSource, SessionTicket, Ticket, TokenSource};
use crate::cloud::{self, Cloud};
use crate::error::{Error, PeerErrorCode};
use crate::secret::Secret;
use crate::trust::BoxFuture;

/// The account path: an access token, exchanged for a session token before every attempt.
pub struct Account {
    /// The control plane.
    pub cloud: Cloud,
    /// Gives the access token.
    pub access_token: Arc<dyn TokenSource>,
    /// The daemon to reach.
    pub daemon_id: String,
}

impl SessionSource for Account {
    fn ticket(&self) -> BoxFuture<'_, Result<Ticket, Error>> {
        Box::pin(async {
            let access = self.access_token.token().await?;
            let cloud::SessionTicket { relay_url, token, .. } =
                self.cloud.create_session(&access, &self.daemon_id).await?;
            Ok(Ticket::Session(SessionTicket { relay_url, token, daemon_id: self.daemon_id.clone() }))
        })
    }

    fn is_reusable(&self) -> bool {
        true
    }
}

/// A Quick Connect code: redeemed once, good for one session.
pub struct QuickConnect {
    cloud: Cloud,
    code: Secret,
    redeemed: AtomicBool,
}

impl QuickConnect {
    /// A code as a person typed it.
    pub fn new(cloud: Cloud, code: Secret) -> Self {
        Self { cloud, code, redeemed: AtomicBool::new(false) }
    }
}

impl SessionSource for QuickConnect {
    fn ticket(&self) -> BoxFuture<'_, Result<Ticket, Error>> {
        Box::pin(async {
            let cloud::SessionTicket { relay_url, token, daemon_id } =
                self.cloud.redeem_quick_connect(&self.code).await?;
            self.redeemed.store(true, Ordering::Relaxed);
            let daemon_id = daemon_id.ok_or_else(|| Error::Api {
                status: 500,
                message: "quickConnect.redeem: the answer names no daemon".into(),
                fatal: false,
            })?;
            Ok(Ticket::Session(SessionTicket { relay_url, token, daemon_id }))
        })
    }

    /// Until it is redeemed, a code may be tried again.
    fn is_reusable(&self) -> bool {
        !self.redeemed.load(Ordering::Relaxed)
    }
}

/// A relay of one's own: its URL and session tokens made elsewhere.
pub struct RelayEndpoint {
    /// The relay's URL; a `token` in its query serves where `session_token` is absent.
    pub url: Url,
    /// Gives the session token.
    pub session_token: Option<Arc<dyn TokenSource>>,
    /// The daemon that the session is with.
    pub daemon_id: String,
}

impl SessionSource for RelayEndpoint {
    fn ticket(&self) -> BoxFuture<'_, Result<Ticket, Error>> {
        Box::pin(async {
            let token = match &self.session_token {
                Some(source) => source.token().await?,
                None => token_in_query(&self.url).ok_or_else(|| {
                    Error::peer(PeerErrorCode::PeerClosed, "no session token: neither in the endpoint nor given")
                })?,
            };
            let (relay_url, daemon_id) = (self.url.clone(), self.daemon_id.clone());
            Ok(Ticket::Session(SessionTicket { relay_url, token, daemon_id }))
        })
    }

    fn is_reusable(&self) -> bool {
        true
    }
}

/// A server that speaks plain SBP, without a relay and without encryption of its own.
pub struct Direct {
    /// The server's `ws://` or `wss://` URL.
    pub url: Url,
}

impl SessionSource for Direct {
    fn ticket(&self) -> BoxFuture<'_, Result<Ticket, Error>> {
        Box::pin(std::future::ready(Ok(Ticket::Direct(self.url.clone()))))
    }

    fn is_reusable(&self) -> bool {
        true
    }
}

/// The `token` of a URL's query.
pub(crate) fn token_in_query(url: &Url) -> Option<Secret> {
    url.query_pairs().find(|(name, _)| name == "token").map(|(_, token)| token.into_owned().into())
}
