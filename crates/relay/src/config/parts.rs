//! The sections of the settings.

use std::{fmt, path::PathBuf};

use reqwest::Url;
use serde::{Deserialize, Deserializer, de::Error as _};
use zeroize::Zeroizing;

/// What a process does.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// Relay and control plane.
    #[default]
    All,
    /// The relay alone; the control plane is elsewhere.
    Relay,
    /// The control plane alone; the relay is elsewhere.
    Control,
}

/// How log lines look.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// From which level on lines are logged.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happens: connections, revocations, reloads.
    #[default]
    Info,
    /// Why single requests failed.
    Debug,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Eq, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The server's certificate first, then those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Somebody else whose access tokens are good.
#[derive(Clone, Eq, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// `iss` of the tokens.
    pub issuer: String,
    /// Where the issuer's keys are.
    #[serde(deserialize_with = "url")]
    pub jwks_url: Url,
    /// What `aud` of the tokens has to contain.
    pub audience: String,
    /// The claim that lists the daemons that a user may reach; `*` stands for all.
    #[serde(default = "default_claim")]
    pub daemons_claim: String,
}

fn default_claim() -> String {
    "sideband_daemons".to_owned()
}

/// A URL, whose text is not repeated if there may be a password in it.
fn url<'de, D: Deserializer<'de>>(source: D) -> Result<Url, D::Error> {
    let text = String::deserialize(source)?;
    Url::parse(&text).map_err(|error| D::Error::custom(format!("{error}{}", harmless(&text, ": "))))
}

fn some_url<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Url>, D::Error> {
    url(source).map(Some)
}

/// What was given for a URL as a message may show it: nothing if there is an @ in it, since what
/// stands before one may be a password.
pub(super) fn harmless(text: &str, before: &str) -> String {
    if text.contains('@') { String::new() } else { format!("{before}{text:?}") }
}

/// The control plane of a relay that runs apart from it.
#[derive(Clone, Eq, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// Where it is.
    #[serde(deserialize_with = "url")]
    pub url: Url,
    /// `iss` of its tokens; the URL if left out.
    pub issuer: Option<String>,
    /// Where its keys are; `/.well-known/jwks.json` below the URL if left out.
    #[serde(default, deserialize_with = "some_url")]
    pub jwks_url: Option<Url>,
}

impl ControlConfig {
    /// A control plane of this kind at `url`.
    pub fn new(url: Url) -> Self {
        Self { url, issuer: None, jwks_url: None }
    }

    pub(crate) fn issuer(&self) -> String {
        self.issuer.clone().unwrap_or_else(|| self.url.as_str().trim_end_matches('/').to_owned())
    }

    pub(crate) fn jwks_url(&self) -> Url {
        self.jwks_url.clone().unwrap_or_else(|| crate::remote::below(&self.url, ".well-known/jwks.json"))
    }
}

/// What a relay and its control plane, running apart, know each other by. Never printed.
#[derive(Clone, Eq, PartialEq, Deserialize)]
#[serde(from = "String")]
pub struct SharedSecret(Zeroizing<String>);

impl From<String> for SharedSecret {
    fn from(secret: String) -> Self {
        Self::new(&Zeroizing::new(secret))
    }
}

impl SharedSecret {
    /// Takes it as it is, without the white space around it.
    pub fn new(secret: &str) -> Self {
        Self(Zeroizing::new(secret.trim().to_owned()))
    }

    pub(crate) fn expose(&self) -> &Zeroizing<String> {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}
