//! What sockets cannot show on purpose: frames that the relay still holds when a link dies.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, Frame, FrameType, HEADER_LEN, SessionId, write_header};

use super::{
    context::Context,
    link::Link,
    pair::{Daemon, Pair, State},
    pairing::Pairing,
};
use crate::{limits::Limits, metrics::Metrics};

fn data(payload: &[u8]) -> Bytes {
    let mut frame = vec![0; HEADER_LEN];
    write_header(&mut frame, FrameType::Data, u32::try_from(payload.len()).unwrap(), 7);
    frame.extend_from_slice(payload);
    frame.into()
}

fn context() -> Rc<Context> {
    Rc::new(Context::new(Arc::new(Limits::default()), Arc::new(Metrics::new()), 0, 1))
}

fn link(context: &Rc<Context>) -> Rc<Link> {
    Rc::new(Link::new(Rc::clone(context), 1024 * 1024))
}

fn controls(link: &Link) -> Vec<ControlCode> {
    std::iter::from_fn(|| link.pop())
        .map(|(frame, _)| match Frame::decode(&frame) {
            Ok(Frame::Control { code, .. }) => code,
            other => panic!("a Control was expected, and there was {other:?}"),
        })
        .collect()
}

struct Table {
    context: Rc<Context>,
    pairing: Pairing,
    id: Arc<str>,
    daemon: Rc<Daemon>,
    pair: Rc<Pair>,
    now: Instant,
}

/// A pair and its daemon's link.
fn paired() -> (Table, Rc<Link>) {
    let context = context();
    let pairing = Pairing::new(Rc::clone(&context));
    let (id, now, daemon_link) = (Arc::<str>::from("d"), Instant::now(), link(&context));
    let daemon = pairing.daemon_connects(&id, true, Rc::clone(&daemon_link), now);
    let session = SessionId::new(7).unwrap();
    let pair = pairing.client_connects("d", session, "u".to_owned(), link(&context)).unwrap();
    (Table { context, pairing, id, daemon, pair, now }, daemon_link)
}

#[test]
fn frames_that_the_daemons_socket_did_not_take_come_after_the_resume() {
    let (table, old) = paired();
    let frames: Vec<Bytes> = (0..3).map(|n| data(&[n; 40])).collect();
    for frame in &frames[..2] {
        table.pairing.client_sends(&table.pair, frame.clone(), true, table.now);
    }
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    assert_eq!(table.pair.state(), State::Paused);
    table.pairing.client_sends(&table.pair, frames[2].clone(), true, table.now);
    let new = link(&table.context);
    table.pairing.daemon_connects(&table.id, true, Rc::clone(&new), table.now);
    table.pairing.daemon_is_ready(&table.pair, table.now);
    let sent: Vec<Bytes> = std::iter::from_fn(|| new.pop()).map(|(frame, _)| frame).collect();
    assert_eq!(sent, frames);
    let told = [ControlCode::SESSION_PAUSED, ControlCode::SESSION_PENDING, ControlCode::SESSION_RESUMED];
    assert_eq!(controls(&table.pair.client), told);
}

#[test]
fn more_of_them_than_is_kept_expires_the_session() {
    let (table, old) = paired();
    for _ in 0..5 {
        table.pairing.client_sends(&table.pair, data(&vec![0; 60_000]), true, table.now);
    }
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    assert_eq!(table.pair.state(), State::Ended);
    assert_eq!(controls(&table.pair.client), [ControlCode::SESSION_PAUSED, ControlCode::SESSION_EXPIRED]);
}

#[test]
fn a_handshake_among_them_expires_the_session() {
    let (table, old) = paired();
    let mut init = data(&[0; 32]).to_vec();
    init[0] = 0x01;
    table.pairing.client_sends(&table.pair, init.into(), false, table.now);
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    assert_eq!(controls(&table.pair.client), [ControlCode::SESSION_PAUSED, ControlCode::SESSION_EXPIRED]);
}

#[test]
fn the_relays_own_unsent_frames_are_not_for_the_next_link() {
    let (table, old) = paired();
    old.control(ControlCode::SESSION_ENDED, 99, table.now);
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    let new = link(&table.context);
    table.pairing.daemon_connects(&table.id, true, Rc::clone(&new), table.now);
    table.pairing.daemon_is_ready(&table.pair, table.now);
    assert!(new.pop().is_none());
}

#[test]
fn a_late_drop_of_a_replaced_link_changes_nothing() {
    let (table, old) = paired();
    let new = link(&table.context);
    table.pairing.daemon_connects(&table.id, true, new, table.now);
    table.pairing.daemon_is_ready(&table.pair, table.now);
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    assert_eq!(table.pair.state(), State::Paired);
}

#[test]
fn each_pair_has_the_grace_of_its_own_pause() {
    let (table, old) = paired();
    let grace = Limits::default().grace;
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    assert!(Pairing::needs_waiting(&table.daemon));
    assert_eq!(table.pairing.end_overdue(&table.daemon, table.now), Some(table.now + grace));
    // A later drop while pending does not start it anew.
    let (new, later) = (link(&table.context), table.now + Duration::from_secs(59));
    let daemon = table.pairing.daemon_connects(&table.id, true, Rc::clone(&new), later);
    table.pairing.daemon_drops(&daemon, &new, later);
    assert_eq!(table.pairing.end_overdue(&daemon, later), Some(table.now + grace));
    assert_eq!(table.pairing.end_overdue(&daemon, table.now + grace), None);
    assert_eq!(table.pair.state(), State::Ended);
    assert!(table.pairing.daemons().is_empty(), "nothing is left of a daemon without link and pairs");
}

#[test]
fn a_daemon_that_is_back_has_to_speak_in_time_and_within_the_grace() {
    let (table, old) = paired();
    let Limits { grace, pending_time, .. } = Limits::default();
    table.pairing.daemon_drops(&table.daemon, &old, table.now);
    let back = table.now + Duration::from_secs(20);
    let new = link(&table.context);
    let daemon = table.pairing.daemon_connects(&table.id, true, Rc::clone(&new), back);
    assert_eq!(table.pairing.end_overdue(&daemon, back), Some(back + pending_time));
    // A drop takes that back, and the first grace goes on.
    table.pairing.daemon_drops(&daemon, &new, back);
    assert_eq!(table.pairing.end_overdue(&daemon, back), Some(table.now + grace));
    let late = table.now + Duration::from_secs(55);
    table.pairing.daemon_connects(&table.id, true, link(&table.context), late);
    assert_eq!(table.pairing.end_overdue(&daemon, late), Some(table.now + grace), "the grace ends before");
    table.pairing.daemon_is_ready(&table.pair, late);
    assert_eq!(table.pairing.end_overdue(&daemon, late), None);
    assert_eq!(table.pair.state(), State::Paired);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_client_that_waited_for_one_link_of_its_daemon_is_woken_by_the_next_one_too() {
    let (table, old) = paired();
    let woken = Arc::new(Woken::default());
    // As its connection has it: for all links of the daemon.
    let (waker, mut round) = (Waker::from(Arc::clone(&woken)), 0);
    let new = link(&table.context);
    for (times, link) in [old, new].into_iter().enumerate() {
        if times > 0 {
            table.pairing.daemon_connects(&table.id, true, Rc::clone(&link), table.now);
            table.pairing.daemon_is_ready(&table.pair, table.now);
        }
        assert!(!table.pair.must_wait(&mut round, &waker));
        while !link.is_full() {
            table.pairing.client_sends(&table.pair, data(&vec![0; 60_000]), true, table.now);
        }
        assert!(table.pair.must_wait(&mut round, &waker));
        assert!(table.pair.must_wait(&mut round, &waker), "as often as it is looked at");
        while link.pop().is_some() {}
        assert_eq!(woken.0.load(Ordering::Relaxed), times + 1, "once for each link");
    }
}
