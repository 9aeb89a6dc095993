//! When an instance will have room for a task that fits nowhere now.

use super::Placement;
use super::amounts::Amounts;
use super::explain::fits_when_empty;
use crate::id::TaskGroup;
use crate::resources::{Demand, HostPorts};
use crate::shape::Shape;
use crate::timestamp::Timestamp;

/// A task of ours on an instance, with when it will give back its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resident<'a> {
    pub(crate) end: ResidentEnd,
    pub(crate) demand: &'a Demand,
}

/// When a task ends, as far as that is known. Tasks whose end is not known are taken to end after those with
/// a known one, in the order in which they started, as they would if all ran equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ResidentEnd {
    /// At this moment.
    At(Timestamp),
    /// Not known; it started then.
    Unknown { started: Timestamp },
}

/// When an instance has room for a demand. The smallest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Opening {
    /// When the task with this end, and all before it, have ended.
    When(ResidentEnd),
    /// Not even when all our tasks there have ended: others must give back so many parts in 2^16 of what is
    /// needed, added up over the dimensions.
    NeedsOthers(u64),
}

impl Opening {
    /// The moment, when it is known.
    pub(crate) fn projected(self) -> Option<Timestamp> {
        match self {
            Self::When(ResidentEnd::At(end)) => Some(end),
            Self::When(ResidentEnd::Unknown { .. }) | Self::NeedsOthers(_) => None,
        }
    }
}

impl Placement<'_> {
    /// Whether a task of this shape could use an instance if that were empty.
    pub(crate) fn could_use(&mut self, shape: &Shape, group: &TaskGroup, ordinal: usize) -> bool {
        let group = self.occupancy.group(group);
        let rules = self.rules(shape, group);
        let passes = self.filters.get(rules).is_some_and(|rules| rules.passes(ordinal));
        passes
            && self
                .occupancy
                .view(ordinal)
                .is_some_and(|instance| fits_when_empty(instance, &shape.demand))
    }

    /// The instances that a task of this shape could use if they were empty, in rising order.
    pub(crate) fn usable_when_empty(&mut self, shape: &Shape, group: &TaskGroup) -> Vec<usize> {
        let group = self.occupancy.group(group);
        let rules = self.rules(shape, group);
        let members = self.filters.get(rules).map_or(&[][..], |rules| rules.members());
        let members = members.iter().map(|ordinal| *ordinal as usize);
        let large_enough = |ordinal: &usize| {
            let instance = self.occupancy.view(*ordinal);
            instance.is_some_and(|instance| fits_when_empty(instance, &shape.demand))
        };
        members.filter(large_enough).collect()
    }

    /// When an instance has room for a demand. `residents` are our tasks there, those that end first first.
    pub(crate) fn opening(&self, ordinal: usize, residents: &[Resident<'_>], demand: &Demand) -> Opening {
        let needed = Amounts::of_demand(demand);
        let mut free = self.occupancy.amounts(ordinal);
        let mut ports = PortsToClear::new(&demand.ports, self.occupancy.ports_taken(ordinal), residents);
        for resident in residents {
            free = free.and(Amounts::of_demand(resident.demand));
            ports.clear(&demand.ports, &resident.demand.ports);
            if free.cover(needed) && ports.all_clear() {
                return Opening::When(resident.end);
            }
        }
        Opening::NeedsOthers(needed.shares_missing(free))
    }
}

/// The ports that a task needs and that are taken.
struct PortsToClear {
    /// How often tasks of ours have one of them.
    by_ours: usize,
    /// Whether somebody else has one of them.
    by_others: bool,
}

impl PortsToClear {
    fn new(needed: &HostPorts, taken: Option<&HostPorts>, residents: &[Resident<'_>]) -> Self {
        let mut clear = Self {
            by_ours: 0,
            by_others: false,
        };
        if needed.is_empty() {
            return clear;
        }
        let mut ours = HostPorts::NONE;
        for resident in residents {
            let common = needed.intersection(&resident.demand.ports);
            clear.by_ours = clear.by_ours.saturating_add(common.len());
            ours.insert_all(&common);
        }
        let in_the_way = taken.map_or(0, |taken| needed.intersection(taken).len());
        clear.by_others = in_the_way > ours.len();
        clear
    }

    fn clear(&mut self, needed: &HostPorts, given_back: &HostPorts) {
        if self.by_ours > 0 {
            let common = needed.intersection(given_back).len();
            self.by_ours = self.by_ours.saturating_sub(common);
        }
    }

    fn all_clear(&self) -> bool {
        self.by_ours == 0 && !self.by_others
    }
}
