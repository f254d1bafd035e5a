//! The `sideband-relay` program.
#![forbid(unsafe_code)]

mod cli;

/// musl's own takes one lock for every allocation of every thread, and a frame needs some.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
