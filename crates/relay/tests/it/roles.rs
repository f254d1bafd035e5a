//! A relay and a control plane that run apart.

use std::time::Instant;

use serde_json::{Value, json};
use sideband_protocol::sbrp::ControlCode;
use sideband_relay::{
    Relay, RunningRelay,
    config::{Config, ControlConfig, Role, SharedSecret},
};

use crate::support::{
    Claims, Client, Peer, exchange,
    issuer::{Issuer, jwk, sign},
    open_url, ready, request, session_client,
};

const SECRET: &str = "a secret of more than thirty-two characters";

fn relay_config(control_url: &str) -> Config {
    let mut config = Config::dev();
    config.role = Role::Relay;
    config.control = Some(ControlConfig::new(control_url.parse().unwrap()));
    config
}

/// A control plane and a relay, which know each other.
struct Apart {
    control: RunningRelay,
    relay: RunningRelay,
    _data: tempfile::TempDir,
}

/// An address that is free at the moment.
fn free_address() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn apart() -> Apart {
    let data = tempfile::tempdir().unwrap();
    let (control_address, relay_address) = (free_address(), free_address());
    let mut config = Config::with_data_dir(data.path());
    config.role = Role::Control;
    config.listen = control_address;
    config.api_url = Some(format!("http://{control_address}"));
    config.relay_url = Some(format!("ws://{relay_address}"));
    config.shared_secret = Some(SharedSecret::new(SECRET));
    config.limits = config.limits.without_rates();
    let control = Relay::builder().config(config).start().await.unwrap();
    let mut config = relay_config(control.api_url());
    config.listen = relay_address;
    config.shared_secret = Some(SharedSecret::new(SECRET));
    let relay = Relay::builder().config(config).start().await.unwrap();
    Apart { control, relay, _data: data }
}

impl Apart {
    async fn call(&self, procedure: &str, bearer: &str, input: &Value) -> (u16, Value) {
        let authority = self.control.api_url().strip_prefix("http://").unwrap();
        let path = format!("/api/trpc/{procedure}");
        let reply = request(authority, "POST", &path, Some(bearer), &input.to_string()).await;
        (reply.status, reply.json()["result"]["data"].clone())
    }

    async fn daemon(&self, key: &str) -> Peer {
        let (_, output) = self.call("daemon.renewToken", key, &Value::Null).await;
        open_url(self.relay.relay_url(), output["presenceToken"].as_str().unwrap()).await.unwrap()
    }

    async fn client(&self, access: &str) -> Client {
        let (_, output) = self.call("relay.createSession", access, &json!({ "daemonId": "d" })).await;
        assert_eq!(output["relayUrl"], self.relay.relay_url());
        session_client(self.relay.relay_url(), output["token"].as_str().unwrap()).await
    }
}

#[tokio::test]
async fn the_page_about_quick_connect_is_the_control_planes() {
    let Apart { control, relay, _data } = apart().await;
    let (control, relay) = (control.api_url().strip_prefix("http://"), relay.relay_url().strip_prefix("ws://"));
    assert_eq!(request(control.unwrap(), "GET", "/quick-connect", None, "").await.status, 200);
    assert_eq!(request(relay.unwrap(), "GET", "/quick-connect", None, "").await.status, 404);
}

#[tokio::test]
async fn a_call_through_a_relay_apart_from_its_control_plane() {
    let world = apart().await;
    let daemon = world.control.admin().add_daemon(Some("d"), None).await.unwrap();
    let user = world.control.admin().add_user(None).await.unwrap();
    let mut client = world.client(&user.access_token).await;
    client.expect_end(ControlCode::DAEMON_OFFLINE).await;
    let mut daemon = world.daemon(&daemon.api_key).await;
    let mut client = world.client(&user.access_token).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn each_serves_only_its_part() {
    let world = apart().await;
    let of = |running: &RunningRelay, scheme: &str| {
        let url = if scheme == "ws" { running.relay_url() } else { running.api_url() };
        url.split_once("://").unwrap().1.to_owned()
    };
    let (control, relay) = (of(&world.control, "http"), of(&world.relay, "ws"));
    assert_eq!(request(&relay, "POST", "/api/trpc/daemon.renewToken", Some("x"), "null").await.status, 404);
    assert_eq!(request(&relay, "GET", "/.well-known/jwks.json", None, "").await.status, 404);
    assert_eq!(request(&control, "GET", "/", None, "").await.status, 404);
    assert_eq!(request(&relay, "GET", "/", None, "").await.status, 426);
    for authority in [&control, &relay] {
        assert_eq!(request(authority, "GET", "/readyz", None, "").await.status, 200);
        assert_eq!(request(authority, "GET", "/internal/presence?daemon=d", Some("wrong"), "").await.status, 401);
    }
    let presence = request(&relay, "GET", "/internal/presence?daemon=d", Some(SECRET), "").await;
    assert_eq!(presence.json(), json!({ "online": false }));
    assert_eq!(request(&control, "GET", "/internal/presence?daemon=d", Some(SECRET), "").await.status, 404);
    assert_eq!(request(&relay, "GET", "/internal/revocations?after=0", Some(SECRET), "").await.status, 404);
    assert_eq!(request(&relay, "GET", "/admin/sessions", Some(SECRET), "").await.status, 200);
}

#[tokio::test]
async fn revocations_reach_the_relay_within_a_second() {
    let world = apart().await;
    let admin = world.control.admin();
    let new = admin.add_daemon(Some("d"), None).await.unwrap();
    let user = admin.add_user(None).await.unwrap();
    let (mut daemon, mut client) = (world.daemon(&new.api_key).await, world.client(&user.access_token).await);
    exchange(&mut daemon, &mut client).await;
    let (_, output) = world.call("relay.createSession", &user.access_token, &json!({ "daemonId": "d" })).await;
    let spare = output["token"].as_str().unwrap().to_owned();

    admin.revoke_user(&user.user_id).await.unwrap();
    let revoked = Instant::now();
    client.peer.expect_control(ControlCode::FORBIDDEN, 0).await;
    assert!(revoked.elapsed().as_millis() < 1_000, "it took {:?}", revoked.elapsed());
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
    assert_eq!(open_url(world.relay.relay_url(), &spare).await.err(), Some(403));

    let (_, output) = world.call("daemon.renewToken", &new.api_key, &Value::Null).await;
    let old = output["presenceToken"].as_str().unwrap().to_owned();
    let rotated = admin.rotate_daemon_key("d").await.unwrap();
    daemon.expect_control(ControlCode::UNAUTHORIZED, 0).await;
    assert_eq!(open_url(world.relay.relay_url(), &old).await.err(), Some(403));
    let mut daemon = world.daemon(&rotated.api_key).await;
    admin.revoke_daemon("d").await.unwrap();
    daemon.expect_control(ControlCode::UNAUTHORIZED, 0).await;
}

#[tokio::test]
async fn a_relay_that_starts_later_knows_what_was_revoked() {
    let world = apart().await;
    let admin = world.control.admin();
    let new = admin.add_daemon(Some("d"), None).await.unwrap();
    let (_, output) = world.call("daemon.renewToken", &new.api_key, &Value::Null).await;
    let token = output["presenceToken"].as_str().unwrap().to_owned();
    drop(open_url(world.relay.relay_url(), &token).await.unwrap());
    admin.revoke_daemon("d").await.unwrap();
    let mut config = relay_config(world.control.api_url());
    config.shared_secret = Some(SharedSecret::new(SECRET));
    let second = Relay::builder().config(config).start().await.unwrap();
    let start = Instant::now();
    while open_url(second.relay_url(), &token).await.err() != Some(403) {
        assert!(start.elapsed().as_secs() < 5, "the revocation arrives");
    }
}

#[tokio::test]
async fn redeeming_asks_the_relay_whether_the_daemon_is_there() {
    let world = apart().await;
    let admin = world.control.admin();
    let new = admin.add_daemon(Some("d"), None).await.unwrap();
    let redeem = async |code: &str| world.call("quickConnect.redeem", "", &json!({ "code": code })).await;
    let code = admin.add_code("d", 60).await.unwrap().code;
    assert_eq!(redeem(&code).await.0, 409);
    assert_eq!(redeem(&code).await.0, 404, "it is used up");
    let _daemon = world.daemon(&new.api_key).await;
    let code = admin.add_code("d", 60).await.unwrap().code;
    assert_eq!(redeem(&code).await.0, 200);
}

#[tokio::test]
async fn a_code_stays_good_while_the_relay_cannot_be_asked() {
    let world = apart().await;
    let admin = world.control.admin();
    admin.add_daemon(Some("d"), None).await.unwrap();
    let code = admin.add_code("d", 60).await.unwrap().code;
    let Apart { control, relay, _data } = world;
    relay.shutdown().await;
    let authority = control.api_url().strip_prefix("http://").unwrap();
    let body = json!({ "code": code }).to_string();
    for _ in 0..2 {
        let reply = request(authority, "POST", "/api/trpc/quickConnect.redeem", None, &body).await;
        assert_eq!(reply.error(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    }
}

fn daemon_token(issuer: &Issuer, kid: &str, seed: u8) -> String {
    sign(kid, seed, "sbrp-relay+jwt", &Claims::daemon(&issuer.url, "d").0)
}

#[tokio::test]
async fn a_key_set_is_fetched_once_for_many() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    let relay = Relay::builder().config(relay_config(&issuer.url)).start().await.unwrap();
    for _ in 0..20 {
        drop(open_url(relay.relay_url(), &daemon_token(&issuer, "a", 1)).await.unwrap());
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_at_once() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    let relay = Relay::builder().config(relay_config(&issuer.url)).start().await.unwrap();
    open_url(relay.relay_url(), &daemon_token(&issuer, "a", 1)).await.unwrap();
    issuer.set_keys(&[jwk("b", 2)]);
    open_url(relay.relay_url(), &daemon_token(&issuer, "b", 2)).await.unwrap();
    assert_eq!(open_url(relay.relay_url(), &daemon_token(&issuer, "a", 1)).await.err(), Some(401), "it is withdrawn");
}

#[tokio::test]
async fn unknown_keys_do_not_make_requests_without_end() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    let relay = Relay::builder().config(relay_config(&issuer.url)).start().await.unwrap();
    for n in 0..50 {
        let token = daemon_token(&issuer, &format!("unknown-{n}"), 1);
        assert_eq!(open_url(relay.relay_url(), &token).await.err(), Some(401));
    }
    assert!(issuer.requests() <= 7, "{} requests", issuer.requests());
    open_url(relay.relay_url(), &daemon_token(&issuer, "a", 1)).await.expect("known ones are still good");
}

#[tokio::test]
async fn without_a_key_set_nobody_is_let_in() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    issuer.set(500, "");
    let relay = Relay::builder().config(relay_config(&issuer.url)).start().await.unwrap();
    let token = daemon_token(&issuer, "a", 1);
    assert_eq!(open_url(relay.relay_url(), &token).await.err(), Some(503));
    issuer.set(200, "nonsense");
    assert_eq!(open_url(relay.relay_url(), &token).await.err(), Some(503));
    issuer.set_keys(&[jwk("a", 1)]);
    let start = Instant::now();
    while open_url(relay.relay_url(), &token).await.is_err() {
        assert!(start.elapsed().as_secs() < 10, "it recovers");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    issuer.set(500, "");
    open_url(relay.relay_url(), &token).await.expect("an issuer that is down for a moment shuts nobody out");
}

#[tokio::test]
async fn sessions_resume_on_a_relay_apart_too() {
    let world = apart().await;
    let new = world.control.admin().add_daemon(Some("d"), None).await.unwrap();
    let user = world.control.admin().add_user(None).await.unwrap();
    let mut daemon = world.daemon(&new.api_key).await;
    let mut client = world.client(&user.access_token).await;
    exchange(&mut daemon, &mut client).await;
    assert!(world.relay.disconnect_daemon("d").await);
    client.expect(ControlCode::SESSION_PAUSED).await;
    let mut daemon = world.daemon(&new.api_key).await;
    client.expect(ControlCode::SESSION_PENDING).await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    exchange(&mut daemon, &mut client).await;
}
