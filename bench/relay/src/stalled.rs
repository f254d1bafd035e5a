//! Whether the others notice a receiver that does not read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use crate::{load::frame, server::Server, socket::Socket};

/// Clients of the daemon that echo.
const OTHERS: usize = 99;

/// Echoes under way at a time, each of another client.
const AT_A_TIME: usize = 10;

/// Clients that are sent [`BULK`], one at a time: the first reads it, none of the rest does. When the
/// relay gives one up, the next has its turn, so that there is always one that is being stalled.
const BULKY: usize = 40;

/// The daemon sends one client this much for every [`EVERY`] echoes.
const BULK: usize = 60_000;

/// How often it does.
const EVERY: usize = 20;

/// The daemon: echoes, and sends bulk to the client whose turn it is.
fn serve(mut daemon: Socket, bulk: &[Vec<u8>], turn: &AtomicUsize) {
    daemon.prepare(1 << 20);
    let (mut echoes, mut batch) = (0, Vec::new());
    loop {
        batch.clear();
        let mut take = |message: &[u8]| match message[0] {
            0x03 => batch.push(message.to_vec()),
            // The only thing the relay tells this daemon: the session is gone.
            0x20 if bulk[turn.load(Relaxed)][5..13] == message[5..13] => {
                turn.fetch_add(1, Relaxed);
            }
            _ => (),
        };
        if daemon.receive(&mut take) == 0 {
            return;
        }
        for message in &batch {
            daemon.queue(message);
            echoes += 1;
            if echoes % EVERY == 0 {
                daemon.queue(&bulk[turn.load(Relaxed)]);
            }
        }
        daemon.flush();
    }
}

fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}

/// The 99th percentile of the others' round trips in microseconds: while one client is sent much and
/// reads it, and while one does not. One after the other over the same connections, so that how the
/// system places the threads is the same in both.
pub(crate) fn p99s(server: &Server, rounds: usize) -> (f64, f64) {
    let daemon = Socket::open(&server.authority, &server.daemon());
    let tickets = server.tickets(BULKY + OTHERS);
    let mut clients: Vec<Socket> = tickets.iter().map(|it| Socket::open(&server.authority, &it.path)).collect();
    let bulk: Vec<_> = tickets[..BULKY].iter().map(|it| frame(it.session, BULK)).collect();
    let echoes: Vec<_> = tickets[BULKY..].iter().map(|it| frame(it.session, 100)).collect();
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&turn);
    thread::spawn(move || serve(daemon, &bulk, &turns));
    let mut others = clients.split_off(BULKY);
    let mut reader = clients.remove(0);
    thread::spawn(move || {
        reader.prepare(1 << 20);
        while reader.receive(|_| ()) > 0 {}
    });
    for client in &mut others {
        client.prepare(4_096);
    }
    let mut measure = |rounds: usize| {
        let (mut sent, mut times) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
        for n in 0..rounds + AT_A_TIME {
            if n >= AT_A_TIME {
                others[(n - AT_A_TIME) % OTHERS].receive(|_| ());
                times.push(since(sent[n - AT_A_TIME]));
            }
            if n < rounds {
                let client = &mut others[n % OTHERS];
                sent.push(Instant::now());
                client.queue(&echoes[n % OTHERS]);
                client.flush();
            }
        }
        times.sort_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    };
    measure(rounds / 10);
    let while_it_reads = measure(rounds);
    turn.store(1, Relaxed);
    let while_stalled = measure(rounds);
    assert!(turn.load(Relaxed) < BULKY - 1, "the last one is being stalled still");
    (while_it_reads, while_stalled)
}
