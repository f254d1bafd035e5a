//! The relay's table of pairs (section 5), a test per row.

use crate::support::{TestRelay, close, data, exchange, ready};
use sideband_protocol::sbrp::{ControlCode, SignalReason};

#[tokio::test]
async fn client_connects_while_the_daemon_is_online_and_is_paired() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn paused_then_a_resumable_daemon_and_signal_ready_resume() {
    let relay = TestRelay::start().await;
    let (_daemon, mut client) = relay.pair().await;
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    client.send("kept 1").await;
    client.send("kept 2").await;
    client.peer.expect_alive().await;
    let mut daemon = relay.daemon().await;
    client.expect(ControlCode::SESSION_PENDING).await;
    client.send("kept 3").await;
    client.peer.expect_alive().await;
    daemon.send(ready(client.session)).await;
    client.expect(ControlCode::SESSION_RESUMED).await;
    for text in ["kept 1", "kept 2", "kept 3"] {
        assert_eq!(daemon.frame().await, data(client.session, text));
    }
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn paired_and_signal_close_expires_the_client() {
    let relay = TestRelay::start().await;
    let (mut daemon, mut client) = relay.pair().await;
    daemon.send(close(client.session, SignalReason::Policy)).await;
    client.expect_end(ControlCode::SESSION_EXPIRED).await;
    daemon.expect_alive().await;
}
