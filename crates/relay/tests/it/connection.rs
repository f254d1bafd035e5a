//! The life of a WebSocket: who replaces whom, what closes it with which code.

use std::time::Duration;

use serde_json::json;
use sideband_protocol::sbrp::{ControlCode, SessionId};
use sideband_relay::Limits;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{TestRelay, data, exchange, frame, hit, ready};

#[tokio::test]
async fn a_text_message_closes_with_1003() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    client.peer.message(Message::text("hello")).await;
    client.peer.expect_close(1003).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    daemon.message(Message::text("")).await;
    daemon.expect_close(1003).await;
}

#[tokio::test]
async fn a_text_message_that_is_not_utf8_closes_with_1003_too() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let relay = TestRelay::start().await;
    let (_daemon, mut client) = relay.pair().await;
    let text = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    client.peer.message(Message::Frame(text)).await;
    client.peer.expect_close(1003).await;
}

#[tokio::test]
async fn a_message_over_1_mib_closes_with_1009() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    // At the limit it is only a frame that is too long.
    let mut other = relay.client(8).await;
    other.peer.send(vec![3; 1024 * 1024]).await;
    other.peer.expect_control(ControlCode::PAYLOAD_TOO_LARGE, 0).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 8).await;
    client.peer.send(vec![3; 1024 * 1024 + 1]).await;
    client.peer.expect_close(1009).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
}

#[tokio::test]
async fn a_frame_in_websocket_fragments_is_one_frame() {
    use tokio_tungstenite::tungstenite::protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    };
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    let whole = data(client.session, "in three parts");
    let (first, rest) = whole.split_at(5);
    let (second, third) = rest.split_at(10);
    let part = |bytes: &[u8], kind, last| Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), last));
    client.peer.message(part(first, Data::Binary, false)).await;
    client.peer.message(part(second, Data::Continue, false)).await;
    client.peer.message(part(third, Data::Continue, true)).await;
    assert_eq!(daemon.frame().await, whole);
}

#[tokio::test]
async fn websocket_pings_are_answered() {
    use futures_util::StreamExt;
    let relay = TestRelay::start().await;
    let mut daemon = relay.daemon().await;
    daemon.message(Message::Ping("x".into())).await;
    let answer = daemon.socket.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong("x".into()));
}

#[tokio::test]
async fn a_second_connection_of_a_daemon_replaces_the_first_with_4001() {
    let relay = TestRelay::start().await;
    let (mut first, mut client) = relay.pair().await;
    let mut second = relay.daemon().await;
    first.expect_close(4001).await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client.expect(ControlCode::SESSION_PENDING).await;
    second.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    exchange(&mut second, &mut client).await;
}

#[tokio::test]
async fn a_replacement_that_does_not_resume_expires_the_sessions() {
    let relay = TestRelay::start().await;
    let (mut first, mut client) = relay.pair().await;
    let claims = relay.daemon_claims().without("scp");
    let mut second = relay.open(&claims.sign()).await.unwrap();
    first.expect_close(4001).await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    second.expect_alive().await;
}

#[tokio::test]
async fn a_session_id_in_use_is_refused_with_409() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    let token = relay.client_claims(client.session).sign();
    assert_eq!(relay.open(&token).await.err(), Some(409));
    exchange(&mut daemon, &mut client).await;
    // Another daemon's session of that id is no better.
    let other = relay.relay.add_daemon(Some("other")).await.unwrap();
    let claims = relay.client_claims(client.session).set("did", json!(other.daemon_id));
    assert_eq!(relay.open(&claims.sign()).await.err(), Some(409));
    // While it is paused it is in use, too.
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    assert_eq!(relay.open(&token).await.err(), Some(409));
}

#[tokio::test]
async fn a_session_id_is_free_again_when_its_client_is_gone() {
    let relay = TestRelay::start().await;
    let (mut daemon, client) = relay.pair().await;
    drop(client.peer);
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    let mut again = relay.client(7).await;
    exchange(&mut daemon, &mut again).await;
}

#[tokio::test]
async fn lim_bounds_the_sessions_of_a_daemon() {
    let relay = TestRelay::start().await;
    let claims = relay.daemon_claims().set("lim", json!({ "concurrent_sessions": 2 }));
    let mut daemon = relay.open(&claims.sign()).await.unwrap();
    let mut first = relay.client(1).await;
    let second = relay.client(2).await;
    let third = relay.client_claims(SessionId::new(3).unwrap()).sign();
    assert_eq!(relay.open(&third).await.err(), Some(429));
    exchange(&mut daemon, &mut first).await;
    drop(second.peer);
    daemon.expect_control(ControlCode::SESSION_ENDED, 2).await;
    relay.open(&third).await.expect("there is room again");
}

#[tokio::test]
async fn lim_of_the_clients_own_token_counts_too() {
    let relay = TestRelay::start().await;
    let (_daemon, _client) = relay.pair().await;
    let claims = relay.client_claims(SessionId::new(8).unwrap());
    let limited = claims.clone().set("lim", json!({ "concurrent_sessions": 1 }));
    assert_eq!(relay.open(&limited.sign()).await.err(), Some(429));
    relay.open(&claims.sign()).await.expect("without it there is room");
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let mut limits = Limits::default();
    limits.silence = Duration::from_millis(200);
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let mut daemon = relay.daemon().await;
    daemon.expect_close(1001).await;
    assert!(hit(&relay, "silence_seconds").await >= 1.0);
}

#[tokio::test]
async fn a_connection_that_pings_is_not_silent() {
    let mut limits = Limits::default();
    limits.silence = Duration::from_millis(400);
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let mut silent = relay.daemon().await;
    let other = relay.relay.add_daemon(Some("other")).await.unwrap();
    let claims = relay.daemon_claims().set("did", json!(other.daemon_id)).set("sub", json!(other.daemon_id));
    let mut talking = relay.open(&claims.sign()).await.unwrap();
    let end = silent.expect_close(1001);
    tokio::pin!(end);
    // As often as it takes for the silent one to be closed.
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = ticks.tick() => talking.expect_alive().await,
        }
    }
    talking.expect_alive().await;
}

#[tokio::test]
async fn a_cut_ends_the_connection_without_a_close_frame() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    relay.cut_daemon().await;
    daemon.expect_cut().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    assert!(relay.relay.disconnect_client(client.session).await);
    client.peer.expect_cut().await;
    assert!(!relay.relay.disconnect_client(client.session).await);
    assert!(!relay.relay.disconnect_daemon(relay.relay.daemon_id()).await);
}

#[tokio::test]
async fn a_shutdown_closes_everybody_with_1012() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    let mut more = Vec::new();
    for session in 100..110 {
        more.push(relay.client(session).await);
    }
    exchange(&mut daemon, &mut client).await;
    let shutdown = tokio::spawn(relay.relay.shutdown());
    loop {
        // Whoever is closed after the daemon hears of its drop first.
        match client.peer.message_or_close().await {
            Some(1012) => break,
            Some(code) => panic!("closed with {code}"),
            None => (),
        }
    }
    daemon.expect_eventual_close(1012).await;
    for client in &mut more {
        client.peer.expect_eventual_close(1012).await;
    }
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_breaks_websocket_is_closed_with_1002() {
    use tokio::io::AsyncWriteExt;
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    // A frame that is not masked, which clients must not send.
    client.peer.socket.get_mut().write_all(&[0x82, 0x01, 0x00]).await.unwrap();
    client.peer.expect_close(1002).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
}

#[tokio::test]
async fn a_daemon_with_many_clients_serves_each() {
    let relay = TestRelay::with(|builder| builder.shards(3)).await;
    let mut daemon = relay.daemon().await;
    let mut clients = Vec::new();
    for session in 1..=50 {
        clients.push(relay.client(session).await);
    }
    for client in &mut clients {
        client.send("ping").await;
        assert_eq!(daemon.frame().await, data(client.session, "ping"));
        daemon.send(frame(0x03, client.session.get(), b"pong")).await;
        assert_eq!(client.peer.frame().await, frame(0x03, client.session.get(), b"pong"));
    }
}
