//! Quick Connect codes: each is good once, for a few minutes.

use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Store, StoreError, daemons::time, digest};
use crate::random;

/// A code just made, with the only sight of it.
pub(crate) struct NewCode {
    /// Twelve letters, without dashes.
    pub(crate) code: Zeroizing<String>,
    /// When it ends, as ISO 8601 in UTC.
    pub(crate) expires_at: String,
}

impl Store {
    /// Makes a code for a daemon and forgets the ones that are over.
    pub(crate) async fn add_code(&self, daemon: &str, lifetime: u64, now: u64) -> Result<NewCode, StoreError> {
        let (daemon, code) = (daemon.to_owned(), random::quick_connect_code());
        self.writer
            .call(move |db| {
                let transaction = db.transaction()?;
                transaction.execute("DELETE FROM quick_connect WHERE expires_at <= ?1", [time(now)])?;
                let expires_at = transaction.query_row(
                    "INSERT INTO quick_connect (hash, daemon_id, expires_at) VALUES (?1, ?2, ?3)
                 RETURNING strftime('%Y-%m-%dT%H:%M:%S.000Z', expires_at, 'unixepoch')",
                    params![digest(&code), daemon, time(now + lifetime)],
                    |row| row.get(0),
                )?;
                transaction.commit()?;
                Ok(NewCode { code, expires_at })
            })
            .await
    }

    /// Whose a code is, without using it up. `None` when it is unknown, used or over.
    pub(crate) async fn code(&self, code: &str, now: u64) -> Result<Option<String>, StoreError> {
        let hash = digest(code);
        self.reader
            .call(move |db| {
                let find = "SELECT daemon_id FROM quick_connect WHERE hash = ?1 AND expires_at > ?2";
                Ok(db.prepare_cached(find)?.query_row(params![hash, time(now)], |row| row.get(0)).optional()?)
            })
            .await
    }

    /// Uses a code up. `None` when it is unknown, used or over.
    pub(crate) async fn redeem_code(&self, code: &str, now: u64) -> Result<Option<String>, StoreError> {
        let hash = digest(code);
        self.writer
            .call(move |db| {
                let found: Option<(String, i64)> = db
                    .prepare_cached("DELETE FROM quick_connect WHERE hash = ?1 RETURNING daemon_id, expires_at")?
                    .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                Ok(found.filter(|(_, expires_at)| *expires_at > time(now)).map(|(daemon, _)| daemon))
            })
            .await
    }
}
