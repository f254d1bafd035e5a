//! What an operator does with the database, whether a relay runs on it or not.

use std::path::Path;

use prometheus_client::metrics::counter::Counter;

use crate::{
    control::unix_time,
    random,
    store::{AddDaemon, AddUser, Store},
};

pub use crate::store::{DaemonRow, KeyRow, StoreError, UserRow};

/// Most characters of a daemon id.
const MAX_DAEMON_ID: usize = 128;

/// Longest life of a Quick Connect code, and the default, in seconds.
pub const MAX_CODE_SECONDS: u64 = 300;

/// Why an admin's command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is or was a daemon of that id; ids are given out once.
    #[error("there is or was a daemon {0}")]
    Exists(String),
    /// There is none of that id, or it was revoked.
    #[error("there is no {what} {id}")]
    NotFound {
        /// `daemon` or `user`.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A daemon's id and key.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct DaemonCredentials {
    /// Its id.
    pub daemon_id: String,
    /// Its API key. Shown only here.
    pub api_key: String,
}

/// A user's id and token.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct UserCredentials {
    /// Its id.
    pub user_id: String,
    /// Its access token. Shown only here.
    pub access_token: String,
}

/// A Quick Connect code.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct QuickConnectCode {
    /// As people type it, `abcd-efgh-ijkl`.
    pub code: String,
    /// When it ends, as ISO 8601 in UTC.
    pub expires_at: String,
}

/// The daemons, users and keys of one data directory. A relay that runs on it notices every change
/// within a second.
#[derive(Clone)]
pub struct Admin {
    store: Store,
}

impl Admin {
    /// Opens a data directory, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When the database cannot be used.
    pub fn open(data_dir: &Path) -> Result<Self, AdminError> {
        Ok(Self::new(Store::open(data_dir, &Counter::default())?))
    }

    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Registers a daemon: of that id, or of a random one.
    ///
    /// # Errors
    ///
    /// When the id is none, or is or was taken.
    pub async fn add_daemon(
        &self,
        id: Option<&str>,
        max_sessions: Option<u32>,
    ) -> Result<DaemonCredentials, AdminError> {
        let id = id.map_or_else(random::daemon_id, str::to_owned);
        if !is_daemon_id(&id) {
            let rule = "a daemon id is 1 to 128 of the characters A-Z a-z 0-9 . _ : -";
            return Err(AdminError::Invalid(rule.to_owned()));
        }
        if max_sessions == Some(0) {
            return Err(AdminError::Invalid("a daemon has at least 1 session".to_owned()));
        }
        match self.store.add_daemon(id.clone(), max_sessions, unix_time()).await? {
            AddDaemon::Added(new) => Ok(DaemonCredentials { daemon_id: new.id, api_key: new.api_key.to_string() }),
            AddDaemon::Exists => Err(AdminError::Exists(id)),
        }
    }

    /// All daemons, by id.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn daemons(&self) -> Result<Vec<DaemonRow>, AdminError> {
        Ok(self.store.daemons().await?)
    }

    /// Ends a daemon for good. Its live connection is closed.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn revoke_daemon(&self, id: &str) -> Result<(), AdminError> {
        let revoked = self.store.revoke_daemon(id, unix_time()).await?;
        revoked.then_some(()).ok_or_else(|| not_found("daemon", id))
    }

    /// Gives a daemon a new API key. What was got with the old one ends.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn rotate_daemon_key(&self, id: &str) -> Result<DaemonCredentials, AdminError> {
        let new = self.store.rotate_daemon_key(id, unix_time()).await?;
        let new = new.ok_or_else(|| not_found("daemon", id))?;
        Ok(DaemonCredentials { daemon_id: new.id, api_key: new.api_key.to_string() })
    }

    /// Makes a user who may reach these daemons, or all of them (`None`), also later ones.
    ///
    /// # Errors
    ///
    /// When there is no daemon of one of the ids, or it was revoked; then no user is made.
    pub async fn add_user(&self, daemons: Option<&[String]>) -> Result<UserCredentials, AdminError> {
        if let Some(bad) = daemons.into_iter().flatten().find(|id| !is_daemon_id(id)) {
            return Err(AdminError::Invalid(format!("{bad:?} is no daemon id")));
        }
        match self.store.add_user(daemons.map(<[String]>::to_vec), unix_time()).await? {
            AddUser::Added(new) => Ok(UserCredentials { user_id: new.id, access_token: new.access_token.to_string() }),
            AddUser::NoDaemon(id) => Err(not_found("daemon", &id)),
        }
    }

    /// Gives a user another access token, good for that many seconds or without end.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn add_token(&self, user: &str, seconds: Option<u64>) -> Result<UserCredentials, AdminError> {
        let now = unix_time();
        let expires_at = seconds.map(|seconds| now.saturating_add(seconds));
        let token = self.store.add_token(user, expires_at, now).await?;
        let token = token.ok_or_else(|| not_found("user", user))?;
        Ok(UserCredentials { user_id: user.to_owned(), access_token: token.to_string() })
    }

    /// All users, in the order they were made.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn users(&self) -> Result<Vec<UserRow>, AdminError> {
        Ok(self.store.users().await?)
    }

    /// Ends a user for good. Live connections are closed.
    ///
    /// # Errors
    ///
    /// When there is none of that id.
    pub async fn revoke_user(&self, id: &str) -> Result<(), AdminError> {
        let revoked = self.store.revoke_user(id, unix_time()).await?;
        revoked.then_some(()).ok_or_else(|| not_found("user", id))
    }

    /// Makes a new signing key; the old one stays published until its tokens are dead. Returns the
    /// new one's id.
    ///
    /// # Errors
    ///
    /// When the database does not do it.
    pub async fn rotate_signing_key(&self) -> Result<String, AdminError> {
        Ok(self.store.rotate_signing_key(unix_time()).await?)
    }

    /// All signing keys, the oldest first.
    ///
    /// # Errors
    ///
    /// When the database does not answer.
    pub async fn signing_keys(&self) -> Result<Vec<KeyRow>, AdminError> {
        Ok(self.store.list_signing_keys().await?)
    }

    /// Makes a Quick Connect code for a daemon.
    ///
    /// # Errors
    ///
    /// When there is no such daemon, or the code's life is not 1 to 300 seconds.
    pub async fn add_code(&self, daemon: &str, seconds: u64) -> Result<QuickConnectCode, AdminError> {
        if !(1..=MAX_CODE_SECONDS).contains(&seconds) {
            return Err(AdminError::Invalid("a code lives 1 to 300 seconds".to_owned()));
        }
        if self.store.daemon(daemon).await?.is_none() {
            return Err(not_found("daemon", daemon));
        }
        let new = self.store.add_code(daemon, seconds, unix_time()).await?;
        let groups = [&new.code[..4], &new.code[4..8], &new.code[8..]];
        Ok(QuickConnectCode { code: groups.join("-"), expires_at: new.expires_at })
    }

    /// Whether the database is whole and can be written to.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub async fn check(&self) -> Result<(), AdminError> {
        self.store.check().await?;
        Ok(self.store.check_writing().await?)
    }

    /// Makes the token for the admin endpoints; the one before is no longer good.
    ///
    /// # Errors
    ///
    /// When the database does not do it.
    pub async fn set_admin_token(&self) -> Result<String, AdminError> {
        Ok(self.store.set_admin_token().await?.to_string())
    }
}

fn not_found(what: &'static str, id: &str) -> AdminError {
    AdminError::NotFound { what, id: id.to_owned() }
}

/// What a daemon id may look like: what needs no quoting anywhere.
fn is_daemon_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_DAEMON_ID).contains(&id.len()) && id.bytes().all(fits)
}
