//! Receivers that are too slow: what becomes of them, and that nobody else notices.

use std::time::Duration;

use futures_util::FutureExt;
use sideband_protocol::sbrp::ControlCode;
use sideband_relay::Limits;

use crate::support::{PATIENCE, TestRelay, data, exchange, frame, hit};

fn big(session: u64) -> Vec<u8> {
    frame(0x03, session, &vec![5; 60_000])
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_backpressure_and_the_others_go_on() {
    let mut limits = Limits::default().without_rates();
    limits.client_queue_bytes = 1024 * 1024;
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let mut daemon = relay.daemon().await;
    let (mut slow, mut other) = (relay.client(1).await, relay.client(2).await);
    exchange(&mut daemon, &mut slow).await;
    exchange(&mut daemon, &mut other).await;
    // More and more for the one, and in between something for the other, until the one is given up.
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            for _ in 0..10 {
                daemon.send(big(1)).await;
            }
            daemon.send(data(other.session, "still here")).await;
            assert_eq!(other.peer.frame().await, data(other.session, "still here"));
            if let Some(frame) = daemon.frame().now_or_never() {
                break frame;
            }
        }
    });
    let ended = ended.await.expect("the slow client is given up in time");
    assert_eq!(ended, sideband_protocol::sbrp::encode_control(1, ControlCode::SESSION_ENDED, ""));
    // The slow one, when it reads at last, finds what it was sent, and then why it ended.
    loop {
        let frame = slow.peer.frame().await;
        if frame != big(1) {
            assert_eq!(frame, sideband_protocol::sbrp::encode_control(0, ControlCode::BACKPRESSURE, ""));
            break;
        }
    }
    slow.peer.expect_close(1008).await;
    assert!(hit(&relay, "client_queue_bytes").await >= 1.0);
}

#[tokio::test]
async fn clients_of_a_daemon_that_does_not_read_are_slowed_down_and_lose_nothing() {
    let mut limits = Limits::default().without_rates();
    limits.daemon_queue_bytes = 256 * 1024;
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let (mut daemon, mut client) = relay.pair().await;
    let total = 400_u32;
    let numbered = |n: u32| {
        let mut payload = vec![0; 60_000];
        payload[..4].copy_from_slice(&n.to_be_bytes());
        frame(0x03, 7, &payload)
    };
    let send = tokio::spawn(async move {
        for n in 0..total {
            client.peer.send(numbered(n)).await;
        }
        client
    });
    // The sender is stopped long before its 24 MB are out: everything between here and there is
    // full, and stays so.
    let queued = || async { relay.relay.sessions().await[0].frames_to_daemon };
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = queued().await;
        if now == before && now > 1 {
            break;
        }
        before = now;
    }
    assert!(!send.is_finished(), "the sender waits");
    assert!(before < 300, "{before} frames were taken without being read");
    assert!(hit(&relay, "daemon_queue_bytes").await >= 1.0);
    for n in 0..total {
        assert!(daemon.frame().await == numbered(n), "frame {n}");
    }
    let mut client = send.await.unwrap();
    exchange(&mut daemon, &mut client).await;
}

#[tokio::test]
async fn a_daemon_that_does_not_read_for_too_long_gets_backpressure() {
    let mut limits = Limits::default().without_rates();
    limits.daemon_queue_bytes = 256 * 1024;
    limits.queue_time = Duration::from_millis(300);
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let (mut daemon, mut client) = relay.pair().await;
    let mut sender = relay.client(8).await;
    let send = tokio::spawn(async move {
        // Until its own session ends for what cannot be kept.
        while futures_util::SinkExt::send(&mut sender.peer.socket, big(8).into()).await.is_ok() {}
    });
    client.expect(ControlCode::SESSION_PAUSED).await;
    send.await.unwrap();
    loop {
        let frame = daemon.frame().await;
        if frame != big(8) {
            assert_eq!(frame, sideband_protocol::sbrp::encode_control(0, ControlCode::BACKPRESSURE, ""));
            break;
        }
    }
    daemon.expect_close(1008).await;
    assert!(hit(&relay, "queue_seconds").await >= 1.0);
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_for_too_long_gets_backpressure() {
    let mut limits = Limits::default().without_rates();
    limits.queue_time = Duration::from_millis(300);
    limits.client_queue_bytes = 1 << 30;
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let (mut daemon, mut client) = relay.pair().await;
    for _ in 0..200 {
        daemon.send(big(7)).await;
    }
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    assert!(hit(&relay, "queue_seconds").await >= 1.0);
    let last = loop {
        let frame = client.peer.frame().await;
        if frame != big(7) {
            break frame;
        }
    };
    assert_eq!(last, sideband_protocol::sbrp::encode_control(0, ControlCode::BACKPRESSURE, ""));
}

#[tokio::test]
async fn one_who_makes_answers_and_does_not_read_them_is_closed() {
    let mut limits = Limits::default().without_rates();
    limits.client_queue_bytes = 64 * 1024;
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let (mut daemon, mut client) = relay.pair().await;
    // Pings without end, and not one Pong read.
    let ping = frame(0x10, 0, b"12345678");
    let flood = async {
        use futures_util::SinkExt;
        loop {
            if client.peer.socket.feed(ping.clone().into()).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, flood).await.expect("it is closed in time");
    daemon.expect_control(ControlCode::SESSION_ENDED, 7).await;
    assert!(hit(&relay, "client_queue_bytes").await >= 1.0);
}
