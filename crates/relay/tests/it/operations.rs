//! What the operator sees: health, readiness, metrics, logs; and what a reload takes over.

use std::time::Duration;

use serde_json::json;
use sideband_protocol::sbrp::SessionId;
use sideband_relay::{Relay, config::Config};

use crate::support::{TestRelay, exchange, metric, request, until_draining};

#[tokio::test]
async fn health_and_readiness() {
    let relay = TestRelay::start().await;
    assert_eq!(relay.get("/healthz", None).await.status, 200);
    assert_eq!(relay.get("/readyz", None).await.json(), json!({ "status": "ready" }));
    for path in ["/healthz", "/readyz"] {
        let head = request(relay.authority(), "HEAD", path, None, "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn a_draining_relay_is_alive_and_not_ready() {
    let mut config = Config::dev();
    config.limits.close_time = Duration::from_secs(5);
    let relay = TestRelay::with(|builder| builder.config(config)).await;
    // A daemon that does not hang up keeps the drain going.
    let daemon = relay.daemon().await;
    let (authority, token) = (relay.authority().to_owned(), relay.daemon_claims().sign());
    let url = relay.relay.relay_url().to_owned();
    let shutdown = tokio::spawn(relay.relay.shutdown());
    until_draining(&authority).await;
    assert_eq!(crate::support::open_url(&url, &token).await.err(), Some(503));
    drop(daemon);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn metrics_are_for_those_who_may() {
    let relay = TestRelay::start().await;
    let reply = relay.get("/metrics", None).await;
    assert_eq!(reply.status, 200, "open in development");
    assert!(reply.head.to_lowercase().contains("content-type: application/openmetrics-text"), "{}", reply.head);
    assert!(reply.body.ends_with("# EOF\n"));

    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::with_data_dir(directory.path());
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let relay = Relay::builder().config(config).start().await.unwrap();
    let authority = relay.api_url().strip_prefix("http://").unwrap();
    assert_eq!(request(authority, "GET", "/metrics", None, "").await.status, 401);
    let token = relay.admin().set_admin_token().await.unwrap();
    assert_eq!(request(authority, "GET", "/metrics", Some(&token), "").await.status, 200);
    let operations = relay.metrics_address().unwrap().to_string();
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(request(&operations, "GET", path, None, "").await.status, 200, "{path}");
    }
    for path in ["/", "/admin/sessions", "/.well-known/jwks.json"] {
        assert_eq!(request(&operations, "GET", path, Some(&token), "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn every_metric_counts() {
    let relay = TestRelay::start().await;
    let is = async |name: &str, value: f64| {
        println!("{name} becomes {value}");
        relay.eventually(async || (metric(&relay, name).await - value).abs() < f64::EPSILON).await;
    };
    is("sideband_relay_connections{role=\"daemon\"}", 0.0).await;
    let (mut daemon, mut client) = relay.pair().await;
    exchange(&mut daemon, &mut client).await;
    is("sideband_relay_connections{role=\"daemon\"}", 1.0).await;
    is("sideband_relay_connections{role=\"client\"}", 1.0).await;
    is("sideband_relay_connections{role=\"opening\"}", 1.0).await; // the one that asks
    is("sideband_relay_sessions{state=\"paired\"}", 1.0).await;
    is("sideband_relay_frames_total{direction=\"to_daemon\",shard=\"0\"}", 2.0).await;
    is("sideband_relay_frames_total{direction=\"to_client\",shard=\"0\"}", 2.0).await;
    is("sideband_relay_bytes_total{direction=\"to_daemon\",shard=\"0\"}", 52.0).await;
    is("sideband_relay_queued_bytes{shard=\"0\"}", 0.0).await;
    is("sideband_relay_handshake_seconds_count", 2.0).await;
    is("sideband_relay_forward_seconds_count{shard=\"0\"}", 4.0).await;
    is("sideband_relay_token_refusals_total{reason=\"form\"}", 0.0).await;
    assert_eq!(relay.open("x").await.err(), Some(401));
    is("sideband_relay_token_refusals_total{reason=\"form\"}", 1.0).await;
    is("sideband_relay_requests_total{endpoint=\"websocket\",status=\"101\"}", 2.0).await;
    is("sideband_relay_requests_total{endpoint=\"websocket\",status=\"401\"}", 1.0).await;
    relay.cut_daemon().await;
    client.expect(sideband_protocol::sbrp::ControlCode::SESSION_PAUSED).await;
    client.send("kept").await;
    is("sideband_relay_sessions{state=\"paused\"}", 1.0).await;
    is("sideband_relay_sessions{state=\"paired\"}", 0.0).await;
    is("sideband_relay_controls_total{code=\"session_paused\"}", 1.0).await;
    client.peer.expect_alive().await;
    is("sideband_relay_queued_bytes{shard=\"0\"}", 13.0 + 4.0 + 64.0).await;
    let daemon = relay.daemon().await;
    is("sideband_relay_sessions{state=\"pending\"}", 1.0).await;
    drop((daemon, client));
    is("sideband_relay_sessions{state=\"pending\"}", 0.0).await;
    is("sideband_relay_sessions{state=\"paused\"}", 0.0).await;
    is("sideband_relay_connections{role=\"client\"}", 0.0).await;
    is("sideband_relay_connections{role=\"daemon\"}", 0.0).await;
    is("sideband_relay_queued_bytes{shard=\"0\"}", 0.0).await;
    is("sideband_relay_revocations_total", 0.0).await;
    let path = format!("/admin/daemons/{}", relay.relay.daemon_id());
    assert_eq!(request(relay.authority(), "DELETE", &path, Some(relay.relay.admin_token()), "").await.status, 200);
    is("sideband_relay_revocations_total", 1.0).await;
    assert_eq!(relay.open(&relay.daemon_claims().sign()).await.err(), Some(403));
    is("sideband_relay_token_refusals_total{reason=\"not served\"}", 1.0).await;
    is("sideband_relay_store_errors_total", 0.0).await;
}

#[tokio::test]
async fn a_reload_takes_over_limits_and_proxies() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    let mut config = Config::dev();
    config.limits.sessions_per_daemon = 1;
    config.limits.grace = Duration::from_millis(50);
    config.region = Some("elsewhere".to_owned());
    assert_eq!(relay.relay.reload(config).unwrap(), ["region"]);
    let token = relay.client_claims(SessionId::new(8).unwrap()).sign();
    assert_eq!(relay.open(&token).await.err(), Some(429));
    exchange(&mut daemon, &mut client).await;
    relay.cut_daemon().await;
    client.expect(sideband_protocol::sbrp::ControlCode::SESSION_PAUSED).await;
    client.expect_end(sideband_protocol::sbrp::ControlCode::SESSION_EXPIRED).await;
    let mut bad = Config::dev();
    bad.threads = Some(0);
    assert!(relay.relay.reload(bad).is_err());
}
