//! A client and whatever a relay or a daemon behind it may send, in every state (sections 2 and 5, "Client").

#[path = "support/hostile.rs"]
mod support;

use sideband::protocol::sbp;
use sideband::protocol::sbrp::{self, ControlCode};
use support::HostileRelay;

/// The next frame must be the answer to a ping sent now: nothing else was on its way.
async fn nothing_before_a_pong(wire: &mut support::Wire) {
    wire.send(sbrp::encode_ping(b"probe")).await;
    assert_eq!(wire.frame().await, sbrp::encode_pong(b"probe"));
}

#[tokio::test]
async fn a_paused_client_sends_no_data_and_loses_none() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, mut wire, mut session) = relay.active_client().await;
    let pause = sbrp::encode_control(session.id.get(), ControlCode::SESSION_PAUSED, "");
    wire.send_together([session.ping(), pause, session.ping()]).await;
    ear.until("state Paused").await;
    peer.emit("later", None).expect("it waits");
    nothing_before_a_pong(&mut wire).await;
    wire.control(session.id.get(), ControlCode::SESSION_PENDING).await;
    nothing_before_a_pong(&mut wire).await;
    wire.control(session.id.get(), ControlCode::SESSION_RESUMED).await;
    ear.until("state Active").await;
    for _ in 0..2 {
        let pong = session.open(wire.frame().await);
        assert!(matches!(sbp::Frame::decode(&pong), Ok(sbp::Frame::Pong { .. })));
    }
    assert_eq!(session.open_event(wire.frame().await), "later");
}

#[tokio::test]
async fn answers_to_a_paused_session_are_limited() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    wire.control(session.id.get(), ControlCode::SESSION_PAUSED).await;
    // Each is answered with 19 bytes, of which 1 MiB may wait.
    for _ in 0..60 {
        let pings: Vec<_> = (0..1000).map(|_| session.ping()).collect();
        wire.send_together(pings).await;
    }
    let lost = ear.until("state Reconnecting").await;
    assert!(lost.contains("more answers waited"), "{lost}");
}
