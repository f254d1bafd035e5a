//! One conversation with one remote, whatever carries it: calls in both directions, events, what waits while there is no
//! connection. [`PeerHandle`] is the caller's end; `core` is the owner task's, a state machine without I/O.

pub(crate) mod core;
mod handle;
mod held;
mod pending;
pub mod policy;
pub(crate) mod solo;
#[cfg(test)]
mod tests;

pub(crate) use handle::{Command, Inbox, Mailbox, Outgoing, Routed};
pub use handle::{PeerHandle, notification_size, request_size};

/// Why a message did not even start on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It does not fit into a Data frame (65,508 bytes with its envelope).
    #[error("the message does not fit into a frame")]
    TooLarge,
    /// Too many bytes wait for the connection's task already.
    #[error("too many messages wait for the connection")]
    Overflow,
    /// The peer is closed.
    #[error("the peer is closed")]
    Closed,
    /// Its JSON is nested deeper than 128 levels.
    #[error("the value is nested deeper than 128 levels")]
    TooDeep,
    /// An event name that the naming rules refuse.
    #[error("not a valid event name")]
    InvalidName,
}
