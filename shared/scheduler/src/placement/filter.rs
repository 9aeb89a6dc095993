//! Which instances a shape may use, room aside: worked out once per set of rules, kept up to date after.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::OccupiedInstance;
use super::amounts::Amounts;
use super::class::{Classes, LazyClasses};
use super::membership::{Membership, Memberships};
use super::occupancy::{GroupId, Occupancy};
use crate::attributes::RequiredAttribute;
use crate::constraint::expression::{Dependencies, Expression};
use crate::hold::Filter;
use crate::id::{ContainerInstanceArn, SubnetId};
use crate::report::{AgentConnection, InstanceStatus};
use crate::shape::{Constraint, Shape};
use crate::snapshot::Snapshot;
use crate::subnet::{SubnetZones, ZONE_ATTRIBUTE};

/// The first filter that removes an instance: its number in the order of the filters, 0 when none does.
type Verdict = u16;

const PASSES: Verdict = 0;

/// The filters that are the same for every shape. Those of a set of rules are numbered after them.
const COMMON: [Filter; 8] = [
    Filter::Status(InstanceStatus::Registering),
    Filter::Status(InstanceStatus::RegistrationFailed),
    Filter::Status(InstanceStatus::Active),
    Filter::Status(InstanceStatus::Draining),
    Filter::Status(InstanceStatus::Deregistering),
    Filter::Status(InstanceStatus::Inactive),
    Filter::AgentDisconnected,
    Filter::ClosedThisCycle,
];

fn number(position: usize) -> Verdict {
    Verdict::try_from(position.saturating_add(1)).unwrap_or(Verdict::MAX)
}

/// All sets of rules that were asked for.
#[derive(Debug)]
pub(super) struct Filters<'a> {
    snapshot: &'a Snapshot,
    closed: &'a BTreeSet<ContainerInstanceArn>,
    common: Vec<Verdict>,
    /// How many instances each of [`COMMON`] removes, numbered like them.
    removed: Vec<usize>,
    /// How many instances of each class it leaves; worked out when classes are needed for the first time.
    left_of_class: Vec<usize>,
    /// Worked out when a shape has subnets for the first time.
    subnet_zones: Option<SubnetZones>,
    memberships: Memberships,
    rules: Vec<RuleSet>,
    /// Positions of `rules`, in the order of the rules.
    sorted: Vec<usize>,
    last: usize,
}

impl<'a> Filters<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, closed: &'a BTreeSet<ContainerInstanceArn>) -> Self {
        Self {
            snapshot,
            closed,
            common: Vec::new(),
            removed: Vec::new(),
            left_of_class: Vec::new(),
            subnet_zones: None,
            memberships: Memberships::default(),
            rules: Vec::new(),
            sorted: Vec::new(),
            last: 0,
        }
    }

    /// The position of the rules of a shape, brought up to date with the placements made.
    pub(super) fn id(
        &mut self,
        shape: &Shape,
        distinct: Option<GroupId>,
        occupancy: &mut Occupancy<'_>,
        classes: &mut LazyClasses<'_>,
    ) -> usize {
        let known = self
            .rules
            .get(self.last)
            .filter(|rules| rules.compare(shape, distinct).is_eq());
        if known.is_none() {
            let found = self.sorted.binary_search_by(|position| {
                let rules = self.rules.get(*position);
                rules.map_or(Ordering::Less, |rules| rules.compare(shape, distinct))
            });
            self.last = match found {
                Ok(place) => self.sorted.get(place).copied().unwrap_or(0),
                Err(place) => {
                    let rules = self.build(shape, distinct, occupancy, classes);
                    self.sorted.insert(place, self.rules.len());
                    self.rules.push(rules);
                    self.rules.len().saturating_sub(1)
                }
            };
        }
        if let Some(rules) = self.rules.get_mut(self.last) {
            rules.catch_up(occupancy);
        }
        self.last
    }

    pub(super) fn get(&self, id: usize) -> Option<&RuleSet> {
        self.rules.get(id)
    }

    fn build(
        &mut self,
        shape: &Shape,
        distinct: Option<GroupId>,
        occupancy: &mut Occupancy<'_>,
        classes: &mut LazyClasses<'_>,
    ) -> RuleSet {
        if self.common.is_empty() {
            self.common = common_verdicts(self.snapshot, self.closed);
            self.removed = vec![0; COMMON.len().saturating_add(1)];
            self.common
                .iter()
                .for_each(|verdict| count(&mut self.removed, *verdict, 1));
        }
        let taken = distinct.map(|group| {
            let mut taken = vec![false; occupancy.len()];
            for ordinal in occupancy.tasks_of(group) {
                if let Some(taken) = taken.get_mut(*ordinal) {
                    *taken = true;
                }
            }
            (group, taken)
        });
        let mut rules = RuleSet::new(shape, taken);
        let mut by_class = Vec::new();
        if rules.needs_classes() {
            let classes = classes.get();
            let zones = zones_of(&shape.subnets, &mut self.subnet_zones, self.snapshot, classes);
            by_class = rules.judge_classes(zones.as_ref(), classes);
        }
        if rules.is_decided_by_attributes() {
            self.settle(&mut rules, &by_class, classes);
        } else {
            rules.fixed = fixed_verdicts(&self.common, &by_class, classes);
            rules.judge_all(occupancy, &mut self.memberships);
        }
        rules
    }

    /// Finds the membership of rules that attributes alone decide, without a look at every instance when
    /// other rules have let the same classes pass.
    fn settle(&mut self, rules: &mut RuleSet, by_class: &[Verdict], classes: &mut LazyClasses<'_>) {
        for (removed, common) in rules.removed.iter_mut().zip(&self.removed) {
            *removed = *common;
        }
        let mut passing = Vec::new();
        if by_class.iter().any(|verdict| *verdict != PASSES) {
            passing.extend(by_class.iter().map(|verdict| *verdict == PASSES));
            if self.left_of_class.is_empty() {
                self.left_of_class = classes.get().sizes(self.common.iter().map(|it| *it == PASSES));
            }
            for (verdict, left) in by_class.iter().zip(&self.left_of_class) {
                count(&mut rules.removed, *verdict, *left);
            }
        }
        rules.membership = self.memberships.shared(passing, || {
            let verdicts = fixed_verdicts(&self.common, by_class, classes);
            verdicts.iter().map(|verdict| *verdict == PASSES).collect()
        });
    }
}

/// The verdict on every instance, given that on its class; classes without one pass.
fn fixed_verdicts(common: &[Verdict], by_class: &[Verdict], classes: &mut LazyClasses<'_>) -> Vec<Verdict> {
    if by_class.is_empty() {
        return common.to_vec();
    }
    let each = common.iter().zip(classes.get().spread(by_class, PASSES));
    each.map(|(common, own)| if *common == PASSES { own } else { *common })
        .collect()
}

/// Counts instances that a filter removes.
fn count(removed: &mut [usize], verdict: Verdict, instances: usize) {
    if verdict != PASSES
        && let Some(removed) = removed.get_mut(usize::from(verdict))
    {
        *removed = removed.saturating_add(instances);
    }
}

/// The zones that subnets leave open; `None` when that cannot be told.
fn zones_of<'z>(
    subnets: &[SubnetId],
    known: &'z mut Option<SubnetZones>,
    snapshot: &Snapshot,
    classes: &Classes<'_>,
) -> Option<BTreeSet<&'z str>> {
    if subnets.is_empty() {
        return None;
    }
    let known = known.get_or_insert_with(|| {
        let mut zones = snapshot.subnet_zones().clone();
        for example in classes.examples() {
            zones.learn(&example.attributes);
        }
        zones
    });
    known.of_all(subnets)
}

fn common_verdicts(snapshot: &Snapshot, closed: &BTreeSet<ContainerInstanceArn>) -> Vec<Verdict> {
    let verdict = |status: InstanceStatus, agent, is_closed: bool| {
        let filter = match (status, agent) {
            (InstanceStatus::Active, AgentConnection::Connected) if is_closed => Filter::ClosedThisCycle,
            (InstanceStatus::Active, AgentConnection::Connected) => return PASSES,
            (InstanceStatus::Active, AgentConnection::Disconnected) => Filter::AgentDisconnected,
            (status, _) => Filter::Status(status),
        };
        COMMON.iter().position(|it| *it == filter).map_or(PASSES, number)
    };
    let instances = snapshot.instances().iter();
    let verdicts = instances.map(|instance| {
        let state = instance.record.state();
        let is_closed = !closed.is_empty() && closed.contains(&state.instance);
        verdict(state.status, state.agent, is_closed)
    });
    verdicts.collect()
}

/// The rules that shapes share, and what they say of every instance.
#[derive(Debug)]
pub(super) struct RuleSet {
    subnets: Vec<SubnetId>,
    required: Vec<RequiredAttribute>,
    expressions: Vec<Expression>,
    /// The group of `distinctInstance`, and whether each instance has one of its tasks.
    distinct: Option<(GroupId, Vec<bool>)>,
    /// The filters of these rules, numbered after [`COMMON`].
    filters: Vec<Filter>,
    membership: Arc<Membership>,
    /// Of every instance the verdict of what attributes and its state decide; empty when nothing else does.
    fixed: Vec<Verdict>,
    /// The verdict on every instance, when it may change or other things decide it.
    verdicts: Vec<Verdict>,
    removed: Vec<usize>,
    /// How many placements are taken into account.
    seen: usize,
}

impl RuleSet {
    fn new(shape: &Shape, distinct: Option<(GroupId, Vec<bool>)>) -> Self {
        let expressions: Vec<Expression> = expressions(shape).cloned().collect();
        let mut filters = vec![Filter::Zone];
        filters.extend(
            shape
                .required_attributes
                .iter()
                .cloned()
                .map(Filter::MissingAttribute),
        );
        let text = |expression: &Expression| Filter::MemberOf {
            expression: expression.to_string(),
        };
        filters.extend(expressions.iter().map(text));
        filters.push(Filter::DistinctInstance);
        Self {
            subnets: shape.subnets.clone(),
            required: shape.required_attributes.clone(),
            expressions,
            distinct,
            removed: vec![0; COMMON.len().saturating_add(filters.len()).saturating_add(1)],
            filters,
            membership: Arc::default(),
            fixed: Vec::new(),
            verdicts: Vec::new(),
            seen: 0,
        }
    }

    fn compare(&self, shape: &Shape, distinct: Option<GroupId>) -> Ordering {
        let own = self.distinct.as_ref().map(|(group, _)| *group);
        let by_attributes = || self.required.cmp(&shape.required_attributes);
        let by_expressions = || self.expressions.iter().cmp(expressions(shape));
        self.subnets
            .cmp(&shape.subnets)
            .then_with(by_attributes)
            .then_with(by_expressions)
            .then(own.cmp(&distinct))
    }

    fn needs_classes(&self) -> bool {
        let by_attributes = |it: &Expression| it.depends_on() == Dependencies::AttributesOnly;
        !self.subnets.is_empty() || !self.required.is_empty() || self.expressions.iter().any(by_attributes)
    }

    fn is_decided_by_attributes(&self) -> bool {
        let by_attributes = |it: &Expression| it.depends_on() == Dependencies::AttributesOnly;
        self.distinct.is_none() && self.expressions.iter().all(by_attributes)
    }

    fn is_changed_by_placements(&self) -> bool {
        let by_tasks = |it: &Expression| it.depends_on() == Dependencies::RunningTasks;
        self.distinct.is_some() || self.expressions.iter().any(by_tasks)
    }

    fn zone_number(&self) -> Verdict {
        number(COMMON.len())
    }

    fn required_number(&self, position: usize) -> Verdict {
        self.zone_number().saturating_add(number(position))
    }

    fn expression_number(&self, position: usize) -> Verdict {
        self.required_number(self.required.len().saturating_add(position))
    }

    fn distinct_number(&self) -> Verdict {
        self.expression_number(self.expressions.len())
    }

    /// Everything that depends on attributes alone, once per class.
    fn judge_classes(&self, zones: Option<&BTreeSet<&str>>, classes: &mut Classes<'_>) -> Vec<Verdict> {
        let verdict = |attributes: &crate::attributes::AttributeSet| {
            let zone = attributes.value(ZONE_ATTRIBUTE);
            if zones.is_some_and(|zones| zone.is_some_and(|zone| !zones.contains(zone))) {
                return self.zone_number();
            }
            let missing = self
                .required
                .iter()
                .position(|required| !attributes.satisfies(required));
            missing.map_or(PASSES, |position| self.required_number(position))
        };
        let mut verdicts: Vec<Verdict> = classes
            .examples()
            .iter()
            .map(|view| verdict(&view.attributes))
            .collect();
        for (position, expression) in self.expressions.iter().enumerate() {
            if expression.depends_on() != Dependencies::AttributesOnly {
                continue;
            }
            for (verdict, holds) in verdicts.iter_mut().zip(classes.verdicts(expression)) {
                if *verdict == PASSES && !holds {
                    *verdict = self.expression_number(position);
                }
            }
        }
        verdicts
    }

    fn judge_all(&mut self, occupancy: &Occupancy<'_>, memberships: &mut Memberships) {
        self.verdicts = (0..occupancy.len())
            .map(|ordinal| self.judge(ordinal, occupancy))
            .collect();
        let passes = self.verdicts.iter().map(|verdict| *verdict == PASSES);
        self.membership = memberships.own(passes.collect());
        for verdict in &self.verdicts {
            count(&mut self.removed, *verdict, 1);
        }
        self.seen = occupancy.log().len();
    }

    /// The verdict on one instance, as it is now.
    fn judge(&self, ordinal: usize, occupancy: &Occupancy<'_>) -> Verdict {
        let fixed = self.fixed.get(ordinal).copied().unwrap_or(PASSES);
        if fixed != PASSES && fixed <= self.expression_number(0) {
            return fixed;
        }
        let Some(view) = occupancy.view(ordinal) else {
            return fixed;
        };
        for (position, expression) in self.expressions.iter().enumerate() {
            let verdict = self.expression_number(position);
            if fixed == verdict {
                return fixed;
            }
            let holds = match expression.depends_on() {
                Dependencies::AttributesOnly => true,
                Dependencies::InstanceIdentity => expression.matches(view),
                Dependencies::RunningTasks => expression.matches(&OccupiedInstance {
                    view,
                    placed: occupancy.placed_on(ordinal),
                }),
            };
            if !holds {
                return verdict;
            }
        }
        let taken = self.distinct.as_ref().and_then(|(_, taken)| taken.get(ordinal));
        if taken == Some(&true) {
            self.distinct_number()
        } else {
            PASSES
        }
    }

    /// Takes the placements since the last time into account.
    fn catch_up(&mut self, occupancy: &Occupancy<'_>) {
        let log = occupancy.log();
        let since = log.get(self.seen..).unwrap_or(&[]);
        self.seen = log.len();
        if !self.is_changed_by_placements() {
            return;
        }
        for placed in since {
            if let Some((group, taken)) = &mut self.distinct
                && *group == placed.group
                && let Some(taken) = taken.get_mut(placed.ordinal)
            {
                *taken = true;
            }
            let verdict = self.judge(placed.ordinal, occupancy);
            self.set(placed.ordinal, verdict);
        }
    }

    fn set(&mut self, ordinal: usize, verdict: Verdict) {
        let Some(known) = self.verdicts.get_mut(ordinal) else {
            return;
        };
        let before = std::mem::replace(known, verdict);
        if before == verdict {
            return;
        }
        if (before == PASSES) != (verdict == PASSES) {
            // Nobody shares it, so nothing is copied.
            Arc::make_mut(&mut self.membership).set(ordinal, verdict == PASSES);
        }
        if let Some(removed) = self.removed.get_mut(usize::from(before)) {
            *removed = removed.saturating_sub(1);
        }
        count(&mut self.removed, verdict, 1);
    }

    /// Tells apart which instances pass.
    pub(super) fn membership(&self) -> usize {
        self.membership.number()
    }

    /// Whether an instance passes every filter.
    pub(super) fn passes(&self, ordinal: usize) -> bool {
        self.membership.passes(ordinal)
    }

    /// The instances that pass every filter, in rising order.
    pub(super) fn members(&self) -> &[u32] {
        self.membership.members()
    }

    /// What the largest instances that pass have when they are empty; `None` when they are of too many kinds.
    pub(super) fn largest(&self, registered: impl Fn(usize) -> Amounts) -> Option<&[Amounts]> {
        self.membership.largest(registered)
    }

    /// How many instances each filter removed, in the order of the filters.
    pub(super) fn filtered(&self) -> Vec<(Filter, usize)> {
        let filters = COMMON.iter().chain(&self.filters);
        let counted = filters
            .zip(self.removed.iter().skip(1))
            .filter(|(_, count)| **count > 0);
        counted.map(|(filter, count)| (filter.clone(), *count)).collect()
    }
}

fn expressions(shape: &Shape) -> impl Iterator<Item = &Expression> {
    shape
        .constraints
        .iter()
        .filter_map(|constraint| match constraint {
            Constraint::MemberOf(expression) => Some(expression),
            Constraint::DistinctInstance => None,
        })
}
