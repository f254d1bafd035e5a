//! Who may come in, and how often: the limits per address, per key, and in all.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    state::keyed::HashMapStateStore,
};

use super::address::AddressKey;
use crate::{limits::Limits, metrics::Metrics, shared::Shared};

/// Seconds' worth of a rate per second that may come at once.
const BURST_SECONDS: f64 = 5.0;

/// A limit was reached.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Refused {
    /// The limit's key.
    pub(crate) limit: &'static str,
    /// When it makes sense to try again.
    pub(crate) retry_after: Duration,
}

/// A limit per key, over time. Without a rate everything passes.
struct Rate<K: Clone + Hash + Eq>(Option<RateLimiter<K, HashMapStateStore<K>, MonotonicClock>>);

impl<K: Clone + Hash + Eq> Rate<K> {
    fn new(per_second: f64, burst: f64) -> Self {
        if per_second <= 0.0 {
            return Self(None);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and the cast saturates"
        )]
        let burst = NonZeroU32::new(burst.ceil().max(1.0) as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_secs_f64(1.0 / per_second));
        Self(
            quota.map(|quota| RateLimiter::new(quota.allow_burst(burst), HashMapStateStore::default(), MonotonicClock)),
        )
    }

    fn check(&self, key: &K, limit: &'static str) -> Result<(), Refused> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(key).map_err(|until| {
            let retry_after = until.wait_time_from(limiter.clock().now());
            Refused { limit, retry_after }
        })
    }

    /// Forgets who has used nothing lately.
    fn forget(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The rates as configured.
struct Rates {
    handshakes: Rate<AddressKey>,
    requests: Rate<AddressKey>,
    key_requests: Rate<[u8; 32]>,
    code_attempts: Rate<AddressKey>,
}

impl Rates {
    fn new(limits: &Limits) -> Self {
        let per_second = |rate: f64| (rate, rate * BURST_SECONDS);
        let (handshakes, handshake_burst) = per_second(limits.handshakes_per_second);
        let (requests, request_burst) = per_second(limits.requests_per_second);
        let (key_requests, key_burst) = per_second(limits.key_requests_per_second);
        let per_minute = limits.code_attempts_per_minute;
        Self {
            handshakes: Rate::new(handshakes, handshake_burst),
            requests: Rate::new(requests, request_burst),
            key_requests: Rate::new(key_requests, key_burst),
            code_attempts: Rate::new(per_minute / 60.0, per_minute),
        }
    }
}

#[derive(Default)]
struct Present {
    all: usize,
    by_address: HashMap<AddressKey, usize>,
}

/// All of them.
pub(crate) struct Admission {
    limits: Shared<Limits>,
    rates: Shared<Rates>,
    present: Mutex<Present>,
    metrics: Arc<Metrics>,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits: Shared::new(limits.clone()),
            rates: Shared::new(Rates::new(limits)),
            present: Mutex::default(),
            metrics,
        }
    }

    /// Takes new limits. Those per second begin anew.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        self.limits.set(limits.clone());
        self.rates.set(Rates::new(limits));
    }

    /// Forgets what no longer matters; to be called now and then.
    pub(crate) fn forget(&self) {
        let rates = self.rates.get();
        rates.handshakes.forget();
        rates.requests.forget();
        rates.key_requests.forget();
        rates.code_attempts.forget();
    }

    fn note<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        if let Err(refused) = &result {
            self.metrics.limit(refused.limit);
        }
        result
    }

    /// A connection was accepted.
    pub(crate) fn connection(self: &Arc<Self>) -> Result<InAll, Refused> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.all >= self.limits.get().connections {
            drop(present);
            return self.note(Err(Refused { limit: "connections", retry_after: Duration::from_secs(5) }));
        }
        present.all += 1;
        Ok(InAll(Arc::clone(self)))
    }

    /// It is known whose it is.
    pub(crate) fn address(self: &Arc<Self>, key: AddressKey) -> Result<OfAddress, Refused> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.by_address.entry(key).or_default();
        if *count >= self.limits.get().connections_per_address {
            drop(present);
            let retry_after = Duration::from_secs(5);
            return self.note(Err(Refused { limit: "connections_per_address", retry_after }));
        }
        *count += 1;
        Ok(OfAddress(Arc::clone(self), key))
    }

    /// Somebody asks for a WebSocket.
    pub(crate) fn handshake(&self, key: AddressKey) -> Result<(), Refused> {
        self.note(self.rates.get().handshakes.check(&key, "handshakes_per_second"))
    }

    /// Somebody asks for anything but a WebSocket.
    pub(crate) fn request(&self, key: AddressKey) -> Result<(), Refused> {
        self.note(self.rates.get().requests.check(&key, "requests_per_second"))
    }

    /// Somebody does so with a credential; `digest` is its.
    pub(crate) fn key_request(&self, digest: [u8; 32]) -> Result<(), Refused> {
        self.note(self.rates.get().key_requests.check(&digest, "key_requests_per_second"))
    }

    /// Somebody tries a Quick Connect code.
    pub(crate) fn code_attempt(&self, key: AddressKey) -> Result<(), Refused> {
        self.note(self.rates.get().code_attempts.check(&key, "code_attempts_per_minute"))
    }
}

/// What a connection takes up of the limits on connections, for as long as it lives.
pub(crate) struct Places {
    pub(crate) _in_all: InAll,
    pub(crate) _of_address: OfAddress,
}

/// A place among all connections. Given back when dropped.
pub(crate) struct InAll(Arc<Admission>);

impl Drop for InAll {
    fn drop(&mut self) {
        self.0.present.lock().unwrap_or_else(PoisonError::into_inner).all -= 1;
    }
}

/// A place among those of an address. Given back when dropped.
pub(crate) struct OfAddress(Arc<Admission>, AddressKey);

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut present = self.0.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.by_address.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                present.by_address.remove(&self.1);
            }
        }
    }
}
