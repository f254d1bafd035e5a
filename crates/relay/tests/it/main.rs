//! The relay over real sockets: one module per behaviour, one test per row of the contract.

mod pairing;
mod support;
