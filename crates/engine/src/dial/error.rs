//! Why a connection did not come about: which host, which phase, and nothing secret.

use std::fmt;
use std::io;

use url::Url;

/// The step of a connection that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// The URL, or a setting, cannot be used.
    Url,
    /// Name resolution.
    Dns,
    /// The proxy: reaching it, or its answer to CONNECT.
    Proxy,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake, certificates included.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// Everything up to an HTTP connection, where the time ran out before one stood.
    Connect,
    /// An HTTP request or its answer, on a connection that stood.
    Http,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "url",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Upgrade => "upgrade",
            Self::Connect => "connect",
            Self::Http => "http",
        })
    }
}

/// A connection that did not come about, or an HTTP exchange that broke. Never holds a token, a path or a query.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{host}: {phase}: {why}")]
#[non_exhaustive]
pub struct DialError {
    /// The step that failed.
    pub phase: Phase,
    /// `host:port` of the target (of the setting, where [`Phase::Url`] or [`Phase::Proxy`] names one).
    pub host: String,
    /// The HTTP status with which the target itself refused the WebSocket upgrade.
    pub status: Option<u16>,
    /// The reason, for people.
    pub why: String,
}

impl DialError {
    pub(super) fn new(phase: Phase, host: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { phase, host: host.into(), status: None, why: why.to_string() }
    }

    /// An error about whatever `url` names.
    pub(crate) fn of_url(phase: Phase, url: &Url, why: &str) -> Self {
        Self::new(phase, super::target::authority(url), why)
    }

    /// The setting called `name` cannot be used.
    pub(super) fn setting(phase: Phase, name: &str, why: impl fmt::Display) -> Self {
        Self::new(phase, name, why)
    }
}

/// A failed step before the host's name is added.
pub(super) struct Failure {
    pub(super) phase: Phase,
    pub(super) why: String,
}

impl Failure {
    pub(super) fn new(phase: Phase, why: impl fmt::Display) -> Self {
        Self { phase, why: why.to_string() }
    }

    pub(super) fn of_io(phase: Phase) -> impl Fn(io::Error) -> Self {
        move |error| Self::new(phase, plain_io(&error))
    }

    pub(super) fn at(self, host: &str) -> DialError {
        DialError::new(self.phase, host, self.why)
    }
}

/// An I/O error in a few words: "connection refused" rather than "Connection refused (os error 111)".
pub(super) fn plain_io(error: &io::Error) -> String {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return plain_tls(tls);
    }
    if error.raw_os_error().is_some() { error.kind().to_string() } else { error.to_string() }
}

/// A TLS error in a few words. `https://` or `wss://` for a server without TLS is a usual mistake, and rustls names its symptom.
pub(super) fn plain_tls(error: &rustls::Error) -> String {
    use rustls::{Error, InvalidMessage};
    match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "the other side does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}
