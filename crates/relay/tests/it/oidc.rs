//! Access tokens of an OIDC issuer.

use serde_json::{Value, json};
use sideband_relay::{
    Relay, RunningRelay,
    config::{Config, OidcConfig},
};

use crate::support::{
    issuer::{Issuer, jwk, sign},
    request,
};

async fn start(issuer: &Issuer) -> RunningRelay {
    let mut config = Config::dev();
    config.oidc = Some(OidcConfig {
        issuer: "https://login.test".to_owned(),
        jwks_url: issuer.url.parse().unwrap(),
        audience: "sideband".to_owned(),
        daemons_claim: "daemons".to_owned(),
    });
    let relay = Relay::builder().config(config).start().await.unwrap();
    for id in ["one", "two"] {
        relay.add_daemon(Some(id)).await.unwrap();
    }
    relay
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({ "iss": "https://login.test", "aud": ["other", "sideband"], "sub": "anna", "exp": now() + 60, "daemons": ["one"] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

async fn session(relay: &RunningRelay, token: &str, daemon: &str) -> u16 {
    let authority = relay.api_url().strip_prefix("http://").unwrap();
    let body = json!({ "daemonId": daemon }).to_string();
    request(authority, "POST", "/api/trpc/relay.createSession", Some(token), &body).await.status
}

#[tokio::test]
async fn a_users_token_reaches_the_daemons_it_lists() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    let relay = start(&issuer).await;
    let token = sign("a", 1, "JWT", &claims());
    assert_eq!(session(&relay, &token, "one").await, 200);
    assert_eq!(session(&relay, &token, "two").await, 403);
    assert_eq!(session(&relay, &token, "nobody").await, 404);
    let all = sign("a", 1, "JWT", &with("daemons", json!("*")));
    assert_eq!(session(&relay, &all, "two").await, 200);
    let words = sign("a", 1, "JWT", &with("daemons", json!("x two")));
    assert_eq!(session(&relay, &words, "two").await, 200);
    assert_eq!(session(&relay, relay.access_token(), "two").await, 200, "the control plane's own are still good");
}

#[tokio::test]
async fn what_is_not_good_is_refused() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    let relay = start(&issuer).await;
    let signed = |claims: &Value| sign("a", 1, "JWT", claims);
    let mut without_exp = claims();
    without_exp.as_object_mut().unwrap().remove("exp");
    let bad = [
        signed(&with("iss", json!("https://else.test"))),
        signed(&with("aud", json!("other"))),
        signed(&with("aud", json!(["sidebandx"]))),
        signed(&with("exp", json!(now() - 31))),
        signed(&with("exp", json!("soon"))),
        signed(&with("nbf", json!(now() + 60))),
        signed(&with("sub", json!(""))),
        signed(&without_exp),
        sign("a", 2, "JWT", &claims()),
        sign("b", 1, "JWT", &claims()),
        "a.b.c".to_owned(),
        String::new(),
        "x".repeat(13_000),
    ];
    for (number, token) in bad.iter().enumerate() {
        assert_eq!(session(&relay, token, "one").await, 401, "token {number}");
    }
    let token = signed(&with("daemons", Value::Null));
    assert_eq!(session(&relay, &token, "one").await, 403, "no claim, no daemon");
}

#[tokio::test]
async fn without_the_issuers_keys_the_answer_is_503() {
    let issuer = Issuer::start(&[jwk("a", 1)]).await;
    issuer.set(404, "");
    let relay = start(&issuer).await;
    assert_eq!(session(&relay, &sign("a", 1, "JWT", &claims()), "one").await, 503);
    assert_eq!(session(&relay, relay.access_token(), "one").await, 200);
}
