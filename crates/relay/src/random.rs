//! Ids and secrets from the operating system's random numbers.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sideband_protocol::sbrp::SessionId;
use zeroize::Zeroizing;

/// Letters in a Quick Connect code.
pub(crate) const CODE_LETTERS: usize = 12;

/// `N` random bytes, wiped when dropped.
///
/// # Panics
///
/// When the operating system has no random numbers; nothing safe can be done then.
pub(crate) fn bytes<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).expect("the operating system gives random numbers");
    bytes
}

/// `prefix` and 256 random bits.
fn secret(prefix: &str) -> Zeroizing<String> {
    let mut secret = Zeroizing::new(String::with_capacity(prefix.len() + 43));
    secret.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes::<32>().as_slice(), &mut secret);
    secret
}

/// A daemon's API key.
pub(crate) fn api_key() -> Zeroizing<String> {
    secret("sbnd_dak_")
}

/// What access tokens begin with, which tells them from others' JWTs.
pub(crate) const ACCESS_TOKEN_PREFIX: &str = "sbnd_uat_";

/// A user's access token.
pub(crate) fn access_token() -> Zeroizing<String> {
    secret(ACCESS_TOKEN_PREFIX)
}

/// The token for the admin endpoints.
pub(crate) fn admin_token() -> Zeroizing<String> {
    secret("sbnd_adm_")
}

/// `prefix` and 64 random bits: unique, not secret.
fn id(prefix: &str) -> String {
    let mut id = prefix.to_owned();
    for byte in bytes::<8>().iter() {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// A new daemon's id.
pub(crate) fn daemon_id() -> String {
    id("d_")
}

/// A new user's id.
pub(crate) fn user_id() -> String {
    id("u_")
}

/// Stands for the user of one redeemed Quick Connect code.
pub(crate) fn guest_id() -> String {
    id("qc_")
}

/// A token's `jti`.
pub(crate) fn token_id() -> String {
    id("")
}

/// A new session's id. With 64 random bits two never meet in practice; if they did, the second
/// would be refused with 409.
pub(crate) fn session_id() -> SessionId {
    loop {
        if let Some(session) = SessionId::new(u64::from_be_bytes(*bytes::<8>())) {
            return session;
        }
    }
}

/// Twelve letters a–z, each as likely as the others.
pub(crate) fn quick_connect_code() -> Zeroizing<String> {
    let mut code = Zeroizing::new(String::with_capacity(CODE_LETTERS));
    while code.len() < CODE_LETTERS {
        for byte in bytes::<16>().iter() {
            // 234 is the largest multiple of 26 in a byte: the bytes above would favour some letters.
            if *byte < 234 && code.len() < CODE_LETTERS {
                code.push(char::from(b'a' + byte % 26));
            }
        }
    }
    code
}
