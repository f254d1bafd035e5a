//! The known answers of the wire contract: every entry of every file, and how many there are, so
//! that none is skipped unseen.

mod copies;
mod event;
mod handshake;
mod rpc;
mod sbp;
mod sbrp;
mod session;
mod support;
