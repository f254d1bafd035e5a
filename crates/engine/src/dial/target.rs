//! URLs: what is dialled, what is said of it in errors, and where the token goes.

use url::{Host, Url};
use zeroize::Zeroizing;

use super::error::{DialError, Phase};
use crate::secret::Secret;

/// A WebSocket URL taken apart.
pub(super) struct Target<'a> {
    pub(super) tls: bool,
    pub(super) host: Host<&'a str>,
    pub(super) port: u16,
    /// `host:port`, for CONNECT and for errors.
    pub(super) authority: String,
}

impl<'a> Target<'a> {
    pub(super) fn of(url: &'a Url) -> Result<Self, DialError> {
        let refuse = |why: &str| DialError::new(Phase::Url, authority(url), why);
        let tls = match url.scheme() {
            "wss" => true,
            "ws" => false,
            _ => return Err(refuse("the URL begins neither with ws:// nor with wss://")),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(refuse("the URL names no host"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("user and password in the URL are not supported"));
        }
        Ok(Self { tls, host, port, authority: authority(url) })
    }

    /// The `Host` header: without the port where it is the scheme's own.
    pub(super) fn host_header(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } { self.host.to_string() } else { self.authority.clone() }
    }
}

/// `host:port` of any URL; all that errors and logs may say of it.
pub(super) fn authority(url: &Url) -> String {
    match (url.host(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_string(),
        (None, _) => "URL without a host".to_owned(),
    }
}

/// Path and query with `token` set in place of any there was; the other parameters stay byte for byte as they are.
pub(super) fn path_with_token(url: &Url, token: &Secret) -> Zeroizing<String> {
    let (mut path, separator) = rest_of(url, token.expose().len() + 8);
    path.push(separator);
    path.push_str("token=");
    path.extend(url::form_urlencoded::byte_serialize(token.expose().as_bytes()));
    path
}

/// Path and query without any `token`; the other parameters stay byte for byte as they are.
pub(super) fn path_without_token(url: &Url) -> Zeroizing<String> {
    rest_of(url, 0).0
}

/// What is not the token, with room for so many bytes more, and what separates the next parameter from it.
fn rest_of(url: &Url, room: usize) -> (Zeroizing<String>, char) {
    let mut path = Zeroizing::new(String::with_capacity(url.as_str().len() + room));
    path.push_str(url.path());
    let mut separator = '?';
    for pair in url.query().into_iter().flat_map(|query| query.split('&')) {
        if !is_token(pair) && !pair.is_empty() {
            path.push(separator);
            path.push_str(pair);
            separator = '&';
        }
    }
    (path, separator)
}

/// Takes the token out of a self-hosted relay's URL (`wss://relay…?token=…`), so that the URL can be shown.
pub fn split_token(mut url: Url) -> (Url, Option<Secret>) {
    let token = url
        .query_pairs()
        .find(|(name, value)| name == "token" && !value.is_empty())
        .map(|(_, value)| Secret::new(value.into_owned()));
    if url.query().is_some() {
        let rest: Vec<&str> =
            url.query().into_iter().flat_map(|query| query.split('&')).filter(|pair| !is_token(pair)).collect();
        let rest = Some(rest.join("&")).filter(|rest| !rest.is_empty());
        url.set_query(rest.as_deref());
    }
    (url, token)
}

fn is_token(pair: &str) -> bool {
    url::form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| name == "token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn the_token_joins_the_query_or_replaces_the_one_there() {
        for (given, wanted) in [
            ("wss://r.test", "/?token=a.b-c_d"),
            ("wss://r.test/v1?region=eu%20x&b", "/v1?region=eu%20x&b&token=a.b-c_d"),
            ("wss://r.test/?token=old&x=1", "/?x=1&token=a.b-c_d"),
            ("wss://r.test/?%74oken=old", "/?token=a.b-c_d"),
        ] {
            assert_eq!(*path_with_token(&url(given), &Secret::from("a.b-c_d")), wanted);
        }
    }

    #[test]
    fn a_token_beside_the_header_is_left_out() {
        for (given, wanted) in [
            ("wss://r.test", "/"),
            ("wss://r.test/v1?region=eu%20x&b", "/v1?region=eu%20x&b"),
            ("wss://r.test/?x=1&%74oken=old", "/?x=1"),
            ("wss://r.test/?token=old", "/"),
        ] {
            assert_eq!(*path_without_token(&url(given)), wanted);
        }
    }

    #[test]
    fn a_token_that_is_no_jwt_is_escaped() {
        assert_eq!(*path_with_token(&url("ws://r.test"), &Secret::from("a&b=c d#")), "/?token=a%26b%3Dc+d%23");
    }

    #[test]
    fn split_token_leaves_the_rest_alone() {
        let (rest, token) = split_token(url("wss://r.test/p?a=1&token=s%2Fx&b=2"));
        assert_eq!(rest.as_str(), "wss://r.test/p?a=1&b=2");
        assert_eq!(token.expect("a token").expose(), "s/x");
        let (rest, token) = split_token(url("wss://r.test/?token="));
        assert_eq!((rest.as_str(), token.is_none()), ("wss://r.test/", true));
    }

    #[test]
    fn the_host_header_leaves_out_the_schemes_own_port() {
        for (given, header, full) in [
            ("ws://r.test", "r.test", "r.test:80"),
            ("wss://r.test:443", "r.test", "r.test:443"),
            ("wss://r.test:80", "r.test:80", "r.test:80"),
            ("ws://[::1]:9", "[::1]:9", "[::1]:9"),
        ] {
            let given = url(given);
            let target = Target::of(&given).expect("a target");
            assert_eq!((target.host_header().as_str(), target.authority.as_str()), (header, full));
        }
    }
}
