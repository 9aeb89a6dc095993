//! How far a demand misses an instance: what "nearest" means in an explanation.

use super::amounts::Amounts;
use crate::resources::{ShortDimension, Shortfall};

/// How far a demand misses an instance's room; the smallest miss is the nearest. First the fewest short
/// dimensions count, then the smallest share that is missing, added up over the short dimensions. Between
/// equal misses the caller takes the smaller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Miss {
    dimensions: u32,
    share: u64,
}

/// What all that is needed counts for; a missing share is given in this unit.
const WHOLE: u64 = 1 << 32;

fn weight(needed: u64) -> u64 {
    WHOLE.checked_div(needed).unwrap_or(0)
}

impl Miss {
    /// The miss of one instance.
    pub(super) fn of(shortfall: &Shortfall) -> Self {
        let mut miss = Self {
            dimensions: 0,
            share: 0,
        };
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
            miss.dimensions = miss.dimensions.saturating_add(1);
            miss.share = miss.share.saturating_add(missing.saturating_mul(weight(needed)));
        }
        miss
    }
}

fn amount(needed: u32, remaining: u32) -> (u64, u64) {
    (u64::from(needed), u64::from(needed.saturating_sub(remaining)))
}

/// Measures the misses of one demand without ports on many instances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yardstick {
    demand: Amounts,
    weights: [u64; 4],
}

impl Yardstick {
    pub(super) fn new(demand: Amounts) -> Self {
        Self {
            demand,
            weights: demand.each().map(|needed| weight(u64::from(needed))),
        }
    }

    /// The miss on an instance with this room, or at least on any instance with no more than that.
    pub(super) fn measure(&self, room: Amounts) -> Miss {
        let missing = self.demand.missing(room).each();
        let dimensions = missing.iter().map(|amount| u32::from(*amount > 0));
        let shares = missing.iter().zip(self.weights);
        // A share is at most WHOLE, so neither the products nor the sums can pass the largest number.
        let shares = shares.map(|(amount, weight)| u64::from(*amount).wrapping_mul(weight));
        Miss {
            dimensions: dimensions.fold(0, u32::wrapping_add),
            share: shares.fold(0, u64::wrapping_add),
        }
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
            let quick = Yardstick::new(Amounts::of_demand(&demand)).measure(Amounts::of_room(&room));
            assert_eq!(quick, miss(&demand, &room));
        }
    }
}
