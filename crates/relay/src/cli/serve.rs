//! `sideband-relay serve`.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde_json::json;
use sideband_relay::{Relay, RunningRelay};
use tokio::signal::unix::{SignalKind, signal};

/// Options of `serve`.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Needs nothing and stores nothing: a relay on 127.0.0.1 with one daemon and one user, whose
    /// credentials are printed.
    #[arg(long)]
    dev: bool,

    /// The port to listen on; 0 takes any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Print the addresses and credentials as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: ServeArgs) -> Result<(), String> {
    if !args.dev {
        return Err("only serve --dev is available".to_owned());
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    // Before the address is printed: whoever reads it may stop the relay at once.
    let hook = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let (mut terminate, mut interrupt) = (hook(SignalKind::terminate())?, hook(SignalKind::interrupt())?);
    let relay = Relay::builder()
        .dev()
        .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))
        .start()
        .await
        .map_err(|error| error.to_string())?;
    announce(&relay, args.json);
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    relay.shutdown().await;
    Ok(())
}

fn announce(relay: &RunningRelay, as_json: bool) {
    if as_json {
        let line = json!({
            "relayUrl": relay.relay_url(),
            "apiUrl": relay.api_url(),
            "daemonId": relay.daemon_id(),
            "apiKey": relay.api_key(),
            "accessToken": relay.access_token(),
            "adminToken": relay.admin_token(),
        });
        println!("{line}");
    } else {
        println!("Sideband relay for development; nothing is stored.");
        println!("  relay URL     {}", relay.relay_url());
        println!("  API URL       {}", relay.api_url());
        println!("  daemon id     {}", relay.daemon_id());
        println!("  API key       {}   (for the daemon)", relay.api_key());
        println!("  access token  {}   (for clients)", relay.access_token());
        println!("  admin token   {}", relay.admin_token());
    }
}
