//! What stands behind a daemon's link: all its sessions (section 5, "Daemon").

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sideband_protocol::handshake;
use sideband_protocol::identity::IdentityKeyPair;
use sideband_protocol::sbrp::{self, ControlCode, Frame, SessionId, Signal, SignalReason};

use super::sessions::{Entry, Phase, Sessions};
use crate::error::{Error, PeerErrorCode, ProtocolError, SbrpErrorCode};
use crate::host::{DaemonEvent, Host, Id, PeerEvent, PeerState};
use crate::link::{BAD_FRAMES_LIMIT, Endpoint};
use crate::outbound::Outbound;
use crate::peer::core::{Flow, PeerCore};
use crate::peer::policy::PeerPolicy;
use crate::peer::{Command, Mailbox, PeerHandle, Routed};
use crate::random;
use crate::reports;
use crate::session::{self, Introduction, Role, Session};
use crate::timers;

/// What a daemon's sessions have in common.
pub(super) struct Settings {
    pub(super) identity: IdentityKeyPair,
    pub(super) introduction: Introduction,
    pub(super) policy: PeerPolicy,
    pub(super) handshake_timeout: Duration,
    pub(super) resume_grace: Duration,
    pub(super) max_sessions: usize,
}

pub(super) struct DaemonEndpoint {
    id: Id,
    settings: Settings,
    host: Arc<dyn Host>,
    mailbox: Mailbox,
    daemon_id: String,
    sessions: Sessions,
    /// Whole messages that are not Data: signals, accepts, pongs. They go out before Data. Without a link it holds the
    /// farewells of sessions that ended meanwhile, one a session, for the next one.
    control: Vec<Vec<u8>>,
    bad_frames: u32,
    link_up: bool,
    /// When sessions that wait for the link are given up.
    grace_ends: Option<Instant>,
    closing: bool,
}

impl DaemonEndpoint {
    pub(super) fn new(id: Id, settings: Settings, host: Arc<dyn Host>, mailbox: Mailbox) -> Self {
        Self {
            id,
            settings,
            host: reports::limited(host),
            mailbox,
            daemon_id: String::new(),
            sessions: Sessions::new(),
            control: Vec::new(),
            bad_frames: 0,
            link_up: false,
            grace_ends: None,
            closing: false,
        }
    }

    /// The link stands. Sessions that outlived the last one are told to the relay; their state is intact, because it is
    /// the very same object.
    pub(super) fn link_up(&mut self, daemon_id: &str) {
        daemon_id.clone_into(&mut self.daemon_id);
        self.bad_frames = 0;
        self.link_up = true;
        self.grace_ends = None;
        for id in self.sessions.ids() {
            let Some(entry) = self.sessions.get_mut(id) else { continue };
            self.control.push(sbrp::encode_signal(id, Signal::Ready, SignalReason::None));
            entry.core.activate(&mut entry.plain);
            Self::tell(&*self.host, entry.core.id(), PeerState::Active, None);
            self.sessions.touched(id);
        }
    }

    /// The link dropped. With `resumable`, open sessions wait for the next one.
    pub(super) fn link_down(&mut self, now: Instant, resumable: bool) {
        self.link_up = false;
        self.control.clear();
        for id in self.sessions.ids() {
            let Some(entry) = self.sessions.get_mut(id) else { continue };
            if resumable && entry.phase == Phase::Open {
                entry.core.pause();
                Self::tell(&*self.host, entry.core.id(), PeerState::Paused, None);
            } else if resumable {
                self.lose(id);
            } else {
                self.end(id, None);
            }
        }
        if resumable {
            self.grace_ends = Some(timers::after(now, self.settings.resume_grace));
        }
    }

    /// Ends every session, telling each client why.
    pub(super) fn close_all(&mut self, reason: SignalReason) {
        for id in self.sessions.ids() {
            self.control.push(sbrp::encode_signal(id, Signal::Close, reason));
            self.end(id, None);
        }
    }

    /// Ends a session that cannot be resumed; its client is told once the link is back.
    fn lose(&mut self, id: SessionId) {
        self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::StateLost));
        self.end(id, None);
    }

    /// Ends every session without a word: there is no link to say it on.
    pub(super) fn drop_all(&mut self) {
        for id in self.sessions.ids() {
            self.end(id, None);
        }
    }

    fn tell(host: &dyn Host, peer: Id, state: PeerState, error: Option<&Error>) {
        host.peer(peer, PeerEvent::State { state, remote: None, error });
    }

    /// Wipes a session; its peer, if it ever became one, is closed.
    fn end(&mut self, id: SessionId, error: Option<&Error>) {
        let Some(mut entry) = self.sessions.remove(id) else { return };
        if entry.phase == Phase::Open {
            Self::tell(&*self.host, entry.core.id(), PeerState::Closed, error);
            entry.core.close();
            self.host.peer(entry.core.id(), PeerEvent::Gone);
        } else if let Some(error) = error {
            self.host.daemon(self.id, DaemonEvent::Unhandled { error });
        }
    }

    /// Ends a session that failed, and says so to its client; the link and the other sessions go on.
    fn fail(&mut self, id: SessionId, error: &Error) {
        self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::Error));
        self.end(id, Some(error));
    }

    /// Ends a session because its owner wants it: what was sent before still goes out, then the client is told.
    fn disconnect(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.get_mut(id)
            && self.link_up
        {
            let frames = entry.plain.drain(..);
            self.control.extend(frames.filter_map(|frame| entry.session.seal(frame).ok()));
        }
        self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::None));
        self.end(id, None);
    }

    fn unhandled(&self, error: &Error) {
        self.host.daemon(self.id, DaemonEvent::Unhandled { error });
    }

    /// A client's `HandshakeInit`. One for a live session replaces it: the relay let a new client in.
    fn handshake(&mut self, now: Instant, id: SessionId, init: &[u8]) {
        self.end(id, None);
        let most = self.settings.max_sessions;
        if self.sessions.len() >= most {
            self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::Policy));
            let message = format!("refused a session: {most} are open already");
            self.unhandled(&Error::sbrp(SbrpErrorCode::HandshakeFailed, message));
            return;
        }
        if let Err(why) = self.greet(now, id, init) {
            self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::Error));
            self.unhandled(&Error::sbrp(SbrpErrorCode::HandshakeFailed, why));
        }
    }

    /// Answers a handshake, and says hello at once: nothing of the session may come before it.
    fn greet(&mut self, now: Instant, id: SessionId, init: &[u8]) -> Result<(), String> {
        let settings = &self.settings;
        let (accept, keys) = handshake::accept(&settings.identity, &self.daemon_id, random::secret(), init)
            .map_err(|error| error.to_string())?;
        let mut session = Session::new(id, keys, Role::Daemon);
        let hello = session.seal(session::hello(&settings.introduction)).map_err(|error| error.to_string())?;
        let core = PeerCore::new(Id::next(), settings.policy, Arc::clone(&self.host), Flow::Active);
        let phase = Phase::Greeting(timers::after(now, settings.handshake_timeout));
        self.control.extend([sbrp::encode_handshake_accept(id, &accept), hello]);
        self.sessions.insert(Entry::new(session, core, phase));
        Ok(())
    }

    /// A session's Data. Frames of unknown sessions are ignored: their client just left.
    fn data(&mut self, id: SessionId, message: &mut [u8]) {
        let Some(entry) = self.sessions.get_mut(id) else { return };
        let received = match entry.session.open(message) {
            Err(error) => Err(error),
            Ok(opened) if entry.phase == Phase::Open => {
                entry.core.report_gap(opened.gap);
                let mut replies = Vec::new();
                let received = entry.core.receive(opened.plaintext, &mut replies);
                self.control.extend(replies.into_iter().filter_map(|reply| entry.session.seal(reply).ok()));
                received.map_err(Error::Protocol)
            }
            Ok(opened) => match session::read_hello(opened.plaintext) {
                Ok(remote) => {
                    entry.phase = Phase::Open;
                    let peer = PeerHandle::new(entry.core.id(), self.mailbox.clone());
                    self.host.daemon(self.id, DaemonEvent::Connection { peer, remote: &remote });
                    Ok(())
                }
                Err(error) => {
                    if let Ok(frame) = entry.session.seal(session::refusal(&error)) {
                        self.control.push(frame);
                    }
                    Err(Error::Protocol(ProtocolError::Handshake(error.to_string())))
                }
            },
        };
        match received {
            Ok(()) => self.sessions.touched(id),
            Err(Error::Protocol(ProtocolError::Closed { .. })) => {
                self.control.push(sbrp::encode_signal(id, Signal::Close, SignalReason::None));
                self.end(id, None);
            }
            Err(error) => self.fail(id, &error),
        }
    }

    /// Does something for one session. A panic in it is that session's end and nobody else's: whatever it left half done goes
    /// with the session.
    fn contained(&mut self, id: SessionId, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            let error = Error::Internal("a session's work panicked".into());
            self.fail(id, &error);
        }
    }

    fn control(&mut self, session: u64, code: ControlCode) -> Result<(), Error> {
        match (SessionId::new(session), code) {
            (Some(id), ControlCode::SESSION_ENDED) => self.end(id, None),
            (None, ControlCode::RATE_LIMITED) => self.unhandled(&Error::control(code)),
            (None, code) => return Err(Error::control(code)),
            // What concerns one session only is no reason to drop the link.
            (Some(_), code) => self.unhandled(&Error::control(code)),
        }
        Ok(())
    }

    fn bad_frame(&mut self, error: sbrp::FrameError) -> Result<(), Error> {
        self.bad_frames += 1;
        let error = Error::sbrp(SbrpErrorCode::MalformedFrame, format!("undecodable frame: {error}"));
        if self.bad_frames == BAD_FRAMES_LIMIT {
            return Err(error);
        }
        self.unhandled(&error);
        Ok(())
    }
}

impl Endpoint for DaemonEndpoint {
    fn receive(&mut self, now: Instant, mut message: Vec<u8>) -> Result<(), Error> {
        let frame = match Frame::decode(&message) {
            Ok(frame) => frame,
            Err(error) => return self.bad_frame(error),
        };
        self.bad_frames = 0;
        match frame {
            Frame::Data { session, .. } => self.contained(session, |this| this.data(session, &mut message)),
            Frame::HandshakeInit { session, payload } => {
                self.contained(session, |this| this.handshake(now, session, payload));
            }
            Frame::Control { session, code, .. } => return self.control(session, code),
            Frame::Ping(bytes) => self.control.push(sbrp::encode_pong(bytes)),
            Frame::Pong(_) => {}
            Frame::HandshakeAccept { .. } | Frame::Signal { .. } => {
                let message = "skipped a frame that no relay sends to a daemon";
                self.unhandled(&Error::sbrp(SbrpErrorCode::MalformedFrame, message));
            }
        }
        Ok(())
    }

    fn command(&mut self, now: Instant, (peer, command): Routed) -> Result<(), Error> {
        if peer == self.id {
            self.closing |= matches!(command, Command::Close);
            return Ok(());
        }
        let Some(id) = self.sessions.of_peer(peer) else { return Ok(()) };
        match command {
            Command::Close => self.disconnect(id),
            Command::GiveUp => {
                let message = "more messages came in than were taken";
                self.fail(id, &Error::peer(PeerErrorCode::BufferOverflow, message));
            }
            command => {
                let Some(entry) = self.sessions.get_mut(id) else { return Ok(()) };
                match entry.core.command(now, command, &mut entry.plain) {
                    Ok(()) => self.sessions.touched(id),
                    Err(error) => self.fail(id, &Error::Protocol(error)),
                }
            }
        }
        Ok(())
    }

    fn abandon(&mut self) {
        self.closing = true;
    }

    fn expire(&mut self, now: Instant) {
        if self.grace_ends.is_some_and(|ends| ends <= now) {
            self.grace_ends = None;
            for id in self.sessions.ids() {
                self.lose(id);
            }
        }
        while let Some(id) = self.sessions.due(now) {
            let Some(entry) = self.sessions.get_mut(id) else { continue };
            match entry.phase {
                Phase::Greeting(deadline) if deadline <= now => {
                    let message = "a client's handshake did not finish in time";
                    self.fail(id, &Error::sbrp(SbrpErrorCode::HandshakeTimeout, message));
                }
                Phase::Greeting(_) => {}
                Phase::Open => entry.core.expire(now),
            }
            self.sessions.touched(id);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.sessions.next_deadline().into_iter().chain(self.grace_ends).min()
    }

    fn take_outbound(&mut self, out: &mut Outbound) -> Result<(), Error> {
        self.control.drain(..).for_each(|message| out.push(message));
        while out.has_room()
            && let Some((id, sealed)) = self.sessions.seal_next()
        {
            match sealed {
                Ok(message) => out.push(message),
                Err(error) => self.fail(id, &Error::dropped(error.to_string())),
            }
        }
        if self.closing && self.sessions.are_drained() {
            self.close_all(SignalReason::Shutdown);
        }
        self.control.drain(..).for_each(|message| out.push(message));
        Ok(())
    }

    fn is_closing(&self) -> bool {
        self.closing
    }
}
