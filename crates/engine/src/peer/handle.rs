//! The caller's end of a peer: builds the whole frame on the calling thread and puts it into the owner task's inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sideband_protocol::event;
use sideband_protocol::rpc;
use sideband_protocol::sbp::{self, FrameId, Subject};
use sideband_protocol::session::{MAX_PLAINTEXT, SEALED_PREFIX};
use tokio::sync::mpsc;

use super::Refused;
use crate::host::{CallId, Id};
use crate::random;

/// Bytes that may wait for one connection's socket: far more than a burst needs, far less than a heap.
const WAITING_LIMIT: usize = 64 << 20;

/// What an envelope adds to its payload at most, method or event name not counted.
const ENVELOPE_ROOM: usize = 160;

/// An SBP frame on its way out, with room in front for the SBRP header and the nonce.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// A caller's frame counts against [`WAITING_LIMIT`] until it is sealed or dropped.
    counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    bytes: usize,
    waiting: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Outgoing {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, counted: None }
    }

    fn message(id: FrameId, subject: Subject<'_>, room: usize) -> Self {
        let mut frame = Vec::with_capacity(SEALED_PREFIX + ENVELOPE_ROOM + room);
        frame.resize(SEALED_PREFIX, 0);
        sbp::write_message_head(&mut frame, id, subject);
        Self::new(frame)
    }

    /// Any SBP frame that is not a message.
    pub(crate) fn frame(frame: &sbp::Frame<'_>) -> Self {
        let mut bytes = vec![0; SEALED_PREFIX];
        frame.encode(&mut bytes);
        Self::new(bytes)
    }

    /// The answer to a request that never reaches a handler.
    pub(crate) fn error(cid: FrameId, code: u16, message: &str) -> Self {
        let mut frame = Self::message(random::frame_id(), Subject::Rpc, message.len());
        rpc::write_error(&mut frame.bytes, cid, code.into(), message, None);
        frame
    }

    /// The size of the plaintext.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - SEALED_PREFIX
    }

    /// The frame itself.
    pub(crate) fn plaintext(&self) -> &[u8] {
        &self.bytes[SEALED_PREFIX..]
    }

    /// From here on another limit holds for it.
    pub(crate) fn uncounted(self) -> Self {
        Self::new(self.bytes)
    }

    fn checked(self) -> Result<Self, Refused> {
        if self.len() > MAX_PLAINTEXT { Err(Refused::TooLarge) } else { Ok(self) }
    }
}

/// What a caller wants of the owner task.
#[derive(Debug)]
pub(crate) enum Command {
    Call {
        call: CallId,
        cid: FrameId,
        timeout: Duration,
        frame: Outgoing,
    },
    Cancel {
        call: CallId,
    },
    Respond {
        frame: Outgoing,
    },
    Emit {
        frame: Outgoing,
    },
    /// What comes in is not taken.
    GiveUp,
    Close,
}

impl Command {
    fn frame_mut(&mut self) -> Option<&mut Outgoing> {
        match self {
            Self::Call { frame, .. } | Self::Respond { frame } | Self::Emit { frame } => Some(frame),
            Self::Cancel { .. } | Self::GiveUp | Self::Close => None,
        }
    }
}

/// A command and the peer it is for.
pub(crate) type Routed = (Id, Command);

/// The sending end of an owner task's inbox.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    queue: mpsc::UnboundedSender<Routed>,
    waiting: Arc<AtomicUsize>,
}

/// The receiving end. The queue itself has no limit; the bytes in it and behind it do ([`WAITING_LIMIT`]).
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: mpsc::UnboundedReceiver<Routed>,
}

impl Inbox {
    pub(crate) fn new() -> (Mailbox, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Mailbox { queue: sender, waiting: Arc::default() }, Self { queue: receiver })
    }

    /// The next command; `None` once every handle is gone.
    pub(crate) fn poll(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Routed>> {
        self.queue.poll_recv(cx)
    }
}

impl Mailbox {
    pub(crate) fn send(&self, peer: Id, mut command: Command) -> Result<(), Refused> {
        if let Some(frame) = command.frame_mut() {
            frame.counted = Some(self.count(frame.bytes.len())?);
        }
        self.queue.send((peer, command)).map_err(|_| Refused::Closed)
    }

    fn count(&self, bytes: usize) -> Result<Counted, Refused> {
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let counted = Counted { bytes, waiting: Arc::clone(&self.waiting) };
        if before + bytes > WAITING_LIMIT { Err(Refused::Overflow) } else { Ok(counted) }
    }
}

/// A peer as its callers see it. Every method returns at once; what comes of it reaches the [`Host`](crate::host::Host).
#[derive(Clone, Debug)]
pub struct PeerHandle {
    id: Id,
    mailbox: Mailbox,
}

impl PeerHandle {
    pub(crate) fn new(id: Id, mailbox: Mailbox) -> Self {
        Self { id, mailbox }
    }

    /// The peer's number, as in the events about it.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether the task behind this peer is gone: whatever is asked of it is refused.
    pub fn is_orphaned(&self) -> bool {
        self.mailbox.queue.is_closed()
    }

    /// Calls `method` with `params` (JSON text). The outcome comes as a `Result` or `Failure` event with this `call`
    /// number, at the latest after `timeout`.
    ///
    /// # Errors
    /// Where the call cannot even wait: too large, too deep, too much waiting, closed. No event follows then.
    pub fn call(&self, call: CallId, method: &str, params: Option<&str>, timeout: Duration) -> Result<(), Refused> {
        let (cid, frame) = request(method, params)?;
        self.mailbox.send(self.id, Command::Call { call, cid, timeout, frame })
    }

    /// Forgets a call: takes it out of the queue, or ignores its answer. No event follows.
    pub fn cancel(&self, call: CallId) {
        // A peer that is gone has no calls.
        let _ = self.mailbox.send(self.id, Command::Cancel { call });
    }

    /// Answers a request with `result` (JSON text).
    ///
    /// # Errors
    /// As for [`PeerHandle::call`]; the caller may then answer with an error instead.
    pub fn respond(&self, cid: FrameId, result: Option<&str>) -> Result<(), Refused> {
        check_depth(result)?;
        let mut frame = Outgoing::message(random::frame_id(), Subject::Rpc, result.map_or(0, str::len));
        rpc::write_success(&mut frame.bytes, cid, result);
        self.mailbox.send(self.id, Command::Respond { frame: frame.checked()? })
    }

    /// Answers a request with an error: 1101, or an application's code from 2000 up (section 4).
    ///
    /// # Errors
    /// As for [`PeerHandle::call`].
    pub fn respond_error(&self, cid: FrameId, code: i64, message: &str, data: Option<&str>) -> Result<(), Refused> {
        check_depth(data)?;
        let mut frame = Outgoing::message(random::frame_id(), Subject::Rpc, message.len() + data.map_or(0, str::len));
        rpc::write_error(&mut frame.bytes, cid, code, message, data);
        self.mailbox.send(self.id, Command::Respond { frame: frame.checked()? })
    }

    /// Emits an event with `data` (JSON text): now when active, later when there is a connection again, never when closed.
    ///
    /// # Errors
    /// As for [`PeerHandle::call`], and for a name that section 4 refuses.
    pub fn emit(&self, name: &str, data: Option<&str>) -> Result<(), Refused> {
        self.mailbox.send(self.id, Command::Emit { frame: notification(name, data)? })
    }

    /// Ends the conversation because what comes in is not taken fast enough (section 5: 1,024 undelivered frames). At a
    /// daemon the session counts as failed.
    pub fn give_up(&self) {
        // A peer that is gone is closed.
        let _ = self.mailbox.send(self.id, Command::GiveUp);
    }

    /// Ends the conversation. [`PeerEvent::Gone`](crate::host::PeerEvent::Gone) follows.
    pub fn close(&self) {
        // A peer that is gone is closed.
        let _ = self.mailbox.send(self.id, Command::Close);
    }
}

/// The bytes that a call counts for while it waits, for one that waits where there is no peer yet.
///
/// # Errors
/// Where it could never be sent: too large, too deep.
pub fn request_size(method: &str, params: Option<&str>) -> Result<usize, Refused> {
    request(method, params).map(|(_, frame)| frame.len())
}

/// The same for an event.
///
/// # Errors
/// As for [`request_size`], and for a name that section 4 refuses.
pub fn notification_size(name: &str, data: Option<&str>) -> Result<usize, Refused> {
    notification(name, data).map(|frame| frame.len())
}

fn request(method: &str, params: Option<&str>) -> Result<(FrameId, Outgoing), Refused> {
    check_depth(params)?;
    let cid = random::frame_id();
    let mut frame = Outgoing::message(cid, Subject::Rpc, method.len() + params.map_or(0, str::len));
    rpc::write_request(&mut frame.bytes, method, params, cid);
    Ok((cid, frame.checked()?))
}

fn notification(name: &str, data: Option<&str>) -> Result<Outgoing, Refused> {
    if !event::is_valid_name(name) {
        return Err(Refused::InvalidName);
    }
    check_depth(data)?;
    let mut frame = Outgoing::message(random::frame_id(), Subject::Event, name.len() + data.map_or(0, str::len));
    rpc::write_notification(&mut frame.bytes, name, data);
    frame.checked()
}

fn check_depth(json: Option<&str>) -> Result<(), Refused> {
    if json.is_some_and(rpc::exceeds_nesting) { Err(Refused::TooDeep) } else { Ok(()) }
}
