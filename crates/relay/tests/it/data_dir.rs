//! A relay on a data directory: what it remembers, and what the admin's commands do to it while it
//! runs.

use std::{path::Path, time::Instant};

use serde_json::{Value, json};
use sideband_protocol::sbrp::ControlCode;
use sideband_relay::{
    Admin, Relay, RunningRelay, StartError,
    config::Config,
    token::{Jwks, VerifyingKeys},
};

use crate::support::{Client, Peer, exchange, open_url, request, session_client};

async fn start(directory: &Path) -> RunningRelay {
    let mut config = Config::with_data_dir(directory);
    config.limits = config.limits.without_rates();
    // The same issuer after a restart, whatever the port.
    config.api_url = Some("http://relay.test".to_owned());
    Relay::builder().config(config).start().await.expect("the relay starts")
}

async fn call(relay: &RunningRelay, procedure: &str, bearer: &str, input: &Value) -> (u16, Value) {
    let authority = relay.relay_url().strip_prefix("ws://").unwrap();
    let path = format!("/api/trpc/{procedure}");
    let reply = request(authority, "POST", &path, Some(bearer), &input.to_string()).await;
    (reply.status, reply.json()["result"]["data"].clone())
}

async fn presence(relay: &RunningRelay, key: &str) -> Result<String, u16> {
    match call(relay, "daemon.renewToken", key, &Value::Null).await {
        (200, output) => Ok(output["presenceToken"].as_str().unwrap().to_owned()),
        (status, _) => Err(status),
    }
}

async fn session(relay: &RunningRelay, access: &str, daemon: &str) -> Result<String, u16> {
    match call(relay, "relay.createSession", access, &json!({ "daemonId": daemon })).await {
        (200, output) => Ok(output["token"].as_str().unwrap().to_owned()),
        (status, _) => Err(status),
    }
}

async fn open(relay: &RunningRelay, token: &str) -> Result<Peer, u16> {
    open_url(relay.relay_url(), token).await
}

async fn client(relay: &RunningRelay, token: &str) -> Client {
    session_client(relay.relay_url(), token).await
}

/// A daemon and a user's client, connected, and who they are.
struct World {
    daemon: Peer,
    client: Client,
    key: String,
    user: String,
    access: String,
}

async fn world(relay: &RunningRelay, admin: &Admin) -> World {
    let new = admin.add_daemon(Some("d"), None).await.unwrap();
    let user = admin.add_user(Some(&["d".to_owned()])).await.unwrap();
    let mut daemon = open(relay, &presence(relay, &new.api_key).await.unwrap()).await.unwrap();
    let token = session(relay, &user.access_token, "d").await.unwrap();
    let mut client = client(relay, &token).await;
    exchange(&mut daemon, &mut client).await;
    World { daemon, client, key: new.api_key, user: user.user_id, access: user.access_token }
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { key, access, .. } = world(&relay, &admin).await;
    let gone = admin.add_daemon(Some("gone"), None).await.unwrap();
    admin.revoke_daemon("gone").await.unwrap();
    let code = admin.add_code("d", 300).await.unwrap().code;
    let token = presence(&relay, &key).await.unwrap();
    relay.shutdown().await;

    let relay = start(directory.path()).await;
    let _daemon = open(&relay, &token).await.expect("an older token is still good");
    let _client = client(&relay, &session(&relay, &access, "d").await.unwrap()).await;
    assert_eq!(presence(&relay, &gone.api_key).await, Err(401));
    let (status, output) = call(&relay, "quickConnect.redeem", "", &json!({ "code": code })).await;
    assert_eq!((status, &output["daemonId"]), (200, &json!("d")));
}

#[tokio::test]
async fn revoking_a_daemon_cuts_it_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { mut daemon, mut client, key, access, .. } = world(&relay, &admin).await;
    let token = presence(&relay, &key).await.unwrap();
    admin.revoke_daemon("d").await.unwrap();
    let revoked = Instant::now();
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
    daemon.expect_control(ControlCode::UNAUTHORIZED, 0).await;
    assert!(revoked.elapsed().as_millis() < 1_000, "it took {:?}", revoked.elapsed());
    daemon.expect_close(1008).await;
    assert_eq!(presence(&relay, &key).await, Err(401));
    assert_eq!(open(&relay, &token).await.err(), Some(403), "a token from before is dead, too");
    assert_eq!(session(&relay, &access, "d").await, Err(404));
}

#[tokio::test]
async fn rotating_a_daemons_key_shuts_out_the_old_one_and_keeps_the_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { mut daemon, mut client, key, .. } = world(&relay, &admin).await;
    let old_token = presence(&relay, &key).await.unwrap();
    let new = admin.rotate_daemon_key("d").await.unwrap();
    daemon.expect_control(ControlCode::UNAUTHORIZED, 0).await;
    daemon.expect_close(1008).await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    assert_eq!(presence(&relay, &key).await, Err(401));
    assert_eq!(open(&relay, &old_token).await.err(), Some(403), "what was got with the old key is dead");
    let token = presence(&relay, &new.api_key).await.unwrap();
    let mut daemon = open(&relay, &token).await.expect("the new key's token is good at once");
    client.expect(ControlCode::SESSION_PENDING).await;
    daemon.send(crate::support::ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn a_daemon_that_is_back_with_its_new_key_before_the_old_ones_end_is_noticed_stays() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { mut daemon, .. } = world(&relay, &admin).await;
    let token = admin.set_admin_token().await.unwrap();
    let new = admin.rotate_daemon_key("d").await.unwrap();
    // At once: the relay looks for what was revoked a few times a second.
    let mut back = open(&relay, &presence(&relay, &new.api_key).await.unwrap()).await.unwrap();
    let authority = relay.relay_url().strip_prefix("ws://").unwrap();
    while !request(authority, "GET", "/metrics", Some(&token), "").await.body.contains("revocations_total 1") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    back.expect_alive().await;
    // Replaced, or shut out a moment before.
    while daemon.message_or_close().await.is_none() {}
}

#[tokio::test]
async fn revoking_a_user_cuts_the_users_clients_within_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { mut daemon, client: mut victim, user, access, .. } = world(&relay, &admin).await;
    let other = admin.add_user(None).await.unwrap();
    let mut bystander = client(&relay, &session(&relay, &other.access_token, "d").await.unwrap()).await;
    exchange(&mut daemon, &mut bystander).await;
    let token = session(&relay, &access, "d").await.unwrap();
    admin.revoke_user(&user).await.unwrap();
    let revoked = Instant::now();
    victim.peer.expect_control(ControlCode::FORBIDDEN, 0).await;
    assert!(revoked.elapsed().as_millis() < 1_000, "it took {:?}", revoked.elapsed());
    victim.peer.expect_close(1008).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, victim.session.get()).await;
    assert_eq!(session(&relay, &access, "d").await, Err(401));
    assert_eq!(open(&relay, &token).await.err(), Some(403), "a session token from before is dead, too");
    exchange(&mut daemon, &mut bystander).await;
}

#[tokio::test]
async fn a_further_token_of_a_user_is_good_and_ends_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let World { user, access, .. } = world(&relay, &admin).await;
    let lasting = admin.add_token(&user, None).await.unwrap();
    let brief = admin.add_token(&user, Some(0)).await.unwrap();
    assert!(session(&relay, &lasting.access_token, "d").await.is_ok());
    assert_eq!(session(&relay, &brief.access_token, "d").await, Err(401));
    assert!(session(&relay, &access, "d").await.is_ok());
    assert!(admin.add_token("u_nobody", None).await.is_err());
}

#[tokio::test]
async fn rotated_signing_keys_stay_published_while_their_tokens_live() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = Admin::open(directory.path()).unwrap();
    let new = admin.add_daemon(Some("d"), None).await.unwrap();
    let old_token = presence(&relay, &new.api_key).await.unwrap();
    let kid = admin.rotate_signing_key().await.unwrap();
    let authority = relay.relay_url().strip_prefix("ws://").unwrap();
    let published = loop {
        let reply = request(authority, "GET", "/.well-known/jwks.json", None, "").await;
        let jwks: Jwks = serde_json::from_str(&reply.body).unwrap();
        if VerifyingKeys::from(&jwks).get(&kid).is_some() {
            break jwks;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(published.keys.len(), 2, "the old one, too");
    drop(open(&relay, &old_token).await.expect("the old key's token is still good"));
    let token = presence(&relay, &new.api_key).await.unwrap();
    let header = token.split('.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["kid"], kid, "the new one signs");
    open(&relay, &token).await.expect("and is good");
}

#[tokio::test]
async fn the_admin_endpoints_do_the_same_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let admin = relay.admin().clone();
    let World { mut daemon, client, .. } = world(&relay, &admin).await;
    let token = Admin::open(directory.path()).unwrap().set_admin_token().await.unwrap();
    let authority = relay.relay_url().strip_prefix("ws://").unwrap();
    let list = request(authority, "GET", "/admin/daemons", Some(&token), "").await.json();
    assert_eq!((&list[0]["daemonId"], &list[0]["online"]), (&json!("d"), &json!(true)));
    let reply = request(authority, "DELETE", "/admin/daemons/d", Some(&token), "").await;
    assert_eq!(reply.status, 200);
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
    daemon.expect_control(ControlCode::UNAUTHORIZED, 0).await;
    assert_eq!(request(authority, "DELETE", "/admin/daemons/d", Some(&token), "").await.status, 404);
}

#[tokio::test]
async fn a_data_directory_serves_one_relay_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let relay = start(directory.path()).await;
    let second = Relay::builder().config(Config::with_data_dir(directory.path())).start().await;
    assert!(matches!(second.err(), Some(StartError::DataDirInUse(_))));
    relay.shutdown().await;
    start(directory.path()).await;
}

#[tokio::test]
async fn unusable_data_directories_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let fails = async |path: &Path| {
        let error = Relay::builder().config(Config::with_data_dir(path)).start().await.err().expect("it fails");
        let line = error.to_string();
        assert!(!line.contains('\n') && line.contains(&path.display().to_string()), "{line}");
        line
    };
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    fails(&file).await;
    let corrupt = directory.path().join("corrupt");
    std::fs::create_dir(&corrupt).unwrap();
    std::fs::write(corrupt.join("relay.db"), "this is not a database, it is text ".repeat(100)).unwrap();
    assert!(fails(&corrupt).await.contains("not a database"));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_data_directory() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new").join("data");
    let _relay = start(&data).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::open(directory.path()).unwrap();
    let key = admin.add_daemon(Some("d"), None).await.unwrap().api_key;
    let user = admin.add_user(None).await.unwrap().access_token;
    let code = admin.add_code("d", 60).await.unwrap().code.replace('-', "");
    let token = admin.set_admin_token().await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [&key, &user, &code, &token] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}
