//! The four procedures and the key set (section 7).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sideband_protocol::sbrp::{ControlCode, SessionId};

use crate::support::{Reply, TestRelay, exchange, request};

async fn call(relay: &TestRelay, procedure: &str, bearer: Option<&str>, input: &Value) -> Reply {
    relay.post(&format!("/api/trpc/{procedure}"), bearer, &input.to_string()).await
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn text<'a>(output: &'a Value, name: &str) -> &'a str {
    output[name].as_str().unwrap_or_else(|| panic!("{name} is no string in {output}"))
}

async fn code(relay: &TestRelay) -> String {
    let output = call(relay, "quickConnect.create", Some(relay.relay.api_key()), &json!({ "ttlSeconds": 60 })).await;
    text(&output.output(), "code").to_owned()
}

#[tokio::test]
async fn renew_token_gives_a_presence_token() {
    let relay = TestRelay::start().await;
    let output = call(&relay, "daemon.renewToken", Some(relay.relay.api_key()), &Value::Null).await.output();
    let token = text(&output, "presenceToken");
    let claims = payload(token);
    assert_eq!(claims["role"], "daemon");
    assert_eq!(claims["did"], relay.relay.daemon_id());
    assert_eq!(claims["sub"], relay.relay.daemon_id());
    assert_eq!(claims["scp"], json!(["session:resume"]));
    assert_eq!(claims["iss"], relay.relay.api_url());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3_600);
    assert!(claims["jti"].is_string());
    assert!(claims.get("sid").is_none());
    relay.open(token).await.expect("the relay takes it").expect_alive().await;
}

#[tokio::test]
async fn create_session_gives_a_session_token() {
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    let input = json!({ "daemonId": relay.relay.daemon_id() });
    let output = call(&relay, "relay.createSession", Some(relay.relay.access_token()), &input).await.output();
    assert_eq!(text(&output, "relayUrl"), relay.relay.relay_url());
    let claims = payload(text(&output, "token"));
    assert_eq!(claims["role"], "client");
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 120);
    let session = SessionId::from_base64url(text(&claims, "sid")).unwrap();
    let peer = relay.open(text(&output, "token")).await.expect("the relay takes it");
    exchange(&mut daemon, &mut crate::support::Client { peer, session }).await;
}

#[tokio::test]
async fn create_session_for_an_offline_daemon_still_gives_a_token() {
    let relay = TestRelay::start().await;
    let input = json!({ "daemonId": relay.relay.daemon_id() });
    let output = call(&relay, "relay.createSession", Some(relay.relay.access_token()), &input).await.output();
    let mut peer = relay.open(text(&output, "token")).await.unwrap();
    let session = SessionId::from_base64url(text(&payload(text(&output, "token")), "sid")).unwrap();
    peer.expect_control(ControlCode::DAEMON_OFFLINE, session.get()).await;
}

#[tokio::test]
async fn create_session_gives_a_new_session_each_time() {
    let relay = TestRelay::start().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20 {
        let input = json!({ "daemonId": relay.relay.daemon_id() });
        let output = call(&relay, "relay.createSession", Some(relay.relay.access_token()), &input).await.output();
        assert!(seen.insert(text(&payload(text(&output, "token")), "sid").to_owned()));
    }
}

#[tokio::test]
async fn create_session_refuses_who_may_not() {
    let relay = TestRelay::start().await;
    let admin = Some(relay.relay.admin_token());
    let other = relay.relay.add_daemon(Some("other")).await.unwrap();
    let user = relay.post("/admin/users", admin, &json!({ "daemonIds": ["other"] }).to_string()).await.json();
    let user = text(&user, "accessToken");
    let create = async |bearer: Option<&str>, daemon: &str| {
        call(&relay, "relay.createSession", bearer, &json!({ "daemonId": daemon })).await
    };
    let own = relay.relay.daemon_id();
    assert_eq!(create(Some(user), &other.daemon_id).await.status, 200);
    assert_eq!(create(Some(user), own).await.error(), (403, "FORBIDDEN".to_owned()));
    assert_eq!(create(Some(user), "d_nobody").await.error(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(create(None, own).await.error(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(create(Some("sbnd_uat_wrong"), own).await.error(), (401, "UNAUTHORIZED".to_owned()));
    // An API key is no access token, nor the other way round.
    assert_eq!(create(Some(relay.relay.api_key()), own).await.status, 401);
    let renew = call(&relay, "daemon.renewToken", Some(user), &Value::Null).await;
    assert_eq!(renew.error(), (401, "UNAUTHORIZED".to_owned()));
}

#[tokio::test]
async fn quick_connect_from_code_to_session() {
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    let output = call(&relay, "quickConnect.create", Some(relay.relay.api_key()), &json!({ "ttlSeconds": 60 })).await;
    let output = output.output();
    let code = text(&output, "code");
    let groups: Vec<&str> = code.split('-').collect();
    assert!(groups.len() == 3 && groups.iter().all(|it| it.len() == 4), "{code}");
    assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
    assert_eq!(text(&output, "url"), format!("{}/quick-connect#{code}", relay.relay.api_url()));
    let expires = text(&output, "expiresAt");
    assert!(expires.len() == 24 && expires.ends_with('Z') && expires.as_bytes()[10] == b'T', "{expires}");
    let output = call(&relay, "quickConnect.redeem", None, &json!({ "code": code })).await.output();
    assert_eq!(text(&output, "daemonId"), relay.relay.daemon_id());
    assert_eq!(text(&output, "relayUrl"), relay.relay.relay_url());
    let session = SessionId::from_base64url(text(&payload(text(&output, "token")), "sid")).unwrap();
    let peer = relay.open(text(&output, "token")).await.unwrap();
    exchange(&mut daemon, &mut crate::support::Client { peer, session }).await;
}

#[tokio::test]
async fn the_page_behind_a_codes_url_knows_no_code_and_loads_nothing() {
    let relay = TestRelay::start().await;
    let reply = relay.get("/quick-connect", None).await;
    assert_eq!(reply.status, 200);
    let head = reply.head.to_lowercase();
    for header in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(&format!("\n{header}\r")), "{header} is not in {head}");
    }
    let policy = reply.head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    for rule in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    // What is in the page is what the policy lets run, and nothing else is.
    for (tag, rule) in [("style", "style-src"), ("script", "script-src")] {
        let (before, rest) = reply.body.split_once(&format!("<{tag}>")).unwrap();
        let (part, after) = rest.split_once(&format!("</{tag}>")).unwrap();
        assert!(!before.contains(&format!("<{tag}")) && !after.contains(&format!("<{tag}")));
        let digest = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, part.as_bytes()));
        assert!(policy.contains(&format!("{rule} 'sha256-{digest}'")), "{policy}");
    }
    assert!(!reply.body.contains("src=") && !reply.body.contains("href="), "{}", reply.body);
    assert!(reply.body.contains(&format!("apiUrl: \"{}\"", relay.relay.api_url())), "{}", reply.body);
    // Looking at it uses nothing up, and another code's is the same.
    let _daemon = relay.daemon().await;
    let code = code(&relay).await;
    assert_eq!(relay.get("/quick-connect", None).await.body, reply.body);
    assert_eq!(call(&relay, "quickConnect.redeem", None, &json!({ "code": code })).await.status, 200);
    let head = request(relay.authority(), "HEAD", "/quick-connect", None, "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(relay.post("/quick-connect", None, "").await.status, 404);
    assert_eq!(relay.get(&format!("/quick-connect/{code}"), None).await.status, 404);
}

#[tokio::test]
async fn a_code_works_once() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    let input = json!({ "code": code(&relay).await });
    assert_eq!(call(&relay, "quickConnect.redeem", None, &input).await.status, 200);
    let again = call(&relay, "quickConnect.redeem", None, &input).await;
    assert_eq!(again.error(), (404, "NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn a_code_of_an_offline_daemon_is_consumed_with_409() {
    let relay = TestRelay::start().await;
    let input = json!({ "code": code(&relay).await });
    let reply = call(&relay, "quickConnect.redeem", None, &input).await;
    assert_eq!(reply.error(), (409, "CONFLICT".to_owned()));
    let _daemon = relay.daemon().await;
    assert_eq!(call(&relay, "quickConnect.redeem", None, &input).await.status, 404);
}

#[tokio::test]
async fn how_a_code_is_typed_does_not_matter() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    for type_it in [
        str::to_uppercase,
        |code: &str| code.replace('-', " "),
        |code: &str| code.replace('-', ""),
        |code: &str| code.replace('-', "\u{2013}"),
    ] {
        let input = json!({ "code": type_it(&code(&relay).await) });
        assert_eq!(call(&relay, "quickConnect.redeem", None, &input).await.status, 200);
    }
    for typed in ["", "abcd-efgh-ijk1", "nope"] {
        assert_eq!(call(&relay, "quickConnect.redeem", None, &json!({ "code": typed })).await.status, 404);
    }
}

#[tokio::test]
async fn a_code_lives_as_long_as_was_asked() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    let key = Some(relay.relay.api_key());
    let output = call(&relay, "quickConnect.create", key, &json!({ "ttlSeconds": 1 })).await.output();
    // Until the very second of its end has come.
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let end = now() + 2;
    while now() < end {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(call(&relay, "quickConnect.redeem", None, &json!({ "code": output["code"] })).await.status, 404);
}

#[tokio::test]
async fn ttl_seconds_is_1_to_300() {
    let relay = TestRelay::start().await;
    let key = Some(relay.relay.api_key());
    for good in [json!({ "ttlSeconds": 1 }), json!({ "ttlSeconds": 300 }), json!({}), Value::Null] {
        assert_eq!(call(&relay, "quickConnect.create", key, &good).await.status, 200, "{good}");
    }
    for bad in [json!(0), json!(301), json!(-1), json!(1.5), json!("60"), Value::Null] {
        let reply = call(&relay, "quickConnect.create", key, &json!({ "ttlSeconds": bad })).await;
        assert_eq!(reply.error(), (400, "BAD_REQUEST".to_owned()), "{bad}");
    }
    // What has no members has no ttlSeconds, and is no input either.
    for bad in [json!([]), json!("x"), json!(60), json!(true), json!({ "json": [] })] {
        let reply = call(&relay, "quickConnect.create", key, &bad).await;
        assert_eq!(reply.error(), (400, "BAD_REQUEST".to_owned()), "{bad}");
    }
    let good = call(&relay, "quickConnect.create", key, &json!({ "json": null })).await;
    assert_eq!(good.status, 200, "{}", good.body);
    for input in [json!({ "ttlSeconds": 60 }), json!([])] {
        let reply = call(&relay, "quickConnect.create", None, &input).await;
        assert_eq!(reply.error(), (401, "UNAUTHORIZED".to_owned()), "{input}");
    }
}

#[tokio::test]
async fn the_input_may_be_wrapped_in_json() {
    let relay = TestRelay::start().await;
    let input = json!({ "json": { "daemonId": relay.relay.daemon_id() } });
    assert_eq!(call(&relay, "relay.createSession", Some(relay.relay.access_token()), &input).await.status, 200);
    let key = Some(relay.relay.api_key());
    assert_eq!(call(&relay, "daemon.renewToken", key, &json!({ "json": null })).await.status, 200);
    assert_eq!(relay.post("/api/trpc/daemon.renewToken", key, "").await.status, 200);
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason() {
    let relay = TestRelay::start().await;
    let access = Some(relay.relay.access_token());
    let path = "/api/trpc/relay.createSession";
    for body in ["", "null", "{}", "{", "[]", "\"x\"", r#"{"daemonId":7}"#, r#"{"json":7}"#] {
        let reply = relay.post(path, access, body).await;
        assert_eq!(reply.error(), (400, "BAD_REQUEST".to_owned()), "{body}");
        // Who may not ask hears that first.
        let reply = relay.post(path, Some("sbnd_uat_wrong"), body).await;
        assert_eq!(reply.error(), (401, "UNAUTHORIZED".to_owned()), "{body}");
    }
    let get = relay.get(path, access).await;
    assert_eq!(get.error(), (405, "METHOD_NOT_SUPPORTED".to_owned()));
    assert!(get.head.contains("\r\nallow: POST"), "{}", get.head);
    assert_eq!(relay.post("/api/trpc/no.such", access, "{}").await.error(), (404, "NOT_FOUND".to_owned()));
    let long = format!("{{\"daemonId\":\"{}\"}}", "x".repeat(100_000));
    assert_eq!(relay.post(path, access, &long).await.status, 413);
}

#[tokio::test]
async fn the_key_set_verifies_what_is_issued() {
    use sideband_relay::token::{Jwks, Unverified, Verifier, VerifyingKeys};
    let relay = TestRelay::start().await;
    let reply = relay.get("/.well-known/jwks.json", None).await;
    assert_eq!(reply.status, 200);
    let jwks: Jwks = serde_json::from_str(&reply.body).unwrap();
    assert!(!reply.body.contains("\"d\""), "only public parts");
    let output = call(&relay, "daemon.renewToken", Some(relay.relay.api_key()), &Value::Null).await.output();
    let token = Unverified::parse(text(&output, "presenceToken")).unwrap();
    let keys = VerifyingKeys::from(&jwks);
    let verifier = Verifier { issuer: relay.relay.api_url().to_owned(), region: None };
    let now = payload(text(&output, "presenceToken"))["iat"].as_u64().unwrap();
    token.verify(keys.get(token.kid()).expect("the key is published"), &verifier, now).unwrap();
}
