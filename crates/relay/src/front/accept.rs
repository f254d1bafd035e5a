//! The accept loop and the life of a connection until its WebSocket belongs to a shard.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Front, http,
    io::{Io, Socket},
    upgrade::Slot,
};
use crate::{control::Answer, hub::Command};

/// Most bytes of a request's header: a token of 4,096, and room for what browsers and proxies add.
const MAX_HEADER: usize = 16 * 1024;

/// How long a connection may go on making HTTP requests before it has to be made anew.
const MAX_HTTP_TIME: Duration = Duration::from_secs(120);

/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop` says so; then no more, and what has not become a WebSocket is dropped.
pub(crate) async fn serve(front: Arc<Front>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaped as they end, or the set would grow for ever.
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                connections.spawn(connection(Arc::clone(&front), tcp));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(front: Arc<Front>, tcp: TcpStream) {
    // Frames are small and each is somebody's turn; waiting to fill a packet only costs time.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let io = Io::Plain(Socket::new(tcp));
    if let Err(error) = serve_http(front, io).await {
        tracing::debug!(%error, "a connection ended before it was a WebSocket");
    }
}

type Reply = Pin<Box<dyn Future<Output = Result<Answer, hyper::Error>> + Send>>;

/// Serves requests; if one of them becomes a WebSocket, hands it to its shard.
async fn serve_http(front: Arc<Front>, io: Io) -> io::Result<()> {
    let slot = Slot::default();
    let service = {
        let (front, slot) = (Arc::clone(&front), slot.clone());
        service_fn(move |request: Request<Incoming>| -> Reply {
            let (front, slot) = (Arc::clone(&front), slot.clone());
            Box::pin(async move { Ok(http::handle(front, slot, request).await) })
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.header_time)
        .max_buf_size(MAX_HEADER)
        .half_close(false)
        .serve_connection(TokioIo::new(io), service)
        .without_shutdown();
    let parts = tokio::time::timeout(MAX_HTTP_TIME, served)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
        .map_err(io::Error::other)?;
    if let Some(accepted) = slot.take() {
        let shard = front.shard(&accepted.daemon_id).clone();
        let new = accepted.connected(parts.io.into_inner().detach()?, parts.read_buf);
        shard.send(Command::Connect(Box::new(new)));
    }
    Ok(())
}
