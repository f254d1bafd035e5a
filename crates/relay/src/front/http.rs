//! Which request is answered by whom.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode, body::Incoming, header};

use super::{
    Front,
    upgrade::{self, Slot},
};
use crate::control::{self, Answer, ApiError, json_answer};

/// Answers one request, in time.
pub(crate) async fn handle(front: Arc<Front>, slot: Slot, request: Request<Incoming>) -> Answer {
    // The deadline is the body's: everything else here is quick, or has a deadline of its own.
    let time = front.limits.request_time;
    match tokio::time::timeout(time, route(&front, &slot, request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => error.answer(),
        Err(_) => ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").answer(),
    }
}

async fn route(front: &Arc<Front>, slot: &Slot, request: Request<Incoming>) -> Result<Answer, ApiError> {
    let path = request.uri().path().to_owned();
    if path == "/" {
        return upgrade::handle(front, slot, &request).await;
    }
    if let Some(procedure) = path.strip_prefix("/api/trpc/") {
        return control::handle_procedure(front, procedure, request).await;
    }
    if let Some(path) = path.strip_prefix("/admin/") {
        return control::handle_admin(front, path, request).await;
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, "/.well-known/jwks.json") => {
            let mut answer = json_answer(StatusCode::OK, &front.issuer.keys().jwks);
            let headers = answer.headers_mut();
            let five_minutes = header::HeaderValue::from_static("public, max-age=300");
            headers.insert(header::CACHE_CONTROL, five_minutes);
            Ok(answer)
        }
        _ => Err(ApiError::not_found("nothing is here")),
    }
}
