//! The data plane: shards of connections, pairs of clients and daemons, and frames between them.

mod command;
mod connection;
mod context;
mod endpoint;
mod gate;
mod link;
mod outgoing;
mod pair;
mod pairing;
#[cfg(test)]
mod pairing_tests;
mod registry;
mod shard;

pub use command::SessionInfo;
pub(crate) use command::{Arrival, Command, NewConnection, ShardHandle};
pub(crate) use registry::{LeaseRefusal, Registry};
pub(crate) use shard::start;
