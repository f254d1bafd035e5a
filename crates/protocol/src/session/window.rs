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
                let shift = u32::try_from(skipped).ok().and_then(|skipped| skipped.checked_add(1));
                self.seen = shift.and_then(|shift| self.seen.checked_shl(shift)).unwrap_or(0) | 1;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The gap that an accepted sequence leaves, `None` for a refusal.
    fn receive(window: &mut ReplayWindow, sequence: u64) -> Option<u64> {
        window.check(sequence).map(|fresh| window.mark(fresh))
    }

    #[test]
    fn gaps_are_what_was_skipped() {
        let mut window = ReplayWindow::default();
        let sequences = [3, 4, 2, 10, 9, 1_000_000];
        let gaps = sequences.map(|sequence| receive(&mut window, sequence));
        assert_eq!(gaps, [Some(3), Some(0), Some(0), Some(5), Some(0), Some(999_989)]);
    }

    #[test]
    fn the_window_is_as_wide_as_it_says() {
        let mut window = ReplayWindow::default();
        assert!(receive(&mut window, 1000).is_some());
        assert!(window.check(1000 - WIDTH).is_none());
        assert!(window.check(1000 - WIDTH + 1).is_some());
    }

    #[test]
    fn a_check_alone_changes_nothing() {
        let mut window = ReplayWindow::default();
        assert!(receive(&mut window, 5).is_some());
        for sequence in [4, 6, u64::MAX - 1] {
            assert!(window.check(sequence).is_some());
            assert!(window.check(sequence).is_some());
        }
        assert_eq!(receive(&mut window, 6), Some(0));
        assert_eq!(receive(&mut window, 4), Some(0));
    }

    #[test]
    fn jumps_around_the_width_keep_what_they_should() {
        for jump in [WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH, 1 << 32, u64::MAX - 1] {
            let mut window = ReplayWindow::default();
            assert_eq!(receive(&mut window, 0), Some(0));
            assert_eq!(receive(&mut window, jump), Some(jump - 1));
            assert!(window.check(0).is_none(), "seen before a jump by {jump}");
            assert!(window.check(jump).is_none());
            assert!(window.check(jump - 1).is_some());
        }
    }

    #[test]
    fn the_last_sequence_is_never_fresh() {
        let mut window = ReplayWindow::default();
        assert!(window.check(u64::MAX).is_none());
        assert!(receive(&mut window, u64::MAX - 1).is_some());
        assert!(window.check(u64::MAX).is_none());
        assert!(window.check(u64::MAX - 1).is_none());
    }

    proptest! {
        /// The bitmap says what a set of everything seen would say.
        #[test]
        fn like_a_set(start in 0..=u64::MAX - 2000, steps in prop::collection::vec(0..1500_u64, 0..300)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            for step in steps {
                let sequence = start + step;
                let next = seen.last().map_or(0, |highest| highest + 1);
                let is_fresh = sequence + WIDTH >= next && !seen.contains(&sequence);
                let expected = is_fresh.then_some(sequence.saturating_sub(next));
                prop_assert_eq!(receive(&mut window, sequence), expected);
                if is_fresh {
                    seen.insert(sequence);
                }
            }
        }
    }
}
