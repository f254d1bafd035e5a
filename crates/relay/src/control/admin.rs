//! The admin's endpoints, for those who hold the admin token.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use sideband_protocol::sbrp::SessionId;

use super::{
    issuer::unix_time,
    wire::{Answer, ApiError, bearer, json_answer, read_json},
};
use crate::{front::Front, random, store::AddDaemon};

/// Most bytes of a daemon id that is registered here.
const MAX_DAEMON_ID: usize = 128;

/// Answers `/admin/…`.
pub(crate) async fn handle(front: &Arc<Front>, path: &str, request: Request<Incoming>) -> Result<Answer, ApiError> {
    if !bearer(&request).is_some_and(|token| front.admin_token.matches(token)) {
        return Err(ApiError::unauthorized("the admin token is required"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let method = request.method().clone();
    let body = match (&method, parts.as_slice()) {
        (&Method::POST, ["daemons"]) => add_daemon(front, request).await?,
        (&Method::POST, ["users"]) => add_user(front, request).await?,
        (&Method::POST, ["daemons", id, "disconnect"]) => {
            let cut = front.cut_daemon(&decode(id)?).await;
            found(cut, "the daemon is not connected")?
        }
        (&Method::POST, ["sessions", id, "disconnect"]) => {
            let session = SessionId::from_base64url(id);
            let session = session.ok_or_else(|| ApiError::bad_request("not a session id"))?;
            found(front.cut_client(session).await, "no such session")?
        }
        (&Method::GET, ["sessions"]) => json!(front.sessions().await),
        _ => return Err(ApiError::not_found("no such admin endpoint")),
    };
    Ok(json_answer(StatusCode::OK, &body))
}

fn found(found: bool, otherwise: &str) -> Result<Value, ApiError> {
    if found { Ok(json!({})) } else { Err(ApiError::not_found(otherwise)) }
}

async fn add_daemon(front: &Front, request: Request<Incoming>) -> Result<Value, ApiError> {
    let input = read_json(request).await?;
    let id = match input.get("daemonId") {
        None | Some(Value::Null) => random::daemon_id(),
        Some(Value::String(id)) if is_daemon_id(id) => id.clone(),
        Some(_) => {
            let rule = "daemonId must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -";
            return Err(ApiError::bad_request(rule));
        }
    };
    let max_sessions = match input.get("maxSessions") {
        None | Some(Value::Null) => None,
        Some(sessions) => {
            let sessions = sessions.as_u64().and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0);
            Some(sessions.ok_or_else(|| ApiError::bad_request("maxSessions must be a whole number above 0"))?)
        }
    };
    match front.store.add_daemon(id, max_sessions, unix_time()).await? {
        AddDaemon::Added(new) => Ok(json!({ "daemonId": new.id, "apiKey": *new.api_key })),
        AddDaemon::Exists => Err(ApiError::new(StatusCode::CONFLICT, "there is or was a daemon of that id")),
    }
}

async fn add_user(front: &Front, request: Request<Incoming>) -> Result<Value, ApiError> {
    let input = read_json(request).await?;
    let daemons = input.get("daemonIds").and_then(Value::as_array);
    let daemons = daemons.map(|all| all.iter().map(|id| id.as_str().map(str::to_owned)));
    let daemons: Option<Vec<String>> = daemons.and_then(Iterator::collect);
    let daemons = daemons.ok_or_else(|| ApiError::bad_request("daemonIds must be a list of strings"))?;
    let new = front.store.add_user(daemons, unix_time()).await?;
    Ok(json!({ "userId": new.id, "accessToken": *new.access_token }))
}

/// What a daemon id registered here may look like: what needs no quoting anywhere.
pub(crate) fn is_daemon_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_DAEMON_ID).contains(&id.len()) && id.bytes().all(fits)
}

/// A path segment without its percent signs. Registered ids need none, but clients may write them.
fn decode(segment: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let pair = digit().zip(digit()).map(|(high, low)| high * 16 + low);
            let byte = pair.and_then(|byte| u8::try_from(byte).ok());
            bytes.push(byte.ok_or_else(|| ApiError::bad_request("the path is not encoded well"))?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad_request("the path is not UTF-8"))
}
