//! The replay window: which sequences of one direction have been seen.

/// How far behind the highest sequence one may be and still be told apart from a replay.
pub(super) const WIDTH: u64 = u128::BITS as u64;

/// A sliding bitmap over the last [`WIDTH`] sequences.
///
/// In two steps, so that only a frame whose tag verified moves it: [`check`](Self::check) says that
/// a sequence is fresh, [`mark`](Self::mark) takes that word and records it.
#[derive(Default)]
pub(super) struct ReplayWindow {
    /// One more than the highest sequence seen.
    next: u64,
    /// Bit `i` stands for the sequence `next - 1 - i`.
    seen: u128,
}

/// A sequence that its window has not seen.
pub(super) struct Fresh(u64);

impl ReplayWindow {
    /// `None` for a sequence that was seen, that is too old to tell, or that no sender may use: at
    /// 2^64 − 1 it ends the session instead.
    pub(super) fn check(&self, sequence: u64) -> Option<Fresh> {
        if sequence == u64::MAX {
            return None;
        }
        let is_fresh = match self.next.checked_sub(sequence) {
            None | Some(0) => true,
            Some(back) => back <= WIDTH && self.seen & bit(back) == 0,
        };
        is_fresh.then_some(Fresh(sequence))
    }

    /// Records it as seen. Gives how many sequences were skipped to get there.
    pub(super) fn mark(&mut self, Fresh(sequence): Fresh) -> u64 {
        match sequence.checked_sub(self.next) {
            None => {
                self.seen |= bit(self.next - sequence);
                0
            }
            Some(skipped) => {
                // A jump past the window empties it, at the price of one shift.
                let shift = u32::try_from(skipped)
                    .ok()
                    .and_then(|skipped| skipped.checked_add(1));
                self.seen = shift
                    .and_then(|shift| self.seen.checked_shl(shift))
                    .unwrap_or(0)
                    | 1;
                self.next = sequence + 1;
                skipped
            }
        }
    }
}

/// The bit of the sequence that is `back` (1..=[`WIDTH`]) before the next one.
fn bit(back: u64) -> u128 {
    1 << (back - 1)
}
