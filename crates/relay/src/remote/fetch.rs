//! HTTP requests to other servers: with deadlines, bounded answers, and no redirects.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use reqwest::{Client, Url, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::config::ConfigError;

/// How long a request may take in all.
const TIME: Duration = Duration::from_secs(5);

/// Most bytes of an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why there is no answer. Holds the host, and never a credential.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host}: {why}")]
pub(crate) struct FetchError {
    host: String,
    why: String,
}

impl FetchError {
    /// For an answer that cannot be used.
    pub(crate) fn of(url: &Url, why: &str) -> Self {
        Self { host: url.host_str().unwrap_or_default().to_owned(), why: why.to_owned() }
    }
}

/// The certificates of a `ca_file`.
///
/// # Errors
///
/// When it cannot be read, or there is none in it that can be used.
pub(crate) fn read_authorities(path: &Path) -> Result<RootCertStore, ConfigError> {
    let fault = |why: &dyn std::fmt::Display| ConfigError::new(path.display().to_string(), why.to_string());
    let pem = fs::read(path).map_err(|error| fault(&error))?;
    let own: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| fault(&error))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(own) {
        (0, _) => Err(fault(&"there is no certificate in it")),
        _ => Ok(roots),
    }
}

/// Makes requests.
#[derive(Clone)]
pub(crate) struct Fetch(Client);

impl Fetch {
    /// Trusts the system's certificates, and those in `ca_file`.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore::empty();
        // Some of a system's certificates may be unusable; the others still are.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            roots.extend(read_authorities(path)?.roots);
        }
        let provider = Arc::new(default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.expect("ring supports them").with_root_certificates(roots).with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .http1_only()
            .timeout(TIME)
            .user_agent(concat!("sideband-relay/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|error| ConfigError::new("HTTP client", error.without_url().to_string()))?;
        Ok(Self(client))
    }

    /// The status of an answer, and the other server's time, in seconds since 1970.
    pub(crate) async fn status(&self, url: &Url) -> Result<(u16, Option<u64>), FetchError> {
        let fault = |why: String| FetchError { host: url.host_str().unwrap_or_default().to_owned(), why };
        let answer = self.0.get(url.clone()).send().await.map_err(|error| fault(root_cause(error)))?;
        let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let seconds = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        Ok((answer.status().as_u16(), seconds))
    }

    /// The body of a 200 answer.
    pub(crate) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<Vec<u8>, FetchError> {
        let fault = |why: String| FetchError { host: url.host_str().unwrap_or_default().to_owned(), why };
        let mut request = self.0.get(url.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(|error| fault(root_cause(error)))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(fault(format!("answered {}", answer.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| fault(root_cause(error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(fault("answered too much".to_owned()));
            }
        }
        Ok(body)
    }
}

/// What went wrong at the bottom; the layers above only say that something did.
fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
