//! What pages of other origins may call. Browsers are clients of a relay, and their pages come from
//! elsewhere.
//!
//! Nothing that counts here is what a browser adds by itself: there are no cookies, and a token or a
//! code is known to the page or it is not. So every origin may be let in.

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{self, HeaderValue},
};

use crate::control::Answer;

/// For how long a browser may keep the answer to a preflight, in seconds: as long as Chromium does at most.
const MAX_AGE: u64 = 7_200;

/// The origins whose pages may call.
pub(crate) enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

impl Origins {
    /// From the setting, which is checked: `*`, or origins as browsers write them.
    pub(crate) fn new(origins: &[String]) -> Self {
        if origins.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        // What is an origin is a header's value, too.
        Self::These(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// What the answer says to the page: the origin that may read it, if one may.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::These(these) => these.iter().find(|&one| Some(one) == origin).cloned(),
        }
    }
}

/// The method with which pages call a path; `None` for what they have no business with.
pub(crate) fn method(path: &str) -> Option<&'static str> {
    match path {
        "/api/trpc/relay.createSession" | "/api/trpc/quickConnect.redeem" => Some("POST"),
        "/.well-known/jwks.json" => Some("GET"),
        _ => None,
    }
}

/// The answer to a preflight, [marked](Marks::mark) like every other.
pub(crate) fn preflight() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// What is written on the answer to a request that a page may make, be it an error or not.
pub(crate) struct Marks {
    allowed: Option<HeaderValue>,
    /// Whether another origin would have another answer.
    varies: bool,
    /// The method to name to a preflight.
    preflight: Option<&'static str>,
}

impl Marks {
    /// For a request; `None` if its path is nothing for pages.
    pub(crate) fn of<B>(origins: &Origins, path: &str, request: &Request<B>) -> Option<Self> {
        let method = method(path)?;
        Some(Self {
            allowed: origins.allowed(request.headers().get(header::ORIGIN)),
            varies: matches!(origins, Origins::These(_)),
            preflight: (*request.method() == Method::OPTIONS).then_some(method),
        })
    }

    /// Writes them on the answer.
    pub(crate) fn mark(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(allowed) = self.allowed else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if let Some(method) = self.preflight {
            let credentials = HeaderValue::from_static("authorization, content-type");
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(method));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, credentials);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE.into());
        } else {
            // A page sees no other header than a few, and this one says when to try again.
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
        }
    }
}
