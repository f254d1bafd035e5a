//! A remote can break the protocol as often as it likes; the program hears of it so often a minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ProtocolError};
use crate::host::{DaemonEvent, Gate, Host, Id, PeerEvent};
use crate::link;

/// `Unhandled` events of one connection in one [`WINDOW`]: enough to find a fault by, too few to fill a log with.
pub(crate) const LIMIT: u32 = 100;

const WINDOW: Duration = Duration::from_secs(60);

/// The host of one connection, told of no more than [`LIMIT`] faults a minute, and once that there were more.
struct Limited {
    host: Arc<dyn Host>,
    window: Mutex<Window>,
}

struct Window {
    ends: Instant,
    reports: u32,
}

/// Puts the limit in front of a host.
pub(crate) fn limited(host: Arc<dyn Host>) -> Arc<dyn Host> {
    let window = Window { ends: link::now() + WINDOW, reports: 0 };
    Arc::new(Limited { host, window: Mutex::new(window) })
}

impl Limited {
    fn report(&self, error: &Error, tell: impl FnOnce(&Error)) {
        let now = link::now();
        let number = {
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            if window.ends <= now {
                *window = Window { ends: now + WINDOW, reports: 0 };
            }
            window.reports = window.reports.saturating_add(1);
            window.reports
        };
        match number {
            1..=LIMIT => tell(error),
            _ if number == LIMIT + 1 => tell(&Error::Protocol(ProtocolError::Unreported)),
            _ => {}
        }
    }
}

impl Host for Limited {
    fn peer(&self, peer: Id, event: PeerEvent<'_>) {
        match event {
            PeerEvent::Unhandled { error } => {
                self.report(error, |error| self.host.peer(peer, PeerEvent::Unhandled { error }));
            }
            event => self.host.peer(peer, event),
        }
    }

    fn daemon(&self, daemon: Id, event: DaemonEvent<'_>) {
        match event {
            DaemonEvent::Unhandled { error } => {
                self.report(error, |error| self.host.daemon(daemon, DaemonEvent::Unhandled { error }));
            }
            event => self.host.daemon(daemon, event),
        }
    }

    fn flush(&self) {
        self.host.flush();
    }

    fn gate(&self) -> &Gate {
        self.host.gate()
    }
}
