//! One dialer for WebSocket and HTTP: TLS by rustls with ring, the system's roots and extra ones, proxies, happy
//! eyeballs, and a deadline on every phase.
//!
//! A [`Dialer`] is cheap to clone and worth keeping: the clones share the roots and the HTTP connections.

mod error;
mod http;
mod proxy;
mod roots;
mod stream;
mod target;
mod tcp;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::{Request, generate_key};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::{Host, Url};
use zeroize::Zeroizing;

pub use error::{DialError, Phase};
pub use proxy::ProxySettings;
pub use roots::check_roots;
pub use stream::Stream;
pub use target::split_token;

use crate::secret::Secret;
use error::Failure;
use proxy::Proxies;
use roots::Roots;
use target::Target;

/// A WebSocket over whatever it took to get there.
pub type WebSocket = WebSocketStream<Stream>;

/// Largest message and frame; a longer one is refused with close code 1009 (the wire contract's WebSocket rules).
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// Allocated for every connection as long as it lives.
const READ_BUFFER: usize = 8 * 1024;
/// Frames gather up to this much before they are written without a flush.
const WRITE_BUFFER: usize = 128 * 1024;
/// What may wait for a slow socket inside the WebSocket; the writer's own queue is what is meant to fill.
const MAX_WRITE_BUFFER: usize = WRITE_BUFFER + 2 * MAX_MESSAGE;

/// The WebSocket limits of every connection.
pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Name resolution.
    pub dns: Duration,
    /// The TCP connection, over all addresses; for HTTP, everything up to a connection that can be used.
    pub tcp: Duration,
    /// The proxy's answer to CONNECT, its TLS included.
    pub proxy: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The answer to the WebSocket upgrade.
    pub upgrade: Duration,
    /// A whole call to the control plane (section 7 of the wire contract).
    pub http: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let phase = Duration::from_secs(10);
        Self { dns: phase, tcp: phase, proxy: phase, tls: phase, upgrade: phase, http: Duration::from_secs(15) }
    }
}

/// How to dial. [`Default`] reads the environment, [`DialerOptions::bare`] does not.
#[derive(Clone, Debug)]
pub struct DialerOptions {
    /// Roots to trust besides the system's: PEM texts with one certificate or more each.
    pub ca_pem: Vec<Vec<u8>>,
    /// A PEM file with roots to trust besides the system's (`NODE_EXTRA_CA_CERTS`); passed over if it cannot be read.
    pub extra_ca_file: Option<PathBuf>,
    /// A PEM file to take for the system's roots (`SSL_CERT_FILE`).
    pub system_ca_file: Option<PathBuf>,
    /// Proxies and what goes past them.
    pub proxies: ProxySettings,
    /// Sends the token as `Authorization: Bearer` instead of in the query.
    pub token_in_header: bool,
    /// Deadlines of the phases.
    pub deadlines: Deadlines,
}

impl DialerOptions {
    /// System roots, no proxy.
    pub fn bare() -> Self {
        Self {
            ca_pem: Vec::new(),
            extra_ca_file: None,
            system_ca_file: None,
            proxies: ProxySettings::default(),
            token_in_header: false,
            deadlines: Deadlines::default(),
        }
    }
}

impl Default for DialerOptions {
    fn default() -> Self {
        let file = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            extra_ca_file: file("NODE_EXTRA_CA_CERTS"),
            system_ca_file: file("SSL_CERT_FILE"),
            proxies: ProxySettings::from_env(),
            ..Self::bare()
        }
    }
}

/// Opens connections.
#[derive(Clone)]
pub struct Dialer(Arc<Inner>);

struct Inner {
    roots: Arc<Roots>,
    tls: OnceLock<Arc<ClientConfig>>,
    proxies: Arc<Proxies>,
    http: reqwest::Client,
    token_in_header: bool,
    deadlines: Deadlines,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("roots", &self.0.roots).finish_non_exhaustive()
    }
}

impl Dialer {
    /// A dialer.
    ///
    /// # Errors
    ///
    /// `ca_pem` without a certificate, or a proxy setting that is no URL. Neither the network nor the system's roots are
    /// touched yet.
    pub fn new(options: DialerOptions) -> Result<Self, DialError> {
        let roots = Arc::new(Roots::new(&options.ca_pem, options.extra_ca_file, options.system_ca_file)?);
        let proxies = Arc::new(Proxies::new(&options.proxies)?);
        let http = http::client(&roots, &proxies, &options.deadlines)?;
        Ok(Self(Arc::new(Inner {
            roots,
            tls: OnceLock::new(),
            proxies,
            http,
            token_in_header: options.token_in_header,
            deadlines: options.deadlines,
        })))
    }

    /// Opens a WebSocket to a relay with a token (section 6): `ws://` or `wss://`, the query kept, `token` set in it.
    ///
    /// # Errors
    ///
    /// A [`DialError`] that names host and phase; `status` is set where the relay refused the upgrade.
    pub async fn websocket(&self, url: &Url, token: &Secret) -> Result<WebSocket, DialError> {
        self.open(url, Some(token)).await
    }

    /// Opens a WebSocket to a server that wants no token: one that speaks plain SBP (section 3).
    ///
    /// # Errors
    ///
    /// As for [`Dialer::websocket`].
    pub async fn websocket_without_token(&self, url: &Url) -> Result<WebSocket, DialError> {
        self.open(url, None).await
    }

    async fn open(&self, url: &Url, token: Option<&Secret>) -> Result<WebSocket, DialError> {
        let target = Target::of(url)?;
        self.connect(&target, url, token).await.map_err(|refusal| match refusal {
            Refusal::Failure(failure) => failure.at(&target.authority),
            Refusal::Status(status) => {
                let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
                let why = format!("refused with HTTP {status} {}", reason.unwrap_or_default());
                let error = DialError::new(Phase::Upgrade, &target.authority, why.trim_end());
                DialError { status: Some(status), ..error }
            }
        })
    }

    /// The HTTP client that shares this dialer's roots, proxies and deadlines.
    pub fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    /// The deadlines in force.
    pub fn deadlines(&self) -> &Deadlines {
        &self.0.deadlines
    }

    /// Makes an HTTP error tellable: host, phase and reason, without the URL.
    pub(crate) fn explain(&self, error: &reqwest::Error, url: &Url) -> DialError {
        http::explain(error, url, self.0.proxies.for_url(url).is_some())
    }

    /// Reads the trusted roots before an HTTP request needs them, so that no reactor thread waits for files.
    pub(crate) async fn prepare(&self, url: &Url) -> Result<(), DialError> {
        let proxy = self.0.proxies.for_url(url);
        let by_tls = proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("https"));
        if url.scheme() != "https" && !by_tls {
            return Ok(());
        }
        self.0.roots.load().await.map_err(|why| DialError::new(Phase::Tls, target::authority(url), why))
    }

    async fn connect(&self, target: &Target<'_>, url: &Url, token: Option<&Secret>) -> Result<WebSocket, Refusal> {
        let limits = &self.0.deadlines;
        let stream = match self.0.proxies.for_target(target.tls, &target.host.to_string()) {
            None => {
                let tcp = tcp::connect(&target.host, target.port, limits).await?;
                if target.tls { Stream::Tls(self.tls(&target.host, tcp).await?) } else { Stream::Plain(tcp) }
            }
            Some(proxy) => {
                let through = proxy::url_of(&proxy).ok_or_else(|| Failure::new(Phase::Proxy, "not a URL"))?;
                let (host, port) =
                    proxy::address(&through).ok_or_else(|| Failure::new(Phase::Proxy, "names no host"))?;
                // To the caller all of this is the proxy's phase, with the step that failed in the reason.
                let of_proxy =
                    |failure: Failure| Failure::new(Phase::Proxy, format!("{}: {}", failure.phase, failure.why));
                let mut tcp = tcp::connect(&host, port, limits).await.map_err(of_proxy)?;
                if through.scheme() == "https" {
                    let mut outer = self.tls(&host, tcp).await.map_err(of_proxy)?;
                    self.tunnel(outer.as_mut(), target, &proxy).await?;
                    if target.tls {
                        Stream::TlsInTls(self.tls(&target.host, *outer).await?)
                    } else {
                        Stream::Tls(outer)
                    }
                } else {
                    self.tunnel(&mut tcp, target, &proxy).await?;
                    if target.tls { Stream::Tls(self.tls(&target.host, tcp).await?) } else { Stream::Plain(tcp) }
                }
            }
        };
        let upgrade = self.upgrade(stream, target, url, token);
        timeout(limits.upgrade, upgrade)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Phase::Upgrade, tcp::no_answer(limits.upgrade)).into()))
    }

    async fn tunnel<S>(&self, stream: &mut S, target: &Target<'_>, proxy: &proxy::Intercept) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limit = self.0.deadlines.proxy;
        timeout(limit, proxy::tunnel(stream, &target.authority, proxy))
            .await
            .unwrap_or_else(|_| Err(Failure::new(Phase::Proxy, tcp::no_answer(limit))))
    }

    async fn tls<S>(&self, host: &Host<&str>, stream: S) -> Result<Box<TlsStream<S>>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match host {
            Host::Domain(name) => ServerName::try_from((*name).to_owned())
                .map_err(|_| Failure::new(Phase::Tls, "the host's name cannot be in a certificate"))?,
            Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
            Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
        };
        self.0.roots.load().await.map_err(|why| Failure::new(Phase::Tls, why))?;
        let config = self.0.tls.get_or_init(|| Arc::new(self.0.roots.clone().client_config()));
        let limit = self.0.deadlines.tls;
        timeout(limit, TlsConnector::from(config.clone()).connect(name, stream))
            .await
            .map_err(|_| Failure::new(Phase::Tls, tcp::no_answer(limit)))?
            .map(Box::new)
            .map_err(Failure::of_io(Phase::Tls))
    }

    async fn upgrade(
        &self,
        stream: Stream,
        target: &Target<'_>,
        url: &Url,
        token: Option<&Secret>,
    ) -> Result<WebSocket, Refusal> {
        let request = self.request(target, url, token)?;
        let config = Some(websocket_config());
        match tokio_tungstenite::client_async_with_config(request, stream, config).await {
            Ok((socket, _)) => Ok(socket),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                Err(Refusal::Status(response.status().as_u16()))
            }
            Err(error) => Err(Failure::new(Phase::Upgrade, error).into()),
        }
    }

    fn request(&self, target: &Target<'_>, url: &Url, token: Option<&Secret>) -> Result<Request, Failure> {
        let (in_query, in_header) = if self.0.token_in_header { (None, token) } else { (token, None) };
        let path = match (in_query, in_header) {
            (Some(token), _) => target::path_with_token(url, token),
            // One that the URL came with must not travel beside the header.
            (None, Some(_)) => target::path_without_token(url),
            (None, None) => Zeroizing::new(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()),
        };
        // tungstenite wants an absolute URI and sends only its path and query.
        let scheme = url.scheme();
        let uri = Zeroizing::new(format!("{scheme}://{}{}", target.authority, *path));
        let fixed: [(HeaderName, &'static str); 4] = [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (USER_AGENT, concat!("sideband/", env!("CARGO_PKG_VERSION"))),
        ];
        let mut request = Request::builder().method("GET").uri(uri.as_str());
        for (name, value) in fixed {
            request = request.header(name, value);
        }
        request = request.header(HOST, target.host_header()).header(SEC_WEBSOCKET_KEY, generate_key());
        if let Some(token) = in_header {
            let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
            let value = HeaderValue::from_str(&bearer);
            let mut value = value.map_err(|_| {
                Failure::new(Phase::Url, "the token contains a control character, such as a line break")
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        // The error would quote the URI, and with it the token.
        request.body(()).map_err(|_| Failure::new(Phase::Url, "the URL cannot be sent"))
    }
}

/// Why there is no WebSocket: a step failed, or the relay said no.
enum Refusal {
    Failure(Failure),
    Status(u16),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}
