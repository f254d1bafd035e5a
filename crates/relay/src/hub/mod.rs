//! The data plane: shards of connections, pairs of clients and daemons, and frames between them.

mod connection;
mod endpoint;
mod link;
mod pairing;
#[cfg(test)]
mod pairing_tests;
mod registry;
mod shard;

pub(crate) use registry::{LeaseRefusal, Registry};
pub use shard::SessionInfo;
pub(crate) use shard::{Arrival, Command, NewConnection, ShardHandle, start};
