//! `sideband-relay doctor`.

use sideband_relay::doctor::examine;

use super::{Failure, settings::Settings};

/// Prints a line per check; fails if one did.
pub(crate) async fn run(settings: Settings) -> Result<(), Failure> {
    let config = settings.load().map_err(Failure::unusable)?;
    let findings = examine(&config).await;
    for finding in &findings {
        match &finding.result {
            Ok(word) => println!("ok    {:<20} {word}", finding.what),
            Err(word) => println!("FAIL  {:<20} {word}", finding.what),
        }
    }
    match findings.iter().filter(|finding| finding.result.is_err()).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("1 check failed")),
        count => Err(Failure::failed(format!("{count} checks failed"))),
    }
}
