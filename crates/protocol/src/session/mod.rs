//! Sealing and opening Data frames under a session's keys (section 2, "Data frames").
//!
//! Each direction has its own key, its own number in the nonce and its own sequence, so a session
//! is a [`Sealer`] for what goes out and an [`Opener`] for what comes in. Both work in the buffer
//! they are given. They live as long as the session does, through a pause too, and their keys are
//! wiped when they are dropped.

mod aead;
#[cfg(test)]
mod tests;
mod window;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use self::{
    aead::{Aead as _, Cipher, Key, NONCE_LEN, TAG_LEN},
    window::ReplayWindow,
};
use crate::sbrp::{FrameType, HEADER_LEN, MAX_PAYLOAD, SessionId, write_header};

/// Bytes that sealing puts in front of the plaintext: the SBRP header (13) and the nonce (12).
pub const SEALED_PREFIX: usize = HEADER_LEN + NONCE_LEN;

/// Most bytes of plaintext that fit into one Data frame.
pub const MAX_PLAINTEXT: usize = MAX_PAYLOAD - NONCE_LEN - TAG_LEN;

const KEYS_INFO: &[u8] = b"sbrp-session-keys";

/// A direction's number in the nonce.
#[derive(Copy, Clone)]
#[repr(u32)]
enum Direction {
    ClientToDaemon = 1,
    DaemonToClient = 2,
}

/// The keys of one session, fresh from the handshake. Wiped when dropped.
pub struct SessionKeys {
    client_to_daemon: Key,
    daemon_to_client: Key,
}

impl SessionKeys {
    pub(crate) fn derive(shared_secret: &[u8; 32], transcript: &[u8; 32]) -> Self {
        let mut keys = Zeroizing::new([0; 64]);
        Hkdf::<Sha256>::new(Some(transcript), shared_secret)
            .expand(KEYS_INFO, &mut *keys)
            .expect("64 bytes are two blocks of HKDF's 255");
        let mut session = Self { client_to_daemon: Key::default(), daemon_to_client: Key::default() };
        session.client_to_daemon.copy_from_slice(&keys[..32]);
        session.daemon_to_client.copy_from_slice(&keys[32..]);
        session
    }

    /// The client's ends of both directions.
    pub fn into_client(self) -> (Sealer, Opener) {
        (
            Sealer::new(self.client_to_daemon, Direction::ClientToDaemon),
            Opener::new(self.daemon_to_client, Direction::DaemonToClient),
        )
    }

    /// The daemon's ends of both directions.
    pub fn into_daemon(self) -> (Sealer, Opener) {
        (
            Sealer::new(self.daemon_to_client, Direction::DaemonToClient),
            Opener::new(self.client_to_daemon, Direction::ClientToDaemon),
        )
    }
}

/// Why a message was not sealed; nothing was used up.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum SealError {
    /// The caller's fault: the plaintext does not fit into one frame. The session lives on.
    #[error("{len} bytes do not fit into a frame of at most {MAX_PLAINTEXT}")]
    TooLarge {
        /// Bytes of the plaintext.
        len: usize,
    },
    /// Nobody's fault: 2^64 − 1 messages have been sent, and the session ends.
    #[error("the session has used up its sequence")]
    SequenceExhausted,
}

/// Seals one direction's messages.
pub struct Sealer {
    cipher: Cipher,
    direction: Direction,
    sequence: u64,
}

impl Sealer {
    fn new(key: Key, direction: Direction) -> Self {
        Self { cipher: Cipher::new(key), direction, sequence: 0 }
    }

    /// The sequence that the next message gets.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Turns `frame`, which is [`SEALED_PREFIX`] bytes of any value and then the plaintext, into a
    /// complete SBRP Data frame: encrypts in place, appends the tag, fills in header and nonce.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`], [`SealError::SequenceExhausted`]; `frame` is as it was.
    ///
    /// # Panics
    ///
    /// When `frame` is shorter than the prefix.
    pub fn seal(&mut self, session: SessionId, frame: &mut Vec<u8>) -> Result<(), SealError> {
        let (prefix, plaintext) =
            frame.split_first_chunk_mut::<SEALED_PREFIX>().expect("the caller leaves room for the prefix");
        let len = plaintext.len();
        if len > MAX_PLAINTEXT {
            return Err(SealError::TooLarge { len });
        }
        if self.sequence == u64::MAX {
            return Err(SealError::SequenceExhausted);
        }
        let nonce = nonce(self.direction, self.sequence);
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_PAYLOAD")]
        let payload_len = (NONCE_LEN + len + TAG_LEN) as u32;
        write_header(prefix, FrameType::Data, payload_len, session.get());
        prefix[HEADER_LEN..].copy_from_slice(&nonce);
        let tag = self.cipher.seal(nonce, plaintext);
        frame.extend_from_slice(&tag);
        self.sequence += 1;
        Ok(())
    }
}

/// Why a Data frame was not opened. It is the sender's fault or the network's, it ends the session,
/// and it is not retried.
#[derive(Copy, Clone, Eq, PartialEq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Another direction's nonce, too few bytes, or a tag that does not verify.
    #[error("decrypt_failed: the frame was not sealed for this session and direction")]
    DecryptFailed,
    /// A sequence that was seen before, or that is too old to tell.
    #[error("sequence_error: the frame's sequence was seen before or is too old")]
    SequenceError,
}

/// Opens the other direction's messages.
pub struct Opener {
    cipher: Cipher,
    direction: Direction,
    window: ReplayWindow,
}

/// One message, opened.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Opened<'a> {
    /// The plaintext, in the buffer that held the ciphertext.
    pub plaintext: &'a [u8],
    /// How many frames were lost on the way before this one (after a resume, say).
    pub gap: u64,
}

impl Opener {
    fn new(key: Key, direction: Direction) -> Self {
        Self { cipher: Cipher::new(key), direction, window: ReplayWindow::default() }
    }

    /// Opens a Data frame's payload in place. The sequence counts as seen only once the tag has
    /// verified, so a forged frame changes nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError::DecryptFailed`], [`OpenError::SequenceError`]; what `payload` holds then is
    /// unspecified.
    pub fn open<'a>(&mut self, payload: &'a mut [u8]) -> Result<Opened<'a>, OpenError> {
        let (nonce, sealed) = payload.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError::DecryptFailed)?;
        let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError::DecryptFailed)?;
        let [d0, d1, d2, d3, s0, s1, s2, s3, s4, s5, s6, s7] = *nonce;
        if u32::from_be_bytes([d0, d1, d2, d3]) != self.direction as u32 {
            return Err(OpenError::DecryptFailed);
        }
        let sequence = u64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let fresh = self.window.check(sequence).ok_or(OpenError::SequenceError)?;
        self.cipher.open(*nonce, text, *tag).map_err(|_| OpenError::DecryptFailed)?;
        let gap = self.window.mark(fresh);
        Ok(Opened { plaintext: text, gap })
    }
}

fn nonce(direction: Direction, sequence: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&(direction as u32).to_be_bytes());
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    nonce
}
