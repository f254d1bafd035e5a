//! A relay, and endpoints that speak to it over real sockets, frame by frame.
#![allow(dead_code, reason = "every suite uses its part")]

mod http;
pub(crate) mod issuer;
pub(crate) mod process;
mod token;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use sideband_protocol::sbrp::{
    ControlCode, Frame, FrameType, HEADER_LEN, SessionId, Signal, SignalReason, encode_signal, write_header,
};
use sideband_relay::{Relay, RelayBuilder, RunningRelay};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

pub(crate) use http::{Reply, request, send, send_raw, try_request, until_draining};
pub(crate) use token::{Claims, test_keys};

/// How long a test waits for what must come. Only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One of the contract's files of known answers.
pub(crate) fn vectors(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A frame's header and payload.
pub(crate) fn frame(frame_type: u8, session: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADER_LEN];
    write_header(&mut frame, FrameType::Data, u32::try_from(payload.len()).unwrap(), session);
    frame[0] = frame_type;
    frame.extend_from_slice(payload);
    frame
}

/// A Data frame whose payload says `text`.
pub(crate) fn data(session: SessionId, text: &str) -> Vec<u8> {
    frame(0x03, session.get(), text.as_bytes())
}

pub(crate) fn ready(session: SessionId) -> Vec<u8> {
    encode_signal(session, Signal::Ready, SignalReason::None)
}

pub(crate) fn close(session: SessionId, reason: SignalReason) -> Vec<u8> {
    encode_signal(session, Signal::Close, reason)
}

/// A relay that also trusts the tokens that tests make up.
pub(crate) struct TestRelay {
    pub(crate) relay: RunningRelay,
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(RelayBuilder) -> RelayBuilder) -> Self {
        let builder = Relay::builder().dev().trust_keys(test_keys());
        Self { relay: change(builder).start().await.expect("the relay starts") }
    }

    pub(crate) fn authority(&self) -> &str {
        self.relay.api_url().strip_prefix("http://").unwrap()
    }

    /// Claims of a resumable daemon.
    pub(crate) fn daemon_claims(&self) -> Claims {
        Claims::daemon(self.relay.api_url(), self.relay.daemon_id())
    }

    /// Claims of a client with that session.
    pub(crate) fn client_claims(&self, session: SessionId) -> Claims {
        Claims::client(self.relay.api_url(), self.relay.daemon_id(), session)
    }

    /// Opens a WebSocket with a token in the query; the HTTP status if that is refused.
    pub(crate) async fn open(&self, token: &str) -> Result<Peer, u16> {
        open_url(self.relay.relay_url(), token).await
    }

    /// The relay's daemon, connected.
    pub(crate) async fn daemon(&self) -> Peer {
        self.open(&self.daemon_claims().sign()).await.expect("the daemon is let in")
    }

    /// A client of it with a session of that number, connected.
    pub(crate) async fn client(&self, session: u64) -> Client {
        let session = SessionId::new(session).unwrap();
        let peer = self.open(&self.client_claims(session).sign()).await.expect("the client is let in");
        Client { peer, session }
    }

    /// A daemon and a client that have exchanged a frame each way.
    pub(crate) async fn pair(&self) -> (Peer, Client) {
        let mut daemon = self.daemon().await;
        let mut client = self.client(7).await;
        exchange(&mut daemon, &mut client).await;
        (daemon, client)
    }

    /// Cuts the daemon's connection without a close frame.
    pub(crate) async fn cut_daemon(&self) {
        assert!(self.relay.disconnect_daemon(self.relay.daemon_id()).await, "the daemon was connected");
    }

    pub(crate) async fn post(&self, path: &str, bearer: Option<&str>, body: &str) -> Reply {
        request(self.authority(), "POST", path, bearer, body).await
    }

    /// The status of an answer, if there is one.
    pub(crate) async fn try_get(&self, path: &str) -> Option<u16> {
        http::try_request(self.authority(), "GET", path, None, "").await.map(|reply| reply.status)
    }

    /// Waits until it is so.
    pub(crate) async fn eventually(&self, is_so: impl AsyncFn() -> bool) {
        let start = std::time::Instant::now();
        while !is_so().await {
            assert!(start.elapsed() < PATIENCE, "it is not so in time");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str, bearer: Option<&str>) -> Reply {
        request(self.authority(), "GET", path, bearer, "").await
    }
}

/// Opens a WebSocket with a token in the query; the HTTP status if that is refused.
pub(crate) async fn open_url(relay_url: &str, token: &str) -> Result<Peer, u16> {
    let url = format!("{relay_url}/?token={token}");
    open(relay_url.strip_prefix("ws://").unwrap(), url.into_client_request().unwrap()).await
}

/// Opens a WebSocket by hand-made request.
pub(crate) async fn open(
    authority: &str,
    request: tokio_tungstenite::tungstenite::handshake::client::Request,
) -> Result<Peer, u16> {
    let tcp = TcpStream::connect(authority).await.expect("the relay listens");
    tcp.set_nodelay(true).unwrap();
    match client_async(request, tcp).await {
        Ok((socket, _)) => Ok(Peer { socket }),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("the opening failed: {error}"),
    }
}

/// A client with a session token, connected.
pub(crate) async fn session_client(relay_url: &str, token: &str) -> Client {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let session = SessionId::from_base64url(claims["sid"].as_str().unwrap()).unwrap();
    Client { peer: open_url(relay_url, token).await.expect("the client is let in"), session }
}

/// The value of one metric; 0 if it is not there yet.
pub(crate) async fn metric(relay: &TestRelay, name: &str) -> f64 {
    http_metric(relay.authority(), name).await
}

/// The same of any relay that shows its metrics to everybody.
pub(crate) async fn http_metric(authority: &str, name: &str) -> f64 {
    let Some(reply) = try_request(authority, "GET", "/metrics", None, "").await else {
        return f64::NAN;
    };
    let line = reply.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// How often a limit was reached.
pub(crate) async fn hit(relay: &TestRelay, limit: &str) -> f64 {
    metric(relay, &format!("sideband_relay_limits_hit_total{{limit=\"{limit}\"}}")).await
}

/// A frame each way, which also shows that nothing else is on the way.
pub(crate) async fn exchange(daemon: &mut Peer, client: &mut Client) {
    let session = client.session;
    client.peer.send(data(session, "to the daemon")).await;
    assert_eq!(daemon.frame().await, data(session, "to the daemon"));
    daemon.send(data(session, "to the client")).await;
    assert_eq!(client.peer.frame().await, data(session, "to the client"));
}

/// A client's connection.
pub(crate) struct Client {
    pub(crate) peer: Peer,
    pub(crate) session: SessionId,
}

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.peer.send(data(self.session, text)).await;
    }

    /// Expects a Control of that code under the client's session.
    pub(crate) async fn expect(&mut self, code: ControlCode) {
        self.peer.expect_control(code, self.session.get()).await;
    }

    /// Expects a terminal Control and the close behind it.
    pub(crate) async fn expect_end(&mut self, code: ControlCode) {
        self.expect(code).await;
        self.peer.expect_close(1008).await;
    }
}

/// One end of a WebSocket.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Peer {
    pub(crate) async fn send(&mut self, frame: impl Into<Bytes>) {
        self.message(Message::Binary(frame.into())).await;
    }

    pub(crate) async fn message(&mut self, message: Message) {
        self.socket.send(message).await.expect("the connection takes it");
    }

    async fn next(&mut self) -> Option<Result<Message, Error>> {
        let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        next.expect("something comes from the relay in time")
    }

    /// The next binary message.
    pub(crate) async fn frame(&mut self) -> Bytes {
        loop {
            match self.next().await {
                Some(Ok(Message::Binary(frame))) => return frame,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => (),
                other => panic!("a frame was expected, and there was {other:?}"),
            }
        }
    }

    pub(crate) async fn expect_control(&mut self, code: ControlCode, session: u64) {
        let frame = self.frame().await;
        match Frame::decode(&frame).expect("the relay sends whole frames") {
            Frame::Control { session: got, code: got_code, .. } => {
                assert_eq!((got_code, got), (code, session), "code and session of the Control");
            }
            other => panic!("a Control {code} was expected, and there was {other:?}"),
        }
    }

    /// Expects the close frame and then the end of the connection.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        match self.next().await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), code, "the close code"),
            other => panic!("a close with {code} was expected, and there was {other:?}"),
        }
        self.expect_end_of_stream().await;
    }

    /// Expects a connection that ends without a close frame.
    pub(crate) async fn expect_cut(&mut self) {
        match self.next().await {
            None | Some(Err(_)) => (),
            Some(Ok(message)) => panic!("the end was expected, and there was {message:?}"),
        }
    }

    /// One more message: the code if it is a close.
    pub(crate) async fn message_or_close(&mut self) -> Option<u16> {
        match self.next().await {
            Some(Ok(Message::Close(frame))) => frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => None,
            other => panic!("a close was expected, and there was {other:?}"),
        }
    }

    /// Expects a close with that code, whatever comes in front of it.
    pub(crate) async fn expect_eventual_close(&mut self, code: u16) {
        loop {
            if let Some(got) = self.message_or_close().await {
                return assert_eq!(got, code, "the close code");
            }
        }
    }

    async fn expect_end_of_stream(&mut self) {
        while let Some(rest) = self.next().await {
            if rest.is_err() {
                return;
            }
        }
    }

    /// A Ping that comes back shows that everything sent before was worked off, and that the
    /// connection lives.
    pub(crate) async fn expect_alive(&mut self) {
        self.send(frame(0x10, 0, b"alive?")).await;
        assert_eq!(self.frame().await, frame(0x11, 0, b"alive?"));
    }
}
