//! Key sets of other issuers, kept for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Url;
use tokio::sync::Mutex;

use super::fetch::{Fetch, FetchError};
use crate::shared::Shared;

/// How long a key set is good without asking again.
const FRESH: Duration = Duration::from_secs(300);

/// How long it is used while the issuer does not answer. An issuer that is down for a moment does
/// not shut everybody out, and a withdrawn key is not good for ever.
const USABLE: Duration = Duration::from_secs(900);

/// Extra requests for unknown keys that may come at once; more come one per [`REFILL`].
const EXTRA: u32 = 5;

/// How long until another extra request may be made.
const REFILL: Duration = Duration::from_secs(10);

/// Keys by their ids.
pub(crate) trait KeySet: Sized {
    /// Reads a published set.
    fn parse(json: &[u8]) -> Option<Self>;

    /// Whether the key is in it.
    fn has(&self, kid: &str) -> bool;
}

struct Fetched<K> {
    keys: Arc<K>,
    at: Instant,
}

/// When requests were made.
struct Requests {
    /// The last one that failed.
    failed: Option<Instant>,
    /// Extra ones that may still be made.
    extra: u32,
    refilled: Instant,
}

/// A key set that is fetched when it is needed: anew after five minutes, and once for a key that is
/// not in it, but not without end for keys that do not exist.
pub(crate) struct KeyCache<K> {
    fetch: Fetch,
    url: Url,
    fetched: Shared<Option<Fetched<K>>>,
    requests: Mutex<Requests>,
}

impl<K: KeySet> KeyCache<K> {
    pub(crate) fn new(fetch: Fetch, url: Url) -> Self {
        let requests = Requests { failed: None, extra: EXTRA, refilled: Instant::now() };
        Self { fetch, url, fetched: Shared::new(None), requests: Mutex::new(requests) }
    }

    /// The key set, asked for anew if that may bring the key `kid`. Without it the set may come all
    /// the same: then the key does not exist.
    pub(crate) async fn keys(&self, kid: &str) -> Result<Arc<K>, FetchError> {
        let asked = Instant::now();
        if let Some(fetched) = self.fetched.get().as_ref()
            && asked - fetched.at < FRESH
            && fetched.keys.has(kid)
        {
            return Ok(Arc::clone(&fetched.keys));
        }
        // One request at a time; who waited for another's looks at what that brought.
        let mut requests = self.requests.lock().await;
        let fetched = self.fetched.get();
        if let Some(fetched) = fetched.as_ref()
            && fetched.at.elapsed() < FRESH
            && (fetched.keys.has(kid) || fetched.at >= asked || !requests.take_extra())
        {
            return Ok(Arc::clone(&fetched.keys));
        }
        let known = fetched.as_ref().as_ref().filter(|it| it.at.elapsed() < USABLE).map(|it| &it.keys);
        // An issuer that does not answer is not asked again by everybody who waits.
        let just_failed = requests.failed.is_some_and(|at| at >= asked || at.elapsed() < Duration::from_secs(1));
        let error = if just_failed {
            None
        } else {
            match self.fetch.get(&self.url, None).await.map(|body| K::parse(&body)) {
                Ok(Some(keys)) => {
                    let keys = Arc::new(keys);
                    self.fetched.set(Some(Fetched { keys: Arc::clone(&keys), at: Instant::now() }));
                    requests.failed = None;
                    return Ok(keys);
                }
                Ok(None) => Some(FetchError::of(&self.url, "answered no key set")),
                Err(error) => Some(error),
            }
        };
        if let Some(error) = &error {
            requests.failed = Some(Instant::now());
            tracing::warn!(%error, "a key set cannot be fetched");
        }
        match known {
            Some(keys) => Ok(Arc::clone(keys)),
            None => Err(error.unwrap_or_else(|| FetchError::of(&self.url, "does not answer"))),
        }
    }
}

impl Requests {
    /// Whether an extra request may be made; then it is counted.
    fn take_extra(&mut self) -> bool {
        let gained = u32::try_from(self.refilled.elapsed().as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        if gained > 0 {
            self.extra = self.extra.saturating_add(gained).min(EXTRA);
            self.refilled = Instant::now();
        }
        let may = self.extra > 0;
        self.extra = self.extra.saturating_sub(1);
        may
    }
}
