//! Dialers, shared by every connection with the same settings: they hold the trusted roots and the HTTP connections.

use std::ffi::OsString;
use std::sync::Mutex;

use napi_derive::napi;
use sideband::dial::{self, DialError, Dialer, DialerOptions};

use crate::{guard, lock};

/// Dialers kept: one does for nearly every program, and a program that makes up certificates shall not fill the memory.
const KEPT: usize = 8;

/// What [`DialerOptions::default`] reads; a change makes another dialer.
const VARIABLES: [&str; 8] = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];

#[derive(PartialEq)]
struct Settings {
    ca: Option<String>,
    token_in_header: bool,
    variables: [Option<OsString>; VARIABLES.len()],
}

static DIALERS: Mutex<Vec<(Settings, Dialer)>> = Mutex::new(Vec::new());

/// What is wrong with a PEM text as `ca`, if anything is.
#[napi]
pub fn check_roots(pem: String) -> napi::Result<Option<String>> {
    guard(|| Ok(dial::check_roots(pem.as_bytes()).err()))
}

/// The dialer for the environment variables as they are, for the roots given in PEM, and for the token's place.
///
/// # Errors
/// Settings that cannot be used, by name.
pub(crate) fn dialer(ca: Option<String>, token_in_header: bool) -> Result<Dialer, DialError> {
    let settings = Settings { ca, token_in_header, variables: VARIABLES.map(std::env::var_os) };
    let mut dialers = lock(&DIALERS);
    if let Some((_, dialer)) = dialers.iter().find(|(known, _)| *known == settings) {
        return Ok(dialer.clone());
    }
    let ca_pem = settings.ca.iter().map(|pem| pem.clone().into_bytes()).collect();
    let dialer = Dialer::new(DialerOptions { ca_pem, token_in_header, ..DialerOptions::default() })?;
    if dialers.len() == KEPT {
        dialers.remove(0);
    }
    dialers.push((settings, dialer.clone()));
    Ok(dialer)
}
