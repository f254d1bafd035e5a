//! The engine as a Rust SDK: futures and channels instead of a host.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use sideband::client::{ClientOptions, RelayEndpoint};
//! use sideband::dial::{Dialer, DialerOptions};
//! use sideband::sdk::{self, MemoryStore};
//!
//! let source = RelayEndpoint {
//!     url: "wss://relay.example/?token=…".parse()?,
//!     session_token: None,
//!     daemon_id: "my-daemon".into(),
//! };
//! let dialer = Dialer::new(DialerOptions::default())?;
//! let options = ClientOptions::new(Arc::new(source), Arc::new(MemoryStore::default()), dialer);
//! let peer = sdk::connect(options).await?;
//! let answer: String = peer.call("ping", &()).await?;
//! # Ok(()) }
//! ```

mod daemon;
mod peer;
mod store;

pub use daemon::{Daemon, listen};
pub use peer::{CALL_TIMEOUT, Incoming, Peer, Request, connect};
pub use store::MemoryStore;
