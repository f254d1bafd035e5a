//! What a client's connection sees while its store or a person decides whether to trust the daemon (section 2, step 3).

#[path = "support/hostile.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use sideband::error::CallbackError;
use sideband::peer::PeerHandle;
use sideband::protocol::handshake::VerifiedIdentity;
use sideband::protocol::identity::{IdentityKeyPair, PublicKey};
use sideband::protocol::sbp;
use sideband::protocol::sbrp::{self, ControlCode};
use sideband::random;
use sideband::sdk::MemoryStore;
use sideband::trust::{BoxFuture, IdentityKeyStore, TrustPolicy, TrustPrompt};
use support::{DAEMON, Ear, Heard, HostileRelay, Session, Wire, client, within};
use tokio::sync::{Semaphore, mpsc};

/// Someone who is asked, and answers when the test lets it.
struct Slow {
    asked: mpsc::UnboundedSender<()>,
    answers: Semaphore,
    keys: MemoryStore,
}

impl Slow {
    fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (asked, questions) = mpsc::unbounded_channel();
        (Arc::new(Self { asked, answers: Semaphore::new(0), keys: MemoryStore::default() }), questions)
    }

    async fn ponder(&self) {
        self.asked.send(()).expect("the test listens");
        self.answers.acquire().await.expect("it is never closed").forget();
    }
}

impl TrustPrompt for Slow {
    fn first_connection<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        Box::pin(async {
            self.ponder().await;
            Ok(true)
        })
    }

    fn identity_mismatch<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        panic!("nothing was pinned")
    }
}

impl IdentityKeyStore for Slow {
    fn get<'a>(&'a self, daemon_id: &'a str) -> BoxFuture<'a, Result<Option<PublicKey>, CallbackError>> {
        Box::pin(async {
            self.ponder().await;
            self.keys.get(daemon_id).await
        })
    }

    fn set<'a>(&'a self, identity: &'a VerifiedIdentity) -> BoxFuture<'a, Result<(), CallbackError>> {
        self.keys.set(identity)
    }
}

/// Whom the client waits for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Store,
    Person,
}

/// A client that waits for a decision, and everybody around it.
struct Waiting {
    relay: HostileRelay,
    _peer: PeerHandle,
    ear: Ear,
    wire: Wire,
    session: Session,
    slow: Arc<Slow>,
    questions: mpsc::UnboundedReceiver<()>,
}

async fn waiting(asked: Asked) -> Waiting {
    let relay = HostileRelay::start().await;
    let (slow, mut questions) = Slow::new();
    let mut options = relay.client_options();
    options.handshake_timeout = Duration::from_secs(600);
    match asked {
        Asked::Store => options.store = Arc::clone(&slow) as _,
        Asked::Person => options.trust = TrustPolicy::Prompt(Arc::clone(&slow) as _),
    }
    let (peer, mut ear) = client(options);
    let mut wire = relay.accept().await;
    let session = wire.accept_handshake(&IdentityKeyPair::from_seed(&random::secret())).await;
    within(questions.recv()).await.expect("it is asked");
    ear.until("state Negotiating").await;
    Waiting { relay, _peer: peer, ear, wire, session, slow, questions }
}

async fn answers_a_ping(wire: &mut Wire) {
    wire.send(sbrp::encode_ping(b"there?")).await;
    assert_eq!(wire.frame().await, sbrp::encode_pong(b"there?"));
}

#[tokio::test]
async fn pings_are_answered_and_what_the_daemon_said_meanwhile_is_kept() {
    for asked in [Asked::Store, Asked::Person] {
        let mut test = waiting(asked).await;
        answers_a_ping(&mut test.wire).await;
        let hasty = [test.session.hello("daemon"), test.session.event("first"), test.session.event("second")];
        test.wire.send_together(hasty).await;
        answers_a_ping(&mut test.wire).await;
        test.slow.answers.add_permits(1);
        let hello = test.session.open(test.wire.frame().await);
        assert!(matches!(sbp::Frame::decode(&hello), Ok(sbp::Frame::Handshake { .. })), "{asked:?}");
        test.wire.send(test.session.event("third")).await;
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.push(test.ear.next().await);
        }
        assert_eq!(lines, ["state Active", "event first", "event second", "event third"], "{asked:?}");
    }
}

#[tokio::test]
async fn the_end_of_the_connection_is_noticed_and_the_answer_is_nobodys() {
    for asked in [Asked::Store, Asked::Person] {
        let mut test = waiting(asked).await;
        drop(test.wire);
        let lost = test.ear.next().await;
        assert!(lost.starts_with("state Reconnecting connection lost"), "{asked:?}: {lost}");
        let mut wire = test.relay.accept().await;
        let mut session = wire.accept_handshake(&IdentityKeyPair::from_seed(&random::secret())).await;
        within(test.questions.recv()).await.expect("it is asked again");
        assert_eq!(test.slow.keys.pinned(DAEMON), None);
        test.slow.answers.add_permits(1);
        wire.send(session.hello("daemon")).await;
        test.ear.until("state Active").await;
    }
}

#[tokio::test]
async fn a_control_ends_the_attempt_by_its_code() {
    for (code, end) in [
        (ControlCode::DAEMON_OFFLINE, "state Reconnecting daemon_offline"),
        (ControlCode::SESSION_PAUSED, "state Reconnecting session_paused"),
        (ControlCode::FORBIDDEN, "state Closed"),
    ] {
        let mut test = waiting(Asked::Person).await;
        test.wire.control(0, code).await;
        let line = test.ear.next().await;
        assert!(line.starts_with(end) && line.contains(code.name().expect("known")), "{code}: {line}");
    }
}

#[tokio::test]
async fn what_does_not_belong_to_a_handshake_fails_it() {
    let mut test = waiting(Asked::Person).await;
    test.wire.send(sbrp::encode_handshake_accept(test.session.id, &[1; 128])).await;
    let line = test.ear.next().await;
    assert!(line.starts_with("state Closed") && line.contains("handshake_failed"), "{line}");
}

#[tokio::test]
async fn a_daemon_that_does_not_stop_talking_is_not_kept_in_memory() {
    let mut test = waiting(Asked::Person).await;
    let talk: Vec<_> = (0..17).map(|_| test.session.event("talk")).collect();
    test.wire.send_together(talk).await;
    let line = test.ear.next().await;
    assert!(line.starts_with("state Closed") && line.contains("too much came"), "{line}");
}

#[tokio::test]
async fn the_relay_hears_a_ping_every_45_seconds_and_a_silent_one_is_given_up() {
    let mut test = waiting(Asked::Person).await;
    tokio::time::pause();
    assert_eq!(test.wire.frame().await, sbrp::encode_ping(&[]));
    test.wire.send(sbrp::encode_pong(&[])).await;
    assert_eq!(test.wire.frame().await, sbrp::encode_ping(&[]));
    let lost = test.ear.next().await;
    assert!(lost.starts_with("state Reconnecting") && lost.contains("90 s"), "{lost}");
    assert_eq!(test.wire.hear().await, Heard::Cut);
}
