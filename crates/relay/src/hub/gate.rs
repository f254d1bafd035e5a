//! How fast a connection may be read.

use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Seconds' worth of a rate that may come at once.
const BURST: f64 = 2.0;

/// Time between two `rate_limited` Controls.
const WINDOW: Duration = Duration::from_secs(1);

/// Lets so much pass per second. What has passed is never taken back: who takes more than there is
/// waits until the debt is paid.
struct Bucket {
    /// The limit's key.
    limit: &'static str,
    /// Per second; 0 lets everything pass.
    rate: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(limit: &'static str, rate: f64, now: Instant) -> Self {
        Self { limit, rate, level: rate * BURST, at: now }
    }

    /// Takes `amount`; says until when to wait if that was more than there is, and for which limit.
    fn take(&mut self, amount: f64, now: Instant) -> Option<(Instant, &'static str)> {
        if self.rate <= 0.0 {
            return None;
        }
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.at = now;
        self.level = (self.level + gained).min(self.rate * BURST) - amount;
        (self.level < 0.0).then(|| (now + Duration::from_secs_f64(-self.level / self.rate), self.limit))
    }
}

/// The limits of one connection's reading.
pub(crate) struct Gate {
    frames: Bucket,
    bytes: Bucket,
    shut_until: Option<Instant>,
    told: Option<Instant>,
}

/// What a frame did to the gate.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Passed {
    /// Nothing.
    Open,
    /// It shut the gate.
    Shut {
        /// The limit's key, if the peer has to be told; at most once per window.
        tell: Option<&'static str>,
    },
}

impl Gate {
    /// For a client's connection.
    pub(crate) fn of_client(limits: &Limits, now: Instant) -> Self {
        Self::new(
            Bucket::new("client_frames_per_second", limits.client_frames_per_second, now),
            Bucket::new("client_bytes_per_second", limits.client_bytes_per_second, now),
        )
    }

    /// For a daemon's.
    pub(crate) fn of_daemon(limits: &Limits, now: Instant) -> Self {
        Self::new(
            Bucket::new("daemon_frames_per_second", limits.daemon_frames_per_second, now),
            Bucket::new("daemon_bytes_per_second", limits.daemon_bytes_per_second, now),
        )
    }

    fn new(frames: Bucket, bytes: Bucket) -> Self {
        Self { frames, bytes, shut_until: None, told: None }
    }

    /// Until when nothing may be read.
    pub(crate) fn shut_until(&mut self, now: Instant) -> Option<Instant> {
        if self.shut_until.is_some_and(|until| until <= now) {
            self.shut_until = None;
        }
        self.shut_until
    }

    /// A frame of that many bytes was read.
    pub(crate) fn pass(&mut self, len: usize, now: Instant) -> Passed {
        #[expect(clippy::cast_precision_loss, reason = "at most 1 MiB")]
        let waits = [self.frames.take(1.0, now), self.bytes.take(len as f64, now)];
        let Some((until, limit)) = waits.into_iter().flatten().max() else {
            return Passed::Open;
        };
        self.shut_until = Some(until);
        let tell = self.told.is_none_or(|told| now.saturating_duration_since(told) >= WINDOW);
        if tell {
            self.told = Some(now);
        }
        Passed::Shut { tell: tell.then_some(limit) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Bucket, Gate, Passed};

    fn gate(frames_per_second: f64, bytes_per_second: f64, now: Instant) -> Gate {
        Gate::new(Bucket::new("frames", frames_per_second, now), Bucket::new("bytes", bytes_per_second, now))
    }

    #[test]
    fn two_seconds_worth_pass_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut gate = gate(10.0, 0.0, start);
        for _ in 0..20 {
            assert_eq!(gate.pass(1, start), Passed::Open);
        }
        assert_eq!(gate.pass(1, start), Passed::Shut { tell: Some("frames") });
        assert_eq!(gate.shut_until(start), Some(start + Duration::from_millis(100)));
        let later = start + Duration::from_millis(100);
        assert_eq!(gate.shut_until(later), None);
        assert_eq!(gate.pass(1, later), Passed::Shut { tell: None }, "told once a second");
        let much_later = start + Duration::from_secs(60);
        assert_eq!(gate.shut_until(much_later), None);
        for _ in 0..20 {
            assert_eq!(gate.pass(1, much_later), Passed::Open, "no more than the burst gathers");
        }
        assert_eq!(gate.pass(1, much_later), Passed::Shut { tell: Some("frames") });
    }

    #[test]
    fn bytes_count_like_frames() {
        let start = Instant::now();
        let mut gate = gate(0.0, 1_000.0, start);
        assert_eq!(gate.pass(2_000, start), Passed::Open);
        assert_eq!(gate.pass(500, start), Passed::Shut { tell: Some("bytes") });
        assert_eq!(gate.shut_until(start), Some(start + Duration::from_millis(500)));
    }

    #[test]
    fn zero_is_no_limit() {
        let start = Instant::now();
        let mut gate = gate(0.0, 0.0, start);
        assert!((0..100_000).all(|_| gate.pass(1_000_000, start) == Passed::Open));
    }
}
