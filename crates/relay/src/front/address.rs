//! Whose connection it is, as limits and logs see it.

use std::net::{IpAddr, Ipv6Addr};

use hyper::Request;
use ipnet::IpNet;

/// What the limits per address count: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub(crate) struct AddressKey(IpAddr);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// Proxies whose word about the client's address is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request comes from. Every proxy appends whom it heard from, so the list is read from
    /// its end, and the first address that is no trusted proxy is the client's: what stands before
    /// it the client may have made up.
    pub(crate) fn client<B>(&self, peer: IpAddr, request: &Request<B>) -> IpAddr {
        let mut client = peer.to_canonical();
        let values = request.headers().get_all("x-forwarded-for").iter();
        let list: Vec<&str> = values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(',')).collect();
        for entry in list.iter().rev() {
            if !self.contains(client) {
                break;
            }
            let Some(address) = parse(entry.trim()) else {
                break;
            };
            client = address.to_canonical();
        }
        client
    }
}

/// An address, perhaps with a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| entry.parse::<std::net::SocketAddr>().ok().map(|it| it.ip()))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hyper::Request;

    use super::{AddressKey, TrustedProxies};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, forwarded: &[&str]) -> IpAddr {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        proxies.client(ip(peer), &request.body(()).unwrap())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), ip("192.0.2.1"));
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(client("::1", &["198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &[]), ip("10.0.0.1"));
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"]), ip("198.51.100.7"));
    }

    #[test]
    fn what_the_client_made_up_does_not_count() {
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.7"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.7, 10.0.0.2"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &["nonsense"]), ip("10.0.0.1"));
        assert_eq!(client("10.0.0.1", &["198.51.100.7, nonsense"]), ip("10.0.0.1"));
    }

    #[test]
    fn ports_and_brackets_are_left_out() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7:1234"]), ip("198.51.100.7"));
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:1234"]), ip("2001:db8::1"));
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]), ip("2001:db8::1"));
    }

    #[test]
    fn ipv6_addresses_count_by_their_network() {
        let key = |text| AddressKey::from(ip(text));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    }
}
