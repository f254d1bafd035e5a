//! The relay over real sockets: one module per behaviour, one test per row of the contract.

mod admin;
mod cli;
mod config;
mod connection;
mod control_plane;
mod data_dir;
mod frames;
mod keep;
mod limits;
mod logs;
mod operations;
mod pairing;
mod slow;
mod support;
mod tls;
mod tokens;
