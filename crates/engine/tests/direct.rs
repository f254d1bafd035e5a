//! Plain SBP without a relay.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sideband::client::{ClientOptions, Direct};
use sideband::dial::{Dialer, DialerOptions};
use sideband::direct::{self, DirectOptions};
use sideband::host::{DaemonEvent, Gate, Host, Id, PeerEvent};
use sideband::peer::PeerHandle;
use sideband::sdk::{self, MemoryStore};
use tokio::sync::mpsc;
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
