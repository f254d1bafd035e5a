//! Whether the others notice one receiver that does not read.

use std::{thread, time::Instant};

use crate::{load::frame, server::Server, socket::Socket};

/// Clients of the daemon.
const CLIENTS: usize = 100;

/// The daemon sends one client this much for every [`EVERY`] echoes.
const BULK: usize = 60_000;

/// How often it does.
const EVERY: usize = 20;

/// The 99th percentile of the others' round trips in microseconds, while one client is sent much and
/// reads it, or does not.
pub(crate) fn p99(server: &Server, reads: bool, rounds: usize) -> f64 {
    let mut daemon = Socket::open(&server.authority, &server.daemon());
    let tickets = server.tickets(CLIENTS);
    let mut clients: Vec<Socket> = tickets.iter().map(|it| Socket::open(&server.authority, &it.path)).collect();
    let bulk = frame(tickets[0].session, BULK);
    thread::spawn(move || {
        daemon.prepare(1 << 20);
        let (mut echoes, mut batch) = (0, Vec::new());
        loop {
            batch.clear();
            // The relay's own frames are about the one that was given up.
            let mut take = |message: &[u8]| {
                if message[0] == 0x03 {
                    batch.push(message.to_vec());
                }
            };
            if daemon.receive(&mut take) == 0 {
                return;
            }
            for message in &batch {
                daemon.queue(message);
                echoes += 1;
                if echoes % EVERY == 0 {
                    daemon.queue(&bulk);
                }
            }
            daemon.flush();
        }
    });
    let mut slow = clients.remove(0);
    if reads {
        thread::spawn(move || {
            slow.prepare(1 << 20);
            while slow.receive(|_| ()) > 0 {}
        });
    } else {
        // Kept open, and never read; it ends with the process.
        std::mem::forget(slow);
    }
    let mut times = Vec::new();
    for client in &mut clients {
        client.prepare(4_096);
    }
    for n in 0..rounds {
        let at = n % clients.len();
        let client = &mut clients[at];
        let start = Instant::now();
        client.queue(&frame(tickets[at + 1].session, 100));
        client.flush();
        client.receive(|_| ());
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}
