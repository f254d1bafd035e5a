//! The conversation without I/O: two cores and a recording host.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sideband_protocol::rpc;
use sideband_protocol::sbp::{self, Frame, FrameId, Subject};

use super::core::{Flow, PeerCore};
use super::handle::Outgoing;
use super::policy::{OnDisconnect, PeerPolicy};
use super::{Inbox, PeerHandle, Refused};
use crate::error::{Error, ProtocolError};
use crate::host::{DaemonEvent, Gate, Host, Id, PeerEvent};

#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<String>>,
    cids: Mutex<Vec<FrameId>>,
    gate: Gate,
}

impl Recorder {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

impl Host for Recorder {
    fn peer(&self, _peer: Id, event: PeerEvent<'_>) {
        let line = match event {
            PeerEvent::Result { call, result } => format!("result {call} {}", result.unwrap_or("nothing")),
            PeerEvent::Failure { call, error: Error::Peer { code, .. } } => format!("failure {call} {}", code.as_str()),
            PeerEvent::Failure { call, error } => format!("failure {call} {error}"),
            PeerEvent::Request { method, params, cid } => {
                self.cids.lock().unwrap().push(cid);
                format!("request {method} {}", params.unwrap_or("nothing"))
            }
            PeerEvent::Event { name, data } => format!("event {name} {}", data.unwrap_or("nothing")),
            PeerEvent::Unhandled { .. } => "unhandled".to_owned(),
            PeerEvent::State { .. } | PeerEvent::Gone => return,
        };
        self.events.lock().unwrap().push(line);
    }

    fn daemon(&self, _daemon: Id, _event: DaemonEvent<'_>) {}

    fn flush(&self) {}

    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// A handle, the inbox behind it and the core: what an owner task has, driven by hand.
struct Side {
    handle: PeerHandle,
    inbox: Inbox,
    core: PeerCore,
    host: Arc<Recorder>,
    out: VecDeque<Outgoing>,
    now: Instant,
}

impl Side {
    fn new(flow: Flow, policy: PeerPolicy) -> Self {
        let id = Id::next();
        let (mailbox, inbox) = Inbox::new();
        let host = Arc::new(Recorder::default());
        let core = PeerCore::new(id, policy, Arc::clone(&host) as Arc<dyn Host>, flow);
        Self { handle: PeerHandle::new(id, mailbox), inbox, core, host, out: VecDeque::new(), now: Instant::now() }
    }

    fn active() -> Self {
        Self::new(Flow::Active, PeerPolicy::default())
    }

    fn call(&mut self, call: u32, method: &str, timeout_ms: u64) {
        self.handle.call(call, method, Some("[1]"), Duration::from_millis(timeout_ms)).unwrap();
        self.run().unwrap();
    }

    fn emit(&mut self, name: &str) {
        self.handle.emit(name, None).unwrap();
        self.run().unwrap();
    }

    fn run(&mut self) -> Result<(), ProtocolError> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Some((_, command))) = self.inbox.poll(&mut cx) {
            self.core.command(self.now, command, &mut self.out)?;
        }
        Ok(())
    }

    fn activate(&mut self) {
        self.core.activate(&mut self.out);
    }

    fn pass(&mut self, by: Duration) {
        self.now += by;
        self.core.expire(self.now);
    }

    /// Hands everything that this side sent to the other.
    fn deliver(&mut self, to: &mut Self) {
        for frame in self.out.drain(..) {
            to.receive(frame.plaintext()).unwrap();
        }
    }

    fn receive(&mut self, plaintext: &[u8]) -> Result<(), ProtocolError> {
        let mut replies = Vec::new();
        let received = self.core.receive(plaintext, &mut replies);
        self.out.extend(replies);
        received
    }
}

#[test]
fn a_call_reaches_the_other_side_and_its_answer_comes_back() {
    let (mut a, mut b) = (Side::active(), Side::active());
    a.call(7, "add", 1000);
    a.deliver(&mut b);
    assert_eq!(b.host.take(), ["request add [1]"]);
    let cid = b.host.cids.lock().unwrap()[0];
    b.handle.respond(cid, Some("3")).unwrap();
    b.run().unwrap();
    b.deliver(&mut a);
    assert_eq!(a.host.take(), ["result 7 3"]);
    assert_eq!(a.core.next_deadline(), None);
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let (mut a, mut b) = (Side::active(), Side::active());
    b.handle.respond(FrameId([9; 16]), None).unwrap();
    b.run().unwrap();
    b.deliver(&mut a);
    assert_eq!(a.host.take(), Vec::<String>::new());
}

#[test]
fn a_call_in_flight_times_out_and_its_late_answer_is_dropped() {
    let (mut a, mut b) = (Side::active(), Side::active());
    a.call(1, "slow", 100);
    a.deliver(&mut b);
    a.pass(Duration::from_millis(99));
    assert_eq!(a.host.take(), Vec::<String>::new());
    a.pass(Duration::from_millis(1));
    assert_eq!(a.host.take(), ["failure 1 rpc_timeout"]);
    let cid = b.host.cids.lock().unwrap()[0];
    b.handle.respond(cid, None).unwrap();
    b.run().unwrap();
    b.deliver(&mut a);
    assert_eq!(a.host.take(), Vec::<String>::new());
}

#[test]
fn without_a_connection_the_policy_decides_whether_a_call_fails_or_waits() {
    let fail = PeerPolicy { on_disconnect: OnDisconnect::Fail, ..PeerPolicy::default() };
    let mut side = Side::new(Flow::Down, fail);
    side.call(1, "m", 1000);
    side.core.pause();
    side.call(2, "m", 1000);
    assert_eq!(side.host.take(), ["failure 1 not_connected", "failure 2 session_paused"]);

    let (mut a, mut b) = (Side::new(Flow::Down, PeerPolicy::default()), Side::active());
    a.call(1, "first", 1000);
    a.emit("second");
    a.call(3, "third", 1000);
    assert!(a.out.is_empty());
    a.activate();
    a.deliver(&mut b);
    assert_eq!(b.host.take(), ["request first [1]", "event second nothing", "request third [1]"]);
}

#[test]
fn the_timeout_of_a_waiting_call_runs() {
    let mut side = Side::new(Flow::Down, PeerPolicy::default());
    side.call(1, "m", 50);
    assert_eq!(side.core.next_deadline(), Some(side.now + Duration::from_millis(50)));
    side.pass(Duration::from_millis(50));
    assert_eq!(side.host.take(), ["failure 1 rpc_timeout"]);
    side.activate();
    assert!(side.out.is_empty());
}

#[test]
fn a_call_number_used_twice_is_the_later_calls() {
    let mut side = Side::active();
    side.call(1, "m", 100);
    side.call(1, "m", 200);
    side.pass(Duration::from_millis(150));
    assert_eq!(side.host.take(), Vec::<String>::new());
    side.pass(Duration::from_millis(150));
    assert_eq!(side.host.take(), ["failure 1 rpc_timeout"]);
    assert_eq!(side.core.next_deadline(), None);
}

#[test]
fn a_timeout_beyond_every_clock_is_no_timeout() {
    let mut side = Side::active();
    side.handle.call(1, "m", None, Duration::MAX).unwrap();
    side.run().unwrap();
    side.pass(Duration::from_secs(86_400 * 365));
    assert_eq!(side.host.take(), Vec::<String>::new());
}

#[test]
fn calls_wait_up_to_the_buffer_limit() {
    let mut side = Side::new(Flow::Paused, PeerPolicy { buffer_limit: 200, ..PeerPolicy::default() });
    for call in 1..=3 {
        side.call(call, "m", 1000);
    }
    assert_eq!(side.host.take(), ["failure 3 buffer_overflow"]);
    side.handle.cancel(1);
    side.call(4, "m", 1000);
    assert_eq!(side.host.take(), Vec::<String>::new(), "a cancelled call makes room");
}

#[test]
fn the_oldest_waiting_event_gives_way() {
    let (mut a, mut b) = (Side::new(Flow::Down, PeerPolicy { max_events: 2, ..PeerPolicy::default() }), Side::active());
    for name in ["a", "b", "c"] {
        a.emit(name);
    }
    a.activate();
    a.deliver(&mut b);
    assert_eq!(b.host.take(), ["event b nothing", "event c nothing"]);

    let mut none = Side::new(Flow::Down, PeerPolicy { max_events: 0, ..PeerPolicy::default() });
    none.emit("a");
    none.activate();
    assert!(none.out.is_empty());
}

#[test]
fn calls_in_flight_survive_a_pause_but_not_a_lost_session() {
    let (mut a, mut b) = (Side::active(), Side::active());
    a.call(1, "m", 1000);
    a.deliver(&mut b);
    a.core.pause();
    a.activate();
    assert_eq!(a.host.take(), Vec::<String>::new());
    a.core.disconnect(VecDeque::new());
    assert_eq!(a.host.take(), ["failure 1 not_connected"]);
}

#[test]
fn events_that_were_not_sealed_yet_wait_for_the_next_session() {
    let (mut a, mut b) =
        (Side::new(Flow::Active, PeerPolicy { max_events: 3, ..PeerPolicy::default() }), Side::active());
    for (call, name) in [(1, "a"), (2, "b"), (3, "c")] {
        a.emit(name);
        a.call(call, "m", 1000);
    }
    a.core.pause();
    a.emit("d");
    let unsealed = std::mem::take(&mut a.out);
    a.core.disconnect(unsealed);
    assert_eq!(a.host.take().len(), 3, "the calls fail");
    a.activate();
    a.deliver(&mut b);
    assert_eq!(b.host.take(), ["event b nothing", "event c nothing", "event d nothing"], "the oldest gave way");
}

#[test]
fn answers_wait_while_paused_and_die_with_their_session() {
    let (mut a, mut b) = (Side::active(), Side::active());
    a.call(1, "m", 1000);
    a.deliver(&mut b);
    b.core.pause();
    let cid = b.host.cids.lock().unwrap()[0];
    b.handle.respond(cid, Some("1")).unwrap();
    b.run().unwrap();
    assert!(b.out.is_empty());
    b.activate();
    b.deliver(&mut a);
    assert_eq!(a.host.take(), ["result 1 1"]);

    b.core.pause();
    b.handle.respond(cid, Some("2")).unwrap();
    b.run().unwrap();
    b.core.disconnect(VecDeque::new());
    b.activate();
    assert!(b.out.is_empty());
}

#[test]
fn more_answers_than_may_be_kept_end_the_session() {
    let mut side = Side::new(Flow::Paused, PeerPolicy::default());
    let large = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..17 {
        side.handle.respond(FrameId([1; 16]), Some(&large)).unwrap();
    }
    assert!(side.run().is_ok());
    side.handle.respond(FrameId([1; 16]), Some(&large)).unwrap();
    assert!(side.run().is_err());
}

#[test]
fn closing_fails_everything() {
    let mut side = Side::active();
    side.call(1, "m", 1000);
    side.core.pause();
    side.call(2, "m", 1000);
    side.core.close();
    assert_eq!(side.host.take(), ["failure 1 peer_closed", "failure 2 peer_closed"]);
}

#[test]
fn what_does_not_fit_is_refused_before_it_goes_anywhere() {
    let side = Side::active();
    let large = format!("\"{}\"", "x".repeat(65_508));
    let deep = "[".repeat(129) + &"]".repeat(129);
    let timeout = Duration::from_secs(1);
    assert_eq!(side.handle.call(1, "m", Some(&large), timeout), Err(Refused::TooLarge));
    assert_eq!(side.handle.call(1, "m", Some(&deep), timeout), Err(Refused::TooDeep));
    assert_eq!(side.handle.emit("not a name", None), Err(Refused::InvalidName));
    let Side { handle, inbox, .. } = side;
    drop(inbox);
    assert_eq!(handle.emit("a", None), Err(Refused::Closed));
}

#[test]
fn control_frames_of_the_inner_protocol() {
    let mut side = Side::active();
    let id = FrameId([3; 16]);
    let mut receive = |frame: Frame<'_>| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        side.receive(&bytes)
    };
    assert!(receive(Frame::Ping { id }).is_ok());
    assert!(receive(Frame::Pong { id }).is_ok());
    assert!(receive(Frame::Handshake { id, data: b"{}" }).is_ok());
    assert!(receive(Frame::Error { id, code: 1002, message: "m", details: &[] }).is_ok());
    for code in [sbp::code::PROTOCOL_VIOLATION, sbp::code::UNSUPPORTED_VERSION] {
        assert!(receive(Frame::Error { id, code, message: "m", details: &[] }).is_err());
    }
    assert!(receive(Frame::Close { id, reason: None }).is_err());
    assert!(side.receive(b"no frame").is_ok());
    assert_eq!(side.host.take(), ["unhandled", "unhandled", "unhandled"]);
    assert_eq!(side.out.len(), 1, "one answer, to the ping");
    assert!(matches!(Frame::decode(side.out[0].plaintext()), Ok(Frame::Pong { .. })));
}

#[test]
fn a_remote_that_nests_too_deep_fails_that_message_only() {
    let (mut a, mut b) = (Side::active(), Side::active());
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    let message = |subject, write: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        sbp::write_message_head(&mut frame, FrameId([5; 16]), subject);
        write(&mut frame);
        frame
    };
    let request = message(Subject::Rpc, &|out| rpc::write_request(out, "m", Some(&deep), FrameId([5; 16])));
    b.receive(&request).unwrap();
    let event = message(Subject::Event, &|out| rpc::write_notification(out, "e", Some(&deep)));
    b.receive(&event).unwrap();
    assert_eq!(b.host.take(), ["unhandled"]);
    assert_eq!(b.out.len(), 1, "the request is answered with an error");
    b.out.clear();

    a.call(1, "m", 1000);
    a.deliver(&mut b);
    let cid = b.host.cids.lock().unwrap()[0];
    let answer = message(Subject::Rpc, &|out| rpc::write_success(out, cid, Some(&deep)));
    a.receive(&answer).unwrap();
    assert_eq!(a.host.take(), ["failure 1 the value is nested deeper than 128 levels"]);
}

#[test]
fn the_inbox_is_bounded_by_bytes() {
    let side = Side::active();
    let data = format!("\"{}\"", "x".repeat(60_000));
    let accepted = (0..2000).take_while(|_| side.handle.emit("a", Some(&data)).is_ok()).count();
    assert!((1000..1200).contains(&accepted), "{accepted}");
    assert_eq!(side.handle.emit("a", Some(&data)), Err(Refused::Overflow));
}
