//! `sideband-relay keys …` and `sideband-relay admin-token`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;
use sideband_relay::admin::KeyRow;

use super::{
    Failure,
    output::{Common, date, date_or},
};

/// What can be done with signing keys.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// List all signing keys
    List(Common),
    /// Make a new key; the old one stays published until its tokens are dead
    Rotate(Common),
}

/// Arguments of `admin-token`.
#[derive(Args)]
pub(crate) struct AdminTokenArgs {
    #[command(flatten)]
    common: Common,
}

/// Runs `sideband-relay keys …`.
pub(crate) async fn run(command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::List(common) => {
            let all = common.settings.admin()?.signing_keys().await.map_err(Failure::failed)?;
            let row = |it: &KeyRow| json!({ "kid": it.kid, "createdAt": it.created_at, "retiredAt": it.retired_at });
            common.print(&all.iter().map(row).collect(), || {
                let mut table = format!("{:<16}  {:<19}  retired", "key id", "made");
                for it in &all {
                    let (made, retired) = (date(it.created_at), date_or(it.retired_at, "-"));
                    // Writing to a string cannot fail.
                    let _ = write!(table, "\n{:<16}  {made:<19}  {retired}", it.kid);
                }
                table
            });
        }
        KeysCommand::Rotate(common) => {
            let kid = common.settings.admin()?.rotate_signing_key().await.map_err(Failure::failed)?;
            common.print(&json!({ "kid": kid }), || format!("{kid} signs from now on."));
        }
    }
    Ok(())
}

/// Runs `sideband-relay admin-token`.
pub(crate) async fn admin_token(args: AdminTokenArgs) -> Result<(), Failure> {
    let token = args.common.settings.admin()?.set_admin_token().await.map_err(Failure::failed)?;
    args.common.print(&json!({ "adminToken": token }), || format!("admin token  {token}   (shown only now)"));
    Ok(())
}
