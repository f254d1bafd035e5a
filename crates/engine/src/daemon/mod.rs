//! A daemon: one link to the relay, kept for ever, with a session for every client (section 5, "Daemon").

mod endpoint;
mod sessions;
mod sources;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sideband_protocol::identity::IdentityKeyPair;
use url::Url;

pub use sources::{ApiKey, RelayPresence};

use crate::client::{HANDSHAKE_TIMEOUT, PROVEN_AFTER};
use crate::cloud;
use crate::dial::{Dialer, Stream};
use crate::error::{Error, PeerErrorCode};
use crate::host::{DaemonEvent, Host, Id};
use crate::link::{self, Link, Loss, attend};
use crate::peer::policy::PeerPolicy;
use crate::peer::{Command, Inbox, Mailbox};
use crate::random;
use crate::secret::Secret;
use crate::session::Introduction;
use crate::transport::Transport;
use crate::trust::BoxFuture;
use endpoint::{DaemonEndpoint, Settings};

/// Sessions outlive a lost link for so long, where the token allows it.
pub const RESUME_GRACE: Duration = Duration::from_secs(60);

/// Sessions of one daemon: about what its link can serve, and an end to what a hostile relay can make it keep.
pub const MAX_SESSIONS: usize = 10_000;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const DELAY_JITTER: Duration = Duration::from_millis(500);
const AFTER_CLEAN_CLOSE: Duration = Duration::from_secs(2);

/// WebSocket close code: another connection with this daemon's token took over.
const REPLACED: u16 = 4001;
const REPLACED_FIRST_DELAY: Duration = Duration::from_secs(60);
const REPLACED_LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);

/// What opens one link: asked before every attempt.
pub struct Presence {
    /// The relay's WebSocket URL; its query is kept.
    pub relay_url: Url,
    /// The presence token.
    pub token: Secret,
}

/// Where presence tokens come from.
pub trait PresenceSource: Send + Sync + 'static {
    /// A fresh presence token. A fatal error ends the daemon for good.
    fn presence(&self) -> BoxFuture<'_, Result<Presence, Error>>;
}

/// Everything a daemon needs.
pub struct DaemonOptions {
    /// Where presence tokens come from.
    pub source: Arc<dyn PresenceSource>,
    /// The long-lived identity.
    pub identity: IdentityKeyPair,
    /// The daemon's id; where it is given, the token's must be the same.
    pub daemon_id: Option<String>,
    /// The limits of every peer.
    pub policy: PeerPolicy,
    /// The time that a client's handshakes have together.
    pub handshake_timeout: Duration,
    /// How long sessions wait for a lost link, where the token allows it.
    pub resume_grace: Duration,
    /// Sessions at a time, those in their handshake included; one more is refused by Signal close, reason policy.
    pub max_sessions: usize,
    /// Opens the WebSocket.
    pub dialer: Dialer,
    /// What this side says of itself.
    pub introduction: Introduction,
}

impl DaemonOptions {
    /// The defaults of the JavaScript contract, with a random peer id.
    pub fn new(source: Arc<dyn PresenceSource>, identity: IdentityKeyPair, dialer: Dialer) -> Self {
        Self {
            source,
            identity,
            daemon_id: None,
            policy: PeerPolicy::default(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
            resume_grace: RESUME_GRACE,
            max_sessions: MAX_SESSIONS,
            dialer,
            introduction: Introduction::default(),
        }
    }
}

/// A running daemon. Dropping it closes the daemon.
#[derive(Debug)]
pub struct DaemonHandle {
    id: Id,
    mailbox: Mailbox,
}

impl DaemonHandle {
    pub(crate) fn new(id: Id, mailbox: Mailbox) -> Self {
        Self { id, mailbox }
    }

    /// The daemon's number, as in the events about it.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Ends it in order: every client is told, then the link closes. `DaemonEvent::Gone` follows.
    pub fn close(&self) {
        // A daemon that is gone is closed.
        let _ = self.mailbox.send(self.id, Command::Close);
    }
}

impl Drop for DaemonHandle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Starts a daemon on the given runtime. It lives until it is closed or its credentials are refused.
pub fn listen(runtime: &tokio::runtime::Handle, options: DaemonOptions, host: Arc<dyn Host>) -> DaemonHandle {
    let id = Id::next();
    let (mailbox, inbox) = Inbox::new();
    let settings = Settings {
        identity: options.identity,
        introduction: options.introduction,
        policy: options.policy,
        handshake_timeout: options.handshake_timeout,
        resume_grace: options.resume_grace,
        max_sessions: options.max_sessions,
    };
    let mut daemon = Daemon {
        id,
        source: options.source,
        expected: options.daemon_id,
        dialer: options.dialer,
        endpoint: DaemonEndpoint::new(id, settings, Arc::clone(&host), mailbox.clone()),
        host: Arc::clone(&host),
        inbox,
        listening: false,
        backoff: Backoff::default(),
    };
    runtime.spawn(async move {
        let life = AssertUnwindSafe(daemon.connect_and_reconnect()).catch_unwind().await;
        let end = life.unwrap_or_else(|_| Some(Error::Internal("the daemon's task panicked".into())));
        daemon.endpoint.drop_all();
        match end {
            Some(error) if daemon.listening => daemon.tell(DaemonEvent::Unhandled { error: &error }),
            Some(error) => daemon.tell(DaemonEvent::Failed { error: &error }),
            None => {}
        }
        // From here on the handles refuse everything.
        drop(daemon);
        host.daemon(id, DaemonEvent::Gone);
        host.flush();
    });
    DaemonHandle::new(id, mailbox)
}

struct Daemon {
    id: Id,
    source: Arc<dyn PresenceSource>,
    /// The daemon id that the caller gave.
    expected: Option<String>,
    dialer: Dialer,
    endpoint: DaemonEndpoint,
    host: Arc<dyn Host>,
    inbox: Inbox,
    listening: bool,
    backoff: Backoff,
}

/// A link that stands, and what its token said.
struct Opened {
    transport: Transport<Stream>,
    relay_url: Url,
    daemon_id: String,
    resumable: bool,
}

/// How an attempt failed.
enum Failed {
    /// For good.
    Fatal(Error),
    /// For now.
    Passing(Error),
}

impl Daemon {
    /// Lives from link to link; gives the error that ended it, if it was not its owner.
    async fn connect_and_reconnect(&mut self) -> Option<Error> {
        loop {
            let opening = open(&*self.source, &self.dialer, self.expected.as_deref(), self.listening);
            let delay = match attend(&mut self.endpoint, &mut self.inbox, &*self.host, opening).await? {
                Ok(opened) => self.live(opened).await?,
                Err(Failed::Fatal(error)) => return Some(error),
                Err(Failed::Passing(error)) => {
                    self.tell(DaemonEvent::Unhandled { error: &error });
                    self.backoff.after_failure()
                }
            };
            attend(&mut self.endpoint, &mut self.inbox, &*self.host, tokio::time::sleep(delay)).await?;
        }
    }

    /// The life of one link; gives the delay before the next. `None`: the owner asked for the end.
    async fn live(&mut self, opened: Opened) -> Option<Duration> {
        let since = link::now();
        self.endpoint.link_up(&opened.daemon_id);
        if self.listening {
            self.tell(DaemonEvent::LinkUp);
        } else {
            self.listening = true;
            let mut url = opened.relay_url;
            url.set_query(None);
            let listening = DaemonEvent::Listening { daemon_id: &opened.daemon_id, url: url.as_str() };
            self.tell(listening);
        }
        let link = Link::new(opened.transport, &mut self.endpoint, &mut self.inbox, Arc::clone(&self.host));
        let loss = link.drive().await;
        if matches!(loss, Loss::Closed) {
            return None;
        }
        let now = link::now();
        self.endpoint.link_down(now, opened.resumable);
        let (delay, replaced) = self.backoff.after_loss(&loss, since, now);
        let error = if replaced {
            let message = "another connection with this daemon's token took over (code 4001)";
            Error::peer(PeerErrorCode::NotConnected, message)
        } else {
            loss.into_error()
        };
        if replaced {
            self.tell(DaemonEvent::Unhandled { error: &error });
        }
        self.tell(DaemonEvent::LinkDown { error: &error });
        Some(delay)
    }

    fn tell(&self, event: DaemonEvent<'_>) {
        self.host.daemon(self.id, event);
        self.host.flush();
    }
}

/// One attempt to open the link.
async fn open(
    source: &dyn PresenceSource,
    dialer: &Dialer,
    expected: Option<&str>,
    listening: bool,
) -> Result<Opened, Failed> {
    let presence = source
        .presence()
        .await
        .map_err(|error| if error.is_fatal() { Failed::Fatal(error) } else { Failed::Passing(error) })?;
    let token = presence.token.expose();
    let named = cloud::daemon_id_from_token(token);
    if let (Some(expected), Some(named)) = (expected, &named)
        && expected != named
    {
        let message = format!("daemonId is {expected:?}, but the presence token is for {named:?}");
        return Err(Failed::Fatal(Error::Api { status: 400, message, fatal: true }));
    }
    let Some(daemon_id) = expected.map(ToOwned::to_owned).or(named) else {
        let message = "the presence token names no daemon (claim did)".to_owned();
        return Err(Failed::Fatal(Error::Api { status: 400, message, fatal: true }));
    };
    let resumable = cloud::token_has_scope(token, "session:resume");
    match dialer.websocket(&presence.relay_url, &presence.token).await {
        Ok(socket) => {
            Ok(Opened { transport: Transport::new(socket), relay_url: presence.relay_url, daemon_id, resumable })
        }
        Err(error) => {
            // Before the first link a refused token is the caller's to see; later the next token may be better.
            let refused = !listening && matches!(error.status, Some(400 | 401 | 403 | 404));
            let error = Error::from(error);
            Err(if refused || error.is_fatal() { Failed::Fatal(error) } else { Failed::Passing(error) })
        }
    }
}

/// The delays between links.
#[derive(Default)]
struct Backoff {
    failures: u32,
    replacements: u32,
}

impl Backoff {
    fn after_failure(&mut self) -> Duration {
        let delay = doubled(FIRST_DELAY, self.failures, LONGEST_DELAY);
        self.failures += 1;
        delay + DELAY_JITTER.mul_f64(random::unit())
    }

    /// The delay, and whether the link was replaced by another of this daemon's.
    fn after_loss(&mut self, loss: &Loss, since: Instant, now: Instant) -> (Duration, bool) {
        let proven = now.duration_since(since) >= PROVEN_AFTER;
        if proven {
            self.failures = 0;
        }
        let code = match loss {
            Loss::Ended(ended) => ended.code,
            Loss::Refused(_) | Loss::Closed => None,
        };
        if code == Some(REPLACED) {
            let delay = doubled(REPLACED_FIRST_DELAY, self.replacements, REPLACED_LONGEST_DELAY);
            self.replacements += 1;
            return (delay, true);
        }
        self.replacements = 0;
        let delay = match code {
            // A relay that takes links and closes them at once is no better than one that refuses them.
            Some(1000 | 1001 | 1005 | 1012) if proven => AFTER_CLEAN_CLOSE.mul_f64(random::unit()),
            _ => self.after_failure(),
        };
        (delay, false)
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Ended;

    fn ended(code: Option<u16>) -> Loss {
        Loss::Ended(Ended { code, why: String::new() })
    }

    #[test]
    fn failures_double_from_one_to_thirty_seconds_with_half_a_second_of_jitter() {
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let delay = backoff.after_failure();
            let least = Duration::from_secs(expected);
            assert!(delay >= least && delay <= least + DELAY_JITTER, "{delay:?} for {expected}");
        }
    }

    #[test]
    fn a_link_that_lived_five_seconds_resets_the_backoff() {
        let mut backoff = Backoff { failures: 5, replacements: 0 };
        let now = Instant::now();
        assert!(backoff.after_loss(&ended(None), now, now + Duration::from_secs(4)).0 >= LONGEST_DELAY);
        assert!(backoff.after_loss(&ended(None), now, now + PROVEN_AFTER).0 < Duration::from_secs(2));
    }

    #[test]
    fn a_replaced_link_waits_a_minute_doubling_to_a_quarter_of_an_hour() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let delays: Vec<_> = (0..6).map(|_| backoff.after_loss(&ended(Some(REPLACED)), now, now)).collect();
        let minutes: Vec<_> = delays.iter().map(|(delay, _)| delay.as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 15, 15]);
        assert!(delays.iter().all(|(_, replaced)| *replaced));
    }

    #[test]
    fn a_clean_close_of_a_proven_link_waits_two_seconds_at_most() {
        let now = Instant::now();
        for code in [1000, 1001, 1005, 1012] {
            let mut backoff = Backoff { failures: 5, replacements: 0 };
            assert!(backoff.after_loss(&ended(Some(code)), now, now + PROVEN_AFTER).0 <= AFTER_CLEAN_CLOSE);
        }
    }

    #[test]
    fn links_that_are_closed_at_once_wait_longer_and_longer() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 30] {
            assert!(backoff.after_loss(&ended(Some(1000)), now, now).0 >= Duration::from_secs(expected));
        }
    }
}
