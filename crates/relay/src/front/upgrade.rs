//! The WebSocket's opening: the token, the session id, and the 101.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Front, io::DetachedIo};
use crate::{
    control::{Answer, ApiError, bearer, unix_time},
    hub::{Arrival, LeaseRefusal, NewConnection},
    token::{Claims, Refusal, Role, Unverified},
};

/// A connection that was let in and whose 101 is on its way.
pub(crate) struct Accepted {
    pub(crate) daemon_id: Arc<str>,
    arrival: Arrival,
}

impl Accepted {
    /// The WebSocket, once its bytes are at hand.
    pub(crate) fn connected(self, io: DetachedIo, read: Bytes) -> NewConnection {
        NewConnection { io, read: read.into(), daemon_id: self.daemon_id, arrival: self.arrival }
    }
}

/// Carries what the request handler decided to the one who owns the connection.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Accepted>>>);

impl Slot {
    fn put(&self, accepted: Accepted) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
    }

    pub(crate) fn take(&self) -> Option<Accepted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Answers a request for the relay itself.
pub(crate) async fn handle(front: &Arc<Front>, slot: &Slot, request: &Request<Incoming>) -> Result<Answer, ApiError> {
    let Some(accept_key) = accept_key(request)? else {
        let message = "this is a Sideband relay; it speaks WebSocket";
        let mut answer = ApiError::new(StatusCode::UPGRADE_REQUIRED, message).answer();
        let headers = answer.headers_mut();
        headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
        let version = header::HeaderValue::from_static("13");
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        return Ok(answer);
    };
    let claims = claims(front, request).map_err(|refusal| {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        ApiError::new(status, refusal.to_string())
    })?;
    slot.put(admit(front, claims).await?);
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept_key);
    Ok(answer)
}

/// The answer to the request's key, if it asks for a WebSocket at all.
fn accept_key(request: &Request<Incoming>) -> Result<Option<header::HeaderValue>, ApiError> {
    let has = |name, word: &str| {
        let values = request.headers().get_all(name).iter();
        let mut words = values.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
        words.any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    let asks = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
    if !asks || !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Ok(None);
    }
    if request.method() != Method::GET {
        let message = "a WebSocket is opened with GET";
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message));
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    let accept = derive_accept_key(key.as_bytes());
    let accept = header::HeaderValue::try_from(accept);
    Ok(Some(accept.expect("base64 is a header value")))
}

/// What the request's token claims, if it is good.
fn claims(front: &Front, request: &Request<Incoming>) -> Result<Claims, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let from_query = || {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == "token").map(|(_, token)| token)
    };
    // No token has a character that a query would have to escape.
    let token = bearer(request).or_else(from_query).unwrap_or_default();
    let token = Unverified::parse(token)?;
    let keys = front.issuer.keys();
    let key = keys.verifying.get(token.kid()).ok_or(Refusal::Kid)?;
    token.verify(key, &front.verifier, unix_time())
}

/// What a good token still has to pass: who lost access since, and what is taken.
async fn admit(front: &Front, claims: Claims) -> Result<Accepted, ApiError> {
    let daemon_id: Arc<str> = claims.daemon_id.into();
    let daemon = front.store.daemon(&daemon_id).await?;
    let forbidden = |message| Err(ApiError::new(StatusCode::FORBIDDEN, message));
    let arrival = match claims.role {
        Role::Daemon => {
            if daemon.is_none_or(|daemon| claims.issued_at < daemon.valid_from) {
                return forbidden("this daemon is not served here");
            }
            Arrival::Daemon {
                resume: claims.resume,
                online: front.registry.daemon_online(&daemon_id, claims.concurrent_sessions),
            }
        }
        Role::Client { session } => {
            if front.store.user_is_revoked(&claims.subject).await? {
                return forbidden("this user's access was revoked");
            }
            let limit = claims.concurrent_sessions;
            let lease = front.registry.lease(session, &daemon_id, limit);
            Arrival::Client {
                user: claims.subject,
                lease: lease.map_err(|refusal| match refusal {
                    LeaseRefusal::Taken => ApiError::new(StatusCode::CONFLICT, "the session id is in use"),
                    LeaseRefusal::Full => {
                        let message = "the daemon has as many sessions as it may";
                        ApiError::new(StatusCode::TOO_MANY_REQUESTS, message)
                    }
                })?,
                daemon_known: daemon.is_some(),
            }
        }
    };
    Ok(Accepted { daemon_id, arrival })
}
