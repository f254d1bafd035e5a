//! What survives: a kill at any moment, a locked database, a full disk.

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use sideband_relay::Admin;

use crate::support::{
    Peer, Reply, exchange, http_metric, open_url,
    process::{Served, program},
    request, session_client, try_request,
};

/// For a data directory, with as many requests as one likes.
fn arguments(directory: &Path) -> Vec<&str> {
    let settings = [
        "open_metrics=true",
        "limits.requests_per_second=0",
        "limits.code_attempts_per_minute=0",
        "limits.key_requests_per_second=0",
    ];
    let sets = settings.into_iter().flat_map(|setting| ["--set", setting]);
    ["--listen", "127.0.0.1:0", "--data-dir", directory.to_str().unwrap()].into_iter().chain(sets).collect()
}

fn serve(directory: &Path) -> Served {
    Served::start(&arguments(directory))
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
        let served = serve(directory.path());
        let jwks = request(served.authority(), "GET", "/.well-known/jwks.json", None, "").await.json();
        assert_eq!(*signing.get_or_insert(jwks.clone()), jwks, "the signing key is the same after every kill");
        ledger.check(served.authority()).await;
        let writing = tokio::spawn(Ledger::write(served.authority().to_owned(), token.clone(), round));
        // Some other moment in every round.
        tokio::time::sleep(Duration::from_millis(150 + 70 * round as u64)).await;
        served.kill();
        ledger.add(writing.await.unwrap());
    }
    let served = serve(directory.path());
    ledger.check(served.authority()).await;
    assert!(ledger.daemons.len() > 10 && ledger.revoked.len() > 5, "much was written");
    served.kill();
}

/// A relay with a connected daemon, and who they are.
struct World {
    served: Served,
    daemon: Peer,
    key: String,
    access: String,
}

impl World {
    async fn start(served: Served, admin: &Admin) -> Self {
        let key = admin.add_daemon(Some("d"), None).await.unwrap().api_key;
        let access = admin.add_user(None).await.unwrap().access_token;
        let reply = request(served.authority(), "POST", "/api/trpc/daemon.renewToken", Some(&key), "null").await;
        let token = reply.output()["presenceToken"].as_str().unwrap().to_owned();
        let daemon = open_url(served.relay_url(), &token).await.unwrap();
        Self { served, daemon, key, access }
    }

    async fn post(&self, procedure: &str, bearer: &str, body: &Value) -> Reply {
        let path = format!("/api/trpc/{procedure}");
        request(self.served.authority(), "POST", &path, Some(bearer), &body.to_string()).await
    }

    async fn create_code(&self) -> Reply {
        self.post("quickConnect.create", &self.key, &json!({})).await
    }

    /// A write was refused: the operator can see it, and everything else goes on.
    async fn only_writes_are_refused(&mut self, refused: &Reply) {
        assert_eq!(refused.error(), (503, "SERVICE_UNAVAILABLE".to_owned()));
        assert!(refused.head.to_lowercase().contains("retry-after"), "{}", refused.head);
        assert!(http_metric(self.served.authority(), "sideband_relay_store_errors_total").await >= 1.0);
        let line = self.served.expect_log("a request was refused because of the database");
        assert!(line.contains("ERROR") && line.contains("the database is unavailable"), "{line}");
        assert_eq!(self.post("daemon.renewToken", &self.key, &Value::Null).await.status, 200);
        let session = self.post("relay.createSession", &self.access, &json!({ "daemonId": "d" })).await.output();
        let mut client = session_client(self.served.relay_url(), session["token"].as_str().unwrap()).await;
        exchange(&mut self.daemon, &mut client).await;
        assert_eq!(request(self.served.authority(), "GET", "/readyz", None, "").await.status, 200);
    }
}

#[tokio::test]
async fn a_locked_database_refuses_writes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::open(directory.path()).unwrap();
    let mut world = World::start(serve(directory.path()), &admin).await;
    let other = rusqlite::Connection::open(directory.path().join("relay.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = world.create_code().await;
    world.only_writes_are_refused(&refused).await;
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(world.create_code().await.status, 200, "and then it works again");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::open(directory.path()).unwrap();
    // The process may not make a file longer than this, in blocks of 512 bytes.
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", script, "sh", program().get_program().to_str().unwrap(), "serve", "--json"]);
    let mut world = World::start(Served::spawn(shell.args(arguments(directory.path()))), &admin).await;
    let mut codes = Vec::new();
    let refused = loop {
        let reply = world.create_code().await;
        match reply.status {
            200 => codes.push(reply.output()["code"].as_str().unwrap().to_owned()),
            _ => break reply,
        }
        assert!(codes.len() < 10_000, "the file grows and grows");
    };
    world.only_writes_are_refused(&refused).await;
    world.served.kill();
    // What was answered for is there once there is room again.
    let served = serve(directory.path());
    let mut ledger = Ledger { codes, ..Ledger::default() };
    ledger.check(served.authority()).await;
}
