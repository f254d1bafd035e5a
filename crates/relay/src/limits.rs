//! Every limit of the data plane, with its default and the reason for it.

use std::time::Duration;

/// Limits of the data plane. [`Limits::default`] is meant for production.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How long a client's session waits for its daemon's return (60 s): long enough for a restart
    /// or a change of network, short enough that a caller is told in time.
    pub grace: Duration,
    /// Bytes of a client's frames kept meanwhile, per session (256 KiB).
    pub keep_bytes: usize,
    /// Bytes that may wait for one client (8 MiB). A client's daemon cannot be slowed down for it,
    /// since that would slow down the daemon's other clients; so this is what absorbs a burst.
    pub client_queue_bytes: usize,
    /// Bytes that may wait for one daemon (1 MiB). When they do, its clients' sockets are not read,
    /// so that TCP slows them down; nothing is lost.
    pub daemon_queue_bytes: usize,
    /// How long a frame may wait for its receiver (30 s) before that counts as too slow.
    pub queue_time: Duration,
    /// How long a connection may be silent (90 s, the contract's figure: two missed Pings).
    pub silence: Duration,
    /// How long the closing handshake may take (3 s) before the connection is cut.
    pub close_time: Duration,
    /// How long a connection may take over TLS, a request's header, or its body (10 s each).
    pub request_time: Duration,
    /// Over how long the closes of a shutdown are spread (5 s), so that those who reconnect do not
    /// all come at once.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            keep_bytes: 256 * 1024,
            client_queue_bytes: 8 * 1024 * 1024,
            daemon_queue_bytes: 1024 * 1024,
            queue_time: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            close_time: Duration::from_secs(3),
            request_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(5),
        }
    }
}
