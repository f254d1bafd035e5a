//! What the control plane remembers: daemons, users, codes, signing keys. SQLite behind one thread.
//!
//! A [`Store`] is a handle; the database belongs to threads of its own, because every call may
//! touch the disk and no connection of the relay may wait for one. Other processes (the admin
//! commands) may have the same file open: SQLite's own locks and write-ahead log keep them apart,
//! and [`Store::revocations_after`] finds what they revoked.
//!
//! API keys, access tokens and Quick Connect codes are stored as SHA-256 digests only. They are
//! random and long, so a fast hash is enough and nothing can be guessed from one.

mod access;
mod daemons;
mod keys;
mod quick_connect;
mod schema;

use std::{path::Path, sync::mpsc, thread};

use prometheus_client::metrics::counter::Counter;
use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

pub use access::UserRow;
pub(crate) use access::{Access, AddUser, Revocation, Revoked};
pub use daemons::DaemonRow;
pub(crate) use daemons::{AddDaemon, Daemon};
pub use keys::KeyRow;
pub(crate) use schema::{check_directory, open_private, prepare_directory};

/// Jobs that may wait for the database thread. More mean that the disk does not keep up; then a
/// request is refused with 503 rather than queued without end.
const QUEUE: usize = 1_024;

/// Why the store could not do it. Never the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, the database is locked, or too much is waiting for it. May pass.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The file is no database, or not of this version. Does not pass by itself.
    #[error("the database cannot be used: {0}")]
    Broken(String),
}

impl StoreError {
    /// Says which file it was.
    pub(crate) fn at(self, path: &Path) -> Self {
        let at = |why: String| format!("{}: {why}", path.display());
        match self {
            Self::Unavailable(why) => Self::Unavailable(at(why)),
            Self::Broken(why) => Self::Broken(at(why)),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Broken(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A thread with a connection to the database.
#[derive(Clone)]
struct Worker {
    jobs: mpsc::SyncSender<Job>,
    /// What could not be carried out.
    errors: Counter,
}

impl Worker {
    fn start(name: &str, mut connection: Connection, errors: &Counter) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::sync_channel::<Job>(QUEUE);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Ok(job) = inbox.recv() {
                    job(&mut connection);
                }
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { jobs, errors: errors.clone() })
    }

    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let result = self.run(job).await;
        if result.is_err() {
            self.errors.inc();
        }
        result
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more when the request was dropped; a write happened all the same.
            let _ = reply.send(job(connection));
        });
        self.jobs.try_send(job).map_err(|error| {
            StoreError::Unavailable(match error {
                mpsc::TrySendError::Full(_) => "too many requests are waiting".to_owned(),
                mpsc::TrySendError::Disconnected(_) => "its thread has ended".to_owned(),
            })
        })?;
        answer.await.map_err(|_| StoreError::Unavailable("its thread has ended".to_owned()))?
    }
}

/// A handle to the database. Cheap to clone; the threads end with the last one.
///
/// Reading has a thread of its own where there is a file, so that a write that waits for another
/// process or for the disk keeps no connection from being let in.
#[derive(Clone)]
pub(crate) struct Store {
    reader: Worker,
    writer: Worker,
}

impl Store {
    /// A store that lives as long as its handles. What it cannot carry out is counted in `errors`.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub(crate) fn in_memory(errors: &Counter) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection)?;
        let worker = Worker::start("sideband-store", connection, errors)?;
        Ok(Self { reader: worker.clone(), writer: worker })
    }

    /// The store in a data directory; both are created where they are missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, is no database, or belongs to a later version.
    pub(crate) fn open(directory: &Path, errors: &Counter) -> Result<Self, StoreError> {
        let path = schema::prepare(directory)?;
        let mut writer = schema::open(&path)?;
        schema::migrate(&mut writer).map_err(|error| error.at(&path))?;
        let reader = schema::open(&path)?;
        Ok(Self {
            reader: Worker::start("sideband-reader", reader, errors)?,
            writer: Worker::start("sideband-writer", writer, errors)?,
        })
    }

    /// Whether the file is whole; what is wrong with it otherwise, in one line.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.reader
            .call(|db| {
                let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
                if found == "ok" { Ok(()) } else { Err(StoreError::Broken(found.replace('\n', " "))) }
            })
            .await
    }

    /// Whether anything can be written.
    pub(crate) async fn check_writing(&self) -> Result<(), StoreError> {
        self.writer
            .call(|db| {
                let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                transaction
                    .execute("INSERT INTO settings (name, value) VALUES ('check', x'') ON CONFLICT DO NOTHING", [])?;
                transaction.execute("DELETE FROM settings WHERE name = 'check'", [])?;
                Ok(transaction.commit()?)
            })
            .await
    }

    /// A number that changes when another process, or this one's writer, has changed the file.
    pub(crate) async fn version(&self) -> Result<i64, StoreError> {
        self.reader.call(|db| Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?)).await
    }
}

/// What is stored of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::{Store, StoreError};
    use crate::store::AddDaemon;

    #[tokio::test]
    async fn a_full_disk_refuses_writes_and_goes_on_reading() {
        let directory = tempfile::tempdir().unwrap();
        let errors = Counter::default();
        let store = Store::open(directory.path(), &errors).unwrap();
        assert!(matches!(store.add_daemon("d".to_owned(), None, 1).await.unwrap(), AddDaemon::Added(_)));
        // The database may not grow any more, which is what a full disk comes to.
        let limit = |pages: i64| store.writer.call(move |db| Ok(db.pragma_update(None, "max_page_count", pages)?));
        limit(1).await.unwrap();
        let full = loop {
            if let Err(error) = store.add_user(None, 1).await {
                break error;
            }
        };
        assert!(matches!(full, StoreError::Unavailable(_)), "{full}");
        assert_eq!(errors.get(), 1);
        assert!(store.daemon("d").await.unwrap().is_some(), "reading goes on");
        limit(1_000_000).await.unwrap();
        store.add_user(None, 1).await.expect("with room again it works again");
    }
}
