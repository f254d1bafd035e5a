//! The admin's endpoints.

use serde_json::json;
use sideband_protocol::sbrp::{ControlCode, SessionId};

use crate::support::{TestRelay, exchange};

#[tokio::test]
async fn the_admin_token_is_required() {
    let relay = TestRelay::start().await;
    for bearer in [None, Some("wrong"), Some(relay.relay.api_key()), Some(relay.relay.access_token())] {
        assert_eq!(relay.post("/admin/daemons", bearer, "{}").await.error(), (401, "UNAUTHORIZED".to_owned()));
        assert_eq!(relay.get("/admin/sessions", bearer).await.status, 401);
    }
}

#[tokio::test]
async fn a_daemon_is_registered_once() {
    let relay = TestRelay::start().await;
    let admin = Some(relay.relay.admin_token());
    let body = json!({ "daemonId": "my-daemon" }).to_string();
    let made = relay.post("/admin/daemons", admin, &body).await.json();
    assert_eq!(made["daemonId"], "my-daemon");
    let key = made["apiKey"].as_str().unwrap();
    assert!(key.starts_with("sbnd_dak_"));
    assert_eq!(relay.post("/api/trpc/daemon.renewToken", Some(key), "null").await.status, 200);
    assert_eq!(relay.post("/admin/daemons", admin, &body).await.error(), (409, "CONFLICT".to_owned()));
    let random = relay.post("/admin/daemons", admin, "").await.json();
    assert!(random["daemonId"].as_str().unwrap().starts_with("d_"));
}

#[tokio::test]
async fn bad_input_is_refused() {
    let relay = TestRelay::start().await;
    let admin = Some(relay.relay.admin_token());
    for body in [r#"{"daemonId":""}"#, r#"{"daemonId":"a b"}"#, r#"{"daemonId":7}"#, r#"{"maxSessions":0}"#, "{"] {
        assert_eq!(relay.post("/admin/daemons", admin, body).await.status, 400, "{body}");
    }
    for body in ["{}", r#"{"daemonIds":"x"}"#, r#"{"daemonIds":[7]}"#] {
        assert_eq!(relay.post("/admin/users", admin, body).await.status, 400, "{body}");
    }
    let unknown = relay.post("/admin/users", admin, r#"{"daemonIds":["nobody"]}"#).await;
    assert_eq!(unknown.error(), (404, "NOT_FOUND".to_owned()));
    assert!(unknown.body.contains("there is no daemon nobody"), "{}", unknown.body);
    assert_eq!(relay.post("/admin/nothing", admin, "").await.status, 404);
}

#[tokio::test]
async fn max_sessions_becomes_the_daemons_limit() {
    let relay = TestRelay::start().await;
    let admin = Some(relay.relay.admin_token());
    let body = json!({ "daemonId": "small", "maxSessions": 1 }).to_string();
    let made = relay.post("/admin/daemons", admin, &body).await.json();
    let token = relay.post("/api/trpc/daemon.renewToken", made["apiKey"].as_str(), "null").await.output();
    let _daemon = relay.open(token["presenceToken"].as_str().unwrap()).await.unwrap();
    let client = |n| relay.client_claims(SessionId::new(n).unwrap()).set("did", json!("small")).sign();
    let _first = relay.open(&client(1)).await.unwrap();
    assert_eq!(relay.open(&client(2)).await.err(), Some(429));
}

#[tokio::test]
async fn sessions_are_listed_with_what_went_through() {
    let relay = TestRelay::start().await;
    let (_daemon, client) = relay.pair().await;
    let list = relay.get("/admin/sessions", Some(relay.relay.admin_token())).await.json();
    assert_eq!(
        list,
        json!([{
            "daemonId": relay.relay.daemon_id(),
            "sessionId": client.session.to_base64url(),
            "state": "paired",
            "framesToDaemon": 1,
            "framesToClient": 1,
            "bytesToDaemon": 13 + "to the daemon".len(),
            "bytesToClient": 13 + "to the client".len(),
        }])
    );
}

#[tokio::test]
async fn a_daemon_and_a_client_can_be_cut() {
    let relay = TestRelay::start().await;
    let admin = Some(relay.relay.admin_token());
    let (mut daemon, mut client) = relay.pair().await;
    let path = format!("/admin/daemons/{}/disconnect", relay.relay.daemon_id());
    assert_eq!(relay.post(&path, admin, "").await.status, 200);
    daemon.expect_cut().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    assert_eq!(relay.post(&path, admin, "").await.status, 404);
    let path = format!("/admin/sessions/{}/disconnect", client.session.to_base64url());
    assert_eq!(relay.post(&path, admin, "").await.status, 200);
    client.peer.expect_cut().await;
    assert_eq!(relay.post(&path, admin, "").await.status, 404);
    assert_eq!(relay.post("/admin/sessions/nonsense/disconnect", admin, "").await.status, 400);
    let (mut daemon, mut client) = relay.pair().await;
    exchange(&mut daemon, &mut client).await;
}
