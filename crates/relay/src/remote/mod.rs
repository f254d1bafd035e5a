//! What is asked of other servers: key sets, and the control plane of a relay that runs apart.

mod control;
mod fetch;
mod keys;

pub(crate) use control::{
    HORIZON, RemoteControl, RemoteRelay, RevocationLine, RevocationList, below, watch as watch_control,
};
pub(crate) use fetch::{Fetch, read_authorities};
pub(crate) use keys::{KeyCache, KeySet};
