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
//! | [`sbp`] | 3 | frames between client and daemon |
//! | [`rpc`] | 4 | calls, answers and events in them, around raw JSON text |
//! | [`event`] | 4 | event names and patterns |
//!
//! What another side sent is never trusted: every decoder takes any bytes, refuses what the
//! contract refuses with an error that says whose fault it is, never panics, and allocates nothing
//! by a length that somebody announced.
#![forbid(unsafe_code)]

pub mod event;
pub mod handshake;
pub mod identity;
pub mod rpc;
pub mod sbp;
pub mod sbrp;
pub mod session;
