//! Many connections: what one costs that does nothing, how fast they come, and what a frame costs
//! among many.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{echo, frame},
    process::{cpu, resident},
    server::{Server, Ticket},
    socket::Socket,
};

/// Threads that open connections.
const OPENERS: usize = 2;

/// Opens a connection for each ticket.
fn open_all(server: &Server, tickets: &[Ticket]) -> Vec<Socket> {
    let authority = server.authority.as_str();
    thread::scope(|scope| {
        let parts = tickets.chunks(tickets.len().div_ceil(OPENERS));
        let openers: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || part.iter().map(|it| Socket::open(authority, &it.path)).collect::<Vec<_>>())
            })
            .collect();
        openers.into_iter().flat_map(|opener| opener.join().expect("they all open")).collect()
    })
}

fn count(all: usize) -> f64 {
    f64::from(u32::try_from(all).expect("some thousands"))
}

/// Connections that are opened before the memory of the others is counted: what the first ones cost
/// once and for all does not count.
const FIRST: usize = 100;

/// Kilobytes of memory per connection that says nothing, with that many of them.
pub(crate) fn idle(server: &Server, connections: usize) -> f64 {
    let _daemon = Socket::open(&server.authority, &server.daemon());
    let _first = open_all(server, &server.tickets(FIRST));
    let before = resident(server.pid());
    let mut open = Vec::new();
    // Tokens live for two minutes, so not all are made in advance.
    while open.len() + FIRST < connections {
        let tickets = server.tickets(2_500.min(connections - FIRST - open.len()));
        open.extend(open_all(server, &tickets));
    }
    // Until the last ones have settled.
    thread::sleep(Duration::from_secs(1));
    (resident(server.pid()) - before) / 1_024.0 / count(open.len())
}

/// Connections per second, each with the check of its token.
pub(crate) fn connects(server: &Server, connections: usize) -> f64 {
    let _daemon = Socket::open(&server.authority, &server.daemon());
    let tickets = server.tickets(connections);
    let start = Instant::now();
    let open = open_all(server, &tickets);
    count(open.len()) / start.elapsed().as_secs_f64()
}

/// Microseconds of the relay's processor time per frame forwarded, with that many sessions that take
/// turns, ten at a time.
pub(crate) fn cost_per_frame(server: &Server, sessions: usize, frames: usize) -> f64 {
    const AT_A_TIME: usize = 10;
    let daemon = Socket::open(&server.authority, &server.daemon());
    thread::spawn(move || echo(daemon));
    let (mut clients, mut frames_of) = (Vec::new(), Vec::new());
    while clients.len() < sessions {
        let tickets = server.tickets(2_500.min(sessions - clients.len()));
        clients.extend(open_all(server, &tickets));
        frames_of.extend(tickets.iter().map(|ticket| frame(ticket.session, 100)));
    }
    for client in &mut clients {
        client.prepare(4_096);
    }
    let mut run = |frames: usize| {
        for n in 0..frames + AT_A_TIME {
            if n >= AT_A_TIME {
                clients[(n - AT_A_TIME) % sessions].receive(|_| ());
            }
            if n < frames {
                let client = &mut clients[n % sessions];
                client.queue(&frames_of[n % sessions]);
                client.flush();
            }
        }
    };
    run(sessions * 2);
    let before = cpu(server.pid());
    run(frames);
    // There and back.
    (cpu(server.pid()) - before) * 1e6 / count(frames * 2)
}
