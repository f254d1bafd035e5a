//! The program: what it prints, how it ends.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    open_url,
    process::{Served, fails, program},
    request,
};

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Runs a command that succeeds and prints JSON.
fn admin(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = program().args(arguments).args(["--json", "--data-dir"]).arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn serve_dev_prints_what_is_needed_and_ends_on_sigterm() {
    let served = Served::start(&["--dev"]);
    let names = ["relayUrl", "apiUrl", "daemonId", "apiKey", "accessToken", "adminToken"];
    for name in names {
        assert!(!served.text(name).is_empty(), "{name}");
    }
    let reply =
        request(served.authority(), "POST", "/api/trpc/daemon.renewToken", Some(served.text("apiKey")), "null").await;
    let token = reply.output()["presenceToken"].as_str().unwrap().to_owned();
    let mut daemon = open_url(served.relay_url(), &token).await.unwrap();
    served.signal("-TERM");
    daemon.expect_close(1012).await;
    assert_eq!(served.wait().0.code(), Some(0));
}

#[test]
fn serve_dev_prints_a_line_for_the_shell() {
    let mut child =
        program().args(["serve", "--dev", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find_map(|line| line.strip_prefix("  export ").map(str::to_owned)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let names: Vec<_> = line.split(' ').map(|each| each.split_once('=').unwrap().0).collect();
    let expected = ["RELAY_URL", "API_URL", "DAEMON_ID", "API_KEY", "ACCESS_TOKEN"];
    assert_eq!(names, expected.map(|name| format!("SIDEBAND_{name}")));
    assert!(
        line.chars().all(|each| each.is_ascii_alphanumeric() || "=_-:/. ".contains(each)),
        "needs no quotes: {line}"
    );
}

#[test]
fn serve_dev_ends_on_sigint_too() {
    let served = Served::start(&["--dev", "--port", "0"]);
    served.signal("-INT");
    assert_eq!(served.wait().0.code(), Some(0));
}

#[tokio::test]
async fn from_an_empty_directory_to_a_connected_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let served = Served::start(&["--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()]);
    let daemon = admin(&data_dir, &["daemon", "add", "my-daemon"]);
    let user = admin(&data_dir, &["user", "add", "--daemon", "my-daemon"]);
    let authority = served.authority();
    let key = daemon["apiKey"].as_str();
    let reply = request(authority, "POST", "/api/trpc/daemon.renewToken", key, "null").await;
    let token = reply.output()["presenceToken"].as_str().unwrap().to_owned();
    let mut daemon = open_url(served.relay_url(), &token).await.unwrap();
    daemon.expect_alive().await;
    let access = user["accessToken"].as_str();
    let body = json!({ "daemonId": "my-daemon" }).to_string();
    assert_eq!(request(authority, "POST", "/api/trpc/relay.createSession", access, &body).await.status, 200);
    let code = admin(&data_dir, &["quick-connect", "create", "my-daemon", "--ttl", "60"]);
    let body = json!({ "code": code["code"] }).to_string();
    assert_eq!(request(authority, "POST", "/api/trpc/quickConnect.redeem", None, &body).await.status, 200);
    admin(&data_dir, &["daemon", "revoke", "my-daemon"]);
    daemon.expect_control(sideband_protocol::sbrp::ControlCode::UNAUTHORIZED, 0).await;
}

#[test]
fn admin_commands_print_and_list() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    admin(path, &["daemon", "add", "a", "--max-sessions", "3"]);
    admin(path, &["daemon", "add", "b"]);
    let rotated = admin(path, &["daemon", "rotate-key", "b"]);
    assert!(rotated["apiKey"].as_str().unwrap().starts_with("sbnd_dak_"));
    admin(path, &["daemon", "revoke", "b"]);
    let list = admin(path, &["daemon", "list"]);
    assert_eq!((&list[0]["daemonId"], &list[0]["maxSessions"]), (&json!("a"), &json!(3)));
    assert!(list[0]["revokedAt"].is_null() && list[1]["revokedAt"].is_number());
    let user = admin(path, &["user", "add", "--all-daemons"]);
    let id = user["userId"].as_str().unwrap();
    admin(path, &["user", "token", id, "--days", "30"]);
    assert_eq!(admin(path, &["user", "list"])[0]["daemonIds"], json!(["*"]));
    admin(path, &["user", "revoke", id]);
    let kid = admin(path, &["keys", "rotate"]);
    assert_eq!(admin(path, &["keys", "list"]).as_array().unwrap().last().unwrap()["kid"], kid["kid"]);
    assert!(admin(path, &["admin-token"])["adminToken"].is_string());
    for list in [["daemon", "list"], ["user", "list"], ["keys", "list"]] {
        let output = run(&[list[0], list[1], "--data-dir", path.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.lines().count() >= 2, "{text}");
    }
}

#[test]
fn commands_that_cannot_be_carried_out_fail_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    admin(directory.path(), &["daemon", "add", "a"]);
    for arguments in [
        ["daemon", "add", "a"].as_slice(),
        &["daemon", "add", "no spaces"],
        &["daemon", "revoke", "b"],
        &["daemon", "rotate-key", "b"],
        &["user", "revoke", "u_nobody"],
        &["user", "token", "u_nobody"],
        &["quick-connect", "create", "b"],
        &["quick-connect", "create", "a", "--ttl", "301"],
        &["user", "add", "--daemon", "no spaces"],
    ] {
        fails(1, &[arguments, &["--data-dir", path]].concat());
    }
    // A user is for daemons that are there: a typing error would be found by the client only.
    admin(directory.path(), &["daemon", "add", "gone"]);
    admin(directory.path(), &["daemon", "revoke", "gone"]);
    for none in ["b", "gone"] {
        let line = fails(1, &["user", "add", "--daemon", "a", "--daemon", none, "--data-dir", path]);
        assert!(line.contains(&format!("there is no daemon {none}")), "{line}");
    }
    assert_eq!(admin(directory.path(), &["user", "list"]), json!([]), "no user was made");
    // A token that never is good is a mistake.
    let user = admin(directory.path(), &["user", "add", "--daemon", "a"]);
    let output = run(&["user", "token", user["userId"].as_str().unwrap(), "--days", "0", "--data-dir", path]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn check_config_says_whether_it_is_good() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.toml");
    std::fs::write(&path, "data_dir = '/var/lib/sideband-relay'").unwrap();
    let path = path.to_str().unwrap();
    assert!(run(&["check-config", "--config", path]).status.success());
    fails(2, &["check-config", "--config", path, "--set", "limits.grace_seconds=-1"]);
    let with =
        |variable| program().args(["check-config", "--config", path]).env(variable, "1").output().unwrap().status;
    assert_eq!(with("SIDEBAND_RELAY_X").code(), Some(2));
    // What the example programs have in their environment is no setting.
    assert!(with("SIDEBAND_RELAY_URL").success());
    // With everything that it can look at.
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = write("cert.pem", pair.cert.pem());
    let key = write("key.pem", pair.signing_key.serialize_pem());
    let data_dir = directory.path().join("data");
    let authorities = format!("ca_file={certificate}");
    let output = run(&[
        "check-config",
        "--data-dir",
        data_dir.to_str().unwrap(),
        "--tls-certificate",
        &certificate,
        "--tls-key",
        &key,
        "--set",
        &authorities,
        "--set",
        "metrics_listen=127.0.0.1:9090",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"The configuration is good.\n");
    assert!(!data_dir.exists(), "nothing was started or made");
}
