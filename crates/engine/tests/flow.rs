//! A remote that takes nothing for a while: what waits for the socket, and what does not wait behind it.

#[path = "support/hostile.rs"]
mod support;

use std::time::Duration;

use sideband::protocol::sbrp::{Frame, SessionId};
use support::{Heard, HostileRelay};

const TIMEOUT: Duration = Duration::from_millis(300);

/// More than two sockets buffer, less than a peer may have waiting.
const BURST: usize = 800;

fn data() -> String {
    format!("\"{}\"", "x".repeat(60_000))
}

#[tokio::test]
async fn a_burst_that_the_socket_does_not_take_waits_and_arrives_whole() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, mut wire, mut session) = relay.active_client().await;
    for number in 0..BURST {
        peer.emit(&format!("e{number}"), Some(&data())).expect("there is room");
    }
    // The other direction goes on meanwhile.
    wire.send(session.event("here")).await;
    assert_eq!(ear.next().await, "event here");
    for number in 0..BURST {
        assert_eq!(session.open_event(wire.frame().await), format!("e{number}"));
    }
}

#[tokio::test]
async fn a_call_times_out_behind_a_socket_that_takes_nothing() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, _wire, _session) = relay.active_client().await;
    for _ in 0..BURST {
        peer.emit("e", Some(&data())).expect("there is room");
    }
    peer.call(1, "m", None, TIMEOUT).expect("there is room");
    assert!(ear.next().await.starts_with("failure 1 rpc_timeout"));
}

#[tokio::test]
async fn closing_does_not_wait_for_a_socket_that_takes_nothing() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, _wire, _session) = relay.active_client().await;
    for _ in 0..BURST {
        peer.emit("e", Some(&data())).expect("there is room");
    }
    peer.close();
    tokio::time::pause();
    assert_eq!(ear.up_to("gone").await, ["state Closed", "gone"]);
}

#[tokio::test]
async fn a_daemon_closes_although_its_relay_takes_nothing() {
    let relay = HostileRelay::start().await;
    let (daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let _session = wire.be_client(support::session()).await;
    ear.until("connection client").await;
    let peer = ear.peers().remove(0);
    for _ in 0..BURST {
        peer.emit("e", Some(&data())).expect("there is room");
    }
    daemon.close();
    tokio::time::pause();
    assert_eq!(ear.up_to("daemon gone").await, ["state Closed", "gone", "daemon gone"]);
}

#[tokio::test]
async fn one_sessions_burst_does_not_hold_up_another_session() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut peers = Vec::new();
    let mut sessions = Vec::new();
    for id in [1, 2] {
        sessions.push(wire.be_client(SessionId::new(id).expect("not 0")).await);
        ear.until("connection client").await;
        peers = ear.peers();
    }
    for _ in 0..BURST {
        peers[0].emit("burst", Some(&data())).expect("there is room");
    }
    peers[1].emit("small", None).expect("there is room");
    for number in 0..=BURST {
        let frame = wire.frame().await;
        if matches!(Frame::decode(&frame), Ok(Frame::Data { session, .. }) if session == sessions[1].id) {
            assert_eq!(sessions[1].open_event(frame), "small");
            // What the sockets buffer was on its way already.
            assert!(number < BURST / 2, "{number} frames came before it");
            return;
        }
        sessions[0].open(frame);
    }
    panic!("it never came");
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives_although_the_other_direction_was_not_read() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, mut wire, mut session) = relay.active_client().await;
    ear.gate().close();
    for _ in 0..10 {
        wire.send(session.event("unread")).await;
    }
    for number in 0..20 {
        peer.emit(&format!("e{number}"), Some(&data())).expect("there is room");
    }
    peer.close();
    ear.until("gone").await;
    for number in 0..20 {
        assert_eq!(session.open_event(wire.frame().await), format!("e{number}"));
    }
    assert_eq!(wire.hear().await, Heard::Closed(Some(1000)));
}
