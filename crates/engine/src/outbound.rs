//! What is on its way from an endpoint into its socket.

use std::collections::VecDeque;

/// Bytes that the socket has not taken above which nothing more is given to it: enough to keep it busy, and all that a
/// lost connection can lose unseen.
const WRITE_AHEAD: usize = 256 << 10;

/// Whole WebSocket messages, in order, and how much more the socket takes just now.
///
/// Callers' frames are taken as long as there is room and wait with their endpoint otherwise. What the protocol itself
/// has to say is taken at once; when more of it gathers than there is room, reading stops (see [`Outbound::is_empty`]).
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    messages: VecDeque<Vec<u8>>,
    /// Bytes in `messages`.
    waiting: usize,
    room: usize,
}

impl Outbound {
    /// Says how many bytes the socket has not taken yet.
    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.room = WRITE_AHEAD.saturating_sub(backlog + self.waiting);
    }

    /// Whether callers' frames may be taken. One that is larger than the room is taken all the same.
    pub(crate) fn has_room(&self) -> bool {
        self.room > 0
    }

    pub(crate) fn push(&mut self, message: Vec<u8>) {
        self.waiting += message.len();
        self.room = self.room.saturating_sub(message.len());
        self.messages.push_back(message);
    }

    /// The next message, while the socket's backlog is small enough for one.
    pub(crate) fn pop(&mut self, backlog: usize) -> Option<Vec<u8>> {
        let message = if backlog < WRITE_AHEAD { self.messages.pop_front() } else { None };
        self.waiting -= message.as_ref().map_or(0, Vec::len);
        message
    }

    /// Whether the socket was given everything. If not, what waits are answers to the remote, which does not read them:
    /// then it is not read from either.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
