//! Log lines, to standard error.

use sideband_relay::config::{Config, LogFormat, LogLevel};
use tracing::Level;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Begins logging as configured.
pub(crate) fn init(config: &Config) {
    let level = match config.log_level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Debug => Level::DEBUG,
        _ => Level::INFO,
    };
    // Only this crate's: others' events may hold what they please, URLs with tokens among it.
    let own = tracing_subscriber::filter::Targets::new().with_target("sideband_relay", level);
    let builder = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).boxed(),
        _ => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(own)).init();
}
