//! What a peer does while it has no connection.

use std::time::Duration;

/// What becomes of a call made while the peer is not active.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnDisconnect {
    /// It fails at once.
    Fail,
    /// It waits for the connection, its timeout running.
    Pause,
}

/// The limits of one peer.
#[derive(Clone, Copy, Debug)]
pub struct PeerPolicy {
    /// What becomes of a call made while the peer is not active.
    pub on_disconnect: OnDisconnect,
    /// Bytes of calls that may wait for a connection.
    pub buffer_limit: usize,
    /// Events that may wait for a connection; the oldest gives way. 0 turns waiting off.
    pub max_events: usize,
}

impl Default for PeerPolicy {
    fn default() -> Self {
        Self { on_disconnect: OnDisconnect::Pause, buffer_limit: 65_536, max_events: 128 }
    }
}

/// How often, and after which delays, a client tries again.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Whether it tries again at all.
    pub on_error: bool,
    /// The delay before the first retry.
    pub initial_delay: Duration,
    /// The longest delay, before jitter.
    pub max_delay: Duration,
    /// Retries since the last success; 0 is without end.
    pub max_attempts: u32,
    /// The part of the delay that is random, 0 to 1.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            on_error: true,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            max_attempts: 5,
            jitter: 0.2,
        }
    }
}

impl RetryPolicy {
    /// The delay before retry number `attempt` (from 0), with `random` in 0..1.
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let doubled = self.initial_delay.as_secs_f64() * 2f64.powi(i32::try_from(attempt.min(62)).unwrap_or(62));
        let base = doubled.min(self.max_delay.as_secs_f64());
        let delay = (base * (1.0 + self.jitter * (2.0 * random - 1.0))).max(0.0);
        Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX)
    }

    /// Whether retry number `attempt` (from 0) is still allowed.
    pub fn allows(&self, attempt: u32) -> bool {
        self.on_error && (self.max_attempts == 0 || attempt < self.max_attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_limit_and_varies_by_the_jitter() {
        let policy = RetryPolicy::default();
        let seconds = |attempt, random| policy.delay(attempt, random).as_secs_f64();
        assert!((seconds(0, 0.5) - 1.0).abs() < 1e-9);
        assert!((seconds(3, 0.5) - 8.0).abs() < 1e-9);
        assert!((seconds(40, 0.5) - 30.0).abs() < 1e-9);
        assert!((seconds(0, 0.0) - 0.8).abs() < 1e-9);
        assert!((seconds(0, 1.0) - 1.2).abs() < 1e-9);
    }

    #[test]
    fn a_delay_that_no_clock_holds_is_the_longest_there_is() {
        let endless = RetryPolicy { max_delay: Duration::MAX, initial_delay: Duration::MAX, ..RetryPolicy::default() };
        assert_eq!(endless.delay(0, 1.0), Duration::MAX);
        let nonsense = RetryPolicy { jitter: f64::NAN, ..RetryPolicy::default() };
        assert_eq!(nonsense.delay(0, 0.5), Duration::ZERO);
    }

    #[test]
    fn attempts_are_counted_and_zero_means_without_end() {
        let policy = RetryPolicy::default();
        assert!(policy.allows(4) && !policy.allows(5));
        assert!(RetryPolicy { max_attempts: 0, ..policy }.allows(u32::MAX));
        assert!(!RetryPolicy { on_error: false, ..policy }.allows(0));
    }
}
