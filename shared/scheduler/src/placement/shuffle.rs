//! The order of the `random` strategy: a shuffle of the instances that a seed decides.

use super::PlacementSeed;

/// A small cluster is shuffled among this many ranks (a power of two), so that each of its instances is as
/// likely to come first as any other.
const RANK_BITS_MIN: u32 = 10;

/// A bijection between the instances' ordinals and ranks. There are more ranks than instances: some belong
/// to nobody.
///
/// A shuffle that can be walked from its first rank on finds an instance with room in a few steps on a
/// cluster that has room, whereas the smallest of random numbers would have to be looked for on all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shuffle {
    bits: u32,
    offset: u64,
    factors: [u64; 2],
}

impl Shuffle {
    pub(super) fn new(seed: PlacementSeed, instances: usize) -> Self {
        let bits = (instances as u64)
            .next_power_of_two()
            .trailing_zeros()
            .max(RANK_BITS_MIN);
        let mut state = seed.0;
        let mut draw = || {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        // Only odd factors can be undone.
        Self {
            bits,
            offset: draw(),
            factors: [draw() | 1, draw() | 1],
        }
    }

    /// How many ranks there are.
    pub(super) fn ranks(&self) -> u64 {
        1_u64 << self.bits
    }

    fn fold(&self, number: u64) -> u64 {
        // Undoes itself, because the shift is at least half of the bits.
        number ^ (number >> self.bits.div_ceil(2))
    }

    fn wrap(&self, number: u64) -> u64 {
        number & self.ranks().wrapping_sub(1)
    }

    /// The place of an instance in the order.
    pub(super) fn rank_of(&self, ordinal: usize) -> u64 {
        let moved = self.wrap((ordinal as u64).wrapping_add(self.offset));
        self.factors.iter().fold(moved, |number, factor| {
            self.fold(self.wrap(number.wrapping_mul(*factor)))
        })
    }

    /// The other way round, for many ranks.
    pub(super) fn inverse(&self) -> Unshuffle {
        let [first, second] = self.factors;
        Unshuffle {
            shuffle: *self,
            inverses: [inverse(second), inverse(first)],
        }
    }
}

/// Finds the instance of a rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unshuffle {
    shuffle: Shuffle,
    inverses: [u64; 2],
}

impl Unshuffle {
    /// The ordinal with this rank; past the last instance when the rank belongs to nobody.
    pub(super) fn ordinal_at(&self, rank: u64) -> usize {
        let shuffle = &self.shuffle;
        let undo = |number: u64, inverse: &u64| shuffle.wrap(shuffle.fold(number).wrapping_mul(*inverse));
        let moved = self.inverses.iter().fold(rank, undo);
        usize::try_from(shuffle.wrap(moved.wrapping_sub(shuffle.offset))).unwrap_or(usize::MAX)
    }
}

/// The number that an odd factor times gives 1, modulo 2^64 (Newton's iteration doubles the right bits).
fn inverse(factor: u64) -> u64 {
    (0..6).fold(factor, |guess: u64, _| {
        guess.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(guess)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_instance_has_a_rank_of_its_own_and_is_found_by_it() {
        for instances in [1, 2, 3, 100, 1024, 1025, 5000] {
            let shuffle = Shuffle::new(PlacementSeed::new(7), instances);
            let back = shuffle.inverse();
            let ranks: BTreeSet<u64> = (0..instances).map(|ordinal| shuffle.rank_of(ordinal)).collect();
            assert_eq!(ranks.len(), instances);
            assert!(ranks.iter().all(|rank| *rank < shuffle.ranks()));
            assert!((0..instances).all(|ordinal| back.ordinal_at(shuffle.rank_of(ordinal)) == ordinal));
        }
    }

    #[test]
    fn each_instance_is_about_as_likely_to_come_first_as_any_other() {
        for instances in [2, 3, 5, 7, 120] {
            let rounds = instances * 300;
            let mut first = vec![0_usize; instances];
            for seed in 0..rounds {
                let shuffle = Shuffle::new(PlacementSeed::new(seed as u64), instances);
                let ordinal = (0..instances)
                    .min_by_key(|ordinal| shuffle.rank_of(*ordinal))
                    .unwrap();
                first[ordinal] += 1;
            }
            // 300 each are expected; a fair draw stays within six standard deviations.
            assert!(
                first.iter().all(|count| (196..=404).contains(count)),
                "{instances}: {first:?}"
            );
        }
    }
}
