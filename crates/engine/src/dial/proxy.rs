//! Proxies: which connections go through one, and the CONNECT that opens a tunnel.

use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use url::{Host, Url};
use zeroize::Zeroizing;

pub(super) use hyper_util::client::proxy::matcher::Intercept;

use super::error::{DialError, Failure, Phase};
use crate::secret::Secret;

/// Most bytes of a proxy's answer to CONNECT.
const MAX_ANSWER: usize = 16 * 1024;
/// Most header lines of a proxy's answer to CONNECT.
const MAX_HEADERS: usize = 64;

/// The proxy settings of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in the forms curl takes.
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    /// For `wss://` and `https://`; may hold user and password.
    pub https: Option<Secret>,
    /// For `ws://` and `http://`; may hold user and password.
    pub http: Option<Secret>,
    /// Hosts reached directly: names (with their subdomains), addresses, networks, or `*`, joined by commas.
    pub bypass: Option<String>,
}

impl ProxySettings {
    /// From the environment; upper case wins over lower case.
    pub fn from_env() -> Self {
        let read = |upper: &str| {
            let lower = upper.to_ascii_lowercase();
            std::env::var(upper).or_else(|_| std::env::var(lower)).ok().filter(|value| !value.trim().is_empty())
        };
        Self {
            https: read("HTTPS_PROXY").map(Secret::new),
            http: read("HTTP_PROXY").map(Secret::new),
            bypass: read("NO_PROXY"),
        }
    }
}

/// Decides and remembers how proxies are spoken to.
pub(super) struct Proxies {
    matcher: Matcher,
    plain_credentials: Option<HeaderValue>,
    tls_credentials: Option<HeaderValue>,
}

impl Proxies {
    /// Refuses a proxy URL it could not use, rather than going past the proxy in silence.
    pub(super) fn new(settings: &ProxySettings) -> Result<Self, DialError> {
        let plain_credentials = credentials("HTTP_PROXY", settings.http.as_ref())?;
        let tls_credentials = credentials("HTTPS_PROXY", settings.https.as_ref())?;
        let text = |value: &Option<Secret>| value.as_ref().map_or("", Secret::expose).to_owned();
        let matcher = Matcher::builder()
            .http(text(&settings.http))
            .https(text(&settings.https))
            .no(settings.bypass.clone().unwrap_or_default())
            .build();
        Ok(Self { matcher, plain_credentials, tls_credentials })
    }

    /// The `Proxy-Authorization` for the proxy of `https`, or of `http`.
    pub(super) fn credentials(&self, tls: bool) -> Option<HeaderValue> {
        if tls { self.tls_credentials.clone() } else { self.plain_credentials.clone() }
    }

    /// The proxy for a target, if it has to go through one. `ws` counts as `http`, `wss` as `https`.
    pub(super) fn for_target(&self, tls: bool, host: &str) -> Option<Intercept> {
        let scheme = if tls { "https" } else { "http" };
        let probe: Uri = format!("{scheme}://{host}/").parse().ok()?;
        self.matcher.intercept(&probe)
    }

    /// The same for an HTTP URL.
    pub(super) fn for_url(&self, url: &Url) -> Option<Intercept> {
        self.for_target(url.scheme() == "https", url.host_str()?)
    }
}

/// Checks a proxy setting and gives the credentials in it.
fn credentials(name: &str, value: Option<&Secret>) -> Result<Option<HeaderValue>, DialError> {
    let Some(value) = value else { return Ok(None) };
    let probe = Matcher::builder().all(value.expose()).build().intercept(&Uri::from_static("http://probe/"));
    match probe {
        Some(proxy) if matches!(proxy.uri().scheme_str(), Some("http" | "https")) => Ok(proxy.basic_auth().cloned()),
        _ => Err(DialError::setting(Phase::Proxy, name, "is not an http:// or https:// URL")),
    }
}

/// A proxy's address as a URL: its credentials travel in a header instead.
pub(super) fn url_of(proxy: &Intercept) -> Option<Url> {
    Url::parse(&proxy.uri().to_string()).ok()
}

/// Opens a tunnel to `authority` (`host:port`) on a fresh connection to the proxy.
pub(super) async fn tunnel<S>(stream: &mut S, authority: &str, proxy: &Intercept) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"));
    if let Some(basic) = proxy.basic_auth().and_then(|value| value.to_str().ok()) {
        request.push_str("Proxy-Authorization: ");
        request.push_str(basic);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Failure::of_io(Phase::Proxy))?;
    stream.flush().await.map_err(Failure::of_io(Phase::Proxy))?;

    let mut answer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut answer).await.map_err(Failure::of_io(Phase::Proxy))? == 0 {
            return Err(Failure::new(Phase::Proxy, "the proxy closed the connection"));
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&answer) {
            Ok(httparse::Status::Complete(length)) => return judge(response.code, answer.len() - length),
            Ok(httparse::Status::Partial) if answer.len() < MAX_ANSWER => {}
            Ok(httparse::Status::Partial) => return Err(Failure::new(Phase::Proxy, "the proxy's answer is too long")),
            Err(_) => return Err(Failure::new(Phase::Proxy, "the proxy does not answer in HTTP")),
        }
    }
}

fn judge(code: Option<u16>, surplus: usize) -> Result<(), Failure> {
    match code {
        // Both protocols inside begin with our bytes: what comes earlier is not the target's.
        Some(200..=299) if surplus > 0 => {
            Err(Failure::new(Phase::Proxy, "the proxy sent bytes before the tunnel was used"))
        }
        Some(200..=299) => Ok(()),
        Some(407) => Err(Failure::new(Phase::Proxy, "the proxy wants other credentials (407)")),
        code => Err(Failure::new(Phase::Proxy, format!("the proxy refused the tunnel ({})", code.unwrap_or(0)))),
    }
}

/// Host and port of a proxy.
pub(super) fn address(proxy: &Url) -> Option<(Host<&str>, u16)> {
    Some((proxy.host()?, proxy.port_or_known_default()?))
}
