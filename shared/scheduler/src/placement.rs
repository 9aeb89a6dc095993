//! Where a task goes: filter by constraints and room, then choose by strategies, in ECS's order.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html>

use std::collections::{BTreeMap, BTreeSet};

use crate::hold::{Dimension, Explanation, Filter, HoldReason, NearestMiss};
use crate::id::{ContainerInstanceArn, TaskGroup, TaskId};
use crate::resources::{Room, ShortDimension, Shortfall, fits};
use crate::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy};
use crate::snapshot::{InstanceView, Snapshot};

/// The seed of the `random` strategy: the same task always draws the same numbers, so that a decision can be
/// replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacementSeed(u64);

impl PlacementSeed {
    /// A seed of the caller's choice.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed that belongs to a task.
    pub fn of_task(task: &TaskId) -> Self {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(task.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// A number for an instance (splitmix64 of both).
    fn draw(self, ordinal: usize) -> u64 {
        let mut z = self.0.wrapping_add((ordinal as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Working state of a series of placements on one snapshot: each sees the ones before.
#[derive(Debug)]
pub struct Placement<'a> {
    snapshot: &'a Snapshot,
    closed: &'a BTreeSet<ContainerInstanceArn>,
    rooms: Vec<Room>,
    groups: Vec<BTreeMap<TaskGroup, u32>>,
}

impl<'a> Placement<'a> {
    /// Starts from a snapshot; instances in `closed` are no candidates.
    pub fn new(snapshot: &'a Snapshot, closed: &'a BTreeSet<ContainerInstanceArn>) -> Self {
        let instances = snapshot.instances();
        let groups = instances.iter().map(|instance| {
            let mut counts = BTreeMap::new();
            for group in instance.record.task_groups() {
                let count: &mut u32 = counts.entry(group.clone()).or_default();
                *count = count.saturating_add(1);
            }
            counts
        });
        let rooms = instances.iter().map(|instance| instance.record.room().clone()).collect();
        Self { snapshot, closed, groups: groups.collect(), rooms }
    }

    /// Places one task and takes its room.
    ///
    /// # Errors
    /// The [`HoldReason`] when it fits nowhere.
    pub fn place(
        &mut self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
    ) -> Result<ContainerInstanceArn, HoldReason> {
        let mut best: Option<(Vec<u64>, usize)> = None;
        let mut misfits = Vec::new();
        for (ordinal, instance) in self.snapshot.instances().iter().enumerate() {
            match self.misfit(shape, ordinal, instance) {
                None => {
                    let score = (self.score(shape, group, seed, ordinal, instance), ordinal);
                    if best.as_ref().is_none_or(|best| score < *best) {
                        best = Some(score);
                    }
                }
                Some(misfit) => misfits.push((instance, misfit)),
            }
        }
        let Some((_, ordinal)) = best else { return Err(reason(shape, &misfits)) };
        if let (Some(room), Some(groups)) = (self.rooms.get_mut(ordinal), self.groups.get_mut(ordinal)) {
            if let Ok(left) = room.take(&shape.demand) {
                *room = left;
            }
            let count = groups.entry(group.clone()).or_default();
            *count = count.saturating_add(1);
        }
        self.snapshot
            .instances()
            .get(ordinal)
            .map(|instance| instance.record.arn().clone())
            .ok_or(HoldReason::NoInstances)
    }

    fn misfit(&self, shape: &Shape, ordinal: usize, instance: &InstanceView) -> Option<Misfit> {
        if let Some(filter) = self.filter(shape, ordinal, instance) {
            return Some(Misfit::Filtered(filter));
        }
        let room = self.rooms.get(ordinal)?;
        fits(&shape.demand, room).err().map(Misfit::Short)
    }

    fn filter(&self, shape: &Shape, ordinal: usize, instance: &InstanceView) -> Option<Filter> {
        let record = instance.record.state();
        if !instance.record.is_candidate() {
            return Some(match record.agent {
                crate::report::AgentConnection::Disconnected
                    if record.status == crate::report::InstanceStatus::Active =>
                {
                    Filter::AgentDisconnected
                }
                _ => Filter::Status(record.status),
            });
        }
        if self.closed.contains(instance.record.arn()) {
            return Some(Filter::ClosedThisCycle);
        }
        if let Some(missing) = shape.required_attributes.iter().find(|it| !instance.attributes.satisfies(it)) {
            return Some(Filter::MissingAttribute(missing.clone()));
        }
        shape.constraints.iter().find_map(|constraint| match constraint {
            Constraint::MemberOf(expression) if !expression.matches(instance) => {
                Some(Filter::MemberOf { expression: expression.to_string() })
            }
            Constraint::DistinctInstance => {
                let group = shape.distinct_group.as_ref()?;
                self.groups.get(ordinal)?.contains_key(group).then_some(Filter::DistinctInstance)
            }
            Constraint::MemberOf(_) => None,
        })
    }

    fn score(
        &self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
        ordinal: usize,
        instance: &InstanceView,
    ) -> Vec<u64> {
        let room = self.rooms.get(ordinal).cloned().unwrap_or(Room::NONE);
        let random = [Strategy::Random];
        let strategies: &[Strategy] =
            if shape.strategies.is_empty() { &random } else { &shape.strategies };
        let score = |strategy: &Strategy| match strategy {
            Strategy::Random => seed.draw(ordinal),
            Strategy::Binpack(BinpackField::Cpu) => u64::from(room.cpu.get()),
            Strategy::Binpack(BinpackField::Memory) => u64::from(room.memory.get()),
            Strategy::Spread(SpreadField::InstanceId) => self.count(ordinal, group),
            Strategy::Spread(SpreadField::Attribute(name)) => {
                let bucket = instance.attributes.get(name);
                let same = |other: &InstanceView| other.attributes.get(name) == bucket;
                let instances = self.snapshot.instances().iter().enumerate();
                instances.filter(|(_, it)| same(it)).map(|(at, _)| self.count(at, group)).sum()
            }
        };
        strategies.iter().map(score).collect()
    }

    fn count(&self, ordinal: usize, group: &TaskGroup) -> u64 {
        let count = self.groups.get(ordinal).and_then(|groups| groups.get(group));
        count.copied().map_or(0, u64::from)
    }
}

enum Misfit {
    Filtered(Filter),
    Short(Shortfall),
}

fn reason(shape: &Shape, misfits: &[(&InstanceView, Misfit)]) -> HoldReason {
    if misfits.is_empty() {
        return HoldReason::NoInstances;
    }
    let mut filtered: BTreeMap<Filter, usize> = BTreeMap::new();
    let mut short: BTreeMap<Dimension, usize> = BTreeMap::new();
    let mut nearest: Option<NearestMiss> = None;
    let mut ever_fits = false;
    for (instance, misfit) in misfits {
        match misfit {
            Misfit::Filtered(filter) => {
                let count = filtered.entry(filter.clone()).or_default();
                *count = count.saturating_add(1);
            }
            Misfit::Short(shortfall) => {
                ever_fits = ever_fits || fits(&shape.demand, &instance.record.registered_room()).is_ok();
                for dimension in shortfall.dimensions() {
                    let count = short.entry(dimension_of(dimension)).or_default();
                    *count = count.saturating_add(1);
                }
                if nearest.as_ref().is_none_or(|nearest| *shortfall < nearest.shortfall) {
                    let instance = instance.record.arn().clone();
                    nearest = Some(NearestMiss { instance, shortfall: shortfall.clone() });
                }
            }
        }
    }
    let explanation = Explanation {
        evaluated: misfits.len(),
        filtered: filtered.into_iter().collect(),
        short: short.into_iter().collect(),
        nearest,
    };
    match explanation.nearest {
        None => HoldReason::NoInstanceMatches(explanation),
        Some(_) if ever_fits => HoldReason::Shortfall(explanation),
        Some(_) => HoldReason::NeverFits(explanation),
    }
}

fn dimension_of(short: &ShortDimension) -> Dimension {
    match short {
        ShortDimension::Cpu { .. } => Dimension::Cpu,
        ShortDimension::Memory { .. } => Dimension::Memory,
        ShortDimension::Gpu { .. } => Dimension::Gpu,
        ShortDimension::Eni { .. } => Dimension::Eni,
        ShortDimension::Ports { .. } | ShortDimension::PortLimit { .. } => Dimension::Ports,
    }
}
