//! The yardstick: what a WebSocket forwarder costs that checks nothing, knows nothing, and is
//! written with the same library. It pairs connections as they come, the first with the second, and
//! passes on whatever one sends to the other, everything that is waiting in one flush.

use std::{future::poll_fn, pin::Pin, task::Poll};

use futures_util::{SinkExt, Stream, StreamExt, stream::SplitSink, stream::SplitStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// Messages passed on before a flush, if that many are waiting.
const BATCH: usize = 64;

type Socket = WebSocketStream<TcpStream>;

/// Prints its address and serves until it is killed.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            let (first, second) = (accept(&listener).await, accept(&listener).await);
            let (first_out, first_in) = first.split();
            let (second_out, second_in) = second.split();
            tokio::spawn(forward(first_in, second_out));
            tokio::spawn(forward(second_in, first_out));
        }
    });
}

async fn accept(listener: &TcpListener) -> Socket {
    let (tcp, _) = listener.accept().await.expect("a connection");
    tcp.set_nodelay(true).expect("no delay");
    tokio_tungstenite::accept_async(tcp).await.expect("a WebSocket")
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
