//! The documented tables are the ones in the code.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use sideband_protocol::sbrp::{ControlCode, SessionId};
use sideband_relay::{
    Limits,
    config::{Config, read_file},
};

use crate::support::{TestRelay, process::program};

fn page(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../docs/relay", name].iter().collect()
}

fn limits_page() -> String {
    let mut page = "# Limits\n\nAll of them, with their defaults; `limits.…` in the [configuration](configuration.md). The \
        ending of a key says its unit. Reaching one\nis seen by the peer as said here, and by the operator in \
        [`limits_hit_total`](operations.md) under its key. This table is made from the code\n(`Limits::TABLE`), and a \
        test compares them. `serve --dev` has no limit per second or per address.\n\n| key | default | range | what, and what reaching it looks like |\n\
        | --- | --- | --- | --- |\n"
        .to_owned();
    for row in Limits::TABLE {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{}` | {} | {}–{} | {} |", row.key, row.default, row.min, row.max, row.what);
    }
    page
}

#[test]
fn the_table_of_limits_is_the_codes() {
    let path = page("limits.md");
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, limits_page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == limits_page(), "docs/relay/limits.md differs; write it with WRITE_DOCS=1 and this test");
}

/// Names in the first column of a table, without their prefix: every `code` of the cell.
fn first_column(page: &str, head: &str) -> BTreeSet<String> {
    let rows = page.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_table_of_metrics_is_the_codes() {
    // A metric with labels is shown once it has counted something.
    let mut limits = Limits::default().without_rates();
    limits.sessions_per_daemon = 1;
    let relay = TestRelay::with(|builder| builder.limits(limits)).await;
    let (_daemon, mut client) = relay.pair().await;
    assert_eq!(relay.open(&relay.client_claims(SessionId::new(8).unwrap()).sign()).await.err(), Some(429));
    assert_eq!(relay.open("x").await.err(), Some(401));
    relay.cut_daemon().await;
    client.expect(ControlCode::SESSION_PAUSED).await;
    let metrics = relay.get("/metrics", None).await.body;
    let shown = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE sideband_relay_")?.split_once(' '));
    let total = |(name, kind): (&str, &str)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
    let shown: BTreeSet<_> = shown.map(total).collect();
    assert!(shown.len() > 10, "{metrics}");
    let documented = first_column(&fs::read_to_string(page("operations.md")).unwrap(), "| metric (");
    assert_eq!(documented, shown);
}

#[test]
fn the_table_of_settings_is_the_codes() {
    // Who names an unknown key is told all that there are.
    let directory = tempfile::tempdir().unwrap();
    let keys = |text: &str| -> BTreeSet<String> {
        let path = directory.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        let refused = Config::from_sources(&[read_file(&path).unwrap()]).unwrap_err().to_string();
        let expected = refused.split_once("expected").expect("it lists the keys").1.split(", in ").next().unwrap();
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut all = keys("none = 1");
    for section in ["tls", "oidc", "control", "log"] {
        assert!(all.remove(section), "{section}");
        all.extend(keys(&format!("[{section}]\nnone = 1")).iter().map(|key| format!("{section}.{key}")));
    }
    assert!(all.remove("limits") && all.insert("limits.…".to_owned()));
    let documented = first_column(&fs::read_to_string(page("configuration.md")).unwrap(), "| key |");
    assert_eq!(documented, all);
}

/// Every command below this one, with its flags.
fn commands(path: &[&str], found: &mut Vec<(String, Vec<String>)>) {
    let help = program().args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let below: Vec<_> = below.map(|line| line.split_whitespace().next().unwrap()).filter(|it| *it != "help").collect();
    for command in &below {
        commands(&[path, &[command]].concat(), found);
    }
    if below.is_empty() {
        let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split_whitespace().next());
        found.push((path.join(" "), flags.map(|flag| format!("--{flag}")).collect()));
    }
}

#[test]
fn every_command_and_flag_is_documented() {
    let pages = ["configuration.md", "install.md", "operations.md"];
    let text: String = pages.iter().map(|name| fs::read_to_string(page(name)).unwrap()).collect();
    let mut found = Vec::new();
    commands(&[], &mut found);
    assert!(found.len() > 10, "{found:?}");
    for (command, flags) in found {
        assert!(text.contains(&command), "{command}");
        for flag in flags {
            assert!(text.contains(&flag), "{flag} of {command}");
        }
    }
}
