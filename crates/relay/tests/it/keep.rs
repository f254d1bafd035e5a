//! What is kept of a client's frames while its daemon is away.

use crate::support::{Client, Peer, TestRelay, data, exchange, frame, hit, ready};
use sideband_protocol::sbrp::{ControlCode, HEADER_LEN, SessionId};

async fn paused(relay: &TestRelay) -> Client {
    let (_daemon, mut client) = relay.pair().await;
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client
}

async fn resume(relay: &TestRelay, client: &mut Client) -> Peer {
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    daemon
}

#[tokio::test]
async fn data_of_the_pause_comes_after_the_resume_in_order() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    client.send("paused 1").await;
    client.send("paused 2").await;
    client.peer.expect_alive().await;
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    client.send("pending").await;
    client.peer.expect_alive().await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    client.send("resumed").await;
    for text in ["paused 1", "paused 2", "pending", "resumed"] {
        assert_eq!(daemon.frame().await, data(client.session, text));
    }
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn kept_frames_survive_a_daemon_that_comes_and_goes() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    client.send("first").await;
    client.peer.expect_alive().await;
    let _daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    client.send("second").await;
    client.peer.expect_alive().await;
    relay.cut_daemon().await;
    let mut daemon = resume(&relay, &mut client).await;
    assert_eq!(daemon.frame().await, data(client.session, "first"));
    assert_eq!(daemon.frame().await, data(client.session, "second"));
}

/// 256 KiB in whole frames of 64 KiB, headers included.
fn quarter(client: &Client, byte: u8) -> Vec<u8> {
    frame(0x03, client.session.get(), &vec![byte; 65_536 - HEADER_LEN])
}

#[tokio::test]
async fn exactly_the_limit_is_kept() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    for byte in 0..4 {
        client.peer.send(quarter(&client, byte)).await;
    }
    client.peer.expect_alive().await;
    let mut daemon = resume(&relay, &mut client).await;
    for byte in 0..4 {
        assert!(daemon.frame().await == quarter(&client, byte), "frame {byte} comes back whole");
    }
}

#[tokio::test]
async fn one_frame_more_than_fits_expires_the_session() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    for byte in 0..4 {
        client.peer.send(quarter(&client, byte)).await;
    }
    client.peer.expect_alive().await;
    assert!(hit(&relay, "keep_bytes").await == 0.0);
    client.send("one more").await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    assert!(hit(&relay, "keep_bytes").await >= 1.0);
}

#[tokio::test]
async fn a_handshake_of_the_client_during_the_pause_expires_the_session() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    client.peer.send(frame(0x01, client.session.get(), &[0; 32])).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
}

#[tokio::test]
async fn a_handshake_of_the_client_while_pending_expires_the_session() {
    let relay = TestRelay::start().await;
    let mut client = paused(&relay).await;
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    client.peer.send(frame(0x01, client.session.get(), &[0; 32])).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
}

#[tokio::test]
async fn data_of_the_daemon_before_its_signal_expires_the_session() {
    let relay = TestRelay::start().await;
    for message in [data(SessionId::new(7).unwrap(), "early"), frame(0x02, 7, &[0; 128])] {
        let mut client = paused(&relay).await;
        let mut daemon = relay.daemon().await;
        client.expect(ControlCode::SESSION_PENDING).await;
        daemon.send(message).await;
        client.expect_end(ControlCode::SESSION_EXPIRED).await;
        daemon.expect_control(ControlCode::SESSION_ENDED, client.session.get()).await;
    }
}
