//! Users, their access tokens, what they may reach, and who lost access.

use rusqlite::{OptionalExtension, Transaction, params};
use zeroize::Zeroizing;

use super::{
    Store, StoreError,
    daemons::{seconds, time},
    digest,
};
use crate::random;

/// The grant that stands for every daemon.
const ALL_DAEMONS: &str = "*";

/// A user just made, with the only sight of the token.
pub(crate) struct NewUser {
    pub(crate) id: String,
    pub(crate) access_token: Zeroizing<String>,
}

/// What became of [`Store::add_user`].
pub(crate) enum AddUser {
    Added(NewUser),
    /// There is no daemon of this id, or it was revoked.
    NoDaemon(String),
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

/// One line of `user list`.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct UserRow {
    /// The user's id.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// When it was revoked.
    pub revoked_at: Option<u64>,
    /// The daemons it may reach; `*` stands for all.
    pub daemons: Vec<String>,
}

/// Who was revoked.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) enum Revoked {
    /// A daemon, for good.
    Daemon(String),
    /// A daemon's API key, in place of which it has another now.
    Key(String),
    User(String),
}

impl Revoked {
    /// What is written in the database and told to relays.
    pub(crate) fn new(kind: &str, subject: String) -> Self {
        match kind {
            "user" => Self::User(subject),
            "key" => Self::Key(subject),
            _ => Self::Daemon(subject),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Daemon(_) => "daemon",
            Self::Key(_) => "key",
            Self::User(_) => "user",
        }
    }

    pub(crate) fn into_subject(self) -> String {
        match self {
            Self::Daemon(subject) | Self::Key(subject) | Self::User(subject) => subject,
        }
    }
}

/// A revocation and its place in the order of them.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Revocation {
    pub(crate) seq: i64,
    pub(crate) who: Revoked,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// Makes a user who may reach `daemons`, or all of them (`None`), and an access token.
    pub(crate) async fn add_user(&self, daemons: Option<Vec<String>>, now: u64) -> Result<AddUser, StoreError> {
        let (id, access_token) = (random::user_id(), random::access_token());
        self.writer
            .call(move |db| {
                let transaction = db.transaction()?;
                transaction.execute("INSERT INTO users (id, created_at) VALUES (?1, ?2)", params![id, time(now)])?;
                let grant = |daemon: &str| {
                    let grant = "INSERT OR IGNORE INTO grants (user_id, daemon_id) VALUES (?1, ?2)";
                    transaction.execute(grant, params![id, daemon])
                };
                if daemons.is_none() {
                    grant(ALL_DAEMONS)?;
                }
                for daemon in daemons.into_iter().flatten() {
                    let there = "SELECT 1 FROM daemons WHERE id = ?1 AND revoked_at IS NULL";
                    if !transaction.prepare_cached(there)?.exists([&daemon])? {
                        // Dropping the transaction takes the user back.
                        return Ok(AddUser::NoDaemon(daemon));
                    }
                    grant(&daemon)?;
                }
                transaction.execute(
                    "INSERT INTO access_tokens (hash, user_id, created_at) VALUES (?1, ?2, ?3)",
                    params![digest(&access_token), id, time(now)],
                )?;
                transaction.commit()?;
                Ok(AddUser::Added(NewUser { id, access_token }))
            })
            .await
    }

    /// Gives a user another access token, which ends at `expires_at` if that is given. `None` when
    /// there is no such user.
    pub(crate) async fn add_token(
        &self,
        user: &str,
        expires_at: Option<u64>,
        now: u64,
    ) -> Result<Option<Zeroizing<String>>, StoreError> {
        let (user, token) = (user.to_owned(), random::access_token());
        self.writer
            .call(move |db| {
                let added = db.execute(
                    "INSERT INTO access_tokens (hash, user_id, created_at, expires_at)
                     SELECT ?1, id, ?3, ?4 FROM users WHERE id = ?2 AND revoked_at IS NULL",
                    params![digest(&token), user, time(now), expires_at.map(time)],
                )?;
                Ok((added == 1).then_some(token))
            })
            .await
    }

    /// Ends a user for good: tokens and, by the revocation noted, live connections. `false` when
    /// there is no such user.
    pub(crate) async fn revoke_user(&self, id: &str, now: u64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .call(move |db| {
                let transaction = db.transaction()?;
                let revoke = "UPDATE users SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
                let revoked = transaction.execute(revoke, params![id, time(now)])?;
                if revoked == 1 {
                    transaction.execute("DELETE FROM access_tokens WHERE user_id = ?1", [&id])?;
                    note_revocation(&transaction, "user", &id, now)?;
                }
                transaction.commit()?;
                Ok(revoked == 1)
            })
            .await
    }

    /// All users, the revoked ones too, in the order they were made.
    pub(crate) async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.reader
            .call(|db| {
                let mut all = db.prepare_cached(
                    "SELECT id, created_at, revoked_at, group_concat(daemon_id, ' ')
                     FROM users LEFT JOIN grants ON user_id = id GROUP BY id ORDER BY created_at, id",
                )?;
                let rows = all.query_map([], |row| {
                    let daemons: Option<String> = row.get(3)?;
                    Ok(UserRow {
                        id: row.get(0)?,
                        created_at: seconds(row.get(1)?),
                        revoked_at: row.get::<_, Option<i64>>(2)?.map(seconds),
                        daemons: daemons.iter().flat_map(|all| all.split(' ')).map(str::to_owned).collect(),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Whether the bearer of an access token may reach a daemon.
    pub(crate) async fn access(&self, token: &str, daemon: &str, now: u64) -> Result<Access, StoreError> {
        let (hash, daemon) = (digest(token), daemon.to_owned());
        self.reader
            .call(move |db| {
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
        self.reader
            .call(move |db| {
                Ok(db.prepare_cached("SELECT 1 FROM users WHERE id = ?1 AND revoked_at IS NOT NULL")?.exists([id])?)
            })
            .await
    }

    /// What was revoked since the revocation number `seq`, by this process or another.
    pub(crate) async fn revocations_after(&self, seq: i64) -> Result<Vec<Revocation>, StoreError> {
        self.reader
            .call(move |db| {
                let mut all =
                    db.prepare_cached("SELECT seq, kind, subject, at FROM revocations WHERE seq > ?1 ORDER BY seq")?;
                let rows = all.query_map([seq], |row| {
                    Ok(Revocation {
                        seq: row.get(0)?,
                        who: Revoked::new(row.get_ref(1)?.as_str()?, row.get(2)?),
                        at: seconds(row.get(3)?),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The number of the latest revocation, 0 for none.
    pub(crate) async fn last_revocation(&self) -> Result<i64, StoreError> {
        self.reader
            .call(|db| {
                Ok(db
                    .prepare_cached("SELECT coalesce(max(seq), 0) FROM revocations")?
                    .query_row([], |row| row.get(0))?)
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
