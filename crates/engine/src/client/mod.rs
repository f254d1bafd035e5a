//! A client: one WebSocket, one session with one daemon, made anew after every loss as the retry policy says.

pub(crate) mod attempt;
mod sources;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use url::Url;

pub(crate) use sources::token_in_query;
pub use sources::{Account, Direct, QuickConnect, RelayEndpoint};

use crate::dial::Dialer;
use crate::error::{CallbackError, Error, PeerErrorCode};
use crate::host::{Host, Id, PeerEvent, PeerState};
use crate::link::{self, Link, Loss, attend};
use crate::peer::policy::{PeerPolicy, RetryPolicy};
use crate::peer::solo::Solo;
use crate::peer::{Inbox, PeerHandle};
use crate::random;
use crate::secret::Secret;
use crate::session::Introduction;
use crate::trust::{BoxFuture, IdentityKeyStore, TrustPolicy};

/// The time that both handshakes have together (section 2, step 5).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that lived this long has proved itself: the next delay starts from the beginning.
pub(crate) const PROVEN_AFTER: Duration = Duration::from_secs(5);

/// What one attempt needs.
pub enum Ticket {
    /// An encrypted session through a relay.
    Session(SessionTicket),
    /// Plain SBP over a WebSocket of its own (section 3); TLS is the URL's business.
    Direct(Url),
}

/// What opens one encrypted session: never used twice.
pub struct SessionTicket {
    /// The relay's WebSocket URL; its query is kept.
    pub relay_url: Url,
    /// The session token.
    pub token: Secret,
    /// The daemon that the session is with, as it enters the handshake's hashes.
    pub daemon_id: String,
}

/// Where session tokens come from.
pub trait SessionSource: Send + Sync + 'static {
    /// A fresh ticket; asked before every attempt.
    fn ticket(&self) -> BoxFuture<'_, Result<Ticket, Error>>;

    /// Whether a lost session may be followed by another one.
    fn is_reusable(&self) -> bool;
}

/// Gives an access token or a session token, freshly for every attempt.
pub trait TokenSource: Send + Sync + 'static {
    /// The token.
    fn token(&self) -> BoxFuture<'_, Result<Secret, CallbackError>>;
}

impl TokenSource for Secret {
    fn token(&self) -> BoxFuture<'_, Result<Secret, CallbackError>> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}

/// Everything a client needs.
pub struct ClientOptions {
    /// Where session tokens come from.
    pub source: Arc<dyn SessionSource>,
    /// Where pinned identity keys live.
    pub store: Arc<dyn IdentityKeyStore>,
    /// Whom to trust.
    pub trust: TrustPolicy,
    /// The limits while there is no connection.
    pub policy: PeerPolicy,
    /// How often to try again.
    pub retry: RetryPolicy,
    /// The time that both handshakes have together.
    pub handshake_timeout: Duration,
    /// Opens the WebSocket.
    pub dialer: Dialer,
    /// What this side says of itself.
    pub introduction: Introduction,
}

impl ClientOptions {
    /// The defaults of the JavaScript contract, section 3, with a random peer id.
    pub fn new(source: Arc<dyn SessionSource>, store: Arc<dyn IdentityKeyStore>, dialer: Dialer) -> Self {
        Self {
            source,
            store,
            trust: TrustPolicy::Auto,
            policy: PeerPolicy::default(),
            retry: RetryPolicy::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            dialer,
            introduction: Introduction::default(),
        }
    }
}

/// Starts a client on the given runtime. It lives until it is closed, until every handle is gone, or until its end.
pub fn connect(runtime: &tokio::runtime::Handle, options: ClientOptions, host: Arc<dyn Host>) -> PeerHandle {
    let id = Id::next();
    let (mailbox, inbox) = Inbox::new();
    let endpoint = Solo::new(id, options.policy, Arc::clone(&host));
    let mut client = Client { id, options, host: Arc::clone(&host), inbox, endpoint };
    runtime.spawn(async move {
        let life = AssertUnwindSafe(client.connect_and_reconnect()).catch_unwind().await;
        let end = life.unwrap_or_else(|_| Some(Error::Internal("the client's task panicked".into())));
        client.enter(PeerState::Closed, end.as_ref());
        client.endpoint.close();
        // From here on the handle refuses everything.
        drop(client);
        host.peer(id, PeerEvent::Gone);
        host.flush();
    });
    PeerHandle::new(id, mailbox)
}

struct Client {
    id: Id,
    options: ClientOptions,
    host: Arc<dyn Host>,
    inbox: Inbox,
    endpoint: Solo,
}

/// Retries since the last success, and how often the delay has doubled.
#[derive(Default)]
struct Retries {
    attempts: u32,
    doublings: u32,
}

impl Client {
    /// Lives from attempt to attempt; gives the error that ended it, if it was not its owner.
    async fn connect_and_reconnect(&mut self) -> Option<Error> {
        let mut retries = Retries::default();
        loop {
            let error = self.connect_once(&mut retries).await?;
            if let Some(end) = self.terminal(&error, &retries) {
                return Some(end);
            }
            self.enter(PeerState::Reconnecting, Some(&error));
            let delay = self.options.retry.delay(retries.doublings, random::unit());
            retries.attempts += 1;
            retries.doublings += 1;
            attend(&mut self.endpoint, &mut self.inbox, &*self.host, tokio::time::sleep(delay)).await?;
        }
    }

    /// One attempt and, where it succeeds, the life of its connection. `None`: the owner asked for the end.
    async fn connect_once(&mut self, retries: &mut Retries) -> Option<Error> {
        self.enter(PeerState::Connecting, None);
        let options = &self.options;
        let dialing = async {
            let ticket = options.source.ticket().await?;
            let transport = attempt::dial(options, &ticket).await?;
            Ok::<_, Error>((ticket, transport))
        };
        let (ticket, transport) = match attend(&mut self.endpoint, &mut self.inbox, &*self.host, dialing).await? {
            Ok(dialed) => dialed,
            Err(error) => return Some(error),
        };
        self.enter(PeerState::Negotiating, None);
        let negotiating = attempt::negotiate(&self.options, ticket, transport);
        let connected = match attend(&mut self.endpoint, &mut self.inbox, &*self.host, negotiating).await? {
            Ok(connected) => connected,
            Err(error) => return Some(error),
        };
        retries.attempts = 0;
        let since = link::now();
        self.endpoint.start(connected.channel, connected.remote);
        let link = Link::new(connected.transport, &mut self.endpoint, &mut self.inbox, Arc::clone(&self.host));
        let loss = link.drive().await;
        if link::now().duration_since(since) >= PROVEN_AFTER {
            retries.doublings = 0;
        }
        self.endpoint.stop();
        match loss {
            Loss::Closed => None,
            loss => Some(loss.into_error()),
        }
    }

    /// What ends the client for good after this error, if anything does.
    fn terminal(&self, error: &Error, retries: &Retries) -> Option<Error> {
        let fatal = error.is_fatal();
        if fatal && matches!(error, Error::Api { .. }) {
            return Some(error.clone());
        }
        if fatal || !self.options.source.is_reusable() {
            let message = format!("the connection ended for good: {error}");
            return Some(Error::peer_because(PeerErrorCode::PeerClosed, message, error.clone()));
        }
        if !self.options.retry.allows(retries.attempts) {
            let message = match retries.attempts {
                0 => format!("the connection failed: {error}"),
                tried => format!("gave up after {tried} retries: {error}"),
            };
            return Some(Error::peer_because(PeerErrorCode::PeerClosed, message, error.clone()));
        }
        None
    }

    fn enter(&self, state: PeerState, error: Option<&Error>) {
        self.host.peer(self.id, PeerEvent::State { state, remote: None, error });
        self.host.flush();
    }
}
