//! What the relay costs, against a bare WebSocket forwarder in the same run.
//!
//! Everything runs on loopback: the server in a process of its own, both ends in this one. Each
//! comparison takes turns, forwarder and relay, so that what else the machine does is in both.
#![forbid(unsafe_code)]

mod forwarder;
mod load;
mod process;
mod scale;
mod server;
mod socket;
mod stalled;

use std::{process::ExitCode, time::Duration};

use server::Server;

/// How long one throughput is measured.
const TIME: Duration = Duration::from_secs(2);

/// Turns of each comparison; the median counts.
const TURNS: usize = 7;

/// Lone round trips per turn.
const LONE: usize = 5_000;

/// Turns with a stalled receiver, which are short.
const STALLED_TURNS: usize = 15;

/// Turns with thousands of connections.
const MANY_TURNS: usize = 3;

/// Round trips over them, per turn.
const MANY_FRAMES: usize = 100_000;

/// A line of the table.
struct Row {
    what: &'static str,
    figure: String,
    yardstick: String,
    target: String,
    reached: Option<bool>,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of the yardstick and the relay, taking turns, and of their ratios.
fn compare(turns: usize, yardstick: fn() -> Server, measure: impl Fn(&Server) -> f64) -> (f64, f64, f64) {
    let (mut bare, mut relay, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        bare.push(measure(&yardstick()));
        relay.push(measure(&Server::relay()));
        ratio.push(relay[relay.len() - 1] / bare[bare.len() - 1]);
    }
    (median(bare), median(relay), median(ratio))
}

fn at_least(what: &'static str, unit: &str, target: f64, (bare, relay, ratio): (f64, f64, f64)) -> Row {
    Row {
        what,
        figure: format!("{relay:.0} {unit}"),
        yardstick: format!("{bare:.0} {unit}, {ratio:.2} of it"),
        target: format!("{target} of it"),
        reached: Some(ratio >= target),
    }
}

/// Microseconds, of which fewer are better.
fn at_most(what: &'static str, target: f64, (bare, relay, ratio): (f64, f64, f64)) -> Row {
    Row {
        what,
        figure: format!("{relay:.1} µs"),
        yardstick: format!("{bare:.1} µs, {ratio:.2} times it"),
        target: format!("{target} times it"),
        reached: Some(ratio <= target),
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |row: Row| {
        eprintln!("{}: {}", row.what, row.figure);
        rows.push(row);
    };
    let small = compare(TURNS, Server::forwarder, |server| load::throughput(server, 100, 64, TIME) * 2.0);
    add(at_least("frames of 100 bytes, 64 in flight", "/s", 0.8, small));
    let large = compare(TURNS, Server::forwarder, |server| load::throughput(server, 60_000, 64, TIME) * 2.0 * 0.06);
    add(at_least("frames of 60 KB, 64 in flight", "MB/s", 0.8, large));
    let lone = compare(TURNS, Server::forwarder, |server| load::lone(server, 100, LONE)[LONE / 2]);
    add(at_most("a lone frame there and back, p50", 1.3, lone));
    let connections = 10_000_usize.min(usize::try_from(process::raise_file_limit()).unwrap_or(usize::MAX) - 500);
    let idle = scale::idle(&Server::relay(), connections);
    add(Row {
        what: "memory per idle connection",
        figure: format!("{idle:.1} KB at {connections}"),
        yardstick: String::new(),
        target: "12 KB".to_owned(),
        reached: Some(idle <= 12.0),
    });
    let connects = median((0..3).map(|_| scale::connects(&Server::relay(), 2_000)).collect());
    add(Row {
        what: "connections opened, tokens checked",
        figure: format!("{connects:.0} /s"),
        yardstick: String::new(),
        target: String::new(),
        reached: None,
    });
    for (what, sessions) in [
        ("processor time per frame, 10 sessions", 10),
        ("processor time per frame, 100 sessions", 100),
        ("processor time per frame, 1,000 sessions", 1_000),
        ("processor time per frame, 10,000 sessions", connections),
    ] {
        let cost = |server: &Server| scale::cost_per_frame(server, sessions, MANY_FRAMES);
        add(at_most(what, 1.3, compare(MANY_TURNS, Server::hub, cost)));
    }
    let mut slowdowns = Vec::new();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..STALLED_TURNS {
        let (reading, stalled) = stalled::p99s(&Server::relay(), 20_000);
        without.push(reading);
        with.push(stalled);
        slowdowns.push(stalled / reading);
    }
    let slowdown = median(slowdowns);
    add(Row {
        what: "99 others' p99 beside one that does not read",
        figure: format!("{:.0} µs", median(with)),
        yardstick: format!("{:.0} µs if it reads, {slowdown:.2} times it", median(without)),
        target: "1.5 times it".to_owned(),
        reached: Some(slowdown <= 1.5),
    });
    rows
}

fn main() -> ExitCode {
    if let Some(kind @ ("forwarder" | "hub")) = std::env::args().nth(1).as_deref() {
        forwarder::run(kind == "hub");
        return ExitCode::SUCCESS;
    }
    process::raise_file_limit();
    let rows = rows();
    println!("\n| what | relay | yardstick | target | |\n| --- | --- | --- | --- | --- |");
    for row in &rows {
        let reached = row.reached.map_or("", |reached| if reached { "reached" } else { "missed" });
        println!("| {} | {} | {} | {} | {reached} |", row.what, row.figure, row.yardstick, row.target);
    }
    // For a run that is to say whether the figures hold; a busy machine is no failure otherwise.
    let missed = rows.iter().any(|row| row.reached == Some(false));
    let strict = std::env::args().any(|argument| argument == "--check");
    if missed && strict { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
