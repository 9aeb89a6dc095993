//! One decision's view of the working state.

use std::cmp::Ordering;

use super::PlacementSeed;
use super::amounts::Amounts;
use super::chain::{Chain, Step};
use super::column::{Columns, MISSING};
use super::filter::RuleSet;
use super::occupancy::{GroupId, Occupancy};
use super::shuffle::Shuffle;
use crate::resources::HostPorts;

/// All that one decision looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'v, 'a> {
    pub(super) occupancy: &'v Occupancy<'a>,
    pub(super) columns: &'v Columns,
    pub(super) rules: &'v RuleSet,
    pub(super) chain: &'v Chain,
    pub(super) group: GroupId,
    pub(super) demand: Amounts,
    pub(super) ports: &'v HostPorts,
    pub(super) seed: PlacementSeed,
    /// Instances that must not be used, a handful.
    pub(super) barred: &'v [usize],
}

impl<'v> View<'v, '_> {
    /// Whether the ports that the task needs are free.
    pub(super) fn has_ports(&self, ordinal: usize) -> bool {
        self.occupancy.has_ports(ordinal, self.ports)
    }

    /// Whether the task may use the instance, by its ports and by the bars.
    pub(super) fn may_use(&self, ordinal: usize) -> bool {
        self.has_ports(ordinal) && !self.barred.contains(&ordinal)
    }

    /// Whether the task fits and may use the instance.
    pub(super) fn fits(&self, ordinal: usize) -> bool {
        self.occupancy.amounts(ordinal).cover(self.demand) && self.may_use(ordinal)
    }

    /// What a strategy says of instances; the smaller number is preferred.
    pub(super) fn score(&self, step: Step) -> Score<'v> {
        match step {
            Step::Random => Score::Random(Shuffle::new(self.seed, self.occupancy.len())),
            Step::Cpu => Score::Cpu(self.occupancy.all_amounts()),
            Step::Memory => Score::Memory(self.occupancy.all_amounts()),
            Step::Count(id) => Score::Count {
                bucket_of: self.columns.get(id).map_or(&[], |column| column.buckets_of_all()),
                counts: self.occupancy.counts(self.group, id),
            },
        }
    }
}

/// A strategy, ready to be asked about one instance after the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Score<'v> {
    Random(Shuffle),
    Cpu(&'v [Amounts]),
    Memory(&'v [Amounts]),
    Count { bucket_of: &'v [u32], counts: &'v [u32] },
}

impl Score<'_> {
    pub(super) fn of(&self, ordinal: usize) -> u64 {
        match self {
            Self::Random(shuffle) => shuffle.rank_of(ordinal),
            Self::Cpu(amounts) => amounts.get(ordinal).map_or(u64::MAX, |it| u64::from(it.cpu)),
            Self::Memory(amounts) => amounts.get(ordinal).map_or(u64::MAX, |it| u64::from(it.memory)),
            Self::Count { bucket_of, counts } => {
                let bucket = bucket_of.get(ordinal).copied().unwrap_or(MISSING);
                counts
                    .get(bucket as usize)
                    .map_or(u64::MAX, |count| u64::from(*count))
            }
        }
    }
}

/// Which of two instances a chain of strategies prefers; the ordinal is not looked at.
pub(super) fn compare(scores: &[Score<'_>], one: usize, other: usize) -> Ordering {
    let orders = scores.iter().map(|score| score.of(one).cmp(&score.of(other)));
    orders
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
