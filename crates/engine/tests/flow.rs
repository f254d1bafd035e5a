//! A remote that takes nothing for a while: what waits for the socket, and what does not wait behind it.

#[path = "support/hostile.rs"]
mod support;

use std::time::Duration;

use sideband::protocol::sbrp::{self, Frame, SessionId, Signal, SignalReason};
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

#[tokio::test]
async fn a_relay_that_talks_but_takes_nothing_is_given_up() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, mut wire, _session) = relay.active_client().await;
    for _ in 0..BURST {
        peer.emit("e", Some(&data())).expect("there is room");
    }
    tokio::time::pause();
    let talking = async {
        loop {
            wire.send(sbrp::encode_pong(b"")).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    };
    tokio::select! {
        lost = ear.until("state Reconnecting") => assert!(lost.contains("took nothing for 90 s"), "{lost}"),
        () = talking => {}
    }
}

#[tokio::test]
async fn a_remote_that_does_not_take_its_answers_is_not_listened_to() {
    let relay = HostileRelay::start().await;
    let (_peer, _ear, mut wire, mut session) = relay.active_client().await;
    tokio::time::pause();
    // The clock moves only when nothing else does.
    let blocked = async {
        for _ in 0..3000 {
            let pings: Vec<_> = (0..200).map(|_| session.ping()).collect();
            if tokio::time::timeout(Duration::from_secs(1), wire.send_together(pings)).await.is_err() {
                return true;
            }
        }
        false
    };
    assert!(blocked.await, "600,000 answers were kept");
}

#[tokio::test]
async fn what_was_not_sealed_when_a_daemons_link_dropped_follows_its_return() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut session = wire.be_client(support::session()).await;
    ear.until("connection client").await;
    let peer = ear.peers().remove(0);
    for number in 0..BURST {
        peer.emit(&format!("e{number}"), Some(&data())).expect("there is room");
    }
    // Some of it is on its way.
    assert_eq!(session.open_event(wire.frame().await), "e0");
    drop(wire);
    ear.until("link down").await;
    let mut wire = relay.accept().await;
    assert_eq!(wire.frame().await, sbrp::encode_signal(session.id, Signal::Ready, SignalReason::None));
    let first: usize = session.open_event(wire.frame().await)[1..].parse().expect("a number");
    assert!(first > 1 && first < BURST / 2, "{first}");
    for number in first + 1..BURST {
        assert_eq!(session.open_event(wire.frame().await), format!("e{number}"));
    }
}
