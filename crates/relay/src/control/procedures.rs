//! The four procedures of section 7.

use std::{net::IpAddr, sync::Arc};

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};

use super::{
    ControlPlane,
    issuer::unix_time,
    wire::{Answer, ApiError, bearer, json_answer, read_json},
};
use crate::{
    admin::MAX_CODE_SECONDS,
    front::Front,
    random,
    store::{Access, Daemon, digest},
};

/// Answers `POST /api/trpc/{procedure}`.
pub(crate) async fn handle(
    front: &Arc<Front>,
    procedure: &str,
    client: IpAddr,
    request: Request<Incoming>,
) -> Result<Answer, ApiError> {
    if request.method() != Method::POST {
        return Err(ApiError::method_not_allowed("POST", "procedures are called with POST"));
    }
    let control = &**front.control()?;
    let output = match procedure {
        "daemon.renewToken" => renew_token(front, control, request).await?,
        "relay.createSession" => create_session(front, control, request).await?,
        "quickConnect.create" => create_code(front, control, request).await?,
        "quickConnect.redeem" => redeem_code(front, control, client, request).await?,
        _ => return Err(ApiError::not_found("no such procedure")),
    };
    let result = json!({ "result": { "data": output } });
    Ok(json_answer(StatusCode::OK, &result))
}

async fn renew_token(front: &Front, control: &ControlPlane, request: Request<Incoming>) -> Result<Value, ApiError> {
    let daemon = authenticate_daemon(front, control, &request).await?;
    input(request).await?;
    let token = control.issuer.presence_token(&daemon.id, daemon.valid_from, daemon.max_sessions);
    Ok(json!({ "presenceToken": token }))
}

async fn create_session(front: &Front, control: &ControlPlane, request: Request<Incoming>) -> Result<Value, ApiError> {
    let token = bearer(&request).map(str::to_owned);
    let token = token.ok_or_else(|| ApiError::unauthorized("an access token is required"))?;
    front.admission.key_request(digest(&token))?;
    let daemon = input(request).await.and_then(|input| text(&input, "daemonId").map(str::to_owned));
    let access = access(control, &token, daemon.as_deref().unwrap_or_default()).await?;
    match (access, daemon) {
        // Who may not ask hears that, and not what is wrong with the question.
        (Access::NoUser, _) => Err(ApiError::unauthorized("the access token is not valid")),
        (_, Err(error)) => Err(error),
        (Access::NoDaemon, Ok(_)) => Err(ApiError::not_found("no such daemon")),
        (Access::Denied, Ok(_)) => Err(ApiError::new(StatusCode::FORBIDDEN, "the user may not reach this daemon")),
        (Access::Granted { user, max_sessions }, Ok(daemon)) => Ok(json!({
            "relayUrl": front.relay_url,
            "token": control.issuer.session_token(&daemon, &user, max_sessions),
        })),
    }
}

/// What an access token is good for: one of this control plane's own, or of the OIDC issuer.
async fn access(control: &ControlPlane, token: &str, daemon: &str) -> Result<Access, ApiError> {
    let now = unix_time();
    let Some(oidc) = control.oidc.as_ref().filter(|_| !token.starts_with(random::ACCESS_TOKEN_PREFIX)) else {
        return Ok(control.store.access(token, daemon, now).await?);
    };
    let Some(user) = oidc.user(token, now).await? else {
        return Ok(Access::NoUser);
    };
    Ok(match control.store.daemon(daemon).await? {
        None => Access::NoDaemon,
        Some(_) if !user.may_reach(daemon) => Access::Denied,
        Some(daemon) => Access::Granted { user: user.subject, max_sessions: daemon.max_sessions },
    })
}

async fn create_code(front: &Front, control: &ControlPlane, request: Request<Incoming>) -> Result<Value, ApiError> {
    let daemon = authenticate_daemon(front, control, &request).await?;
    let input = input(request).await?;
    if !input.is_object() && !input.is_null() {
        return Err(ApiError::bad_request("the input must be an object"));
    }
    let lifetime = match input.get("ttlSeconds") {
        None => MAX_CODE_SECONDS,
        Some(seconds) => seconds
            .as_u64()
            .filter(|seconds| (1..=MAX_CODE_SECONDS).contains(seconds))
            .ok_or_else(|| ApiError::bad_request("ttlSeconds must be a whole number, 1 to 300"))?,
    };
    let new = control.admin.add_code(&daemon.id, lifetime).await?;
    let code = new.code;
    Ok(json!({
        "code": code,
        "url": format!("{}/quick-connect#{code}", front.api_url),
        "expiresAt": new.expires_at,
    }))
}

async fn redeem_code(
    front: &Front,
    control: &ControlPlane,
    client: IpAddr,
    request: Request<Incoming>,
) -> Result<Value, ApiError> {
    front.admission.code_attempt(client.into())?;
    let input = input(request).await?;
    let unknown = || ApiError::not_found("the code is unknown, used or over");
    let code = normalize(text(&input, "code")?).ok_or_else(unknown)?;
    // Whether the daemon is there is found out first: if that cannot be said, the code stays good.
    let id = control.store.code(&code, unix_time()).await?.ok_or_else(unknown)?;
    let online = control.presence.is_online(&id).await?;
    let id = control.store.redeem_code(&code, unix_time()).await?.ok_or_else(unknown)?;
    let daemon = control.store.daemon(&id).await?;
    let daemon = daemon.ok_or_else(|| ApiError::not_found("no such daemon"))?;
    if !online {
        return Err(ApiError::new(StatusCode::CONFLICT, "the daemon is offline; the code is used up"));
    }
    let user = random::guest_id();
    Ok(json!({
        "relayUrl": front.relay_url,
        "token": control.issuer.session_token(&id, &user, daemon.max_sessions),
        "daemonId": id,
    }))
}

async fn authenticate_daemon<B>(
    front: &Front,
    control: &ControlPlane,
    request: &Request<B>,
) -> Result<Daemon, ApiError> {
    let key = bearer(request).ok_or_else(|| ApiError::unauthorized("an API key is required"))?;
    front.admission.key_request(digest(key))?;
    let daemon = control.store.daemon_by_key(key).await?;
    daemon.ok_or_else(|| ApiError::unauthorized("the API key is not valid"))
}

/// The body is the input, or `{"json": input}`.
async fn input(request: Request<Incoming>) -> Result<Value, ApiError> {
    let mut body = read_json(request).await?;
    Ok(match body.get_mut("json") {
        Some(input) => input.take(),
        None => body,
    })
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    let value = input.get(name).and_then(Value::as_str);
    value.ok_or_else(|| ApiError::bad_request(format!("{name} must be a string")))
}

/// A code as it was typed, without what does not matter in it. `None` for what no code looks like.
fn normalize(typed: &str) -> Option<String> {
    let mut code = String::with_capacity(random::CODE_LETTERS);
    for letter in typed.chars() {
        match letter.to_ascii_lowercase() {
            'a'..='z' if code.len() == random::CODE_LETTERS => return None,
            letter @ 'a'..='z' => code.push(letter),
            // What phones and word processors make of a dash, too.
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' => (),
            space if space.is_whitespace() => (),
            _ => return None,
        }
    }
    (code.len() == random::CODE_LETTERS).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn case_spaces_and_dashes_do_not_matter() {
        let code = Some("abcdefghijkl".to_owned());
        for typed in [
            "abcd-efgh-ijkl",
            "ABCD-EFGH-IJKL",
            " abcd efgh\tijkl ",
            "abcdefghijkl",
            "a-b-c-d-e-f-g-h-i-j-k-l",
            "abcd\u{2013}efgh\u{2014}ijkl",
        ] {
            assert_eq!(normalize(typed), code, "{typed}");
        }
        for typed in ["", "abcd-efgh-ijk", "abcd-efgh-ijklm", "abcd-efgh-ijk1", "äbcdefghijkl"] {
            assert_eq!(normalize(typed), None, "{typed}");
        }
    }
}
