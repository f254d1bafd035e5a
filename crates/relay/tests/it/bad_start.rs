//! Starts that are not possible: exit code 2 and one line that says what and where.

use std::{fs, path::Path};

use sideband_relay::Admin;
use tempfile::TempDir;

use crate::support::process::{fails, program};

/// The line with which `serve` refuses to start. `check-config` has to say the same.
fn refuses(arguments: &[&str]) -> String {
    let line = fails(2, &[&["serve"], arguments].concat());
    assert_eq!(fails(2, &[&["check-config"], arguments].concat()), line);
    line
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The line of a start with that data directory, which has to name it.
    fn refuses_data_dir(&self, name: &str) -> String {
        let path = self.path(name);
        let line = fails(2, &["serve", "--listen", "127.0.0.1:0", "--data-dir", &path]);
        assert!(line.contains(&path), "{line}");
        line
    }

    /// A data directory with a daemon in it and everything in the one file.
    async fn database(&self, name: &str) -> String {
        let directory = self.path(name);
        Admin::open(Path::new(&directory)).unwrap().add_daemon(None, None).await.unwrap();
        let path = format!("{directory}/relay.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        path
    }
}

#[test]
fn an_unknown_key() {
    let place = Place::new();
    let file = place.write("relay.toml", "data_dir = 'x'\nlisten_on = '127.0.0.1:1'");
    let line = refuses(&["--config", &file]);
    assert!(line.contains(&file) && line.contains("listen_on"), "{line}");
    let data_dir = place.path("data");
    assert!(refuses(&["--data-dir", &data_dir, "--set", "limits.grace=1"]).contains("no limit grace"));
    let output = program().args(["serve", "--data-dir", &data_dir]).env("SIDEBAND_RELAY_LISTN", "x").output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && line.contains("listn") && line.lines().count() == 1, "{line}");
    assert!(!Path::new(&data_dir).exists(), "nothing was made");
}

#[test]
fn a_missing_file_and_a_missing_setting() {
    let place = Place::new();
    let none = place.path("none.toml");
    assert!(refuses(&["--config", &none]).contains(&none));
    assert!(refuses(&[]).contains("data_dir is missing"));
    assert!(fails(2, &["daemon", "list"]).contains("data_dir is missing"));
}

#[test]
fn contradictory_settings() {
    let place = Place::new();
    let data_dir = place.path("data");
    let serve = |more: &[&str]| refuses(&[&["--data-dir", &data_dir], more].concat());
    assert!(fails(2, &["serve", "--data-dir", &data_dir, "--dev"]).contains("--dev"));
    assert!(serve(&["--listen", "0.0.0.0:0"]).contains("relay_url"));
    assert!(serve(&["--listen", "192.0.2.1:80"]).contains("allow_plain"));
    let tls = ["--tls-certificate", "x", "--tls-key", "x", "--allow-plain"];
    assert!(serve(&tls).contains("tls and allow_plain contradict each other"));
    assert!(serve(&["--role", "relay", "--set", "control.url=https://x"]).contains("data_dir makes no sense"));
    assert!(serve(&["--role", "control"]).contains("relay_url is missing"));
    assert!(serve(&["--role", "both"]).contains("both"));
    let secret = format!("shared_secret={}", "s".repeat(32));
    assert!(serve(&["--set", &secret]).contains("shared_secret makes no sense"));
    assert!(serve(&["--set", &secret, "--set", "shared_secret_file=x"]).contains("contradict each other"));
    assert!(serve(&["--set", "metrics_listen=127.0.0.1:8787"]).contains("metrics_listen"));
    assert!(serve(&["--set", "region="]).contains("region"));
    assert!(serve(&["--set", "cors_origins=['*', 'https://x']"]).contains("cors_origins"));
    let line = serve(&["--relay-url", "wss://user:hunter2@relay.example"]);
    assert!(line.contains("relay_url") && !line.contains("hunter2"), "{line}");
    assert!(!Path::new(&data_dir).exists(), "nothing was made");
}

#[test]
fn an_unreadable_data_directory() {
    let place = Place::new();
    place.write("file", "x");
    place.refuses_data_dir("file");
    // Permissions do not stop the superuser; this does.
    fs::create_dir_all(place.path("odd/relay.db")).unwrap();
    place.refuses_data_dir("odd");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir(place.path("closed")).unwrap();
        let mode = |mode| fs::set_permissions(place.path("closed"), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o000);
        if fs::read_dir(place.path("closed")).is_err() {
            assert!(place.refuses_data_dir("closed").contains("denied"));
        }
        mode(0o700);
    }
}

#[tokio::test]
async fn a_corrupt_database() {
    let place = Place::new();
    fs::create_dir(place.path("text")).unwrap();
    place.write("text/relay.db", "this is not a database, it is text ".repeat(100));
    assert!(place.refuses_data_dir("text").contains("not a database"));

    // Whole at its beginning, which is all that opening it looks at.
    let path = place.database("spoiled").await;
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    assert!(place.refuses_data_dir("spoiled").contains("cannot be used"));

    let path = place.database("cut").await;
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(place.refuses_data_dir("cut").contains("cannot be used"));

    let path = place.database("newer").await;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    assert!(place.refuses_data_dir("newer").contains("schema version 1000"));

    let path = place.database("foreign").await;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "application_id", 7).unwrap();
    assert!(place.refuses_data_dir("foreign").contains("another program's"));
}

#[test]
fn a_certificate_that_does_not_fit_its_key() {
    let place = Place::new();
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = place.write("cert.pem", pair().cert.pem());
    let key = place.write("key.pem", pair().signing_key.serialize_pem());
    let data_dir = place.path("data");
    let serve = |certificate: &str, key: &str| {
        let tls = ["--tls-certificate", certificate, "--tls-key", key];
        refuses(&[&["--listen", "127.0.0.1:0", "--data-dir", &data_dir], &tls[..]].concat())
    };
    let line = serve(&certificate, &key);
    assert!(line.contains(&key) && line.contains("does not fit") && line.contains(&certificate), "{line}");
    let nonsense = place.write("nonsense.pem", "nonsense");
    assert!(serve(&nonsense, &key).contains(&nonsense));
    assert!(serve(&certificate, &nonsense).contains(&nonsense));
    assert!(serve(&place.path("none.pem"), &key).contains("none.pem"));
    assert!(serve(&certificate, &place.path("none.pem")).contains("none.pem"));
    assert!(!Path::new(&data_dir).exists(), "nothing was made");
}

#[test]
fn files_of_others_that_cannot_be_used() {
    let place = Place::new();
    let data_dir = place.path("data");
    let set = |key: &str, path: &str| {
        let pair = format!("{key}={path}");
        let line = refuses(&["--listen", "127.0.0.1:0", "--data-dir", &data_dir, "--set", &pair]);
        assert!(line.contains(path), "{line}");
    };
    set("ca_file", &place.path("none.pem"));
    set("ca_file", &place.write("nonsense.pem", "nonsense"));
    set("shared_secret_file", &place.path("none"));
    let file = place.write("file", "x");
    assert!(refuses(&["--listen", "127.0.0.1:0", "--data-dir", &file]).contains("not a directory"));
    let below = format!("{file}/data");
    assert!(refuses(&["--listen", "127.0.0.1:0", "--data-dir", &below]).contains(&below));
    assert!(!Path::new(&data_dir).exists(), "nothing was made");
}

#[test]
fn an_address_that_is_taken() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = fails(2, &["serve", "--data-dir", &place.path("data"), "--listen", &address]);
    assert!(line.contains(&address), "{line}");
}
