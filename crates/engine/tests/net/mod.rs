//! Real peers on loopback for the dialer's tests: a TLS server, a CONNECT proxy, servers that refuse or never answer.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sideband::dial::{Deadlines, Dialer, DialerOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// A token whose text must show up nowhere but on the wire.
pub const TOKEN: &str = "eyJ0.tokentext.sig";

/// A task that ends with its handle.
pub struct Server {
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves every connection with `serve`.
pub async fn serve<F, R>(serve: F) -> Server
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    Server { port, task }
}

/// A server that accepts and then says nothing.
pub async fn silent() -> Server {
    serve(|tcp| async move {
        let _open = tcp;
        std::future::pending::<()>().await;
    })
    .await
}

/// A port nobody listens on.
pub async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// What a server saw of requests, head by head.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub fn add(&self, text: impl Into<String>) {
        self.0.lock().expect("no panic while held").push(text.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while held").clone()
    }
}

/// Accepts a WebSocket, notes path, query and Authorization, and echoes every message.
#[allow(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S, seen: Seen) {
    let note = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("-");
        seen.add(format!("{} {bearer}", request.uri()));
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, note).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if !message.is_binary() || socket.send(message).await.is_err() {
            return;
        }
    }
}

/// A certificate authority and the server configuration for the names it vouches for.
pub struct Authority {
    pub pem: Vec<u8>,
    config: Arc<ServerConfig>,
}

impl Authority {
    pub fn new(names: &[&str]) -> Self {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key")).expect("a root");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names).expect("names").signed_by(&key, &root).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .expect("key and certificate fit");
        Self { pem: root.pem().into_bytes(), config: Arc::new(config) }
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// An echoing `wss://` server.
    pub async fn echo(&self, seen: Seen) -> Server {
        let acceptor = self.acceptor();
        serve(move |tcp| {
            let (acceptor, seen) = (acceptor.clone(), seen.clone());
            async move {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    echo(tls, seen).await;
                }
            }
        })
        .await
    }
}

/// Reads a request or answer head up to the empty line.
pub async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).expect("a head is text")
}

/// A proxy that wants `user:pass word` and takes every target to `target`, whatever it is called.
pub async fn proxy(seen: Seen, target: u16, tls: Option<TlsAcceptor>) -> Server {
    serve(move |tcp| {
        let (seen, tls) = (seen.clone(), tls.clone());
        async move {
            match tls {
                None => tunnel(tcp, seen, target).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        tunnel(stream, seen, target).await;
                    }
                }
            }
        }
    })
    .await
}

async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, seen: Seen, target: u16) {
    let head = read_head(&mut stream).await;
    seen.add(head.lines().next().unwrap_or_default());
    // base64("user:pass word")
    if !head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnzihdvcmq=") {
        stream.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").await.ok();
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(("127.0.0.1", target)).await else {
        stream.write_all(b"HTTP/1.1 502 No such host\r\n\r\n").await.ok();
        return;
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n").await.ok();
    copy_bidirectional(&mut stream, &mut upstream).await.ok();
}

/// Answers every request on a connection with `answer(head, body)`, a whole HTTP answer.
pub async fn http<S, F>(mut stream: S, seen: Seen, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(&str, &str) -> String,
{
    loop {
        let head = read_head(&mut stream).await;
        if head.is_empty() {
            return;
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse()))
            .map_or(0, |length| length.expect("a length"));
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.expect("the whole body");
        let body = String::from_utf8(body).expect("JSON is text");
        seen.add(format!("{head}{body}"));
        if stream.write_all(answer(&head, &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Deadlines short enough for a test to wait for.
pub fn impatient() -> Deadlines {
    let short = Duration::from_millis(200);
    Deadlines { dns: short, tcp: short, proxy: short, tls: short, upgrade: short, http: short }
}

/// A dialer with nothing from the environment of the test run.
pub fn dialer(change: impl FnOnce(&mut DialerOptions)) -> Dialer {
    let mut options = DialerOptions::bare();
    change(&mut options);
    Dialer::new(options).expect("good options")
}
