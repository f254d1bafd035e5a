//! Every limit there is: its name, default, range and reason, in one table.

use std::time::Duration;

/// A row of the table of limits, for documentation and for messages.
#[derive(Copy, Clone, Debug)]
#[non_exhaustive]
pub struct LimitRow {
    /// The key in the configuration's `limits` section. Its ending says the unit.
    pub key: &'static str,
    /// The default, in that unit.
    pub default: f64,
    /// Least value.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// What it bounds, why this default, and what reaching it looks like.
    pub what: &'static str,
}

/// A value that was refused.
#[derive(Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum LimitError {
    /// There is no such limit.
    #[error("there is no limit {0}")]
    Unknown(String),
    /// It must be a whole number, or lies outside the range.
    #[error("{0}")]
    Range(String),
}

/// How a limit's type is written as a number.
trait Number: Sized {
    fn to_number(&self) -> f64;
    fn from_number(number: f64) -> Option<Self>;
}

impl Number for Duration {
    fn to_number(&self) -> f64 {
        self.as_secs_f64()
    }

    fn from_number(number: f64) -> Option<Self> {
        Self::try_from_secs_f64(number).ok()
    }
}

impl Number for usize {
    #[expect(clippy::cast_precision_loss, reason = "no limit comes near 2^53")]
    fn to_number(&self) -> f64 {
        *self as f64
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, and within the range that was checked before"
    )]
    fn from_number(number: f64) -> Option<Self> {
        (number.fract() == 0.0).then_some(number as Self)
    }
}

impl Number for f64 {
    fn to_number(&self) -> f64 {
        *self
    }

    fn from_number(number: f64) -> Option<Self> {
        Some(number)
    }
}

macro_rules! limits {
    ($($name:ident, $key:literal: $type:ty = $default:expr, $min:literal..$max:literal, $what:literal;)*) => {
        /// All limits. [`Limits::default`] is meant for production; the table in `docs/relay/limits.md` is
        /// [`Limits::TABLE`].
        #[derive(Clone, PartialEq, Debug)]
        #[non_exhaustive]
        pub struct Limits {
            $(#[doc = $what] pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: <$type as Number>::from_number($default).expect("defaults are in range"),)* }
            }
        }

        impl Limits {
            /// The table.
            pub const TABLE: &[LimitRow] = &[
                $(LimitRow { key: $key, default: $default, min: $min, max: $max, what: $what },)*
            ];

            /// Sets a limit by its key, in the unit that the key's ending says.
            ///
            /// # Errors
            ///
            /// When there is no such limit, or the value is none for it.
            pub fn set(&mut self, key: &str, number: f64) -> Result<(), LimitError> {
                match key {
                    $($key => {
                        let value = <$type as Number>::from_number(number);
                        let fits = ($min..=$max).contains(&number);
                        self.$name = value.filter(|_| fits).ok_or_else(|| {
                            LimitError::Range(format!("{key} = {number} is not within {} and {}", $min, $max))
                        })?;
                    })*
                    _ => return Err(LimitError::Unknown(key.to_owned())),
                }
                Ok(())
            }

            /// The values, by key.
            pub fn values(&self) -> Vec<(&'static str, f64)> {
                vec![$(($key, self.$name.to_number()),)*]
            }
        }
    };
}

limits! {
    grace, "grace_seconds": Duration = 60.0, 0.0..3600.0,
        "How long a client's session waits for its daemon's return: long enough for a restart or a change of network. Reached: `session_expired` to the client.";
    pending_time, "pending_seconds": Duration = 10.0, 0.1..3600.0,
        "How long a daemon that is back may take to say what it remembers of a session, within the grace. One that lives answers at once; one that was started anew knows nothing of the session and never does. Reached: `session_expired` to the client, which then connects anew.";
    keep_bytes, "keep_bytes": usize = 262_144.0, 0.0..16_777_216.0,
        "Bytes of a client's frames kept meanwhile, per session. Reached: `session_expired` to the client.";
    client_queue_bytes, "client_queue_bytes": usize = 8_388_608.0, 65_536.0..1_073_741_824.0,
        "Bytes that may wait for one client. Its daemon cannot be slowed down for it, since that would slow down the daemon's other clients, so this absorbs bursts. Reached: `backpressure` to the client, and it is closed. Answers that either side makes and does not read (Pongs) may be 1 MiB more.";
    daemon_queue_bytes, "daemon_queue_bytes": usize = 1_048_576.0, 65_536.0..1_073_741_824.0,
        "Bytes that may wait for one daemon. Reached: its clients' sockets are not read until half of it is gone, so that TCP slows them down; nothing is lost.";
    queue_time, "queue_seconds": Duration = 30.0, 0.1..600.0,
        "How long a frame may wait for its receiver. Reached: `backpressure` to the receiver, and it is closed; a daemon's unsent frames are kept for its return.";
    memory_bytes, "memory_bytes": usize = 1_073_741_824.0, 16_777_216.0..1_099_511_627_776.0,
        "Bytes that may wait for all receivers together, kept frames included. Reached: whoever has more than 64 KiB waiting counts as full, with what that means for a client, a daemon or a session.";
    silence, "silence_seconds": Duration = 90.0, 0.1..3600.0,
        "How long a connection may be silent; the contract's figure, two missed Pings. Reached: closed with 1001.";
    close_time, "close_seconds": Duration = 3.0, 0.1..60.0,
        "How long the closing of a connection may take. Reached: it is cut.";
    drain_time, "drain_seconds": Duration = 5.0, 0.0..600.0,
        "Over how long the closes of a shutdown are spread, at 100 a second or faster, so that those who reconnect do not all come at once. Nobody reaches it; `close_seconds` later the relay ends, whoever is left.";
    tls_time, "tls_seconds": Duration = 10.0, 0.1..120.0,
        "How long a TLS handshake may take. Reached: the connection is dropped.";
    header_time, "header_seconds": Duration = 10.0, 0.1..120.0,
        "How long a request's header may take to arrive. Reached: the connection is dropped; not counted for one that was answered before, which is only idle.";
    request_time, "request_seconds": Duration = 10.0, 0.1..120.0,
        "How long a request may take, its body included. Reached: HTTP 408.";
    connections, "connections": usize = 20_000.0, 1.0..10_000_000.0,
        "Connections in all, also those that are still opening. Reached: HTTP 503, and the connection is closed.";
    connections_per_address, "connections_per_address": usize = 1_000.0, 1.0..10_000_000.0,
        "Connections of one address (IPv6: one /64). Reached: HTTP 429, and the connection is closed.";
    handshakes_per_second, "handshakes_per_second": f64 = 20.0, 0.0..1_000_000.0,
        "WebSocket openings per second of one address, good or refused; five seconds' worth may come at once. 0 is no limit. Reached: HTTP 429.";
    requests_per_second, "requests_per_second": f64 = 20.0, 0.0..1_000_000.0,
        "HTTP requests per second of one address, but for WebSocket openings, `/healthz` and what comes to `metrics_listen`; five seconds' worth may come at once. 0 is no limit. Reached: HTTP 429.";
    key_requests_per_second, "key_requests_per_second": f64 = 5.0, 0.0..1_000_000.0,
        "Control-plane requests per second with one API key or access token; five seconds' worth may come at once. 0 is no limit. Reached: HTTP 429.";
    code_attempts_per_minute, "code_attempts_per_minute": f64 = 12.0, 0.0..1_000_000.0,
        "Quick Connect codes tried per minute by one address; a minute's worth may come at once. 0 is no limit. Reached: HTTP 429.";
    sessions_per_daemon, "sessions_per_daemon": usize = 10_000.0, 1.0..10_000_000.0,
        "Sessions of one daemon; its token's `lim` may say less. Reached: HTTP 429 to the client.";
    client_frames_per_second, "client_frames_per_second": f64 = 5_000.0, 0.0..100_000_000.0,
        "Frames per second read from one client; two seconds' worth may come at once. 0 is no limit. Reached: `rate_limited` once a second, and the socket is read no faster than this.";
    client_bytes_per_second, "client_bytes_per_second": f64 = 33_554_432.0, 0.0..100_000_000_000.0,
        "The same in bytes.";
    daemon_frames_per_second, "daemon_frames_per_second": f64 = 100_000.0, 0.0..100_000_000.0,
        "Frames per second read from one daemon, which has many clients. 0 is no limit. Reached: as for a client.";
    daemon_bytes_per_second, "daemon_bytes_per_second": f64 = 268_435_456.0, 0.0..100_000_000_000.0,
        "The same in bytes.";
}

impl Limits {
    /// Without any limit per second or per address: for development and tests, where everybody is
    /// at 127.0.0.1.
    #[must_use]
    pub fn without_rates(mut self) -> Self {
        self.connections_per_address = self.connections;
        self.handshakes_per_second = 0.0;
        self.requests_per_second = 0.0;
        self.key_requests_per_second = 0.0;
        self.code_attempts_per_minute = 0.0;
        self.client_frames_per_second = 0.0;
        self.client_bytes_per_second = 0.0;
        self.daemon_frames_per_second = 0.0;
        self.daemon_bytes_per_second = 0.0;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitError, Limits};

    #[test]
    fn every_row_can_be_set_and_read_back() {
        for row in Limits::TABLE {
            for number in [row.min, row.max, row.default] {
                let mut limits = Limits::default();
                limits.set(row.key, number).unwrap();
                assert!(limits.values().contains(&(row.key, number)), "{}", row.key);
            }
            for number in [row.min - 1.0, row.max * 2.0 + 1.0, f64::NAN, f64::INFINITY] {
                let refused = Limits::default().set(row.key, number);
                assert!(matches!(refused, Err(LimitError::Range(_))), "{} = {number}", row.key);
            }
        }
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        let refused = Limits::default().set("grace", 1.0);
        assert_eq!(refused, Err(LimitError::Unknown("grace".to_owned())));
    }
}
