//! The issuer's signing keys and other lasting secrets.

use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

use super::{Store, StoreError, daemons::time};
use crate::{
    random,
    token::{Jwks, SigningKey},
};

impl Store {
    /// The key that signs now, made at the first call, and every key that is still published.
    pub(crate) async fn signing_keys(&self, now: u64) -> Result<(SigningKey, Jwks), StoreError> {
        let fresh = random::bytes::<32>();
        self.call(move |db| {
            let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let any = transaction.prepare_cached("SELECT 1 FROM signing_keys WHERE retired_at IS NULL")?.exists([])?;
            if !any {
                let key = SigningKey::from_seed(&fresh);
                transaction.execute(
                    "INSERT INTO signing_keys (kid, seed, created_at) VALUES (?1, ?2, ?3)",
                    params![key.kid(), key.seed().as_slice(), time(now)],
                )?;
            }
            let mut keys = Vec::new();
            {
                let mut all = transaction
                    .prepare_cached("SELECT seed FROM signing_keys ORDER BY retired_at IS NULL, created_at, kid")?;
                let mut rows = all.query([])?;
                while let Some(row) = rows.next()? {
                    keys.push(SigningKey::from_seed(&Zeroizing::new(row.get(0)?)));
                }
            }
            transaction.commit()?;
            let jwks = Jwks { keys: keys.iter().map(SigningKey::jwk).collect() };
            // The order puts the one that signs last.
            let current = keys.pop();
            current.map(|key| (key, jwks)).ok_or_else(|| StoreError::Broken("the signing key is gone".to_owned()))
        })
        .await
    }

    /// A lasting value of that name; `fresh` is kept if there is none yet.
    pub(crate) async fn setting(
        &self,
        name: &'static str,
        fresh: Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.call(move |db| {
            db.execute(
                "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
                params![name, fresh.as_slice()],
            )?;
            let value =
                db.query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0)).optional()?;
            Ok(Zeroizing::new(value.unwrap_or_default()))
        })
        .await
    }
}
