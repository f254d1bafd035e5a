//! The admin's endpoints, for those who hold the admin token.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use sideband_protocol::sbrp::SessionId;

use super::wire::{Answer, ApiError, bearer, json_answer, read_json};
use crate::{admin::AdminError, front::Front};

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

/// Answers `/admin/…`.
pub(crate) async fn handle(front: &Arc<Front>, path: &str, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let token = bearer(&request).unwrap_or_default().to_owned();
    if !front.store.is_admin_token(&token).await? {
        return Err(ApiError::unauthorized("the admin token is required"));
    }
    let parts: Vec<String> = path.split('/').map(decode).collect::<Result<_, _>>()?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let method = request.method().clone();
    let admin = &front.admin;
    let body = match (&method, parts.as_slice()) {
        (&Method::POST, ["daemons"]) => add_daemon(front, request).await?,
        (&Method::GET, ["daemons"]) => daemons(front).await?,
        (&Method::DELETE, ["daemons", id]) => {
            admin.revoke_daemon(id).await?;
            json!({})
        }
        (&Method::POST, ["daemons", id, "rotate-key"]) => {
            let new = admin.rotate_daemon_key(id).await?;
            json!({ "daemonId": new.daemon_id, "apiKey": new.api_key })
        }
        (&Method::POST, ["daemons", id, "disconnect"]) => {
            found(front.cut_daemon(id).await, "the daemon is not connected")?
        }
        (&Method::POST, ["users"]) => add_user(front, request).await?,
        (&Method::DELETE, ["users", id]) => {
            admin.revoke_user(id).await?;
            json!({})
        }
        (&Method::GET, ["sessions"]) => json!(front.sessions().await),
        (&Method::POST, ["sessions", id, "disconnect"]) => {
            let session = SessionId::from_base64url(id);
            let session = session.ok_or_else(|| ApiError::bad_request("not a session id"))?;
            found(front.cut_client(session).await, "no such session")?
        }
        _ => return Err(ApiError::not_found("no such admin endpoint")),
    };
    if method != Method::GET {
        // The database does not report this process's own changes.
        front.apply_changes(true).await?;
    }
    Ok(json_answer(StatusCode::OK, &body))
}

fn found(found: bool, otherwise: &str) -> Result<Value, ApiError> {
    if found { Ok(json!({})) } else { Err(ApiError::not_found(otherwise)) }
}

async fn daemons(front: &Front) -> Result<Value, ApiError> {
    let all = front.admin.daemons().await?;
    let row = |daemon: &crate::admin::DaemonRow| {
        json!({
            "daemonId": daemon.id,
            "createdAt": daemon.created_at,
            "revokedAt": daemon.revoked_at,
            "maxSessions": daemon.max_sessions,
            "online": front.registry.is_online(&daemon.id),
        })
    };
    Ok(all.iter().map(row).collect())
}

async fn add_daemon(front: &Front, request: Request<Incoming>) -> Result<Value, ApiError> {
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
    let new = front.admin.add_daemon(id, max_sessions).await?;
    Ok(json!({ "daemonId": new.daemon_id, "apiKey": new.api_key }))
}

async fn add_user(front: &Front, request: Request<Incoming>) -> Result<Value, ApiError> {
    let input = read_json(request).await?;
    let daemons = input.get("daemonIds").and_then(Value::as_array);
    let daemons = daemons.map(|all| all.iter().map(|id| id.as_str().map(str::to_owned)));
    let daemons: Option<Vec<String>> = daemons.and_then(Iterator::collect);
    let daemons = daemons.ok_or_else(|| ApiError::bad_request("daemonIds must be a list of strings"))?;
    let new = front.admin.add_user(Some(&daemons)).await?;
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
