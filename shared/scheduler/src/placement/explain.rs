//! The whole reason why a task fits nowhere.

use super::amounts::Amounts;
use super::filter::RuleSet;
use super::miss::{Miss, Yardstick};
use super::occupancy::Occupancy;
use crate::hold::{Dimension, Explanation, HoldReason, NearestMiss};
use crate::resources::{Demand, Shortfall, fits};
use crate::snapshot::InstanceView;

/// Why `demand` fits nowhere.
pub(super) fn reason(occupancy: &Occupancy<'_>, rules: &RuleSet, demand: &Demand) -> HoldReason {
    if occupancy.len() == 0 {
        return HoldReason::NoInstances;
    }
    let misses = if demand.ports.is_empty() {
        Misses::of_amounts(occupancy, rules, demand)
    } else {
        Misses::of_all(occupancy, rules, demand)
    };
    let explanation = Explanation {
        evaluated: occupancy.len(),
        filtered: rules.filtered(),
        short: misses.short(),
        nearest: misses
            .nearest
            .and_then(|(_, ordinal)| nearest_miss(occupancy, demand, ordinal)),
        claim: None,
    };
    if explanation.nearest.is_none() {
        return HoldReason::NoInstanceMatches(explanation);
    }
    if ever_fits(occupancy, rules, demand) {
        HoldReason::Shortfall(explanation)
    } else {
        HoldReason::NeverFits(explanation)
    }
}

/// What the instances that pass the rules are short of.
#[derive(Default)]
struct Misses {
    /// How many are short of each dimension.
    counts: [usize; 5],
    nearest: Option<(Miss, usize)>,
}

const DIMENSIONS: [Dimension; 5] = [
    Dimension::Cpu,
    Dimension::Memory,
    Dimension::Gpu,
    Dimension::Eni,
    Dimension::Ports,
];

impl Misses {
    fn of_amounts(occupancy: &Occupancy<'_>, rules: &RuleSet, demand: &Demand) -> Self {
        let needed = Amounts::of_demand(demand);
        // Most tasks need cpu and memory only, and many lanes wait on a full cluster.
        if needed.gpu == 0 && needed.eni == 0 {
            Self::measured(Yardstick::<2>::new(needed), occupancy, rules)
        } else {
            Self::measured(Yardstick::<4>::new(needed), occupancy, rules)
        }
    }

    fn measured<const N: usize>(yardstick: Yardstick<N>, occupancy: &Occupancy<'_>, rules: &RuleSet) -> Self {
        let amounts = occupancy.all_amounts();
        let members = rules.members();
        let mut short = [0_u32; N];
        let mut measure = |nearest: Option<(Miss, usize)>, ordinal: usize, room: &Amounts| {
            let miss = yardstick.measure(*room, &mut short);
            match nearest {
                Some((smallest, _)) if smallest <= miss => nearest,
                _ => Some((miss, ordinal)),
            }
        };
        let mut nearest = None;
        if members.len() == amounts.len() {
            for (ordinal, room) in amounts.iter().enumerate() {
                nearest = measure(nearest, ordinal, room);
            }
        } else {
            for ordinal in members.iter().map(|ordinal| *ordinal as usize) {
                let Some(room) = amounts.get(ordinal) else {
                    continue;
                };
                nearest = measure(nearest, ordinal, room);
            }
        }
        let mut misses = Self {
            nearest,
            ..Self::default()
        };
        for (count, short) in misses.counts.iter_mut().zip(short) {
            *count = short as usize;
        }
        misses
    }

    fn of_all(occupancy: &Occupancy<'_>, rules: &RuleSet, demand: &Demand) -> Self {
        let mut misses = Self::default();
        for ordinal in rules.members().iter().map(|ordinal| *ordinal as usize) {
            let Some(shortfall) = shortfall(occupancy, demand, ordinal) else {
                continue;
            };
            for dimension in shortfall.dimensions() {
                let dimension = Dimension::of(dimension);
                let counts = DIMENSIONS.iter().zip(&mut misses.counts);
                for (_, count) in counts.filter(|(it, _)| **it == dimension) {
                    *count = count.saturating_add(1);
                }
            }
            misses.keep_nearest(Miss::of(&shortfall), ordinal);
        }
        misses
    }

    fn keep_nearest(&mut self, miss: Miss, ordinal: usize) {
        if self.nearest.is_none_or(|(smallest, _)| miss < smallest) {
            self.nearest = Some((miss, ordinal));
        }
    }

    fn short(&self) -> Vec<(Dimension, usize)> {
        DIMENSIONS
            .into_iter()
            .zip(self.counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn shortfall(occupancy: &Occupancy<'_>, demand: &Demand, ordinal: usize) -> Option<Shortfall> {
    let ports_taken = occupancy.ports_taken(ordinal).cloned().unwrap_or_default();
    fits(demand, &occupancy.amounts(ordinal).to_room(ports_taken)).err()
}

fn nearest_miss(occupancy: &Occupancy<'_>, demand: &Demand, ordinal: usize) -> Option<NearestMiss> {
    let instance = occupancy.view(ordinal)?.record.arn().clone();
    Some(NearestMiss {
        instance,
        shortfall: shortfall(occupancy, demand, ordinal)?,
    })
}

/// Whether the task would fit on one of the instances if that were empty.
fn ever_fits(occupancy: &Occupancy<'_>, rules: &RuleSet, demand: &Demand) -> bool {
    let view = |ordinal: usize| occupancy.view(ordinal);
    if demand.ports.is_empty() {
        let needed = Amounts::of_demand(demand);
        let registered = |ordinal| view(ordinal).map_or(Amounts::default(), |it| registered(&it.record));
        if let Some(largest) = rules.largest(registered) {
            return largest.iter().any(|amounts| amounts.cover(needed));
        }
        let mut members = rules.members().iter();
        return members.any(|ordinal| registered(*ordinal as usize).cover(needed));
    }
    let mut instances = rules.members().iter().filter_map(|it| view(*it as usize));
    instances.any(|instance| fits(demand, &instance.record.registered_room()).is_ok())
}

/// Whether a demand would fit on an instance if that were empty.
pub(super) fn fits_when_empty(instance: &InstanceView, demand: &Demand) -> bool {
    if demand.ports.is_empty() {
        return registered(&instance.record).cover(Amounts::of_demand(demand));
    }
    fits(demand, &instance.record.registered_room()).is_ok()
}

fn registered(record: &crate::instance::InstanceRecord) -> Amounts {
    let state = record.state();
    Amounts::registered(&state.registered, state.eni_limit)
}
