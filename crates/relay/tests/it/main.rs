//! The relay over real sockets: one module per behaviour, one test per row of the contract.

mod admin;
mod bad_start;
mod cli;
mod config;
mod connection;
mod control_plane;
mod cors;
mod data_dir;
mod docs;
mod doctor;
mod durability;
mod frames;
mod keep;
mod limits;
mod logs;
mod oidc;
mod opening;
mod operations;
mod pairing;
mod roles;
mod signals;
mod slow;
mod support;
mod tls;
mod tokens;
