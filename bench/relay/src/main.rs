//! What the relay costs, against a bare WebSocket forwarder in the same run.
#![forbid(unsafe_code)]

mod forwarder;
mod load;
mod server;
mod socket;

use std::time::Duration;

use server::Server;

/// How long one figure is measured.
const TIME: Duration = Duration::from_secs(2);

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("forwarder") {
        return forwarder::run();
    }
    for (name, start) in [("forwarder", Server::forwarder as fn() -> Server), ("relay", Server::relay)] {
        let runs = |measure: fn(&Server) -> f64| median((0..3).map(|_| measure(&start())).collect());
        println!("{name}: 100 B x64 {:.0}/s", runs(|server| load::throughput(server, 100, 64, TIME)));
        println!("{name}: 60 KB x64 {:.0} MB/s", runs(|server| load::throughput(server, 60_000, 64, TIME) * 0.06));
        println!("{name}: lone p50 {:.1} us", runs(|server| load::lone(server, 100, 5_000)[2_500]));
        println!("{name}: lone p99 {:.1} us", runs(|server| load::lone(server, 100, 5_000)[4_950]));
    }
}
