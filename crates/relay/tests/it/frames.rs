//! The relay's checks of a frame, in their order, and who may send what.

use serde_json::Value;
use sideband_protocol::sbrp::ControlCode;

use crate::support::{TestRelay, exchange, frame, vectors};

fn bytes(entry: &Value) -> Vec<u8> {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    if let Some(frame) = entry["frame"].as_str() {
        return hex(frame);
    }
    let made = &entry["gen"];
    let mut frame = hex(made["prefix"].as_str().unwrap());
    let count = usize::try_from(made["count"].as_u64().unwrap()).unwrap();
    frame.resize(frame.len() + count, hex(made["byte"].as_str().unwrap())[0]);
    frame
}

fn code(name: &str) -> ControlCode {
    let known = [
        ControlCode::MALFORMED_FRAME,
        ControlCode::PAYLOAD_TOO_LARGE,
        ControlCode::INVALID_FRAME_TYPE,
        ControlCode::INVALID_SESSION_ID,
    ];
    known.into_iter().find(|code| code.name() == Some(name)).expect("a known refusal")
}

/// Whether only endpoints refuse it: the size of a payload that the relay does not check.
fn is_the_endpoints_business(entry: &Value) -> bool {
    let what = entry["what"].as_str().unwrap();
    let types = ["HandshakeInit of", "HandshakeAccept of", "Data of", "Control of"];
    types.iter().any(|of| what.starts_with(of))
}

#[tokio::test]
async fn every_invalid_frame_of_a_client_is_refused_by_name() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    for (number, entry) in (1..).zip(vectors("sbrp-frames.json")["invalid"].as_array().unwrap()) {
        if is_the_endpoints_business(entry) {
            continue;
        }
        let mut client = relay.client(number).await;
        client.peer.send(bytes(entry)).await;
        client.peer.expect_control(code(entry["refusal"].as_str().unwrap()), 0).await;
        client.peer.expect_close(1008).await;
    }
}

#[tokio::test]
async fn every_invalid_frame_of_a_daemon_is_refused_by_name() {
    let relay = TestRelay::start().await;
    for entry in vectors("sbrp-frames.json")["invalid"].as_array().unwrap() {
        if is_the_endpoints_business(entry) {
            continue;
        }
        let mut daemon = relay.daemon().await;
        daemon.send(bytes(entry)).await;
        daemon.expect_control(code(entry["refusal"].as_str().unwrap()), 0).await;
        daemon.expect_close(1008).await;
    }
}

#[tokio::test]
async fn payloads_of_handshakes_and_data_are_the_endpoints_business() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    for payload in [&[][..], &[1], &[2; 31], &[3; 33], &vec![4; 65_536]] {
        for frame_type in [0x01, 0x03] {
            let message = frame(frame_type, 7, payload);
            client.peer.send(message.clone()).await;
            assert!(daemon.frame().await == message, "forwarded unchanged");
        }
        for frame_type in [0x02, 0x03] {
            let message = frame(frame_type, 7, payload);
            daemon.send(message.clone()).await;
            assert!(client.peer.frame().await == message, "forwarded unchanged");
        }
    }
}

#[tokio::test]
async fn only_the_right_side_may_send_a_type() {
    let relay = TestRelay::start().await;
    for entry in vectors("sbrp-frames.json")["senders"].as_array().unwrap() {
        if entry["allowed"] == true {
            continue;
        }
        let frame_type = u8::try_from(entry["type"].as_u64().unwrap()).unwrap();
        // A Signal has to have its size to be a frame at all; the others' are not looked at.
        let message = frame(frame_type, 7, &[0, 0]);
        let (mut daemon, mut client) = relay.pair().await;
        let peer = if entry["from"] == "client" { &mut client.peer } else { &mut daemon };
        peer.send(message).await;
        peer.expect_control(ControlCode::DISALLOWED_SENDER, 7).await;
        peer.expect_close(1008).await;
        if entry["from"] == "client" {
            daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
        } else {
            client.expect(ControlCode::SESSION_PAUSED).await;
            client.peer.socket.close(None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn disallowed_sender_is_said_under_the_frames_id() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    for session in [0, 1, 7, u64::MAX] {
        let mut client = relay.client(7).await;
        client.peer.send(frame(0x20, session, &[0, 0])).await;
        client.peer.expect_control(ControlCode::DISALLOWED_SENDER, session).await;
        client.peer.expect_close(1008).await;
    }
}

#[tokio::test]
async fn the_direction_is_checked_before_the_session() {
    let relay = TestRelay::start().await;
    let _daemon = relay.daemon().await;
    let mut client = relay.client(7).await;
    client.peer.send(frame(0x02, 8, &[0; 128])).await;
    client.peer.expect_control(ControlCode::DISALLOWED_SENDER, 8).await;
}

#[tokio::test]
async fn a_client_may_name_only_its_own_session() {
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    let mut other = relay.client(8).await;
    exchange(&mut daemon, &mut other).await;
    for frame_type in [0x01, 0x03] {
        let mut client = relay.client(7).await;
        client.peer.send(frame(frame_type, 8, &[0; 32])).await;
        client.expect_end(ControlCode::SESSION_NOT_FOUND).await;
        daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    }
    exchange(&mut daemon, &mut other).await;
}

#[tokio::test]
async fn pings_are_answered_with_their_bytes_and_pongs_are_taken() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    for opaque in [&b""[..], b"1", b"12345678"] {
        for peer in [&mut daemon, &mut client.peer] {
            peer.send(frame(0x11, 0, opaque)).await;
            peer.send(frame(0x10, 0, opaque)).await;
            assert_eq!(peer.frame().await, frame(0x11, 0, opaque));
        }
    }
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn after_a_terminal_control_nothing_more_is_forwarded() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    client.peer.send(frame(0x04, 7, &[0, 0])).await;
    client.send("too late").await;
    client.peer.expect_control(ControlCode::DISALLOWED_SENDER, 7).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    daemon.expect_alive().await;
}
