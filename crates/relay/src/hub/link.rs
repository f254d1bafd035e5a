//! The way out to one endpoint: a bounded queue that its connection drains.
//!
//! Everything of a daemon and its clients runs on one thread, so the queue has no lock, and a frame
//! goes from one socket to the other without leaving that thread.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::Waker,
    time::Instant,
};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, encode_control};

use super::context::Context;

/// A frame this small that has to wait is copied out of the read buffer it came in, so that it does
/// not keep a whole buffer alive for as long as the receiver is slow.
const COPY_BELOW: usize = 2_048;

/// From how many waiting bytes on frames are copied. Below, the receiver keeps up.
const COPY_FROM: usize = 32 * 1_024;

/// What each queued frame counts for besides its bytes.
const OVERHEAD: usize = 64;

/// WebSocket close codes that the relay uses.
pub(crate) mod close {
    /// The connection was silent for too long.
    pub(crate) const GOING_AWAY: u16 = 1001;
    /// A text message.
    pub(crate) const UNSUPPORTED: u16 = 1003;
    /// Behind every terminal Control.
    pub(crate) const POLICY: u16 = 1008;
    /// A message over the limit.
    pub(crate) const TOO_BIG: u16 = 1009;
    /// The relay shuts down.
    pub(crate) const RESTART: u16 = 1012;
    /// A message that breaks the WebSocket protocol.
    pub(crate) const PROTOCOL: u16 = 1002;
    /// Another connection of the same daemon took over.
    pub(crate) const REPLACED: u16 = 4001;
}

/// How a connection ends from the relay's side.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum End {
    /// What is queued goes out, then a close frame with this code.
    Close(u16),
    /// The socket is dropped as it is.
    Cut,
}

struct Queued {
    frame: Bytes,
    at: Instant,
    /// An endpoint's frame, not one of the relay's own.
    forwarded: bool,
}

/// The outbound side of one connection.
pub(crate) struct Link {
    context: Rc<Context>,
    queue: RefCell<VecDeque<Queued>>,
    bytes: Cell<usize>,
    limit: usize,
    end: Cell<Option<End>>,
    waker: RefCell<Option<Waker>>,
    /// The connection is being polled and looks at the queue by itself.
    awake: Cell<bool>,
    /// Connections that stopped reading until there is room here.
    waiting: RefCell<Vec<Waker>>,
    /// Another number each time that those are woken, and another one than any other link's, so that each can tell whether
    /// it is in the list: a client waits for one connection of its daemon, and later for the next one.
    round: Cell<u64>,
}

impl Link {
    /// A link whose queue is full with `limit` bytes.
    pub(crate) fn new(context: Rc<Context>, limit: usize) -> Self {
        Self {
            round: Cell::new(context.next_round()),
            context,
            queue: RefCell::default(),
            bytes: Cell::new(0),
            limit,
            end: Cell::new(None),
            waker: RefCell::default(),
            awake: Cell::new(false),
            waiting: RefCell::default(),
        }
    }

    /// Queues an endpoint's frame, whatever is queued already.
    pub(crate) fn forward(&self, frame: Bytes, now: Instant) {
        let frame = if self.bytes.get() > COPY_FROM && frame.len() < COPY_BELOW {
            Bytes::copy_from_slice(&frame)
        } else {
            frame
        };
        self.push(frame, now, true);
    }

    /// Queues a frame of the relay's own.
    pub(crate) fn send(&self, frame: Vec<u8>, now: Instant) {
        self.push(frame.into(), now, false);
    }

    /// Nothing is queued once the end is decided.
    fn push(&self, frame: Bytes, at: Instant, forwarded: bool) {
        if self.end.get().is_none() {
            self.set_bytes(self.bytes.get() + frame.len() + OVERHEAD);
            self.queue.borrow_mut().push_back(Queued { frame, at, forwarded });
            self.wake();
        }
    }

    /// Queues a Control frame.
    pub(crate) fn control(&self, code: ControlCode, session: u64, now: Instant) {
        self.context.metrics.control(code.name().unwrap_or("unknown"));
        self.send(encode_control(session, code, ""), now);
    }

    /// Queues a terminal Control frame and the close behind it.
    pub(crate) fn terminate(&self, code: ControlCode, session: u64, now: Instant) {
        self.control(code, session, now);
        self.end(End::Close(close::POLICY));
    }

    /// For a receiver that is too slow: forgets what is queued, says so, and closes.
    pub(crate) fn overflow(&self, now: Instant) {
        if self.end.get().is_some() {
            return;
        }
        self.queue.borrow_mut().clear();
        self.set_bytes(0);
        self.terminate(ControlCode::BACKPRESSURE, 0, now);
    }

    /// Decides how the connection ends. The first decision stands, but for a cut.
    pub(crate) fn end(&self, end: End) {
        if self.end.get().is_none() || end == End::Cut {
            self.end.set(Some(end));
            self.wake();
            self.wake_waiting();
        }
    }

    pub(crate) fn ending(&self) -> Option<End> {
        self.end.get()
    }

    /// Whether more is queued than may be.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.get() >= self.limit || self.context.is_over(self.bytes.get())
    }

    /// Since when the frame in front has been waiting.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.borrow().front().map(|queued| queued.at)
    }

    /// Bytes that wait, with what each frame counts for besides.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The next frame to send and when it came.
    pub(crate) fn pop(&self) -> Option<(Bytes, Instant)> {
        let queued = self.queue.borrow_mut().pop_front()?;
        let waiting = self.bytes.get() - queued.frame.len() - OVERHEAD;
        self.set_bytes(waiting);
        // Half, so that the senders do not come and go with every frame.
        if waiting <= self.limit / 2 {
            self.wake_waiting();
        }
        Some((queued.frame, queued.at))
    }

    /// Takes the endpoints' frames that were not sent.
    pub(crate) fn take_unsent(&self) -> Vec<Bytes> {
        let mut queue = self.queue.borrow_mut();
        let unsent = queue.iter().filter(|it| it.forwarded);
        let unsent: Vec<_> = unsent.map(|it| it.frame.clone()).collect();
        queue.retain(|it| !it.forwarded);
        self.set_bytes(queue.iter().map(|it| it.frame.len() + OVERHEAD).sum());
        unsent
    }

    /// Wakes `waker` once there is room. `round` is the caller's: 0 at first, then left alone.
    pub(crate) fn wait_for_room(&self, round: &mut u64, waker: &Waker) {
        if *round != self.round.get() {
            *round = self.round.get();
            self.waiting.borrow_mut().push(waker.clone());
        }
    }

    /// Called by the connection around its own polling: pushes in between need not wake it.
    pub(crate) fn polling(&self, waker: Option<&Waker>) {
        self.awake.set(waker.is_some());
        if let Some(waker) = waker {
            let mut own = self.waker.borrow_mut();
            if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
                *own = Some(waker.clone());
            }
        }
    }

    fn set_bytes(&self, bytes: usize) {
        self.context.wait(bytes);
        self.context.done(self.bytes.replace(bytes));
    }

    fn wake(&self) {
        if !self.awake.get()
            && let Some(waker) = self.waker.borrow().as_ref()
        {
            waker.wake_by_ref();
        }
    }

    fn wake_waiting(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            self.round.set(self.context.next_round());
            waiting.drain(..).for_each(Waker::wake);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.context.done(self.bytes.get());
        self.context.publish();
    }
}
