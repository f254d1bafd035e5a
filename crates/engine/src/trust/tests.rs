//! Every row of the trust table, with the store's content looked at afterwards.

use std::sync::Mutex;

use sideband_protocol::handshake::{ClientHandshake, accept};
use sideband_protocol::identity::IdentityKeyPair;

use super::*;
use crate::random;
use crate::sdk::MemoryStore;

const DAEMON: &str = "d_trust";

/// Answers as told, and writes down what it was asked.
struct Answering {
    answer: Result<bool, CallbackError>,
    asked: Mutex<Vec<String>>,
}

impl TrustPrompt for Answering {
    fn first_connection<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        self.asked.lock().unwrap().push(fingerprint.to_owned());
        Box::pin(std::future::ready(self.answer.clone()))
    }

    fn identity_mismatch<'a>(
        &'a self,
        expected: &'a str,
        received: &'a str,
    ) -> BoxFuture<'a, Result<bool, CallbackError>> {
        self.asked.lock().unwrap().push(format!("{expected} {received}"));
        Box::pin(std::future::ready(self.answer.clone()))
    }
}

struct Row {
    store: MemoryStore,
    received: PublicKey,
    pinned: Option<PublicKey>,
    outcome: Result<(), Error>,
    asked: Vec<String>,
}

#[derive(Clone, Copy)]
enum Pin {
    None,
    Equal,
    Differs,
}

enum Policy {
    Auto,
    Prompt(Result<bool, CallbackError>),
    PinnedOnly,
}

/// One handshake against a daemon, then the policy.
async fn row(pin: Pin, policy: Policy) -> Row {
    let identity = IdentityKeyPair::from_seed(&random::secret());
    let store = MemoryStore::default();
    let pinned = match pin {
        Pin::None => None,
        Pin::Equal => Some(identity.public_key()),
        Pin::Differs => Some(IdentityKeyPair::from_seed(&random::secret()).public_key()),
    };
    if let Some(key) = pinned {
        store.pin(DAEMON, key);
    }
    let client = ClientHandshake::start(random::secret());
    let (payload, _) = accept(&identity, DAEMON, random::secret(), &client.init_payload()).unwrap();
    let verified = client.verify(DAEMON, &payload, pinned.as_ref()).unwrap();

    let prompt = Arc::new(Answering {
        answer: match &policy {
            Policy::Prompt(answer) => answer.clone(),
            _ => Ok(false),
        },
        asked: Mutex::default(),
    });
    let policy = match policy {
        Policy::Auto => TrustPolicy::Auto,
        Policy::Prompt(_) => TrustPolicy::Prompt(Arc::clone(&prompt) as Arc<dyn TrustPrompt>),
        Policy::PinnedOnly => TrustPolicy::PinnedOnly,
    };
    let deadline = Instant::now() + std::time::Duration::from_secs(60);
    let outcome = settle(&policy, &store, &verified, deadline).await;
    let asked = prompt.asked.lock().unwrap().clone();
    Row { store, received: identity.public_key(), pinned, outcome, asked }
}

impl Row {
    fn is_pinned(&self, expected: Option<PublicKey>) -> bool {
        self.store.pinned(DAEMON) == expected
    }

    fn refused_with(&self, expected: SbrpErrorCode) -> bool {
        matches!(&self.outcome, Err(error @ Error::Sbrp { code, .. }) if *code == expected && error.is_fatal())
    }
}

#[tokio::test]
async fn an_equal_pin_goes_on_whatever_the_policy() {
    for policy in [Policy::Auto, Policy::Prompt(Ok(false)), Policy::PinnedOnly] {
        let row = row(Pin::Equal, policy).await;
        assert!(row.outcome.is_ok() && row.asked.is_empty() && row.is_pinned(Some(row.received)));
    }
}

#[tokio::test]
async fn auto_pins_and_repins() {
    for pin in [Pin::None, Pin::Differs] {
        let row = row(pin, Policy::Auto).await;
        assert!(row.outcome.is_ok() && row.is_pinned(Some(row.received)));
    }
}

#[tokio::test]
async fn prompt_pins_on_yes_and_shows_the_fingerprints() {
    let first = row(Pin::None, Policy::Prompt(Ok(true))).await;
    assert!(first.outcome.is_ok() && first.is_pinned(Some(first.received)));
    assert_eq!(first.asked, [first.received.fingerprint()]);

    let changed = row(Pin::Differs, Policy::Prompt(Ok(true))).await;
    assert!(changed.outcome.is_ok() && changed.is_pinned(Some(changed.received)));
    let expected = changed.pinned.unwrap().fingerprint();
    assert_eq!(changed.asked, [format!("{expected} {}", changed.received.fingerprint())]);
}

#[tokio::test]
async fn prompt_refuses_on_no_and_pins_nothing() {
    let first = row(Pin::None, Policy::Prompt(Ok(false))).await;
    assert!(first.refused_with(SbrpErrorCode::HandshakeFailed) && first.is_pinned(None));
    let changed = row(Pin::Differs, Policy::Prompt(Ok(false))).await;
    assert!(changed.refused_with(SbrpErrorCode::IdentityKeyChanged) && changed.is_pinned(changed.pinned));
}

#[tokio::test]
async fn a_prompt_that_throws_refuses_and_its_error_is_the_cause() {
    let thrown = CallbackError { ask: Some(4), message: "no dialog".into(), fatal: false };
    for pin in [Pin::None, Pin::Differs] {
        let row = row(pin, Policy::Prompt(Err(thrown.clone()))).await;
        let error = row.outcome.as_ref().unwrap_err();
        assert!(error.is_fatal() && row.is_pinned(row.pinned));
        assert!(matches!(error.cause(), Some(Error::Callback(cause)) if *cause == thrown));
    }
}

#[tokio::test]
async fn pinned_only_refuses_what_is_not_pinned() {
    let none = row(Pin::None, Policy::PinnedOnly).await;
    assert!(none.refused_with(SbrpErrorCode::HandshakeFailed) && none.is_pinned(None));
    let differs = row(Pin::Differs, Policy::PinnedOnly).await;
    assert!(differs.refused_with(SbrpErrorCode::IdentityKeyChanged) && differs.is_pinned(differs.pinned));
}
