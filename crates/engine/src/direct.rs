//! A server that speaks plain SBP over a WebSocket per client (section 3): no relay, no encryption but TLS in front of it.
//! For programs on one machine or in one trusted network.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use url::Url;

use crate::client::HANDSHAKE_TIMEOUT;
use crate::client::attempt::sbp_handshake;
use crate::daemon::DaemonHandle;
use crate::dial::websocket_config;
use crate::error::Error;
use crate::host::{DaemonEvent, Host, Id, PeerEvent, PeerState};
use crate::link::{Link, Loss};
use crate::peer::policy::PeerPolicy;
use crate::peer::solo::Solo;
use crate::peer::{Command, Inbox, Mailbox, PeerHandle};
use crate::session::{Channel, Introduction};
use crate::transport::Transport;

/// Connections of one server, those in their handshake included.
const MAX_CONNECTIONS: usize = 10_000;

/// The pause after an accept that failed, out of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything a direct server needs.
#[derive(Clone, Debug)]
pub struct DirectOptions {
    /// The host name or address to bind.
    pub host: String,
    /// The port to bind; 0 takes any.
    pub port: u16,
    /// The limits of every peer.
    pub policy: PeerPolicy,
    /// The time that a client has for the WebSocket upgrade and the SBP handshake together.
    pub handshake_timeout: Duration,
    /// What this side says of itself.
    pub introduction: Introduction,
}

impl DirectOptions {
    /// The defaults of the JavaScript contract, with a random peer id.
    pub fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            policy: PeerPolicy::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            introduction: Introduction::default(),
        }
    }
}

/// Starts a server on the given runtime. `DaemonEvent::Listening` tells its URL, `Failed` why the port cannot be bound.
pub fn listen(runtime: &tokio::runtime::Handle, options: DirectOptions, host: Arc<dyn Host>) -> DaemonHandle {
    let id = Id::next();
    let (mailbox, inbox) = Inbox::new();
    let shared = Arc::new(Shared { id, options, host, open: Mutex::default(), closing: watch::Sender::new(false) });
    runtime.spawn(async move {
        if AssertUnwindSafe(serve(&shared, inbox)).catch_unwind().await.is_err() {
            let error = Error::Internal("the server's task panicked".into());
            shared.tell(DaemonEvent::Failed { error: &error });
        }
        shared.tell(DaemonEvent::Gone);
    });
    DaemonHandle::new(id, mailbox)
}

struct Shared {
    id: Id,
    options: DirectOptions,
    host: Arc<dyn Host>,
    /// The connections whose handshake is done, so that closing the server closes them. Bounded by [`MAX_CONNECTIONS`].
    open: Mutex<HashMap<Id, Mailbox>>,
    closing: watch::Sender<bool>,
}

impl Shared {
    fn tell(&self, event: DaemonEvent<'_>) {
        self.host.daemon(self.id, event);
        self.host.flush();
    }

    /// Notes a connection; false when the server is closing and takes no more.
    fn enlist(&self, peer: Id, mailbox: Mailbox) -> bool {
        let mut open = self.open();
        let closing = *self.closing.borrow();
        if !closing {
            open.insert(peer, mailbox);
        }
        !closing
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Id, Mailbox>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(shared: &Arc<Shared>, mut inbox: Inbox) {
    let options = &shared.options;
    let bound = async {
        let listener = TcpListener::bind((options.host.as_str(), options.port)).await?;
        listener.local_addr().map(|address| (listener, address))
    };
    let (listener, address) = match bound.await {
        Ok(bound) => bound,
        Err(error) => {
            let message = format!("{}:{}: bind: {error}", options.host, options.port);
            shared.tell(DaemonEvent::Failed { error: &Error::Network { message, kind: Some(error.kind()) } });
            return;
        }
    };
    shared.tell(DaemonEvent::Listening { daemon_id: "", url: &format!("ws://{address}") });

    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let closed = std::future::poll_fn(|cx| {
        loop {
            match std::task::ready!(inbox.poll(cx)) {
                Some((_, Command::Close)) | None => return std::task::Poll::Ready(()),
                Some(_) => {}
            }
        }
    });
    tokio::select! {
        () = closed => {}
        () = accept_for_ever(shared, &listener, address, &places) => {}
    }
    drop(listener);
    {
        let open = shared.open();
        shared.closing.send_replace(true);
        for (peer, mailbox) in open.iter() {
            // A connection that ended meanwhile needs no word.
            let _ = mailbox.send(*peer, Command::Close);
        }
    }
    // Every connection holds a place until it is gone; each is bounded by its handshake's or its closing time.
    let everyone = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
    drop(places.acquire_many(everyone).await);
}

async fn accept_for_ever(shared: &Arc<Shared>, listener: &TcpListener, address: SocketAddr, places: &Arc<Semaphore>) {
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                let error = Error::Network { message: format!("{address}: accept: {error}"), kind: Some(error.kind()) };
                shared.tell(DaemonEvent::Unhandled { error: &error });
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let _place = place;
            connection(&shared, stream, address).await;
        });
    }
}

/// The life of one connection.
async fn connection(shared: &Shared, stream: TcpStream, address: SocketAddr) {
    // Without it small messages would wait for an acknowledgement; with it failing they do, and nothing else.
    let _ = stream.set_nodelay(true);
    let opening = tokio::time::timeout(shared.options.handshake_timeout, open(shared, stream, address));
    let mut closing = shared.closing.subscribe();
    let opened = tokio::select! {
        opened = opening => opened,
        _ = closing.wait_for(|closing| *closing) => return,
    };
    // Whoever does not speak the protocol, or not in time, was never a peer.
    let Ok(Some((transport, remote))) = opened else { return };
    let id = Id::next();
    let (mailbox, mut inbox) = Inbox::new();
    if !shared.enlist(id, mailbox.clone()) {
        return;
    }
    let peer = PeerHandle::new(id, mailbox);
    shared.tell(DaemonEvent::Connection { peer, remote: &remote });
    let mut solo = Solo::new(id, shared.options.policy, Arc::clone(&shared.host));
    solo.start(Channel::Bare, remote);
    let link = Link::new(transport, &mut solo, &mut inbox, Arc::clone(&shared.host));
    let loss = AssertUnwindSafe(link.drive()).catch_unwind().await;
    let error = match loss {
        Ok(Loss::Refused(error)) => Some(error),
        Ok(Loss::Closed | Loss::Ended(_)) => None,
        Err(_) => Some(Error::Internal("a connection's task panicked".into())),
    };
    shared.open().remove(&id);
    shared.host.peer(id, PeerEvent::State { state: PeerState::Closed, remote: None, error: error.as_ref() });
    solo.close();
    // From here on the handle refuses everything.
    drop(inbox);
    shared.host.peer(id, PeerEvent::Gone);
    shared.host.flush();
}

async fn open(shared: &Shared, stream: TcpStream, address: SocketAddr) -> Option<(Transport<TcpStream>, String)> {
    // The signature is tungstenite's.
    #[allow(clippy::result_large_err)]
    let check = |request: &Request, response: Response| {
        if address.ip().is_loopback() && !is_local_origin(request) {
            let mut refusal = ErrorResponse::new(Some("this origin may not connect".into()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            return Err(refusal);
        }
        Ok(response)
    };
    let accepting = tokio_tungstenite::accept_hdr_async_with_config(stream, check, Some(websocket_config()));
    let socket: WebSocketStream<TcpStream> = accepting.await.ok()?;
    let mut transport = Transport::new(socket);
    let remote = sbp_handshake(&shared.options.introduction, &mut Channel::Bare, &mut transport).await.ok()?;
    Some((transport, remote))
}

/// A page of the open web must not reach a server that trusts its machine: browsers say where a page comes from, and
/// programs say nothing.
fn is_local_origin(request: &Request) -> bool {
    let Some(origin) = request.headers().get("origin") else { return true };
    let Some(url) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
