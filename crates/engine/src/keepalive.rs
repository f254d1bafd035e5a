//! Whether a connection still lives (section 5, "Keepalive"): a state machine without a clock of its own.

use std::time::{Duration, Instant, SystemTime};

/// A ping goes out this often.
const PING_EVERY: Duration = Duration::from_secs(45);

/// A connection that has been silent for this long, or has not taken what it was given, is lost.
const SILENCE_LIMIT: Duration = Duration::from_secs(90);

/// The monotonic clock stands still while a machine sleeps, the wall clock does not: this often the two are compared.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// The wall clock's lead that means sleep rather than a clock being set right.
const SLEPT: Duration = Duration::from_secs(20);

/// After a sleep the remote has this long to answer a ping.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Lost(&'static str),
}

#[derive(Debug)]
pub(crate) struct Keepalive {
    next_ping: Instant,
    last_heard: Instant,
    /// Since when the socket has not taken what it was given.
    blocked_since: Option<Instant>,
    last_look: (Instant, SystemTime),
    probe_ends: Option<Instant>,
}

impl Keepalive {
    pub(crate) fn new(now: Instant, wall: SystemTime) -> Self {
        Self {
            next_ping: now + PING_EVERY,
            last_heard: now,
            blocked_since: None,
            last_look: (now, wall),
            probe_ends: None,
        }
    }

    /// The remote was heard, or could not be because this side does not listen just now.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.probe_ends = None;
    }

    /// The socket took everything.
    pub(crate) fn flushed(&mut self) {
        self.blocked_since = None;
    }

    /// The socket takes no more just now.
    pub(crate) fn blocked(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    pub(crate) fn check(&mut self, now: Instant, wall: SystemTime) -> Due {
        if now.duration_since(self.last_heard) >= SILENCE_LIMIT {
            return Due::Lost("heard nothing for 90 s");
        }
        if self.blocked_since.is_some_and(|since| now.duration_since(since) >= SILENCE_LIMIT) {
            return Due::Lost("the remote took nothing for 90 s");
        }
        if self.probe_ends.is_some_and(|ends| ends <= now) {
            return Due::Lost("no answer since this machine slept");
        }
        let slept = self.slept(now, wall);
        if slept {
            self.probe_ends = Some(now + PROBE_LIMIT);
        }
        if slept || now >= self.next_ping {
            self.next_ping = now + PING_EVERY;
            return Due::Ping;
        }
        Due::Nothing
    }

    /// Whether the wall clock ran ahead since the last look.
    fn slept(&mut self, now: Instant, wall: SystemTime) -> bool {
        let (then, wall_then) = self.last_look;
        if now.duration_since(then) < LOOK_EVERY {
            return false;
        }
        self.last_look = (now, wall);
        let by_wall = wall.duration_since(wall_then).unwrap_or_default();
        by_wall.saturating_sub(now.duration_since(then)) >= SLEPT
    }

    pub(crate) fn next_deadline(&self) -> Instant {
        let silence = self.last_heard + SILENCE_LIMIT;
        let look = self.last_look.0 + LOOK_EVERY;
        let blocked = self.blocked_since.map(|since| since + SILENCE_LIMIT);
        [blocked, self.probe_ends].into_iter().flatten().fold(self.next_ping.min(silence).min(look), Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both clocks, moved by hand.
    struct Clocks {
        now: Instant,
        wall: SystemTime,
    }

    impl Clocks {
        fn start() -> (Self, Keepalive) {
            let clocks = Self { now: Instant::now(), wall: SystemTime::UNIX_EPOCH };
            let keepalive = Keepalive::new(clocks.now, clocks.wall);
            (clocks, keepalive)
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.sleep(seconds);
        }

        fn sleep(&mut self, seconds: u64) {
            self.wall += Duration::from_secs(seconds);
        }

        fn check(&self, keepalive: &mut Keepalive) -> Due {
            keepalive.check(self.now, self.wall)
        }
    }

    #[test]
    fn a_ping_goes_out_every_45_seconds() {
        let (mut clocks, mut keepalive) = Clocks::start();
        for _ in 0..3 {
            clocks.pass(44);
            assert_eq!(clocks.check(&mut keepalive), Due::Nothing);
            clocks.pass(1);
            assert_eq!(clocks.check(&mut keepalive), Due::Ping);
            keepalive.heard(clocks.now);
        }
    }

    #[test]
    fn silence_of_90_seconds_is_the_end() {
        let (mut clocks, mut keepalive) = Clocks::start();
        clocks.pass(89);
        assert_eq!(clocks.check(&mut keepalive), Due::Ping);
        clocks.pass(1);
        assert!(matches!(clocks.check(&mut keepalive), Due::Lost(_)));
    }

    #[test]
    fn a_remote_that_talks_but_takes_nothing_for_90_seconds_is_the_end() {
        let (mut clocks, mut keepalive) = Clocks::start();
        for second in 0..90 {
            keepalive.blocked(clocks.now);
            keepalive.heard(clocks.now);
            assert!(!matches!(clocks.check(&mut keepalive), Due::Lost(_)), "{second}");
            clocks.pass(1);
        }
        assert!(matches!(clocks.check(&mut keepalive), Due::Lost(_)));
        keepalive.heard(clocks.now);
        keepalive.flushed();
        assert!(!matches!(clocks.check(&mut keepalive), Due::Lost(_)));
    }

    #[test]
    fn a_machine_that_slept_probes_at_once_and_waits_ten_seconds_for_the_answer() {
        let (mut clocks, mut keepalive) = Clocks::start();
        clocks.sleep(3600);
        clocks.pass(15);
        assert_eq!(clocks.check(&mut keepalive), Due::Ping);
        clocks.pass(9);
        assert_eq!(clocks.check(&mut keepalive), Due::Nothing);
        clocks.pass(1);
        assert!(matches!(clocks.check(&mut keepalive), Due::Lost(_)));
    }

    #[test]
    fn an_answered_probe_is_over() {
        let (mut clocks, mut keepalive) = Clocks::start();
        clocks.sleep(3600);
        clocks.pass(15);
        assert_eq!(clocks.check(&mut keepalive), Due::Ping);
        keepalive.heard(clocks.now);
        clocks.pass(11);
        assert_eq!(clocks.check(&mut keepalive), Due::Nothing);
    }

    #[test]
    fn a_clock_that_is_set_back_or_a_little_ahead_is_no_sleep() {
        let (mut clocks, mut keepalive) = Clocks::start();
        clocks.sleep(19);
        clocks.pass(15);
        assert_eq!(clocks.check(&mut keepalive), Due::Nothing);
        clocks.wall = SystemTime::UNIX_EPOCH;
        clocks.now += Duration::from_secs(15);
        assert_eq!(clocks.check(&mut keepalive), Due::Nothing);
    }

    #[test]
    fn the_next_deadline_is_never_past_what_is_due() {
        let (mut clocks, mut keepalive) = Clocks::start();
        for _ in 0..20 {
            let next = keepalive.next_deadline();
            assert!(next > clocks.now && next <= clocks.now + LOOK_EVERY);
            let wait = next.duration_since(clocks.now).as_secs();
            clocks.pass(wait);
            clocks.check(&mut keepalive);
            keepalive.heard(clocks.now);
        }
    }
}
