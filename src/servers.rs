//! Servers: listening, Quick Connect codes, closing; and the presence token by itself.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use napi::Env;
use napi_derive::napi;
use serde_json::json;
use sideband::client::TokenSource;
use sideband::cloud::Cloud;
use sideband::daemon::{self, ApiKey, DaemonHandle, DaemonOptions, PresenceSource, RelayPresence};
use sideband::dial::Dialer;
use sideband::direct::{self, DirectOptions};
use sideband::error::{Error, PeerErrorCode};
use sideband::peer::policy::PeerPolicy;
use sideband::protocol::identity::IdentityKeyPair;
use sideband::secret::Secret;
use url::Url;

use crate::asks::Asker;
use crate::environment::Environment;
use crate::hooks::{self, Point};
use crate::keys::key_bytes;
use crate::options::{self, Disconnect, ServerMode, ServerOptions, milliseconds, required};
use crate::record::{Kind, Record};
use crate::{dialers, failure, guard, lock, runtime};

/// A server of an environment. Dropping it closes the server.
pub(crate) struct Server {
    daemon: DaemonHandle,
    /// Where its Quick Connect codes come from; a relay of one's own has none.
    account: Option<Account>,
}

/// Makes a server and starts it: a daemon that dials out to its relay, or, in mode `direct`, a port of its own, whose seed
/// is empty. Gives its handle.
#[napi]
pub fn listen(env: Env, options: String, seed: &[u8]) -> napi::Result<u32> {
    guard(|| {
        let environment = Environment::of(env)?;
        let options: ServerOptions = options::parse(options)?;
        let prepared = match options.mode {
            ServerMode::Direct => Prepared::Direct(prepare_direct(options)?),
            ServerMode::Cloud | ServerMode::Relay => prepare_daemon(&environment, options, seed)?,
        };
        let runtime = runtime::handle()?;
        // Locked until the server is in it: its first event, and its first question, may come before this thread goes on.
        let mut table = lock(&environment.table);
        table.ensure_open()?;
        let host = environment.clone();
        let (server, asker) = match prepared {
            Prepared::Direct(options) => {
                (Server { daemon: direct::listen(&runtime, options, host), account: None }, None)
            }
            Prepared::Daemon { options, account, asker } => {
                (Server { daemon: daemon::listen(&runtime, *options, host), account }, Some(asker))
            }
        };
        let handle = server.daemon.id().0;
        if let Some(asker) = asker {
            asker.belongs_to(handle);
        }
        table.servers.insert(handle, server);
        Ok(handle)
    })
}

type Account = (Cloud, Secret);

/// A server whose options are read; nothing runs yet.
enum Prepared {
    Direct(DirectOptions),
    Daemon { options: Box<DaemonOptions>, account: Option<Account>, asker: Asker },
}

fn prepare_daemon(environment: &Arc<Environment>, mut options: ServerOptions, seed: &[u8]) -> napi::Result<Prepared> {
    let identity = IdentityKeyPair::from_seed(&*key_bytes(seed, "seed")?);
    let dialer = dialers::dialer(options.ca.take(), options.token_in_header);
    let dialer = dialer.map_err(|error| options::undialable(&error))?;
    let asker = Asker::new(environment);
    let (source, account) = source_of(&mut options, &dialer, &asker)?;
    let mut daemon = DaemonOptions::new(source, identity, dialer);
    daemon.daemon_id = options.daemon_id;
    daemon.policy = server_policy(options.rpc, options.event);
    if let Some(ms) = options.handshake_timeout_ms {
        daemon.handshake_timeout = milliseconds(ms);
    }
    daemon.introduction = options::introduction(options.peer_id, options.capabilities);
    Ok(Prepared::Daemon { options: Box::new(daemon), account, asker })
}

/// A server's peers wait for their client as long as their session lasts.
fn server_policy(rpc: options::Rpc, event: options::Event) -> PeerPolicy {
    options::policy(Disconnect::Pause, rpc, event)
}

fn prepare_direct(options: ServerOptions) -> napi::Result<DirectOptions> {
    let endpoint = endpoint_of(options.endpoint)?;
    let (Some(host), "ws") = (endpoint.host_str(), endpoint.scheme()) else {
        return Err(options::invalid("endpoint: a server on a port of its own speaks ws:// only"));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut direct = DirectOptions::new(host, endpoint.port_or_known_default().unwrap_or_default());
    direct.policy = server_policy(options.rpc, options.event);
    if let Some(ms) = options.handshake_timeout_ms {
        direct.handshake_timeout = milliseconds(ms);
    }
    direct.introduction = options::introduction(options.peer_id, options.capabilities);
    Ok(direct)
}

fn endpoint_of(endpoint: Option<Secret>) -> napi::Result<Url> {
    options::url(required(endpoint, "endpoint")?.expose(), "endpoint")
}

type Sources = (Arc<dyn PresenceSource>, Option<Account>);

fn source_of(options: &mut ServerOptions, dialer: &Dialer, asker: &Asker) -> napi::Result<Sources> {
    if options.mode == ServerMode::Relay {
        let url = endpoint_of(options.endpoint.take())?;
        let presence_token = options.presence_token.then(|| Arc::new(asker.clone()) as Arc<dyn TokenSource>);
        return Ok((Arc::new(RelayPresence { url, presence_token }), None));
    }
    let api_url = options::url(required(options.api_url.as_deref(), "apiUrl")?, "apiUrl")?;
    let relay_url = options::url(required(options.relay_url.as_deref(), "relayUrl")?, "relayUrl")?;
    let api_key = required(options.api_key.take(), "apiKey")?;
    let cloud = Cloud::new(dialer.clone(), api_url);
    let account = Some((cloud.clone(), api_key.clone()));
    Ok((Arc::new(ApiKey { cloud, api_key, relay_url }), account))
}

/// Closes a daemon and its peers; the records that they are gone follow.
#[napi]
pub fn close_server(env: Env, server: u32) -> napi::Result<()> {
    guard(|| {
        let environment = Environment::of(env)?;
        if let Some(server) = lock(&environment.table).servers.get(&server) {
            server.daemon.close();
        }
        Ok(())
    })
}

/// Makes a Quick Connect code. The outcome comes as a record of the server with `request_id`.
#[napi]
pub fn create_quick_connect(env: Env, server: u32, request_id: u32, ttl_seconds: Option<u32>) -> napi::Result<()> {
    guard(|| {
        let environment = Environment::of(env)?;
        let account = lock(&environment.table).servers.get(&server).map(|server| server.account.clone());
        let request = async move {
            let (cloud, api_key) = match account {
                Some(Some(account)) => account,
                Some(None) => {
                    let message = "Quick Connect codes come from the cloud; this server has its own relay";
                    return Err(Error::Value(message.into()));
                }
                None => return Err(Error::peer(PeerErrorCode::PeerClosed, "the server is closed")),
            };
            let made = cloud.create_quick_connect(&api_key, ttl_seconds).await?;
            let (code, url) = (made.code.expose(), made.url.expose());
            Ok(json!({ "code": code, "url": url, "expiresAt": made.expires_at }).to_string())
        };
        answer_later(environment, server, request_id, request)
    })
}

/// Renews a presence token. The outcome comes as a record of handle 0 with `request_id`.
#[napi]
pub fn renew_presence_token(env: Env, request_id: u32, api_url: String, api_key: String) -> napi::Result<()> {
    guard(|| {
        let environment = Environment::of(env)?;
        let api_key = Secret::new(api_key);
        let request = async move {
            let api_url = Url::parse(&api_url).map_err(|error| Error::Value(format!("apiUrl: {error}")))?;
            let dialer = dialers::dialer(None, false)?;
            let token = Cloud::new(dialer, api_url).renew_presence_token(&api_key).await?;
            Ok(json!({ "presenceToken": token.expose() }).to_string())
        };
        answer_later(environment, 0, request_id, request)
    })
}

/// Runs a request on the runtime; what comes of it, a panic included, becomes a record.
fn answer_later(
    environment: Arc<Environment>,
    handle: u32,
    request_id: u32,
    request: impl Future<Output = Result<String, Error>> + Send + 'static,
) -> napi::Result<()> {
    runtime::handle()?.spawn(async move {
        let request = async {
            hooks::reach(Point::Api);
            request.await
        };
        let outcome = AssertUnwindSafe(request)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Error::Internal("a request panicked".into())));
        match outcome {
            Ok(answer) => environment.push(&Record::new(Kind::QuickConnect, handle).id(request_id).text1(&answer)),
            Err(error) => {
                let error = failure::to_json(&error);
                environment.push(&Record::new(Kind::Failure, handle).id(request_id).text1(&error));
            }
        }
        environment.announce();
    });
    Ok(())
}
