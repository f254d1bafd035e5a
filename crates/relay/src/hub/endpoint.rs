//! What a frame from a client or a daemon means: the contract's checks, in their order.

use std::{rc::Rc, task::Waker, time::Instant};

use bytes::Bytes;
use sideband_protocol::sbrp::{ControlCode, Frame, Sender, Signal, encode_control, encode_pong, may_send};

use super::{
    link::Link,
    pair::{Daemon, Pair},
    registry::{Lease, Online},
    shard::Shard,
};

/// Who is at the other end of a connection.
pub(crate) enum Endpoint {
    /// A client with its session.
    Client {
        pair: Rc<Pair>,
        /// Keeps the session id taken.
        _lease: Lease,
    },
    /// A daemon.
    Daemon {
        daemon: Rc<Daemon>,
        /// Counts it as online.
        _online: Online,
    },
    /// Nobody any more, or nobody from the start: only the close is left.
    Gone,
}

impl Endpoint {
    /// Whether no more may be read now, because the receiver of it is full. Then `waker` is woken
    /// when it no longer is. A daemon is always read: its clients must not wait for one another.
    pub(crate) fn must_wait(&self, round: &mut u64, waker: &Waker) -> bool {
        matches!(self, Self::Client { pair, .. } if pair.must_wait(round, waker))
    }

    /// Takes one message.
    pub(crate) fn receive(&self, shard: &Rc<Shard>, link: &Rc<Link>, message: Bytes, now: Instant) {
        let (sender, own_session) = match self {
            Self::Client { pair, .. } => (Sender::Client, Some(pair.session)),
            Self::Daemon { .. } => (Sender::Daemon, None),
            Self::Gone => return,
        };
        let frame = match Frame::decode_for_relay(&message) {
            Ok(frame) => frame,
            Err(error) => return link.terminate(error.control_code(), 0, now),
        };
        if !may_send(sender, frame.frame_type()) {
            let code = ControlCode::DISALLOWED_SENDER;
            return link.terminate(code, frame.session(), now);
        }
        let session = match frame {
            Frame::Ping(opaque) => return shard.answer(link, encode_pong(opaque), now),
            Frame::Pong(_) | Frame::Control { .. } => return,
            Frame::HandshakeInit { session, .. }
            | Frame::HandshakeAccept { session, .. }
            | Frame::Data { session, .. }
            | Frame::Signal { session, .. } => session,
        };
        if let Some(own) = own_session.filter(|own| *own != session) {
            return link.terminate(ControlCode::SESSION_NOT_FOUND, own.get(), now);
        }
        let pairing = &shard.pairing;
        match self {
            Self::Client { pair, .. } => {
                let is_data = matches!(frame, Frame::Data { .. });
                pairing.client_sends(pair, message, is_data, now);
            }
            Self::Daemon { daemon, .. } => match (daemon.pair(session), frame) {
                (Some(pair), Frame::Signal { signal, .. }) => match signal {
                    Some(Signal::Ready) => pairing.daemon_is_ready(&pair, now),
                    Some(Signal::Close) => pairing.daemon_closes(&pair, now),
                    None => (),
                },
                (Some(pair), _) => pairing.daemon_sends(&pair, message, now),
                (None, Frame::Signal { signal: Some(Signal::Close), .. }) => (),
                (None, _) => {
                    shard.context.metrics.control("session_ended");
                    let ended = encode_control(session.get(), ControlCode::SESSION_ENDED, "");
                    shard.answer(link, ended, now);
                }
            },
            Self::Gone => (),
        }
    }

    /// The connection is gone or is about to be: tells the other side, once.
    pub(crate) fn depart(&mut self, shard: &Rc<Shard>, link: &Rc<Link>, now: Instant) {
        match std::mem::replace(self, Self::Gone) {
            Self::Client { pair, .. } => shard.pairing.client_drops(&pair, now),
            Self::Daemon { daemon, .. } => {
                shard.pairing.daemon_drops(&daemon, link, now);
                shard.wait_for_deadlines(&daemon);
            }
            Self::Gone => (),
        }
    }
}
