//! Tokens: the vectors, in the order of the checks, and what becomes of them at the door.

use ed25519_dalek::VerifyingKey;
use serde_json::{Value, json};
use sideband_protocol::sbrp::SessionId;
use sideband_relay::token::{Claims, Jwks, Refusal, Role, Unverified, Verifier, VerifyingKeys};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{self, TestRelay, vectors};

struct Setting {
    keys: VerifyingKeys,
    verifier: Verifier,
    now: u64,
}

impl Setting {
    fn new(file: &Value) -> Self {
        let jwks: Jwks = serde_json::from_value(file["jwks"].clone()).unwrap();
        let text = |name: &str| file["relay"][name].as_str().unwrap().to_owned();
        Self {
            keys: VerifyingKeys::from(&jwks),
            verifier: Verifier { issuer: text("iss"), region: Some(text("region")) },
            now: file["relay"]["now"].as_u64().unwrap(),
        }
    }

    fn key(&self, kid: &str) -> Result<&VerifyingKey, Refusal> {
        self.keys.get(kid).ok_or(Refusal::Kid)
    }

    fn verify(&self, entry: &Value, now: u64) -> Result<Claims, Refusal> {
        let token = Unverified::parse(entry["token"].as_str().unwrap())?;
        token.verify(self.key(token.kid())?, &self.verifier, now)
    }
}

type Spoil = fn(support::Claims) -> support::Claims;

fn today() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn allowed(entry: &Value, name: &str, or: &str) -> Vec<Value> {
    let mut all = vec![entry[name].clone()];
    all.extend(entry[or].as_array().into_iter().flatten().cloned());
    all
}

#[test]
fn good_tokens_of_the_vectors() {
    let file = vectors("tokens.json");
    let setting = Setting::new(&file);
    for entry in file["good"].as_array().unwrap() {
        let what = &entry["what"];
        let clocks = if entry["clock"] == true { vec![setting.now] } else { vec![setting.now, today()] };
        for now in clocks {
            let claims = match setting.verify(entry, now) {
                Ok(claims) => claims,
                Err(refusal) => {
                    assert!(allowed(entry, "check", "or").contains(&json!(refusal.name())), "{what}: {refusal}");
                    continue;
                }
            };
            let session = entry["sessionId"].as_str().map(|id| SessionId::new(id.parse().unwrap()).unwrap());
            let role = session.map_or(Role::Daemon, |session| Role::Client { session });
            assert_eq!(claims.role, role, "{what}");
            assert_eq!(claims.daemon_id, entry["did"].as_str().unwrap(), "{what}");
            assert_eq!(claims.resume, entry["resume"].as_bool().unwrap(), "{what}");
        }
    }
}

#[test]
fn bad_tokens_of_the_vectors_are_refused_by_the_check_named() {
    let file = vectors("tokens.json");
    let setting = Setting::new(&file);
    for entry in file["bad"].as_array().unwrap() {
        let what = &entry["what"];
        let clocks = if entry["clock"] == true { vec![setting.now] } else { vec![setting.now, today()] };
        for now in clocks {
            let refusal = setting.verify(entry, now).expect_err(&what.to_string());
            let (checks, statuses) = (allowed(entry, "check", "or"), allowed(entry, "status", "orStatus"));
            assert!(checks.contains(&json!(refusal.name())), "{what}: {} is not of {checks:?}", refusal.name());
            assert!(statuses.contains(&json!(refusal.status())), "{what}: {} is not of {statuses:?}", refusal.status());
        }
    }
}

#[test]
fn session_ids_of_the_vectors() {
    for entry in vectors("tokens.json")["sids"].as_array().unwrap() {
        let session = entry["sid"].as_str().and_then(SessionId::from_base64url);
        let expected = entry["sessionId"].as_str().map(|id| id.parse::<u64>().unwrap());
        let or = entry["or"].as_array().is_some_and(|or| or.contains(&json!(session.map(|it| it.get().to_string()))));
        assert!(session.map(SessionId::get) == expected || or, "{}", entry["what"]);
    }
}

#[test]
fn of_two_faults_the_earlier_check_decides() {
    let file = vectors("tokens.json");
    let setting = Setting::new(&file);
    let base = support::Claims::client("https://issuer.test", "d", SessionId::new(1).unwrap());
    // Each spoils one claim; in the order of the checks.
    let spoils: [(&str, Spoil); 12] = [
        ("aud", |it| it.set("aud", json!("x"))),
        ("iss", |it| it.set("iss", json!("x"))),
        ("iat/exp", |it| it.set("iat", json!("x"))),
        ("expired", |it| it.set("exp", json!(1))),
        ("ver", |it| it.set("ver", json!(2))),
        ("role", |it| it.set("role", json!("x"))),
        ("did", |it| it.set("did", json!(""))),
        ("sub", |it| it.set("sub", json!(""))),
        ("sid", |it| it.set("sid", json!("x"))),
        ("region", |it| it.set("region", json!("x"))),
        ("scp", |it| it.set("scp", json!([]))),
        ("lim", |it| it.set("lim", json!(0))),
    ];
    let keys = VerifyingKeys::from(&support::test_keys());
    for (at, (name, _)) in spoils.iter().enumerate() {
        // This one and everything behind it is bad; a role or a time that is bad hides no earlier one.
        let claims = spoils[at..].iter().rev().fold(base.clone(), |claims, (_, spoil)| spoil(claims));
        let token = claims.sign();
        let token = Unverified::parse(&token).unwrap();
        let refusal = token.verify(keys.get(token.kid()).unwrap(), &setting.verifier, today()).unwrap_err();
        assert_eq!(refusal.name(), *name);
    }
}

#[tokio::test]
async fn no_token_and_bad_tokens_are_refused_before_the_upgrade() {
    let relay = TestRelay::start().await;
    let client = relay.client_claims(SessionId::new(7).unwrap());
    assert_eq!(relay.open("").await.err(), Some(401));
    assert_eq!(relay.open("a.b.c").await.err(), Some(401));
    assert_eq!(relay.open(&client.clone().set("exp", json!(1)).sign()).await.err(), Some(401));
    assert_eq!(relay.open(&client.clone().set("iss", json!("https://else.where")).sign()).await.err(), Some(401));
    assert_eq!(relay.open(&client.clone().set("region", json!("mars")).sign()).await.err(), Some(403));
    assert_eq!(relay.open(&client.clone().set("scp", json!([])).sign()).await.err(), Some(403));
    let mut token = client.sign();
    token.pop();
    assert_eq!(relay.open(&token).await.err(), Some(401));
}

#[tokio::test]
async fn tokens_of_the_vectors_are_nobodys_here() {
    let relay = TestRelay::start().await;
    let file = vectors("tokens.json");
    for entry in file["bad"].as_array().unwrap().iter().chain(file["good"].as_array().unwrap()) {
        let status = relay.open(entry["token"].as_str().unwrap()).await.err();
        assert_eq!(status, Some(401), "{}", entry["what"]);
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_served_here_gets_403() {
    let relay = TestRelay::start().await;
    let claims = relay.daemon_claims().set("did", json!("d_nobody"));
    assert_eq!(relay.open(&claims.sign()).await.err(), Some(403));
}

#[tokio::test]
async fn the_authorization_header_wins_over_the_query() {
    let relay = TestRelay::start().await;
    let good = relay.daemon_claims().sign();
    let open = async |query: &str, header: &str| {
        let mut request = format!("{}/?token={query}", relay.relay.relay_url()).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {header}").parse().unwrap());
        support::open(relay.authority(), request).await.map(drop)
    };
    assert_eq!(open("bad", &good).await, Ok(()));
    assert_eq!(open(&good, "bad").await, Err(401));
}

#[tokio::test]
async fn other_parameters_of_the_query_do_not_matter() {
    let relay = TestRelay::start().await;
    let token = relay.daemon_claims().sign();
    let url = format!("{}/?a=b&token={token}&token=second&c", relay.relay.relay_url());
    support::open(relay.authority(), url.into_client_request().unwrap()).await.expect("let in");
}

#[tokio::test]
async fn a_request_that_is_no_websocket_opening_is_told_so() {
    let relay = TestRelay::start().await;
    let reply = relay.get("/", None).await;
    assert_eq!(reply.status, 426);
    assert!(reply.head.to_lowercase().contains("upgrade: websocket"), "{}", reply.head);
    assert_eq!(relay.get("/nowhere", None).await.status, 404);
}
