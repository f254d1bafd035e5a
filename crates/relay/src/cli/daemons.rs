//! `sideband-relay daemon …` and `sideband-relay quick-connect …`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;
use sideband_relay::{DaemonCredentials, admin::MAX_CODE_SECONDS};

use super::{
    Failure,
    output::{Common, date, date_or},
};

/// What can be done with daemons.
#[derive(Subcommand)]
pub(crate) enum DaemonCommand {
    /// Register a daemon and print its API key
    Add(AddArgs),
    /// List all daemons
    List(Common),
    /// End a daemon for good; its live connection is closed within a second
    Revoke(IdArgs),
    /// Give a daemon a new API key; what was got with the old one ends within a second
    RotateKey(IdArgs),
}

/// Arguments of `daemon add`.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// The daemon's id; random if left out
    id: Option<String>,

    /// Most sessions at once
    #[arg(long, value_name = "COUNT")]
    max_sessions: Option<u32>,

    #[command(flatten)]
    common: Common,
}

/// A daemon.
#[derive(Args)]
pub(crate) struct IdArgs {
    /// The daemon's id
    id: String,

    #[command(flatten)]
    common: Common,
}

/// What can be done with Quick Connect codes.
#[derive(Subcommand)]
pub(crate) enum QuickConnectCommand {
    /// Make a code that lets a client reach a daemon once
    Create(CodeArgs),
}

/// Arguments of `quick-connect create`.
#[derive(Args)]
pub(crate) struct CodeArgs {
    /// The daemon's id
    id: String,

    /// The code's life in seconds, 300 at most
    #[arg(long, value_name = "SECONDS", default_value_t = MAX_CODE_SECONDS)]
    ttl: u64,

    #[command(flatten)]
    common: Common,
}

fn print_credentials(common: &Common, new: &DaemonCredentials) {
    let value = json!({ "daemonId": new.daemon_id, "apiKey": new.api_key });
    common.print(&value, || format!("daemon id  {}\nAPI key    {}   (shown only now)", new.daemon_id, new.api_key));
}

/// Runs `sideband-relay daemon …`.
pub(crate) async fn run(command: DaemonCommand) -> Result<(), Failure> {
    match command {
        DaemonCommand::Add(AddArgs { id, max_sessions, common }) => {
            let admin = common.settings.admin()?;
            let new = admin.add_daemon(id.as_deref(), max_sessions).await.map_err(Failure::failed)?;
            print_credentials(&common, &new);
        }
        DaemonCommand::List(common) => {
            let all = common.settings.admin()?.daemons().await.map_err(Failure::failed)?;
            let row = |it: &sideband_relay::admin::DaemonRow| {
                json!({
                    "daemonId": it.id,
                    "createdAt": it.created_at,
                    "revokedAt": it.revoked_at,
                    "maxSessions": it.max_sessions,
                })
            };
            common.print(&all.iter().map(row).collect(), || {
                let mut table = format!("{:<32}  {:<19}  {:<19}  max sessions", "daemon id", "made", "revoked");
                for it in &all {
                    let limit = it.max_sessions.map_or_else(|| "-".to_owned(), |it| it.to_string());
                    let (made, revoked) = (date(it.created_at), date_or(it.revoked_at, "-"));
                    // Writing to a string cannot fail.
                    let _ = write!(table, "\n{:<32}  {made:<19}  {revoked:<19}  {limit}", it.id);
                }
                table
            });
        }
        DaemonCommand::Revoke(IdArgs { id, common }) => {
            common.settings.admin()?.revoke_daemon(&id).await.map_err(Failure::failed)?;
            common.print(&json!({}), || format!("{id} is revoked."));
        }
        DaemonCommand::RotateKey(IdArgs { id, common }) => {
            let new = common.settings.admin()?.rotate_daemon_key(&id).await.map_err(Failure::failed)?;
            print_credentials(&common, &new);
        }
    }
    Ok(())
}

/// Runs `sideband-relay quick-connect …`.
pub(crate) async fn quick_connect(command: QuickConnectCommand) -> Result<(), Failure> {
    let QuickConnectCommand::Create(CodeArgs { id, ttl, common }) = command;
    let new = common.settings.admin()?.add_code(&id, ttl).await.map_err(Failure::failed)?;
    let value = json!({ "code": new.code, "expiresAt": new.expires_at });
    common.print(&value, || format!("{}   (once, until {})", new.code, new.expires_at));
    Ok(())
}
