//! The WebSocket's opening: the token, the session id, and the 101.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    Front,
    accept::Visitor,
    admission::{InAll, OfAddress, Places},
    io::DetachedIo,
};
use crate::{
    control::{Answer, ApiError, bearer, unix_time},
    hub::{Arrival, LeaseRefusal, NewConnection},
    token::{Claims, Refusal, Role, Unverified},
};

/// A connection that was let in and whose 101 is being written.
pub(crate) struct Accepted {
    pub(crate) daemon_id: Arc<str>,
    issued_at: u64,
    address: IpAddr,
    places: Places,
    arrival: Arrival,
}

impl Accepted {
    /// The WebSocket, once its bytes are at hand.
    pub(crate) fn connected(self, io: DetachedIo, head: Bytes, read: Bytes, visitor: &Visitor) -> NewConnection {
        NewConnection {
            io,
            head,
            read: read.into(),
            number: visitor.number,
            address: self.address,
            accepted: visitor.accepted,
            places: self.places,
            daemon_id: self.daemon_id,
            issued_at: self.issued_at,
            arrival: self.arrival,
        }
    }
}

/// Carries a connection's places to the request that becomes a WebSocket, and what that decided back
/// to the one who owns the connection.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<SlotState>>);

#[derive(Default)]
struct SlotState {
    in_all: Option<InAll>,
    of_address: Option<OfAddress>,
    accepted: Option<Accepted>,
}

impl Slot {
    pub(crate) fn new(in_all: InAll, of_address: Option<OfAddress>) -> Self {
        Self(Arc::new(Mutex::new(SlotState { in_all: Some(in_all), of_address, accepted: None })))
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Option<Accepted> {
        self.state().accepted.take()
    }

    /// Whether the connection becomes a WebSocket.
    pub(crate) fn has_accepted(&self) -> bool {
        self.state().accepted.is_some()
    }

    /// Whether the connection itself was counted as some address's.
    fn has_address(&self) -> bool {
        self.state().of_address.is_some()
    }
}

/// Answers a request for the relay itself.
pub(crate) async fn handle(
    front: &Arc<Front>,
    slot: &Slot,
    client: IpAddr,
    request: &Request<Incoming>,
) -> Result<Answer, ApiError> {
    let accept_key = accept_key(request);
    // What opens nothing is a request like any other.
    if !matches!(accept_key, Ok(Some(_))) {
        front.admission.request(client.into())?;
    }
    let Some(accept_key) = accept_key? else {
        let message = "this is a Sideband relay; it speaks WebSocket";
        let mut answer = ApiError::new(StatusCode::UPGRADE_REQUIRED, message).answer();
        let headers = answer.headers_mut();
        headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static("13"));
        return Ok(answer);
    };
    front.admission.handshake(client.into())?;
    if front.is_draining() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the relay is shutting down"));
    }
    let claims = claims(front, request).await?;
    // Behind a proxy the connection's own address is the proxy's, and only now the client counts.
    let of_address = if slot.has_address() { None } else { Some(front.admission.address(client.into())?) };
    let issued_at = claims.issued_at;
    let (daemon_id, arrival) = admit(front, claims).await?;
    let mut state = slot.state();
    let (Some(in_all), Some(of_address)) = (state.in_all.take(), of_address.or_else(|| state.of_address.take())) else {
        return Err(ApiError::bad_request("this connection has become a WebSocket already"));
    };
    let places = Places { _in_all: in_all, _of_address: of_address };
    state.accepted = Some(Accepted { daemon_id, issued_at, address: client, places, arrival });
    drop(state);
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
    if !asks || !has(header::SEC_WEBSOCKET_VERSION, "13") || request.version() < Version::HTTP_11 {
        return Ok(None);
    }
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed("GET", "a WebSocket is opened with GET"));
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| ApiError::bad_request("Sec-WebSocket-Key is missing"))?;
    if !matches!(STANDARD.decode_slice(key, &mut [0; 18]), Ok(16)) {
        return Err(ApiError::bad_request("Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    // Its bytes would be taken for frames, or by a proxy for another request.
    if !request.body().is_end_stream() {
        return Err(ApiError::bad_request("the opening of a WebSocket has no body"));
    }
    let accept = derive_accept_key(key.as_bytes());
    let accept = header::HeaderValue::try_from(accept);
    Ok(Some(accept.expect("base64 is a header value")))
}

/// What the request's token claims, if it is good.
async fn claims(front: &Front, request: &Request<Incoming>) -> Result<Claims, ApiError> {
    let query = request.uri().query().unwrap_or_default();
    let from_query = || {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == "token").map(|(_, token)| token)
    };
    // No token has a character that a query would have to escape.
    let token = bearer(request).or_else(from_query).unwrap_or_default();
    let refused = |refusal: Refusal| {
        front.metrics.refusal(refusal.name());
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
        ApiError::new(status, refusal.to_string())
    };
    let token = Unverified::parse(token).map_err(refused)?;
    let key = front.authority.key(token.kid()).await?.ok_or(Refusal::Kid).map_err(refused)?;
    token.verify(&key, &front.verifier, unix_time()).map_err(refused)
}

/// What a good token still has to pass: who lost access since, and what is taken.
async fn admit(front: &Arc<Front>, claims: Claims) -> Result<(Arc<str>, Arrival), ApiError> {
    let daemon_id: Arc<str> = claims.daemon_id.into();
    let forbidden = |reason, message| {
        front.metrics.refusal(reason);
        ApiError::new(StatusCode::FORBIDDEN, message)
    };
    let limit = claims.concurrent_sessions;
    let arrival = match claims.role {
        Role::Daemon => {
            if !front.authority.serves(&daemon_id, claims.issued_at).await? {
                return Err(forbidden("not served", "this daemon is not served here"));
            }
            let online = front.registry.daemon_online(&daemon_id, limit);
            Arrival::Daemon { resume: claims.resume, online }
        }
        Role::Client { session } => {
            if !front.authority.has_user(&claims.subject).await? {
                return Err(forbidden("revoked", "this user's access was revoked"));
            }
            let daemon_known = front.authority.knows(&daemon_id).await?;
            let cap = front.limits.get().sessions_per_daemon;
            let cap = u32::try_from(cap).unwrap_or(u32::MAX);
            let lease = front.registry.lease(session, &daemon_id, limit.map_or(cap, |limit| limit.min(cap)));
            let lease = lease.map_err(|refusal| match refusal {
                LeaseRefusal::Taken => ApiError::new(StatusCode::CONFLICT, "the session id is in use"),
                LeaseRefusal::Full => {
                    front.metrics.limit("sessions_per_daemon");
                    let message = "the daemon has as many sessions as it may";
                    ApiError::new(StatusCode::TOO_MANY_REQUESTS, message)
                }
            })?;
            Arrival::Client { user: claims.subject, lease, daemon_known }
        }
    };
    Ok((daemon_id, arrival))
}
