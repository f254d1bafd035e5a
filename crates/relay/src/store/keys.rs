//! The issuer's signing keys and other lasting secrets.

use rusqlite::{Connection, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    Store, StoreError,
    daemons::{seconds, time},
    digest,
};
use crate::{
    random,
    token::{Jwks, SigningKey},
};

/// How long a retired key stays published, in seconds: the longest life of a token signed with it,
/// the clocks' skew, and the time for which relays keep a key set.
const PUBLISHED_FOR: u64 = 3_600 + 30 + 300;

/// One line of `keys list`.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct KeyRow {
    /// The key's id.
    pub kid: String,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// When it stopped signing.
    pub retired_at: Option<u64>,
}

fn insert(db: &Connection, key: &SigningKey, now: u64) -> rusqlite::Result<()> {
    let insert = "INSERT INTO signing_keys (kid, seed, created_at) VALUES (?1, ?2, ?3)";
    db.execute(insert, params![key.kid(), key.seed().as_slice(), time(now)])?;
    Ok(())
}

/// The key that signs, and all that are published; `None` while no key signs.
fn published(db: &Connection, now: u64) -> Result<Option<(SigningKey, Jwks)>, StoreError> {
    let mut all = db.prepare_cached(
        "SELECT seed, retired_at IS NULL FROM signing_keys WHERE retired_at IS NULL OR retired_at > ?1
         ORDER BY created_at, kid",
    )?;
    let mut rows = all.query([time(now.saturating_sub(PUBLISHED_FOR))])?;
    let (mut signing, mut jwks) = (None, Jwks::default());
    while let Some(row) = rows.next()? {
        let key = SigningKey::from_seed(&Zeroizing::new(row.get(0)?));
        jwks.keys.push(key.jwk());
        if row.get(1)? {
            signing = Some(key);
        }
    }
    Ok(signing.map(|key| (key, jwks)))
}

impl Store {
    /// The key that signs now, made at the first call, and every key that is still published.
    pub(crate) async fn signing_keys(&self, now: u64) -> Result<(SigningKey, Jwks), StoreError> {
        // Only the first call ever has to write; a database that somebody else has locked is no
        // reason not to know the keys.
        if let Some(keys) = self.reader.call(move |db| published(db, now)).await? {
            return Ok(keys);
        }
        let fresh = random::bytes::<32>();
        self.writer
            .call(move |db| {
                let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                // Another process may have been quicker.
                if published(&transaction, now)?.is_none() {
                    insert(&transaction, &SigningKey::from_seed(&fresh), now)?;
                }
                let keys = published(&transaction, now)?;
                transaction.commit()?;
                keys.ok_or_else(|| StoreError::Broken("the signing key is gone".to_owned()))
            })
            .await
    }

    /// Makes a new signing key. The old ones stay published until their tokens are dead, and then
    /// are deleted. Returns the new one's id.
    pub(crate) async fn rotate_signing_key(&self, now: u64) -> Result<String, StoreError> {
        let fresh = random::bytes::<32>();
        self.writer
            .call(move |db| {
                let key = SigningKey::from_seed(&fresh);
                let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let retire = "UPDATE signing_keys SET retired_at = ?1 WHERE retired_at IS NULL";
                transaction.execute(retire, [time(now)])?;
                let forget = "DELETE FROM signing_keys WHERE retired_at <= ?1";
                transaction.execute(forget, [time(now.saturating_sub(PUBLISHED_FOR))])?;
                insert(&transaction, &key, now)?;
                transaction.commit()?;
                Ok(key.kid().to_owned())
            })
            .await
    }

    /// The keys of `keys list`: id, when made, when retired.
    pub(crate) async fn list_signing_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.reader
            .call(|db| {
                let mut all =
                    db.prepare_cached("SELECT kid, created_at, retired_at FROM signing_keys ORDER BY created_at, kid")?;
                let rows = all.query_map([], |row| {
                    Ok(KeyRow {
                        kid: row.get(0)?,
                        created_at: seconds(row.get(1)?),
                        retired_at: row.get::<_, Option<i64>>(2)?.map(seconds),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Makes the token for the admin endpoints, in place of the one before.
    pub(crate) async fn set_admin_token(&self) -> Result<Zeroizing<String>, StoreError> {
        let token = random::admin_token();
        self.writer
            .call(move |db| {
                let set = "INSERT INTO settings (name, value) VALUES ('admin_token', ?1)
                           ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                db.execute(set, [digest(&token)])?;
                Ok(token)
            })
            .await
    }

    /// Whether that is the token for the admin endpoints. There is none until one is made.
    pub(crate) async fn is_admin_token(&self, token: &str) -> Result<bool, StoreError> {
        let hash = digest(token);
        self.reader
            .call(move |db| {
                let find = "SELECT 1 FROM settings WHERE name = 'admin_token' AND value = ?1";
                Ok(db.prepare_cached(find)?.exists([hash])?)
            })
            .await
    }
}
