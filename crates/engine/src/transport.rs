//! A WebSocket as the owner task sees it: whole binary messages in, whole binary messages out, one flush for all.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// How a WebSocket ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The close code, where there was a close frame.
    pub(crate) code: Option<u16>,
    /// For people.
    pub(crate) why: String,
}

pub(crate) struct Transport<S> {
    socket: WebSocketStream<S>,
    /// Bytes queued and not known to be flushed.
    backlog: usize,
    /// Messages that were read too early, to be read again.
    early: VecDeque<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(crate) fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, backlog: 0, early: VecDeque::new() }
    }

    /// The next binary message. Pings of the WebSocket itself are answered inside; a text message ends it with 1003.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, Ended>> {
        if let Some(message) = self.early.pop_front() {
            return Poll::Ready(Ok(message));
        }
        loop {
            let message = match std::task::ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
                None => return Poll::Ready(Err(Ended { code: None, why: "closed".into() })),
            };
            match message {
                // Unique in most cases, so that nothing is copied; the bytes must be ours to be opened in place.
                Message::Binary(bytes) => return Poll::Ready(Ok(Vec::from(bytes))),
                Message::Text(_) => {
                    self.close(1003, "binary messages only");
                    let _ = self.poll_flush(cx);
                    return Poll::Ready(Err(Ended { code: Some(1003), why: "the remote sent a text message".into() }));
                }
                Message::Close(frame) => {
                    let code = frame.as_ref().map(|frame| u16::from(frame.code));
                    let why = match code {
                        Some(code) => format!("closed with code {code}"),
                        None => "closed without a code".into(),
                    };
                    return Poll::Ready(Err(Ended { code: code.or(Some(1005)), why }));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Gives back messages that were read before their time: the next ones to be read, in this order.
    pub(crate) fn put_back(&mut self, messages: Vec<Vec<u8>>) {
        for message in messages.into_iter().rev() {
            self.early.push_front(message);
        }
    }

    /// Puts a message into the write buffer.
    pub(crate) fn queue(&mut self, message: Vec<u8>) -> Result<(), Ended> {
        self.backlog += message.len();
        self.start(Message::Binary(Bytes::from(message)))
    }

    /// Puts a close frame into the write buffer.
    pub(crate) fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        // A socket that takes no close frame is closed already.
        let _ = self.start(Message::Close(Some(frame)));
    }

    fn start(&mut self, message: Message) -> Result<(), Ended> {
        Pin::new(&mut self.socket).start_send(message).map_err(|error| self.broken(&error))
    }

    /// Writes what is queued, as far as the socket takes it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let flushed = std::task::ready!(Pin::new(&mut self.socket).poll_flush(cx));
        Poll::Ready(match flushed {
            Ok(()) => {
                self.backlog = 0;
                Ok(())
            }
            Err(error) => Err(self.broken(&error)),
        })
    }

    /// Bytes that the socket has not taken yet.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog
    }

    /// The next binary message.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>, Ended> {
        std::future::poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Writes one message out.
    pub(crate) async fn send(&mut self, message: Vec<u8>) -> Result<(), Ended> {
        self.queue(message)?;
        self.flush().await
    }

    /// Writes everything out.
    pub(crate) async fn flush(&mut self) -> Result<(), Ended> {
        std::future::poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn broken(&mut self, error: &WsError) -> Ended {
        if matches!(error, WsError::Capacity(_)) {
            // Section 0 of the wire contract: a message over 1 MiB is refused with 1009.
            self.close(1009, "message too large");
        }
        Ended { code: None, why: error.to_string() }
    }
}
