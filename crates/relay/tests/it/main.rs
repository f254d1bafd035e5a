//! The relay over real sockets: one module per behaviour, one test per row of the contract.

mod admin;
mod connection;
mod control_plane;
mod frames;
mod keep;
mod pairing;
mod slow;
mod support;
mod tokens;
