//! The environment as the engine's host: what happens becomes records.

use serde_json::json;
use sideband::host::{DaemonEvent, Gate, Host, Id, PeerEvent, PeerState};

use crate::environment::Environment;
use crate::failure;
use crate::hooks::{self, Point};
use crate::lock;
use crate::record::{Kind, Record};

/// JavaScript's number for a state; 0 is its own `idle`.
fn number_of(state: PeerState) -> u8 {
    match state {
        PeerState::Connecting => 1,
        PeerState::Negotiating => 2,
        PeerState::Active => 3,
        PeerState::Paused => 4,
        PeerState::Reconnecting => 5,
        PeerState::Closed => 6,
    }
}

impl Host for Environment {
    fn peer(&self, peer: Id, event: PeerEvent<'_>) {
        let handle = peer.0;
        match event {
            PeerEvent::State { state, remote, error } => {
                let error = error.map(failure::to_json);
                let record = Record::new(Kind::State, handle).a(number_of(state));
                self.push(&record.text1(remote.unwrap_or_default()).text2(error.as_deref()));
            }
            PeerEvent::Result { call, result } => {
                hooks::reach(Point::Result);
                self.push(&Record::new(Kind::Result, handle).id(call).text2(result));
            }
            PeerEvent::Failure { call, error } => {
                self.push(&Record::new(Kind::Failure, handle).id(call).text1(&failure::to_json(error)));
            }
            PeerEvent::Request { cid, method, params } => {
                hooks::reach(Point::Request);
                let record = Record { ids: words_of(cid.0), ..Record::new(Kind::Request, handle) };
                self.push(&record.text1(method).text2(params));
            }
            PeerEvent::Event { name, data } => {
                self.push(&Record::new(Kind::Event, handle).text1(name).text2(data));
            }
            PeerEvent::Unhandled { error } => {
                self.push(&Record::new(Kind::Unhandled, handle).text1(&failure::to_json(error)));
            }
            PeerEvent::Gone => {
                lock(&self.table).peers.remove(&handle);
                self.push(&Record::new(Kind::Gone, handle));
            }
        }
    }

    fn daemon(&self, daemon: Id, event: DaemonEvent<'_>) {
        let handle = daemon.0;
        match event {
            DaemonEvent::Listening { daemon_id, url } => {
                // A direct server has no id, and nobody's relay.
                let about = if daemon_id.is_empty() {
                    json!({ "address": url })
                } else {
                    json!({ "daemonId": daemon_id, "relayUrl": url, "address": url })
                };
                self.push(&Record::new(Kind::Listening, handle).text1(&about.to_string()));
            }
            DaemonEvent::Failed { error } => {
                self.push(&Record::new(Kind::ListenFailed, handle).text1(&failure::to_json(error)));
            }
            DaemonEvent::Connection { peer, remote } => {
                let id = peer.id().0;
                let mut table = lock(&self.table);
                if table.ensure_open().is_err() {
                    drop(table);
                    peer.close();
                    return;
                }
                table.peers.insert(id, peer);
                drop(table);
                self.push(&Record::new(Kind::Connection, handle).id(id).text1(remote));
            }
            DaemonEvent::LinkUp => {
                hooks::reach(Point::Link);
                self.push(&Record::new(Kind::ServerState, handle).a(1));
            }
            DaemonEvent::LinkDown { error } => {
                self.push(&Record::new(Kind::ServerState, handle).text2(Some(&failure::to_json(error))));
            }
            DaemonEvent::Unhandled { error } => {
                self.push(&Record::new(Kind::Unhandled, handle).text1(&failure::to_json(error)));
            }
            DaemonEvent::Gone => {
                let mut table = lock(&self.table);
                table.servers.remove(&handle);
                // A server whose task panicked never told that its peers are gone.
                table.peers.retain(|_, peer| !peer.is_orphaned());
                drop(table);
                self.push(&Record::new(Kind::Gone, handle));
            }
        }
    }

    fn flush(&self) {
        self.announce();
    }

    fn gate(&self) -> &Gate {
        self.queue.gate()
    }
}

/// A correlation id as four numbers, which [`crate::peers`] puts together again.
fn words_of(cid: [u8; 16]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(cid.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

/// The other way.
pub(crate) fn cid_of(words: [u32; 4]) -> [u8; 16] {
    let mut cid = [0; 16];
    for (bytes, word) in cid.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    cid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_id_survives_the_trip() {
        let cid: [u8; 16] = std::array::from_fn(|index| 0xf0 ^ u8::try_from(index).expect("small"));
        assert_eq!(cid_of(words_of(cid)), cid);
    }
}
