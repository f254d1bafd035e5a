//! A daemon and a client in one program, through a relay that is started for the purpose.
//!
//! `cargo run -p sideband --example greet`

use std::sync::Arc;

use sideband::client::{Account, ClientOptions};
use sideband::cloud::Cloud;
use sideband::daemon::{ApiKey, DaemonOptions};
use sideband::dial::{Dialer, DialerOptions};
use sideband::protocol::identity::IdentityKeyPair;
use sideband::random;
use sideband::sdk::{self, Incoming, MemoryStore};
use sideband::secret::Secret;
use sideband_relay::Relay;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let relay = Relay::builder().dev().start().await?;
    let dialer = Dialer::new(DialerOptions::default())?;
    let cloud = Cloud::new(dialer.clone(), relay.api_url().parse()?);

    let identity = IdentityKeyPair::from_seed(&random::secret());
    println!("the daemon's fingerprint is {}", identity.public_key().fingerprint());
    let presence = ApiKey {
        cloud: cloud.clone(),
        api_key: Secret::new(relay.api_key().to_owned()),
        relay_url: relay.relay_url().parse()?,
    };
    let mut daemon = sdk::listen(DaemonOptions::new(Arc::new(presence), identity, dialer.clone())).await?;

    let account = Account {
        cloud,
        access_token: Arc::new(Secret::new(relay.access_token().to_owned())),
        daemon_id: daemon.id().to_owned(),
    };
    let store = Arc::new(MemoryStore::default());
    let connecting = tokio::spawn(sdk::connect(ClientOptions::new(Arc::new(account), store, dialer)));

    let mut accepted = daemon.accept().await.ok_or("the daemon closed")?;
    tokio::spawn(async move {
        while let Some(incoming) = accepted.incoming().await {
            if let Incoming::Request(request) = incoming {
                let name = request.params.as_ref().map_or("nobody", |params| params.get()).to_owned();
                if let Err(error) = request.respond(&format!("hello, {name}")) {
                    eprintln!("no answer: {error}");
                }
            }
        }
    });

    let client = connecting.await??;
    let greeting: String = client.call("greet", &"you").await?;
    println!("the daemon says: {greeting}");
    daemon.close().await;
    relay.shutdown().await;
    Ok(())
}
