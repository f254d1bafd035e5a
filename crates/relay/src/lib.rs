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
//! With a data directory it remembers its daemons, users and keys:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sideband_relay::{Relay, config::Config};
//!
//! let relay = Relay::builder().config(Config::with_data_dir("./data")).start().await?;
//! let daemon = relay.admin().add_daemon(Some("my-daemon"), None).await?;
//! let user = relay.admin().add_user(Some(&[daemon.daemon_id])).await?;
//! # let _ = (daemon.api_key, user.access_token);
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
//! | [`admin`] | what the admin commands do |
//! | [`config`] | settings and their sources |
//! | [`doctor`] | looking for what keeps a relay from working |
//! | [`token`] | the JWTs |
//! | `store` | the database |
#![forbid(unsafe_code)]

pub mod admin;
mod authority;
pub mod config;
mod control;
pub mod doctor;
mod front;
mod hub;
mod limits;
mod metrics;
mod random;
mod relay;
mod remote;
mod shared;
mod store;
pub mod token;

pub use admin::{Admin, DaemonCredentials};
pub use front::TlsError;
pub use hub::SessionInfo;
pub use limits::{LimitError, LimitRow, Limits};
pub use relay::{Relay, RelayBuilder, RunningRelay, StartError};
pub use store::StoreError;
