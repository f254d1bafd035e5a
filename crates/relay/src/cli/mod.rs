//! The command line.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code for a start that failed: the configuration or the environment has to change first.
const EXIT_UNUSABLE: u8 = 2;

#[derive(Parser)]
#[command(name = "sideband-relay", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay and the control plane.
    Serve(serve::ServeArgs),
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(async {
            match cli.command {
                Command::Serve(args) => serve::run(args).await,
            }
        }),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sideband-relay: {error}");
            ExitCode::from(EXIT_UNUSABLE)
        }
    }
}
