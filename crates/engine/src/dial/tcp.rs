//! From a name to a TCP connection: resolution, happy eyeballs (RFC 8305), socket options.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use url::Host;

use super::Deadlines;
use super::error::{Failure, Phase};

/// How long one address has the network for itself before the next one is tried beside it (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Silence after which the kernel probes a connection. The protocol's own Pings come earlier and decide; the probes keep
/// address translators awake and end half-open sockets nobody writes to.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Time between two probes.
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Resolves and connects, each within its deadline.
pub(super) async fn connect(host: &Host<&str>, port: u16, deadlines: &Deadlines) -> Result<TcpStream, Failure> {
    let addresses = match host {
        Host::Ipv4(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Ipv6(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Domain(name) => resolve(name, port, deadlines.dns).await?,
    };
    let tcp = timeout(deadlines.tcp, race(addresses))
        .await
        .map_err(|_| Failure::new(Phase::Tcp, no_answer(deadlines.tcp)))?
        .map_err(Failure::of_io(Phase::Tcp))?;
    tune(&tcp).map_err(Failure::of_io(Phase::Tcp))?;
    Ok(tcp)
}

pub(super) fn no_answer(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs_f64())
}

/// All addresses of a name.
pub(super) async fn resolve(name: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, Failure> {
    let found: Vec<SocketAddr> = timeout(limit, tokio::net::lookup_host((name, port)))
        .await
        .map_err(|_| Failure::new(Phase::Dns, no_answer(limit)))?
        .map_err(|error| Failure::new(Phase::Dns, error))?
        .collect();
    if found.is_empty() {
        return Err(Failure::new(Phase::Dns, "the name has no address"));
    }
    Ok(found)
}

/// No delay for small frames, and probes that end a connection whose other side vanished.
fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(tcp).set_tcp_keepalive(&keepalive)
}

/// Connects to the first address that answers: a new attempt joins every [`ATTEMPT_DELAY`], or at once when one fails.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = interleave(addresses);
    let mut attempts = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            attempts.push(TcpStream::connect(address));
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(tcp) => return Ok(tcp),
                Err(error) => {
                    let error = first_error.get_or_insert(error);
                    if waiting.is_empty() && attempts.is_empty() {
                        return Err(io::Error::new(error.kind(), super::error::plain_io(error)));
                    }
                }
            },
            () = sleep(ATTEMPT_DELAY), if !waiting.is_empty() => {}
        }
    }
}

/// The two address families in turn, beginning with the one the system's resolver prefers.
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let preferred_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == preferred_v6);
    let mut order = VecDeque::with_capacity(one.len() + other.len());
    while !one.is_empty() || !other.is_empty() {
        order.extend(one.pop_front());
        order.extend(other.pop_front());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    #[test]
    fn families_take_turns_and_the_preferred_one_begins() {
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1"].map(address).to_vec();
        let order: Vec<_> = interleave(given).into_iter().collect();
        assert_eq!(order, ["[::1]:1", "1.0.0.1:1", "[::2]:1", "[::3]:1"].map(address));
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_at_once() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let refused = closed.local_addr().expect("its address");
        drop(closed);
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let wanted = open.local_addr().expect("its address");
        let tcp = race(vec![refused, wanted]).await.expect("the second address answers");
        assert_eq!(tcp.peer_addr().expect("connected"), wanted);
    }

    #[tokio::test]
    async fn an_address_that_never_answers_is_overtaken() {
        let open = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let wanted = open.local_addr().expect("its address");
        // 192.0.2.0/24 is reserved for documentation: packets to it vanish, or the system refuses it.
        let tcp = race(vec![address("192.0.2.1:9"), wanted]).await.expect("the second address answers");
        assert_eq!(tcp.peer_addr().expect("connected"), wanted);
    }

    #[tokio::test]
    async fn when_all_refuse_the_first_reason_is_told() {
        let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let refused = closed.local_addr().expect("its address");
        drop(closed);
        let error = race(vec![refused, refused]).await.expect_err("nobody listens");
        assert_eq!(error.to_string(), "connection refused");
    }
}
