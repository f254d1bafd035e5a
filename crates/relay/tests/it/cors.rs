//! What a page of another origin may call from a browser, and what not.

use serde_json::json;
use sideband_relay::config::Config;

use crate::support::{Reply, TestRelay, send};

const PAGE: &str = "https://app.example.com";

const PROCEDURES: [&str; 2] = ["/api/trpc/relay.createSession", "/api/trpc/quickConnect.redeem"];

const JWKS: &str = "/.well-known/jwks.json";

async fn of_page(relay: &TestRelay, method: &str, path: &str, origin: &str, headers: &str, body: &str) -> Reply {
    let headers = format!("Origin: {origin}\r\nContent-Type: application/json\r\n{headers}");
    send(relay.authority(), method, path, &headers, body).await.expect("a whole answer")
}

/// The question that a browser asks before a call with JSON and a token.
async fn preflight(relay: &TestRelay, path: &str, origin: &str) -> Reply {
    let headers =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n";
    of_page(relay, "OPTIONS", path, origin, headers, "").await
}

fn nothing_about_origins(reply: &Reply) {
    assert!(!reply.head.to_lowercase().contains("\naccess-control-"), "{}", reply.head);
}

async fn with(change: impl FnOnce(&mut Config)) -> TestRelay {
    let mut config = Config::dev();
    change(&mut config);
    TestRelay::with(|builder| builder.config(config)).await
}

#[tokio::test]
async fn a_preflight_says_what_a_page_may_send() {
    let relay = TestRelay::start().await;
    for (path, method) in [(PROCEDURES[0], "POST"), (PROCEDURES[1], "POST"), (JWKS, "GET")] {
        let reply = preflight(&relay, path, PAGE).await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(reply.header("access-control-allow-methods"), Some(method), "{path}");
        assert_eq!(reply.header("access-control-allow-headers"), Some("authorization, content-type"), "{path}");
        assert_eq!(reply.header("access-control-max-age"), Some("7200"), "{path}");
        assert_eq!(reply.header("access-control-allow-credentials"), None, "{path}");
    }
}

#[tokio::test]
async fn a_page_reads_every_answer_errors_too() {
    let relay = TestRelay::start().await;
    let daemon = json!({ "daemonId": relay.relay.daemon_id() }).to_string();
    let token = format!("Authorization: Bearer {}\r\n", relay.relay.access_token());
    let wrong = "Authorization: Bearer sbnd_uat_wrong\r\n";
    for (method, path, headers, body, status) in [
        ("POST", PROCEDURES[0], token.as_str(), daemon.as_str(), 200),
        ("POST", PROCEDURES[0], &token, "{", 400),
        ("POST", PROCEDURES[0], wrong, &daemon, 401),
        ("POST", PROCEDURES[0], &token, r#"{"daemonId":"nobody"}"#, 404),
        ("GET", PROCEDURES[0], &token, "", 405),
        ("POST", PROCEDURES[1], "", r#"{"code":"aaaa-bbbb-cccc"}"#, 404),
        ("POST", PROCEDURES[1], "", "[]", 400),
        ("GET", JWKS, "", "", 200),
    ] {
        let reply = of_page(&relay, method, path, PAGE, headers, body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{path} {status}");
        assert_eq!(reply.header("access-control-expose-headers"), Some("retry-after"), "{path} {status}");
        assert_eq!(reply.header("access-control-allow-credentials"), None, "{path} {status}");
    }
}

#[tokio::test]
async fn a_page_is_told_of_limits() {
    let relay = with(|config| config.limits.requests_per_second = 1.0).await;
    for _ in 0..5 {
        assert_eq!(preflight(&relay, PROCEDURES[0], PAGE).await.status, 204, "a preflight counts like a request");
    }
    let reply = of_page(&relay, "POST", PROCEDURES[0], PAGE, "", "{}").await;
    assert_eq!(reply.status, 429);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert!(reply.header("retry-after").is_some());

    let relay = with(|config| config.limits.request_time = std::time::Duration::from_millis(100)).await;
    // A body that does not come.
    let late = format!("POST {} HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\nContent-Length: 9\r\n\r\n", PROCEDURES[1]);
    let reply = crate::support::send_raw(relay.authority(), &late).await.expect("a whole answer");
    assert_eq!(reply.status, 408);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn what_is_not_for_pages_says_nothing_to_them() {
    let relay = TestRelay::start().await;
    let admin = format!("Authorization: Bearer {}\r\n", relay.relay.admin_token());
    let key = format!("Authorization: Bearer {}\r\n", relay.relay.api_key());
    for (method, path, headers, status) in [
        ("POST", "/api/trpc/daemon.renewToken", &key, 200),
        ("POST", "/api/trpc/quickConnect.create", &key, 200),
        ("POST", "/api/trpc/no.such", &key, 404),
        ("GET", "/admin/daemons", &admin, 200),
        ("GET", "/metrics", &admin, 200),
        ("GET", "/readyz", &admin, 200),
        ("GET", "/internal/presence", &admin, 401),
        ("GET", "/", &admin, 426),
    ] {
        let reply = of_page(&relay, method, path, PAGE, headers, "").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        nothing_about_origins(&reply);
        let reply = preflight(&relay, path, PAGE).await;
        assert!(reply.status >= 400, "{path}: {}", reply.status);
        nothing_about_origins(&reply);
    }
}

#[tokio::test]
async fn the_origins_can_be_narrowed() {
    let relay = with(|config| config.cors_origins = vec!["https://other.example".to_owned(), PAGE.to_owned()]).await;
    for path in PROCEDURES {
        for reply in [preflight(&relay, path, PAGE).await, of_page(&relay, "POST", path, PAGE, "", "{}").await] {
            assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE), "{path}");
            assert_eq!(reply.header("vary"), Some("origin"), "{path}");
        }
        for origin in ["https://app.example.com.evil.example", "http://app.example.com", "null", "*"] {
            let replies =
                [preflight(&relay, path, origin).await, of_page(&relay, "POST", path, origin, "", "{}").await];
            for reply in replies {
                nothing_about_origins(&reply);
                assert_eq!(reply.header("vary"), Some("origin"), "{path}");
            }
        }
    }
    // Who is no page says no origin, and is served as ever.
    let reply = relay.get(JWKS, None).await;
    assert_eq!(reply.status, 200);
    nothing_about_origins(&reply);

    let relay = with(|config| config.cors_origins = Vec::new()).await;
    nothing_about_origins(&preflight(&relay, PROCEDURES[0], PAGE).await);
    nothing_about_origins(&of_page(&relay, "GET", JWKS, PAGE, "", "").await);
}
