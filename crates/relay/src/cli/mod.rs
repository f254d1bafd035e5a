//! The command line.

mod daemons;
mod doctor;
mod keys;
mod log;
mod output;
mod serve;
mod settings;
mod users;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code for a start that failed: the configuration or the environment has to change first.
const EXIT_UNUSABLE: u8 = 2;

/// Exit code for a command that was not carried out.
const EXIT_FAILED: u8 = 1;

#[derive(Parser)]
#[command(name = "sideband-relay", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay and the control plane
    Serve(serve::ServeArgs),
    /// Check the configuration without starting anything
    CheckConfig(settings::Settings),
    /// Look for what keeps the relay from working: clock, data directory, TLS, its own URLs
    Doctor(settings::Settings),
    /// Register, list and revoke daemons
    #[command(subcommand)]
    Daemon(daemons::DaemonCommand),
    /// Make and revoke users and their access tokens
    #[command(subcommand)]
    User(users::UserCommand),
    /// List and rotate the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make Quick Connect codes
    #[command(subcommand)]
    QuickConnect(daemons::QuickConnectCommand),
    /// Make the token for the admin endpoints, in place of the one before
    AdminToken(keys::AdminTokenArgs),
}

/// Why the program ends other than well: an exit code and one line.
struct Failure(u8, String);

impl Failure {
    /// It cannot start like this.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn unusable(error: impl ToString) -> Self {
        Self(EXIT_UNUSABLE, error.to_string())
    }

    /// It was asked for something that it could not do.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    fn failed(error: impl ToString) -> Self {
        Self(EXIT_FAILED, error.to_string())
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command)),
        Err(error) => Err(Failure::unusable(format!("cannot start: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, error)) => {
            eprintln!("sideband-relay: {error}");
            ExitCode::from(code)
        }
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::CheckConfig(settings) => settings.check(),
        Command::Doctor(settings) => doctor::run(settings).await,
        Command::Daemon(command) => daemons::run(command).await,
        Command::User(command) => users::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::QuickConnect(command) => daemons::quick_connect(command).await,
        Command::AdminToken(args) => keys::admin_token(args).await,
    }
}
