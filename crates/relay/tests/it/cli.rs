//! The program: what it prints, how it ends.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{open_url, request};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sideband-relay"));
    command.env_clear();
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Runs a command that succeeds and prints JSON.
fn admin(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = program().args(arguments).args(["--json", "--data-dir"]).arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that fails with that code and one line.
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(output.stdout.is_empty());
    line
}

struct Served {
    child: Child,
    urls: Value,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let mut child = program().args(["serve", "--json"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, urls: serde_json::from_str(&line).expect(&line) }
    }

    fn text(&self, name: &str) -> &str {
        self.urls[name].as_str().unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Already gone is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn serve_dev_prints_what_is_needed_and_ends_on_sigterm() {
    let mut served = Served::start(&["--dev"]);
    let names = ["relayUrl", "apiUrl", "daemonId", "apiKey", "accessToken", "adminToken"];
    assert!(names.iter().all(|name| served.urls[name].is_string()), "{}", served.urls);
    let authority = served.text("apiUrl").strip_prefix("http://").unwrap();
    let reply = request(authority, "POST", "/api/trpc/daemon.renewToken", Some(served.text("apiKey")), "null").await;
    let token = reply.output()["presenceToken"].as_str().unwrap().to_owned();
    let mut daemon = open_url(served.text("relayUrl"), &token).await.unwrap();
    served.signal("-TERM");
    daemon.expect_close(1012).await;
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn serve_dev_ends_on_sigint_too() {
    let mut served = Served::start(&["--dev", "--port", "0"]);
    served.signal("-INT");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn from_an_empty_directory_to_a_connected_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let served = Served::start(&["--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()]);
    let daemon = admin(&data_dir, &["daemon", "add", "my-daemon"]);
    let user = admin(&data_dir, &["user", "add", "--daemon", "my-daemon"]);
    let authority = served.text("apiUrl").strip_prefix("http://").unwrap();
    let key = daemon["apiKey"].as_str();
    let reply = request(authority, "POST", "/api/trpc/daemon.renewToken", key, "null").await;
    let token = reply.output()["presenceToken"].as_str().unwrap().to_owned();
    let mut daemon = open_url(served.text("relayUrl"), &token).await.unwrap();
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
}

#[test]
fn an_unusable_start_fails_with_2_and_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("bad.toml"), "data_dir = 'x'\nunknown = 1").unwrap();
    std::fs::write(path("file"), "x").unwrap();
    assert!(fails(2, &["serve"]).contains("data_dir is missing"));
    assert!(fails(2, &["serve", "--config", &path("none.toml")]).contains("none.toml"));
    assert!(fails(2, &["serve", "--config", &path("bad.toml")]).contains("unknown"));
    assert!(fails(2, &["serve", "--data-dir", &path("file"), "--listen", "127.0.0.1:0"]).contains("file"));
    assert!(fails(2, &["serve", "--data-dir", &path("d"), "--listen", "0.0.0.0:0"]).contains("relay_url"));
    assert!(fails(2, &["serve", "--dev", "--data-dir", &path("d")]).contains("--dev"));
    assert!(fails(2, &["daemon", "list"]).contains("data_dir is missing"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(fails(2, &["serve", "--data-dir", &path("d"), "--listen", &address]).contains(&address));
}

#[test]
fn check_config_says_whether_it_is_good() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.toml");
    std::fs::write(&path, "data_dir = '/var/lib/sideband-relay'").unwrap();
    let path = path.to_str().unwrap();
    assert!(run(&["check-config", "--config", path]).status.success());
    fails(2, &["check-config", "--config", path, "--set", "limits.grace_seconds=-1"]);
    let output = program().args(["check-config", "--config", path]).env("SIDEBAND_RELAY_X", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!directory.path().join("sideband-relay").exists(), "nothing was started or made");
}
