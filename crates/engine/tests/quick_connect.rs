//! A Quick Connect code: tried until it is redeemed, and never again (section 7).

mod net;
#[path = "support/hostile.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use net::{Seen, http, serve};
use serde_json::json;
use sideband::client::{ClientOptions, QuickConnect};
use sideband::cloud::Cloud;
use sideband::sdk::MemoryStore;
use support::{Ear, HostileRelay, Wire, client};

/// A control plane that answers with these, one after the other, and repeats the last.
async fn plane(answers: Vec<(u16, String)>) -> (net::Server, Cloud, Seen) {
    let (seen, number) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let notes = seen.clone();
    let server = serve(move |tcp| {
        let (answers, notes, number) = (answers.clone(), notes.clone(), Arc::clone(&number));
        async move {
            http(tcp, notes, |_, _| {
                let (status, body) = &answers[number.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            })
            .await;
        }
    })
    .await;
    let api_url = format!("http://127.0.0.1:{}", server.port).parse().expect("a URL");
    (server, Cloud::new(net::dialer(|_| {}), api_url), seen)
}

fn ticket(relay: &HostileRelay) -> (u16, String) {
    let (relay_url, token) = relay.ticket();
    let output = json!({ "relayUrl": relay_url, "token": token, "daemonId": support::DAEMON });
    (200, json!({ "result": { "data": output } }).to_string())
}

fn start(relay: &HostileRelay, cloud: Cloud) -> (sideband::peer::PeerHandle, Ear) {
    let source = Arc::new(QuickConnect::new(cloud, "abcd-efgh-ijkl".into()));
    let retry = relay.client_options().retry;
    let mut options = ClientOptions::new(source, Arc::new(MemoryStore::default()), net::dialer(|_| {}));
    options.retry = retry;
    client(options)
}

/// What a code that was redeemed ends in.
async fn end(mut spoil: impl AsyncFnMut(Wire)) -> (String, usize) {
    let relay = HostileRelay::start().await;
    let (_server, cloud, seen) = plane(vec![ticket(&relay)]).await;
    let (_peer, mut ear) = start(&relay, cloud);
    spoil(relay.accept().await).await;
    let lines = ear.up_to("gone").await;
    assert!(!lines.iter().any(|line| line.contains("Reconnecting")), "{lines:?}");
    (lines[lines.len() - 2].clone(), seen.all().len())
}

#[tokio::test]
async fn a_code_is_tried_until_it_is_redeemed() {
    let relay = HostileRelay::start().await;
    let failed = (503, String::new());
    let (_server, cloud, seen) = plane(vec![failed.clone(), failed, ticket(&relay)]).await;
    let (_peer, mut ear) = start(&relay, cloud);
    relay.accept().await.be_daemon().await;
    ear.until("state Active").await;
    assert_eq!(seen.all().len(), 3);
}

#[tokio::test]
async fn once_redeemed_nothing_is_tried_again() {
    let (dropped, asked) = end(async |wire| drop(wire)).await;
    assert!(dropped.starts_with("state Closed the connection ended for good"), "{dropped}");
    assert_eq!(asked, 1);
    let (later, asked) = end(async |mut wire: Wire| drop(wire.be_daemon().await)).await;
    assert!(later.starts_with("state Closed the connection ended for good"), "{later}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_code_that_is_consumed_or_unknown_is_not_tried_again() {
    for (status, code) in [(409, "CONFLICT"), (404, "NOT_FOUND"), (200, "CONFLICT")] {
        let relay = HostileRelay::start().await;
        let body = json!({ "error": { "message": "no", "data": { "code": code } } }).to_string();
        let (_server, cloud, seen) = plane(vec![(status, body)]).await;
        let (_peer, mut ear) = start(&relay, cloud);
        let lines = ear.up_to("gone").await;
        assert_eq!(lines.len(), 3, "connecting, closed, gone: {lines:?}");
        assert_eq!(seen.all().len(), 1);
    }
}
