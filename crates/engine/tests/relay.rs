//! Daemons and clients of the engine through a real relay.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sideband::client::{Account, ClientOptions, QuickConnect, RelayEndpoint, SessionSource};
use sideband::cloud::Cloud;
use sideband::daemon::{ApiKey, DaemonOptions};
use sideband::dial::{Dialer, DialerOptions};
use sideband::error::{Error, PeerErrorCode};
use sideband::host::PeerState;
use sideband::peer::policy::RetryPolicy;
use sideband::protocol::identity::IdentityKeyPair;
use sideband::protocol::sbrp::SessionId;
use sideband::random;
use sideband::sdk::{self, Daemon, Incoming, MemoryStore, Peer};
use sideband::secret::Secret;
use sideband_relay::{Relay, RunningRelay};

async fn relay() -> RunningRelay {
    Relay::builder().dev().start().await.expect("the relay starts")
}

fn dialer() -> Dialer {
    Dialer::new(DialerOptions::bare()).expect("a dialer without extra roots")
}

fn cloud(relay: &RunningRelay) -> Cloud {
    Cloud::new(dialer(), relay.api_url().parse().expect("the relay's API URL"))
}

async fn daemon(relay: &RunningRelay) -> Daemon {
    let source = ApiKey {
        cloud: cloud(relay),
        api_key: Secret::new(relay.api_key().to_owned()),
        relay_url: relay.relay_url().parse().expect("the relay's URL"),
    };
    let identity = IdentityKeyPair::from_seed(&random::secret());
    sdk::listen(DaemonOptions::new(Arc::new(source), identity, dialer())).await.expect("the daemon listens")
}

fn account(relay: &RunningRelay) -> Arc<dyn SessionSource> {
    Arc::new(Account {
        cloud: cloud(relay),
        access_token: Arc::new(Secret::new(relay.access_token().to_owned())),
        daemon_id: relay.daemon_id().to_owned(),
    })
}

fn options(source: Arc<dyn SessionSource>) -> ClientOptions {
    let mut options = ClientOptions::new(source, Arc::new(MemoryStore::default()), dialer());
    options.retry = RetryPolicy { initial_delay: Duration::from_millis(20), max_attempts: 0, ..options.retry };
    options
}

async fn client(relay: &RunningRelay) -> Peer {
    sdk::connect(options(account(relay))).await.expect("the client connects")
}

/// A daemon that answers `echo` on every peer, and emits what it is told to.
fn serve(mut daemon: Daemon) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(mut peer) = daemon.accept().await {
            tokio::spawn(async move {
                while let Some(incoming) = peer.incoming().await {
                    match incoming {
                        Incoming::Request(request) if request.method == "echo" => {
                            let params = request.params.clone();
                            request.respond(&params).expect("the answer fits");
                        }
                        Incoming::Request(request) => request.fail(1101, "no such method").expect("the answer fits"),
                        Incoming::Event { name, data } => peer.emit(&name, &data).expect("the event fits"),
                    }
                }
            });
        }
    })
}

async fn only_session(relay: &RunningRelay) -> SessionId {
    let sessions = relay.sessions().await;
    let [session] = &sessions[..] else { panic!("one session, not {sessions:?}") };
    SessionId::from_base64url(&session.session_id).expect("a session id")
}

async fn next_event(peer: &mut Peer) -> String {
    match peer.incoming().await {
        Some(Incoming::Event { name, .. }) => name,
        other => panic!("an event, not {other:?}"),
    }
}

#[tokio::test]
async fn calls_and_events_go_both_ways() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    assert_eq!(daemon.id(), relay.daemon_id());
    let mut client = client(&relay).await;
    let mut accepted = daemon.accept().await.expect("the client comes in");

    let numbers = json!([1, 2]);
    let (answer, asked) = tokio::join!(client.call::<i64>("add", &numbers), async {
        let Some(Incoming::Request(request)) = accepted.incoming().await else { panic!("a request") };
        let asked = (request.method.clone(), request.params.as_ref().map(|params| params.get().to_owned()));
        request.respond(&3).expect("the answer fits");
        asked
    });
    assert_eq!(answer.expect("an answer"), 3);
    assert_eq!(asked, ("add".to_owned(), Some("[1,2]".to_owned())));

    let (answer, ()) = tokio::join!(accepted.call::<String>("who", &()), async {
        let Some(Incoming::Request(request)) = client.incoming().await else { panic!("a request") };
        request.fail(2001, "nobody").expect("the answer fits");
    });
    assert!(matches!(answer, Err(Error::Rpc { wire_code: 2001.0, message, .. }) if message == "nobody"));

    client.emit("from.client", &1).expect("a good name");
    assert_eq!(next_event(&mut accepted).await, "from.client");
    accepted.emit("from.daemon", &1).expect("a good name");
    assert_eq!(next_event(&mut client).await, "from.daemon");
    daemon.close().await;
}

#[tokio::test]
async fn a_lost_link_pauses_the_session_and_resumes_it() {
    let relay = relay().await;
    let served = serve(daemon(&relay).await);
    let mut client = client(&relay).await;
    client.emit("before", &()).expect("a good name");
    assert_eq!(next_event(&mut client).await, "before");

    assert!(relay.disconnect_daemon(relay.daemon_id()).await);
    assert_eq!(client.reaches(PeerState::Paused).await, PeerState::Paused);
    client.emit("while.paused", &()).expect("a good name");
    let kept: String = client.call("echo", &"kept").await.expect("the call survives the pause");
    assert_eq!(kept, "kept");
    assert_eq!(client.state(), PeerState::Active);
    assert_eq!(next_event(&mut client).await, "while.paused");
    served.abort();
}

#[tokio::test]
async fn a_client_that_lost_its_connection_comes_back_with_a_new_session() {
    let relay = relay().await;
    let served = serve(daemon(&relay).await);
    let mut client = client(&relay).await;
    assert!(relay.disconnect_client(only_session(&relay).await).await);
    assert_eq!(client.reaches(PeerState::Reconnecting).await, PeerState::Reconnecting);
    client.active().await.expect("it comes back");
    assert_eq!(client.call::<i64>("echo", &5).await.expect("an answer"), 5);
    served.abort();
}

#[tokio::test]
async fn a_client_waits_for_a_daemon_that_is_not_there_yet() {
    let relay = relay().await;
    let connecting = tokio::spawn(sdk::connect(options(account(&relay))));
    let served = serve(daemon(&relay).await);
    let client = connecting.await.expect("no panic").expect("it connects");
    assert_eq!(client.call::<i64>("echo", &5).await.expect("an answer"), 5);
    served.abort();
}

#[tokio::test]
async fn without_retries_an_absent_daemon_is_an_error() {
    let relay = relay().await;
    let mut once = options(account(&relay));
    once.retry.on_error = false;
    let error = sdk::connect(once).await.expect_err("nobody is there");
    assert!(matches!(&error, Error::Peer { code: PeerErrorCode::PeerClosed, .. }), "{error:?}");
    assert!(error.cause().expect("a cause").to_string().contains("daemon_offline"), "{error:?}");
}

#[tokio::test]
async fn a_url_or_a_key_that_nothing_can_be_done_with_is_fatal() {
    let odd = Cloud::new(dialer(), "ftp://api.test".parse().expect("a URL"));
    let source = ApiKey { cloud: odd, api_key: "k".into(), relay_url: "ws://relay.test".parse().expect("a URL") };
    let relay = relay().await;
    let guarded = relay.relay_url().replacen("ws://", "ws://user:secret@", 1);
    let guarded = ApiKey {
        cloud: cloud(&relay),
        api_key: Secret::new(relay.api_key().to_owned()),
        relay_url: guarded.parse().expect("a URL"),
    };
    for source in [source, guarded] {
        let identity = IdentityKeyPair::from_seed(&random::secret());
        let listening = sdk::listen(DaemonOptions::new(Arc::new(source), identity, dialer()));
        let failed = tokio::time::timeout(Duration::from_secs(5), listening).await.expect("at once");
        let error = failed.expect_err("no way to listen");
        assert!(matches!(&error, Error::Value(why) if !why.contains("secret")), "{error:?}");
    }

    let broken = Account {
        cloud: cloud(&relay),
        access_token: Arc::new(Secret::new("two\nlines".to_owned())),
        daemon_id: relay.daemon_id().to_owned(),
    };
    let odd = RelayEndpoint {
        url: "http://relay.test/?token=t".parse().unwrap(),
        session_token: None,
        daemon_id: "d".into(),
    };
    for source in [Arc::new(broken) as Arc<dyn SessionSource>, Arc::new(odd)] {
        let connecting = sdk::connect(options(source));
        let error = tokio::time::timeout(Duration::from_secs(5), connecting).await.expect("at once");
        let error = error.expect_err("no way to connect");
        assert!(matches!(error.cause(), Some(Error::Value(_))), "{error:?}");
        assert!(!format!("{error:?}").contains("lines"), "{error:?}");
    }
}

#[tokio::test]
async fn a_refused_access_token_is_fatal_and_named_by_status() {
    let relay = relay().await;
    let source = Account {
        cloud: cloud(&relay),
        access_token: Arc::new(Secret::new("stolen".to_owned())),
        daemon_id: relay.daemon_id().to_owned(),
    };
    let error = sdk::connect(options(Arc::new(source))).await.expect_err("a bad token");
    assert!(matches!(&error, Error::Api { status: 401, .. }), "{error:?}");
    assert!(!error.to_string().contains("stolen"));
}

#[tokio::test]
async fn a_quick_connect_code_works_once_and_does_not_reconnect() {
    let relay = relay().await;
    let created =
        cloud(&relay).create_quick_connect(&Secret::new(relay.api_key().to_owned()), Some(60)).await.expect("a code");
    let code = |text: &Secret| options(Arc::new(QuickConnect::new(cloud(&relay), text.clone())));

    let served = serve(daemon(&relay).await);
    let mut client = sdk::connect(code(&created.code)).await.expect("the code is good");
    assert_eq!(client.call::<i64>("echo", &5).await.expect("an answer"), 5);

    let again = sdk::connect(code(&created.code)).await.expect_err("the code is used");
    assert!(matches!(again, Error::Api { status: 404, .. }), "{again:?}");

    assert!(relay.disconnect_client(only_session(&relay).await).await);
    assert_eq!(client.reaches(PeerState::Closed).await, PeerState::Closed);
    served.abort();
}

#[tokio::test]
async fn a_quick_connect_code_for_an_absent_daemon_is_consumed() {
    let relay = relay().await;
    let created =
        cloud(&relay).create_quick_connect(&Secret::new(relay.api_key().to_owned()), None).await.expect("a code");
    let source = QuickConnect::new(cloud(&relay), created.code);
    let error = sdk::connect(options(Arc::new(source))).await.expect_err("nobody is there");
    assert!(matches!(error, Error::Api { status: 409, .. }), "{error:?}");
}

#[tokio::test]
async fn a_daemon_that_closes_sends_its_clients_away_at_once() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    let mut client = client(&relay).await;
    let accepted = daemon.accept().await.expect("the client comes in");
    daemon.close().await;
    assert_eq!(client.reaches(PeerState::Reconnecting).await, PeerState::Reconnecting);
    drop(accepted);
}

#[tokio::test]
async fn a_peer_that_was_closed_without_a_link_is_told_once_the_link_is_back() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    let mut client = client(&relay).await;
    let mut accepted = daemon.accept().await.expect("the client comes in");
    assert!(relay.disconnect_daemon(relay.daemon_id()).await);
    assert_eq!(accepted.reaches(PeerState::Paused).await, PeerState::Paused);
    drop(accepted);
    // The relay would wait out the grace of a minute for a session that nobody gave up.
    let told = tokio::time::timeout(Duration::from_secs(30), client.reaches(PeerState::Reconnecting)).await;
    assert_eq!(told.expect("long before the grace is over"), PeerState::Reconnecting);
}

#[tokio::test]
async fn a_client_that_leaves_closes_its_peer_at_the_daemon() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    let client = client(&relay).await;
    let mut accepted = daemon.accept().await.expect("the client comes in");
    drop(client);
    assert_eq!(accepted.reaches(PeerState::Closed).await, PeerState::Closed);
    let closed = tokio::time::timeout(Duration::from_secs(5), accepted.call::<()>("m", &())).await;
    let error = closed.expect("long before a call's own timeout").expect_err("nobody is there");
    assert!(matches!(error, Error::Peer { code: PeerErrorCode::PeerClosed, .. }), "{error:?}");
}

#[tokio::test]
async fn a_burst_larger_than_the_write_buffer_arrives_whole() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    let client = client(&relay).await;
    let mut accepted = daemon.accept().await.expect("the client comes in");
    let data = "x".repeat(4_000);
    for _ in 0..800 {
        client.emit("burst", &data).expect("a good name");
    }
    for number in 0..800 {
        assert_eq!(next_event(&mut accepted).await, "burst", "{number}");
    }
}

#[tokio::test]
async fn ten_thousand_events_arrive_in_order() {
    let relay = relay().await;
    let mut daemon = daemon(&relay).await;
    let client = client(&relay).await;
    let mut accepted = daemon.accept().await.expect("the client comes in");
    let receiving = async {
        for expected in 0..10_000u32 {
            match accepted.incoming().await {
                Some(Incoming::Event { data: Some(data), .. }) => assert_eq!(data.get(), expected.to_string()),
                other => panic!("event {expected}, not {other:?}"),
            }
            if expected % 500 == 499 {
                accepted.emit("taken", &expected).expect("a good name");
            }
        }
    };
    let mut client = client;
    let sending = async {
        for number in 0..10_000u32 {
            client.emit("number", &number).expect("a good name");
            // The SDK's queue holds 1,024: the sender waits for the receiver's word.
            if number % 500 == 499 {
                assert_eq!(next_event(&mut client).await, "taken");
            }
        }
    };
    tokio::join!(receiving, sending);
}
