//! A peer with futures for its calls and a queue for what comes in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sideband_protocol::sbp::FrameId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::client::{self, ClientOptions};
use crate::error::{Error, PeerErrorCode};
use crate::host::{DaemonEvent, Gate, Host, Id, PeerEvent, PeerState};
use crate::peer::{PeerHandle, Refused};

type Outcome = Result<Option<String>, Error>;
type Calls = HashMap<u32, oneshot::Sender<Outcome>>;

/// Incoming messages that may wait for [`Peer::incoming`]; a peer that falls further behind is closed (section 5).
const INCOMING_LIMIT: usize = 1024;

/// How long a call waits for its answer, unless told otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the other side wants.
#[derive(Debug)]
pub enum Incoming {
    /// A call, to be answered.
    Request(Request),
    /// An event.
    Event {
        /// Its name.
        name: String,
        /// What was emitted with it.
        data: Option<Box<RawValue>>,
    },
}

/// A call from the other side.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// What it was called with.
    pub params: Option<Box<RawValue>>,
    cid: FrameId,
    handle: PeerHandle,
}

impl Request {
    /// Answers with a value.
    ///
    /// # Errors
    /// The value has no JSON form, or does not fit into a frame.
    pub fn respond(self, result: &impl Serialize) -> Result<(), Error> {
        let json = to_json(result)?;
        self.handle.respond(self.cid, Some(&json)).map_err(refused)
    }

    /// Answers with an error: 1101 for an unknown method, 2000 and up for the application's own.
    ///
    /// # Errors
    /// The message does not fit into a frame.
    pub fn fail(self, code: i64, message: &str) -> Result<(), Error> {
        self.handle.respond_error(self.cid, code, message, None).map_err(refused)
    }
}

/// One side of a conversation. Dropping it ends the conversation.
#[derive(Debug)]
pub struct Peer {
    handle: PeerHandle,
    shared: Arc<Shared>,
    incoming: mpsc::Receiver<Incoming>,
    state: watch::Receiver<(PeerState, Option<Error>)>,
}

/// Connects a client and waits until it is active.
///
/// # Errors
/// The client closed for good before it became active.
pub async fn connect(options: ClientOptions) -> Result<Peer, Error> {
    let (shared, parts) = Shared::new(PeerState::Connecting);
    let handle = client::connect(&tokio::runtime::Handle::current(), options, Arc::new(ClientHost::new(&shared)));
    shared.set_handle(&handle);
    let mut peer = Peer::new(handle, shared, parts);
    peer.active().await?;
    Ok(peer)
}

impl Peer {
    pub(super) fn new(handle: PeerHandle, shared: Arc<Shared>, parts: Parts) -> Self {
        Self { handle, shared, incoming: parts.incoming, state: parts.state }
    }

    /// The state now.
    pub fn state(&self) -> PeerState {
        self.state.borrow().0
    }

    /// Waits until the state is the given one, or `Closed`; gives which. A state that passes quickly may be missed.
    pub async fn reaches(&mut self, wanted: PeerState) -> PeerState {
        let reached = |(state, _): &(PeerState, _)| *state == wanted || *state == PeerState::Closed;
        self.state.wait_for(reached).await.map_or(PeerState::Closed, |now| now.0)
    }

    /// Waits until messages can flow.
    ///
    /// # Errors
    /// The peer closed for good.
    pub async fn active(&mut self) -> Result<(), Error> {
        let settled = |(state, _): &(PeerState, _)| matches!(state, PeerState::Active | PeerState::Closed);
        match self.state.wait_for(settled).await.as_deref() {
            Ok((PeerState::Active, _)) => Ok(()),
            Ok((_, Some(error))) => Err(error.clone()),
            Ok((_, None)) | Err(_) => Err(Error::peer(PeerErrorCode::PeerClosed, "the peer is closed")),
        }
    }

    /// Calls a method and waits for its answer, [`CALL_TIMEOUT`] at most.
    ///
    /// # Errors
    /// The handler's error, a timeout, or a lost connection.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: &impl Serialize) -> Result<T, Error> {
        let json = to_json(params)?;
        let call = self.shared.next_call.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let closed = || Error::peer(PeerErrorCode::PeerClosed, "the peer is closed");
        self.shared.calls().as_mut().ok_or_else(closed)?.insert(call, sender);
        if let Err(why) = self.handle.call(call, method, Some(&json), CALL_TIMEOUT) {
            self.shared.take(call);
            return Err(refused(why));
        }
        let result = answer.await.unwrap_or_else(|_| Err(closed()))?;
        serde_json::from_str(result.as_deref().unwrap_or("null"))
            .map_err(|error| Error::Value(format!("the answer has another shape: {error}")))
    }

    /// Emits an event.
    ///
    /// # Errors
    /// A bad name, or data that has no JSON form or does not fit into a frame.
    pub fn emit(&self, name: &str, data: &impl Serialize) -> Result<(), Error> {
        self.handle.emit(name, Some(&to_json(data)?)).map_err(refused)
    }

    /// The next call or event of the other side; `None` when the peer is closed for good.
    pub async fn incoming(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// What the owner task and the caller's [`Peer`] share.
#[derive(Debug)]
pub(super) struct Shared {
    next_call: AtomicU32,
    /// `None` once the peer is gone: nobody would answer, and a daemon's task takes calls for peers it no longer has.
    calls: Mutex<Option<Calls>>,
    incoming: Mutex<Option<mpsc::Sender<Incoming>>>,
    state: watch::Sender<(PeerState, Option<Error>)>,
    handle: std::sync::OnceLock<PeerHandle>,
}

/// The receiving ends, for the [`Peer`].
pub(super) struct Parts {
    incoming: mpsc::Receiver<Incoming>,
    state: watch::Receiver<(PeerState, Option<Error>)>,
}

impl Shared {
    pub(super) fn new(state: PeerState) -> (Arc<Self>, Parts) {
        let (sender, incoming) = mpsc::channel(INCOMING_LIMIT);
        let (state_sender, state) = watch::channel((state, None));
        let shared = Self {
            next_call: AtomicU32::new(0),
            calls: Mutex::new(Some(Calls::new())),
            incoming: Mutex::new(Some(sender)),
            state: state_sender,
            handle: std::sync::OnceLock::new(),
        };
        (Arc::new(shared), Parts { incoming, state })
    }

    pub(super) fn set_handle(&self, handle: &PeerHandle) {
        // Set once, by whoever made it.
        let _ = self.handle.set(handle.clone());
    }

    fn calls(&self) -> MutexGuard<'_, Option<Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, call: u32) -> Option<oneshot::Sender<Outcome>> {
        self.calls().as_mut()?.remove(&call)
    }

    fn settle(&self, call: u32, outcome: Outcome) {
        if let Some(waiting) = self.take(call) {
            // A caller that gave up is not told.
            let _ = waiting.send(outcome);
        }
    }

    fn deliver(&self, message: Incoming) {
        let incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*incoming
            && sender.try_send(message).is_err()
            && let Some(handle) = self.handle.get()
        {
            tracing::warn!(limit = INCOMING_LIMIT, "closing a peer whose messages nobody takes");
            handle.give_up();
        }
    }

    pub(super) fn event(&self, event: PeerEvent<'_>) {
        match event {
            PeerEvent::State { state, error, .. } => {
                self.state.send_replace((state, error.cloned()));
            }
            PeerEvent::Result { call, result } => self.settle(call, Ok(result.map(ToOwned::to_owned))),
            PeerEvent::Failure { call, error } => self.settle(call, Err(error.clone())),
            PeerEvent::Request { cid, method, params } => {
                let Some(handle) = self.handle.get().cloned() else { return };
                let request = Request { method: method.to_owned(), params: params.and_then(raw), cid, handle };
                self.deliver(Incoming::Request(request));
            }
            PeerEvent::Event { name, data } => {
                self.deliver(Incoming::Event { name: name.to_owned(), data: data.and_then(raw) });
            }
            PeerEvent::Unhandled { error } => tracing::warn!(%error, "unhandled"),
            PeerEvent::Gone => {
                *self.calls() = None;
                *self.incoming.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}

fn raw(json: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(json.to_owned()).ok()
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Value(format!("the value has no JSON form: {error}")))
}

fn refused(why: Refused) -> Error {
    let code = match why {
        Refused::TooLarge | Refused::TooDeep => PeerErrorCode::MessageTooLarge,
        Refused::Overflow => PeerErrorCode::BufferOverflow,
        Refused::Closed => PeerErrorCode::PeerClosed,
        Refused::InvalidName => PeerErrorCode::InvalidPattern,
    };
    Error::peer(code, why.to_string())
}

/// The host of one client.
struct ClientHost {
    shared: Arc<Shared>,
    gate: Gate,
}

impl ClientHost {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), gate: Gate::default() }
    }
}

impl Host for ClientHost {
    fn peer(&self, _peer: Id, event: PeerEvent<'_>) {
        self.shared.event(event);
    }

    fn daemon(&self, _daemon: Id, _event: DaemonEvent<'_>) {}

    fn flush(&self) {}

    fn gate(&self) -> &Gate {
        &self.gate
    }
}
