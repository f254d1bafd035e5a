//! Somebody else's key set over HTTP, and tokens signed with its keys.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// Serves one document, whatever is asked for, and counts the requests.
pub(crate) struct Issuer {
    pub(crate) url: String,
    document: Arc<Mutex<(u16, String)>>,
    requests: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A key's description for publication.
pub(crate) fn jwk(kid: &str, seed: u8) -> Value {
    let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": URL_SAFE_NO_PAD.encode(key.as_bytes()) })
}

/// A token signed with the key of that seed.
pub(crate) fn sign(kid: &str, seed: u8, typ: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "EdDSA", "typ": typ, "kid": kid });
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = SigningKey::from_bytes(&[seed; 32]).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

impl Issuer {
    pub(crate) async fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = Arc::new(Mutex::new((200, json!({ "keys": keys }).to_string())));
        let requests = Arc::new(AtomicUsize::new(0));
        let (published, counted) = (Arc::clone(&document), Arc::clone(&requests));
        let server = tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if tcp.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let (status, body) = published.lock().unwrap().clone();
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, document, requests, server }
    }

    pub(crate) fn set_keys(&self, keys: &[Value]) {
        *self.document.lock().unwrap() = (200, json!({ "keys": keys }).to_string());
    }

    pub(crate) fn set(&self, status: u16, body: &str) {
        *self.document.lock().unwrap() = (status, body.to_owned());
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}
