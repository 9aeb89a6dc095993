//! The rules of placement in their plainest form: look at every instance, keep the best.
//!
//! [`super::Placement`] answers the same, faster; the tests hold the two against each other. Read this to
//! learn what the rules are.

use std::collections::{BTreeMap, BTreeSet};

use super::miss::Miss;
use super::shuffle::Shuffle;
use super::{Misplaced, OccupiedInstance, PlacementSeed, strategies_of};
use crate::hold::{Dimension, Explanation, Filter, HoldReason, NearestMiss};
use crate::id::{ContainerInstanceArn, TaskGroup};
use crate::report::{AgentConnection, InstanceStatus};
use crate::resources::{Room, Shortfall, fits};
use crate::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy};
use crate::snapshot::{InstanceView, Snapshot};
use crate::subnet::{SubnetZones, ZONE_ATTRIBUTE};

/// A series of placements on one snapshot, each seeing the ones before; linear in all it does.
#[derive(Debug)]
pub struct ReferencePlacement<'a> {
    closed: &'a BTreeSet<ContainerInstanceArn>,
    subnet_zones: SubnetZones,
    instances: Vec<Instance<'a>>,
}

#[derive(Debug)]
struct Instance<'a> {
    view: &'a InstanceView,
    room: Room,
    groups: BTreeMap<TaskGroup, u64>,
    placed: Vec<TaskGroup>,
}

enum Misfit {
    Filtered(Filter),
    Short(Shortfall),
}

impl<'a> ReferencePlacement<'a> {
    /// Starts from a snapshot; instances in `closed` are no candidates.
    pub fn new(snapshot: &'a Snapshot, closed: &'a BTreeSet<ContainerInstanceArn>) -> Self {
        let mut subnet_zones = snapshot.subnet_zones().clone();
        let instances = snapshot.instances().iter().map(|view| {
            subnet_zones.learn(&view.attributes);
            let mut groups: BTreeMap<TaskGroup, u64> = BTreeMap::new();
            for group in view.record.task_groups() {
                let count = groups.entry(group.clone()).or_default();
                *count = count.saturating_add(1);
            }
            Instance {
                view,
                room: view.record.room().clone(),
                groups,
                placed: Vec::new(),
            }
        });
        let instances = instances.collect();
        Self {
            closed,
            subnet_zones,
            instances,
        }
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
        let placed = self.place_past(shape, group, seed, &[]);
        placed.map_err(Misplaced::without_bars)
    }

    /// Places one task and takes its room. The instances in `barred`, by their position in the snapshot, are
    /// passed over.
    ///
    /// # Errors
    /// Why it is placed nowhere.
    pub fn place_past(
        &mut self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
        barred: &[usize],
    ) -> Result<ContainerInstanceArn, Misplaced> {
        let mut best: Option<(Vec<u64>, usize)> = None;
        let mut misfits = Vec::new();
        let mut with_room = Vec::new();
        for (ordinal, instance) in self.instances.iter().enumerate() {
            match self.misfit(shape, group, instance) {
                None if barred.contains(&ordinal) => with_room.push(ordinal),
                None => {
                    let score = (self.score(shape, group, seed, ordinal, instance), ordinal);
                    if best.as_ref().is_none_or(|best| score < *best) {
                        best = Some(score);
                    }
                }
                Some(misfit) => misfits.push((instance, misfit)),
            }
        }
        let Some((_, ordinal)) = best else {
            return Err(if with_room.is_empty() {
                Misplaced::Held(reason(shape, &misfits))
            } else {
                Misplaced::Barred(with_room)
            });
        };
        let Some(chosen) = self.instances.get_mut(ordinal) else {
            return Err(Misplaced::Held(HoldReason::NoInstances));
        };
        if let Ok(left) = chosen.room.take(&shape.demand) {
            chosen.room = left;
        }
        let count = chosen.groups.entry(group.clone()).or_default();
        *count = count.saturating_add(1);
        chosen.placed.push(group.clone());
        Ok(chosen.view.record.arn().clone())
    }

    fn misfit(&self, shape: &Shape, group: &TaskGroup, instance: &Instance<'_>) -> Option<Misfit> {
        match self.filter(shape, group, instance) {
            Some(filter) => Some(Misfit::Filtered(filter)),
            None => fits(&shape.demand, &instance.room).err().map(Misfit::Short),
        }
    }

    /// The first filter that the instance does not pass.
    fn filter(&self, shape: &Shape, group: &TaskGroup, instance: &Instance<'_>) -> Option<Filter> {
        let state = instance.view.record.state();
        if state.status != InstanceStatus::Active {
            return Some(Filter::Status(state.status));
        }
        if state.agent != AgentConnection::Connected {
            return Some(Filter::AgentDisconnected);
        }
        if self.closed.contains(instance.view.record.arn()) {
            return Some(Filter::ClosedThisCycle);
        }
        let attributes = &instance.view.attributes;
        let zone = attributes.value(ZONE_ATTRIBUTE);
        let zones = self.subnet_zones.of_all(&shape.subnets);
        if zones.is_some_and(|zones| zone.is_some_and(|zone| !zones.contains(zone))) {
            return Some(Filter::Zone);
        }
        if let Some(missing) = shape
            .required_attributes
            .iter()
            .find(|it| !attributes.satisfies(it))
        {
            return Some(Filter::MissingAttribute(missing.clone()));
        }
        let occupied = OccupiedInstance {
            view: instance.view,
            placed: instance.placed.iter(),
        };
        for constraint in &shape.constraints {
            if let Constraint::MemberOf(expression) = constraint
                && !expression.matches(&occupied)
            {
                return Some(Filter::MemberOf {
                    expression: expression.to_string(),
                });
            }
        }
        let distinct = shape.constraints.contains(&Constraint::DistinctInstance);
        let distinct_group = shape.distinct_group.as_ref().unwrap_or(group);
        (distinct && instance.groups.contains_key(distinct_group)).then_some(Filter::DistinctInstance)
    }

    /// One number for each strategy; the instance with the smallest wins, number by number.
    fn score(
        &self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
        ordinal: usize,
        instance: &Instance<'_>,
    ) -> Vec<u64> {
        let count = |instance: &Instance<'_>| instance.groups.get(group).copied().unwrap_or(0);
        let score = |strategy: &Strategy| match strategy {
            Strategy::Random => Shuffle::new(seed, self.instances.len()).rank_of(ordinal),
            Strategy::Binpack(BinpackField::Cpu) => u64::from(instance.room.cpu.get()),
            Strategy::Binpack(BinpackField::Memory) => u64::from(instance.room.memory.get()),
            Strategy::Spread(SpreadField::InstanceId) => count(instance),
            Strategy::Spread(SpreadField::Attribute(name)) => {
                match instance.view.attributes.get(name) {
                    // Instances without the attribute are one bucket, used last.
                    None => u64::MAX,
                    bucket => {
                        let same = |other: &&Instance<'_>| other.view.attributes.get(name) == bucket;
                        self.instances.iter().filter(same).map(count).sum()
                    }
                }
            }
        };
        strategies_of(shape).iter().map(score).collect()
    }
}

fn reason(shape: &Shape, misfits: &[(&Instance<'_>, Misfit)]) -> HoldReason {
    if misfits.is_empty() {
        return HoldReason::NoInstances;
    }
    let mut filtered: Vec<(Filter, usize)> = Vec::new();
    let mut short: BTreeMap<Dimension, usize> = BTreeMap::new();
    let mut nearest: Option<(Miss, NearestMiss)> = None;
    let mut ever_fits = false;
    for (instance, misfit) in misfits {
        match misfit {
            Misfit::Filtered(filter) => match filtered.iter_mut().find(|(known, _)| known == filter) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => filtered.push((filter.clone(), 1)),
            },
            Misfit::Short(shortfall) => {
                ever_fits = ever_fits || fits(&shape.demand, &instance.view.record.registered_room()).is_ok();
                for dimension in shortfall.dimensions() {
                    let count = short.entry(Dimension::of(dimension)).or_default();
                    *count = count.saturating_add(1);
                }
                let miss = Miss::of(shortfall);
                if nearest.as_ref().is_none_or(|(smallest, _)| miss < *smallest) {
                    let instance = instance.view.record.arn().clone();
                    nearest = Some((
                        miss,
                        NearestMiss {
                            instance,
                            shortfall: shortfall.clone(),
                        },
                    ));
                }
            }
        }
    }
    filtered.sort_by_key(|(filter, _)| position(shape, filter));
    let explanation = Explanation {
        evaluated: misfits.len(),
        filtered,
        short: short.into_iter().collect(),
        nearest: nearest.map(|(_, nearest)| nearest),
        claim: None,
    };
    match explanation.nearest {
        None => HoldReason::NoInstanceMatches(explanation),
        Some(_) if ever_fits => HoldReason::Shortfall(explanation),
        Some(_) => HoldReason::NeverFits(explanation),
    }
}

/// Where a filter stands in the order in which the filters of a shape apply.
fn position(shape: &Shape, filter: &Filter) -> (u8, usize) {
    let attributes = &shape.required_attributes;
    let is_expression = |constraint: &Constraint, text: &String| match constraint {
        Constraint::MemberOf(expression) => expression.to_string() == *text,
        Constraint::DistinctInstance => false,
    };
    match filter {
        Filter::Status(status) => (0, *status as usize),
        Filter::AgentDisconnected => (1, 0),
        Filter::ClosedThisCycle => (2, 0),
        Filter::Zone => (3, 0),
        Filter::MissingAttribute(it) => (4, attributes.iter().position(|other| other == it).unwrap_or(0)),
        Filter::MemberOf { expression } => (
            5,
            shape
                .constraints
                .iter()
                .position(|it| is_expression(it, expression))
                .unwrap_or(0),
        ),
        Filter::DistinctInstance => (6, 0),
    }
}
