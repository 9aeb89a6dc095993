//! Which instances are set aside, and for whom.
//!
//! Claims are handed out anew in every plan, in rank order: a claim belongs to the rank and not to whoever got
//! it first. Kept until its holder started, a low-ranked flood would always hold them all. Each is on an
//! instance of its own, on the one that is projected to have room soonest; a task that held a claim in the
//! plan before keeps its instance while it is among the first, because that instance has been kept free
//! already.

use std::collections::{BTreeMap, VecDeque};

use super::PlanOptions;
use super::order::Head;
use crate::hold::Claim;
use crate::id::{ContainerInstanceArn, LaneKey};
use crate::placement::{Opening, Placement, Resident, ResidentEnd};
use crate::policy::WaitingPolicy;
use crate::resources::Demand;
use crate::run_time::{RunOutlook, RunTimes};
use crate::snapshot::Snapshot;
use crate::timestamp::Timestamp;
use crate::waiting::{Lane, Rank, WaitingTask};

/// A claim with what it is compared by.
struct Held<'p> {
    rank: &'p Rank,
    lane: &'p LaneKey,
    ordinal: usize,
    claim: Claim,
}

/// The claims of a plan.
pub(super) struct Claims<'p> {
    snapshot: &'p Snapshot,
    run_times: &'p RunTimes,
    now: Timestamp,
    claims_max: usize,
    held: Vec<Held<'p>>,
    /// What is left of the instances that each lane had before, by position in the snapshot.
    before: BTreeMap<&'p LaneKey, VecDeque<usize>>,
    /// Positions by ARN, once somebody has asked.
    ordinals: BTreeMap<&'p ContainerInstanceArn, usize>,
    /// Our tasks on each instance that was looked at.
    residents: BTreeMap<usize, Vec<Resident<'p>>>,
    /// What the plan has placed so far.
    placed: Vec<(usize, Resident<'p>)>,
}

impl<'p> Claims<'p> {
    pub(super) fn new(snapshot: &'p Snapshot, options: &PlanOptions<'p>) -> Self {
        let claims_max = match options.policy {
            WaitingPolicy::Reserve(limit) => {
                let instances = snapshot.instances().iter();
                limit.claims_max(instances.filter(|it| it.record.is_candidate()).count())
            }
            WaitingPolicy::Strict | WaitingPolicy::Fill => 0,
        };
        Self {
            snapshot,
            run_times: options.run_times,
            now: options.now,
            claims_max,
            held: Vec::new(),
            before: BTreeMap::new(),
            ordinals: BTreeMap::new(),
            residents: BTreeMap::new(),
            placed: Vec::new(),
        }
    }

    /// The instances that are barred to a task, by position in the snapshot: those set aside for a higher
    /// rank, unless the task declares to end before the other one is projected to start.
    pub(super) fn barred_to(&self, task: &WaitingTask) -> Vec<usize> {
        let outranks = |held: &&Held<'_>| *held.rank < task.rank;
        let end = task.outlook.declared().map(|declared| declared.after(self.now));
        let ends_before = |held: &Held<'_>| {
            let start = held.claim.projected_start;
            end.is_some_and(|end| start.is_some_and(|start| end <= start))
        };
        let held = self.held.iter().filter(outranks);
        held.filter(|held| !ends_before(held))
            .map(|held| held.ordinal)
            .collect()
    }

    /// Whether more can be handed out.
    pub(super) fn are_left(&self) -> bool {
        self.held.len() < self.claims_max
    }

    /// Takes a placement into account.
    pub(super) fn placed(&mut self, head: &Head<'p>, ordinal: usize) {
        if self.claims_max == 0 {
            return;
        }
        // What was set aside for the lane has served its purpose; the next of the lane has another.
        if let Some(before) = self.before_of(head.lane) {
            before.retain(|kept| *kept != ordinal);
        }
        let resident = Resident {
            end: self.end_of(&head.task.outlook, self.now),
            demand: &head.lane.shape.demand,
        };
        self.placed.push((ordinal, resident));
        self.residents.remove(&ordinal);
    }

    /// Sets an instance aside for a task, if there is one that it could use and that nobody has yet.
    pub(super) fn hand_out(&mut self, head: &Head<'p>, placement: &mut Placement<'_>) -> Option<&Claim> {
        let known = self.held.iter().position(|held| held.rank == head.rank);
        let position = match known {
            Some(position) => position,
            None if !self.are_left() => return None,
            None => {
                let (ordinal, opening) = self
                    .kept_instance(head, placement)
                    .or_else(|| self.best_instance(head, placement))?;
                let claim = Claim {
                    task: head.rank.task(),
                    instance: self.snapshot.instances().get(ordinal)?.record.arn().clone(),
                    projected_start: opening.projected(),
                };
                self.held.push(Held {
                    rank: head.rank,
                    lane: &head.lane.key,
                    ordinal,
                    claim,
                });
                self.held.len().saturating_sub(1)
            }
        };
        self.held.get(position).map(|held| &held.claim)
    }

    fn is_claimed(&self, ordinal: usize) -> bool {
        self.held.iter().any(|held| held.ordinal == ordinal)
    }

    /// The instance that the lane's task at this place had before.
    fn kept_instance(&mut self, head: &Head<'p>, placement: &mut Placement<'_>) -> Option<(usize, Opening)> {
        loop {
            let ordinal = self.before_of(head.lane)?.pop_front()?;
            if !self.is_claimed(ordinal) && placement.could_use(&head.lane.shape, &head.task.group, ordinal) {
                let opening = self.opening(ordinal, &head.lane.shape.demand, placement);
                return Some((ordinal, opening));
            }
        }
    }

    fn best_instance(&mut self, head: &Head<'p>, placement: &mut Placement<'_>) -> Option<(usize, Opening)> {
        let shape = &head.lane.shape;
        let mut best: Option<(Opening, usize)> = None;
        for ordinal in placement.usable_when_empty(shape, &head.task.group) {
            if self.is_claimed(ordinal) {
                continue;
            }
            let candidate = (self.opening(ordinal, &shape.demand, placement), ordinal);
            if best.is_none_or(|best| candidate < best) {
                best = Some(candidate);
            }
        }
        best.map(|(opening, ordinal)| (ordinal, opening))
    }

    fn opening(&mut self, ordinal: usize, demand: &Demand, placement: &Placement<'_>) -> Opening {
        if !self.residents.contains_key(&ordinal) {
            let residents = self.read_residents(ordinal);
            self.residents.insert(ordinal, residents);
        }
        let residents = self.residents.get(&ordinal).map_or(&[][..], Vec::as_slice);
        placement.opening(ordinal, residents, demand)
    }

    fn read_residents(&self, ordinal: usize) -> Vec<Resident<'p>> {
        let Some(instance) = self.snapshot.instances().get(ordinal) else {
            return Vec::new();
        };
        let reservations = instance.record.state().reservations.values();
        let running = reservations.map(|reservation| Resident {
            end: match reservation.started_at() {
                // What is stopping ends now, as far as that can be said.
                _ if reservation.is_stopping() => ResidentEnd::At(self.now),
                started => self.end_of(&reservation.outlook, started.unwrap_or(self.now)),
            },
            demand: &reservation.demand,
        });
        let placed = self.placed.iter().filter(|(on, _)| *on == ordinal);
        let mut residents: Vec<Resident<'p>> = running
            .chain(placed.map(|(_, resident)| resident.clone()))
            .collect();
        residents.sort_by_key(|resident| resident.end);
        residents
    }

    fn end_of(&self, outlook: &RunOutlook, started: Timestamp) -> ResidentEnd {
        match outlook.projected_end(started, self.now, self.run_times) {
            Some(end) => ResidentEnd::At(end),
            None => ResidentEnd::Unknown { started },
        }
    }

    /// What is left of the instances that a lane had before.
    fn before_of(&mut self, lane: &'p Lane) -> Option<&mut VecDeque<usize>> {
        if lane.claims.is_empty() {
            return None;
        }
        if self.ordinals.is_empty() {
            let instances = self.snapshot.instances().iter().enumerate();
            self.ordinals = instances
                .map(|(ordinal, it)| (it.record.arn(), ordinal))
                .collect();
        }
        let ordinals = &self.ordinals;
        let before = self.before.entry(&lane.key).or_insert_with(|| {
            let known = lane.claims.iter().filter_map(|arn| ordinals.get(arn));
            known.copied().collect()
        });
        Some(before)
    }

    /// The claims on these instances.
    pub(super) fn on(&self, ordinals: &[usize]) -> Vec<Claim> {
        let held = |ordinal: &usize| self.held.iter().find(|held| held.ordinal == *ordinal);
        let held = ordinals.iter().filter_map(held);
        held.map(|held| held.claim.clone()).collect()
    }

    /// All claims with their lanes, in the order in which they were handed out.
    pub(super) fn finish(self) -> Vec<(LaneKey, Claim)> {
        let held = self.held.into_iter();
        held.map(|held| (held.lane.clone(), held.claim)).collect()
    }
}
