//! The limits at the door and on the connections: what the peer sees, what the operator sees, and
//! that slots come free in time.

use std::time::{Duration, Instant};

use serde_json::json;
use sideband_protocol::sbrp::{ControlCode, SessionId};
use sideband_relay::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Client, Peer, TestRelay, data, exchange, frame, hit, http_metric, metric, request};

async fn relay(change: impl FnOnce(&mut Limits)) -> TestRelay {
    let mut limits = Limits::default().without_rates();
    change(&mut limits);
    TestRelay::with(|builder| builder.limits(limits)).await
}

/// Reads until the other side hangs up.
async fn rest(tcp: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is a hang-up too.
    let _ = tcp.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn connections_in_all() {
    let relay = relay(|limits| limits.connections = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(relay.authority()).await.unwrap());
    }
    let mut one_more = TcpStream::connect(relay.authority()).await.unwrap();
    let answer = rest(&mut one_more).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After:"), "{answer}");
    held.pop();
    relay.eventually(async || hit(&relay, "connections").await >= 1.0).await;
}

#[tokio::test]
async fn connections_per_address() {
    let relay = relay(|limits| limits.connections_per_address = 2).await;
    let (mut daemon, mut client) = (relay.daemon().await, relay.client(7).await);
    let mut one_more = TcpStream::connect(relay.authority()).await.unwrap();
    let answer = rest(&mut one_more).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    exchange(&mut daemon, &mut client).await;
    drop(client);
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    relay.eventually(async || relay.try_get("/healthz").await == Some(200)).await;
    assert!(hit(&relay, "connections_per_address").await >= 1.0);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let mut config = sideband_relay::config::Config::dev();
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    config.limits.connections_per_address = 1;
    let relay = TestRelay::with(|builder| builder.config(config)).await;
    let open = async |session: u64, forwarded: &str| {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let token = relay.client_claims(SessionId::new(session).unwrap()).sign();
        let mut request = format!("{}/?token={token}", relay.relay.relay_url()).into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        crate::support::open(relay.authority(), request).await
    };
    let _daemon = relay.daemon().await;
    let _first = open(1, "198.51.100.1").await.expect("the first of this address");
    assert_eq!(open(2, "198.51.100.1").await.err(), Some(429));
    assert_eq!(open(2, "203.0.113.9, 198.51.100.1").await.err(), Some(429), "what it says of itself does not count");
    open(2, "198.51.100.2").await.expect("another address");
}

#[tokio::test]
async fn without_a_trusted_proxy_the_header_is_not_believed() {
    let relay = relay(|limits| limits.handshakes_per_second = 0.2).await;
    let forwarded = async |address: &str| {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("{}/?token=x", relay.relay.relay_url()).into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        crate::support::open(relay.authority(), request).await.map(drop)
    };
    assert_eq!(forwarded("198.51.100.1").await, Err(401));
    assert_eq!(forwarded("198.51.100.2").await, Err(429), "it is the same address");
}

#[tokio::test]
async fn handshakes_per_second() {
    let relay = relay(|limits| limits.handshakes_per_second = 1.0).await;
    // Guessing tokens uses them up like anything else.
    for _ in 0..5 {
        assert_eq!(relay.open("guess").await.err(), Some(401));
    }
    let token = relay.daemon_claims().sign();
    assert_eq!(relay.open(&token).await.err(), Some(429));
    assert!(hit(&relay, "handshakes_per_second").await >= 1.0);
    // And they come back.
    relay.eventually(async || relay.open(&token).await.is_ok()).await;
}

#[tokio::test]
async fn requests_per_second() {
    let relay = few_requests().await;
    let get = async || relay.get("/.well-known/jwks.json", None).await;
    for _ in 0..5 {
        assert_eq!(get().await.status, 200);
    }
    let refused = get().await;
    assert_eq!(refused.status, 429);
    assert!(refused.head.to_lowercase().contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(refused.error().1, "TOO_MANY_REQUESTS");
    assert_eq!(relay.get("/healthz", None).await.status, 200, "whether it lives is always said");
    assert!(refused_requests(&relay).await >= 1.0);
    relay.eventually(async || get().await.status == 200).await;
}

/// A relay that takes few requests, and any number on the operations' own address.
async fn few_requests() -> TestRelay {
    let mut config = sideband_relay::config::Config::dev();
    config.limits.requests_per_second = 1.0;
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    config.open_metrics = false;
    TestRelay::with(|builder| builder.config(config)).await
}

async fn refused_requests(relay: &TestRelay) -> f64 {
    let operations = relay.relay.metrics_address().unwrap().to_string();
    http_metric(&operations, "sideband_relay_limits_hit_total{limit=\"requests_per_second\"}").await
}

/// Whatever reads the database for who has shown nothing, or would be a way around the limit.
#[tokio::test]
async fn requests_that_nobody_has_to_sign_in_for_are_limited_too() {
    for (method, path, bearer, status) in [
        ("GET", "/readyz", None, 200),
        ("HEAD", "/readyz", None, 200),
        ("GET", "/metrics", Some("wrong"), 401),
        ("GET", "/", None, 426),
        ("POST", "/", None, 426),
        ("GET", "/nothing", None, 404),
    ] {
        let relay = few_requests().await;
        let ask = async || request(relay.authority(), method, path, bearer, "").await.status;
        for _ in 0..5 {
            assert_eq!(ask().await, status, "{method} {path}");
        }
        assert_eq!(ask().await, 429, "{method} {path}");
        assert!(refused_requests(&relay).await >= 1.0, "{method} {path}");
        // A WebSocket has its own limit, and the operations' address has none.
        relay.open(&relay.daemon_claims().sign()).await.expect("the daemon is let in");
        let operations = relay.relay.metrics_address().unwrap().to_string();
        for path in ["/readyz", "/metrics"].repeat(10) {
            assert_eq!(request(&operations, "GET", path, None, "").await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn key_requests_per_second() {
    let relay = relay(|limits| limits.key_requests_per_second = 1.0).await;
    let renew = async |key: &str| relay.post("/api/trpc/daemon.renewToken", Some(key), "null").await.status;
    for _ in 0..5 {
        assert_eq!(renew(relay.relay.api_key()).await, 200);
    }
    assert_eq!(renew(relay.relay.api_key()).await, 429);
    assert!(hit(&relay, "key_requests_per_second").await >= 1.0);
    let other = relay.relay.add_daemon(None).await.unwrap();
    assert_eq!(renew(&other.api_key).await, 200, "another key has its own");
}

#[tokio::test]
async fn code_attempts_per_minute() {
    let relay = relay(|limits| limits.code_attempts_per_minute = 3.0).await;
    let body = json!({ "code": "aaaa-bbbb-cccc" }).to_string();
    let redeem = async || relay.post("/api/trpc/quickConnect.redeem", None, &body).await.status;
    for _ in 0..3 {
        assert_eq!(redeem().await, 404);
    }
    assert_eq!(redeem().await, 429);
    assert!(hit(&relay, "code_attempts_per_minute").await >= 1.0);
}

#[tokio::test]
async fn sessions_per_daemon() {
    let relay = relay(|limits| limits.sessions_per_daemon = 1).await;
    let (_daemon, _client) = relay.pair().await;
    let token = relay.client_claims(SessionId::new(8).unwrap()).sign();
    assert_eq!(relay.open(&token).await.err(), Some(429));
    assert!(hit(&relay, "sessions_per_daemon").await >= 1.0);
}

#[tokio::test]
async fn pending_seconds() {
    let relay = relay(|limits| limits.pending_time = Duration::from_millis(100)).await;
    let (_daemon, mut client) = relay.pair().await;
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    // A daemon that was started anew says nothing about sessions it does not know.
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    assert!(hit(&relay, "pending_seconds").await >= 1.0);
}

#[tokio::test]
async fn client_frames_per_second() {
    let relay = relay(|limits| limits.client_frames_per_second = 20.0).await;
    let (mut daemon, mut client) = relay.pair().await;
    let mut other = relay.client(8).await;
    exchange(&mut daemon, &mut other).await;
    let start = Instant::now();
    // Two seconds' worth pass at once, one of which the exchange has used.
    for n in 0..60 {
        client.send(&format!("{n}")).await;
    }
    client.peer.expect_control(ControlCode::RATE_LIMITED, 0).await;
    for n in 0..60 {
        assert_eq!(daemon.frame().await, data(client.session, &format!("{n}")), "nothing is lost");
        if n == 45 {
            // The others are not slowed down.
            other.send("quick").await;
            assert_eq!(daemon.frame().await, data(other.session, "quick"));
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(900), "it took {:?}", start.elapsed());
    assert!(hit(&relay, "client_frames_per_second").await >= 1.0);
}

/// Sends frames and sees them all arrive, and how long that takes.
async fn time_of(count: u8, len: usize, from: &mut Peer, to: &mut Peer) -> Duration {
    let start = Instant::now();
    for n in 0..count {
        from.send(frame(0x03, 7, &vec![n; len])).await;
    }
    for n in 0..count {
        assert!(to.frame().await == frame(0x03, 7, &vec![n; len]), "frame {n}");
    }
    start.elapsed()
}

#[tokio::test]
async fn client_bytes_per_second() {
    let relay = relay(|limits| limits.client_bytes_per_second = 100_000.0).await;
    let (mut daemon, Client { mut peer, .. }) = relay.pair().await;
    let took = time_of(6, 50_000, &mut peer, &mut daemon).await;
    assert!(took >= Duration::from_millis(400), "it took {took:?}");
    peer.expect_control(ControlCode::RATE_LIMITED, 0).await;
    assert!(hit(&relay, "client_bytes_per_second").await >= 1.0);
}

#[tokio::test]
async fn daemon_frames_per_second() {
    let relay = relay(|limits| limits.daemon_frames_per_second = 20.0).await;
    let (mut daemon, mut client) = relay.pair().await;
    let took = time_of(60, 100, &mut daemon, &mut client.peer).await;
    assert!(took >= Duration::from_millis(900), "it took {took:?}");
    daemon.expect_control(ControlCode::RATE_LIMITED, 0).await;
    assert!(hit(&relay, "daemon_frames_per_second").await >= 1.0);
}

#[tokio::test]
async fn daemon_bytes_per_second() {
    let relay = relay(|limits| limits.daemon_bytes_per_second = 100_000.0).await;
    let (mut daemon, mut client) = relay.pair().await;
    let took = time_of(6, 50_000, &mut daemon, &mut client.peer).await;
    assert!(took >= Duration::from_millis(400), "it took {took:?}");
    daemon.expect_control(ControlCode::RATE_LIMITED, 0).await;
    assert!(hit(&relay, "daemon_bytes_per_second").await >= 1.0);
}

/// A client that does not hang up when it is closed.
#[tokio::test]
async fn close_seconds() {
    let relay = relay(|limits| limits.close_time = Duration::from_millis(100)).await;
    let mut daemon = relay.daemon().await;
    daemon.message("text is refused".into()).await;
    relay.eventually(async || metric(&relay, "sideband_relay_connections{role=\"daemon\"}").await == 0.0).await;
    assert!(hit(&relay, "close_seconds").await >= 1.0);
    // What it was told is there to be read all the same.
    daemon.expect_close(1003).await;
    // Who hangs up in time is not counted.
    let mut daemon = relay.daemon().await;
    daemon.message("text is refused".into()).await;
    daemon.expect_close(1003).await;
    drop(daemon);
    relay.eventually(async || metric(&relay, "sideband_relay_connections{role=\"daemon\"}").await == 0.0).await;
    assert!(hit(&relay, "close_seconds").await < 2.0);
}

#[tokio::test]
async fn memory_bytes() {
    // Less than the slow one may have by itself.
    let relay = relay(|limits| {
        limits.memory_bytes = 16 * 1024 * 1024;
        limits.client_queue_bytes = 1024 * 1024 * 1024;
    })
    .await;
    let (mut daemon, mut slow) = relay.pair().await;
    let big = frame(0x03, 7, &vec![0; 60_000]);
    let mut sent = 0;
    let ended = loop {
        daemon.send(big.clone()).await;
        sent += 60_000;
        assert!(sent < 100_000_000, "the slow client was given {sent} bytes");
        if let Some(ended) = futures_util::FutureExt::now_or_never(daemon.frame()) {
            break ended;
        }
    };
    assert_eq!(ended, sideband_protocol::sbrp::encode_control(7, ControlCode::SESSION_ENDED, ""));
    let last = loop {
        let frame = slow.peer.frame().await;
        if frame != big {
            break frame;
        }
    };
    assert_eq!(last, sideband_protocol::sbrp::encode_control(0, ControlCode::BACKPRESSURE, ""));
    assert!(hit(&relay, "memory_bytes").await >= 1.0);
    assert!(hit(&relay, "client_queue_bytes").await == 0.0, "it was not its own limit");
}

#[tokio::test]
async fn a_slow_header_frees_its_slot() {
    let relay = relay(|limits| {
        limits.header_time = Duration::from_millis(200);
        limits.connections = 1;
    })
    .await;
    let mut slow = TcpStream::connect(relay.authority()).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    rest(&mut slow).await;
    relay.eventually(async || relay.try_get("/healthz").await == Some(200)).await;
    assert!(hit(&relay, "header_seconds").await >= 1.0);
}

#[tokio::test]
async fn an_idle_connection_that_was_answered_is_closed_and_not_counted() {
    let relay = relay(|limits| limits.header_time = Duration::from_millis(200)).await;
    let mut idle = TcpStream::connect(relay.authority()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = rest(&mut idle).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(hit(&relay, "header_seconds").await == 0.0);
}

#[tokio::test]
async fn a_connection_that_says_nothing_frees_its_slot() {
    let relay = relay(|limits| {
        limits.header_time = Duration::from_millis(200);
        limits.connections = 1;
    })
    .await;
    let mut silent = TcpStream::connect(relay.authority()).await.unwrap();
    rest(&mut silent).await;
    relay.eventually(async || relay.try_get("/healthz").await == Some(200)).await;
}

#[tokio::test]
async fn a_slow_body_gets_408_and_frees_its_slot() {
    let relay = relay(|limits| {
        limits.request_time = Duration::from_millis(200);
        limits.connections = 2;
    })
    .await;
    let mut slow = TcpStream::connect(relay.authority()).await.unwrap();
    let head = "POST /api/trpc/quickConnect.redeem HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(hit(&relay, "request_seconds").await >= 1.0);
}

#[tokio::test]
async fn an_endless_header_is_refused() {
    let relay = relay(|_| ()).await;
    let mut tcp = TcpStream::connect(relay.authority()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ").await.unwrap();
    let flood = async { while tcp.write_all(&[b'x'; 4_096]).await.is_ok() {} };
    tokio::time::timeout(crate::support::PATIENCE, flood).await.expect("it is cut off");
}

#[tokio::test]
async fn a_token_of_4096_bytes_fits_into_the_header() {
    let relay = relay(|_| ()).await;
    let longest = format!("{}.b.c", "a".repeat(4_092));
    assert_eq!(relay.open(&longest).await.err(), Some(401));
    let reply = request(relay.authority(), "GET", "/healthz", Some(&longest), "").await;
    assert_eq!(reply.status, 200);
}
