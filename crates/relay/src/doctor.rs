//! Looking for what keeps a relay from working, before users do.

use std::{fs, path::Path, time::Duration};

use reqwest::Url;

use crate::{
    admin::{Admin, AdminError},
    config::{Config, Role},
    control::unix_time,
    front::Tls,
    remote::{Fetch, below},
};

/// How far this clock may be from another server's.
const MAX_SKEW: u64 = 30;

/// How long one check may take.
const TIME: Duration = Duration::from_secs(15);

/// What a check found.
#[derive(Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// In order, or what is not.
    pub result: Result<String, String>,
}

/// Looks at everything that settings can be checked against: the clock, the data directory, the
/// certificate, and whether the relay's own URLs lead to a relay.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut note = |what, result| findings.push(Finding { what, result });
    let fetch = Fetch::new(config.ca_file.as_deref()).map_err(|error| error.to_string());
    note("settings", config.check().map(|()| "they fit together".to_owned()).map_err(|error| error.to_string()));
    note("data directory", data_directory(config.data_dir.as_deref()).await);
    note("clock", clock(config, fetch.as_ref().ok()).await);
    note("certificate", certificate(config));
    match &fetch {
        Ok(fetch) => {
            let (relay_url, api_url) = config.urls(config.listen);
            if config.role != Role::Relay {
                note("control plane", answers(fetch, &api_url, ".well-known/jwks.json", 200).await);
            }
            if config.role != Role::Control {
                let url = relay_url.replacen("ws", "http", 1);
                note("relay", answers(fetch, &url, "", 426).await);
            }
            for (what, url) in others(config) {
                let answer = fetch.status(&url).await;
                let result = answer.map_err(|error| error.to_string()).and_then(|(status, _)| match status {
                    200 => Ok(format!("{url} answers")),
                    other => Err(format!("{url} answers {other}")),
                });
                note(what, result);
            }
        }
        Err(error) => note("HTTP client", Err(error.clone())),
    }
    findings
}

/// Key sets of other servers.
fn others(config: &Config) -> Vec<(&'static str, Url)> {
    let control = config.control.as_ref().map(|control| ("control plane's keys", control.jwks_url()));
    let oidc = config.oidc.as_ref().map(|oidc| ("OIDC issuer's keys", oidc.jwks_url.clone()));
    control.into_iter().chain(oidc).collect()
}

async fn data_directory(directory: Option<&Path>) -> Result<String, String> {
    let Some(directory) = directory else {
        return Ok("none is needed".to_owned());
    };
    let shown = directory.display();
    if !directory.exists() {
        return Err(format!("{shown} does not exist; it is made at the first start"));
    }
    let check = async {
        let admin = Admin::open(directory)?;
        admin.check().await?;
        let (daemons, users) = (admin.daemons().await?, admin.users().await?);
        Ok::<_, AdminError>(format!("{shown} is whole: {} daemons, {} users", daemons.len(), users.len()))
    };
    let result = check.await.map_err(|error| error.to_string())?;
    only_the_owners(directory).map(|()| result)
}

#[cfg(unix)]
fn only_the_owners(directory: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        fs::metadata(directory).map_err(|error| format!("{}: {error}", directory.display()))?.permissions().mode();
    if (mode & 0o777).is_multiple_of(0o100) {
        Ok(())
    } else {
        Err(format!(
            "{} can be read by others (mode {:o}); it holds the signing keys",
            directory.display(),
            mode & 0o777
        ))
    }
}

#[cfg(not(unix))]
fn only_the_owners(directory: &Path) -> Result<(), String> {
    fs::metadata(directory).map(drop).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Tokens live by the clock: compared with the newest entry of the database, and with others'.
async fn clock(config: &Config, fetch: Option<&Fetch>) -> Result<String, String> {
    let now = unix_time();
    if let Some(admin) = config.data_dir.as_deref().filter(|it| it.exists()).and_then(|it| Admin::open(it).ok())
        && let Ok(keys) = admin.signing_keys().await
        && let Some(newest) = keys.iter().map(|key| key.created_at).max()
        && now + MAX_SKEW < newest
    {
        return Err(format!("it is {} s behind the newest entry of the database", newest - now));
    }
    let mut compared = 0;
    for (_, url) in others(config) {
        if let Some(fetch) = fetch
            && let Ok((_, Some(theirs))) = fetch.status(&url).await
        {
            let difference = unix_time().abs_diff(theirs);
            if difference > MAX_SKEW {
                return Err(format!("it is {difference} s off that of {}", url.host_str().unwrap_or_default()));
            }
            compared += 1;
        }
    }
    Ok(match compared {
        0 => "nothing speaks against it; no other server is configured to compare it with".to_owned(),
        count => format!("it agrees with {count} other server(s)"),
    })
}

fn certificate(config: &Config) -> Result<String, String> {
    match (&config.tls, config.listen.ip().is_loopback()) {
        (Some(files), _) => {
            let loaded = Tls::load(files.clone()).map(drop).map_err(|error| error.to_string());
            loaded.map(|()| format!("{} fits its key", files.certificate.display()))
        }
        (None, true) => Ok("none is needed on a loopback address".to_owned()),
        (None, false) => Ok("none; a proxy in front has to have one".to_owned()),
    }
}

/// Whether a relay answers at its own URL, as others see it. Over `https://` this also checks the
/// certificate's name and dates.
async fn answers(fetch: &Fetch, url: &str, path: &str, wanted: u16) -> Result<String, String> {
    let url = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    let asked = if path.is_empty() { url.clone() } else { below(&url, path) };
    let answer = tokio::time::timeout(TIME, fetch.status(&asked)).await;
    match answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())? {
        (status, _) if status == wanted => Ok(format!("{url} leads to it")),
        (status, _) => Err(format!("{url} answers {status}: it leads to something else")),
    }
}
