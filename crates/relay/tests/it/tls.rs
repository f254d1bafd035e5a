//! TLS: from files, reloaded when they change, and never with a pair that does not fit.

use std::{path::Path, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use sideband_relay::{
    Relay, RunningRelay,
    config::{Config, TlsFiles},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Claims, test_keys};

/// A certificate for localhost and its key, written where the relay reads them.
fn write_pair(files: &TlsFiles) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(&files.certificate, pair.cert.pem()).unwrap();
    pair
}

fn files(directory: &Path) -> TlsFiles {
    TlsFiles { certificate: directory.join("cert.pem"), key: directory.join("key.pem") }
}

fn config(files: &TlsFiles) -> Config {
    let mut config = Config::dev();
    config.tls = Some(files.clone());
    config
}

async fn connect(relay: &RunningRelay, trusted: &rcgen::Certificate) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(relay.api_url().strip_prefix("https://").unwrap()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

#[tokio::test]
async fn websockets_and_http_go_through_tls() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let pair = write_pair(&files);
    let builder = Relay::builder().config(config(&files)).trust_keys(test_keys());
    let relay = builder.start().await.unwrap();
    assert!(relay.relay_url().starts_with("wss://"));
    let mut tls = connect(&relay, &pair.cert).await.unwrap();
    tls.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let token = Claims::daemon(relay.api_url(), relay.daemon_id()).sign();
    let tls = connect(&relay, &pair.cert).await.unwrap();
    let url = format!("wss://localhost/?token={token}");
    let (mut socket, _) = tokio_tungstenite::client_async(url, tls).await.unwrap();
    for opaque in [&b"1"[..], b"12345678"] {
        socket.send(crate::support::frame(0x10, 0, opaque).into()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_data(), crate::support::frame(0x11, 0, opaque));
    }
    // Much at once, and more than one TLS record.
    for _ in 0..50 {
        socket.feed(crate::support::frame(0x03, 9, &vec![1; 60_000]).into()).await.unwrap();
    }
    socket.flush().await.unwrap();
    for _ in 0..50 {
        let ended = sideband_protocol::sbrp::encode_control(9, sideband_protocol::sbrp::ControlCode::SESSION_ENDED, "");
        assert_eq!(socket.next().await.unwrap().unwrap().into_data(), ended);
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn changed_files_are_loaded_and_a_bad_pair_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let first = write_pair(&files);
    let relay = Relay::builder().config(config(&files)).start().await.unwrap();
    connect(&relay, &first.cert).await.expect("the first certificate");
    // A key that does not fit, as if only one of the files had been replaced.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
    relay.reload(config(&files)).unwrap();
    connect(&relay, &first.cert).await.expect("the first certificate stays");
    let second = write_pair(&files);
    relay.reload(config(&files)).unwrap();
    connect(&relay, &second.cert).await.expect("the second certificate");
    assert!(connect(&relay, &first.cert).await.is_err());
}

#[tokio::test]
async fn changed_files_are_noticed_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    write_pair(&files);
    let relay = Relay::builder().config(config(&files)).start().await.unwrap();
    // As soon as the relay has looked once, a change is one.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let second = write_pair(&files);
    let start = std::time::Instant::now();
    while connect(&relay, &second.cert).await.is_err() {
        assert!(start.elapsed() < crate::support::PATIENCE, "the change is noticed in time");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let fails = async |what: &str| {
        let error = Relay::builder().config(config(&files)).start().await.err().expect(what).to_string();
        assert!(!error.contains('\n') && error.contains(&directory.path().display().to_string()), "{what}: {error}");
        error
    };
    fails("no files").await;
    write_pair(&files);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, other.signing_key.serialize_pem()).unwrap();
    assert!(fails("a key of another certificate").await.contains("does not fit"));
    std::fs::write(&files.key, "nonsense").unwrap();
    fails("no key").await;
    std::fs::write(&files.certificate, "").unwrap();
    assert!(fails("an empty certificate").await.contains("cert.pem"));
}

#[tokio::test]
async fn a_client_that_does_not_finish_the_handshake_frees_its_slot() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let pair = write_pair(&files);
    let mut config = config(&files);
    config.limits.tls_time = std::time::Duration::from_millis(200);
    config.limits.connections = 1;
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let relay = Relay::builder().config(config).start().await.unwrap();
    let mut silent = TcpStream::connect(relay.api_url().strip_prefix("https://").unwrap()).await.unwrap();
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = silent.read_to_end(&mut rest).await;
    let start = std::time::Instant::now();
    while connect(&relay, &pair.cert).await.is_err() {
        assert!(start.elapsed() < crate::support::PATIENCE, "the slot comes free");
    }
    let operations = relay.metrics_address().unwrap().to_string();
    let count = async |name| crate::support::http_metric(&operations, name).await;
    assert!(count("sideband_relay_limits_hit_total{limit=\"tls_seconds\"}").await >= 1.0);
    assert!(count("sideband_relay_tls_failures_total").await >= 1.0);
}
