//! Whom a client trusts: the pinned identity key of a daemon, and what to do without one or with another one.
//!
//! The order is fixed by the types: `settle` takes a [`VerifiedAccept`], which only a good signature makes, and a store
//! is given the key as a [`VerifiedIdentity`]. Session keys are derived after `settle` said yes (section 2, step 3).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sideband_protocol::handshake::{PinMatch, VerifiedAccept, VerifiedIdentity};
use sideband_protocol::identity::PublicKey;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::error::{CallbackError, Error, SbrpErrorCode};

/// A boxed future, so that hosts can implement the traits here as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where pinned identity keys live.
pub trait IdentityKeyStore: Send + Sync + 'static {
    /// The pinned key of a daemon, if there is one.
    fn get<'a>(&'a self, daemon_id: &'a str) -> BoxFuture<'a, Result<Option<PublicKey>, CallbackError>>;

    /// Pins a key whose signature was verified.
    fn set<'a>(&'a self, identity: &'a VerifiedIdentity) -> BoxFuture<'a, Result<(), CallbackError>>;
}

/// Asks a person.
pub trait TrustPrompt: Send + Sync + 'static {
    /// Whether to trust a daemon that was never seen, by its key's fingerprint.
    fn first_connection<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>>;

    /// Whether to trust a key that is not the pinned one.
    fn identity_mismatch<'a>(
        &'a self,
        expected: &'a str,
        received: &'a str,
    ) -> BoxFuture<'a, Result<bool, CallbackError>>;
}

/// What to do with a key that is not pinned, or not the pinned one.
#[derive(Clone)]
pub enum TrustPolicy {
    /// Pin what comes, and go on.
    Auto,
    /// Ask, and pin on yes.
    Prompt(Arc<dyn TrustPrompt>),
    /// Refuse.
    PinnedOnly,
}

/// Applies the policy to a verified identity and pins it where the policy says so. Who was asked has until `deadline`.
///
/// # Errors
/// A refusal, fatal, which saying nothing is too; or the store's or the prompt's own failure.
pub(crate) async fn settle(
    policy: &TrustPolicy,
    store: &dyn IdentityKeyStore,
    accept: &VerifiedAccept,
    deadline: Instant,
) -> Result<(), Error> {
    let identity = accept.identity();
    let received = identity.public_key().fingerprint();
    match (accept.pin(), policy) {
        (PinMatch::Equal, _) => return Ok(()),
        (PinMatch::None | PinMatch::Differs { .. }, TrustPolicy::Auto) => {}
        (PinMatch::None, TrustPolicy::Prompt(prompt)) => {
            let answer = timeout_at(deadline, prompt.first_connection(&received)).await;
            permitted(answer, SbrpErrorCode::HandshakeFailed, "the daemon's identity was not accepted")?;
        }
        (PinMatch::Differs { pinned }, TrustPolicy::Prompt(prompt)) => {
            let answer = timeout_at(deadline, prompt.identity_mismatch(&pinned.fingerprint(), &received)).await;
            permitted(
                answer,
                SbrpErrorCode::IdentityKeyChanged,
                "the daemon's identity changed, and the change was not accepted",
            )?;
        }
        (PinMatch::None, TrustPolicy::PinnedOnly) => {
            return Err(Error::sbrp(SbrpErrorCode::HandshakeFailed, "no identity key is pinned for this daemon"));
        }
        (PinMatch::Differs { .. }, TrustPolicy::PinnedOnly) => {
            let message = "the daemon shows another identity key than the pinned one";
            return Err(Error::sbrp(SbrpErrorCode::IdentityKeyChanged, message));
        }
    }
    let pinning = timeout_at(deadline, store.set(identity)).await;
    let pinned =
        pinning.map_err(|_| Error::sbrp(SbrpErrorCode::HandshakeTimeout, "the key store did not answer in time"))?;
    pinned.map_err(Error::from)
}

fn permitted(
    answer: Result<Result<bool, CallbackError>, Elapsed>,
    code: SbrpErrorCode,
    message: &str,
) -> Result<(), Error> {
    match answer {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Error::sbrp(code, message)),
        Err(_) => Err(Error::sbrp(code, format!("{message} in time"))),
        Ok(Err(thrown)) => {
            let cause = Some(Arc::new(Error::Callback(thrown)));
            Err(Error::Sbrp { code, message: message.to_owned(), cause })
        }
    }
}

#[cfg(test)]
mod tests;
