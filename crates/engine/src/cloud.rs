//! The control plane over HTTP (section 7 of the wire contract), and what a token says of itself (section 6).
//!
//! Nothing is retried in here: [`CloudError::is_fatal`] tells the caller whether a retry makes sense.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sideband_protocol::sbrp::SessionId;
use url::Url;
use zeroize::Zeroizing;

use crate::dial::{DialError, Dialer, Phase};
use crate::secret::Secret;

/// Most bytes of an answer; real ones have one or two kilobytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Most characters of a server's message that go into an error.
const MAX_MESSAGE: usize = 300;
/// Longest token that is looked into (section 6).
const MAX_TOKEN: usize = 4096;

/// A call to the control plane that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    /// The control plane answered, and the answer is no.
    #[error("{procedure}: {message} ({status})")]
    Api {
        /// The HTTP status, or the one that the answer's error code stands for.
        status: u16,
        /// The server's words, without the caller's credentials.
        message: String,
        /// The procedure called.
        procedure: &'static str,
    },
    /// There was no answer.
    #[error("{0}")]
    Network(#[from] DialError),
}

impl CloudError {
    /// Whether calling again is pointless: 400, 401, 403 and 404, and a 409 from `quickConnect.redeem`, whose code is then
    /// used up.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Api { status: 409, procedure, .. } => *procedure == REDEEM,
            Self::Api { status, .. } => matches!(status, 400 | 401 | 403 | 404),
            Self::Network(error) => error.phase == Phase::Url,
        }
    }

    /// The status, where the control plane answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            Self::Network(_) => None,
        }
    }
}

/// What opens a client's WebSocket: where to, and with what.
#[derive(Clone, Debug)]
pub struct SessionTicket {
    /// The relay.
    pub relay_url: Url,
    /// The session token.
    pub token: Secret,
    /// The daemon, where the control plane names it (Quick Connect).
    pub daemon_id: Option<String>,
}

/// A Quick Connect code for one client.
#[derive(Clone, Debug)]
pub struct QuickConnectCode {
    /// The code.
    pub code: Secret,
    /// A link with the code in it.
    pub url: Secret,
    /// When it ends, ISO 8601.
    pub expires_at: String,
}

const RENEW: &str = "daemon.renewToken";
const CREATE_SESSION: &str = "relay.createSession";
const CREATE_CODE: &str = "quickConnect.create";
const REDEEM: &str = "quickConnect.redeem";

/// The control plane at one URL.
#[derive(Clone, Debug)]
pub struct Cloud {
    dialer: Dialer,
    api_url: Url,
}

impl Cloud {
    /// A control plane. `api_url` is `http://` or `https://`; procedures are looked for under its `api/trpc/`.
    pub fn new(dialer: Dialer, api_url: Url) -> Self {
        Self { dialer, api_url }
    }

    /// A fresh presence token for the daemon that owns the API key.
    ///
    /// # Errors
    ///
    /// As for every procedure here: [`CloudError`].
    pub async fn renew_presence_token(&self, api_key: &Secret) -> Result<Secret, CloudError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Output {
            presence_token: Secret,
        }
        let output: Output = self.call(RENEW, Some(api_key), &Value::Null, None).await?;
        Ok(output.presence_token)
    }

    /// A session token for one connection to a daemon.
    ///
    /// # Errors
    ///
    /// [`CloudError`].
    pub async fn create_session(&self, access: &Secret, daemon_id: &str) -> Result<SessionTicket, CloudError> {
        let input = json!({ "daemonId": daemon_id });
        let output: TicketOutput = self.call(CREATE_SESSION, Some(access), &input, None).await?;
        output.ticket(CREATE_SESSION)
    }

    /// A Quick Connect code; `ttl_seconds` is 1..=300, the control plane's default where absent.
    ///
    /// # Errors
    ///
    /// [`CloudError`].
    pub async fn create_quick_connect(
        &self,
        api_key: &Secret,
        ttl_seconds: Option<u32>,
    ) -> Result<QuickConnectCode, CloudError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Output {
            code: Secret,
            url: Secret,
            expires_at: String,
        }
        let input = ttl_seconds.map_or_else(|| json!({}), |seconds| json!({ "ttlSeconds": seconds }));
        let output: Output = self.call(CREATE_CODE, Some(api_key), &input, None).await?;
        Ok(QuickConnectCode { code: output.code, url: output.url, expires_at: output.expires_at })
    }

    /// Trades a Quick Connect code for a session token; the code is then used up.
    ///
    /// # Errors
    ///
    /// [`CloudError`]; 404 for a code that is wrong, used or over, 409 where the daemon is offline.
    pub async fn redeem_quick_connect(&self, code: &Secret) -> Result<SessionTicket, CloudError> {
        let input = json!({ "code": code.expose() });
        let output: TicketOutput = self.call(REDEEM, None, &input, Some(code)).await?;
        let mut ticket = output.ticket(REDEEM)?;
        if ticket.daemon_id.is_none() {
            ticket.daemon_id = daemon_id_from_token(ticket.token.expose());
        }
        Ok(ticket)
    }

    /// One call, within its deadline. `code` is a credential inside the input.
    async fn call<T: DeserializeOwned>(
        &self,
        procedure: &'static str,
        bearer: Option<&Secret>,
        input: &Value,
        code: Option<&Secret>,
    ) -> Result<T, CloudError> {
        let limit = self.dialer.deadlines().http;
        let (status, body) =
            tokio::time::timeout(limit, self.exchange(procedure, bearer, input)).await.unwrap_or_else(|_| {
                Err(self.network(Phase::Http, &format!("no answer within {} s", limit.as_secs_f64())))
            })?;
        let clean = |said: &str| {
            let mut message: String = said.chars().filter(|c| !c.is_control()).collect();
            for secret in [bearer, code].into_iter().flatten().filter(|secret| !secret.is_empty()) {
                message = message.replace(secret.expose(), "…");
            }
            // Cut off last: half a secret would not be found.
            message.chars().take(MAX_MESSAGE).collect()
        };
        interpret(status, body.as_deref().map(Vec::as_slice)).map_err(|(status, words)| {
            let message = match words {
                Words::Theirs(text) => clean(&text),
                Words::Ours(text) => text.to_owned(),
            };
            CloudError::Api { status, message, procedure }
        })
    }

    /// The status and the body of the answer; no body where it is longer than anything that makes sense.
    async fn exchange(
        &self,
        procedure: &'static str,
        bearer: Option<&Secret>,
        input: &Value,
    ) -> Result<(u16, Option<Zeroizing<Vec<u8>>>), CloudError> {
        let url = self.url_of(procedure)?;
        self.dialer.prepare(&url).await?;
        let mut request =
            self.dialer.http().post(url.clone()).header(CONTENT_TYPE, "application/json").body(input.to_string());
        if let Some(secret) = bearer {
            let text = Zeroizing::new(format!("Bearer {}", secret.expose()));
            let mut value = HeaderValue::from_str(&text).map_err(|_| {
                self.network(Phase::Url, "the key or token contains a control character, such as a line break")
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let explain = |error: reqwest::Error| CloudError::Network(self.dialer.explain(&error, &url));
        let mut response = request.send().await.map_err(explain)?;
        let status = response.status().as_u16();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Ok((status, None));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, Some(body)))
    }

    fn url_of(&self, procedure: &str) -> Result<Url, CloudError> {
        if !matches!(self.api_url.scheme(), "http" | "https") {
            return Err(self.network(Phase::Url, "the API URL begins neither with http:// nor with https://"));
        }
        let mut url = self.api_url.clone();
        url.set_query(None);
        url.set_fragment(None);
        let path = format!("{}/api/trpc/{procedure}", self.api_url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    fn network(&self, phase: Phase, why: &str) -> CloudError {
        CloudError::Network(DialError::of_url(phase, &self.api_url, why))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TicketOutput {
    relay_url: String,
    token: Secret,
    daemon_id: Option<String>,
}

impl TicketOutput {
    fn ticket(self, procedure: &'static str) -> Result<SessionTicket, CloudError> {
        let Ok(relay_url) = Url::parse(&self.relay_url) else {
            let message = "the answer's relayUrl is no URL".to_owned();
            return Err(CloudError::Api { status: 500, message, procedure });
        };
        Ok(SessionTicket { relay_url, token: self.token, daemon_id: self.daemon_id })
    }
}

/// Why an answer is no output.
enum Words {
    /// The server's, which may repeat what it was sent.
    Theirs(String),
    Ours(&'static str),
}

/// Reads an answer by the rules of section 7: the output, or a status and a message.
fn interpret<T: DeserializeOwned>(status: u16, body: Option<&[u8]>) -> Result<T, (u16, Words)> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow)]
        error: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Success<T> {
        data: T,
    }
    let good = (200..300).contains(&status);
    let answer = body.and_then(|body| serde_json::from_slice::<Answer<'_>>(body).ok());
    let present = |part: Option<&RawValue>| part.filter(|raw| raw.get() != "null").map(ToOwned::to_owned);
    let (result, error) = answer.map_or((None, None), |answer| (present(answer.result), present(answer.error)));
    if let Some(error) = error {
        let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
        let code = error.pointer("/data/code").and_then(Value::as_str).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).filter(|message| !message.is_empty());
        let status = if good { status_of(code) } else { status };
        let words = message.map_or(Words::Ours(reason(status)), |message| Words::Theirs(message.to_owned()));
        return Err((status, words));
    }
    if !good {
        return Err((status, Words::Ours(reason(status))));
    }
    result
        .and_then(|result| serde_json::from_str::<Success<T>>(result.get()).ok())
        .map(|success| success.data)
        .ok_or((500, Words::Ours("the answer is not what this procedure gives")))
}

/// The status that an error code in a 200 answer stands for.
fn status_of(code: &str) -> u16 {
    match code {
        "BAD_REQUEST" => 400,
        "UNAUTHORIZED" => 401,
        "FORBIDDEN" => 403,
        "NOT_FOUND" => 404,
        "CONFLICT" => 409,
        _ => 500,
    }
}

fn reason(status: u16) -> &'static str {
    let known = reqwest::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("the control plane refused the call")
}

/// The `did` claim of a token that nobody has verified yet (section 6).
pub fn daemon_id_from_token(token: &str) -> Option<String> {
    text_claim(token, "did")
}

/// The `sid` claim of a session token, unverified: the relay verifies it.
pub fn session_id_from_token(token: &str) -> Option<SessionId> {
    SessionId::from_base64url(&text_claim(token, "sid")?)
}

/// Whether a token's `scp` claim (a list, or the words of a string) holds a scope, unverified.
pub fn token_has_scope(token: &str, scope: &str) -> bool {
    match claims(token).and_then(|mut claims| claims.remove("scp")) {
        Some(Value::Array(scopes)) => scopes.iter().any(|held| held == scope),
        Some(Value::String(scopes)) => scopes.split(' ').any(|held| held == scope),
        _ => false,
    }
}

/// One claim that is a text.
fn text_claim(token: &str, name: &str) -> Option<String> {
    match claims(token)?.remove(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn claims(token: &str) -> Option<Map<String, Value>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}
