//! The HTTP side of the dialer: a reqwest client with the same roots, proxies and deadlines.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use super::error::{DialError, Phase, plain_io, plain_tls};
use super::proxy::{self, Proxies};
use super::roots::Roots;
use super::{Deadlines, target, tcp};

/// An unused connection is kept this long for the next call; token renewals come an hour apart.
const IDLE: Duration = Duration::from_secs(20);

/// Builds the client. It follows no redirect, because a credential is for the host it was given for.
pub(super) fn client(
    roots: &Arc<Roots>,
    proxies: &Arc<Proxies>,
    deadlines: &Deadlines,
) -> Result<reqwest::Client, DialError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(roots.clone().client_config())
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .no_proxy()
        .dns_resolver(Arc::new(Resolver { limit: deadlines.dns }))
        .connect_timeout(deadlines.tcp)
        .tcp_keepalive(tcp::KEEPALIVE_IDLE)
        .tcp_keepalive_interval(tcp::KEEPALIVE_INTERVAL)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("sideband/", env!("CARGO_PKG_VERSION")));
    for tls in [false, true] {
        // One rule for each scheme: their proxies may want different credentials.
        let rules = proxies.clone();
        let mut rule = reqwest::Proxy::custom(move |url| {
            let proxy = (url.scheme() == "https").eq(&tls).then(|| rules.for_url(url)).flatten()?;
            proxy::url_of(&proxy)
        });
        if let Some(basic) = proxies.credentials(tls) {
            rule = rule.custom_http_auth(basic);
        }
        builder = builder.proxy(rule);
    }
    builder.build().map_err(|error| DialError::setting(Phase::Url, "http client", error.without_url()))
}

/// What went wrong with a request, without its URL.
pub(super) fn explain(error: &reqwest::Error, url: &Url, proxied: bool) -> DialError {
    let cause = Cause::of(error);
    let phase = match cause {
        Cause::Dns(_) => Phase::Dns,
        Cause::Tls(_) => Phase::Tls,
        _ if error.is_connect() && error.is_timeout() => Phase::Connect,
        _ if error.is_connect() && proxied => Phase::Proxy,
        _ if error.is_connect() => Phase::Tcp,
        _ => Phase::Http,
    };
    let why = match cause {
        Cause::Other(_) if error.is_timeout() => "no answer in time".to_owned(),
        Cause::Dns(why) | Cause::Tls(why) | Cause::Io(why) | Cause::Other(why) => why,
    };
    DialError::new(phase, target::authority(url), why)
}

/// The innermost error that says something.
enum Cause {
    Dns(String),
    Tls(String),
    Io(String),
    Other(String),
}

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = error.source();
        let mut last = Self::Other("the request failed".to_owned());
        while let Some(current) = next {
            if let Some(dns) = current.downcast_ref::<Unresolved>() {
                return Self::Dns(dns.0.clone());
            }
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                return Self::Tls(plain_tls(tls));
            }
            if let Some(io) = current.downcast_ref::<io::Error>() {
                // An io::Error's `source` passes over the error it wraps.
                if let Some(inner) = io.get_ref() {
                    next = Some(inner);
                    continue;
                }
                return Self::Io(plain_io(io));
            }
            last = Self::Other(current.to_string());
            next = current.source();
        }
        last
    }
}

/// The system's resolver with the dialer's deadline, and an error that can be told from the others.
struct Resolver {
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unresolved(String);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let limit = self.limit;
        Box::pin(async move {
            // Port 0 stands for "the URL's": reqwest fills it in.
            match tcp::resolve(name.as_str(), 0, limit).await {
                Ok(found) => Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send> as Addrs),
                Err(failure) => Err(Box::new(Unresolved(failure.why)) as Box<dyn StdError + Send + Sync>),
            }
        })
    }
}
