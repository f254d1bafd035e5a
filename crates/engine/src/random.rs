//! The engine's only source of randomness: the operating system's, read in blocks.

use std::cell::RefCell;

use sideband_protocol::sbp::FrameId;
use zeroize::Zeroizing;

/// Bytes read at once for frame ids: 64 ids a system call.
const BLOCK: usize = 1024;

thread_local! {
    static IDS: RefCell<([u8; BLOCK], usize)> = const { RefCell::new(([0; BLOCK], BLOCK)) };
}

fn fill(bytes: &mut [u8]) {
    // An operating system without randomness cannot run this protocol; the panic is caught at the boundary.
    getrandom::fill(bytes).expect("the operating system gives randomness");
}

/// A fresh random frame id (section 3).
pub(crate) fn frame_id() -> FrameId {
    IDS.with_borrow_mut(|(block, used)| {
        if *used == BLOCK {
            fill(block);
            *used = 0;
        }
        let mut id = [0; 16];
        id.copy_from_slice(&block[*used..*used + 16]);
        *used += 16;
        FrameId(id)
    })
}

/// 32 secret bytes: an ephemeral key or an identity seed.
pub fn secret() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut_slice());
    bytes
}

/// A number in 0..1, for jitter.
pub(crate) fn unit() -> f64 {
    let mut bytes = [0; 4];
    fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// A name for this side of a session: 128 random bits as hex.
pub(crate) fn peer_id() -> String {
    let mut id = [0; 16];
    fill(&mut id);
    FrameId(id).to_hex()
}
