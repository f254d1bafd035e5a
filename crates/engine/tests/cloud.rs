//! The control plane's client against a real HTTP server: what it sends, and every class of answer of section 7.

mod net;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use net::{Authority, Seen, closed_port, dialer, http, impatient, serve, silent};
use serde_json::{Value, json};
use sideband::cloud::{Cloud, CloudError, daemon_id_from_token, session_id_from_token, token_has_scope};
use sideband::dial::{Deadlines, Dialer, Phase, ProxySettings};
use sideband::secret::Secret;
use sideband_protocol::sbrp::SessionId;
use url::Url;

const KEY: &str = "sbnd_dak_hidden";

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}", body.len())
}

/// A control plane that gives one answer to everything.
async fn plane(status: u16, body: impl Into<String>) -> (net::Server, Cloud, Seen) {
    let (body, seen) = (body.into(), Seen::default());
    let notes = seen.clone();
    let server = serve(move |tcp| {
        let (body, notes) = (body.clone(), notes.clone());
        async move { http(tcp, notes, |_, _| answer(status, &body)).await }
    })
    .await;
    let cloud = cloud(dialer(|_| {}), &format!("http://localhost:{}/", server.port));
    (server, cloud, seen)
}

fn cloud(dialer: Dialer, api_url: &str) -> Cloud {
    Cloud::new(dialer, Url::parse(api_url).expect("a URL"))
}

/// The error's status and message, after a look at what it shows.
fn refused<T>(result: Result<T, CloudError>) -> (u16, String, bool) {
    let Err(error) = result else { panic!("this must fail") };
    assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
    let fatal = error.is_fatal();
    match error {
        CloudError::Api { status, message, .. } => (status, message, fatal),
        other => panic!("no answer: {other}"),
    }
}

/// Request line, Authorization header and body of a request.
fn parts(request: &str) -> (String, Option<String>, Value) {
    let (head, body) = request.split_once("\r\n\r\n").expect("head and body");
    let bearer = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"));
    (head.lines().next().expect("a line").to_owned(), bearer, serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn renew_presence_token() {
    let (_server, cloud, seen) = plane(200, r#"{"result":{"data":{"presenceToken":"a.hidden.c","more":1}}}"#).await;
    let token = cloud.renew_presence_token(&KEY.into()).await.expect("a token");
    assert_eq!(token.expose(), "a.hidden.c");
    let (line, bearer, body) = parts(&seen.all()[0]);
    assert_eq!(line, "POST /api/trpc/daemon.renewToken HTTP/1.1");
    assert_eq!((bearer.as_deref(), body), (Some("Bearer sbnd_dak_hidden"), Value::Null));
}

#[tokio::test]
async fn create_session() {
    let (_server, cloud, seen) =
        plane(200, r#"{"result":{"data":{"relayUrl":"wss://r.test/v1?x=1","token":"t.hidden"}}}"#).await;
    let ticket = cloud.create_session(&"access".into(), "d_é\"").await.expect("a ticket");
    assert_eq!((ticket.relay_url.as_str(), ticket.token.expose()), ("wss://r.test/v1?x=1", "t.hidden"));
    assert!(ticket.daemon_id.is_none() && !format!("{ticket:?}").contains("hidden"));
    let (line, bearer, body) = parts(&seen.all()[0]);
    assert_eq!(line, "POST /api/trpc/relay.createSession HTTP/1.1");
    assert_eq!((bearer.as_deref(), body), (Some("Bearer access"), json!({ "daemonId": "d_é\"" })));
}

#[tokio::test]
async fn quick_connect() {
    let data = json!({ "code": "abcd-efgh-ijkl", "url": "https://c.test/abcd", "expiresAt": "2030-01-01T00:00:00Z" });
    let (_server, cloud, seen) = plane(200, json!({ "result": { "data": data } }).to_string()).await;
    let code = cloud.create_quick_connect(&KEY.into(), Some(60)).await.expect("a code");
    assert_eq!((code.code.expose(), code.url.expose()), ("abcd-efgh-ijkl", "https://c.test/abcd"));
    assert_eq!(code.expires_at, "2030-01-01T00:00:00Z");
    cloud.create_quick_connect(&KEY.into(), None).await.expect("a code");
    let requests = seen.all();
    assert_eq!(parts(&requests[0]).2, json!({ "ttlSeconds": 60 }));
    assert_eq!(parts(&requests[1]).2, json!({}));

    let data = json!({ "relayUrl": "ws://r.test", "token": "t", "daemonId": "d_1" });
    let (_server, cloud, seen) = plane(200, json!({ "result": { "data": data } }).to_string()).await;
    let ticket = cloud.redeem_quick_connect(&"ABCD efgh".into()).await.expect("a ticket");
    assert_eq!(ticket.daemon_id.as_deref(), Some("d_1"));
    let (line, bearer, body) = parts(&seen.all()[0]);
    assert_eq!(line, "POST /api/trpc/quickConnect.redeem HTTP/1.1");
    assert_eq!((bearer, body), (None, json!({ "code": "ABCD efgh" })));
}

#[tokio::test]
async fn an_error_status_counts_whatever_the_body_is() {
    for status in [302, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503] {
        let said = r#"{"error":{"message":"because","data":{"code":"CONFLICT"}}}"#;
        for (body, message) in
            [(said, Some("because")), ("<html>", None), ("", None), (r#"{"result":{"data":{}}}"#, None)]
        {
            let (_server, cloud, _) = plane(status, body).await;
            let (got, text, fatal) = refused(cloud.renew_presence_token(&KEY.into()).await);
            assert_eq!((got, fatal), (status, matches!(status, 400 | 401 | 403 | 404)), "{body}");
            assert!(message.is_none_or(|message| message == text) && !text.is_empty(), "{text}");
        }
    }
}

#[tokio::test]
async fn an_error_in_a_good_answer_counts_by_its_code() {
    for (code, status) in [
        ("BAD_REQUEST", 400),
        ("UNAUTHORIZED", 401),
        ("FORBIDDEN", 403),
        ("NOT_FOUND", 404),
        ("CONFLICT", 409),
        ("TOO_MANY_REQUESTS", 500),
        ("", 500),
    ] {
        let body = json!({ "error": { "message": "m", "data": { "code": code } } }).to_string();
        let (_server, cloud, _) = plane(200, body).await;
        let got = refused(cloud.create_session(&KEY.into(), "d").await);
        assert_eq!(got, (status, "m".to_owned(), matches!(status, 400..=404)));
    }
    for body in [r#"{"error":"text"}"#, r#"{"error":{"message":7}}"#, r#"{"error":[],"result":{"data":{}}}"#] {
        let (_server, cloud, _) = plane(200, body).await;
        assert_eq!(refused(cloud.create_session(&KEY.into(), "d").await).0, 500);
    }
}

#[tokio::test]
async fn an_answer_without_its_output_is_a_500() {
    let long = format!(r#"{{"result":{{"data":{{"presenceToken":"{}"}}}}}}"#, "x".repeat(70_000));
    for body in [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        r#"{"result":null}"#,
        r#"{"result":{}}"#,
        r#"{"result":{"data":null}}"#,
        r#"{"result":{"data":{"presenceToken":7}}}"#,
        r#"{"result":{"data":{"presenceToken":"a"}}"#,
        "{\"result\":\"\u{7f}\"}",
        &long,
    ] {
        let (_server, cloud, _) = plane(200, body).await;
        let (status, _, fatal) = refused(cloud.renew_presence_token(&KEY.into()).await);
        assert_eq!((status, fatal), (500, false), "{}", &body[..body.len().min(60)]);
    }
    let (_server, cloud, _) = plane(200, r#"{"result":{"data":{"relayUrl":"no url","token":"t"}}}"#).await;
    assert_eq!(refused(cloud.create_session(&KEY.into(), "d").await).0, 500);
}

#[tokio::test]
async fn conflict_is_fatal_for_a_code_only() {
    let body = r#"{"error":{"message":"the daemon is offline","data":{"code":"CONFLICT"}}}"#;
    for status in [409, 200] {
        let (_server, cloud, _) = plane(status, body).await;
        assert!(refused(cloud.redeem_quick_connect(&"code".into()).await).2);
        assert!(!refused(cloud.create_session(&KEY.into(), "d").await).2);
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_credential_is_not_quoted() {
    let body = json!({ "error": { "message": format!("bad key {KEY}\n{}", "x".repeat(1000)) } }).to_string();
    let (_server, cloud, _) = plane(401, body).await;
    let (_, message, _) = refused(cloud.renew_presence_token(&KEY.into()).await);
    assert!(message.starts_with("bad key …x") && message.len() < 400, "{message}");
    let body = json!({ "error": { "message": "no code hidden-code-here" } }).to_string();
    let (_server, cloud, _) = plane(404, body).await;
    let (_, message, _) = refused(cloud.redeem_quick_connect(&"hidden-code-here".into()).await);
    assert_eq!(message, "no code …");
    // Our own words hold nothing of it, however short it is.
    let (_server, cloud, _) = plane(200, "{}").await;
    let (_, message, _) = refused(cloud.renew_presence_token(&"t".into()).await);
    assert_eq!(message, "the answer is not what this procedure gives");
    // Where a long message is cut off, too.
    let body = json!({ "error": { "message": format!("{}{KEY}", "x".repeat(290)) } }).to_string();
    let (_server, cloud, _) = plane(401, body).await;
    let (_, message, _) = refused(cloud.renew_presence_token(&KEY.into()).await);
    assert!(!message.contains("sbnd"), "{message}");
}

#[tokio::test]
async fn network_failures_name_host_and_phase_and_may_pass() {
    let mute = silent().await;
    let hang_up = serve(|tcp| async move { drop(tcp) }).await;
    let closed = closed_port().await;
    let stranger = Authority::new(&["localhost"]).echo(Seen::default()).await;
    let hasty = || dialer(|options| options.deadlines = impatient());
    let patient = || dialer(|options| options.deadlines = Deadlines { http: Duration::from_secs(15), ..impatient() });
    for (dialer, address, phase) in [
        (hasty(), format!("http://localhost:{}", mute.port), Phase::Http),
        (hasty(), format!("https://localhost:{}", mute.port), Phase::Http),
        (patient(), format!("https://localhost:{}", mute.port), Phase::Connect),
        (dialer(|_| {}), format!("http://localhost:{}", hang_up.port), Phase::Http),
        (dialer(|_| {}), format!("http://127.0.0.1:{closed}"), Phase::Tcp),
        (dialer(|_| {}), "http://no-such-host.invalid".to_owned(), Phase::Dns),
        (dialer(|_| {}), format!("https://localhost:{}", stranger.port), Phase::Tls),
    ] {
        let error = cloud(dialer, &address).renew_presence_token(&KEY.into()).await.expect_err("unreachable");
        assert!(!error.is_fatal() && error.status().is_none());
        assert!(!format!("{error} {error:?}").contains("hidden"));
        let CloudError::Network(error) = error else { panic!("an answer from nobody") };
        assert_eq!(error.phase, phase, "{error}");
        let host = Url::parse(&address).expect("a URL").host_str().expect("a host").to_owned();
        assert!(error.host.starts_with(&format!("{host}:")), "{error}");
    }
    let error = cloud(dialer(|_| {}), "ftp://x.test").renew_presence_token(&KEY.into()).await.expect_err("no HTTP");
    assert!(error.is_fatal());
}

#[tokio::test]
async fn https_through_a_proxy_with_basic_auth() {
    let authority = Authority::new(&["api.test"]);
    let acceptor = authority.acceptor();
    let seen = Seen::default();
    let notes = seen.clone();
    let server = serve(move |tcp| {
        let (acceptor, notes) = (acceptor.clone(), notes.clone());
        async move {
            let tls = acceptor.accept(tcp).await.expect("TLS");
            http(tls, notes, |_, _| answer(200, r#"{"result":{"data":{"presenceToken":"p"}}}"#)).await;
        }
    })
    .await;
    let connects = Seen::default();
    let proxy = net::proxy(connects.clone(), server.port, None).await;
    let settings = |user: &str| ProxySettings {
        https: Some(Secret::new(format!("http://{user}@localhost:{}", proxy.port))),
        ..ProxySettings::default()
    };
    let good = dialer(|options| {
        options.ca_pem = vec![authority.pem.clone()];
        options.proxies = settings("user:pass%20word");
    });
    let token = cloud(good, "https://api.test/base/").renew_presence_token(&KEY.into()).await.expect("a token");
    assert_eq!(token.expose(), "p");
    assert_eq!(connects.all(), ["CONNECT api.test:443 HTTP/1.1"]);
    assert!(parts(&seen.all()[0]).0.starts_with("POST /base/api/trpc/"));

    let bad = dialer(|options| options.proxies = settings("user:hidden"));
    let error = cloud(bad, "https://api.test").renew_presence_token(&KEY.into()).await.expect_err("407");
    assert!(!format!("{error} {error:?}").contains("hidden"));
    assert!(matches!(error, CloudError::Network(ref error) if error.phase == Phase::Proxy), "{error}");
}

#[test]
fn tokens_tell_what_they_are_for() {
    let token = |claims: Value| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let presence = token(json!({ "did": "d_é", "scp": ["session:resume"], "sid": 7 }));
    assert_eq!(daemon_id_from_token(&presence).as_deref(), Some("d_é"));
    assert!(token_has_scope(&presence, "session:resume") && !token_has_scope(&presence, "session"));
    assert!(token_has_scope(&token(json!({ "scp": "a session:resume" })), "session:resume"));
    assert_eq!(session_id_from_token(&presence), None);

    let session = token(json!({ "did": "d", "sid": "AQIDBAUGBwg" }));
    assert_eq!(session_id_from_token(&session).map(SessionId::get), Some(0x0102_0304_0506_0708));
    for sid in ["AAAAAAAAAAA", "AQIDBAUGBwg=", "AQIDBAUGBw", ""] {
        assert_eq!(session_id_from_token(&token(json!({ "sid": sid }))), None);
    }

    for broken in ["", "a.b", "a.b.c", "a.e30.c", "a.e30.c.d", "..", &"x".repeat(5000), &token(json!({ "did": "" }))] {
        assert_eq!(daemon_id_from_token(broken), None);
        assert!(session_id_from_token(broken).is_none() && !token_has_scope(broken, "session:resume"));
    }
}

#[test]
fn the_tokens_of_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("../../../testdata/vectors/tokens.json")).expect("JSON");
    for case in vectors["good"].as_array().expect("a list") {
        let token = case["token"].as_str().expect("a token");
        assert_eq!(daemon_id_from_token(token).as_deref(), case["did"].as_str(), "{}", case["what"]);
        assert_eq!(token_has_scope(token, "session:resume"), case["resume"] == true, "{}", case["what"]);
        let session = session_id_from_token(token).map(|id| id.get().to_string());
        assert_eq!(session.as_deref(), case["sessionId"].as_str(), "{}", case["what"]);
    }
    for case in vectors["sids"].as_array().expect("a list") {
        let claims = json!({ "sid": case["sid"] }).to_string();
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let session = session_id_from_token(&token).map(|id| id.get().to_string());
        assert_eq!(session.as_deref(), case["sessionId"].as_str(), "{case}");
    }
}
