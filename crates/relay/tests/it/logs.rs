//! Log lines: structured, with the connection's number, and never with a secret.

use serde_json::{Value, json};
use sideband_relay::Admin;

use crate::support::{open_url, process::Served, request};

/// Runs a relay through a little of everything, and returns its log and the secrets it met.
async fn log_of(format: &str) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::open(directory.path()).unwrap();
    let daemon = admin.add_daemon(Some("d"), None).await.unwrap();
    let user = admin.add_user(None).await.unwrap();
    let admin_token = admin.set_admin_token().await.unwrap();
    let code = admin.add_code("d", 60).await.unwrap().code;
    let path = directory.path().to_str().unwrap();
    let format = format!("log.format={format}");
    let log = ["--set", "log.level=debug", "--set", &format];
    let served = Served::start(&[&["--listen", "127.0.0.1:0", "--data-dir", path], &log[..]].concat());
    let relay_url = served.relay_url();
    let authority = served.authority();
    let mut secrets = vec![daemon.api_key.clone(), user.access_token.clone(), admin_token.clone(), code.clone()];
    let post = async |path: &str, bearer: &str, body: Value| {
        request(authority, "POST", path, Some(bearer), &body.to_string()).await.json()["result"]["data"].clone()
    };

    let presence = post("/api/trpc/daemon.renewToken", &daemon.api_key, Value::Null).await;
    let presence = presence["presenceToken"].as_str().unwrap().to_owned();
    let mut daemon_peer = open_url(relay_url, &presence).await.unwrap();
    let session = post("/api/trpc/relay.createSession", &user.access_token, json!({ "daemonId": "d" })).await;
    let session = session["token"].as_str().unwrap().to_owned();
    let mut client = open_url(relay_url, &session).await.unwrap();
    let redeemed = post("/api/trpc/quickConnect.redeem", "", json!({ "code": code })).await;
    secrets.extend([presence.clone(), session, redeemed["token"].as_str().unwrap().to_owned()]);
    // What is refused is logged, too.
    let bad = format!("{presence}x");
    assert_eq!(open_url(relay_url, &bad).await.err(), Some(401));
    post("/api/trpc/daemon.renewToken", "sbnd_dak_wrong-and-secret", Value::Null).await;
    post("/api/trpc/quickConnect.redeem", "", json!({ "code": "zzzz-zzzz-zzzz" })).await;
    // What a browser does, and what somebody does who takes the "#" away.
    let created = post("/api/trpc/quickConnect.create", &daemon.api_key, json!({})).await;
    let (page, fragment) = created["url"].as_str().unwrap().split_once('#').unwrap();
    let path = page.strip_prefix("http://").unwrap().strip_prefix(authority).unwrap();
    assert_eq!(request(authority, "GET", path, None, "").await.status, 200);
    assert_eq!(request(authority, "GET", &format!("{path}/{fragment}"), None, "").await.status, 404);
    assert_eq!(request(authority, "GET", &format!("{path}?{fragment}"), None, "").await.status, 200);
    secrets.push(fragment.to_owned());
    request(authority, "GET", "/admin/sessions", Some(&admin_token), "").await;
    request(authority, "GET", "/admin/sessions", Some("guessed-admin-token"), "").await;
    secrets.extend(
        ["sbnd_dak_wrong-and-secret", "zzzz-zzzz-zzzz", "guessed-admin-token", "payload-of-a-frame"].map(str::to_owned),
    );
    client.send(crate::support::frame(0x02, 1, b"payload-of-a-frame")).await;
    daemon_peer.send(crate::support::frame(0x55, 1, b"payload-of-a-frame")).await;
    client.expect_eventual_close(1008).await;
    daemon_peer.expect_eventual_close(1008).await;
    served.signal("-TERM");
    let (status, log) = served.wait();
    assert!(status.success());
    (log, secrets)
}

fn assert_no_secret(log: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log:\n{log}");
        // Nor a part of a token that lets anybody in.
        for part in secret.split('.').filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{part} is in the log:\n{log}");
        }
    }
}

#[tokio::test]
async fn json_lines_have_connection_numbers_and_no_secret() {
    let (log, secrets) = log_of("json").await;
    assert_no_secret(&log, &secrets);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    let (connected, disconnected) = (of("connected"), of("disconnected"));
    assert_eq!((connected.len(), disconnected.len()), (2, 2), "{log}");
    assert_eq!((&connected[0]["role"], &connected[0]["daemon"]), (&json!("daemon"), &json!("d")));
    assert_eq!(connected[0]["address"], "127.0.0.1");
    for line in connected {
        let number = &line["conn"];
        assert!(number.is_u64());
        let end = disconnected.iter().find(|line| &line["conn"] == number).expect("its end is logged");
        assert_eq!(end["how"], "closed with 1008");
    }
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()));
}

#[tokio::test]
async fn text_lines_have_no_secret_either() {
    let (log, secrets) = log_of("text").await;
    assert_no_secret(&log, &secrets);
    assert!(log.contains("connected") && log.contains("conn=") && log.contains("shutting down"), "{log}");
}
