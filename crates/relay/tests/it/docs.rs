//! The documented tables are the ones in the code.

use std::{fmt::Write as _, fs, path::PathBuf};

use sideband_relay::Limits;

fn page(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../docs/relay", name].iter().collect()
}

fn limits_page() -> String {
    let mut page = "# Limits\n\nAll of them, with their defaults; `limits.…` in the [configuration](configuration.md). The \
        ending of a key says its unit. Reaching one\nis seen by the peer as said here, and by the operator in `limits_hit_total`, but for \
        `keep_bytes`, `daemon_queue_bytes`, `memory_bytes` and the\ntimes for TLS, headers, closing and draining. This table \
        is made from the code (`Limits::TABLE`), and a test compares them. `serve --dev` has\nno limit per second or per \
        address.\n\n| key | default | range | what, and what reaching it looks like |\n\
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
