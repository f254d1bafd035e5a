//! A daemon and whatever a relay or a client behind it may send, and its sessions across links (sections 2 and 5, "Daemon").

#[path = "support/hostile.rs"]
mod support;

use std::collections::HashSet;
use std::time::Duration;

use sideband::host::PeerState;
use sideband::protocol::handshake::ClientHandshake;
use sideband::protocol::sbp::{self, FrameId, Hello};
use sideband::protocol::sbrp::{self, ControlCode, Frame, HEADER_LEN, SessionId, Signal, SignalReason};
use sideband::random;
use sideband::sdk::{self, Incoming};
use sideband::session::Introduction;
use support::{HostileRelay, Session, Wire, daemon};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

fn id(number: u64) -> SessionId {
    SessionId::new(number).expect("not 0")
}

fn close(session: &Session, reason: SignalReason) -> Vec<u8> {
    sbrp::encode_signal(session.id, Signal::Close, reason)
}

/// The next frame must be the answer to a ping sent now: nothing else was on its way.
async fn nothing_before_a_pong(wire: &mut Wire) {
    wire.send(sbrp::encode_ping(b"probe")).await;
    assert_eq!(wire.frame().await, sbrp::encode_pong(b"probe"));
}

#[tokio::test]
async fn frames_of_unknown_sessions_are_ignored() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut session = wire.be_client(id(1)).await;
    ear.until("connection client").await;
    let mut stray = session.event("stray");
    stray[HEADER_LEN - 1] = 9;
    wire.send(stray).await;
    wire.control(9, ControlCode::SESSION_ENDED).await;
    nothing_before_a_pong(&mut wire).await;
    wire.send(session.event("fine")).await;
    assert!(ear.next().await.starts_with("unhandled frames were lost"));
    assert_eq!(ear.next().await, "event fine");
}

#[tokio::test]
async fn a_daemon_says_its_name_and_what_it_can_do() {
    let relay = HostileRelay::start().await;
    let introduction = Introduction { peer_id: "me".into(), capabilities: vec!["files".into(), "é".into()] };
    let mut options = relay.daemon_options(true);
    options.introduction = introduction.clone();
    let (_daemon, _ear) = daemon(options);
    let mut wire = relay.accept().await;
    let mut session = wire.handshake(id(1)).await;
    let hello = session.open(wire.frame().await);
    let Ok(sbp::Frame::Handshake { data, .. }) = sbp::Frame::decode(&hello) else { panic!("an introduction") };
    let Introduction { peer_id, capabilities } = introduction;
    assert_eq!(Hello::decode(data), Ok(Hello { peer_id, caps: capabilities }));
}

#[tokio::test]
async fn forged_or_replayed_data_ends_that_session_only() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut bystander = wire.be_client(id(1)).await;
    ear.until("connection client").await;
    for (number, expected) in [(2, "decrypt_failed"), (3, "sequence_error")] {
        let mut session = wire.be_client(id(number)).await;
        ear.until("connection client").await;
        let good = session.event("e");
        let mut forged = good.clone();
        forged[HEADER_LEN + 13] ^= 1;
        let frames = if number == 2 { vec![forged] } else { vec![good.clone(), good] };
        wire.send_together(frames).await;
        assert_eq!(wire.frame().await, close(&session, SignalReason::Error));
        let closed = ear.until("state Closed").await;
        assert!(closed.contains(expected), "{closed}");
        assert_eq!(ear.next().await, "gone");
        wire.send(bystander.event("still")).await;
        assert_eq!(ear.next().await, "event still");
    }
}

#[tokio::test]
async fn garbage_text_and_oversized_messages_drop_the_link_as_agreed() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    for _ in 0..9 {
        wire.send(b"garbage".to_vec()).await;
        assert!(ear.next().await.starts_with("unhandled malformed_frame"));
    }
    nothing_before_a_pong(&mut wire).await;
    for _ in 0..10 {
        wire.send(b"garbage".to_vec()).await;
    }
    assert_eq!(wire.close_code().await, Some(1008));
    let down = ear.until("link down").await;
    assert!(down.contains("malformed_frame"), "{down}");

    for (message, code) in [(Message::text("x"), 1003), (Message::binary(vec![0; (1 << 20) + 1]), 1009)] {
        let relay = HostileRelay::start().await;
        let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
        wire.send_message(message).await;
        assert_eq!(wire.close_code().await, Some(code));
        ear.until("link down").await;
    }
}

#[tokio::test]
async fn a_client_of_another_version_is_told_so_after_the_daemons_hello() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let version = br#"{"protocol":"sideband","version":"2","peerId":"p"}"#;
    let nameless = br#"{"protocol":"sideband","version":"1"}"#;
    for (number, data, expected) in [(1, &version[..], 1001), (2, &nameless[..], 1000), (3, b"{", 1000)] {
        let mut session = wire.handshake(id(number)).await;
        wire.send(session.sbp(&sbp::Frame::Handshake { id: FrameId([1; 16]), data })).await;
        let hello = session.open(wire.frame().await);
        assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })));
        let refusal = session.open(wire.frame().await);
        assert!(matches!(sbp::Frame::decode(&refusal), Ok(sbp::Frame::Error { code, .. }) if code == expected));
        assert_eq!(wire.frame().await, close(&session, SignalReason::Error));
        assert!(ear.next().await.starts_with("unhandled"));
    }
    let mut session = wire.handshake(id(4)).await;
    wire.send(session.event("before hello")).await;
    let _hello = session.open(wire.frame().await);
    let refusal = session.open(wire.frame().await);
    assert!(matches!(sbp::Frame::decode(&refusal), Ok(sbp::Frame::Error { code: 1000, .. })));
}

#[tokio::test]
async fn a_thousand_handshakes_that_never_finish_are_forgotten() {
    let relay = HostileRelay::start().await;
    let mut options = relay.daemon_options(true);
    options.handshake_timeout = Duration::from_millis(500);
    let (_daemon, mut ear) = daemon(options);
    let mut wire = relay.accept().await;
    ear.until("listening").await;
    let init = ClientHandshake::start(random::secret()).init_payload();
    wire.send_together((1..=1000).map(|number| sbrp::encode_handshake_init(id(number), &init))).await;
    let mut open: HashSet<_> = (1..=1000).collect();
    while !open.is_empty() {
        match Frame::decode(&wire.frame().await) {
            Ok(Frame::HandshakeAccept { .. } | Frame::Data { .. }) => {}
            Ok(Frame::Signal { session, signal: Some(Signal::Close), reason: SignalReason::Error }) => {
                assert!(open.remove(&session.get()));
            }
            other => panic!("an answer or a close, not {other:?}"),
        }
    }
    let mut session = wire.be_client(id(5000)).await;
    ear.until("connection client").await;
    wire.send(session.event("fine")).await;
    assert_eq!(ear.next().await, "event fine");
}

#[tokio::test]
async fn a_new_handshake_replaces_the_session_whatever_comes_of_it() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    wire.be_client(id(1)).await;
    ear.until("connection client").await;
    let session = wire.be_client(id(1)).await;
    assert_eq!(ear.up_to("connection client").await, ["state Closed", "gone", "connection client"]);
    // A point of low order.
    wire.send(sbrp::encode_handshake_init(id(1), &[0; 32])).await;
    assert_eq!(wire.frame().await, close(&session, SignalReason::Error));
    assert_eq!(ear.up_to("gone").await, ["state Closed", "gone"]);
    assert!(ear.next().await.starts_with("unhandled handshake_failed"));
}

#[tokio::test]
async fn a_control_for_a_session_concerns_it_alone_and_one_for_the_link_drops_it() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    wire.be_client(id(1)).await;
    ear.until("connection client").await;
    wire.control(0, ControlCode::RATE_LIMITED).await;
    assert!(ear.next().await.starts_with("unhandled rate_limited"));
    wire.control(1, ControlCode::DISALLOWED_SENDER).await;
    assert!(ear.next().await.starts_with("unhandled disallowed_sender"));
    wire.control(1, ControlCode::SESSION_ENDED).await;
    assert_eq!(ear.up_to("gone").await, ["state Closed", "gone"]);
    nothing_before_a_pong(&mut wire).await;
    wire.control(0, ControlCode::BACKPRESSURE).await;
    assert!(ear.until("link down").await.contains("backpressure"));

    for code in [ControlCode::UNAUTHORIZED, ControlCode::INTERNAL_ERROR, ControlCode(0x0777)] {
        let relay = HostileRelay::start().await;
        let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
        wire.control(0, code).await;
        ear.until("link down").await;
    }
}

#[tokio::test]
async fn a_client_that_closes_in_words_is_let_go() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut session = wire.be_client(id(1)).await;
    ear.until("connection client").await;
    wire.send(session.sbp(&sbp::Frame::Close { id: FrameId([1; 16]), reason: Some("bye") })).await;
    assert_eq!(wire.frame().await, close(&session, SignalReason::None));
    assert_eq!(ear.up_to("gone").await, ["state Closed", "gone"]);
}

#[tokio::test]
async fn sessions_outlive_a_lost_link_and_what_was_given_meanwhile_follows_the_signal() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut session = wire.be_client(id(1)).await;
    ear.until("connection client").await;
    let peer = ear.peers().remove(0);
    wire.send(session.request("asks", 9)).await;
    ear.until("request asks").await;
    let greeting = wire.handshake(id(2)).await;
    wire.frame().await;
    drop(wire);
    ear.until("state Paused").await;
    peer.emit("meanwhile", None).expect("it waits");
    peer.respond(FrameId([9; 16]), Some("1")).expect("it waits");
    let mut wire = relay.accept().await;
    // The one without a hello has nothing that could be resumed.
    assert_eq!(wire.frame().await, close(&greeting, SignalReason::StateLost));
    assert_eq!(wire.frame().await, sbrp::encode_signal(session.id, Signal::Ready, SignalReason::None));
    assert_eq!(session.open_event(wire.frame().await), "meanwhile");
    let answer = session.open(wire.frame().await);
    assert!(String::from_utf8_lossy(&answer).contains(r#""result":1"#));
    ear.until("state Active").await;
    wire.send(session.event("on")).await;
    ear.until("event on").await;
}

#[tokio::test]
async fn without_the_scope_sessions_end_with_their_link() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(false).await;
    wire.be_client(id(1)).await;
    ear.until("connection client").await;
    drop(wire);
    assert_eq!(ear.up_to("gone").await, ["state Closed", "gone"]);
    let mut wire = relay.accept().await;
    nothing_before_a_pong(&mut wire).await;
}

#[tokio::test]
async fn sessions_that_waited_too_long_for_a_link_are_closed_and_told_so() {
    let relay = HostileRelay::start().await;
    let mut options = relay.daemon_options(true);
    options.resume_grace = Duration::from_millis(50);
    let (_daemon, mut ear) = daemon(options);
    let mut wire = relay.accept().await;
    let session = wire.be_client(id(1)).await;
    ear.until("connection client").await;
    drop(wire);
    // The next attempt comes after a second.
    assert_eq!(ear.up_to("gone").await.last().map(String::as_str), Some("gone"));
    let mut wire = relay.accept().await;
    assert_eq!(wire.frame().await, close(&session, SignalReason::StateLost));
}

#[tokio::test]
async fn a_daemon_that_shuts_down_says_so_for_every_session_after_what_was_given_before() {
    let relay = HostileRelay::start().await;
    let (daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let mut sessions = Vec::new();
    for number in [1, 2] {
        sessions.push(wire.be_client(id(number)).await);
        ear.until("connection client").await;
    }
    for peer in ear.peers() {
        peer.emit("last", None).expect("there is room");
    }
    daemon.close();
    for session in &mut sessions {
        assert_eq!(session.open_event(wire.frame().await), "last");
    }
    let signals: HashSet<_> = [wire.frame().await, wire.frame().await].into();
    assert_eq!(signals, sessions.iter().map(|session| close(session, SignalReason::Shutdown)).collect());
    assert_eq!(wire.close_code().await, Some(1000));
    ear.until("daemon gone").await;
}

#[tokio::test]
async fn a_daemon_whose_place_was_taken_says_so_and_waits_a_minute() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    tokio::time::pause();
    let taken = tokio::time::Instant::now();
    wire.socket.close(Some(CloseFrame { code: 4001.into(), reason: "".into() })).await.expect("it closes");
    assert!(ear.until("unhandled").await.contains("4001"));
    ear.until("link down").await;
    relay.accept().await;
    let waited = taken.elapsed();
    assert!((60..62).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn faults_without_end_are_not_reported_without_end() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    let session = wire.be_client(id(1)).await;
    for _ in 0..50 {
        let faults = (0..9).map(|_| b"garbage".to_vec());
        wire.send_together(faults.chain([sbrp::encode_pong(b"")])).await;
    }
    wire.control(session.id.get(), ControlCode::SESSION_ENDED).await;
    ear.until("connection client").await;
    let lines = ear.up_to("gone").await;
    assert_eq!(lines.len(), 100 + 1 + 2);
    assert!(lines[100].contains("the rest is not reported"), "{}", lines[100]);
}

#[tokio::test]
async fn a_panic_in_the_daemons_task_lets_every_peer_go() {
    let relay = HostileRelay::start().await;
    let (_daemon, mut ear, mut wire) = relay.linked_daemon(true).await;
    for number in [1, 2] {
        wire.be_client(id(number)).await;
        ear.until("connection client").await;
    }
    ear.panic_at("link up");
    drop(wire);
    ear.until("link down").await;
    let _wire = relay.accept().await;
    let mut lines = ear.up_to("daemon gone").await;
    lines.retain(|line| line != "state Active");
    assert_eq!(lines[..4], ["state Closed", "gone", "state Closed", "gone"]);
    assert!(lines[4].starts_with("unhandled") && lines[4].contains("panicked"), "{lines:?}");
}

#[tokio::test]
async fn a_session_whose_messages_nobody_takes_is_closed_at_1024_and_the_others_go_on() {
    let relay = HostileRelay::start().await;
    let (listening, mut wire) = tokio::join!(sdk::listen(relay.daemon_options(true)), relay.accept());
    let mut daemon = listening.expect("it listens");
    let mut bystander = wire.be_client(id(1)).await;
    let mut taken = daemon.accept().await.expect("the first client");
    let mut session = wire.be_client(id(2)).await;
    let mut ignored = daemon.accept().await.expect("the second client");
    for _ in 0..1024 {
        wire.send(session.event("e")).await;
    }
    nothing_before_a_pong(&mut wire).await;
    wire.send(session.event("more")).await;
    assert_eq!(wire.frame().await, close(&session, SignalReason::Error));
    assert_eq!(ignored.reaches(PeerState::Closed).await, PeerState::Closed);
    wire.send(bystander.event("fine")).await;
    assert!(matches!(taken.incoming().await, Some(Incoming::Event { name, .. }) if name == "fine"));
}

#[tokio::test]
async fn a_session_beyond_the_limit_is_refused_until_another_ends() {
    let relay = HostileRelay::start().await;
    let mut options = relay.daemon_options(true);
    options.max_sessions = 2;
    let (_daemon, mut ear) = daemon(options);
    let mut wire = relay.accept().await;
    wire.be_client(id(1)).await;
    // One in its handshake counts, too; one that is replaced does not count twice.
    wire.handshake(id(2)).await;
    wire.frame().await;
    wire.be_client(id(1)).await;
    let init = ClientHandshake::start(random::secret()).init_payload();
    wire.send(sbrp::encode_handshake_init(id(3), &init)).await;
    assert_eq!(wire.frame().await, sbrp::encode_signal(id(3), Signal::Close, SignalReason::Policy));
    assert!(ear.until("unhandled").await.contains("2 are open already"));
    wire.control(2, ControlCode::SESSION_ENDED).await;
    wire.be_client(id(3)).await;
}
