//! `sideband-relay serve`.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
};

use clap::Args;
use serde_json::json;
use sideband_relay::{Relay, RunningRelay, config::Config};
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, log, settings::Settings};

/// Options of `serve`.
#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Needs nothing and stores nothing: a relay on 127.0.0.1 with one daemon and one user, whose
    /// credentials are printed
    #[arg(long)]
    dev: bool,

    /// With --dev: the port to listen on; any free one if left out
    #[arg(long, requires = "dev")]
    port: Option<u16>,

    /// Print the addresses (with --dev also the credentials) as one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

impl ServeArgs {
    fn config(&self) -> Result<Config, Failure> {
        if !self.dev {
            return self.settings.load().map_err(Failure::unusable);
        }
        if !self.settings.is_empty() {
            let message = "--dev stores nothing and takes no settings but --port; leave out one or the other";
            return Err(Failure::unusable(message));
        }
        let mut config = Config::dev();
        config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port.unwrap_or(0)));
        Ok(config)
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let config = args.config()?;
    log::init(&config);
    raise_file_limit();
    // Before the address is printed: whoever reads it may stop the relay at once.
    let hook = |kind| signal(kind).map_err(|error| Failure::unusable(format!("cannot wait for signals: {error}")));
    let (mut terminate, mut interrupt) = (hook(SignalKind::terminate())?, hook(SignalKind::interrupt())?);
    let mut hang_up = hook(SignalKind::hangup())?;
    let relay = Relay::builder().config(config).start().await.map_err(Failure::unusable)?;
    announce(&relay, &args);
    tracing::info!(relay_url = relay.relay_url(), api_url = relay.api_url(), "serving");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&relay, &args),
        }
    }
    tracing::info!("shutting down");
    relay.shutdown().await;
    Ok(())
}

/// Reads the settings again and takes over what can be. A faulty one changes nothing.
fn reload(relay: &RunningRelay, args: &ServeArgs) {
    let config = args.config().map_err(|Failure(_, error)| error);
    match config.and_then(|config| relay.reload(config).map_err(|error| error.to_string())) {
        Ok(fixed) if fixed.is_empty() => tracing::info!("the settings were loaded again"),
        Ok(fixed) => tracing::warn!(settings = fixed.join(" "), "loaded again; these need a new start"),
        Err(error) => tracing::error!(error, "the settings stay as they were"),
    }
}

/// Every connection is a file descriptor, and the usual soft limit is 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// What the example programs read, as a line for a shell.
fn exports(relay: &RunningRelay) -> String {
    let variables = [
        ("RELAY_URL", relay.relay_url()),
        ("API_URL", relay.api_url()),
        ("DAEMON_ID", relay.daemon_id()),
        ("API_KEY", relay.api_key()),
        ("ACCESS_TOKEN", relay.access_token()),
    ];
    let assignments = variables.into_iter().map(|(name, value)| format!(" SIDEBAND_{name}={value}"));
    format!("\nFor the programs in examples/:\n  export{}", assignments.collect::<String>())
}

fn announce(relay: &RunningRelay, args: &ServeArgs) {
    let mut lines = vec![("relayUrl", relay.relay_url()), ("apiUrl", relay.api_url())];
    if args.dev {
        lines.push(("daemonId", relay.daemon_id()));
        lines.push(("apiKey", relay.api_key()));
        lines.push(("accessToken", relay.access_token()));
        lines.push(("adminToken", relay.admin_token()));
    }
    let text = if args.json {
        let object: serde_json::Map<_, _> =
            lines.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!(object).to_string()
    } else {
        let title = if args.dev { "Sideband relay for development; nothing is stored." } else { "Sideband relay" };
        let lines = lines.into_iter().map(|(name, value)| format!("\n  {name:<12} {value}"));
        let export = if args.dev { exports(relay) } else { String::new() };
        format!("{title}{}{export}", lines.collect::<String>())
    };
    // Whoever started it may not read it; that is no reason to end.
    let _ = writeln!(std::io::stdout(), "{text}");
}
