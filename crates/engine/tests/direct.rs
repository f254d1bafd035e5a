//! Plain SBP without a relay.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sideband::client::{ClientOptions, Direct};
use sideband::dial::{Dialer, DialerOptions};
use sideband::direct::{self, DirectOptions};
use sideband::host::{DaemonEvent, Gate, Host, Id, PeerEvent};
use sideband::peer::PeerHandle;
use sideband::protocol::rpc;
use sideband::protocol::sbp::{self, FrameId, Hello, Subject};
use sideband::sdk::{self, MemoryStore};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A server that answers every request with its own params, and says what happens to it.
struct Echo {
    peers: Mutex<Vec<PeerHandle>>,
    told: mpsc::UnboundedSender<String>,
    gate: Gate,
}

impl Host for Echo {
    fn peer(&self, peer: Id, event: PeerEvent<'_>) {
        match event {
            PeerEvent::Request { cid, params, .. } => {
                let peers = self.peers.lock().unwrap();
                let handle = peers.iter().find(|handle| handle.id() == peer).expect("a known peer");
                handle.respond(cid, params).expect("the answer fits");
            }
            PeerEvent::Gone => self.told.send("peer gone".into()).unwrap(),
            _ => {}
        }
    }

    fn daemon(&self, _daemon: Id, event: DaemonEvent<'_>) {
        match event {
            DaemonEvent::Listening { url, .. } => self.told.send(url.to_owned()).unwrap(),
            DaemonEvent::Failed { error } => self.told.send(format!("failed: {error}")).unwrap(),
            DaemonEvent::Connection { peer, .. } => self.peers.lock().unwrap().push(peer),
            DaemonEvent::Gone => self.told.send("gone".into()).unwrap(),
            _ => {}
        }
    }

    fn flush(&self) {}

    fn gate(&self) -> &Gate {
        &self.gate
    }
}

fn serve(port: u16) -> (sideband::daemon::DaemonHandle, mpsc::UnboundedReceiver<String>) {
    let (told, hears) = mpsc::unbounded_channel();
    let host = Echo { peers: Mutex::default(), told, gate: Gate::default() };
    let options = DirectOptions::new("127.0.0.1".into(), port);
    (direct::listen(&tokio::runtime::Handle::current(), options, Arc::new(host)), hears)
}

fn client(url: &str) -> ClientOptions {
    let source = Direct { url: url.parse().expect("the server's URL") };
    let dialer = Dialer::new(DialerOptions::bare()).expect("a dialer");
    ClientOptions::new(Arc::new(source), Arc::new(MemoryStore::default()), dialer)
}

#[tokio::test]
async fn a_client_calls_a_direct_server() {
    let (server, mut hears) = serve(0);
    let url = hears.recv().await.expect("a URL");
    let peer = sdk::connect(client(&url)).await.expect("it connects");
    let answer: Vec<u8> = peer.call("echo", &[1, 2, 3]).await.expect("an answer");
    assert_eq!(answer, [1, 2, 3]);
    server.close();
    assert_eq!(hears.recv().await.as_deref(), Some("peer gone"));
    assert_eq!(hears.recv().await.as_deref(), Some("gone"));
}

#[tokio::test]
async fn closing_does_not_wait_for_a_client_that_never_finishes_its_handshake() {
    let (server, mut hears) = serve(0);
    let url = hears.recv().await.expect("a URL");
    let _silent = tokio::net::TcpStream::connect(url.trim_start_matches("ws://")).await.expect("it accepts");
    let peer = sdk::connect(client(&url)).await.expect("accepted after the silent one");
    drop(peer);
    assert_eq!(hears.recv().await.as_deref(), Some("peer gone"));
    server.close();
    let gone = tokio::time::timeout(Duration::from_secs(5), hears.recv()).await;
    assert_eq!(gone.expect("long before the handshake's deadline").as_deref(), Some("gone"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port();
    let (_server, mut hears) = serve(port);
    let failed = hears.recv().await.expect("a failure");
    assert!(failed.starts_with(&format!("failed: 127.0.0.1:{port}: bind: ")), "{failed}");
}

#[tokio::test]
async fn pages_of_other_origins_may_not_connect_to_a_local_server() {
    let (_server, mut hears) = serve(0);
    let url = hears.recv().await.expect("a URL");
    for (origin, allowed) in [
        ("https://example.com", false),
        ("null", false),
        ("http://localhost.example.com", false),
        ("http://localhost:3000", true),
        ("http://127.0.0.1", true),
        ("http://[::1]:8080", true),
    ] {
        let mut request = url.as_str().into_client_request().expect("a request");
        request.headers_mut().insert("origin", origin.parse().expect("a header value"));
        let stream = tokio::net::TcpStream::connect(url.trim_start_matches("ws://")).await.expect("it accepts");
        let connected = tokio_tungstenite::client_async(request, stream).await;
        assert_eq!(connected.is_ok(), allowed, "{origin}");
    }
}

/// A WebSocket to the server, by hand.
async fn socket(url: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(url.trim_start_matches("ws://")).await.expect("it accepts");
    tokio_tungstenite::client_async(url, stream).await.expect("an upgrade").0
}

async fn frame(socket: &mut WebSocketStream<TcpStream>) -> Option<Vec<u8>> {
    match socket.next().await {
        Some(Ok(Message::Binary(frame))) => Some(frame.into()),
        _ => None,
    }
}

fn encoded(frame: &sbp::Frame<'_>) -> Message {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    Message::binary(bytes)
}

#[tokio::test]
async fn a_client_of_another_version_is_told_so_and_was_never_a_peer() {
    let (_server, mut hears) = serve(0);
    let url = hears.recv().await.expect("a URL");
    let mut socket = socket(&url).await;
    let data = br#"{"protocol":"sideband","version":"2","peerId":"p"}"#;
    socket.send(encoded(&sbp::Frame::Handshake { id: FrameId([1; 16]), data })).await.expect("it listens");
    let hello = frame(&mut socket).await.expect("its hello");
    assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })));
    let refusal = frame(&mut socket).await.expect("a refusal");
    assert!(matches!(sbp::Frame::decode(&refusal), Ok(sbp::Frame::Error { code: 1001, .. })));
    assert_eq!(frame(&mut socket).await, None);
    let peer = sdk::connect(client(&url)).await.expect("others connect");
    drop(peer);
    assert_eq!(hears.recv().await.as_deref(), Some("peer gone"));
}

#[tokio::test]
async fn a_server_closes_although_a_client_takes_nothing() {
    let (server, mut hears) = serve(0);
    let url = hears.recv().await.expect("a URL");
    let mut socket = socket(&url).await;
    let data = Hello::new("deaf").encode();
    socket.send(encoded(&sbp::Frame::Handshake { id: FrameId([1; 16]), data: &data })).await.expect("it listens");
    let params = format!("\"{}\"", "x".repeat(60_000));
    for number in 0..400u16 {
        let mut request = Vec::new();
        let mut cid = [0; 16];
        cid[..2].copy_from_slice(&number.to_be_bytes());
        sbp::write_message_head(&mut request, FrameId(cid), Subject::Rpc);
        rpc::write_request(&mut request, "echo", Some(&params), FrameId(cid));
        socket.send(Message::binary(request)).await.expect("it listens");
    }
    server.close();
    tokio::time::pause();
    assert_eq!(hears.recv().await.as_deref(), Some("peer gone"));
    assert_eq!(hears.recv().await.as_deref(), Some("gone"));
}
