//! The admin's endpoints, for those who hold the admin token.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use sideband_protocol::sbrp::SessionId;

use super::ControlPlane;
use super::wire::{Answer, ApiError, bearer, json_answer, read_json};
use crate::{
    admin::{Admin, AdminError},
    front::Front,
};

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let status = match &error {
            AdminError::Invalid(_) => StatusCode::BAD_REQUEST,
            AdminError::Exists(_) => StatusCode::CONFLICT,
            AdminError::NotFound { .. } => StatusCode::NOT_FOUND,
            AdminError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        match error {
            AdminError::Store(error) => error.into(),
            other => Self::new(status, other.to_string()),
        }
    }
}

/// Whether a request shows the admin token; for a relay that runs apart, the shared secret.
pub(crate) async fn is_admin<B>(front: &Front, request: &Request<B>) -> Result<bool, ApiError> {
    let token = bearer(request).unwrap_or_default();
    match &front.control {
        Some(control) => Ok(control.store.is_admin_token(token).await?),
        None => Ok(front.shared_secret.as_ref().is_some_and(|secret| secret.matches(token))),
    }
}

/// Answers `/admin/…`.
pub(crate) async fn handle(front: &Arc<Front>, path: &str, request: Request<Incoming>) -> Result<Answer, ApiError> {
    if !is_admin(front, &request).await? {
        return Err(ApiError::unauthorized("the admin token is required"));
    }
    let parts: Vec<String> = path.split('/').map(decode).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = request.method().clone();
    let body = match (&method, parts.as_slice()) {
        (&Method::GET, ["sessions"]) => json!(front.sessions().await),
        (&Method::POST, ["daemons", id, "disconnect"]) => {
            found(front.cut_daemon(id).await, "the daemon is not connected")?
        }
        (&Method::POST, ["sessions", id, "disconnect"]) => {
            let session = SessionId::from_base64url(id);
            let session = session.ok_or_else(|| ApiError::bad_request("not a session id"))?;
            found(front.cut_client(session).await, "no such session")?
        }
        _ => change(front, &method, &parts, request).await?,
    };
    Ok(json_answer(StatusCode::OK, &body))
}

/// What needs the database.
async fn change(
    front: &Arc<Front>,
    method: &Method,
    parts: &[&str],
    request: Request<Incoming>,
) -> Result<Value, ApiError> {
    let control = front.control()?;
    let admin = &control.admin;
    let body = match (method, parts) {
        (&Method::GET, ["daemons"]) => return daemons(control).await,
        (&Method::POST, ["daemons"]) => add_daemon(admin, request).await?,
        (&Method::DELETE, ["daemons", id]) => {
            admin.revoke_daemon(id).await?;
            json!({})
        }
        (&Method::POST, ["daemons", id, "rotate-key"]) => {
            let new = admin.rotate_daemon_key(id).await?;
            json!({ "daemonId": new.daemon_id, "apiKey": new.api_key })
        }
        (&Method::POST, ["users"]) => add_user(admin, request).await?,
        (&Method::DELETE, ["users", id]) => {
            admin.revoke_user(id).await?;
            json!({})
        }
        _ => return Err(ApiError::not_found("no such admin endpoint")),
    };
    // The database does not report this process's own changes.
    front.apply_changes(control, true).await?;
    Ok(body)
}

fn found(found: bool, otherwise: &str) -> Result<Value, ApiError> {
    if found { Ok(json!({})) } else { Err(ApiError::not_found(otherwise)) }
}

async fn daemons(control: &ControlPlane) -> Result<Value, ApiError> {
    let mut rows = Vec::new();
    for daemon in control.admin.daemons().await? {
        rows.push(json!({
            "daemonId": daemon.id,
            "createdAt": daemon.created_at,
            "revokedAt": daemon.revoked_at,
            "maxSessions": daemon.max_sessions,
            "online": control.presence.is_online(&daemon.id).await?,
        }));
    }
    Ok(json!(rows))
}

async fn add_daemon(admin: &Admin, request: Request<Incoming>) -> Result<Value, ApiError> {
    let input = read_json(request).await?;
    let id = match input.get("daemonId") {
        None | Some(Value::Null) => None,
        Some(id) => Some(id.as_str().ok_or_else(|| ApiError::bad_request("daemonId must be a string"))?),
    };
    let max_sessions = match input.get("maxSessions") {
        None | Some(Value::Null) => None,
        Some(sessions) => {
            let sessions = sessions.as_u64().and_then(|it| u32::try_from(it).ok());
            Some(sessions.ok_or_else(|| ApiError::bad_request("maxSessions must be a whole number"))?)
        }
    };
    let new = admin.add_daemon(id, max_sessions).await?;
    Ok(json!({ "daemonId": new.daemon_id, "apiKey": new.api_key }))
}

async fn add_user(admin: &Admin, request: Request<Incoming>) -> Result<Value, ApiError> {
    let input = read_json(request).await?;
    let daemons = input.get("daemonIds").and_then(Value::as_array);
    let daemons = daemons.map(|all| all.iter().map(|id| id.as_str().map(str::to_owned)));
    let daemons: Option<Vec<String>> = daemons.and_then(Iterator::collect);
    let daemons = daemons.ok_or_else(|| ApiError::bad_request("daemonIds must be a list of strings"))?;
    let new = admin.add_user(Some(&daemons)).await?;
    Ok(json!({ "userId": new.user_id, "accessToken": new.access_token }))
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
