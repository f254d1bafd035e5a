//! One WebSocket: a task that reads, forwards and writes, and nothing else in between.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use futures_util::{Sink, Stream};
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
    link::{End, Link, close},
    shard::Shard,
};
use crate::front::io::Io;

/// Frames read from one connection before others get their turn.
const READ_TURN: usize = 64;

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

/// A WebSocket of one endpoint, as a future that ends with it.
pub(crate) struct Connection {
    shard: Rc<Shard>,
    socket: WebSocketStream<Io>,
    link: Rc<Link>,
    endpoint: Endpoint,
    phase: Phase,
    /// When the peer was last heard.
    heard: Instant,
    /// Since when the socket has not taken what it was given.
    blocked: Option<Instant>,
    /// Something was handed to the socket since the last flush.
    unflushed: bool,
    /// Which of the daemon's rounds of waking it waits for, see [`Link::wait_for_room`].
    round: u64,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(
        shard: Rc<Shard>,
        socket: WebSocketStream<Io>,
        link: Rc<Link>,
        endpoint: Endpoint,
        now: Instant,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep_until((now + shard.limits.silence).into()));
        Self {
            shard,
            socket,
            link,
            endpoint,
            phase: Phase::Open,
            heard: now,
            blocked: None,
            unflushed: false,
            round: 0,
            timer,
        }
    }

    /// The endpoint is gone as far as its daemon or clients are concerned.
    fn depart(&mut self, now: Instant) {
        self.endpoint.depart(&self.shard, &self.link, now);
    }

    fn begin_closing(&mut self, phase: Phase, now: Instant) {
        self.depart(now);
        self.phase = phase;
        let deadline = now + self.shard.limits.close_time;
        self.timer.as_mut().reset(deadline.into());
    }

    /// Reads and forwards until nothing is there, it is another's turn, or the receiver is full.
    fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        for _ in 0..READ_TURN {
            if self.link.ending().is_some() {
                return Poll::Pending;
            }
            if self.endpoint.must_wait(&mut self.round, cx.waker()) {
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

    /// Hands everything queued to the socket and flushes once. Ready when all is out.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), Error>> {
        loop {
            if Pin::new(&mut self.socket).poll_ready(cx)?.is_pending() {
                self.blocked.get_or_insert(now);
                return Poll::Pending;
            }
            self.blocked = None;
            let Some((frame, _)) = self.link.pop() else {
                break;
            };
            self.unflushed = true;
            Pin::new(&mut self.socket).start_send(Message::Binary(frame))?;
        }
        if self.unflushed {
            if Pin::new(&mut self.socket).poll_flush(cx)?.is_pending() {
                self.blocked.get_or_insert(now);
                return Poll::Pending;
            }
            self.blocked = None;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
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

    /// When something has to be decided even if nothing happens.
    fn next_deadline(&self) -> Instant {
        let limits = &self.shard.limits;
        let silence = self.heard + limits.silence;
        let waits = [self.blocked, self.link.oldest()];
        let waits = waits.into_iter().flatten().min();
        waits.map_or(silence, |since| silence.min(since + limits.queue_time))
    }

    /// What is due by now: the end of a silent peer, or of one that does not read.
    fn check_deadlines(&mut self, now: Instant) {
        let limits = &self.shard.limits;
        if now >= self.heard + limits.silence {
            self.link.end(End::Close(close::GOING_AWAY));
        } else if now >= self.next_deadline() {
            // What a daemon did not take is kept for its return, before the queue is emptied.
            self.depart(now);
            self.link.overflow(now);
        }
    }

    fn step(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
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
                    let deadline = self.next_deadline();
                    if deadline < self.timer.deadline().into_std() {
                        self.timer.as_mut().reset(deadline.into());
                    }
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    self.check_deadlines(now);
                    let deadline = self.next_deadline();
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
        if this.link.ending() == Some(End::Cut) {
            return Poll::Ready(());
        }
        step
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.depart(Instant::now());
        self.shard.connection_ended();
    }
}
