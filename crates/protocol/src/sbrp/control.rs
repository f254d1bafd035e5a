//! Control codes: their names, whether they end the connection, whether they name a session.

use std::fmt;

/// The code of a [`Frame::Control`](super::Frame::Control). Any number can arrive, so unknown ones
/// are values too.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct ControlCode(pub u16);

/// One row of the table in section 1.
struct Row {
    code: ControlCode,
    name: &'static str,
    terminal: bool,
    session: bool,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $id:ident = $code:literal, $name:literal, $terminal:literal, $session:literal;)*) => {
        impl ControlCode {
            $($(#[$doc])* pub const $id: Self = Self($code);)*
        }

        const TABLE: &[Row] = &[
            $(Row { code: ControlCode::$id, name: $name, terminal: $terminal, session: $session },)*
        ];
    };
}

codes! {
    // constant, code, name, terminal, carries a session id
    /// Token invalid or expired.
    UNAUTHORIZED = 0x0101, "unauthorized", true, false;
    /// Token valid, access denied.
    FORBIDDEN = 0x0102, "forbidden", true, false;
    /// No such daemon.
    DAEMON_NOT_FOUND = 0x0201, "daemon_not_found", true, true;
    /// The daemon is not connected.
    DAEMON_OFFLINE = 0x0202, "daemon_offline", true, true;
    /// The frame names another session than the token's.
    SESSION_NOT_FOUND = 0x0301, "session_not_found", true, true;
    /// Grace ran out, the daemon lost its state, or policy.
    SESSION_EXPIRED = 0x0302, "session_expired", true, true;
    /// A frame that cannot be parsed.
    MALFORMED_FRAME = 0x0401, "malformed_frame", true, false;
    /// A length over the limit.
    PAYLOAD_TOO_LARGE = 0x0402, "payload_too_large", true, false;
    /// An unknown type byte.
    INVALID_FRAME_TYPE = 0x0403, "invalid_frame_type", true, false;
    /// A session id that does not fit the type.
    INVALID_SESSION_ID = 0x0404, "invalid_session_id", true, false;
    /// This side may not send this type.
    DISALLOWED_SENDER = 0x0405, "disallowed_sender", true, true;
    /// A fault of the relay; reconnecting may help.
    INTERNAL_ERROR = 0x0601, "internal_error", true, false;
    /// Slow down. The connection stays.
    RATE_LIMITED = 0x0901, "rate_limited", false, false;
    /// This receiver is too slow; frames would otherwise be lost.
    BACKPRESSURE = 0x0902, "backpressure", true, false;
    /// The daemon's connection dropped.
    SESSION_PAUSED = 0x1001, "session_paused", false, true;
    /// The daemon is back and has the session's state.
    SESSION_RESUMED = 0x1002, "session_resumed", false, true;
    /// The client is gone, or the daemon's frame names no live session.
    SESSION_ENDED = 0x1003, "session_ended", false, true;
    /// The daemon is back; waiting for its Signal.
    SESSION_PENDING = 0x1004, "session_pending", false, true;
}

impl ControlCode {
    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self)
    }

    /// The code's name in the contract, which is also its name in the SDK. `None` for an unknown
    /// code.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.name)
    }

    /// Whether the relay closes the WebSocket behind it. An unknown code counts as terminal.
    pub fn is_terminal(self) -> bool {
        self.row().is_none_or(|row| row.terminal)
    }

    /// Whether its frame carries the id of the session it is about, and not 0.
    pub fn carries_session(self) -> bool {
        self.row().is_some_and(|row| row.session)
    }
}

impl fmt::Debug for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name, or `unknown (0x…)`.
impl fmt::Display for ControlCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "unknown ({:#06x})", self.0),
        }
    }
}
