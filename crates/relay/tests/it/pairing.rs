//! The relay's table of pairs (section 5), a test per row.

use std::time::Duration;

use serde_json::json;
use sideband_protocol::sbrp::{ControlCode, SessionId, SignalReason};

use crate::support::{Client, Peer, TestRelay, close, data, exchange, frame, hit, metric, ready};

/// A grace that is over at once, for rows that wait for its end.
const SHORT: Duration = Duration::from_millis(100);

/// A grace in which a daemon can come back even on a busy machine.
const ENOUGH: Duration = Duration::from_secs(2);

/// A pair whose daemon's connection dropped; the client knows.
async fn paused(relay: &TestRelay) -> Client {
    let (_daemon, mut client) = relay.pair().await;
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client
}

/// A pair whose daemon is back and has said nothing yet.
async fn pending(relay: &TestRelay) -> (Peer, Client) {
    let mut client = paused(relay).await;
    let daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    (daemon, client)
}

async fn states(relay: &TestRelay) -> Vec<&'static str> {
    relay.relay.sessions().await.iter().map(|session| session.state).collect()
}

#[tokio::test]
async fn client_connects_while_the_daemon_is_online_and_is_paired() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    assert_eq!(states(&relay).await, ["paired"]);
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn a_client_that_is_open_is_known_to_its_daemons_first_frame() {
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    // As many as show a race between two threads, if there is one.
    for session in 1..=100 {
        let mut client = relay.client(session).await;
        daemon.send(data(client.session, "at once")).await;
        assert_eq!(client.peer.frame().await, data(client.session, "at once"));
        drop(client);
        daemon.expect_control(ControlCode::SESSION_ENDED, session).await;
    }
}

#[tokio::test]
async fn client_connects_while_the_daemon_is_offline() {
    let relay = TestRelay::start().await;
    let mut client = relay.client(7).await;
    client.expect_end(ControlCode::DAEMON_OFFLINE).await;
}

#[tokio::test]
async fn client_connects_and_there_is_no_such_daemon() {
    let relay = TestRelay::start().await;
    let session = SessionId::new(7).unwrap();
    let claims = relay.client_claims(session).set("did", json!("d_nobody"));
    let mut peer = relay.open(&claims.sign()).await.unwrap();
    peer.expect_control(ControlCode::DAEMON_NOT_FOUND, 7).await;
    peer.expect_close(1008).await;
}

#[tokio::test]
async fn paired_and_the_daemon_drops() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    assert_eq!(states(&relay).await, ["paused"]);
    client.peer.expect_alive().await;
}

#[tokio::test]
async fn paired_and_the_daemon_closes_in_order() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.socket.close(None).await.unwrap();
    client.expect(ControlCode::SESSION_PAUSED).await;
}

#[tokio::test]
async fn paused_and_a_resumable_daemon_connects() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = pending(&relay).await;
    assert_eq!(states(&relay).await, ["pending"]);
    daemon.expect_alive().await;
    client.peer.expect_alive().await;
}

#[tokio::test]
async fn paused_and_a_daemon_connects_that_does_not_resume() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    let claims = relay.daemon_claims().set("scp", json!([]));
    let mut daemon = relay.open(&claims.sign()).await.unwrap();
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_alive().await;
}

#[tokio::test]
async fn pending_and_signal_ready() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = pending(&relay).await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    assert_eq!(states(&relay).await, ["paired"]);
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn pending_and_signal_close() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = pending(&relay).await;
    daemon.send(close(client.session, SignalReason::StateLost)).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    // It said so itself and need not be told.
    daemon.expect_alive().await;
}

#[tokio::test]
async fn paired_and_signal_close() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.send(close(client.session, SignalReason::Policy)).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_alive().await;
}

#[tokio::test]
async fn paired_and_signal_ready_changes_nothing() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.send(ready(client.session)).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn an_unknown_signal_is_ignored() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.send(frame(0x04, client.session.get(), &[9, 0])).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn paused_and_the_grace_is_over() {
    let relay = TestRelay::with(|builder| builder.grace(SHORT)).await;
    let mut client = paused(&relay).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    assert!(states(&relay).await.is_empty());
    assert!(hit(&relay, "grace_seconds").await >= 1.0);
}

#[tokio::test]
async fn pending_and_the_grace_is_over() {
    let relay = TestRelay::with(|builder| builder.grace(ENOUGH)).await;
    let (mut daemon, mut client) = pending(&relay).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    // The client is gone, so the daemon is told.
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
    daemon.send(ready(client.session)).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
}

#[tokio::test]
async fn a_pair_that_resumed_in_time_outlives_the_grace() {
    let relay = TestRelay::with(|builder| builder.grace(ENOUGH)).await;
    let (mut daemon, mut client) = pending(&relay).await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    // Another pair's end shows that the first grace is over.
    let mut other = relay.client(8).await;
    exchange(&mut daemon, &mut other).await;
    relay.cut_daemon().await;
    other.expect(ControlCode::SESSION_PAUSED).await;
    other.expect_end(ControlCode::SESSION_EXPIRED).await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
}

#[tokio::test]
async fn paired_and_the_client_drops() {
    let relay = TestRelay::start().await;
    let (mut daemon, client) = relay.pair().await;
    drop(client.peer);
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    assert!(states(&relay).await.is_empty());
}

#[tokio::test]
async fn pending_and_the_client_drops() {
    let relay = TestRelay::start().await;
    let (mut daemon, client) = pending(&relay).await;
    drop(client.peer);
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
}

#[tokio::test]
async fn pending_and_the_daemon_drops() {
    let relay = TestRelay::start().await;
    let (_daemon, mut client) = pending(&relay).await;
    relay.cut_daemon().await;
    // The client hears nothing of it, only of the next return.
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn pending_and_the_daemon_drops_and_the_first_grace_goes_on() {
    let relay = TestRelay::with(|builder| builder.grace(ENOUGH)).await;
    let (_daemon, mut client) = pending(&relay).await;
    relay.cut_daemon().await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
}

#[tokio::test]
async fn paused_and_the_client_drops() {
    let relay = TestRelay::start().await;
    let client = paused(&relay).await;
    relay.relay.disconnect_client(client.session).await;
    drop(client);
    let mut daemon = relay.daemon().await;
    // The pair is forgotten: a word about it finds no session.
    daemon.send(ready(SessionId::new(7).unwrap())).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
}

#[tokio::test]
async fn a_daemons_frame_for_no_session_gets_session_ended() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    let stranger = SessionId::new(99).unwrap();
    for frame in [data(stranger, "x"), frame(0x02, 99, &[0; 128]), ready(stranger)] {
        daemon.send(frame).await;
        daemon.expect_control(ControlCode::SESSION_ENDED, 99).await;
    }
    exchange(&mut daemon, &mut client).await;
    let counted = metric(&relay, "sideband_relay_controls_total{code=\"session_ended\"}").await;
    assert!((counted - 3.0).abs() < f64::EPSILON, "{counted}");
}

#[tokio::test]
async fn a_signal_close_for_no_session_gets_nothing() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.send(close(SessionId::new(99).unwrap(), SignalReason::None)).await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn frames_reach_only_the_session_they_name() {
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    let mut clients = [relay.client(1).await, relay.client(2).await, relay.client(u64::MAX).await];
    for client in &mut clients {
        exchange(&mut daemon, client).await;
    }
    for client in &clients {
        daemon.send(data(client.session, &format!("for {:?}", client.session))).await;
    }
    for client in &mut clients {
        assert_eq!(client.peer.frame().await, data(client.session, &format!("for {:?}", client.session)));
    }
}
