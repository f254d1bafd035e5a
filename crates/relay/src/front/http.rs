//! Which request is answered by whom.

use std::{net::IpAddr, sync::Arc};

use hyper::{Method, Request, StatusCode, body::Incoming, header};

use super::{
    Front,
    accept::Visitor,
    admission::Refused,
    cors::{self, Marks},
    upgrade::{self, Slot},
};
use crate::control::{self, Answer, ApiError, json_answer};

/// The media type of what Prometheus reads.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = format!("too many at once or in a row ({})", refused.limit);
        Self::new(StatusCode::TOO_MANY_REQUESTS, message).retry_after(refused.retry_after)
    }
}

/// Answers one request, in time.
pub(crate) async fn handle(front: Arc<Front>, visitor: Visitor, slot: Slot, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let endpoint = endpoint(&path);
    let marks = Marks::of(&front.origins, &path, &request).filter(|_| !visitor.operations_only);
    // The deadline is the body's: everything else here is quick, or has a deadline of its own.
    let time = front.limits.get().request_time;
    let mut answer = match tokio::time::timeout(time, route(&front, &visitor, &slot, &path, request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::debug!(
                conn = visitor.number,
                endpoint,
                status = error.status.as_u16(),
                "refused: {}",
                error.message
            );
            error.answer()
        }
        Err(_) => {
            front.metrics.limit("request_seconds");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").answer()
        }
    };
    if let Some(marks) = marks {
        marks.mark(answer.headers_mut());
    }
    front.metrics.request(endpoint, answer.status().as_u16());
    answer
}

/// A path's name in the metrics: of a fixed set, whatever is asked for.
fn endpoint(path: &str) -> &'static str {
    match path {
        "/" => "websocket",
        "/api/trpc/daemon.renewToken" => "daemon.renewToken",
        "/api/trpc/relay.createSession" => "relay.createSession",
        "/api/trpc/quickConnect.create" => "quickConnect.create",
        "/api/trpc/quickConnect.redeem" => "quickConnect.redeem",
        "/.well-known/jwks.json" => "jwks",
        "/quick-connect" => "quick-connect",
        "/healthz" => "healthz",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        path if path.starts_with("/admin/") => "admin",
        path if path.starts_with("/internal/") => "internal",
        _ => "other",
    }
}

async fn route(
    front: &Arc<Front>,
    visitor: &Visitor,
    slot: &Slot,
    path: &str,
    request: Request<Incoming>,
) -> Result<Answer, ApiError> {
    // The answer to a HEAD is written without its body.
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let client: IpAddr = front.proxies.get().client(visitor.peer, &request);
    match path {
        // Never refused: whoever watches would take that for a relay that is stuck.
        "/healthz" if get => return Ok(front.health().await),
        // It has its own limit for what asks for a WebSocket.
        "/" if front.serves_websockets && !visitor.operations_only => {
            return upgrade::handle(front, slot, client, &request).await;
        }
        _ if visitor.operations_only => (),
        _ => front.admission.request(client.into())?,
    }
    match path {
        "/readyz" if get => return Ok(front.readiness().await),
        "/metrics" if get => return metrics(front, visitor, &request).await,
        _ if visitor.operations_only => return Err(ApiError::not_found("nothing is here")),
        _ => (),
    }
    if *request.method() == Method::OPTIONS && cors::method(path).is_some() {
        return front.control().map(|_| cors::preflight());
    }
    if let Some(procedure) = path.strip_prefix("/api/trpc/") {
        return control::handle_procedure(front, procedure, client, request).await;
    }
    if let Some(path) = path.strip_prefix("/admin/") {
        return control::handle_admin(front, path, request).await;
    }
    if let Some(path) = path.strip_prefix("/internal/") {
        return control::handle_internal(front, path, &request).await;
    }
    if get && path == "/.well-known/jwks.json" {
        let mut answer = json_answer(StatusCode::OK, &front.control()?.issuer.keys().jwks);
        let five_minutes = header::HeaderValue::from_static("public, max-age=300");
        answer.headers_mut().insert(header::CACHE_CONTROL, five_minutes);
        return Ok(answer);
    }
    if path == "/quick-connect" && get && front.control.is_some() {
        return Ok(control::quick_connect_page(&front.api_url));
    }
    Err(ApiError::not_found("nothing is here"))
}

/// Metrics are for whoever reaches the operations' own address, or has the admin token.
async fn metrics(front: &Front, visitor: &Visitor, request: &Request<Incoming>) -> Result<Answer, ApiError> {
    let open = visitor.operations_only || front.open_metrics;
    if !open && !control::is_admin(front, request).await? {
        return Err(ApiError::unauthorized("the admin token is required"));
    }
    let mut answer = Answer::new(front.metrics.render().into());
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(METRICS_TYPE));
    Ok(answer)
}
