//! A client and whatever a relay or a daemon behind it may send, in every state (sections 2 and 5, "Client").

#[path = "support/hostile.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use sideband::error::CallbackError;
use sideband::peer::PeerHandle;
use sideband::protocol::identity::IdentityKeyPair;
use sideband::protocol::sbp::{self, FrameId, Hello};
use sideband::protocol::sbrp::{self, ControlCode, HEADER_LEN, SessionId};
use sideband::random;
use sideband::sdk::MemoryStore;
use sideband::session::Introduction;
use sideband::trust::{BoxFuture, TrustPolicy, TrustPrompt};
use support::{DAEMON, Ear, Heard, HostileRelay, Session, Wire, client};
use tokio_tungstenite::tungstenite::Message;

/// The next frame must be the answer to a ping sent now: nothing else was on its way.
async fn nothing_before_a_pong(wire: &mut Wire) {
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

fn identity() -> IdentityKeyPair {
    IdentityKeyPair::from_seed(&random::secret())
}

/// Nobody may be asked.
struct NoPrompt;

impl TrustPrompt for NoPrompt {
    fn first_connection<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        panic!("asked about an unverified key")
    }

    fn identity_mismatch<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        panic!("asked about an unverified key")
    }
}

/// A client that has sent its `HandshakeInit`, with a store to look into.
async fn handshaking(relay: &HostileRelay) -> (PeerHandle, Ear, Wire, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    let mut options = relay.client_options();
    options.store = Arc::clone(&store) as _;
    options.trust = TrustPolicy::Prompt(Arc::new(NoPrompt));
    let (peer, ear) = client(options);
    let wire = relay.accept().await;
    (peer, ear, wire, store)
}

#[tokio::test]
async fn a_bad_signature_is_refused_before_anybody_is_asked_or_anything_pinned() {
    for broken in [HEADER_LEN + 40, HEADER_LEN + 70, HEADER_LEN + 5] {
        for pinned in [None, Some(identity().public_key())] {
            let relay = HostileRelay::start().await;
            let (_peer, mut ear, mut wire, store) = handshaking(&relay).await;
            if let Some(key) = pinned {
                store.pin(DAEMON, key);
            }
            let (mut accept, _) = wire.accept_frame(&identity()).await;
            accept[broken] ^= 1;
            wire.send(accept).await;
            let closed = ear.until("state Closed").await;
            assert!(closed.contains("handshake_failed"), "{closed}");
            assert_eq!(store.pinned(DAEMON), pinned);
        }
    }
}

#[tokio::test]
async fn anything_but_an_accept_fails_the_handshake() {
    let own = support::session();
    let other = SessionId::new(8).expect("not 0");
    for case in 0..5 {
        let relay = HostileRelay::start().await;
        let (_peer, mut ear, mut wire, store) = handshaking(&relay).await;
        let (accept, mut session) = wire.accept_frame(&identity()).await;
        let frame = match case {
            0 => sbrp::encode_handshake_accept(other, accept[HEADER_LEN..].try_into().expect("128 bytes")),
            1 => session.hello("early"),
            2 => b"no frame".to_vec(),
            3 => sbrp::encode_signal(own, sbrp::Signal::Ready, sbrp::SignalReason::None),
            _ => sbrp::encode_handshake_init(own, &[9; 32]),
        };
        wire.send(frame).await;
        let closed = ear.until("state Closed").await;
        assert!(closed.contains("handshake_failed"), "{case}: {closed}");
        assert_eq!(store.pinned(DAEMON), None);
    }
}

#[tokio::test]
async fn pings_are_answered_and_pongs_passed_over_during_the_handshake() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear) = client(relay.client_options());
    let mut wire = relay.accept().await;
    let (accept, mut session) = wire.accept_frame(&identity()).await;
    wire.send(sbrp::encode_pong(b"x")).await;
    nothing_before_a_pong(&mut wire).await;
    wire.send(accept).await;
    let hello = session.open(wire.frame().await);
    assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })));
    wire.send(sbrp::encode_pong(b"x")).await;
    nothing_before_a_pong(&mut wire).await;
    wire.send(session.hello("daemon")).await;
    ear.until("state Active").await;
}

#[tokio::test]
async fn a_client_says_its_name_and_what_it_can_do() {
    let relay = HostileRelay::start().await;
    let introduction = Introduction { peer_id: "me".into(), capabilities: vec!["files".into(), "é".into()] };
    let mut options = relay.client_options();
    options.introduction = introduction.clone();
    let (_peer, _ear) = client(options);
    let mut wire = relay.accept().await;
    let mut session = wire.accept_handshake(&identity()).await;
    let hello = session.open(wire.frame().await);
    let Ok(sbp::Frame::Handshake { data, .. }) = sbp::Frame::decode(&hello) else { panic!("an introduction") };
    let Introduction { peer_id, capabilities } = introduction;
    assert_eq!(Hello::decode(data), Ok(Hello { peer_id, caps: capabilities }));
}

#[tokio::test]
async fn a_handshake_that_never_finishes_is_tried_again() {
    let relay = HostileRelay::start().await;
    let mut options = relay.client_options();
    options.handshake_timeout = Duration::from_millis(100);
    let (_peer, mut ear) = client(options);
    // Nothing; then keys and no hello.
    let _silent = relay.accept().await;
    let failed = ear.until("state Reconnecting").await;
    assert!(failed.contains("handshake_timeout"), "{failed}");
    let mut wire = relay.accept().await;
    wire.accept_handshake(&identity()).await;
    let failed = ear.until("state Reconnecting").await;
    assert!(failed.contains("handshake_timeout"), "{failed}");
}

/// Every code of section 1, and one that is not there.
const CODES: [ControlCode; 20] = [
    ControlCode::UNAUTHORIZED,
    ControlCode::FORBIDDEN,
    ControlCode::DAEMON_NOT_FOUND,
    ControlCode::DAEMON_OFFLINE,
    ControlCode::SESSION_NOT_FOUND,
    ControlCode::SESSION_EXPIRED,
    ControlCode::MALFORMED_FRAME,
    ControlCode::PAYLOAD_TOO_LARGE,
    ControlCode::INVALID_FRAME_TYPE,
    ControlCode::INVALID_SESSION_ID,
    ControlCode::DISALLOWED_SENDER,
    ControlCode::INTERNAL_ERROR,
    ControlCode::RATE_LIMITED,
    ControlCode::BACKPRESSURE,
    ControlCode::SESSION_PAUSED,
    ControlCode::SESSION_RESUMED,
    ControlCode::SESSION_ENDED,
    ControlCode::SESSION_PENDING,
    ControlCode(0x0999),
    ControlCode(0),
];

const RETRYABLE: [ControlCode; 4] =
    [ControlCode::DAEMON_OFFLINE, ControlCode::SESSION_EXPIRED, ControlCode::INTERNAL_ERROR, ControlCode::BACKPRESSURE];

#[tokio::test]
async fn a_control_ends_a_handshake_and_says_whether_for_good() {
    for code in CODES {
        for has_keys in [false, true] {
            let relay = HostileRelay::start().await;
            let (_peer, mut ear) = client(relay.client_options());
            let mut wire = relay.accept().await;
            if has_keys {
                wire.accept_handshake(&identity()).await;
            }
            ear.until("state Negotiating").await;
            wire.control(0, code).await;
            // What does not end a connection is no reason to give it up.
            let expected = if RETRYABLE.contains(&code) || !code.is_terminal() { "Reconnecting" } else { "Closed" };
            let end = ear.next().await;
            assert!(end.starts_with(&format!("state {expected}")), "{code}: {end}");
            assert!(end.contains(code.name().unwrap_or("unknown")) && !end.contains("interest"), "{code}: {end}");
        }
    }
}

#[tokio::test]
async fn a_control_in_a_session_does_what_the_table_says() {
    for code in CODES {
        for paused in [false, true] {
            let relay = HostileRelay::start().await;
            let (_peer, mut ear, mut wire, session) = relay.active_client().await;
            let id = session.id.get();
            if paused {
                wire.control(id, ControlCode::SESSION_PAUSED).await;
                ear.until("state Paused").await;
            }
            wire.control(id, code).await;
            match code {
                ControlCode::SESSION_PAUSED if !paused => assert_eq!(ear.next().await, "state Paused"),
                ControlCode::SESSION_RESUMED if paused => assert_eq!(ear.next().await, "state Active"),
                ControlCode::RATE_LIMITED => assert!(ear.next().await.starts_with("unhandled rate_limited")),
                code if !code.is_terminal() => nothing_before_a_pong(&mut wire).await,
                code => {
                    let expected = if RETRYABLE.contains(&code) { "Reconnecting" } else { "Closed" };
                    let end = ear.next().await;
                    assert!(end.starts_with(&format!("state {expected}")), "{code} {paused}: {end}");
                }
            }
        }
    }
}

#[tokio::test]
async fn ten_garbage_frames_in_a_row_drop_the_connection_and_nine_do_not() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    for _ in 0..2 {
        for _ in 0..9 {
            wire.send(b"garbage".to_vec()).await;
            assert!(ear.next().await.starts_with("unhandled malformed_frame"));
        }
        wire.send(session.event("fine")).await;
        assert_eq!(ear.next().await, "event fine");
    }
    for _ in 0..10 {
        wire.send(b"garbage".to_vec()).await;
    }
    let lost = ear.until("state").await;
    assert!(lost.starts_with("state Reconnecting malformed_frame"), "{lost}");
    assert_eq!(wire.close_code().await, Some(1008));
}

/// What a client in an active session does with a frame made from a good one.
async fn closed_by(make: impl FnOnce(&mut Session) -> Vec<Vec<u8>>) -> String {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    wire.send_together(make(&mut session)).await;
    ear.until("state Closed").await
}

#[tokio::test]
async fn forged_and_replayed_data_end_the_client_for_good() {
    let forged = |at: usize| {
        closed_by(move |session| {
            let mut frame = session.event("e");
            let at = if at == usize::MAX { frame.len() - 1 } else { at };
            frame[at] ^= 1;
            vec![frame]
        })
    };
    for at in [HEADER_LEN + 3, HEADER_LEN + 12, usize::MAX] {
        let closed = forged(at).await;
        assert!(closed.contains("decrypt_failed"), "{at}: {closed}");
    }
    let replayed = closed_by(|session| {
        let frame = session.event("e");
        vec![frame.clone(), frame]
    });
    let replayed = replayed.await;
    assert!(replayed.contains("sequence_error"), "{replayed}");
    let late = closed_by(|session| {
        let first = session.event("first");
        let last = (0..128).map(|_| session.event("e")).last().expect("many");
        vec![last, first]
    });
    let late = late.await;
    assert!(late.contains("sequence_error"), "{late}");
}

#[tokio::test]
async fn lost_frames_are_told_and_what_follows_is_taken() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    session.event("lost");
    session.event("lost");
    wire.send(session.event("taken")).await;
    let told = ear.next().await;
    assert!(told.starts_with("unhandled") && told.contains("lost on the way: 2"), "{told}");
    assert_eq!(ear.next().await, "event taken");
}

#[tokio::test]
async fn frames_of_nobodys_session_are_reported_and_skipped() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    let mut other = session.event("other");
    other[HEADER_LEN - 1] ^= 1;
    let accept = sbrp::encode_handshake_accept(session.id, &[1; 128]);
    for frame in [other, accept] {
        wire.send(frame).await;
        assert!(ear.next().await.starts_with("unhandled"));
    }
}

#[tokio::test]
async fn text_and_oversized_messages_are_refused_by_code() {
    let oversized = || Message::binary(vec![0; (1 << 20) + 1]);
    for (message, code) in [(Message::text("hello"), 1003), (oversized(), 1009)] {
        let relay = HostileRelay::start().await;
        let (_peer, mut ear, mut wire, _session) = relay.active_client().await;
        wire.send_message(message.clone()).await;
        assert_eq!(wire.close_code().await, Some(code));
        ear.until("state Reconnecting").await;

        let relay = HostileRelay::start().await;
        let (_peer, mut ear) = client(relay.client_options());
        let mut wire = relay.accept().await;
        wire.frame().await;
        wire.send_message(message).await;
        assert_eq!(wire.close_code().await, Some(code), "during the handshake");
        ear.until("state Reconnecting").await;
    }
}

#[tokio::test]
async fn a_daemon_of_another_version_is_told_so() {
    let version = br#"{"protocol":"sideband","version":"2","peerId":"p"}"#;
    let nameless = br#"{"protocol":"sideband","version":"1","peerId":""}"#;
    for (data, expected) in [(&version[..], 1001), (nameless, 1000), (b"{", 1000)] {
        let relay = HostileRelay::start().await;
        let (_peer, mut ear) = client(relay.client_options());
        let mut wire = relay.accept().await;
        let mut session = wire.accept_handshake(&identity()).await;
        let _hello = session.open(wire.frame().await);
        wire.send(session.sbp(&sbp::Frame::Handshake { id: FrameId([1; 16]), data })).await;
        let refusal = session.open(wire.frame().await);
        assert!(matches!(sbp::Frame::decode(&refusal), Ok(sbp::Frame::Error { code, .. }) if code == expected));
        ear.until("state Reconnecting").await;
    }
}

#[tokio::test]
async fn what_breaks_the_inner_protocol_is_reported_and_what_ends_it_is_retried() {
    let relay = HostileRelay::start().await;
    let id = FrameId([1; 16]);
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    let data = Hello::new("again").encode();
    let report = sbp::Frame::Error { id, code: 1002, message: "m", details: &[] };
    let reported = [sbp::Frame::Handshake { id, data: &data }, report];
    for frame in reported {
        wire.send(session.sbp(&frame)).await;
        assert!(ear.next().await.starts_with("unhandled"), "{frame:?}");
    }
    wire.send(session.seal(|out| out.extend_from_slice(b"no SBP"))).await;
    assert!(ear.next().await.starts_with("unhandled"));

    let error = |code| sbp::Frame::Error { id, code, message: "m", details: &[] };
    for end in [sbp::Frame::Close { id, reason: Some("bye") }, error(1000), error(1001)] {
        let relay = HostileRelay::start().await;
        let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
        wire.send(session.sbp(&end)).await;
        ear.until("state Reconnecting").await;
        relay.accept().await.be_daemon().await;
        ear.until("state Active").await;
    }
}

#[tokio::test]
async fn a_closed_websocket_is_followed_by_another_whether_clean_or_not() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, _session) = relay.active_client().await;
    for clean in [true, false] {
        if clean {
            wire.socket.close(None).await.expect("it closes");
        }
        drop(wire);
        ear.until("state Reconnecting").await;
        wire = relay.accept().await;
        wire.be_daemon().await;
        ear.until("state Active").await;
    }
}

#[tokio::test]
async fn a_silent_relay_is_pinged_and_given_up() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, _session) = relay.active_client().await;
    tokio::time::pause();
    assert_eq!(wire.frame().await, sbrp::encode_ping(&[]));
    let lost = ear.until("state Reconnecting").await;
    assert!(lost.contains("90 s"), "{lost}");
    assert_eq!(wire.hear().await, Heard::Cut);
}

#[tokio::test]
async fn faults_without_end_are_not_reported_without_end() {
    let relay = HostileRelay::start().await;
    let (_peer, mut ear, mut wire, mut session) = relay.active_client().await;
    for _ in 0..50 {
        let faults = (0..20).map(|_| session.seal(|out| out.extend_from_slice(b"no SBP")));
        let faults: Vec<_> = faults.collect();
        wire.send_together(faults).await;
    }
    wire.send(session.event("fine")).await;
    let lines = ear.up_to("event fine").await;
    assert_eq!(lines.len(), 100 + 1 + 1);
    assert!(lines[100].contains("the rest is not reported"), "{}", lines[100]);
}

#[tokio::test]
async fn a_panic_in_the_clients_task_fails_its_calls_and_ends_it() {
    let relay = HostileRelay::start().await;
    let (peer, mut ear, mut wire, mut session) = relay.active_client().await;
    peer.call(1, "m", None, Duration::from_secs(60)).expect("there is room");
    wire.frame().await;
    ear.panic_at("event");
    wire.send(session.event("e")).await;
    let lines = ear.up_to("gone").await;
    assert!(lines[0].starts_with("state Closed") && lines[0].contains("panicked"), "{lines:?}");
    assert!(lines[1].starts_with("failure 1 peer_closed"), "{lines:?}");
    assert_eq!(lines.len(), 3);
}
