//! A relay and control plane for the Sideband protocols.
//!
//! The **relay** pairs clients with daemons and forwards frames that it cannot read; the **control
//! plane** issues the tokens that open the connections to it. Both are in one process here, on one port.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sideband_relay::Relay;
//!
//! let relay = Relay::builder().dev().start().await?;
//! println!("{} {} {}", relay.api_url(), relay.daemon_id(), relay.access_token());
//! relay.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! A relay runs on threads of its own and can be started from any runtime.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `front` | accepting, HTTP, the opening of a WebSocket |
//! | `hub` | the data plane: shards, connections, pairs |
//! | `control` | the control plane's procedures and the admin's endpoints |
//! | [`token`] | the JWTs |
//! | `store` | the database |
#![forbid(unsafe_code)]

mod control;
mod front;
mod hub;
mod limits;
mod random;
mod relay;
mod store;
pub mod token;

pub use hub::SessionInfo;
pub use limits::Limits;
pub use relay::{DaemonCredentials, Relay, RelayBuilder, RunningRelay, StartError};
pub use store::StoreError;
