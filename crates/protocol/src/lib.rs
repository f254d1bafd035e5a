//! The Sideband wire protocols, without I/O.
//!
//! Everything here is a function of its arguments: bytes come in, values or bytes go out. There is
//! no socket, task, clock or source of randomness; whoever needs a random number (an ephemeral key,
//! a frame id) hands it in. So two endpoints can be driven by a test, byte for byte, and any
//! runtime can sit around them.
//!
//! From the outside in, as in the wire contract (`protocol.md`):
//!
//! | module | section | what |
//! | --- | --- | --- |
//! | [`sbrp`] | 1 | frames between an endpoint and the relay |
//! | [`identity`] | 2 | a daemon's long-lived key and its fingerprint |
//! | [`handshake`] | 2 | the way from two ephemeral keys and a signature to session keys |
//! | [`session`] | 2 | sealing and opening Data frames |
//! | [`sbp`] | 3 | frames between client and daemon |
//! | [`rpc`] | 4 | calls, answers and events in them, around raw JSON text |
//! | [`event`] | 4 | event names and patterns |
//!
//! What another side sent is never trusted: every decoder takes any bytes, refuses what the
//! contract refuses with an error that says whose fault it is, never panics, and allocates nothing
//! by a length that somebody announced.
//!
//! A session from its first frame to its first call, both sides in one place:
//!
//! ```
//! use sideband_protocol::{
//!     handshake::{self, ClientHandshake, PinMatch},
//!     identity::IdentityKeyPair,
//!     rpc::{self, Envelope},
//!     sbp::{self, FrameId, Subject},
//!     sbrp::{self, SessionId},
//!     session::SEALED_PREFIX,
//! };
//! # fn random() -> zeroize::Zeroizing<[u8; 32]> { [7; 32].into() }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = SessionId::new(1).ok_or("0 is no session")?;
//! let identity = IdentityKeyPair::from_seed(&random());
//!
//! // The client opens a handshake, the daemon answers it and has the keys.
//! let client = ClientHandshake::start(random());
//! let (accept, keys) = handshake::accept(&identity, "my-daemon", random(), &client.init_payload())?;
//! let (_, mut opener) = keys.into_daemon();
//!
//! // The client verifies, decides whom to trust, and only then has them too.
//! let verified = client.verify("my-daemon", &accept, None)?;
//! assert_eq!(verified.pin(), PinMatch::None);
//! println!("{}", verified.identity().public_key().fingerprint());
//! let (mut sealer, _) = verified.into_keys()?.into_client();
//!
//! // A call is written into one buffer, and sealed there.
//! let mut frame = vec![0; SEALED_PREFIX];
//! let id = FrameId([1; 16]);
//! sbp::write_message_head(&mut frame, id, Subject::Rpc);
//! rpc::write_request(&mut frame, "ping", Some("[1,2]"), id);
//! sealer.seal(session, &mut frame)?;
//!
//! // What the daemon receives is opened in place; its parameters are still JSON text.
//! let sbrp::Frame::Data { payload, .. } = sbrp::Frame::decode(&frame)? else { panic!("no Data frame") };
//! let mut payload = payload.to_vec();
//! let message = opener.open(&mut payload)?;
//! let sbp::Frame::Message { id, subject, data, .. } = sbp::Frame::decode(message.plaintext)? else {
//!     panic!("no message")
//! };
//! let Envelope::Request { method, params, .. } = Envelope::decode(subject, data)? else {
//!     panic!("no request")
//! };
//! assert_eq!((&*method, params), ("ping", Some("[1,2]")));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod event;
pub mod handshake;
pub mod identity;
pub mod rpc;
pub mod sbp;
pub mod sbrp;
pub mod session;
