//! The state machine of one conversation: plaintext SBP frames and commands go in, SBP frames and events come out. It
//! knows no socket, no key and no clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sideband_protocol::rpc::{Envelope, code, exceeds_nesting};
use sideband_protocol::sbp::{self, Frame, Subject};

use super::handle::{Command, Outgoing};
use super::held::{Held, Message};
use super::pending::Pending;
use super::policy::{OnDisconnect, PeerPolicy};
use crate::error::{Error, PeerErrorCode, ProtocolError};
use crate::host::{CallId, Host, Id, PeerEvent};
use crate::random;
use crate::timers;

const TOO_DEEP: &str = "the value is nested deeper than 128 levels";

/// Whether messages can flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flow {
    /// No session.
    Down,
    /// A session, but the other side is not there just now.
    Paused,
    /// Now.
    Active,
}

pub(crate) struct PeerCore {
    id: Id,
    policy: PeerPolicy,
    host: Arc<dyn Host>,
    flow: Flow,
    pending: Pending,
    held: Held,
}

impl PeerCore {
    pub(crate) fn new(id: Id, policy: PeerPolicy, host: Arc<dyn Host>, flow: Flow) -> Self {
        Self { id, policy, host, flow, pending: Pending::default(), held: Held::default() }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Messages flow: what waited goes out first, in order.
    pub(crate) fn activate(&mut self, out: &mut VecDeque<Outgoing>) {
        self.flow = Flow::Active;
        while let Some(message) = self.held.next() {
            match message {
                Message::Call { call, cid, deadline, frame } => {
                    self.pending.insert(cid, call, deadline);
                    out.push_back(frame);
                }
                Message::Answer(frame) | Message::Event(frame) => out.push_back(frame),
            }
        }
    }

    /// The session stands, but nothing can be sent: calls in flight go on waiting for their answers.
    pub(crate) fn pause(&mut self) {
        self.flow = Flow::Paused;
    }

    /// The session is no more: calls in flight fail, what waits goes on waiting, and the events among what was not sealed
    /// yet wait with it.
    pub(crate) fn disconnect(&mut self, unsealed: VecDeque<Outgoing>) {
        self.flow = Flow::Down;
        self.held.drop_answers();
        self.held.take_back(&self.policy, unsealed);
        let lost = self.pending.drain();
        self.fail(lost, PeerErrorCode::NotConnected, "the connection dropped before the answer came");
    }

    /// The end: everything fails.
    pub(crate) fn close(&mut self) {
        self.flow = Flow::Down;
        let mut lost = self.pending.drain();
        lost.extend(self.held.drain_calls());
        self.fail(lost, PeerErrorCode::PeerClosed, "the peer is closed");
    }

    /// Does what a caller wants. `Command::Close` and `Command::GiveUp` are the owner's business.
    ///
    /// # Errors
    /// More answers wait than may be kept for a paused session, which is its end.
    pub(crate) fn command(
        &mut self,
        now: Instant,
        command: Command,
        out: &mut VecDeque<Outgoing>,
    ) -> Result<(), ProtocolError> {
        match command {
            Command::Call { call, cid, timeout, frame } => {
                let deadline = timers::after(now, timeout);
                match (self.flow, self.policy.on_disconnect) {
                    (Flow::Active, _) => {
                        self.pending.insert(cid, call, deadline);
                        out.push_back(frame);
                    }
                    (Flow::Paused, OnDisconnect::Fail) => {
                        self.fail([call], PeerErrorCode::SessionPaused, "the session is paused");
                    }
                    (Flow::Down, OnDisconnect::Fail) => {
                        self.fail([call], PeerErrorCode::NotConnected, "the peer is not connected");
                    }
                    (_, OnDisconnect::Pause) => {
                        if self.held.call(&self.policy, call, cid, deadline, frame).is_err() {
                            let message = "too many bytes of calls wait for the connection";
                            self.fail([call], PeerErrorCode::BufferOverflow, message);
                        }
                    }
                }
            }
            Command::Cancel { call } => {
                if !self.pending.cancel(call) {
                    self.held.cancel(call);
                }
            }
            Command::Respond { frame } => match self.flow {
                Flow::Active => out.push_back(frame),
                Flow::Paused => self.held.answer(frame)?,
                // The session that asked is gone, and its correlation ids with it.
                Flow::Down => {}
            },
            Command::Emit { frame } => match self.flow {
                Flow::Active => out.push_back(frame),
                Flow::Paused | Flow::Down => self.held.event(&self.policy, frame),
            },
            Command::Close | Command::GiveUp => {}
        }
        Ok(())
    }

    /// Takes one plaintext frame that came after the SBP handshake. `replies` gets what this side answers by itself: it may
    /// overtake callers' frames, so that no more of it gathers than a remote can cause that reads.
    ///
    /// # Errors
    /// The remote ended the session, or made this side keep more answers than it may while it is paused.
    pub(crate) fn receive(&mut self, plaintext: &[u8], replies: &mut Vec<Outgoing>) -> Result<(), ProtocolError> {
        match Frame::decode(plaintext) {
            Ok(Frame::Message { subject: subject @ (Subject::Rpc | Subject::Event), data, .. }) => {
                match Envelope::decode(subject, data) {
                    Ok(envelope) => self.envelope(envelope, replies)?,
                    Err(error) => self.skipped(error),
                }
            }
            Ok(Frame::Ping { .. }) => {
                self.reply(Outgoing::frame(&Frame::Pong { id: random::frame_id() }), replies)?;
            }
            // Nobody sends acks, and a pong is only proof of life.
            Ok(Frame::Pong { .. } | Frame::Ack { .. }) => {}
            Ok(Frame::Message { .. }) => self.skipped("a message of a subject that nobody handles here"),
            Ok(Frame::Handshake { .. }) => self.skipped("a second SBP handshake"),
            Ok(Frame::Close { reason, .. }) => {
                return Err(ProtocolError::Closed { reason: reason.map(ToOwned::to_owned) });
            }
            Ok(Frame::Error { code, message, .. }) => {
                let reported = ProtocolError::Reported { code, message: message.to_owned() };
                if sbp::code::is_fatal(code) {
                    return Err(reported);
                }
                self.unhandled(&Error::Protocol(reported));
            }
            Err(error) => self.skipped(error),
        }
        Ok(())
    }

    /// What this side answers by itself. A remote that is paused cannot ask; if it does so all the same, the answer waits
    /// like any other.
    fn reply(&mut self, frame: Outgoing, replies: &mut Vec<Outgoing>) -> Result<(), ProtocolError> {
        if self.flow == Flow::Active {
            replies.push(frame);
            Ok(())
        } else {
            self.held.answer(frame)
        }
    }

    fn envelope(&mut self, envelope: Envelope<'_>, replies: &mut Vec<Outgoing>) -> Result<(), ProtocolError> {
        match envelope {
            // A host's JSON parser is not to be trusted with any depth.
            Envelope::Request { params: Some(json), cid, .. } if exceeds_nesting(json) => {
                self.reply(Outgoing::error(cid, code::HANDLER_FAILED, TOO_DEEP), replies)?;
            }
            Envelope::Success { cid, result: Some(json) } if exceeds_nesting(json) => {
                if let Some(call) = self.pending.take(cid) {
                    let wire_code = f64::from(code::INVALID_ENVELOPE);
                    let error = Error::Rpc { wire_code, message: TOO_DEEP.into(), data: None };
                    self.host.peer(self.id, PeerEvent::Failure { call, error: &error });
                }
            }
            Envelope::Error { cid, code, message, data: Some(json) } if exceeds_nesting(json) => {
                self.envelope(Envelope::Error { cid, code, message, data: None }, replies)?;
            }
            Envelope::Notification { data: Some(json), .. } if exceeds_nesting(json) => self.skipped(TOO_DEEP),
            Envelope::Request { method, params, cid } => {
                self.host.peer(self.id, PeerEvent::Request { cid, method: &method, params });
            }
            Envelope::Notification { name, data } => {
                self.host.peer(self.id, PeerEvent::Event { name: &name, data });
            }
            // An answer that nobody waits for any more is dropped.
            Envelope::Success { cid, result } => {
                if let Some(call) = self.pending.take(cid) {
                    self.host.peer(self.id, PeerEvent::Result { call, result });
                }
            }
            Envelope::Error { cid, code, message, data } => {
                if let Some(call) = self.pending.take(cid) {
                    let error = Error::Rpc {
                        wire_code: code,
                        message: message.into_owned(),
                        data: data.map(ToOwned::to_owned),
                    };
                    self.host.peer(self.id, PeerEvent::Failure { call, error: &error });
                }
            }
        }
        Ok(())
    }

    /// Fails the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(call) = self.pending.expired(now) {
            self.fail([call], PeerErrorCode::RpcTimeout, "the answer did not come in time");
        }
        while let Some(call) = self.held.expired(now) {
            self.fail([call], PeerErrorCode::RpcTimeout, "the call timed out while it waited for the connection");
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.pending.next_deadline(), self.held.next_deadline()].into_iter().flatten().min()
    }

    /// Says how many frames are missing before the one that came, after a resume say. What did come is good.
    pub(crate) fn report_gap(&self, missing: u64) {
        if missing > 0 {
            self.unhandled(&Error::Protocol(ProtocolError::Gap { missing }));
        }
    }

    /// Tells the host of something that no call waits for.
    pub(crate) fn unhandled(&self, error: &Error) {
        self.host.peer(self.id, PeerEvent::Unhandled { error });
    }

    fn skipped(&self, what: impl std::fmt::Display) {
        self.unhandled(&Error::Protocol(ProtocolError::Skipped(what.to_string())));
    }

    fn fail(&self, calls: impl IntoIterator<Item = CallId>, code: PeerErrorCode, message: &str) {
        let mut error = None;
        for call in calls {
            let error = error.get_or_insert_with(|| Error::peer(code, message));
            self.host.peer(self.id, PeerEvent::Failure { call, error });
        }
    }
}
