//! What survives: a kill at any moment, a locked database, a broken one.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use sideband_relay::{Admin, Relay, config::Config};

use crate::support::{exchange, http_metric, open_url, request, session_client, try_request};

struct Served {
    child: Child,
    authority: String,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sideband-relay"))
            .env_clear()
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .args(["--set", "limits.requests_per_second=0", "--set", "limits.code_attempts_per_minute=0"])
            .args(["--set", "log.level=error"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).expect("it starts");
        let authority = urls["apiUrl"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, authority }
    }

    /// Like a power cut, as far as the process is concerned.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What the relay has answered for.
#[derive(Default)]
struct Ledger {
    daemons: Vec<(String, String)>,
    revoked: Vec<String>,
    codes: Vec<String>,
}

impl Ledger {
    /// Makes daemons and codes and revokes daemons until the relay no longer answers. What was not
    /// answered may or may not have happened, and is not written down.
    async fn write(authority: String, admin: String, round: usize) -> Self {
        let mut ledger = Self::default();
        for count in 0.. {
            let id = format!("d-{round}-{count}");
            let body = json!({ "daemonId": id }).to_string();
            let Some(reply) = try_request(&authority, "POST", "/admin/daemons", Some(&admin), &body).await else {
                break;
            };
            let key = reply.json()["apiKey"].as_str().expect("it is made").to_owned();
            if count % 3 == 0 {
                let path = format!("/admin/daemons/{id}");
                if try_request(&authority, "DELETE", &path, Some(&admin), "").await.is_none() {
                    break;
                }
                ledger.revoked.push(key);
                continue;
            }
            ledger.daemons.push((id, key.clone()));
            let path = "/api/trpc/quickConnect.create";
            let Some(reply) = try_request(&authority, "POST", path, Some(&key), "{}").await else {
                break;
            };
            ledger.codes.push(reply.output()["code"].as_str().unwrap().to_owned());
        }
        ledger
    }

    /// Whether everything is there. Codes are used up by asking.
    async fn check(&mut self, authority: &str) {
        let renew =
            async |key: &str| request(authority, "POST", "/api/trpc/daemon.renewToken", Some(key), "null").await.status;
        for (id, key) in &self.daemons {
            assert_eq!(renew(key).await, 200, "{id}");
        }
        for key in &self.revoked {
            assert_eq!(renew(key).await, 401, "a revoked daemon's key");
        }
        for code in self.codes.drain(..) {
            let body = json!({ "code": code }).to_string();
            let reply = request(authority, "POST", "/api/trpc/quickConnect.redeem", None, &body).await;
            assert_eq!(reply.status, 409, "the code is known, and the daemon offline");
        }
    }

    fn add(&mut self, other: Self) {
        self.daemons.extend(other.daemons);
        self.revoked.extend(other.revoked);
        self.codes.extend(other.codes);
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let token = Admin::open(directory.path()).unwrap().set_admin_token().await.unwrap();
    let mut ledger = Ledger::default();
    let mut signing = None;
    for round in 0..6 {
        let served = Served::start(directory.path());
        let jwks = request(&served.authority, "GET", "/.well-known/jwks.json", None, "").await.json();
        assert_eq!(*signing.get_or_insert(jwks.clone()), jwks, "the signing key is the same after every kill");
        ledger.check(&served.authority).await;
        let writing = tokio::spawn(Ledger::write(served.authority.clone(), token.clone(), round));
        // Some other moment in every round.
        tokio::time::sleep(Duration::from_millis(150 + 70 * round as u64)).await;
        served.kill();
        ledger.add(writing.await.unwrap());
    }
    let served = Served::start(directory.path());
    ledger.check(&served.authority).await;
    assert!(ledger.daemons.len() > 10 && ledger.revoked.len() > 5, "much was written");
    served.kill();
}

#[tokio::test]
async fn a_locked_database_refuses_writes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::with_data_dir(directory.path());
    config.limits = config.limits.without_rates();
    config.open_metrics = true;
    let relay = Relay::builder().config(config).start().await.unwrap();
    let new = relay.admin().add_daemon(Some("d"), None).await.unwrap();
    let user = relay.admin().add_user(None).await.unwrap();
    let authority = relay.api_url().strip_prefix("http://").unwrap().to_owned();
    let post = async |path: &str, bearer: &str, body: Value| {
        request(&authority, "POST", path, Some(bearer), &body.to_string()).await
    };
    let presence = post("/api/trpc/daemon.renewToken", &new.api_key, Value::Null).await.output();
    let mut daemon = open_url(relay.relay_url(), presence["presenceToken"].as_str().unwrap()).await.unwrap();

    let other = rusqlite::Connection::open(directory.path().join("relay.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = post("/api/trpc/quickConnect.create", &new.api_key, json!({})).await;
    assert_eq!(refused.error(), (503, "SERVICE_UNAVAILABLE".to_owned()));
    assert!(http_metric(&authority, "sideband_relay_store_errors_total").await >= 1.0);
    // Tokens, connections and frames go on.
    assert_eq!(post("/api/trpc/daemon.renewToken", &new.api_key, Value::Null).await.status, 200);
    let session = post("/api/trpc/relay.createSession", &user.access_token, json!({ "daemonId": "d" })).await;
    let mut client = session_client(relay.relay_url(), session.output()["token"].as_str().unwrap()).await;
    exchange(&mut daemon, &mut client).await;
    assert_eq!(request(&authority, "GET", "/readyz", None, "").await.status, 200);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(post("/api/trpc/quickConnect.create", &new.api_key, json!({})).await.status, 200);
}
