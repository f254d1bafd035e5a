//! Peers: connecting, calling, answering, emitting, closing.

use std::sync::Arc;

use napi::Env;
use napi_derive::napi;
use sideband::client::{self, Account, ClientOptions, Direct, QuickConnect, RelayEndpoint, SessionSource, TokenSource};
use sideband::cloud::Cloud;
use sideband::dial::Dialer;
use sideband::peer::{self, PeerHandle, Refused};
use sideband::protocol::sbp::FrameId;
use sideband::secret::Secret;
use sideband::trust::TrustPolicy;

use crate::asks::Asker;
use crate::environment::Environment;
use crate::hooks::{self, Point};
use crate::host::cid_of;
use crate::options::{self, PeerMode, PeerOptions, Trust, milliseconds, required};
use crate::{dialers, guard, lock, runtime};

/// How a message got on its way, by the numbers that JavaScript knows.
fn status_of(sent: Result<(), Refused>) -> u32 {
    match sent {
        Ok(()) => 0,
        Err(Refused::TooLarge) => 1,
        Err(Refused::Overflow) => 2,
        Err(Refused::Closed) => 3,
        Err(Refused::TooDeep) => 4,
        Err(Refused::InvalidName) => 5,
    }
}

fn size_or_status(size: Result<usize, Refused>) -> i64 {
    match size {
        Ok(bytes) => i64::try_from(bytes).expect("a frame is short"),
        Err(refused) => -i64::from(status_of(Err(refused))),
    }
}

/// Does something with a peer of the calling environment; a handle it does not know is a closed peer's.
fn with_peer(env: Env, peer: u32, send: impl FnOnce(&PeerHandle) -> Result<(), Refused>) -> napi::Result<u32> {
    guard(|| {
        let environment = Environment::of(env)?;
        let table = lock(&environment.table);
        Ok(status_of(table.peers.get(&peer).map_or(Err(Refused::Closed), send)))
    })
}

/// Makes a client's peer and starts connecting. Gives its handle.
#[napi]
pub fn connect_peer(env: Env, options: String) -> napi::Result<u32> {
    guard(|| {
        let environment = Environment::of(env)?;
        let mut options: PeerOptions = options::parse(options)?;
        let dialer = dialers::dialer(options.ca.take(), options.token_in_header);
        let dialer = dialer.map_err(|error| options::undialable(&error))?;
        let asker = Asker::new(&environment);
        let source = source_of(&mut options, &dialer, &asker)?;
        let mut client = ClientOptions::new(source, Arc::new(asker.clone()), dialer);
        client.trust = match options.trust_policy {
            Trust::Auto => TrustPolicy::Auto,
            Trust::Prompt => TrustPolicy::Prompt(Arc::new(asker.clone())),
            Trust::PinnedOnly => TrustPolicy::PinnedOnly,
        };
        client.policy = options::policy(options.on_disconnect, options.rpc, options.event);
        client.retry = options.retry.policy();
        if let Some(ms) = options.handshake_timeout_ms {
            client.handshake_timeout = milliseconds(ms);
        }
        client.introduction = options::introduction(options.peer_id, options.capabilities);
        let runtime = runtime::handle()?;
        // Locked until the peer is in it: its first event, and its first question, may come before this thread goes on.
        let mut table = lock(&environment.table);
        table.ensure_open()?;
        let peer = client::connect(&runtime, client, environment.clone());
        let handle = peer.id().0;
        asker.belongs_to(handle);
        table.peers.insert(handle, peer);
        Ok(handle)
    })
}

fn source_of(options: &mut PeerOptions, dialer: &Dialer, asker: &Asker) -> napi::Result<Arc<dyn SessionSource>> {
    let cloud = |api_url: &Option<String>| -> napi::Result<Cloud> {
        let api_url = options::url(required(api_url.as_deref(), "apiUrl")?, "apiUrl")?;
        Ok(Cloud::new(dialer.clone(), api_url))
    };
    let endpoint = |endpoint: Option<Secret>| options::url(required(endpoint, "endpoint")?.expose(), "endpoint");
    Ok(match options.mode {
        PeerMode::Account => Arc::new(Account {
            cloud: cloud(&options.api_url)?,
            access_token: Arc::new(asker.clone()),
            daemon_id: required(options.daemon_id.take(), "daemonId")?,
        }),
        PeerMode::QuickConnect => {
            let code = required(options.quick_connect_code.take(), "quickConnectCode")?;
            Arc::new(QuickConnect::new(cloud(&options.api_url)?, code))
        }
        PeerMode::Relay => Arc::new(RelayEndpoint {
            url: endpoint(options.endpoint.take())?,
            session_token: options.session_token.then(|| Arc::new(asker.clone()) as Arc<dyn TokenSource>),
            daemon_id: required(options.daemon_id.take(), "daemonId")?,
        }),
        PeerMode::Direct => Arc::new(Direct { url: endpoint(options.endpoint.take())? }),
    })
}

/// Calls a method of the remote with JSON parameters. Gives a status; the outcome comes as a record with `call_id`.
#[napi]
pub fn call(
    env: Env,
    peer: u32,
    call_id: u32,
    method: String,
    params: Option<String>,
    timeout_ms: f64,
) -> napi::Result<u32> {
    with_peer(env, peer, |peer| {
        hooks::reach(Point::Call);
        peer.call(call_id, &method, params.as_deref(), milliseconds(timeout_ms))
    })
}

/// The bytes of a call's frame, for one that waits where there is no peer yet; below zero the status, negated.
#[napi]
pub fn call_size(method: String, params: Option<String>) -> napi::Result<i64> {
    guard(|| Ok(size_or_status(peer::request_size(&method, params.as_deref()))))
}

/// The same for an event.
#[napi]
pub fn event_size(name: String, data: Option<String>) -> napi::Result<i64> {
    guard(|| Ok(size_or_status(peer::notification_size(&name, data.as_deref()))))
}

/// Forgets a call.
#[napi]
pub fn cancel_call(env: Env, peer: u32, call_id: u32) -> napi::Result<()> {
    let cancel = |peer: &PeerHandle| {
        peer.cancel(call_id);
        Ok(())
    };
    with_peer(env, peer, cancel).map(drop)
}

/// Answers a request with a JSON result. Gives a status.
#[napi]
pub fn respond(env: Env, peer: u32, c0: u32, c1: u32, c2: u32, c3: u32, result: Option<String>) -> napi::Result<u32> {
    let cid = FrameId(cid_of([c0, c1, c2, c3]));
    with_peer(env, peer, |peer| peer.respond(cid, result.as_deref()))
}

/// Answers a request with an error. Gives a status.
#[napi]
#[allow(clippy::too_many_arguments, reason = "flat numbers and texts are what crosses cheaply")]
pub fn respond_error(
    env: Env,
    peer: u32,
    c0: u32,
    c1: u32,
    c2: u32,
    c3: u32,
    code: i64,
    message: String,
    data: Option<String>,
) -> napi::Result<u32> {
    let cid = FrameId(cid_of([c0, c1, c2, c3]));
    with_peer(env, peer, |peer| peer.respond_error(cid, code, &message, data.as_deref()))
}

/// Emits an event with JSON data. Gives a status.
#[napi]
pub fn emit(env: Env, peer: u32, name: String, data: Option<String>) -> napi::Result<u32> {
    with_peer(env, peer, |peer| peer.emit(&name, data.as_deref()))
}

/// Closes a peer because JavaScript does not take what comes in; the record that it is gone follows.
#[napi]
pub fn give_up_peer(env: Env, peer: u32) -> napi::Result<()> {
    let give_up = |peer: &PeerHandle| {
        peer.give_up();
        Ok(())
    };
    with_peer(env, peer, give_up).map(drop)
}

/// Closes a peer; the record that it is gone follows.
#[napi]
pub fn close_peer(env: Env, peer: u32) -> napi::Result<()> {
    let close = |peer: &PeerHandle| {
        peer.close();
        Ok(())
    };
    with_peer(env, peer, close).map(drop)
}
