//! One attempt of a client: from nothing to an active session, or to the reason why not.

use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, SystemTime};

use sideband_protocol::handshake::ClientHandshake;
use sideband_protocol::sbrp::{self, Frame, SessionId};
use sideband_protocol::session::SealError;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{ClientOptions, SessionTicket, Ticket};
use crate::cloud;
use crate::dial::{DialError, Stream};
use crate::error::{Error, ProtocolError, SbrpErrorCode};
use crate::keepalive::{Due, Keepalive};
use crate::link;
use crate::random;
use crate::session::{self, Channel, Introduction, Role, Session};
use crate::timers;
use crate::transport::Transport;
use crate::trust;

/// Data frames kept while a store or a person decides whether to trust: the daemon's introduction, which waits for nobody,
/// and what a hasty one sends behind it. At most 1 MiB.
const EARLY_LIMIT: usize = 16;

/// An active session and the WebSocket under it.
pub(super) struct Connected {
    pub(super) transport: Transport<Stream>,
    pub(super) channel: Channel,
    pub(super) remote: String,
}

/// Opens the WebSocket that the ticket is for.
pub(super) async fn dial(options: &ClientOptions, ticket: &Ticket) -> Result<Transport<Stream>, Error> {
    let socket = match ticket {
        Ticket::Session(ticket) => options.dialer.websocket(&ticket.relay_url, &ticket.token).await,
        Ticket::Direct(url) => options.dialer.websocket_without_token(url).await,
    };
    socket.map(Transport::new).map_err(refused_upgrade)
}

/// A relay that refuses the token says by the status what its Control frames would say by the code.
fn refused_upgrade(error: DialError) -> Error {
    let code = match error.status {
        Some(401) => sbrp::ControlCode::UNAUTHORIZED,
        Some(403) => sbrp::ControlCode::FORBIDDEN,
        Some(404) => sbrp::ControlCode::DAEMON_NOT_FOUND,
        Some(_) => return Error::Network { message: error.to_string(), kind: None },
        None => return error.into(),
    };
    Error::sbrp(SbrpErrorCode::Control(code), error.to_string())
}

/// Both handshakes (a direct connection has the inner one only), within the time for both.
pub(super) async fn negotiate(
    options: &ClientOptions,
    ticket: Ticket,
    mut transport: Transport<Stream>,
) -> Result<Connected, Error> {
    let deadline = timers::after(link::now(), options.handshake_timeout).into();
    let mut channel = match ticket {
        Ticket::Session(ticket) => Channel::Sealed(sbrp_handshake(options, &ticket, &mut transport, deadline).await?),
        Ticket::Direct(_) => Channel::Bare,
    };
    let remote = in_time(deadline, sbp_handshake(&options.introduction, &mut channel, &mut transport)).await??;
    Ok(Connected { transport, channel, remote })
}

async fn in_time<T>(deadline: tokio::time::Instant, step: impl Future<Output = T>) -> Result<T, Error> {
    tokio::time::timeout_at(deadline, step)
        .await
        .map_err(|_| Error::sbrp(SbrpErrorCode::HandshakeTimeout, "the handshake did not finish in time"))
}

async fn sbrp_handshake(
    options: &ClientOptions,
    ticket: &SessionTicket,
    transport: &mut Transport<Stream>,
    deadline: tokio::time::Instant,
) -> Result<Session, Error> {
    let id = cloud::session_id_from_token(ticket.token.expose())
        .ok_or_else(|| Error::sbrp(SbrpErrorCode::HandshakeFailed, "the session token names no session (claim sid)"))?;
    let handshake = ClientHandshake::start(random::secret());
    let init = sbrp::encode_handshake_init(id, &handshake.init_payload());
    let accept = in_time(deadline, async {
        transport.send(init).await.map_err(|ended| Error::dropped(ended.why))?;
        expect(transport, id, Expected::Accept).await
    })
    .await??;

    let daemon_id = &ticket.daemon_id;
    let pin = in_time(deadline, tended(transport, id, options.store.get(daemon_id))).await???;
    let verified = handshake
        .verify(daemon_id, &accept[sbrp::HEADER_LEN..], pin.as_ref())
        .map_err(|error| Error::sbrp(SbrpErrorCode::HandshakeFailed, error.to_string()))?;
    tended(transport, id, trust::settle(&options.trust, &*options.store, &verified, deadline)).await??;
    let keys = verified.into_keys().map_err(|error| Error::sbrp(SbrpErrorCode::HandshakeFailed, error.to_string()))?;
    Ok(Session::new(id, keys, Role::Client))
}

/// The inner handshake: both sides introduce themselves, and neither waits for the other. Gives the remote's peer id.
pub(crate) async fn sbp_handshake<S: AsyncRead + AsyncWrite + Unpin>(
    introduction: &Introduction,
    channel: &mut Channel,
    transport: &mut Transport<S>,
) -> Result<String, Error> {
    let refused = |error: SealError| Error::sbrp(SbrpErrorCode::HandshakeFailed, error.to_string());
    let own = channel.seal(session::hello(introduction)).map_err(refused)?;
    transport.send(own).await.map_err(|ended| Error::dropped(ended.why))?;
    let mut message = match channel {
        Channel::Sealed(session) => expect(transport, session.id(), Expected::Data).await?,
        Channel::Bare => transport.receive().await.map_err(|ended| Error::dropped(ended.why))?,
    };
    match session::read_hello(channel.open(&mut message)?.plaintext) {
        Ok(remote) => Ok(remote),
        Err(error) => {
            if let Ok(frame) = channel.seal(session::refusal(&error)) {
                // The remote may be gone already; the refusal is a courtesy.
                let _ = tokio::time::timeout(Duration::from_secs(1), transport.send(frame)).await;
            }
            Err(Error::Protocol(ProtocolError::Handshake(error.to_string())))
        }
    }
}

/// Waits for a store or a person, and looks after the connection meanwhile: a Ping is answered, the end is noticed. What
/// was decided by then counts, and an answer that comes later is nobody's any more.
///
/// # Errors
/// What ended the connection first.
async fn tended<S: AsyncRead + AsyncWrite + Unpin, T>(
    transport: &mut Transport<S>,
    id: SessionId,
    decision: impl Future<Output = T>,
) -> Result<T, Error> {
    let mut early = Vec::new();
    let decided = tokio::select! {
        biased;
        decided = decision => Ok(decided),
        ended = tend(transport, id, &mut early) => ended.map(|never| match never {}),
    };
    transport.put_back(early);
    decided
}

/// Keeps the connection alive until it ends. The daemon's Data, its introduction that is, is left in `early`.
///
/// # Errors
/// What ended it.
async fn tend<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut Transport<S>,
    id: SessionId,
    early: &mut Vec<Vec<u8>>,
) -> Result<Infallible, Error> {
    let mut keepalive = Keepalive::new(link::now(), SystemTime::now());
    loop {
        match keepalive.check(link::now(), SystemTime::now()) {
            Due::Nothing => {}
            Due::Ping => transport.send(sbrp::encode_ping(&[])).await.map_err(|ended| Error::dropped(ended.why))?,
            Due::Lost(why) => return Err(Error::dropped(why)),
        }
        let next = keepalive.next_deadline().into();
        // A read that is given up loses nothing.
        let Ok(received) = tokio::time::timeout_at(next, transport.receive()).await else { continue };
        let message = received.map_err(|ended| Error::dropped(ended.why))?;
        keepalive.heard(link::now());
        match judge(&message, id, Expected::Data)? {
            Judged::Expected if early.len() < EARLY_LIMIT => early.push(message),
            Judged::Expected => {
                let message = "too much came before the handshake was done";
                return Err(Error::sbrp(SbrpErrorCode::HandshakeFailed, message));
            }
            Judged::Ping(pong) => transport.send(pong).await.map_err(|ended| Error::dropped(ended.why))?,
            Judged::Pong => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Expected {
    Accept,
    Data,
}

/// The next frame of the handshake.
async fn expect<S: AsyncRead + AsyncWrite + Unpin>(
    transport: &mut Transport<S>,
    id: SessionId,
    expected: Expected,
) -> Result<Vec<u8>, Error> {
    loop {
        let message = transport.receive().await.map_err(|ended| Error::dropped(ended.why))?;
        match judge(&message, id, expected)? {
            Judged::Expected => return Ok(message),
            Judged::Ping(pong) => transport.send(pong).await.map_err(|ended| Error::dropped(ended.why))?,
            Judged::Pong => {}
        }
    }
}

/// What a message is to a handshake.
enum Judged {
    /// What it waits for.
    Expected,
    /// To be answered with this.
    Ping(Vec<u8>),
    /// Of no interest.
    Pong,
}

/// Pings are answered, pongs skipped, a Control frame is an error, anything else fails (section 2).
fn judge(message: &[u8], id: SessionId, expected: Expected) -> Result<Judged, Error> {
    match (Frame::decode(message), expected) {
        (Ok(Frame::HandshakeAccept { session, .. }), Expected::Accept) if session == id => Ok(Judged::Expected),
        (Ok(Frame::Data { session, .. }), Expected::Data) if session == id => Ok(Judged::Expected),
        (Ok(Frame::Ping(bytes)), _) => Ok(Judged::Ping(sbrp::encode_pong(bytes))),
        (Ok(Frame::Pong(_)), _) => Ok(Judged::Pong),
        (Ok(Frame::Control { code, .. }), _) => Err(Error::control(code)),
        (Ok(_), _) => {
            let message = "a frame came that does not belong to the handshake";
            Err(Error::sbrp(SbrpErrorCode::HandshakeFailed, message))
        }
        (Err(error), _) => Err(Error::sbrp(SbrpErrorCode::HandshakeFailed, format!("undecodable frame: {error}"))),
    }
}
