//! Noticing what the admin commands changed in the database: revocations and keys.

use std::{sync::Weak, time::Duration};

use tokio::sync::Mutex;

use super::Front;
use crate::{
    control::ControlPlane,
    hub::Command,
    store::{Revocation, Store, StoreError},
};

/// How often to look. A revocation has to cut live connections within a second.
const INTERVAL: Duration = Duration::from_millis(250);

/// What was seen of the database.
pub(crate) struct Changes(Mutex<Seen>);

struct Seen {
    version: i64,
    revocation: i64,
}

impl Changes {
    /// Takes the present state as seen: what was revoked before has no live connection.
    pub(crate) async fn new(store: &Store) -> Result<Self, StoreError> {
        // The version first: what comes between the two is then looked at once more.
        let (version, revocation) = (store.version().await?, store.last_revocation().await?);
        Ok(Self(Mutex::new(Seen { version, revocation })))
    }
}

/// Looks for changes until the relay is gone.
pub(crate) async fn watch(front: Weak<Front>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(front) = front.upgrade() else {
            return;
        };
        let Some(control) = &front.control else {
            return;
        };
        let looked = front.apply_changes(control, false).await;
        if let Err(error) = &looked {
            if !failing {
                tracing::error!(%error, "revocations cannot be read; live connections stay until they can");
            }
        } else if failing {
            tracing::info!("revocations can be read again");
        }
        failing = looked.is_err();
    }
}

impl Front {
    /// Acts on what has changed since the last time. `force` looks even if the database says that
    /// nothing has, which it does of this process's own changes.
    pub(crate) async fn apply_changes(&self, control: &ControlPlane, force: bool) -> Result<(), StoreError> {
        // One at a time, so that no revocation is acted on twice or passed over.
        let mut seen = control.changes.0.lock().await;
        let version = control.store.version().await?;
        if version == seen.version && !force {
            return Ok(());
        }
        for revocation in control.store.revocations_after(seen.revocation).await? {
            seen.revocation = revocation.seq;
            self.revoke(&revocation);
        }
        control.issuer.reload(&control.store).await?;
        seen.version = version;
        Ok(())
    }

    /// Cuts what is live of somebody whose access was taken.
    pub(crate) fn revoke(&self, revocation: &Revocation) {
        tracing::info!(who = ?revocation.who, "access was revoked");
        self.metrics.revocations.inc();
        for shard in &self.shards {
            shard.send(Command::Revoke(revocation.clone()));
        }
    }
}
