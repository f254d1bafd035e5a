//! Callbacks that never answer, in a real handshake.

#[path = "support/hostile.rs"]
mod support;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sideband::error::CallbackError;
use sideband::protocol::handshake::VerifiedIdentity;
use sideband::protocol::identity::{IdentityKeyPair, PublicKey};
use sideband::random;
use sideband::trust::{BoxFuture, IdentityKeyStore, TrustPolicy, TrustPrompt};
use support::{HostileRelay, client};

/// Never answers where it is told not to.
struct Silent {
    pinned: Option<PublicKey>,
    reads: bool,
}

impl IdentityKeyStore for Silent {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<PublicKey>, CallbackError>> {
        Box::pin(async { if self.reads { Ok(self.pinned) } else { pending().await } })
    }

    fn set<'a>(&'a self, _: &'a VerifiedIdentity) -> BoxFuture<'a, Result<(), CallbackError>> {
        Box::pin(pending())
    }
}

impl TrustPrompt for Silent {
    fn first_connection<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        Box::pin(pending())
    }

    fn identity_mismatch<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        Box::pin(pending())
    }
}

/// How a handshake ends whose callbacks do not answer.
async fn end(policy: impl FnOnce(Arc<Silent>) -> TrustPolicy, silent: Silent) -> String {
    let relay = HostileRelay::start().await;
    let silent = Arc::new(silent);
    let mut options = relay.client_options();
    options.handshake_timeout = Duration::from_millis(200);
    options.store = Arc::clone(&silent) as _;
    options.trust = policy(silent);
    let (_peer, mut ear) = client(options);
    let mut wire = relay.accept().await;
    wire.accept_handshake(&IdentityKeyPair::from_seed(&random::secret())).await;
    ear.until("state Negotiating").await;
    ear.next().await
}

#[tokio::test]
async fn a_store_that_never_answers_is_a_handshake_that_took_too_long() {
    for reads in [false, true] {
        let end = end(|_| TrustPolicy::Auto, Silent { pinned: None, reads }).await;
        assert!(end.starts_with("state Reconnecting handshake_timeout"), "{end}");
    }
}

#[tokio::test]
async fn a_person_who_never_answers_has_refused() {
    let prompt = |silent: Arc<Silent>| TrustPolicy::Prompt(silent);
    let first = end(prompt, Silent { pinned: None, reads: true }).await;
    assert!(first.starts_with("state Closed") && first.contains("handshake_failed"), "{first}");
    let other = IdentityKeyPair::from_seed(&random::secret()).public_key();
    let changed = end(prompt, Silent { pinned: Some(other), reads: true }).await;
    assert!(changed.starts_with("state Closed") && changed.contains("identity_key_changed"), "{changed}");
}
