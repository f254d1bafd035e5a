//! What the process does at SIGHUP and SIGTERM.

use std::time::{Duration, Instant};

use serde_json::json;
use sideband_relay::Admin;
use tokio::task::JoinSet;

use crate::support::{open_url, process::Served, request, until_draining};

/// Tries a Quick Connect code that nobody has.
async fn guess(served: &Served) -> u16 {
    let body = json!({ "code": "aaaa-bbbb-cccc" }).to_string();
    request(served.authority(), "POST", "/api/trpc/quickConnect.redeem", None, &body).await.status
}

#[tokio::test]
async fn sighup_takes_over_new_limits_and_refuses_a_bad_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.toml");
    let data_dir = directory.path().join("data");
    let write = |rest: &str| {
        let file = format!("data_dir = '{}'\nlisten = '127.0.0.1:0'\n{rest}", data_dir.display());
        std::fs::write(&path, file).unwrap();
    };
    write("[limits]\ncode_attempts_per_minute = 0");
    let served = Served::start(&["--config", path.to_str().unwrap()]);
    for _ in 0..3 {
        assert_eq!(guess(&served).await, 404, "there is no limit");
    }
    write("[limits]\ncode_attempts_per_minute = 1");
    served.signal("-HUP");
    served.expect_log("the settings were loaded again");
    assert_eq!((guess(&served).await, guess(&served).await), (404, 429), "the new limit");

    for (rest, wrong) in [
        ("[limits]\ncode_attempts_per_minute = -1", "code_attempts_per_minute = -1 is not within"),
        ("[limits]\ncode_attempts = 0", "there is no limit code_attempts"),
        ("regoin = 'x'\n[limits]\ncode_attempts_per_minute = 0", "unknown field `regoin`"),
        ("threads = 0\n[limits]\ncode_attempts_per_minute = 0", "threads must be at least 1"),
        ("[limits", "line 3"),
    ] {
        write(rest);
        served.signal("-HUP");
        let line = served.expect_log("the settings stay as they were");
        assert!(line.contains("ERROR") && line.contains(wrong), "{line}");
        assert_eq!(guess(&served).await, 429, "the limit stays");
    }

    // What cannot be taken over is named, and the rest is taken over.
    write("region = 'x'\n[limits]\ncode_attempts_per_minute = 0");
    served.signal("-HUP");
    let line = served.expect_log("these need a new start");
    assert!(line.contains("region"), "{line}");
    assert_eq!(guess(&served).await, 404, "no limit again");
}

#[tokio::test]
async fn sigterm_says_so_spreads_the_closes_and_ends_in_time() {
    const CLIENTS: u32 = 40;
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::open(directory.path()).unwrap();
    let daemon = admin.add_daemon(Some("d"), None).await.unwrap();
    let user = admin.add_user(None).await.unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let settings = [
        "threads=1",
        "limits.drain_seconds=1",
        "limits.close_seconds=2",
        "limits.handshakes_per_second=0",
        "limits.requests_per_second=0",
        "limits.key_requests_per_second=0",
    ];
    let sets = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", data_dir].into_iter().chain(sets);
    let served = Served::start(&arguments.collect::<Vec<_>>());
    let authority = served.authority().to_owned();
    let post = async |procedure: &str, bearer: &str, body: &str| {
        request(&authority, "POST", &format!("/api/trpc/{procedure}"), Some(bearer), body).await.output()
    };
    let token = post("daemon.renewToken", &daemon.api_key, "null").await["presenceToken"].clone();
    // This one never reads its close and never hangs up.
    let daemon = open_url(served.relay_url(), token.as_str().unwrap()).await.unwrap();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let session = post("relay.createSession", &user.access_token, r#"{"daemonId":"d"}"#).await;
        let mut client = open_url(served.relay_url(), session["token"].as_str().unwrap()).await.unwrap();
        clients.spawn(async move {
            client.expect_eventual_close(1012).await;
            Instant::now()
        });
    }
    let start = Instant::now();
    served.signal("-TERM");
    until_draining(&authority).await;
    assert_eq!(open_url(served.relay_url(), token.as_str().unwrap()).await.err(), Some(503), "nobody new gets in");
    let closed = clients.join_all().await;
    let spread = *closed.iter().max().unwrap() - *closed.iter().min().unwrap();
    // A hundredth of a second each; the daemon may come anywhere among them.
    assert!(spread >= Duration::from_millis(10) * (CLIENTS / 2), "closed within {spread:?}");
    let (status, log) = served.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // A second for the spread and two for who does not hang up, and some for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(8), "it took {:?}", start.elapsed());
    assert!(log.contains("shutting down"), "{log}");
    drop(daemon);
}
