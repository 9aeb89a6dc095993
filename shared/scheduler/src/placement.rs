//! Where a task goes: filter by status, zones, required attributes, constraints and room, then choose by
//! strategies, in ECS's order.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html>
//!
//! [`reference`](mod@reference) says what the rules are, as plainly as it can. [`Placement`] chooses the same
//! instances and gives the same reasons, and keeps what it worked out for the next decision:
//!
//! - which instances pass a set of rules, once for all shapes that have it; rules over attributes are judged
//!   once per class of instances with equal attributes
//! - the instances in the order of a chain of strategies, in blocks that know their largest free amounts, so
//!   that blocks without room are passed over whole
//!
//! Nothing is worked out before it is needed, because many plans decide about one task only.

mod amounts;
mod bucket;
mod chain;
mod class;
mod column;
mod explain;
mod filter;
mod index;
mod membership;
mod miss;
mod occupancy;
mod opening;
pub mod reference;
mod scan;
mod shuffle;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::constraint::expression::{AttributeLookup, ExpressionSubject};
use crate::hold::HoldReason;
use crate::id::{ContainerInstanceArn, TaskGroup, TaskId};
use crate::resources::{Demand, HostPorts};
use crate::shape::{Constraint, Shape, Strategy};
use crate::snapshot::{InstanceView, Snapshot};

use amounts::Amounts;
use chain::Chains;
use class::LazyClasses;
use column::Columns;
use filter::Filters;
use index::Index;
use occupancy::{GroupId, Occupancy};
use view::View;

pub(crate) use opening::{Opening, Resident, ResidentEnd};

/// The seed of the `random` strategy: the same task always draws the same order of the instances, so that a
/// decision can be replayed.
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
}

/// When an index is worth its making.
#[derive(Clone, Copy, Debug)]
struct IndexPolicy {
    /// A cluster with fewer instances than this is looked at instance by instance.
    instances_min: usize,
    /// This many decisions are made without it; together they cost about as much as the index.
    decisions_before: u32,
    /// Most indexes at a time, to limit memory; decisions beyond look at each instance.
    indexes_max: usize,
}

const INDEX_POLICY: IndexPolicy = IndexPolicy {
    instances_min: 200,
    decisions_before: 8,
    indexes_max: 64,
};

/// What an index is for: the instances that pass the rules, a chain, a group when that decides the order, and
/// ports when there are any.
type IndexKey = (usize, usize, Option<GroupId>, Option<HostPorts>);

/// The slot of each key. Most often the one wanted is the one before.
#[derive(Debug, Default)]
struct Slots {
    positions: BTreeMap<IndexKey, usize>,
    slots: Vec<IndexSlot>,
    last: Option<(IndexKey, usize)>,
}

impl Slots {
    fn of(&mut self, key: IndexKey) -> Option<&mut IndexSlot> {
        if let Some((last, position)) = &self.last
            && *last == key
        {
            return self.slots.get_mut(*position);
        }
        let next = self.slots.len();
        let position = *self.positions.entry(key.clone()).or_insert(next);
        if position == next {
            self.slots.push(IndexSlot::Without(0));
        }
        self.last = Some((key, position));
        self.slots.get_mut(position)
    }
}

/// The state of the index for a key.
#[derive(Debug)]
enum IndexSlot {
    /// So many decisions were made without an index.
    Without(u32),
    /// There is one.
    Built(Index),
    /// None would help.
    OfNoUse,
}

/// Working state of a series of placements on one snapshot: each sees the ones before.
#[derive(Debug)]
pub struct Placement<'a> {
    snapshot: &'a Snapshot,
    policy: IndexPolicy,
    occupancy: Occupancy<'a>,
    classes: LazyClasses<'a>,
    filters: Filters<'a>,
    columns: Columns,
    chains: Chains,
    slots: Slots,
    indexes: usize,
    refused: Option<Refused>,
}

/// The newest refusal: asked again with nothing placed in between, the answer is the same.
#[derive(Debug)]
struct Refused {
    rules: usize,
    demand: Demand,
    placements: usize,
    barred: Vec<usize>,
    misplaced: Misplaced,
}

/// Why a task is placed nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It fits nowhere.
    Held(HoldReason),
    /// It would fit on these instances, by their position in the snapshot, and they are barred to it.
    Barred(Vec<usize>),
}

impl Misplaced {
    /// The reason where no instance was barred.
    fn without_bars(self) -> HoldReason {
        match self {
            Self::Held(reason) => reason,
            Self::Barred(_) => HoldReason::NoInstances,
        }
    }
}

impl<'a> Placement<'a> {
    /// Starts from a snapshot; instances in `closed` are no candidates.
    pub fn new(snapshot: &'a Snapshot, closed: &'a BTreeSet<ContainerInstanceArn>) -> Self {
        Self {
            snapshot,
            policy: INDEX_POLICY,
            occupancy: Occupancy::new(snapshot),
            classes: LazyClasses::new(snapshot),
            filters: Filters::new(snapshot, closed),
            columns: Columns::default(),
            chains: Chains::default(),
            slots: Slots::default(),
            indexes: 0,
            refused: None,
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
        let ordinal = self.place_ordinal(shape, group, seed)?;
        let instance = self.snapshot.instances().get(ordinal);
        instance
            .map(|instance| instance.record.arn().clone())
            .ok_or(HoldReason::NoInstances)
    }

    /// Places one task, takes its room, and gives the position of the instance in the snapshot.
    ///
    /// # Errors
    /// The [`HoldReason`] when it fits nowhere.
    pub fn place_ordinal(
        &mut self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
    ) -> Result<usize, HoldReason> {
        let placed = self.place_past(shape, group, seed, &[]);
        placed.map_err(Misplaced::without_bars)
    }

    /// Places one task as [`Placement::place_ordinal`] does, and passes over the instances in `barred`: a
    /// handful of positions in the snapshot.
    ///
    /// # Errors
    /// Why it is placed nowhere.
    pub fn place_past(
        &mut self,
        shape: &Shape,
        group: &TaskGroup,
        seed: PlacementSeed,
        barred: &[usize],
    ) -> Result<usize, Misplaced> {
        let group = self.occupancy.group(group);
        let rules = self.rules(shape, group);
        if let Some(refused) = &self.refused
            && refused.rules == rules
            && refused.placements == self.occupancy.log().len()
            && refused.demand == shape.demand
            && refused.barred == barred
        {
            return Err(refused.misplaced.clone());
        }
        let Some(ordinal) = self.choose(shape, group, rules, seed, barred) else {
            return Err(self.refuse(&shape.demand, rules, barred));
        };
        self.occupancy
            .put(ordinal, &shape.demand, group, self.columns.all());
        Ok(ordinal)
    }

    fn rules(&mut self, shape: &Shape, group: GroupId) -> usize {
        let distinct = shape
            .constraints
            .contains(&Constraint::DistinctInstance)
            .then(|| {
                let chosen = shape.distinct_group.as_ref();
                chosen.map_or(group, |chosen| self.occupancy.group(chosen))
            });
        self.filters
            .id(shape, distinct, &mut self.occupancy, &mut self.classes)
    }

    fn choose(
        &mut self,
        shape: &Shape,
        group: GroupId,
        rules: usize,
        seed: PlacementSeed,
        barred: &[usize],
    ) -> Option<usize> {
        let chain_id = self.chains.id(shape, &mut self.columns, &mut self.classes);
        let chain = self.chains.get(chain_id)?;
        for id in chain.columns() {
            self.occupancy.count_by(group, id, self.columns.get(id)?);
        }
        let view = View {
            occupancy: &self.occupancy,
            columns: &self.columns,
            rules: self.filters.get(rules)?,
            chain,
            group,
            demand: Amounts::of_demand(&shape.demand),
            ports: &shape.demand.ports,
            seed,
            barred,
        };
        if scan::is_shuffle(chain.steps()) {
            return scan::first_of_shuffle(&view);
        }
        if view.rules.members().len() < self.policy.instances_min {
            return scan::best(&view);
        }
        let key = (
            view.rules.membership(),
            chain_id,
            chain.sorts_by_group().then_some(group),
            (!shape.demand.ports.is_empty()).then(|| shape.demand.ports.clone()),
        );
        let slot = self.slots.of(key)?;
        match slot {
            IndexSlot::OfNoUse => return scan::best(&view),
            IndexSlot::Without(decisions) if *decisions < self.policy.decisions_before => {
                *decisions = decisions.saturating_add(1);
                return scan::best(&view);
            }
            IndexSlot::Without(_) if self.indexes >= self.policy.indexes_max => return scan::best(&view),
            IndexSlot::Without(_) => {
                *slot = Index::build(&view).map_or(IndexSlot::OfNoUse, IndexSlot::Built);
                self.indexes = self.indexes.saturating_add(1);
            }
            IndexSlot::Built(index) => index.catch_up(&view),
        }
        match slot {
            IndexSlot::Built(index) => index.best(&view),
            IndexSlot::Without(_) | IndexSlot::OfNoUse => scan::best(&view),
        }
    }

    fn refuse(&mut self, demand: &Demand, rules: usize, barred: &[usize]) -> Misplaced {
        let Some(rule_set) = self.filters.get(rules) else {
            return Misplaced::Held(HoldReason::NoInstances);
        };
        let has_room = |ordinal: &usize| rule_set.passes(*ordinal) && self.occupancy.fits(*ordinal, demand);
        let mut with_room: Vec<usize> = barred.iter().copied().filter(has_room).collect();
        with_room.sort_unstable();
        with_room.dedup();
        let misplaced = if with_room.is_empty() {
            Misplaced::Held(explain::reason(&self.occupancy, rule_set, demand))
        } else {
            Misplaced::Barred(with_room)
        };
        self.refused = Some(Refused {
            rules,
            demand: demand.clone(),
            placements: self.occupancy.log().len(),
            barred: barred.to_vec(),
            misplaced: misplaced.clone(),
        });
        misplaced
    }
}

/// The strategies of a shape; those of RunTask when it names none.
fn strategies_of(shape: &Shape) -> &[Strategy] {
    if shape.strategies.is_empty() {
        &[Strategy::Random]
    } else {
        &shape.strategies
    }
}

/// An instance together with the tasks that were placed on it since the snapshot.
struct OccupiedInstance<'v, I> {
    view: &'v InstanceView,
    placed: I,
}

impl<'v, I: Iterator<Item = &'v TaskGroup> + Clone> ExpressionSubject for OccupiedInstance<'v, I> {
    fn attribute(&self, name: &str) -> AttributeLookup<'_> {
        self.view.attribute(name)
    }

    fn agent_connected(&self) -> bool {
        self.view.agent_connected()
    }

    fn agent_version(&self) -> Option<&str> {
        self.view.agent_version()
    }

    fn ec2_instance_id(&self) -> Option<&str> {
        self.view.ec2_instance_id()
    }

    fn registered_at_millis(&self) -> Option<i64> {
        self.view.registered_at_millis()
    }

    fn running_tasks_count(&self) -> u32 {
        let placed = u32::try_from(self.placed.clone().count()).unwrap_or(u32::MAX);
        self.view.running_tasks_count().saturating_add(placed)
    }

    fn for_each_task_group(&self, visit: &mut dyn FnMut(&str)) {
        self.view.for_each_task_group(visit);
        for group in self.placed.clone() {
            visit(group.as_str());
        }
    }
}

#[cfg(test)]
mod tests;
