//! The driver of one connection: a single task that owns the WebSocket, the endpoint behind it and the timers.
//!
//! Each poll takes four steps until none of them gets further: commands in, messages in, timers, messages out. All that
//! has gathered goes out in one flush, and the host is woken once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use sideband_protocol::sbrp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use crate::error::Error;
use crate::host::Host;
use crate::keepalive::{Due, Keepalive};
use crate::outbound::Outbound;
use crate::peer::{Inbox, Routed};
use crate::transport::{Ended, Transport};

/// Where nothing is due, the driver looks around this often all the same.
const IDLE_LOOK: Duration = Duration::from_secs(60);

/// Undecodable frames in a row that drop a link (section 5, "Daemon").
pub(crate) const BAD_FRAMES_LIMIT: u32 = 10;

/// How long the socket may take for the goodbye. One that takes nothing for so long is not worth waiting for.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// Steps in one poll before other tasks get their turn.
const ROUNDS: usize = 16;

/// Commands or messages taken in one step, so that neither direction starves the other.
const BATCH: usize = 128;

/// Once its owner asked for the end, a connection has this long to get rid of what was sent before.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// What stands behind a connection. Messages it wants to send gather in its outbox.
pub(crate) trait Endpoint {
    /// Takes one whole WebSocket message.
    ///
    /// # Errors
    /// The connection must go.
    fn receive(&mut self, now: Instant, message: Vec<u8>) -> Result<(), Error>;

    /// Does what a caller wants.
    ///
    /// # Errors
    /// The connection must go.
    fn command(&mut self, now: Instant, routed: Routed) -> Result<(), Error>;

    /// Nobody can send commands any more.
    fn abandon(&mut self);

    /// Does what is due.
    fn expire(&mut self, now: Instant);

    /// When something is due next.
    fn next_deadline(&self) -> Option<Instant>;

    /// Appends what is to be sent: whole messages, in order. What callers gave waits where there is no room.
    ///
    /// # Errors
    /// The connection must go.
    fn take_outbound(&mut self, out: &mut Outbound) -> Result<(), Error>;

    /// The keepalive message of this connection's protocol.
    fn ping(&self) -> Vec<u8> {
        sbrp::encode_ping(&[])
    }

    /// Whether the owner asked for the end.
    fn is_closing(&self) -> bool;
}

/// Why [`Link::drive`] came back.
#[derive(Debug)]
pub(crate) enum Loss {
    /// The owner asked for it; everything was flushed and a close frame sent.
    Closed,
    /// The endpoint refuses to go on with this connection.
    Refused(Error),
    /// The connection ended.
    Ended(Ended),
}

impl Loss {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Closed => Error::dropped("closed by this side"),
            Self::Refused(error) => error,
            Self::Ended(ended) => Error::dropped(ended.why),
        }
    }
}

pub(crate) struct Link<'a, S, E> {
    transport: Transport<S>,
    endpoint: &'a mut E,
    inbox: &'a mut Inbox,
    host: Arc<dyn Host>,
    timer: Pin<Box<Sleep>>,
    keepalive: Keepalive,
    outbound: Outbound,
    /// Set once the owner asked for the end.
    closing_ends: Option<Instant>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin, E: Endpoint> Link<'a, S, E> {
    pub(crate) fn new(transport: Transport<S>, endpoint: &'a mut E, inbox: &'a mut Inbox, host: Arc<dyn Host>) -> Self {
        Self {
            transport,
            endpoint,
            inbox,
            host,
            timer: Box::pin(tokio::time::sleep(IDLE_LOOK)),
            keepalive: Keepalive::new(now(), SystemTime::now()),
            outbound: Outbound::default(),
            closing_ends: None,
        }
    }

    /// Runs the connection to its end, and gives the socket a last chance to say goodbye.
    pub(crate) async fn drive(mut self) -> Loss {
        let loss = std::future::poll_fn(|cx| self.poll(cx)).await;
        let goodbye = async {
            match &loss {
                Loss::Closed => self.transport.close(1000, ""),
                Loss::Refused(_) => self.transport.close(1008, ""),
                Loss::Ended(_) => {}
            }
            self.transport.flush().await?;
            // Dropping a socket with unread bytes in it would take back what the remote has not read yet.
            let wait = matches!(loss, Loss::Closed);
            while wait && self.transport.receive().await.is_ok() {}
            Ok::<_, Ended>(())
        };
        // Whatever comes of it, the connection is over.
        let _ = tokio::time::timeout(GOODBYE_TIME, goodbye).await;
        loss
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Loss> {
        for _ in 0..ROUNDS {
            let now = now();
            // Nobody looks at the socket then, so nobody will be woken for it.
            let deaf = !self.outbound.is_empty();
            let progress = match self.drive_inbound(now, cx) {
                Ok(progress) => progress,
                Err(loss) => {
                    self.host.flush();
                    return Poll::Ready(loss);
                }
            };
            self.endpoint.expire(now);
            if let Err(loss) = self.keep_alive(now) {
                return Poll::Ready(loss);
            }
            self.host.flush();
            let flushed = match self.drive_outbound(now, cx) {
                Ok(flushed) => flushed,
                Err(loss) => return Poll::Ready(loss),
            };
            if self.endpoint.is_closing() {
                let ends = *self.closing_ends.get_or_insert(now + CLOSING_TIME);
                if flushed || ends <= now {
                    return Poll::Ready(Loss::Closed);
                }
            }
            let hears_again = deaf && self.outbound.is_empty();
            if !progress && !hears_again && self.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether anything came in, from either side.
    fn drive_inbound(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, Loss> {
        let commands = self.drive_commands(now, cx).map_err(Loss::Refused)?;
        let messages = self.drive_messages(now, cx)?;
        Ok(commands || messages)
    }

    fn drive_commands(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, Error> {
        let mut taken = 0;
        while taken < BATCH {
            match self.inbox.poll(cx) {
                Poll::Ready(Some(routed)) => self.endpoint.command(now, routed)?,
                Poll::Ready(None) => {
                    self.endpoint.abandon();
                    break;
                }
                Poll::Pending => break,
            }
            taken += 1;
        }
        Ok(taken > 0)
    }

    fn drive_messages(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, Loss> {
        let mut taken = 0;
        while taken < BATCH && self.outbound.is_empty() && self.host.gate().poll_open(cx).is_ready() {
            match self.transport.poll_receive(cx) {
                Poll::Ready(Ok(message)) => self.endpoint.receive(now, message).map_err(Loss::Refused)?,
                Poll::Ready(Err(ended)) => return Err(Loss::Ended(ended)),
                Poll::Pending => break,
            }
            taken += 1;
        }
        if taken > 0 {
            self.keepalive.heard(now);
        }
        Ok(taken > 0)
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), Loss> {
        if !self.host.gate().is_open() {
            // We are the ones who do not listen.
            self.keepalive.heard(now);
        }
        match self.keepalive.check(now, SystemTime::now()) {
            Due::Nothing => Ok(()),
            Due::Ping => self.transport.queue(self.endpoint.ping()).map_err(Loss::Ended),
            Due::Lost(why) => Err(Loss::Ended(Ended { code: None, why: why.to_owned() })),
        }
    }

    /// Whether everything is out.
    fn drive_outbound(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, Loss> {
        let mut flushed = false;
        loop {
            self.outbound.set_backlog(self.transport.backlog());
            self.endpoint.take_outbound(&mut self.outbound).map_err(Loss::Refused)?;
            if flushed && self.outbound.is_empty() {
                return Ok(true);
            }
            while let Some(message) = self.outbound.pop(self.transport.backlog()) {
                self.transport.queue(message).map_err(Loss::Ended)?;
            }
            match self.transport.poll_flush(cx) {
                Poll::Ready(done) => done.map_err(Loss::Ended)?,
                Poll::Pending => {
                    self.keepalive.blocked(now);
                    return Ok(false);
                }
            }
            self.keepalive.flushed();
            flushed = true;
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let keepalive = self.keepalive.next_deadline();
        let others = [self.endpoint.next_deadline(), self.closing_ends];
        let next = others.into_iter().flatten().fold(keepalive, Instant::min);
        poll_at(&mut self.timer, next, cx)
    }
}

/// Polls a timer that is moved only when something is due earlier, or when it fired: most deadlines are calls that are
/// answered long before.
fn poll_at(timer: &mut Pin<Box<Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let at = tokio::time::Instant::from_std(at);
    if timer.deadline() > at || timer.is_elapsed() {
        timer.as_mut().reset(at);
    }
    match timer.as_mut().poll(cx) {
        Poll::Ready(()) if tokio::time::Instant::now() < at => {
            timer.as_mut().reset(at);
            timer.as_mut().poll(cx)
        }
        other => other,
    }
}

/// Serves commands and timers while there is no connection but `task`, which is on its way to one.
/// `None`: the owner asked for the end, or every handle is gone.
pub(crate) async fn attend<E: Endpoint, T>(
    endpoint: &mut E,
    inbox: &mut Inbox,
    host: &dyn Host,
    task: impl Future<Output = T>,
) -> Option<T> {
    let mut task = std::pin::pin!(task);
    let mut timer = Box::pin(tokio::time::sleep(IDLE_LOOK));
    std::future::poll_fn(|cx| {
        loop {
            if endpoint.is_closing() {
                return Poll::Ready(None);
            }
            let now = now();
            let command = inbox.poll(cx);
            let progress = command.is_ready();
            match command {
                // Without a connection there is none that would have to go.
                Poll::Ready(Some(routed)) => drop(endpoint.command(now, routed)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {}
            }
            endpoint.expire(now);
            host.flush();
            if progress {
                continue;
            }
            if let Poll::Ready(output) = task.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let next = endpoint.next_deadline().unwrap_or(now + IDLE_LOOK);
            if poll_at(&mut timer, next, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// The monotonic clock of the runtime, which tests may hold.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
