//! A connection's bytes: TCP, with TLS around it or not, that can move between threads.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// How much one system call reads when a reader's own buffer was too small for what was there.
const BULK: usize = 64 * 1024;

/// A TCP connection that one runtime accepts and another serves.
///
/// The WebSocket library reads into a small buffer, so that idle connections stay cheap. When that
/// buffer was filled to the brim, more is likely to be waiting; then one large read replaces many
/// small ones, through a buffer that lives only for as long as the peer keeps sending like this.
pub(crate) struct Socket {
    /// `None` on its way from one thread to the other.
    tcp: Option<TcpStream>,
    bulk: Option<Bulk>,
    /// The last read filled the caller's buffer.
    filled: bool,
}

struct Bulk {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp: Some(tcp), bulk: None, filled: false }
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let tcp = self.tcp.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(tcp))
    }

    /// Takes the connection off this runtime.
    fn detach(&mut self) -> io::Result<std::net::TcpStream> {
        let tcp = self.tcp.take().ok_or(io::ErrorKind::NotConnected)?;
        tcp.into_std()
    }

    /// Puts it on the current one.
    fn attach(&mut self, tcp: std::net::TcpStream) -> io::Result<()> {
        self.tcp = Some(TcpStream::from_std(tcp)?);
        Ok(())
    }

    /// Reads as much as there is. The buffer is kept only if something came.
    fn read_bulk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bulk = self.bulk.take().unwrap_or_else(|| Bulk { bytes: vec![0; BULK].into(), start: 0, end: 0 });
        let mut buffer = ReadBuf::new(&mut bulk.bytes);
        ready!(self.tcp()?.poll_read(cx, &mut buffer))?;
        bulk.end = buffer.filled().len();
        bulk.start = 0;
        if bulk.end > 0 {
            self.bulk = Some(bulk);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = buf.remaining();
        if this.bulk.as_ref().is_none_or(|it| it.start == it.end) {
            if !std::mem::take(&mut this.filled) {
                this.bulk = None;
                ready!(this.tcp()?.poll_read(cx, buf))?;
                this.filled = buf.remaining() == 0 && room > 0;
                return Poll::Ready(Ok(()));
            }
            ready!(this.read_bulk(cx))?;
            this.filled = this.bulk.as_ref().is_some_and(|it| it.end > room);
        }
        if let Some(bulk) = &mut this.bulk {
            let end = bulk.end.min(bulk.start + room);
            buf.put_slice(&bulk.bytes[bulk.start..end]);
            bulk.start = end;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.tcp()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// What the HTTP server and the WebSocket read from and write to.
pub(crate) enum Io {
    /// `ws://`, `http://`.
    Plain(Socket),
    /// `wss://`, `https://`.
    Tls(Box<TlsStream<Socket>>),
}

impl Io {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// Takes the connection off its runtime, to be [attached](DetachedIo::attach) to another.
    pub(crate) fn detach(mut self) -> io::Result<DetachedIo> {
        let tcp = self.socket().detach()?;
        Ok(DetachedIo { io: self, tcp })
    }
}

/// A connection between two threads.
pub(crate) struct DetachedIo {
    io: Io,
    tcp: std::net::TcpStream,
}

impl DetachedIo {
    /// Puts it on the current runtime.
    pub(crate) fn attach(mut self) -> io::Result<Io> {
        self.io.socket().attach(self.tcp)?;
        Ok(self.io)
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
