//! What JavaScript wants a peer or server to be, as JSON that `lib/` has checked already. What is wrong here all the same
//! is told by its field, never by its value: there are secrets among them.

use std::time::Duration;

use napi::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sideband::dial::DialError;
use sideband::peer::policy::{OnDisconnect, PeerPolicy, RetryPolicy};
use sideband::secret::Secret;
use sideband::session::Introduction;
use url::Url;
use zeroize::Zeroizing;

/// No wait is longer, so that adding it to a clock cannot overflow.
const LONGEST_MS: f64 = 100.0 * 365.0 * 86_400_000.0;

/// The options of a client.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PeerOptions {
    pub(crate) mode: PeerMode,
    pub(crate) api_url: Option<String>,
    pub(crate) daemon_id: Option<String>,
    pub(crate) quick_connect_code: Option<Secret>,
    pub(crate) endpoint: Option<Secret>,
    /// Asks JavaScript for the session token; else it is in the endpoint's query.
    #[serde(default)]
    pub(crate) session_token: bool,
    /// Where there is no trust to decide about, there is no policy.
    #[serde(default)]
    pub(crate) trust_policy: Trust,
    pub(crate) on_disconnect: Disconnect,
    pub(crate) rpc: Rpc,
    pub(crate) event: Event,
    pub(crate) retry: Retry,
    pub(crate) handshake_timeout_ms: Option<f64>,
    pub(crate) peer_id: Option<String>,
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    pub(crate) ca: Option<String>,
    #[serde(default)]
    pub(crate) token_in_header: bool,
}

/// The options of a daemon.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServerOptions {
    pub(crate) mode: ServerMode,
    pub(crate) api_url: Option<String>,
    pub(crate) relay_url: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) daemon_id: Option<String>,
    pub(crate) endpoint: Option<Secret>,
    /// Asks JavaScript for the presence token; else it is in the endpoint's query.
    #[serde(default)]
    pub(crate) presence_token: bool,
    pub(crate) rpc: Rpc,
    pub(crate) event: Event,
    pub(crate) handshake_timeout_ms: Option<f64>,
    pub(crate) peer_id: Option<String>,
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    pub(crate) ca: Option<String>,
    #[serde(default)]
    pub(crate) token_in_header: bool,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PeerMode {
    Account,
    QuickConnect,
    Relay,
    /// Plain SBP to a server's own port.
    Direct,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ServerMode {
    Cloud,
    Relay,
    /// Plain SBP on a port of its own.
    Direct,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trust {
    Auto,
    Prompt,
    #[default]
    PinnedOnly,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Disconnect {
    Fail,
    Pause,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rpc {
    disconnect_buffer_limit_bytes: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Event {
    max_buffered_events: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retry {
    mode: RetryMode,
    initial_delay_ms: f64,
    max_delay_ms: f64,
    max_attempts: u64,
    jitter: f64,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum RetryMode {
    Never,
    OnError,
}

/// Reads options; the text is wiped.
pub(crate) fn parse<T: DeserializeOwned>(text: String) -> napi::Result<T> {
    let text = Zeroizing::new(text);
    serde_json::from_str(&text).map_err(|error| {
        // serde quotes values where a type is wrong, and a value may be a key.
        invalid(&format!("the options are not as agreed (column {})", error.column()))
    })
}

/// An option that cannot be used.
pub(crate) fn invalid(why: &str) -> napi::Error {
    napi::Error::new(Status::InvalidArg, why)
}

/// An option that must be there in this mode.
pub(crate) fn required<T>(value: Option<T>, name: &str) -> napi::Result<T> {
    value.ok_or_else(|| invalid(&format!("{name} is missing")))
}

/// A URL among the options.
pub(crate) fn url(text: &str, name: &str) -> napi::Result<Url> {
    Url::parse(text).map_err(|error| invalid(&format!("{name}: {error}")))
}

/// A setting of the environment that cannot be used, or a certificate of the options.
pub(crate) fn undialable(error: &DialError) -> napi::Error {
    invalid(&error.to_string())
}

/// What a side says of itself; a fresh peer id where the program names none.
pub(crate) fn introduction(peer_id: Option<String>, capabilities: Vec<String>) -> Introduction {
    let fresh = Introduction::default();
    Introduction { peer_id: peer_id.unwrap_or(fresh.peer_id), capabilities }
}

/// Milliseconds as JavaScript has them.
pub(crate) fn milliseconds(ms: f64) -> Duration {
    let ms = if ms.is_nan() { 0.0 } else { ms.clamp(0.0, LONGEST_MS) };
    Duration::from_secs_f64(ms / 1000.0)
}

/// The limits of a peer.
pub(crate) fn policy(on_disconnect: Disconnect, rpc: Rpc, event: Event) -> PeerPolicy {
    PeerPolicy {
        on_disconnect: match on_disconnect {
            Disconnect::Fail => OnDisconnect::Fail,
            Disconnect::Pause => OnDisconnect::Pause,
        },
        buffer_limit: usize::try_from(rpc.disconnect_buffer_limit_bytes).unwrap_or(usize::MAX),
        max_events: usize::try_from(event.max_buffered_events).unwrap_or(usize::MAX),
    }
}

impl Retry {
    pub(crate) fn policy(self) -> RetryPolicy {
        RetryPolicy {
            on_error: self.mode == RetryMode::OnError,
            initial_delay: milliseconds(self.initial_delay_ms),
            max_delay: milliseconds(self.max_delay_ms),
            max_attempts: u32::try_from(self.max_attempts).unwrap_or(u32::MAX),
            jitter: self.jitter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_within_what_a_clock_can_add() {
        assert_eq!(milliseconds(1.5), Duration::from_micros(1500));
        for strange in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(milliseconds(strange), Duration::ZERO);
        }
        assert!(std::time::Instant::now().checked_add(milliseconds(f64::INFINITY)).is_some());
    }

    #[test]
    fn a_wrong_option_is_not_quoted() {
        let text = r#"{"mode":"cloud","apiKey":["sbnd_dak_hidden"]}"#.to_owned();
        let Err(error) = parse::<ServerOptions>(text) else { panic!("a list is no key") };
        assert!(!error.reason.contains("hidden"), "{}", error.reason);
    }
}
