//! What is put through the servers: echoes between a client and a daemon in this process.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{server::Server, socket::Socket};

/// An SBRP Data frame of that many bytes.
pub(crate) fn frame(session: u64, len: usize) -> Vec<u8> {
    let payload = u32::try_from(len - 13).expect("a frame's length");
    let mut frame = vec![0x03];
    frame.extend_from_slice(&payload.to_be_bytes());
    frame.extend_from_slice(&session.to_be_bytes());
    frame.resize(len, 0xab);
    frame
}

/// Sends back everything that comes, until the server hangs up.
pub(crate) fn echo(mut daemon: Socket) {
    daemon.prepare(1 << 20);
    let mut batch: Vec<u8> = Vec::new();
    let mut lengths = Vec::new();
    loop {
        batch.clear();
        lengths.clear();
        let count = daemon.receive(|message| {
            lengths.push(message.len());
            batch.extend_from_slice(message);
        });
        if count == 0 {
            return;
        }
        let mut at = 0;
        for len in &lengths {
            daemon.queue(&batch[at..at + len]);
            at += len;
        }
        daemon.flush();
    }
}

/// Echoes with that many frames in flight, for that long. Returns round trips per second.
pub(crate) fn throughput(server: &Server, len: usize, in_flight: usize, time: Duration) -> f64 {
    let (daemon, mut client, session) = server.pair();
    client.prepare(1 << 20);
    // Ends when the client's end of the session is gone and the server with it.
    thread::spawn(move || echo(daemon));
    let frame = frame(session, len);
    let mut run = |time: Duration| {
        let (start, mut count) = (Instant::now(), 0);
        for _ in 0..in_flight {
            client.queue(&frame);
        }
        client.flush();
        while start.elapsed() < time {
            let back = client.receive(|_| ());
            assert!(back > 0, "the server hung up");
            count += back;
            for _ in 0..back {
                client.queue(&frame);
            }
            client.flush();
        }
        let rate = per_second(count, start.elapsed());
        let mut rest = in_flight;
        while rest > 0 {
            rest -= client.receive(|_| ());
        }
        rate
    };
    run(time / 10);
    run(time)
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("a few million")) / time.as_secs_f64()
}

/// Lone round trips, one after another: the sorted times in microseconds.
pub(crate) fn lone(server: &Server, len: usize, count: usize) -> Vec<f64> {
    let (daemon, mut client, session) = server.pair();
    client.prepare(1 << 20);
    thread::spawn(move || echo(daemon));
    let frame = frame(session, len);
    let mut times = Vec::with_capacity(count);
    for round in 0..count + count / 10 {
        let start = Instant::now();
        client.queue(&frame);
        client.flush();
        client.receive(|_| ());
        if round >= count / 10 {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    times
}
