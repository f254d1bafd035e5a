//! A connection as the HTTP server has it: its answer to a WebSocket's opening is held back.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{io::Io, upgrade::Slot};

/// Writes through until its [`Slot`] says that the connection becomes a WebSocket. What is written
/// then is kept for the shard, which sends it when it knows the connection.
pub(crate) struct Held {
    io: Io,
    slot: Slot,
    /// A 101, and of answers before it what was not written yet.
    kept: Vec<u8>,
}

impl Held {
    pub(crate) fn new(io: Io, slot: Slot) -> Self {
        Self { io, slot, kept: Vec::new() }
    }

    /// The connection, and what was held back.
    pub(crate) fn into_parts(self) -> (Io, Bytes) {
        (self.io, self.kept.into())
    }
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.slot.has_accepted() {
            self.kept.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
