//! What a good token says.

use sideband_protocol::sbrp::SessionId;

/// Which side a token lets in.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Role {
    /// A presence token.
    Daemon,
    /// A session token.
    Client {
        /// The one session it is good for (`sid`).
        session: SessionId,
    },
}

/// The claims of a verified token that the relay acts on.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Claims {
    /// Which side it lets in, and for a client the session.
    pub role: Role,
    /// The daemon's id (`did`).
    pub daemon_id: String,
    /// The daemon's id or the user's (`sub`); empty where a presence token has none.
    pub subject: String,
    /// Whether a daemon's sessions may outlive its link (`session:resume` in `scp`).
    pub resume: bool,
    /// Most sessions at once for this daemon (`lim.concurrent_sessions`).
    pub concurrent_sessions: Option<u32>,
    /// When it was issued (`iat`), in whole seconds since 1970.
    pub issued_at: u64,
}
