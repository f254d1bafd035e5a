//! The request that opens a WebSocket, by hand.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::TestRelay;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Everything about an opening that a test may want to be different.
fn opening(relay: &TestRelay, method: &str, version: &str, key: &str, rest: &str) -> String {
    format!(
        "{method} /?token={} HTTP/{version}\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{rest}",
        relay.daemon_claims().sign()
    )
}

/// What the relay answers until it has said `last`.
async fn answers(relay: &TestRelay, requests: &str, last: &str) -> String {
    let mut tcp = TcpStream::connect(relay.authority()).await.unwrap();
    tcp.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&answers);
        if so_far.contains(last) {
            return so_far.into_owned();
        }
        assert!(tcp.read_buf(&mut answers).await.unwrap() > 0, "no {last:?}");
    }
}

#[tokio::test]
async fn an_opening_that_is_no_websockets_is_refused() {
    let relay = TestRelay::start().await;
    let answer = async |method: &str, version: &str, key: &str, rest: &str| {
        answers(&relay, &opening(&relay, method, version, key, rest), "\r\n\r\n").await
    };
    assert!(answer("GET", "1.1", KEY, "\r\n").await.starts_with("HTTP/1.1 101 "));
    for key in ["", "x", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE="] {
        assert!(answer("GET", "1.1", key, "\r\n").await.starts_with("HTTP/1.1 400 "), "{key}");
    }
    assert!(answer("GET", "1.0", KEY, "\r\n").await.starts_with("HTTP/1.0 426 "));
    for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"] {
        assert!(answer("GET", "1.1", KEY, body).await.starts_with("HTTP/1.1 400 "), "{body}");
    }
    let post = answer("POST", "1.1", KEY, "\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nallow: GET\r\n"), "{post}");
}

#[tokio::test]
async fn answers_before_the_opening_come_before_it() {
    let relay = TestRelay::start().await;
    let health = "GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n";
    let requests = format!("{health}{health}{}", opening(&relay, "GET", "1.1", KEY, "\r\n"));
    let all = answers(&relay, &requests, "HTTP/1.1 101 ").await;
    assert_eq!(all.matches("HTTP/1.1 ").count(), 3, "{all}");
    assert!(all.starts_with("HTTP/1.1 200 ") && all.matches("\"ok\"").count() == 2, "{all}");
}
