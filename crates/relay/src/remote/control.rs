//! The two halves of a relay that runs apart from its control plane.
//!
//! The relay trusts the control plane's key set and asks for revocations twice a second; the control
//! plane asks the relay whether a daemon is online. Both show the secret that they share.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as AsyncMutex;
use zeroize::Zeroizing;

use super::{
    fetch::{Fetch, FetchError},
    keys::KeyCache,
};
use crate::{
    control::unix_time,
    front::Front,
    store::{Revocation, Revoked},
    token::VerifyingKeys,
};

/// How often to ask for revocations.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a revocation matters: no token lives longer than an hour, the clocks' skew, and a bit.
pub(crate) const HORIZON: u64 = 3_600 + 30 + 60;

/// What the control plane answers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevocationList {
    pub(crate) revocations: Vec<RevocationLine>,
}

/// One revocation on its way to the relay.
#[derive(Serialize, Deserialize)]
pub(crate) struct RevocationLine {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) subject: String,
    pub(crate) at: u64,
}

impl From<Revocation> for RevocationLine {
    fn from(revocation: Revocation) -> Self {
        let Revocation { seq, who, at } = revocation;
        let kind = who.kind().to_owned();
        Self { seq, kind, subject: who.into_subject(), at }
    }
}

impl From<RevocationLine> for Revocation {
    fn from(line: RevocationLine) -> Self {
        Self { seq: line.seq, who: Revoked::new(&line.kind, line.subject), at: line.at }
    }
}

/// Who lost access lately, so that tokens from before are refused.
#[derive(Default)]
struct Lost {
    daemons: HashMap<String, u64>,
    /// Tokens of these daemons issued up to then.
    keys: HashMap<String, u64>,
    users: HashMap<String, u64>,
}

impl Lost {
    fn note(&mut self, revocation: &Revocation) {
        let (map, subject) = match &revocation.who {
            Revoked::Daemon(id) => (&mut self.daemons, id),
            Revoked::Key(id) => (&mut self.keys, id),
            Revoked::User(id) => (&mut self.users, id),
        };
        map.insert(subject.clone(), revocation.at);
    }

    fn forget(&mut self, now: u64) {
        for map in [&mut self.daemons, &mut self.keys, &mut self.users] {
            map.retain(|_, at| *at + HORIZON > now);
        }
    }
}

/// The control plane, as a relay apart from it sees it.
pub(crate) struct RemoteControl {
    fetch: Fetch,
    revocations: Option<(Url, Zeroizing<String>)>,
    pub(crate) keys: KeyCache<VerifyingKeys>,
    lost: Mutex<Lost>,
    seen: AsyncMutex<i64>,
}

impl RemoteControl {
    /// `token` is the shared secret; without one revocations are not asked for.
    pub(crate) fn new(fetch: Fetch, url: &Url, jwks_url: Url, token: Option<Zeroizing<String>>) -> Self {
        let revocations = token.map(|token| (below(url, "internal/revocations"), token));
        let keys = KeyCache::new(fetch.clone(), jwks_url);
        Self { fetch, revocations, keys, lost: Mutex::default(), seen: AsyncMutex::new(0) }
    }

    /// Whether a daemon's token of that time is still good.
    pub(crate) fn serves(&self, daemon: &str, issued_at: u64) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        !lost.daemons.contains_key(daemon) && lost.keys.get(daemon).is_none_or(|at| issued_at > *at)
    }

    /// Whether a user's tokens are still good.
    pub(crate) fn has_user(&self, user: &str) -> bool {
        !self.lost.lock().unwrap_or_else(PoisonError::into_inner).users.contains_key(user)
    }

    /// Asks for revocations and acts on them.
    async fn ask(&self, front: &Front) -> Result<(), FetchError> {
        let Some((url, token)) = &self.revocations else {
            return Ok(());
        };
        let mut seen = self.seen.lock().await;
        let mut asked = url.clone();
        asked.set_query(Some(&format!("after={seen}")));
        let body = self.fetch.get(&asked, Some(token)).await?;
        let list: RevocationList =
            serde_json::from_slice(&body).map_err(|_| FetchError::of(url, "answered no revocations"))?;
        for revocation in list.revocations.into_iter().map(Revocation::from) {
            *seen = revocation.seq;
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).note(&revocation);
            front.revoke(&revocation);
        }
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).forget(unix_time());
        Ok(())
    }
}

/// A path below a URL, whether or not that ends with a slash.
pub(crate) fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

/// Asks for revocations until the relay is gone.
pub(crate) async fn watch(front: Weak<Front>) {
    let mut failing_since: Option<Instant> = None;
    loop {
        let Some(front) = front.upgrade() else {
            return;
        };
        let Some(control) = front.authority.remote() else {
            return;
        };
        match (control.ask(&front).await, failing_since) {
            (Ok(()), Some(since)) => {
                tracing::info!(seconds = since.elapsed().as_secs(), "the control plane answers again");
                failing_since = None;
            }
            (Err(error), None) => {
                tracing::error!(%error, "revocations cannot be asked for; live connections stay until they can");
                failing_since = Some(Instant::now());
                front.metrics.control_errors.inc();
            }
            (Err(_), Some(_)) => {
                front.metrics.control_errors.inc();
            }
            (Ok(()), None) => (),
        }
        drop(front);
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The relay, as a control plane apart from it sees it.
pub(crate) struct RemoteRelay {
    fetch: Fetch,
    url: Url,
    token: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Online {
    online: bool,
}

impl RemoteRelay {
    /// `url` is the relay's over HTTP.
    pub(crate) fn new(fetch: Fetch, url: Url, token: Zeroizing<String>) -> Self {
        Self { fetch, url, token }
    }

    /// Whether a daemon is connected there.
    pub(crate) async fn is_online(&self, daemon: &str) -> Result<bool, FetchError> {
        let mut url = below(&self.url, "internal/presence");
        url.query_pairs_mut().append_pair("daemon", daemon);
        let body = self.fetch.get(&url, Some(&self.token)).await?;
        let online: Online =
            serde_json::from_slice(&body).map_err(|_| FetchError::of(&url, "answered nothing about a daemon"))?;
        Ok(online.online)
    }
}
