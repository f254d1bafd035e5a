//! Users, their access tokens, what they may reach, and who lost access.

use rusqlite::{OptionalExtension, Transaction, params};
use zeroize::Zeroizing;

use super::{Store, StoreError, daemons::time, digest};
use crate::random;

/// A user just made, with the only sight of the token.
pub(crate) struct NewUser {
    pub(crate) id: String,
    pub(crate) access_token: Zeroizing<String>,
}

/// Whether a user may reach a daemon.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) enum Access {
    /// The token is nobody's, is over, or its user was revoked.
    NoUser,
    /// The user has no grant for this daemon.
    Denied,
    /// There is no such daemon.
    NoDaemon,
    /// The user may reach the daemon.
    Granted { user: String, max_sessions: Option<u32> },
}

/// Who was revoked.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) enum Revoked {
    Daemon(String),
    User(String),
}

/// A revocation and its place in the order of them.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Revocation {
    pub(crate) seq: i64,
    pub(crate) who: Revoked,
}

impl Store {
    /// Makes a user who may reach `daemons` (`"*"` stands for all), and an access token.
    pub(crate) async fn add_user(&self, daemons: Vec<String>, now: u64) -> Result<NewUser, StoreError> {
        let (id, access_token) = (random::user_id(), random::access_token());
        self.call(move |db| {
            let transaction = db.transaction()?;
            transaction.execute("INSERT INTO users (id, created_at) VALUES (?1, ?2)", params![id, time(now)])?;
            for daemon in &daemons {
                transaction.execute(
                    "INSERT OR IGNORE INTO grants (user_id, daemon_id) VALUES (?1, ?2)",
                    params![id, daemon],
                )?;
            }
            transaction.execute(
                "INSERT INTO access_tokens (hash, user_id, created_at) VALUES (?1, ?2, ?3)",
                params![digest(&access_token), id, time(now)],
            )?;
            transaction.commit()?;
            Ok(NewUser { id, access_token })
        })
        .await
    }

    /// Whether the bearer of an access token may reach a daemon.
    pub(crate) async fn access(&self, token: &str, daemon: &str, now: u64) -> Result<Access, StoreError> {
        let (hash, daemon) = (digest(token), daemon.to_owned());
        self.call(move |db| {
            let user: Option<String> = db
                .prepare_cached(
                    "SELECT user_id FROM access_tokens JOIN users ON users.id = user_id
                     WHERE hash = ?1 AND revoked_at IS NULL
                       AND (expires_at IS NULL OR expires_at > ?2)",
                )?
                .query_row(params![hash, time(now)], |row| row.get(0))
                .optional()?;
            let Some(user) = user else {
                return Ok(Access::NoUser);
            };
            let max_sessions: Option<Option<u32>> = db
                .prepare_cached("SELECT max_sessions FROM daemons WHERE id = ?1 AND revoked_at IS NULL")?
                .query_row([&daemon], |row| row.get(0))
                .optional()?;
            let Some(max_sessions) = max_sessions else {
                return Ok(Access::NoDaemon);
            };
            let granted = db
                .prepare_cached("SELECT 1 FROM grants WHERE user_id = ?1 AND daemon_id IN (?2, '*')")?
                .exists(params![user, daemon])?;
            Ok(if granted { Access::Granted { user, max_sessions } } else { Access::Denied })
        })
        .await
    }

    /// Whether a user's session tokens are still good. Those of Quick Connect and of foreign
    /// issuers belong to nobody in the table and are.
    pub(crate) async fn user_is_revoked(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.call(move |db| {
            Ok(db.prepare_cached("SELECT 1 FROM users WHERE id = ?1 AND revoked_at IS NOT NULL")?.exists([id])?)
        })
        .await
    }

    /// What was revoked since the revocation number `seq`, by this process or another.
    pub(crate) async fn revocations_after(&self, seq: i64) -> Result<Vec<Revocation>, StoreError> {
        self.call(move |db| {
            let mut all =
                db.prepare_cached("SELECT seq, kind, subject FROM revocations WHERE seq > ?1 ORDER BY seq")?;
            let rows = all.query_map([seq], |row| {
                let subject = row.get(2)?;
                Ok(Revocation {
                    seq: row.get(0)?,
                    who: match row.get_ref(1)?.as_str()? {
                        "user" => Revoked::User(subject),
                        _ => Revoked::Daemon(subject),
                    },
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The number of the latest revocation, 0 for none.
    pub(crate) async fn last_revocation(&self) -> Result<i64, StoreError> {
        self.call(|db| {
            Ok(db.prepare_cached("SELECT coalesce(max(seq), 0) FROM revocations")?.query_row([], |row| row.get(0))?)
        })
        .await
    }
}

/// Notes who lost access, in the transaction that takes it.
pub(super) fn note_revocation(
    transaction: &Transaction<'_>,
    kind: &str,
    subject: &str,
    now: u64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO revocations (kind, subject, at) VALUES (?1, ?2, ?3)",
        params![kind, subject, time(now)],
    )?;
    Ok(())
}
