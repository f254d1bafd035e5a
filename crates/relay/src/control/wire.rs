//! Requests and answers as JSON over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::StoreError;

/// Most bytes of a request's body. The largest input is a list of daemon ids.
const MAX_BODY: usize = 64 * 1024;

/// An answer, whole in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A refusal: its status decides what the caller does, the message is for people.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, allow: None }
    }

    /// When it makes sense to try again.
    pub(crate) fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The method is not `allow`, the only one there is.
    pub(crate) fn method_not_allowed(allow: &'static str, message: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Something that this process depends on does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(Duration::from_secs(1))
    }

    /// The code that goes with the status, in the contract's spelling where it names one.
    fn code(&self) -> &'static str {
        match self.status {
            StatusCode::BAD_REQUEST => "BAD_REQUEST",
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "FORBIDDEN",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_SUPPORTED",
            StatusCode::REQUEST_TIMEOUT => "TIMEOUT",
            StatusCode::CONFLICT => "CONFLICT",
            StatusCode::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
            StatusCode::UPGRADE_REQUIRED => "UPGRADE_REQUIRED",
            StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
            StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
            _ => "INTERNAL_SERVER_ERROR",
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        let data = json!({ "code": self.code(), "httpStatus": self.status.as_u16() });
        let error = json!({ "error": { "message": self.message, "data": data } });
        let mut answer = json_answer(self.status, &error);
        if let Some(allow) = self.allow {
            answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
        }
        if let Some(time) = self.retry_after {
            // Whole seconds, and rounded up: a bit too early is refused again.
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        answer
    }
}

impl From<StoreError> for ApiError {
    /// Counted and logged where it becomes an answer.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request was refused because of the database");
        Self::unavailable("the database is unavailable, try again later")
    }
}

/// An answer with a JSON body.
pub(crate) fn json_answer(status: StatusCode, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).expect("maps with string keys always serialize");
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    answer
}

/// The request's body as JSON; nothing counts as `null`.
pub(crate) async fn read_json(request: Request<Incoming>) -> Result<Value, ApiError> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        } else {
            ApiError::bad_request("the body did not arrive whole")
        }
    })?;
    let body = body.to_bytes();
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|_| ApiError::bad_request("the body is not JSON"))
}

/// The credential of `Authorization: Bearer`.
pub(crate) fn bearer<B>(request: &Request<B>) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(credential.trim())
}
