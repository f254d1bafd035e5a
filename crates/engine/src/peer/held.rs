//! Messages that wait for a connection, in the order in which they were given.

use std::collections::VecDeque;
use std::time::Instant;

use sideband_protocol::sbp::{Frame, FrameId, Subject};

use super::handle::Outgoing;
use super::policy::PeerPolicy;
use crate::error::ProtocolError;
use crate::host::CallId;

/// Bytes of answers that may wait: what a resume has promised to deliver. One more ends the session.
const ANSWER_LIMIT: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Message {
    Call { call: CallId, cid: FrameId, deadline: Instant, frame: Outgoing },
    Answer(Outgoing),
    Event(Outgoing),
}

/// The queue, bounded per kind: calls and answers by bytes, events by number.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<Message>,
    call_bytes: usize,
    answer_bytes: usize,
    events: usize,
}

/// A limit was reached.
#[derive(Debug)]
pub(super) struct Full;

impl Held {
    pub(super) fn call(
        &mut self,
        policy: &PeerPolicy,
        call: CallId,
        cid: FrameId,
        deadline: Instant,
        frame: Outgoing,
    ) -> Result<(), Full> {
        if self.call_bytes + frame.len() > policy.buffer_limit {
            return Err(Full);
        }
        self.call_bytes += frame.len();
        self.queue.push_back(Message::Call { call, cid, deadline, frame: frame.uncounted() });
        Ok(())
    }

    pub(super) fn answer(&mut self, frame: Outgoing) -> Result<(), ProtocolError> {
        if self.answer_bytes + frame.len() > ANSWER_LIMIT {
            return Err(ProtocolError::TooManyAnswers);
        }
        self.answer_bytes += frame.len();
        self.queue.push_back(Message::Answer(frame.uncounted()));
        Ok(())
    }

    /// Keeps an event; the oldest one gives way when there are too many.
    pub(super) fn event(&mut self, policy: &PeerPolicy, frame: Outgoing) {
        if policy.max_events == 0 {
            return;
        }
        if self.events == policy.max_events
            && let Some(oldest) = self.queue.iter().position(|m| matches!(m, Message::Event(_)))
        {
            self.remove(oldest);
        }
        self.events += 1;
        self.queue.push_back(Message::Event(frame.uncounted()));
    }

    /// Keeps the events of frames that were on their way before anything here was given; the oldest give way.
    pub(super) fn take_back(&mut self, policy: &PeerPolicy, frames: VecDeque<Outgoing>) {
        let is_event = |frame: &Outgoing| {
            matches!(Frame::decode(frame.plaintext()), Ok(Frame::Message { subject: Subject::Event, .. }))
        };
        let room = policy.max_events.saturating_sub(self.events);
        for frame in frames.into_iter().rev().filter(is_event).take(room) {
            self.events += 1;
            self.queue.push_front(Message::Event(frame.uncounted()));
        }
    }

    pub(super) fn next(&mut self) -> Option<Message> {
        self.remove(0)
    }

    /// Takes a waiting call out of the queue.
    pub(super) fn cancel(&mut self, call: CallId) -> bool {
        let found = self.queue.iter().position(|m| matches!(m, Message::Call { call: c, .. } if *c == call));
        found.and_then(|index| self.remove(index)).is_some()
    }

    /// Takes one waiting call whose time is over.
    pub(super) fn expired(&mut self, now: Instant) -> Option<CallId> {
        let index = self.queue.iter().position(|m| matches!(m, Message::Call { deadline, .. } if *deadline <= now))?;
        match self.remove(index) {
            Some(Message::Call { call, .. }) => Some(call),
            _ => None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.queue
            .iter()
            .filter_map(|m| match m {
                Message::Call { deadline, .. } => Some(*deadline),
                _ => None,
            })
            .min()
    }

    /// Forgets the answers: they belong to a session that is no more.
    pub(super) fn drop_answers(&mut self) {
        self.queue.retain(|m| !matches!(m, Message::Answer(_)));
        self.answer_bytes = 0;
    }

    /// Takes every waiting call and forgets the rest.
    pub(super) fn drain_calls(&mut self) -> Vec<CallId> {
        let calls = std::mem::take(self).queue.into_iter();
        calls
            .filter_map(|m| match m {
                Message::Call { call, .. } => Some(call),
                _ => None,
            })
            .collect()
    }

    fn remove(&mut self, index: usize) -> Option<Message> {
        let message = self.queue.remove(index)?;
        match &message {
            Message::Call { frame, .. } => self.call_bytes -= frame.len(),
            Message::Answer(frame) => self.answer_bytes -= frame.len(),
            Message::Event(_) => self.events -= 1,
        }
        Some(message)
    }
}
