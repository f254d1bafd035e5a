//! Where connections come in: accepting, HTTP, and letting each WebSocket through to its shard.

mod accept;
mod changes;
mod http;
pub(crate) mod io;
mod upgrade;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use sideband_protocol::sbrp::SessionId;
use tokio::sync::oneshot;

pub(crate) use accept::serve;
pub(crate) use changes::{Changes, watch as watch_changes};

use crate::{
    admin::Admin,
    control::Issuer,
    hub::{Command, Registry, SessionInfo, ShardHandle},
    limits::Limits,
    store::Store,
    token::Verifier,
};

/// What every request may need.
pub(crate) struct Front {
    pub(crate) relay_url: String,
    pub(crate) api_url: String,
    pub(crate) store: Store,
    pub(crate) issuer: Issuer,
    pub(crate) verifier: Verifier,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) admin: Admin,
    pub(crate) changes: Changes,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) hasher: RandomState,
}

impl Front {
    /// The shard of a daemon and all its clients.
    fn shard(&self, daemon: &str) -> &ShardHandle {
        let shards = self.shards.len() as u64;
        let index = usize::try_from(self.hasher.hash_one(daemon) % shards);
        &self.shards[index.expect("less than the number of shards")]
    }

    /// Cuts a daemon's connection without a close frame. Whether there was one.
    pub(crate) async fn cut_daemon(&self, id: &str) -> bool {
        let (reply, answer) = oneshot::channel();
        self.shard(id).send(Command::CutDaemon(id.into(), reply));
        answer.await.unwrap_or(false)
    }

    /// Cuts a client's.
    pub(crate) async fn cut_client(&self, session: SessionId) -> bool {
        let mut any = false;
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::CutClient(session, reply));
            any |= answer.await.unwrap_or(false);
        }
        any
    }

    /// All sessions of the moment.
    pub(crate) async fn sessions(&self) -> Vec<SessionInfo> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Sessions(reply));
            all.extend(answer.await.unwrap_or_default());
        }
        all
    }

    /// Closes every WebSocket with 1012 and waits until they are gone.
    pub(crate) async fn drain(&self) {
        let mut answers = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Drain(reply));
            answers.push(answer);
        }
        for answer in answers {
            // A shard that has ended has nothing left to drain.
            let _ = answer.await;
        }
    }
}
