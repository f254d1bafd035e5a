//! A relay that does what a test says, and whoever a test wants behind it: real sockets, real handshakes, no manners.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use sideband::client::{self, ClientOptions, RelayEndpoint};
use sideband::daemon::{self, DaemonHandle, DaemonOptions, RelayPresence};
use sideband::dial::{Dialer, DialerOptions};
use sideband::error::Error;
use sideband::host::{DaemonEvent, Gate, Host, Id, PeerEvent};
use sideband::peer::PeerHandle;
use sideband::peer::policy::RetryPolicy;
use sideband::protocol::handshake::{self, ClientHandshake};
use sideband::protocol::identity::IdentityKeyPair;
use sideband::protocol::rpc;
use sideband::protocol::sbp::{self, FrameId, Hello, Subject};
use sideband::protocol::sbrp::{self, ControlCode, Frame, HEADER_LEN, SessionId};
use sideband::protocol::session::{Opener, SEALED_PREFIX, Sealer};
use sideband::random;
use sideband::sdk::MemoryStore;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

/// The daemon's id in every token and handshake here.
pub const DAEMON: &str = "d_hostile";

/// Longer than anything here takes, silence included; a test that waits for it has failed.
pub const LONG: Duration = Duration::from_secs(120);

/// The session of every client here.
pub fn session() -> SessionId {
    SessionId::new(7).expect("not 0")
}

fn token(claims: &serde_json::Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Listens where a relay would.
pub struct HostileRelay {
    listener: TcpListener,
}

impl HostileRelay {
    pub async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port") }
    }

    fn url(&self, claims: &serde_json::Value) -> Url {
        let address = self.listener.local_addr().expect("bound");
        format!("ws://{address}/?token={}", token(claims)).parse().expect("a URL")
    }

    /// The next WebSocket.
    pub async fn accept(&self) -> Wire {
        let (stream, _) = within(self.listener.accept()).await.expect("a connection");
        stream.set_nodelay(true).expect("it is open");
        Wire { socket: tokio_tungstenite::accept_async(stream).await.expect("an upgrade") }
    }

    /// What a control plane would give for a session: this relay's URL, and a token.
    pub fn ticket(&self) -> (Url, String) {
        let mut url = self.url(&json!({ "sid": session().to_base64url() }));
        let token = url.query().expect("a token")["token=".len()..].to_owned();
        url.set_query(None);
        (url, token)
    }

    /// A client's options: one quick retry after another, and a store of its own.
    pub fn client_options(&self) -> ClientOptions {
        let source = RelayEndpoint {
            url: self.url(&json!({ "sid": session().to_base64url() })),
            session_token: None,
            daemon_id: DAEMON.into(),
        };
        let mut options = ClientOptions::new(Arc::new(source), Arc::new(MemoryStore::default()), dialer());
        options.retry = RetryPolicy { initial_delay: Duration::from_millis(20), ..options.retry };
        options
    }

    /// A client in an active session, and the daemon's end of it.
    pub async fn active_client(&self) -> (PeerHandle, Ear, Wire, Session) {
        let (peer, mut ear) = client(self.client_options());
        let mut wire = self.accept().await;
        let session = wire.be_daemon().await;
        ear.until("state Active").await;
        (peer, ear, wire, session)
    }

    pub fn daemon_options(&self, resumable: bool) -> DaemonOptions {
        let scopes: &[&str] = if resumable { &["session:resume"] } else { &[] };
        let url = self.url(&json!({ "did": DAEMON, "scp": scopes }));
        let identity = IdentityKeyPair::from_seed(&random::secret());
        DaemonOptions::new(Arc::new(RelayPresence { url, presence_token: None }), identity, dialer())
    }

    /// A daemon and its link.
    pub async fn linked_daemon(&self, resumable: bool) -> (DaemonHandle, Ear, Wire) {
        let (daemon, mut ear) = daemon(self.daemon_options(resumable));
        let wire = self.accept().await;
        ear.until("listening").await;
        (daemon, ear, wire)
    }
}

pub fn client(options: ClientOptions) -> (PeerHandle, Ear) {
    let (host, ear) = Ear::new();
    (client::connect(&tokio::runtime::Handle::current(), options, host), ear)
}

pub fn daemon(options: DaemonOptions) -> (DaemonHandle, Ear) {
    let (host, ear) = Ear::new();
    (daemon::listen(&tokio::runtime::Handle::current(), options, host), ear)
}

fn dialer() -> Dialer {
    Dialer::new(DialerOptions::bare()).expect("a dialer")
}

pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("long before the time is over")
}

/// What came over a wire.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Frame(Vec<u8>),
    /// A close frame with this code.
    Closed(Option<u16>),
    /// The end without one.
    Cut,
}

/// The relay's end of a WebSocket.
pub struct Wire {
    pub socket: WebSocketStream<TcpStream>,
}

impl Wire {
    pub async fn send(&mut self, frame: Vec<u8>) {
        self.send_message(Message::binary(frame)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.expect("the endpoint listens");
    }

    /// Writes several frames at once, so that they are read at once.
    pub async fn send_together(&mut self, frames: impl IntoIterator<Item = Vec<u8>>) {
        for frame in frames {
            self.socket.feed(Message::binary(frame)).await.expect("the endpoint listens");
        }
        self.socket.flush().await.expect("the endpoint listens");
    }

    pub async fn control(&mut self, session: u64, code: ControlCode) {
        self.send(sbrp::encode_control(session, code, "of no interest")).await;
    }

    pub async fn hear(&mut self) -> Heard {
        within(async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Binary(frame))) => return Heard::Frame(frame.into()),
                    Some(Ok(Message::Close(close))) => return Heard::Closed(close.map(|close| close.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Heard::Cut,
                }
            }
        })
        .await
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Vec<u8> {
        match self.hear().await {
            Heard::Frame(frame) => frame,
            other => panic!("a frame, not {other:?}"),
        }
    }

    /// Reads up to the end, and gives the close code if there was one.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.hear().await {
                Heard::Frame(_) => {}
                Heard::Closed(code) => return code,
                Heard::Cut => return None,
            }
        }
    }

    /// Plays a daemon up to an active session.
    pub async fn be_daemon(&mut self) -> Session {
        let mut session = self.accept_handshake(&IdentityKeyPair::from_seed(&random::secret())).await;
        self.send(session.hello("daemon")).await;
        let hello = session.open(self.frame().await);
        assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })));
        session
    }

    /// Plays a daemon up to the keys.
    pub async fn accept_handshake(&mut self, identity: &IdentityKeyPair) -> Session {
        let (accept, session) = self.accept_frame(identity).await;
        self.send(accept).await;
        session
    }

    /// Reads a client's handshake; gives the answer to it, and the session that comes of it.
    pub async fn accept_frame(&mut self, identity: &IdentityKeyPair) -> (Vec<u8>, Session) {
        let init = self.frame().await;
        let Ok(Frame::HandshakeInit { session, payload }) = Frame::decode(&init) else { panic!("a handshake") };
        let accepted = handshake::accept(identity, DAEMON, random::secret(), payload);
        let (accept, keys) = accepted.expect("a good ephemeral key");
        let (sealer, opener) = keys.into_daemon();
        (sbrp::encode_handshake_accept(session, &accept), Session { id: session, sealer, opener })
    }

    /// Plays a client up to the keys.
    pub async fn handshake(&mut self, id: SessionId) -> Session {
        let client = ClientHandshake::start(random::secret());
        self.send(sbrp::encode_handshake_init(id, &client.init_payload())).await;
        let accept = self.frame().await;
        assert!(matches!(Frame::decode(&accept), Ok(Frame::HandshakeAccept { session, .. }) if session == id));
        let verified = client.verify(DAEMON, &accept[HEADER_LEN..], None).expect("a good signature");
        let (sealer, opener) = verified.into_keys().expect("good keys").into_client();
        Session { id, sealer, opener }
    }

    /// Plays a client up to an active session.
    pub async fn be_client(&mut self, id: SessionId) -> Session {
        let mut session = self.handshake(id).await;
        let hello = session.open(self.frame().await);
        assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })));
        self.send(session.hello("client")).await;
        session
    }
}

/// The remote end of a session, played by the test.
pub struct Session {
    pub id: SessionId,
    pub sealer: Sealer,
    pub opener: Opener,
}

impl Session {
    /// A Data frame with what `write` appends.
    pub fn seal(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = vec![0; SEALED_PREFIX];
        write(&mut frame);
        self.sealer.seal(self.id, &mut frame).expect("it fits");
        frame
    }

    pub fn sbp(&mut self, frame: &sbp::Frame<'_>) -> Vec<u8> {
        self.seal(|out| frame.encode(out))
    }

    pub fn hello(&mut self, peer_id: &str) -> Vec<u8> {
        let data = Hello::new(peer_id).encode();
        self.sbp(&sbp::Frame::Handshake { id: FrameId([1; 16]), data: &data })
    }

    pub fn ping(&mut self) -> Vec<u8> {
        self.sbp(&sbp::Frame::Ping { id: FrameId([2; 16]) })
    }

    pub fn event(&mut self, name: &str) -> Vec<u8> {
        self.seal(|out| {
            sbp::write_message_head(out, FrameId([3; 16]), Subject::Event);
            rpc::write_notification(out, name, None);
        })
    }

    pub fn request(&mut self, method: &str, cid: u8) -> Vec<u8> {
        self.seal(|out| {
            sbp::write_message_head(out, FrameId([cid; 16]), Subject::Rpc);
            rpc::write_request(out, method, None, FrameId([cid; 16]));
        })
    }

    /// The plaintext of a Data frame.
    pub fn open(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        match Frame::decode(&message) {
            Ok(Frame::Data { session, .. }) if session == self.id => {}
            other => panic!("a Data frame of this session, not {other:?}"),
        }
        self.opener.open(&mut message[HEADER_LEN..]).expect("it opens").plaintext.to_vec()
    }

    /// The name of the event in a Data frame.
    pub fn open_event(&mut self, message: Vec<u8>) -> String {
        let plaintext = self.open(message);
        match sbp::Frame::decode(&plaintext) {
            Ok(sbp::Frame::Message { subject, data, .. }) => match rpc::Envelope::decode(subject, data) {
                Ok(rpc::Envelope::Notification { name, .. }) => name.into_owned(),
                other => panic!("an event, not {other:?}"),
            },
            other => panic!("an event, not {other:?}"),
        }
    }
}

/// Writes down what a host is told, and keeps the peers it is given.
pub struct Recorder {
    told: mpsc::UnboundedSender<String>,
    peers: Mutex<Vec<PeerHandle>>,
    /// The beginning of the line that is a panic instead, once.
    fault: Mutex<Option<&'static str>>,
    gate: Gate,
}

impl Recorder {
    fn tell(&self, line: impl Into<String>) {
        let line = line.into();
        let fault = self.fault.lock().expect("no panic while held").take_if(|fault| line.starts_with(*fault));
        assert!(fault.is_none(), "as if by a fault of the host");
        // A test that is over needs no word.
        let _ = self.told.send(line);
    }
}

fn describe(error: &Error) -> String {
    match (error, error.cause()) {
        (_, Some(cause)) => format!("{error} <- {}", describe(cause)),
        (Error::Peer { code, .. }, None) => format!("{}: {error}", code.as_str()),
        (Error::Sbrp { code, .. }, None) => format!("{}: {error}", code.as_str()),
        (error, None) => error.to_string(),
    }
}

impl Host for Recorder {
    fn peer(&self, _peer: Id, event: PeerEvent<'_>) {
        self.tell(match event {
            PeerEvent::State { state, error: None, .. } => format!("state {state:?}"),
            PeerEvent::State { state, error: Some(error), .. } => format!("state {state:?} {}", describe(error)),
            PeerEvent::Result { call, result } => format!("result {call} {}", result.unwrap_or("nothing")),
            PeerEvent::Failure { call, error } => format!("failure {call} {}", describe(error)),
            PeerEvent::Request { method, .. } => format!("request {method}"),
            PeerEvent::Event { name, .. } => format!("event {name}"),
            PeerEvent::Unhandled { error } => format!("unhandled {}", describe(error)),
            PeerEvent::Gone => "gone".to_owned(),
        });
    }

    fn daemon(&self, _daemon: Id, event: DaemonEvent<'_>) {
        self.tell(match event {
            DaemonEvent::Listening { daemon_id, .. } => format!("listening {daemon_id}"),
            DaemonEvent::Failed { error } => format!("failed {}", describe(error)),
            DaemonEvent::Connection { peer, remote } => {
                self.peers.lock().expect("no panic while held").push(peer);
                format!("connection {remote}")
            }
            DaemonEvent::LinkUp => "link up".to_owned(),
            DaemonEvent::LinkDown { error } => format!("link down {}", describe(error)),
            DaemonEvent::Unhandled { error } => format!("unhandled {}", describe(error)),
            DaemonEvent::Gone => "daemon gone".to_owned(),
        });
    }

    fn flush(&self) {}

    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// Hears what a host is told.
pub struct Ear {
    hears: mpsc::UnboundedReceiver<String>,
    host: Arc<Recorder>,
}

impl Ear {
    pub fn new() -> (Arc<Recorder>, Self) {
        let (told, hears) = mpsc::unbounded_channel();
        let host = Arc::new(Recorder { told, peers: Mutex::default(), fault: Mutex::default(), gate: Gate::default() });
        (Arc::clone(&host), Self { hears, host })
    }

    pub async fn next(&mut self) -> String {
        within(self.hears.recv()).await.expect("the host lives")
    }

    /// The next line that begins like this; others are passed over.
    pub async fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.next().await;
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Everything up to the line that begins like this, which comes last.
    pub async fn up_to(&mut self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.next().await);
            if lines.last().is_some_and(|line| line.starts_with(beginning)) {
                return lines;
            }
        }
    }

    /// The peers that came in so far.
    pub fn peers(&self) -> Vec<PeerHandle> {
        self.host.peers.lock().expect("no panic while held").clone()
    }

    /// Makes the host panic where it would be told this.
    pub fn panic_at(&self, beginning: &'static str) {
        *self.host.fault.lock().expect("no panic while held") = Some(beginning);
    }

    pub fn gate(&self) -> &Gate {
        &self.host.gate
    }
}
