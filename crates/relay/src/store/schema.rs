//! Opening the file and bringing its tables up to date.

use std::{
    fmt::Display,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;

use super::StoreError;

/// Written into the file's header, so that another program's database is not taken for ours.
const APPLICATION_ID: i32 = 0x5342_5259; // "SBRY"

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// One entry per version of the schema, applied in order; never changed once released.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE daemons (
        id TEXT PRIMARY KEY,
        key_hash BLOB UNIQUE,              -- NULL once revoked
        created_at INTEGER NOT NULL,
        revoked_at INTEGER,
        valid_from INTEGER NOT NULL,       -- presence tokens issued before are refused
        max_sessions INTEGER
    ) STRICT;
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
    CREATE TABLE grants (
        user_id TEXT NOT NULL REFERENCES users (id),
        daemon_id TEXT NOT NULL,           -- '*' stands for every daemon
        PRIMARY KEY (user_id, daemon_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE access_tokens (
        hash BLOB PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (id),
        created_at INTEGER NOT NULL,
        expires_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE quick_connect (
        hash BLOB PRIMARY KEY,
        daemon_id TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX quick_connect_expiry ON quick_connect (expires_at);
    CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        seed BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        retired_at INTEGER                 -- signs no more; stays published until its tokens are dead
    ) STRICT;
    CREATE TABLE revocations (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,                -- 'daemon' or 'user'
        subject TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
"];

/// The database's name in the data directory.
const FILE: &str = "relay.db";

/// Makes sure that the data directory is there, readable by its owner only.
pub(crate) fn prepare_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|error| broken(directory, &error))
}

/// Whether it is a directory, or may become one: the same without making it.
pub(crate) fn check_directory(directory: &Path) -> Result<(), StoreError> {
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => Err(broken(directory, &"it is not a directory")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(broken(directory, &error)),
        _ => Ok(()),
    }
}

fn broken(path: &Path, error: &dyn Display) -> StoreError {
    StoreError::Broken(format!("{}: {error}", path.display()))
}

/// Makes sure that the directory and the file are there.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, StoreError> {
    prepare_directory(directory)?;
    let path = directory.join(FILE);
    // Created before SQLite does, so that there is no moment at which others can read it.
    open_private(&path)?;
    Ok(path)
}

/// Opens a file for reading and writing, made readable by its owner only if it is missing.
pub(crate) fn open_private(path: &Path) -> Result<File, StoreError> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| broken(path, &error))
}

/// Opens the file.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let set_up = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // With the log flushed at every commit, a committed key or revocation survives a kill of
        // the process and of the machine.
        connection.pragma_update(None, "synchronous", "full")?;
        Ok(connection)
    };
    set_up().map_err(|error| StoreError::from(error).at(path))
}

/// Applies what is missing, all or nothing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let version = number("user_version")?;
    let application = number("application_id")?;
    if version > 0 && application != APPLICATION_ID {
        return Err(StoreError::Broken("it is another program's".to_owned()));
    }
    let applied = usize::try_from(version).ok().filter(|applied| *applied <= MIGRATIONS.len()).ok_or_else(|| {
        StoreError::Broken(format!(
            "it is of schema version {version}, and this program knows {} at most",
            MIGRATIONS.len()
        ))
    })?;
    if applied < MIGRATIONS.len() {
        for migration in &MIGRATIONS[applied..] {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let latest = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
        transaction.pragma_update(None, "user_version", latest)?;
    }
    transaction.commit()?;
    Ok(())
}
