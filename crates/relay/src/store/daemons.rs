//! Daemons and their API keys.

use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Store, StoreError, access::note_revocation, digest};
use crate::random;

/// A daemon that may use the control plane and the relay.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Daemon {
    pub(crate) id: String,
    /// Presence tokens issued before this are dead, in seconds since 1970.
    pub(crate) valid_from: u64,
    /// Most sessions at once, if it has a limit of its own.
    pub(crate) max_sessions: Option<u32>,
}

/// One line of `daemon list`.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct DaemonRow {
    /// The daemon's id.
    pub id: String,
    /// When it was registered, in seconds since 1970.
    pub created_at: u64,
    /// When it was revoked.
    pub revoked_at: Option<u64>,
    /// Most sessions at once, if it has a limit of its own.
    pub max_sessions: Option<u32>,
}

/// A daemon just made, with the only sight of its key.
pub(crate) struct NewDaemon {
    pub(crate) id: String,
    pub(crate) api_key: Zeroizing<String>,
}

/// What became of [`Store::add_daemon`].
pub(crate) enum AddDaemon {
    Added(NewDaemon),
    /// There is or was one of that id.
    Exists,
}

impl Store {
    /// Registers a daemon. An id is never given out twice, not even a revoked one.
    pub(crate) async fn add_daemon(
        &self,
        id: String,
        max_sessions: Option<u32>,
        now: u64,
    ) -> Result<AddDaemon, StoreError> {
        let api_key = random::api_key();
        self.writer
            .call(move |db| {
                let added = db
                    .prepare_cached(
                        "INSERT INTO daemons (id, key_hash, created_at, valid_from, max_sessions)
                     VALUES (?1, ?2, ?3, 0, ?4) ON CONFLICT (id) DO NOTHING",
                    )?
                    .execute(params![id, digest(&api_key), time(now), max_sessions])?;
                Ok(match added {
                    0 => AddDaemon::Exists,
                    _ => AddDaemon::Added(NewDaemon { id, api_key }),
                })
            })
            .await
    }

    /// Whose API key it is.
    pub(crate) async fn daemon_by_key(&self, key: &str) -> Result<Option<Daemon>, StoreError> {
        let hash = digest(key);
        self.reader
            .call(move |db| {
                Ok(db
                    .prepare_cached(
                        "SELECT id, valid_from, max_sessions FROM daemons
                     WHERE key_hash = ?1 AND revoked_at IS NULL",
                    )?
                    .query_row([hash], daemon)
                    .optional()?)
            })
            .await
    }

    /// The daemon of that id, unless it was revoked.
    pub(crate) async fn daemon(&self, id: &str) -> Result<Option<Daemon>, StoreError> {
        let id = id.to_owned();
        self.reader
            .call(move |db| {
                Ok(db
                    .prepare_cached(
                        "SELECT id, valid_from, max_sessions FROM daemons
                     WHERE id = ?1 AND revoked_at IS NULL",
                    )?
                    .query_row([id], daemon)
                    .optional()?)
            })
            .await
    }

    /// All daemons, the revoked ones too, by id.
    pub(crate) async fn daemons(&self) -> Result<Vec<DaemonRow>, StoreError> {
        self.reader
            .call(|db| {
                let mut all =
                    db.prepare_cached("SELECT id, created_at, revoked_at, max_sessions FROM daemons ORDER BY id")?;
                let rows = all.query_map([], |row| {
                    Ok(DaemonRow {
                        id: row.get(0)?,
                        created_at: seconds(row.get(1)?),
                        revoked_at: row.get::<_, Option<i64>>(2)?.map(seconds),
                        max_sessions: row.get(3)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Ends a daemon for good: its key, its presence tokens and, by the revocation noted, its live
    /// connection. `false` when there is none of that id.
    pub(crate) async fn revoke_daemon(&self, id: &str, now: u64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .call(move |db| {
                let transaction = db.transaction()?;
                let revoked = transaction.execute(
                    "UPDATE daemons SET revoked_at = ?2, key_hash = NULL
                 WHERE id = ?1 AND revoked_at IS NULL",
                    params![id, time(now)],
                )?;
                if revoked == 1 {
                    transaction.execute("DELETE FROM quick_connect WHERE daemon_id = ?1", [&id])?;
                    note_revocation(&transaction, "daemon", &id, now)?;
                }
                transaction.commit()?;
                Ok(revoked == 1)
            })
            .await
    }

    /// Gives a daemon a new API key. Whoever used the old one loses the live connection and the
    /// presence tokens got with it. `None` when there is none of that id.
    pub(crate) async fn rotate_daemon_key(&self, id: &str, now: u64) -> Result<Option<NewDaemon>, StoreError> {
        let id = id.to_owned();
        let api_key = random::api_key();
        self.writer
            .call(move |db| {
                let transaction = db.transaction()?;
                // Times are whole seconds: a token of this very second may be the old key's, so only
                // those of the next one on are good.
                let rotated = transaction.execute(
                    "UPDATE daemons SET key_hash = ?2, valid_from = ?3
                 WHERE id = ?1 AND revoked_at IS NULL",
                    params![id, digest(&api_key), time(now + 1)],
                )?;
                if rotated == 1 {
                    note_revocation(&transaction, "key", &id, now)?;
                }
                transaction.commit()?;
                Ok((rotated == 1).then_some(NewDaemon { id, api_key }))
            })
            .await
    }
}

fn daemon(row: &rusqlite::Row<'_>) -> rusqlite::Result<Daemon> {
    Ok(Daemon { id: row.get(0)?, valid_from: seconds(row.get(1)?), max_sessions: row.get(2)? })
}

/// Seconds since 1970 as SQLite has them.
pub(super) fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// And back. There is nothing before 1970.
pub(super) fn seconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}
