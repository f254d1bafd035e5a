//! What other threads ask of a shard, and what they hand over.

use std::{net::IpAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use sideband_protocol::sbrp::SessionId;
use tokio::sync::{mpsc, oneshot};

use super::registry::{Lease, Online};
use crate::{
    front::{Places, io::DetachedIo},
    limits::Limits,
    store::Revocation,
};

/// Who a new connection lets in; its token was good.
pub(crate) enum Arrival {
    /// A daemon.
    Daemon { resume: bool, online: Online },
    /// A client, with its session id taken.
    Client {
        user: String,
        lease: Lease,
        /// There is such a daemon, online or not.
        daemon_known: bool,
    },
}

impl Arrival {
    /// `daemon` or `client`, for logs and metrics.
    pub(crate) fn role(&self) -> &'static str {
        match self {
            Self::Daemon { .. } => "daemon",
            Self::Client { .. } => "client",
        }
    }
}

/// A WebSocket whose handshake is done but for the answer.
pub(crate) struct NewConnection {
    pub(crate) io: DetachedIo,
    /// The answer. It goes out when the shard knows the connection, so that whoever has read it is
    /// known, too: a daemon's frame for a client that is open finds its session.
    pub(crate) head: Bytes,
    /// What came behind the handshake already.
    pub(crate) read: Vec<u8>,
    /// Its number in the log.
    pub(crate) number: u64,
    pub(crate) address: IpAddr,
    pub(crate) accepted: Instant,
    /// What it takes up of the limits on connections.
    pub(crate) places: Places,
    pub(crate) daemon_id: Arc<str>,
    /// When its token was issued, in seconds since 1970.
    pub(crate) issued_at: u64,
    pub(crate) arrival: Arrival,
}

/// One line of the admin's list of sessions.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionInfo {
    /// The daemon's id.
    pub daemon_id: String,
    /// The session id as in a token's `sid`.
    pub session_id: String,
    /// `paired`, `paused` or `pending`.
    pub state: &'static str,
    /// Frames forwarded from the client.
    pub frames_to_daemon: u64,
    /// Frames forwarded from the daemon.
    pub frames_to_client: u64,
    /// Bytes of the former, headers included.
    pub bytes_to_daemon: u64,
    /// Bytes of the latter.
    pub bytes_to_client: u64,
}

/// What other threads ask of a shard.
pub(crate) enum Command {
    Connect(Box<NewConnection>),
    /// Drops a daemon's socket as it is; the answer says whether there was one.
    CutDaemon(Arc<str>, oneshot::Sender<bool>),
    /// Drops a client's.
    CutClient(SessionId, oneshot::Sender<bool>),
    Sessions(oneshot::Sender<Vec<SessionInfo>>),
    /// Closes what belongs to somebody whose access was taken.
    Revoke(Revocation),
    /// New limits, for what connects from now on and what is decided from now on.
    Limits(Arc<Limits>),
    /// Closes everything with 1012, spread over the drain time; the answer comes when all is gone.
    Drain(oneshot::Sender<()>),
    /// Answers, if the shard is alive.
    Ping(oneshot::Sender<()>),
}

/// A handle to a shard's thread, which ends when the last handle is gone.
#[derive(Clone)]
pub(crate) struct ShardHandle(pub(super) mpsc::UnboundedSender<Command>);

impl ShardHandle {
    /// Hands a command over. Bounded by what sends them: connections by the front's limits, the rest
    /// by the admin's requests.
    pub(crate) fn send(&self, command: Command) {
        // A shard that has ended has dropped its connections, and this one with the message.
        let _ = self.0.send(command);
    }
}
