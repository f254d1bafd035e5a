//! The accept loop and the life of a connection until its WebSocket belongs to a shard.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{Request, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Front,
    admission::{InAll, OfAddress, Refused},
    held::Held,
    http,
    io::{Io, Socket},
    upgrade::Slot,
};
use crate::{control::Answer, hub::Command, metrics::connection_number};

/// Most bytes of a request's header: a token of 4,096, and room for what browsers and proxies add.
const MAX_HEADER: usize = 16 * 1024;

/// How long a connection may go on making HTTP requests before it has to be made anew.
const MAX_HTTP_TIME: Duration = Duration::from_secs(120);

/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often the limits forget who has not come back.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// Time for somebody to read the last answer and hang up.
const HANG_UP_TIME: Duration = Duration::from_secs(1);

/// Bytes thrown away of who does not.
const MAX_DISCARDED: u64 = 256 * 1024;

/// Those who are being told so at one time; more are just dropped.
const MAX_REFUSALS: usize = 64;

/// What is known of a connection while it makes requests.
#[derive(Clone)]
pub(crate) struct Visitor {
    /// Its number in the log.
    pub(crate) number: u64,
    /// The other end of the TCP connection, which may be a proxy's.
    pub(crate) peer: IpAddr,
    pub(crate) accepted: Instant,
    /// Only `/healthz`, `/readyz` and `/metrics` are served to it.
    pub(crate) operations_only: bool,
}

/// Accepts until `stop` says so; then no more, and what has not become a WebSocket is dropped.
pub(crate) async fn serve(front: Arc<Front>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let (mut connections, mut refusals) = (JoinSet::new(), JoinSet::new());
    let mut forget = tokio::time::interval(FORGET_INTERVAL);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaped as they end, or the sets would grow for ever.
            Some(_) = connections.join_next() => continue,
            Some(_) = refusals.join_next() => continue,
            _ = forget.tick() => {
                front.admission.forget();
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((tcp, address)) => match admit(&front, address) {
                Ok((place, of_address)) => {
                    connections.spawn(connection(Arc::clone(&front), tcp, address, place, of_address));
                }
                Err(refused) => {
                    if front.tls.is_none() && refusals.len() < MAX_REFUSALS {
                        refusals.spawn(tokio::time::timeout(HANG_UP_TIME, refuse(tcp, refused)));
                    }
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` alone, to whoever reaches the address.
pub(crate) async fn serve_operations(front: Arc<Front>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        if let Ok((tcp, address)) = accepted {
            let (front, visitor) = (Arc::clone(&front), visitor(address, true));
            connections.spawn(serve_http(front, Io::Plain(Socket::new(tcp)), visitor, Slot::default()));
        } else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
}

fn visitor(address: SocketAddr, operations_only: bool) -> Visitor {
    Visitor { number: connection_number(), peer: address.ip(), accepted: Instant::now(), operations_only }
}

/// A place for the connection, if there is one. Whose it is, behind a proxy, a request will say.
fn admit(front: &Front, address: SocketAddr) -> Result<(InAll, Option<OfAddress>), Refused> {
    let place = front.admission.connection()?;
    let of_address = if front.proxies.get().contains(address.ip()) {
        None
    } else {
        Some(front.admission.address(address.ip().into())?)
    };
    Ok((place, of_address))
}

/// Says that there is no room, without reading what was asked.
async fn refuse(mut tcp: TcpStream, refused: Refused) -> io::Result<()> {
    let status =
        if refused.limit == "connections" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::TOO_MANY_REQUESTS };
    let head = format!(
        "HTTP/1.1 {status}\r\nRetry-After: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        refused.retry_after.as_secs().max(1)
    );
    tcp.write_all(head.as_bytes()).await?;
    hang_up(tcp).await
}

/// Ends this side's direction and throws away what still comes: a socket that is closed with unread
/// bytes takes its answer back.
async fn hang_up(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(MAX_DISCARDED), &mut tokio::io::sink()).await.map(drop)
}

async fn connection(
    front: Arc<Front>,
    tcp: TcpStream,
    address: SocketAddr,
    place: InAll,
    of_address: Option<OfAddress>,
) {
    let visitor = visitor(address, false);
    let number = visitor.number;
    let opening = front.metrics.connection("opening");
    // Frames are small and each is somebody's turn; waiting to fill a packet only costs time.
    let served = match tcp.set_nodelay(true) {
        Ok(()) => serve_visitor(front, tcp, visitor, place, of_address).await,
        Err(error) => Err(error),
    };
    drop(opening);
    if let Err(error) = served {
        tracing::debug!(conn = number, %error, "a connection ended before it was a WebSocket");
    }
}

async fn serve_visitor(
    front: Arc<Front>,
    tcp: TcpStream,
    visitor: Visitor,
    place: InAll,
    of_address: Option<OfAddress>,
) -> io::Result<()> {
    let socket = Socket::new(tcp);
    let io = match &front.tls {
        None => Io::Plain(socket),
        Some(tls) => {
            let accept = tls.acceptor().accept(socket);
            let stream = tokio::time::timeout(front.limits.get().tls_time, accept).await;
            let stream = stream.unwrap_or_else(|_| {
                front.metrics.limit("tls_seconds");
                Err(io::ErrorKind::TimedOut.into())
            });
            Io::Tls(Box::new(stream.inspect_err(|_| {
                front.metrics.tls_failures.inc();
            })?))
        }
    };
    serve_http(front, io, visitor, Slot::new(place, of_address)).await
}

type Reply = Pin<Box<dyn Future<Output = Result<Answer, hyper::Error>> + Send>>;

/// Serves requests; if one of them becomes a WebSocket, hands it to its shard.
async fn serve_http(front: Arc<Front>, io: Io, visitor: Visitor, slot: Slot) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    let service = {
        let (front, visitor, slot, asked) = (Arc::clone(&front), visitor.clone(), slot.clone(), Arc::clone(&asked));
        service_fn(move |request: Request<Incoming>| -> Reply {
            asked.store(true, Ordering::Relaxed);
            let (front, visitor, slot) = (Arc::clone(&front), visitor.clone(), slot.clone());
            Box::pin(async move { Ok(http::handle(front, visitor, slot, request).await) })
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.get().header_time)
        .max_buf_size(MAX_HEADER)
        .half_close(false)
        .serve_connection(TokioIo::new(Held::new(io, slot.clone())), service)
        .without_shutdown();
    let parts =
        tokio::time::timeout(MAX_HTTP_TIME, served).await.map_err(|_| io::ErrorKind::TimedOut)?.map_err(|error| {
            // Who has asked for something before is only idle.
            if error.is_timeout() && !asked.load(Ordering::Relaxed) {
                front.metrics.limit("header_seconds");
            }
            io::Error::other(error)
        })?;
    let (io, head) = parts.io.into_inner().into_parts();
    if let Some(accepted) = slot.take() {
        let shard = front.shard(&accepted.daemon_id).clone();
        let new = accepted.connected(io.detach()?, head, parts.read_buf, &visitor);
        shard.send(Command::Connect(Box::new(new)));
        return Ok(());
    }
    let hung_up = hang_up(io);
    tokio::time::timeout(HANG_UP_TIME, hung_up).await.unwrap_or(Ok(()))
}
