//! What `doctor` finds.

use sideband_relay::{
    Admin, Relay,
    config::{Config, TlsFiles},
    doctor::{Finding, examine},
};

fn finding<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.what == what).unwrap_or_else(|| panic!("nothing about {what}"))
}

#[tokio::test]
async fn a_relay_that_works_has_nothing_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let relay = Relay::builder().config(Config::with_data_dir(&data)).start().await.unwrap();
    relay.admin().add_daemon(None, None).await.unwrap();
    let mut config = Config::with_data_dir(&data);
    config.relay_url = Some(relay.relay_url().to_owned());
    let findings = examine(&config).await;
    for finding in &findings {
        assert!(finding.result.is_ok(), "{finding:?}");
    }
    for what in ["settings", "data directory", "clock", "certificate", "control plane", "relay"] {
        finding(&findings, what);
    }
    assert!(finding(&findings, "data directory").result.as_ref().unwrap().contains("1 daemons"));
}

#[tokio::test]
async fn a_relay_that_does_not_run_is_not_reachable() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::with_data_dir(directory.path().join("data"));
    config.relay_url = Some("ws://127.0.0.1:1".to_owned());
    let findings = examine(&config).await;
    assert!(finding(&findings, "data directory").result.as_ref().unwrap_err().contains("does not exist"));
    assert!(finding(&findings, "relay").result.is_err());
    assert!(finding(&findings, "control plane").result.is_err());
}

#[tokio::test]
async fn a_url_that_leads_elsewhere_is_found() {
    let other = crate::support::issuer::Issuer::start(&[]).await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::with_data_dir(directory.path());
    config.relay_url = Some(other.url.replacen("http", "ws", 1));
    let findings = examine(&config).await;
    assert!(finding(&findings, "relay").result.as_ref().unwrap_err().contains("something else"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_data_directory_that_others_can_read_is_found() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Admin::open(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let findings = examine(&Config::with_data_dir(&data)).await;
    assert!(finding(&findings, "data directory").result.as_ref().unwrap_err().contains("read by others"));
}

#[tokio::test]
async fn a_broken_database_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    drop(Admin::open(&data).unwrap());
    let path = data.join("relay.db");
    // Everything into the file itself, which is then spoiled.
    let database = rusqlite::Connection::open(&path).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[100..middle].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let findings = examine(&Config::with_data_dir(&data)).await;
    assert!(finding(&findings, "data directory").result.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::with_data_dir(directory.path());
    let path = directory.path().join("none.pem");
    config.tls = Some(TlsFiles { certificate: path.clone(), key: path });
    let findings = examine(&config).await;
    assert!(finding(&findings, "certificate").result.as_ref().unwrap_err().contains("none.pem"));
}

#[test]
fn the_program_prints_what_was_found_and_fails_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sideband-relay"))
        .env_clear()
        .args(["doctor", "--relay-url", "ws://127.0.0.1:1", "--data-dir"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("FAIL  relay") && text.contains("ok    settings"), "{text}");
}
