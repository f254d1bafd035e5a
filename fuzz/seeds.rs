//! Writes every message of the vectors into the corpus of its target, under the given directory.

use std::{env, fs, path::Path};

use serde_json::Value;
use sideband_fuzz::{file, unhex};

/// The entries of a file's sections.
fn entries(name: &str, sections: &[&str]) -> Vec<Value> {
    let file = file(name);
    sections.iter().flat_map(|section| file[*section].as_array().expect("a section").clone()).collect()
}

/// Bytes that are written as hex in one of the members.
fn bytes(entry: &Value, member: &str) -> Option<Vec<u8>> {
    unhex(&entry[member])
}

fn text(entry: &Value, member: &str) -> Option<Vec<u8>> {
    Some(entry[member].as_str()?.as_bytes().to_vec())
}

fn main() {
    let corpus = env::args_os().nth(1).expect("usage: seeds <corpus directory>");
    let write = |target: &str, seeds: Vec<Vec<u8>>| {
        let directory = Path::new(&corpus).join(target);
        fs::create_dir_all(&directory).expect("a writable directory");
        for (i, seed) in seeds.iter().enumerate() {
            fs::write(directory.join(format!("vector-{i:03}")), seed).expect("a writable file");
        }
        println!("{target}: {} seeds", seeds.len());
    };
    let seeds = |name, sections, member, read: fn(&Value, &str) -> Option<Vec<u8>>| {
        entries(name, sections).iter().filter_map(|entry| read(entry, member)).collect::<Vec<_>>()
    };

    write("sbrp_endpoint", seeds("sbrp-frames", &["valid", "invalid"], "frame", bytes));
    write("sbrp_relay", seeds("sbrp-frames", &["valid", "invalid"], "frame", bytes));
    write("handshake_accept", seeds("handshake", &["cases", "client"], "acceptPayload", bytes));
    write("open", seeds("session", &["frames", "receive"], "payload", bytes));
    write("sbp", seeds("sbp-frames", &["valid", "invalid"], "frame", bytes));
    write("hello", seeds("sbp-frames", &["handshakes"], "data", text));
    write("rpc_envelope", seeds("rpc-envelopes", &["valid", "invalid"], "json", text));
    let pattern_and_name = |entry: &Value| Some([text(entry, "pattern")?, text(entry, "name")?].join(&b'\n'));
    write("event_pattern", entries("event-names", &["match"]).iter().filter_map(pattern_and_name).collect());
}
