//! What stands behind a connection with one conversation on it: a client's, through the relay or direct, and each of a
//! direct server's (section 5, "Client").

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sideband_protocol::sbrp::{self, ControlCode, Frame};

use super::core::{Flow, PeerCore};
use super::policy::PeerPolicy;
use super::{Command, Outgoing, Routed};
use crate::error::{Error, SbrpErrorCode};
use crate::host::{Host, Id, PeerEvent, PeerState};
use crate::link::{BAD_FRAMES_LIMIT, Endpoint};
use crate::outbound::Outbound;
use crate::reports;
use crate::session::{self, Channel};

pub(crate) struct Solo {
    host: Arc<dyn Host>,
    core: PeerCore,
    channel: Option<Channel>,
    remote: String,
    state: PeerState,
    /// Callers' frames that are not sealed yet, in order.
    plain: VecDeque<Outgoing>,
    /// Frames that this side answers with by itself, not sealed yet.
    replies: Vec<Outgoing>,
    /// Answers to the relay's Pings.
    pongs: Vec<Vec<u8>>,
    bad_frames: u32,
    closing: bool,
}

/// What an inbound message is, without the borrow that opening it in place would collide with.
enum Inbound {
    Data,
    Pong(Vec<u8>),
    Control(ControlCode),
    Nothing,
    Foreign,
}

impl Solo {
    pub(crate) fn new(id: Id, policy: PeerPolicy, host: Arc<dyn Host>) -> Self {
        let host = reports::limited(host);
        Self {
            core: PeerCore::new(id, policy, Arc::clone(&host), Flow::Down),
            host,
            channel: None,
            remote: String::new(),
            state: PeerState::Connecting,
            plain: VecDeque::new(),
            replies: Vec::new(),
            pongs: Vec::new(),
            bad_frames: 0,
            closing: false,
        }
    }

    /// A session is active.
    pub(crate) fn start(&mut self, channel: Channel, remote: String) {
        self.channel = Some(channel);
        self.remote = remote;
        self.bad_frames = 0;
        self.activate();
    }

    /// The connection is lost: its session is wiped.
    pub(crate) fn stop(&mut self) {
        self.channel = None;
        self.replies.clear();
        self.pongs.clear();
        self.core.disconnect(std::mem::take(&mut self.plain));
    }

    /// The end.
    pub(crate) fn close(&mut self) {
        self.channel = None;
        self.core.close();
    }

    fn activate(&mut self) {
        self.enter(PeerState::Active);
        self.core.activate(&mut self.plain);
    }

    fn enter(&mut self, state: PeerState) {
        self.state = state;
        let remote = (state == PeerState::Active).then_some(self.remote.as_str());
        self.host.peer(self.core.id(), PeerEvent::State { state, remote, error: None });
    }

    /// Section 5, "Client": what a Control frame does to an active or paused session.
    fn control(&mut self, code: ControlCode) -> Result<(), Error> {
        match code {
            ControlCode::SESSION_PAUSED if self.state == PeerState::Active => {
                self.core.pause();
                self.enter(PeerState::Paused);
            }
            ControlCode::SESSION_RESUMED if self.state == PeerState::Paused => self.activate(),
            ControlCode::SESSION_PAUSED
            | ControlCode::SESSION_RESUMED
            | ControlCode::SESSION_PENDING
            | ControlCode::SESSION_ENDED => {}
            ControlCode::RATE_LIMITED => self.core.unhandled(&Error::control(code)),
            code => return Err(Error::control(code)),
        }
        Ok(())
    }

    fn classify(&mut self, message: &[u8]) -> Result<Inbound, Error> {
        let own = match &self.channel {
            Some(Channel::Sealed(session)) => session.id(),
            // A bare SBP frame: the conversation decodes it.
            Some(Channel::Bare) => return Ok(Inbound::Data),
            None => return Ok(Inbound::Nothing),
        };
        let inbound = match Frame::decode(message) {
            Ok(Frame::Data { session, .. }) if session == own => Inbound::Data,
            Ok(Frame::Ping(bytes)) => Inbound::Pong(sbrp::encode_pong(bytes)),
            Ok(Frame::Pong(_)) => Inbound::Nothing,
            Ok(Frame::Control { code, .. }) => Inbound::Control(code),
            Ok(_) => Inbound::Foreign,
            Err(error) => {
                self.bad_frames += 1;
                let error = Error::sbrp(SbrpErrorCode::MalformedFrame, format!("undecodable frame: {error}"));
                if self.bad_frames == BAD_FRAMES_LIMIT {
                    return Err(error);
                }
                self.core.unhandled(&error);
                return Ok(Inbound::Nothing);
            }
        };
        self.bad_frames = 0;
        Ok(inbound)
    }
}

impl Endpoint for Solo {
    fn receive(&mut self, _now: Instant, mut message: Vec<u8>) -> Result<(), Error> {
        match self.classify(&message)? {
            Inbound::Data => {
                let Some(channel) = &mut self.channel else { return Ok(()) };
                let opened = channel.open(&mut message)?;
                self.core.report_gap(opened.gap);
                self.core.receive(opened.plaintext, &mut self.replies).map_err(Error::Protocol)
            }
            Inbound::Pong(pong) => {
                self.pongs.push(pong);
                Ok(())
            }
            Inbound::Control(code) => self.control(code),
            Inbound::Nothing => Ok(()),
            Inbound::Foreign => {
                let message = "skipped a frame that does not belong to this session";
                self.core.unhandled(&Error::sbrp(SbrpErrorCode::MalformedFrame, message));
                Ok(())
            }
        }
    }

    fn command(&mut self, now: Instant, (_, command): Routed) -> Result<(), Error> {
        if matches!(command, Command::Close | Command::GiveUp) {
            self.closing = true;
        }
        self.core.command(now, command, &mut self.plain).map_err(Error::Protocol)
    }

    fn abandon(&mut self) {
        self.closing = true;
    }

    fn expire(&mut self, now: Instant) {
        self.core.expire(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    fn take_outbound(&mut self, out: &mut Outbound) -> Result<(), Error> {
        self.pongs.drain(..).for_each(|pong| out.push(pong));
        let Some(channel) = self.channel.as_mut().filter(|_| self.state == PeerState::Active) else { return Ok(()) };
        let mut seal = |frame| channel.seal(frame).map_err(|error| Error::dropped(error.to_string()));
        for reply in self.replies.drain(..) {
            out.push(seal(reply)?);
        }
        while out.has_room()
            && let Some(frame) = self.plain.pop_front()
        {
            out.push(seal(frame)?);
        }
        Ok(())
    }

    fn ping(&self) -> Vec<u8> {
        match &self.channel {
            Some(Channel::Bare) => session::bare_ping(),
            Some(Channel::Sealed(_)) | None => sbrp::encode_ping(&[]),
        }
    }

    fn is_closing(&self) -> bool {
        self.closing
    }
}
