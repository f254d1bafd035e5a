//! Frames on their way out, written without being copied.
//!
//! The WebSocket library gathers what it writes in a buffer of its own. For frames that are only passed
//! on that is a copy of each, and a buffer that stays as large as the largest burst was. A server's
//! frames are not masked, so writing one is a few bytes of header in front of the payload; this does
//! that for binary messages, many at once, and lets the library write the rest (its pongs and closes)
//! in between.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Payloads below this are copied behind their headers, which costs less than a slice of their own.
const SMALL: usize = 2 * 1024;

/// Slices handed to the system at once.
const SLICES: usize = 32;

/// Room for small frames that is kept while nothing is on its way.
const KEPT: usize = 4 * 1024;

/// A connection with frames on their way.
pub(crate) struct Outgoing<T> {
    io: T,
    queue: VecDeque<Bytes>,
    /// Small frames and headers that come behind the queue.
    tail: BytesMut,
    /// Bytes in both.
    len: usize,
    /// The library's last write was not taken whole, so that the rest of it has to come first.
    library_first: bool,
}

impl<T> Outgoing<T> {
    /// `head` goes out as it is, in front of every message.
    pub(crate) fn new(io: T, head: Bytes) -> Self {
        let len = head.len();
        let queue = if head.is_empty() { VecDeque::new() } else { VecDeque::from([head]) };
        Self { io, queue, tail: BytesMut::new(), len, library_first: false }
    }

    /// Bytes that are not written yet.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the library has to be flushed before [`poll_drain`](Self::poll_drain) may write.
    pub(crate) fn library_is_first(&self) -> bool {
        self.library_first
    }

    /// Adds a binary message.
    pub(crate) fn push(&mut self, message: Bytes) {
        let before = self.tail.len();
        // Binary, and the only fragment.
        self.tail.put_u8(0x82);
        match message.len() {
            #[expect(clippy::cast_possible_truncation, reason = "the pattern says so")]
            len @ 0..126 => self.tail.put_u8(len as u8),
            #[expect(clippy::cast_possible_truncation, reason = "the pattern says so")]
            len @ 126..=0xffff => {
                self.tail.put_u8(126);
                self.tail.put_u16(len as u16);
            }
            len => {
                self.tail.put_u8(127);
                self.tail.put_u64(len as u64);
            }
        }
        self.len += self.tail.len() - before + message.len();
        if message.len() < SMALL {
            self.tail.extend_from_slice(&message);
        } else {
            self.queue.push_back(self.tail.split().freeze());
            self.queue.push_back(message);
        }
    }
}

impl<T: AsyncWrite + Unpin> Outgoing<T> {
    /// Writes what was pushed. Not to be called while the library comes first.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.len -= written;
            self.take(written);
        }
        if self.tail.capacity() > KEPT {
            self.tail = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes written bytes off the queue's front.
    fn take(&mut self, mut written: usize) {
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }

    pub(crate) fn io(&mut self) -> &mut T {
        &mut self.io
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Outgoing<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

/// How the library writes: behind what was pushed before, and never into the middle of it.
impl<T: AsyncWrite + Unpin> AsyncWrite for Outgoing<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if !this.library_first {
            ready!(this.poll_drain(cx))?;
        }
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.library_first = written < buf.len();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.library_first {
            ready!(this.poll_drain(cx))?;
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use bytes::Bytes;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::Role};

    use super::Outgoing;

    /// Takes as many bytes as it is allowed to, and no more.
    #[derive(Default)]
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
            let len = buf.len().min(self.room);
            self.room -= len;
            self.taken.extend_from_slice(&buf[..len]);
            if len == 0 { Poll::Pending } else { Poll::Ready(Ok(len)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Narrow {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
            Poll::Pending
        }
    }

    fn read_all(bytes: Vec<u8>) -> Vec<Message> {
        struct Fixed(std::io::Cursor<Vec<u8>>);
        impl std::io::Read for Fixed {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buf)
            }
        }
        impl std::io::Write for Fixed {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                Ok(buf.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut socket = WebSocket::from_raw_socket(Fixed(std::io::Cursor::new(bytes)), Role::Client, None);
        std::iter::from_fn(|| socket.read().ok()).collect()
    }

    #[test]
    fn the_library_reads_what_is_written_here() {
        let mut cx = Context::from_waker(Waker::noop());
        let lengths = [0, 1, 125, 126, 127, 2_047, 2_048, 65_535, 65_536, 65_549, 1, 200];
        // However little is taken at a time.
        for step in [1, 7, 1_000, 1 << 20] {
            let mut outgoing = Outgoing::new(Narrow::default(), Bytes::new());
            for len in lengths {
                outgoing.push(Bytes::from(vec![b'x'; len]));
            }
            let all = outgoing.len();
            while outgoing.poll_drain(&mut cx).is_pending() {
                outgoing.io().room = step;
            }
            assert_eq!((outgoing.len(), outgoing.io().taken.len()), (0, all));
            let messages = read_all(std::mem::take(&mut outgoing.io().taken));
            assert_eq!(messages.iter().map(Message::len).collect::<Vec<_>>(), lengths);
        }
    }

    #[test]
    fn the_librarys_frames_are_never_in_the_middle_of_another() {
        let mut cx = Context::from_waker(Waker::noop());
        let pong = [0x8a, 0x04, 1, 2, 3, 4];
        let mut outgoing = Outgoing::new(Narrow::default(), Bytes::new());
        outgoing.push(Bytes::from(vec![b'x'; 10]));
        // Behind what was pushed before.
        assert!(Pin::new(&mut outgoing).poll_write(&mut cx, &pong).is_pending());
        outgoing.io().room = 12 + 2;
        assert!(matches!(Pin::new(&mut outgoing).poll_write(&mut cx, &pong), Poll::Ready(Ok(2))));
        // And before what is pushed after its beginning.
        assert!(outgoing.library_is_first());
        outgoing.push(Bytes::from(vec![b'y'; 3]));
        outgoing.io().room = 100;
        assert!(Pin::new(&mut outgoing).poll_flush(&mut cx).is_ready());
        assert_eq!(outgoing.io().taken.len(), 14, "the rest of the pong is the library's to bring");
        assert!(matches!(Pin::new(&mut outgoing).poll_write(&mut cx, &pong[2..]), Poll::Ready(Ok(4))));
        assert!(!outgoing.library_is_first());
        assert!(outgoing.poll_drain(&mut cx).is_ready());
        let messages = read_all(std::mem::take(&mut outgoing.io().taken));
        let expected =
            [Message::binary(vec![b'x'; 10]), Message::Pong(vec![1, 2, 3, 4].into()), Message::binary(vec![b'y'; 3])];
        assert_eq!(messages, expected);
    }
}
