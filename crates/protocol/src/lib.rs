//! The Sideband wire protocols, without I/O.
//!
//! Everything here is a function of its arguments: bytes come in, values or bytes go out. There is
//! no socket, task, clock or source of randomness; whoever needs a random number (an ephemeral key,
//! a frame id) hands it in. So two endpoints can be driven by a test, byte for byte, and any
//! runtime can sit around them.
//!
//! From the outside in, as in the wire contract (`protocol.md`):
//!
//! | module | section | what |
//! | --- | --- | --- |
//! | [`sbrp`] | 1 | frames between an endpoint and the relay |
//! | [`identity`] | 2 | a daemon's long-lived key and its fingerprint |
//! | [`handshake`] | 2 | the way from two ephemeral keys and a signature to session keys |
//! | [`session`] | 2 | sealing and opening Data frames |
#![forbid(unsafe_code)]

pub mod handshake;
pub mod identity;
pub mod sbrp;
pub mod session;
