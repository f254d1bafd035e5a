//! What a relay and a control plane that run apart ask of each other.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode};
use reqwest::Url;
use serde_json::json;

use super::wire::{Answer, ApiError, bearer, json_answer};
use crate::{
    control::unix_time,
    front::Front,
    remote::{HORIZON, RevocationLine, RevocationList},
};

/// Answers `/internal/…`, for those who hold the shared secret.
pub(crate) async fn handle<B>(front: &Arc<Front>, path: &str, request: &Request<B>) -> Result<Answer, ApiError> {
    let token = bearer(request).unwrap_or_default();
    if !front.shared_secret.as_ref().is_some_and(|secret| secret.matches(token)) {
        return Err(ApiError::unauthorized("the shared secret is required"));
    }
    // The query of a request has no base; any will do.
    let url = Url::parse("http://relay/").and_then(|base| base.join(&request.uri().to_string()));
    let url = url.map_err(|_| ApiError::bad_request("the query cannot be read"))?;
    let parameter = |wanted: &str| {
        let mut pairs = url.query_pairs();
        pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    match (request.method(), path) {
        (&Method::GET, "revocations") if front.control.is_some() => {
            let after = parameter("after").and_then(|after| after.parse().ok());
            let after = after.ok_or_else(|| ApiError::bad_request("after must be a number"))?;
            let all = front.control()?.store.revocations_after(after).await?;
            let oldest = unix_time().saturating_sub(HORIZON);
            let lines = all.into_iter().filter(|it| it.at >= oldest).map(RevocationLine::from);
            Ok(json_answer(StatusCode::OK, &RevocationList { revocations: lines.collect() }))
        }
        (&Method::GET, "presence") if front.serves_websockets => {
            let daemon = parameter("daemon").ok_or_else(|| ApiError::bad_request("daemon is missing"))?;
            let online = front.registry.is_online(&daemon);
            Ok(json_answer(StatusCode::OK, &json!({ "online": online })))
        }
        _ => Err(ApiError::not_found("nothing is here")),
    }
}
