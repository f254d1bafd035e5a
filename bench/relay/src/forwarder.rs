//! The yardstick: what a WebSocket forwarder costs that checks nothing, knows nothing, and is
//! written with the same library. Everything that is waiting goes out in one flush.
//!
//! Alone it pairs connections as they come, the first with the second, and passes on whatever one sends
//! to the other. As a hub it takes the first for a daemon that all others talk to, each under the
//! session id of the first frame it sends.

use std::{cell::RefCell, collections::HashMap, future::poll_fn, pin::Pin, rc::Rc, task::Poll};

use futures_util::{SinkExt, Stream, StreamExt, stream::SplitSink, stream::SplitStream};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message, protocol::WebSocketConfig},
};

/// Messages passed on before a flush, if that many are waiting.
const BATCH: usize = 64;

/// A hub's, with its thousands of connections, is as small as the relay's.
const HUB_READ_BUFFER: usize = 4 * 1024;

type Socket = WebSocketStream<TcpStream>;

/// Prints its address and serves until it is killed.
pub(crate) fn run(as_hub: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    runtime.block_on(tasks.run_until(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        if as_hub { hub(&listener).await } else { pairs(&listener).await }
    }));
}

async fn accept(listener: &TcpListener, config: WebSocketConfig) -> Socket {
    let (tcp, _) = listener.accept().await.expect("a connection");
    tcp.set_nodelay(true).expect("no delay");
    tokio_tungstenite::accept_async_with_config(tcp, Some(config)).await.expect("a WebSocket")
}

async fn pairs(listener: &TcpListener) {
    let config = WebSocketConfig::default();
    loop {
        let (first, second) = (accept(listener, config).await, accept(listener, config).await);
        let (first_out, first_in) = first.split();
        let (second_out, second_in) = second.split();
        tokio::task::spawn_local(forward(first_in, second_out));
        tokio::task::spawn_local(forward(second_in, first_out));
    }
}

async fn forward(mut from: SplitStream<Socket>, mut to: SplitSink<Socket, Message>) -> Option<()> {
    loop {
        to.feed(from.next().await?.ok()?).await.ok()?;
        for _ in 1..BATCH {
            let waiting = poll_fn(|cx| match Pin::new(&mut from).poll_next(cx) {
                Poll::Ready(message) => Poll::Ready(Some(message)),
                Poll::Pending => Poll::Ready(None),
            });
            match waiting.await {
                Some(message) => to.feed(message?.ok()?).await.ok()?,
                None => break,
            }
        }
        to.flush().await.ok()?;
    }
}

/// The ways to the clients, by session id.
type Clients = Rc<RefCell<HashMap<u64, UnboundedSender<Bytes>>>>;

async fn hub(listener: &TcpListener) {
    let clients = Clients::default();
    let config = WebSocketConfig::default().read_buffer_size(HUB_READ_BUFFER);
    let (daemon_out, mut daemon_in) = accept(listener, config).await.split();
    let (to_daemon, waiting) = unbounded_channel();
    tokio::task::spawn_local(write(waiting, daemon_out));
    let ways = Rc::clone(&clients);
    tokio::task::spawn_local(async move {
        while let Some(Ok(Message::Binary(frame))) = daemon_in.next().await {
            if let Some(way) = session(&frame).and_then(|id| ways.borrow().get(&id).cloned()) {
                // A client that has left misses it.
                let _ = way.send(frame);
            }
        }
    });
    loop {
        let (out, mut frames) = accept(listener, config).await.split();
        let (clients, to_daemon) = (Rc::clone(&clients), to_daemon.clone());
        tokio::task::spawn_local(async move {
            let (to_client, waiting) = unbounded_channel();
            let Some(Ok(Message::Binary(first))) = frames.next().await else { return };
            clients.borrow_mut().extend(session(&first).map(|id| (id, to_client)));
            tokio::task::spawn_local(write(waiting, out));
            let _ = to_daemon.send(first);
            while let Some(Ok(Message::Binary(frame))) = frames.next().await {
                let _ = to_daemon.send(frame);
            }
        });
    }
}

/// The id that an SBRP frame stands under.
fn session(frame: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(frame.get(5..13)?.try_into().ok()?))
}

async fn write(mut waiting: UnboundedReceiver<Bytes>, mut to: SplitSink<Socket, Message>) -> Option<()> {
    loop {
        to.feed(Message::Binary(waiting.recv().await?)).await.ok()?;
        while let Ok(frame) = waiting.try_recv() {
            to.feed(Message::Binary(frame)).await.ok()?;
        }
        to.flush().await.ok()?;
    }
}
