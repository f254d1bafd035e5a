//! What the operator can see: every metric, in one place.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// From a tenth of a millisecond to 13 s: what a handshake may take.
const HANDSHAKE_BUCKETS: [f64; 10] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0];

/// From 5 µs to 10 s: what a frame may take from socket to socket.
const FORWARD_BUCKETS: [f64; 12] =
    [0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_3, 0.001, 0.01, 0.1, 1.0, 10.0, 30.0];

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct WayLabel {
    direction: &'static str,
    shard: usize,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ShardLabel {
    shard: usize,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct RequestLabel {
    endpoint: &'static str,
    status: u16,
}

type Count = Gauge;

/// All metrics. Counting is an atomic addition; nothing on the way of a frame takes a lock but the
/// histogram, once per flush.
pub(crate) struct Metrics {
    registry: Registry,
    connections: Family<RoleLabel, Count>,
    sessions: Family<StateLabel, Count>,
    frames: Family<WayLabel, Counter>,
    bytes: Family<WayLabel, Counter>,
    queued: Family<ShardLabel, Count>,
    forward: Family<ShardLabel, Histogram>,
    controls: Family<CodeLabel, Counter>,
    limits: Family<LimitLabel, Counter>,
    refusals: Family<ReasonLabel, Counter>,
    requests: Family<RequestLabel, Counter>,
    /// From the accepted connection to the WebSocket that belongs to its shard.
    pub(crate) handshake: Histogram,
    /// Requests and revocations that the database did not carry out.
    pub(crate) store_errors: Counter,
    /// Accesses that were taken.
    pub(crate) revocations: Counter,
    /// TLS handshakes that failed.
    pub(crate) tls_failures: Counter,
    /// Requests to the control plane elsewhere that failed.
    pub(crate) control_errors: Counter,
}

/// The metrics that frames touch, of one shard: no other thread writes to them.
pub(crate) struct ShardMetrics {
    pub(crate) to_daemon: Traffic,
    pub(crate) to_client: Traffic,
    /// From a frame's arrival to its flush.
    pub(crate) forward: Histogram,
    /// Bytes that wait for their receivers.
    pub(crate) queued: Count,
}

/// Frames of one direction.
pub(crate) struct Traffic {
    frames: Counter,
    bytes: Counter,
}

impl Traffic {
    pub(crate) fn count(&self, len: usize) {
        self.frames.inc();
        self.bytes.inc_by(len as u64);
    }
}

/// Counts something for as long as it lives.
pub(crate) struct Presence(Count);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("sideband_relay"),
            connections: Family::default(),
            sessions: Family::default(),
            frames: Family::default(),
            bytes: Family::default(),
            queued: Family::default(),
            forward: Family::new_with_constructor(|| Histogram::new(FORWARD_BUCKETS)),
            controls: Family::default(),
            limits: Family::default(),
            refusals: Family::default(),
            requests: Family::default(),
            handshake: Histogram::new(HANDSHAKE_BUCKETS),
            store_errors: Counter::default(),
            revocations: Counter::default(),
            tls_failures: Counter::default(),
            control_errors: Counter::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let all = &mut self.registry;
        all.register("connections", "Connections of this moment", self.connections.clone());
        all.register("sessions", "Sessions of this moment", self.sessions.clone());
        all.register("frames", "Frames forwarded", self.frames.clone());
        all.register("bytes", "Bytes forwarded, frame headers included", self.bytes.clone());
        all.register("queued_bytes", "Bytes waiting for their receivers", self.queued.clone());
        let help = "Time from a frame's arrival to its flush, the oldest of each flush";
        all.register("forward_seconds", help, self.forward.clone());
        all.register("controls", "Control frames sent", self.controls.clone());
        all.register("limits_hit", "Limits reached, by their keys", self.limits.clone());
        all.register("token_refusals", "Tokens refused, by the check", self.refusals.clone());
        all.register("requests", "HTTP requests answered", self.requests.clone());
        let help = "Time from an accepted connection to its open WebSocket";
        all.register("handshake_seconds", help, self.handshake.clone());
        all.register("store_errors", "What the database did not carry out", self.store_errors.clone());
        all.register("revocations", "Accesses that were taken", self.revocations.clone());
        all.register("tls_failures", "TLS handshakes that failed", self.tls_failures.clone());
        let help = "Requests to a control plane elsewhere that failed";
        all.register("control_errors", help, self.control_errors.clone());
        self
    }

    /// What one shard writes to.
    pub(crate) fn shard(&self, shard: usize) -> ShardMetrics {
        let traffic = |direction| {
            let label = WayLabel { direction, shard };
            Traffic { frames: self.frames.get_or_create_owned(&label), bytes: self.bytes.get_or_create_owned(&label) }
        };
        ShardMetrics {
            to_daemon: traffic("to_daemon"),
            to_client: traffic("to_client"),
            forward: self.forward.get_or_create_owned(&ShardLabel { shard }),
            queued: self.queued.get_or_create_owned(&ShardLabel { shard }),
        }
    }

    fn present(gauge: &Count) -> Presence {
        gauge.inc();
        Presence(gauge.clone())
    }

    /// Counts a connection: `opening`, `daemon` or `client`.
    pub(crate) fn connection(&self, role: &'static str) -> Presence {
        Self::present(&self.connections.get_or_create(&RoleLabel { role }))
    }

    /// Counts a session's state.
    pub(crate) fn session(&self, state: &'static str) -> Presence {
        Self::present(&self.sessions.get_or_create(&StateLabel { state }))
    }

    /// A Control frame goes out.
    pub(crate) fn control(&self, code: &'static str) {
        self.controls.get_or_create(&CodeLabel { code }).inc();
    }

    /// A limit was reached; `limit` is its key.
    pub(crate) fn limit(&self, limit: &'static str) {
        self.limits.get_or_create(&LimitLabel { limit }).inc();
    }

    /// A token was refused.
    pub(crate) fn refusal(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A request was answered.
    pub(crate) fn request(&self, endpoint: &'static str, status: u16) {
        self.requests.get_or_create(&RequestLabel { endpoint, status }).inc();
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("writing to a string does not fail");
        page
    }
}

/// Numbers connections, so that log lines of one can be found.
pub(crate) fn connection_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
