//! Questions to JavaScript: tokens, key stores, trust prompts. The task that asks waits; whatever way it goes on, one
//! answer is taken, and one that comes when nobody waits any more is ignored.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use napi::Env;
use napi_derive::napi;
use serde_json::{Value, json};
use sideband::client::TokenSource;
use sideband::error::CallbackError;
use sideband::protocol::handshake::VerifiedIdentity;
use sideband::protocol::identity::PublicKey;
use sideband::secret::Secret;
use sideband::trust::{BoxFuture, IdentityKeyStore, TrustPrompt};
use tokio::sync::oneshot;

use crate::environment::Environment;
use crate::hooks::{self, Point};
use crate::record::{Kind, Record};
use crate::{guard, lock};

/// The questions, by the numbers that JavaScript knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Question {
    Token = 1,
    StoreGet = 2,
    StoreSet = 3,
    FirstConnection = 4,
    IdentityMismatch = 5,
}

#[derive(Debug)]
enum Answer {
    Text(Option<Secret>),
    Bytes(Option<Vec<u8>>),
    Bool(bool),
    Done,
    Error { message: String, fatal: bool },
}

/// The questions of an environment that wait for an answer.
#[derive(Default)]
pub(crate) struct Asks {
    last: AtomicU32,
    waiting: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
}

impl Asks {
    fn open(&self) -> (u32, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        lock(&self.waiting).insert(id, sender);
        (id, receiver)
    }

    fn settle(&self, id: u32, answer: Answer) {
        let waiting = lock(&self.waiting).remove(&id);
        if let Some(waiting) = waiting {
            // Nobody waits any more: that is what the answer is ignored for.
            let _ = waiting.send(answer);
        }
    }

    /// Every question fails.
    pub(crate) fn shut_down(&self) {
        lock(&self.waiting).clear();
    }
}

/// Asks in the name of one peer or server.
#[derive(Clone)]
pub(crate) struct Asker {
    environment: Arc<Environment>,
    /// Set while the environment's table is locked, right after the peer or server was made.
    handle: Arc<OnceLock<u32>>,
}

impl Asker {
    pub(crate) fn new(environment: &Arc<Environment>) -> Self {
        Self { environment: Arc::clone(environment), handle: Arc::default() }
    }

    /// Says for whom this asks, once.
    pub(crate) fn belongs_to(&self, handle: u32) {
        self.handle.get_or_init(|| handle);
    }

    fn handle(&self) -> u32 {
        if self.handle.get().is_none() {
            // The task was quicker than the thread that started it, which holds this lock until the number is known.
            drop(lock(&self.environment.table));
        }
        self.handle.get().copied().unwrap_or_default()
    }

    async fn ask(&self, question: Question, argument: Value) -> Result<(u32, Answer), CallbackError> {
        let handle = self.handle();
        let (id, answer) = self.environment.asks.open();
        let asked = Asked { asks: &self.environment.asks, id };
        let argument = argument.to_string();
        self.environment.push(&Record::new(Kind::Ask, handle).a(question as u8).id(id).text1(&argument));
        self.environment.announce();
        let answer = answer.await;
        drop(asked);
        match answer {
            Ok(Answer::Error { message, fatal }) => Err(CallbackError { ask: Some(id), message, fatal }),
            Ok(answer) => Ok((id, answer)),
            Err(_) => Err(CallbackError { ask: None, message: "the environment went down".to_owned(), fatal: true }),
        }
    }
}

/// A question that waits; forgotten when its task stops waiting.
struct Asked<'a> {
    asks: &'a Asks,
    id: u32,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        lock(&self.asks.waiting).remove(&self.id);
    }
}

/// JavaScript answered with something else than it was asked for.
fn unfit(id: u32, wanted: &str) -> CallbackError {
    CallbackError { ask: Some(id), message: format!("the callback did not give {wanted}"), fatal: true }
}

impl TokenSource for Asker {
    fn token(&self) -> BoxFuture<'_, Result<Secret, CallbackError>> {
        Box::pin(async {
            match self.ask(Question::Token, json!({})).await? {
                (_, Answer::Text(Some(token))) => Ok(token),
                (id, _) => Err(unfit(id, "a token")),
            }
        })
    }
}

impl IdentityKeyStore for Asker {
    fn get<'a>(&'a self, daemon_id: &'a str) -> BoxFuture<'a, Result<Option<PublicKey>, CallbackError>> {
        Box::pin(async move {
            let (id, answer) = self.ask(Question::StoreGet, json!({ "daemonId": daemon_id })).await?;
            let Answer::Bytes(key) = answer else { return Err(unfit(id, "a key or nothing")) };
            let key = key.map(<[u8; 32]>::try_from).transpose().map_err(|_| unfit(id, "a key of 32 bytes"))?;
            Ok(key.map(PublicKey::from_bytes))
        })
    }

    fn set<'a>(&'a self, identity: &'a VerifiedIdentity) -> BoxFuture<'a, Result<(), CallbackError>> {
        Box::pin(async move {
            let key = identity.public_key().as_bytes();
            let hex = key.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"));
            let argument = json!({ "daemonId": identity.daemon_id(), "publicKey": hex });
            match self.ask(Question::StoreSet, argument).await? {
                (_, Answer::Done) => Ok(()),
                (id, _) => Err(unfit(id, "an end")),
            }
        })
    }
}

impl TrustPrompt for Asker {
    fn first_connection<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Result<bool, CallbackError>> {
        Box::pin(async move {
            let (_, answer) = self.ask(Question::FirstConnection, json!({ "fingerprint": fingerprint })).await?;
            Ok(matches!(answer, Answer::Bool(true)))
        })
    }

    fn identity_mismatch<'a>(
        &'a self,
        expected: &'a str,
        received: &'a str,
    ) -> BoxFuture<'a, Result<bool, CallbackError>> {
        Box::pin(async move {
            let argument = json!({ "expectedFingerprint": expected, "receivedFingerprint": received });
            let (_, answer) = self.ask(Question::IdentityMismatch, argument).await?;
            Ok(matches!(answer, Answer::Bool(true)))
        })
    }
}

fn settle(env: Env, ask_id: u32, answer: Answer) -> napi::Result<()> {
    guard(|| {
        hooks::reach(Point::Answer);
        Environment::of(env)?.asks.settle(ask_id, answer);
        Ok(())
    })
}

/// Answers with a token.
#[napi]
pub fn answer_text(env: Env, ask_id: u32, value: Option<String>) -> napi::Result<()> {
    settle(env, ask_id, Answer::Text(value.map(Secret::new)))
}

/// Answers with a stored key, or that there is none.
#[napi]
pub fn answer_bytes(env: Env, ask_id: u32, key: Option<&[u8]>) -> napi::Result<()> {
    settle(env, ask_id, Answer::Bytes(key.map(<[u8]>::to_vec)))
}

/// Answers a trust prompt.
#[napi]
pub fn answer_bool(env: Env, ask_id: u32, value: bool) -> napi::Result<()> {
    settle(env, ask_id, Answer::Bool(value))
}

/// Answers that what was asked for is done.
#[napi]
pub fn answer_done(env: Env, ask_id: u32) -> napi::Result<()> {
    settle(env, ask_id, Answer::Done)
}

/// Answers that the callback failed; `fatal` where asking again would not help.
#[napi]
pub fn answer_error(env: Env, ask_id: u32, message: String, fatal: bool) -> napi::Result<()> {
    settle(env, ask_id, Answer::Error { message, fatal })
}
