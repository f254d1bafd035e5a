//! A WebSocket client on a blocking socket, as cheap as it can be, so that what is measured is the
//! server: frames are parsed in place and masked with zeros.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// One end of a WebSocket.
pub(crate) struct Socket {
    tcp: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` that are filled and not taken yet.
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Socket {
    /// Opens a WebSocket at `path`.
    pub(crate) fn open(authority: &str, path: &str) -> Self {
        let mut tcp = TcpStream::connect(authority).expect("the server listens");
        tcp.set_nodelay(true).expect("no delay");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).expect("the request goes out");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            tcp.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self { tcp, input: Vec::new(), start: 0, end: 0, output: Vec::new() }
    }

    /// Makes room for reading; idle connections need none.
    pub(crate) fn prepare(&mut self, room: usize) {
        self.input.resize(room, 0);
    }

    /// Queues a message.
    pub(crate) fn queue(&mut self, message: &[u8]) {
        self.output.push(0x82);
        match message.len() {
            len @ 0..126 => self.output.push(0x80 | u8::try_from(len).expect("below 126")),
            len => {
                self.output.push(0x80 | 127);
                self.output.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        self.output.extend_from_slice(&[0; 4]);
        self.output.extend_from_slice(message);
    }

    /// Sends everything queued.
    pub(crate) fn flush(&mut self) {
        self.tcp.write_all(&self.output).expect("the server reads");
        self.output.clear();
    }

    /// Hands every whole message that is there to `each`, waiting for one at least. Returns how
    /// many there were: 0 when the server hung up.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        loop {
            while let Some((header, len)) = self.header() {
                if self.end - self.start < header + len {
                    break;
                }
                let message = &self.input[self.start + header..self.start + header + len];
                each(message);
                count += 1;
                self.start += header + len;
            }
            if count > 0 {
                return count;
            }
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match self.tcp.read(&mut self.input[self.end..]) {
                Ok(0) | Err(_) => return 0,
                Ok(read) => self.end += read,
            }
        }
    }

    /// Length of the next message's header, and of the message.
    fn header(&self) -> Option<(usize, usize)> {
        let there = &self.input[self.start..self.end];
        match there.get(1)? & 0x7f {
            126 => {
                let len: [u8; 2] = there.get(2..4)?.try_into().ok()?;
                Some((4, u16::from_be_bytes(len).into()))
            }
            127 => {
                let len: [u8; 8] = there.get(2..10)?.try_into().ok()?;
                Some((10, usize::try_from(u64::from_be_bytes(len)).ok()?))
            }
            len => Some((2, len.into())),
        }
    }
}
