//! One WebSocket: a task that reads, forwards and writes, and nothing else in between.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use futures_util::{Sink as _, Stream as _};
use sideband_protocol::sbrp::ControlCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::CapacityError,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    endpoint::Endpoint,
    gate::{Gate, Passed},
    link::{End, Link, close},
    outgoing::Outgoing,
    shard::Shard,
};
use crate::{
    front::{Places, io::Io},
    limits::Limits,
    metrics::Presence,
};

/// Frames read from one connection before others get their turn.
const READ_TURN: usize = 64;

/// Bytes handed to the system at once.
const WRITE_AT_ONCE: usize = 64 * 1024;

/// Bytes thrown away of a peer that is being closed, before it is cut.
const MAX_DISCARDED: usize = 4 * 1024 * 1024;

/// How far a connection is on its way.
enum Phase {
    /// Frames go both ways.
    Open,
    /// The end is decided: what is queued goes out, then the close frame.
    Closing,
    /// The close frame is out; what the peer still sends is thrown away until it hangs up, because
    /// closing a socket with unread bytes would take the close frame back.
    Discarding(usize),
    /// The peer closed; the library's answer goes out.
    Answering,
}

/// What is known of a connection besides its frames.
pub(crate) struct About {
    /// Its number in the log.
    pub(crate) number: u64,
    pub(crate) opened: Instant,
    /// Counts it, and what it takes up of the limits, until it is gone.
    pub(crate) _presence: Presence,
    pub(crate) _places: Places,
}

/// A WebSocket of one endpoint, as a future that ends with it.
pub(crate) struct Connection {
    shard: Rc<Shard>,
    /// As they were when it connected.
    limits: Arc<Limits>,
    socket: WebSocketStream<Outgoing<Io>>,
    link: Rc<Link>,
    endpoint: Endpoint,
    gate: Gate,
    about: About,
    phase: Phase,
    /// When the peer was last heard.
    heard: Instant,
    /// Since when the socket has not taken what it was given.
    blocked: Option<Instant>,
    /// When the oldest frame came that was handed to the socket and is not flushed.
    oldest: Option<Instant>,
    /// Which round of waking of a daemon's link it waits for, see [`Link::wait_for_room`].
    round: u64,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(
        shard: Rc<Shard>,
        socket: WebSocketStream<Outgoing<Io>>,
        link: Rc<Link>,
        endpoint: Endpoint,
        gate: Gate,
        about: About,
    ) -> Self {
        let now = about.opened;
        let limits = shard.context.limits();
        let silent_at = now + limits.silence;
        Self {
            shard,
            limits,
            socket,
            link,
            endpoint,
            gate,
            about,
            phase: Phase::Open,
            heard: now,
            blocked: None,
            oldest: None,
            round: 0,
            timer: Box::pin(tokio::time::sleep_until(silent_at.into())),
        }
    }

    /// How it ended, for the log.
    fn how(&self) -> String {
        match (self.link.ending(), &self.phase) {
            (Some(End::Cut), _) => "cut".to_owned(),
            (Some(End::Close(code)), _) => format!("closed with {code}"),
            (None, Phase::Answering) => "closed by the peer".to_owned(),
            (None, _) => "dropped by the peer".to_owned(),
        }
    }

    /// The endpoint is gone as far as its daemon or clients are concerned.
    fn depart(&mut self, now: Instant) {
        self.endpoint.depart(&self.shard, &self.link, now);
    }

    fn begin_closing(&mut self, phase: Phase, now: Instant) {
        self.depart(now);
        self.phase = phase;
        let deadline = now + self.limits.close_time;
        self.timer.as_mut().reset(deadline.into());
    }

    /// Reads and forwards until nothing is there, it is another's turn, or the receiver is full.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        for _ in 0..READ_TURN {
            if self.link.ending().is_some() {
                return Poll::Pending;
            }
            if self.gate.shut_until(now).is_some() || self.endpoint.must_wait(&mut self.round, cx.waker()) {
                // It is not silent, it is not listened to.
                self.heard = now;
                return Poll::Pending;
            }
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Ready(Some(message)) => message,
            };
            self.heard = now;
            match message {
                Ok(Message::Binary(frame)) => {
                    self.pass_gate(frame.len(), now);
                    self.endpoint.receive(&self.shard, &self.link, frame, now);
                }
                Ok(Message::Text(_)) | Err(Error::Utf8(_)) => {
                    self.link.end(End::Close(close::UNSUPPORTED));
                }
                Ok(Message::Close(_)) => {
                    self.begin_closing(Phase::Answering, now);
                    return Poll::Pending;
                }
                // The library answers WebSocket's own pings; raw frames are never read.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => (),
                Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                    self.link.end(End::Close(close::TOO_BIG));
                }
                Err(Error::Protocol(error)) if !is_hang_up(&error) => {
                    self.link.end(End::Close(close::PROTOCOL));
                }
                Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn pass_gate(&mut self, len: usize, now: Instant) {
        if let Passed::Shut { tell: Some(limit) } = self.gate.pass(len, now) {
            self.shard.context.metrics.limit(limit);
            self.link.control(ControlCode::RATE_LIMITED, 0, now);
        }
    }

    /// Writes everything queued, in as few system calls as can be. Ready when all is out.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), Error>> {
        loop {
            while self.socket.get_ref().len() < WRITE_AT_ONCE
                && let Some((frame, at)) = self.link.pop()
            {
                self.oldest.get_or_insert(at);
                self.socket.get_mut().push(frame);
            }
            // TLS may have taken everything and not be flushed yet; then this is blocked.
            if self.socket.get_ref().len() == 0 && self.oldest.is_none() && self.blocked.is_none() {
                return Poll::Ready(Ok(()));
            }
            // The library may be in the middle of a pong.
            let written = if self.socket.get_ref().library_is_first() {
                Pin::new(&mut self.socket).poll_flush(cx)
            } else {
                self.socket.get_mut().poll_drain(cx).map_err(Error::Io)
            };
            let flushed = match written? {
                Poll::Ready(()) if self.socket.get_ref().len() > 0 => continue,
                Poll::Ready(()) => Pin::new(self.socket.get_mut().io()).poll_flush(cx)?,
                Poll::Pending => Poll::Pending,
            };
            if flushed.is_pending() {
                self.blocked.get_or_insert(now);
                return Poll::Pending;
            }
            self.blocked = None;
            // There is none behind the answer that opens the WebSocket.
            if let Some(oldest) = self.oldest.take() {
                self.shard.context.own.forward.observe(oldest.elapsed().as_secs_f64());
            }
        }
    }

    /// Everything out, the close frame behind it, and then the peer's hanging up.
    fn close(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), Error>> {
        ready!(self.write(cx, now))?;
        if let Some(End::Close(code)) = self.link.ending() {
            let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
            // The flush that belongs to it is the shutdown's.
            Pin::new(&mut self.socket).start_send(Message::Close(Some(frame)))?;
        }
        self.phase = Phase::Discarding(MAX_DISCARDED);
        Poll::Ready(Ok(()))
    }

    /// Ends this side's direction and waits for the end of the other.
    fn discard(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<Result<(), Error>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        let io = self.socket.get_mut();
        ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
        let mut scratch = [0; 4_096];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut *io).poll_read(cx, &mut buffer);
            self.phase = Phase::Discarding(left);
            ready!(read)?;
            match buffer.filled().len() {
                0 => break,
                len => left = left.saturating_sub(len),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Since when the receiver has not taken what there is for it.
    fn waiting_since(&self) -> Option<Instant> {
        [self.blocked, self.link.oldest()].into_iter().flatten().min()
    }

    /// When something has to be decided even if nothing happens.
    fn next_deadline(&mut self, now: Instant) -> Instant {
        let silent = self.heard + self.limits.silence;
        let too_slow = self.waiting_since().map(|since| since + self.limits.queue_time);
        let may_read = self.gate.shut_until(now);
        [too_slow, may_read].into_iter().flatten().fold(silent, Instant::min)
    }

    /// What is due by now: the end of a silent peer, or of one that does not read.
    fn check_deadlines(&mut self, now: Instant) {
        let too_slow = self.waiting_since().is_some_and(|since| now >= since + self.limits.queue_time);
        if now >= self.heard + self.limits.silence {
            self.shard.context.metrics.limit("silence_seconds");
            self.link.end(End::Close(close::GOING_AWAY));
        } else if too_slow {
            self.shard.context.metrics.limit("queue_seconds");
            // What a daemon did not take is kept for its return, before the queue is emptied.
            self.depart(now);
            self.link.overflow(now);
        }
    }

    fn step(&mut self, cx: &mut Context<'_>, mut now: Instant) -> Poll<()> {
        loop {
            match self.phase {
                Phase::Open => {
                    if self.read(cx, now).is_ready() {
                        return Poll::Ready(());
                    }
                    if !matches!(self.phase, Phase::Open) {
                        continue;
                    }
                    if self.link.ending().is_some() {
                        self.begin_closing(Phase::Closing, now);
                        continue;
                    }
                    if let Poll::Ready(Err(_)) = self.write(cx, now) {
                        return Poll::Ready(());
                    }
                    let deadline = self.next_deadline(now);
                    if deadline < self.timer.deadline().into_std() {
                        self.timer.as_mut().reset(deadline.into());
                    }
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // The turn may have taken until just past the deadline.
                    now = Instant::now();
                    self.check_deadlines(now);
                    let deadline = self.next_deadline(now);
                    self.timer.as_mut().reset(deadline.into());
                }
                Phase::Closing => {
                    if self.timer.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    if ready!(self.close(cx, now)).is_err() {
                        return Poll::Ready(());
                    }
                }
                Phase::Discarding(left) => {
                    if self.timer.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    return self.discard(cx, left).map(|_| ());
                }
                Phase::Answering => {
                    if self.timer.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    // `None` comes when the answer is out, an error when it cannot be.
                    while ready!(Pin::new(&mut self.socket).poll_next(cx)).is_some_and(|it| it.is_ok()) {}
                    return Poll::Ready(());
                }
            }
        }
    }
}

/// Whether a protocol error is only the end of the stream, with nobody left to tell.
fn is_hang_up(error: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(error, ProtocolError::ResetWithoutClosingHandshake)
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.link.ending() == Some(End::Cut) {
            return Poll::Ready(());
        }
        this.link.polling(Some(cx.waker()));
        let now = Instant::now();
        let step = this.step(cx, now);
        this.link.polling(None);
        this.shard.context.publish();
        if this.link.ending() == Some(End::Cut) {
            return Poll::Ready(());
        }
        step
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let now = Instant::now();
        self.depart(now);
        if !matches!(self.phase, Phase::Open) && self.timer.is_elapsed() {
            self.shard.context.metrics.limit("close_seconds");
        }
        let open = now.saturating_duration_since(self.about.opened);
        tracing::info!(conn = self.about.number, seconds = open.as_secs_f64(), how = %self.how(), "disconnected");
        self.shard.connection_ended();
    }
}
