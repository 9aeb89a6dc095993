//! How far a demand misses an instance: what "nearest" means in an explanation.

use super::amounts::Amounts;
use crate::resources::{ShortDimension, Shortfall};

/// How far a demand misses an instance's room; the smallest miss is the nearest. First the fewest short
/// dimensions count, then the smallest share that is missing, added up over the short dimensions. Between
/// equal misses the caller takes the smaller id.
///
/// One number, so that thousands are compared quickly: the dimensions above the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Miss(u64);

/// A dimension's share is at most [`WHOLE`], and there are five of them.
const SHARE_BITS: u32 = 40;

/// What all that is needed counts for; a missing share is given in this unit.
const WHOLE: u64 = 1 << 32;

fn weight(needed: u64) -> u64 {
    WHOLE.checked_div(needed).unwrap_or(0)
}

impl Miss {
    fn and(self, missing: u64, weight: u64) -> Self {
        let share = missing.saturating_mul(weight).min(WHOLE);
        Self(self.0.saturating_add(1 << SHARE_BITS).saturating_add(share))
    }

    /// The miss of one instance.
    pub(super) fn of(shortfall: &Shortfall) -> Self {
        let mut miss = Self(0);
        for dimension in shortfall.dimensions() {
            let (needed, missing) = match dimension {
                ShortDimension::Cpu { needed, remaining } => amount(needed.get(), remaining.get()),
                ShortDimension::Memory { needed, remaining } => amount(needed.get(), remaining.get()),
                ShortDimension::Gpu { needed, remaining } => amount(needed.get(), remaining.get()),
                ShortDimension::Eni { needed, remaining } => amount(needed.get(), remaining.get()),
                // Ports are no amounts: being in the way is all that can be said of a port.
                ShortDimension::Ports { .. } => (1, 1),
                ShortDimension::PortLimit { needed, remaining } => {
                    (*needed as u64, needed.saturating_sub(*remaining) as u64)
                }
            };
            miss = miss.and(missing, weight(needed));
        }
        miss
    }
}

fn amount(needed: u32, remaining: u32) -> (u64, u64) {
    (u64::from(needed), u64::from(needed.saturating_sub(remaining)))
}

/// Measures the misses of one demand without ports on many instances: of the first `N` of cpu, memory, gpu
/// and eni, when the demand has no others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yardstick<const N: usize> {
    needed: [u32; N],
    weights: [u64; N],
}

impl<const N: usize> Yardstick<N> {
    pub(super) fn new(demand: Amounts) -> Self {
        let mut needed = [0; N];
        for (needed, amount) in needed.iter_mut().zip(demand.each()) {
            *needed = amount;
        }
        Self {
            needed,
            weights: needed.map(|needed| weight(u64::from(needed))),
        }
    }

    /// The miss on an instance with this room; counts what is short there.
    #[inline]
    pub(super) fn measure(&self, room: Amounts, short: &mut [u32; N]) -> Miss {
        let mut miss = 0_u64;
        let each = self.needed.iter().zip(&self.weights).zip(room.each()).zip(short);
        for (((needed, weight), free), short) in each {
            let missing = needed.saturating_sub(free);
            let is_short = u32::from(missing > 0);
            *short = short.wrapping_add(is_short);
            // A share is at most WHOLE, so neither the products nor the sums can pass the largest number.
            let share = u64::from(missing).wrapping_mul(*weight);
            miss = miss
                .wrapping_add(u64::from(is_short) << SHARE_BITS)
                .wrapping_add(share);
        }
        Miss(miss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
    use crate::resources::{Demand, EniRoom, Room, fits};

    fn demand(cpu: u32, memory: u32) -> Demand {
        Demand {
            cpu: CpuUnits::new(cpu),
            memory: MemoryMib::new(memory),
            ..Demand::default()
        }
    }

    fn room(cpu: u32, memory: u32) -> Room {
        Room {
            cpu: CpuUnits::new(cpu),
            memory: MemoryMib::new(memory),
            ..Room::NONE
        }
    }

    fn miss(demand: &Demand, room: &Room) -> Miss {
        Miss::of(&fits(demand, room).unwrap_err())
    }

    #[test]
    fn one_short_dimension_is_nearer_than_two_however_little_is_missing() {
        let demand = demand(1000, 1000);
        assert!(miss(&demand, &room(0, 1000)) < miss(&demand, &room(999, 999)));
    }

    #[test]
    fn the_smaller_missing_share_is_nearer_whatever_the_unit() {
        let demand = demand(1000, 100);
        assert!(miss(&demand, &room(900, 100)) < miss(&demand, &room(1000, 80)));
        assert!(miss(&demand, &room(1000, 95)) < miss(&demand, &room(900, 100)));
    }

    #[test]
    fn the_quick_measure_agrees_with_the_plain_one() {
        let demand = Demand {
            gpu: GpuCount::new(2),
            eni: EniCount::new(1),
            ..demand(300, 7)
        };
        for (cpu, memory, gpu, eni) in [(0, 0, 0, 0), (299, 7, 2, 1), (300, 6, 1, 1), (1, 9, 9, 0)] {
            let eni = EniRoom::Limited(EniCount::new(eni));
            let room = Room {
                gpu: GpuCount::new(gpu),
                eni,
                ..room(cpu, memory)
            };
            let quick = Yardstick::<4>::new(Amounts::of_demand(&demand))
                .measure(Amounts::of_room(&room), &mut [0; 4]);
            assert_eq!(quick, miss(&demand, &room));
        }
    }
}
