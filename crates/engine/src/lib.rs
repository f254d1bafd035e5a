//! Sideband's engine: end-to-end-encrypted RPC and events between clients and daemons behind NAT, over a relay that
//! sees only ciphertext.
//!
//! * [`sdk`] is the way in for a Rust program: `Client`, `Daemon`, `Peer`, with futures and channels.
//! * [`client::connect`] and [`daemon::listen`] are the engine itself. They tell a [`host::Host`] what happens, from the
//!   one task that owns a connection; the JavaScript addon is such a host. [`direct::listen`] serves plain SBP on a port.
//! * [`trust`] decides whom a client believes; [`cloud`] speaks to the control plane; [`dial`] opens sockets.
//!
//! The protocol itself (frames, handshake, session cryptography) is the `sideband-protocol` crate, re-exported as
//! [`protocol`]. "Section n" in these docs is section n of the wire contract.
#![forbid(unsafe_code)]

pub mod client;
pub mod cloud;
pub mod daemon;
pub mod dial;
pub mod direct;
pub mod error;
pub mod host;
mod keepalive;
mod link;
mod outbound;
pub mod peer;
pub mod random;
mod reports;
pub mod sdk;
pub mod secret;
pub mod session;
mod timers;
mod transport;
pub mod trust;

pub use sideband_protocol as protocol;
