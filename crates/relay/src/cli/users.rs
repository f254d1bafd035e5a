//! `sideband-relay user …`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::json;
use sideband_relay::admin::{UserCredentials, UserRow};

use super::{
    Failure,
    output::{Common, date, date_or},
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What can be done with users.
#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user who may reach daemons, and print an access token
    Add(AddArgs),
    /// List all users
    List(Common),
    /// Give a user another access token
    Token(TokenArgs),
    /// End a user for good; live connections are closed within a second
    Revoke(RevokeArgs),
}

/// Arguments of `user add`.
#[derive(Args)]
pub(crate) struct AddArgs {
    /// Daemons that the user may reach
    #[arg(long = "daemon", value_name = "ID", required_unless_present = "all_daemons")]
    daemons: Vec<String>,

    /// The user may reach every daemon, also later ones
    #[arg(long, conflicts_with = "daemons")]
    all_daemons: bool,

    #[command(flatten)]
    common: Common,
}

/// Arguments of `user token`.
#[derive(Args)]
pub(crate) struct TokenArgs {
    /// The user's id
    id: String,

    /// The token's life; without end if left out
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,

    #[command(flatten)]
    common: Common,
}

/// Arguments of `user revoke`.
#[derive(Args)]
pub(crate) struct RevokeArgs {
    /// The user's id
    id: String,

    #[command(flatten)]
    common: Common,
}

fn print_credentials(common: &Common, new: &UserCredentials) {
    let value = json!({ "userId": new.user_id, "accessToken": new.access_token });
    common.print(&value, || {
        format!("user id       {}\naccess token  {}   (shown only now)", new.user_id, new.access_token)
    });
}

/// Runs `sideband-relay user …`.
pub(crate) async fn run(command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Add(AddArgs { daemons, all_daemons, common }) => {
            let daemons = (!all_daemons).then_some(daemons.as_slice());
            let new = common.settings.admin()?.add_user(daemons).await.map_err(Failure::failed)?;
            print_credentials(&common, &new);
        }
        UserCommand::List(common) => {
            let all = common.settings.admin()?.users().await.map_err(Failure::failed)?;
            let row = |it: &UserRow| {
                json!({
                    "userId": it.id,
                    "createdAt": it.created_at,
                    "revokedAt": it.revoked_at,
                    "daemonIds": it.daemons,
                })
            };
            common.print(&all.iter().map(row).collect(), || {
                let mut table = format!("{:<18}  {:<19}  {:<19}  may reach", "user id", "made", "revoked");
                for it in &all {
                    let (made, revoked) = (date(it.created_at), date_or(it.revoked_at, "-"));
                    // Writing to a string cannot fail.
                    let _ = write!(table, "\n{:<18}  {made:<19}  {revoked:<19}  {}", it.id, it.daemons.join(" "));
                }
                table
            });
        }
        UserCommand::Token(TokenArgs { id, days, common }) => {
            let seconds = days.map(|days| u64::from(days) * DAY);
            let new = common.settings.admin()?.add_token(&id, seconds).await.map_err(Failure::failed)?;
            print_credentials(&common, &new);
        }
        UserCommand::Revoke(RevokeArgs { id, common }) => {
            common.settings.admin()?.revoke_user(&id).await.map_err(Failure::failed)?;
            common.print(&json!({}), || format!("{id} is revoked."));
        }
    }
    Ok(())
}
