//! The decision of a cycle: which waiting tasks start now, and where.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::hold::HoldReason;
use crate::id::{ContainerInstanceArn, LaneKey, TaskId};
use crate::placement::{Placement, PlacementSeed};
use crate::snapshot::Snapshot;
use crate::waiting::{Lane, LaneTail, Rank};

/// What a cycle may do.
#[derive(Clone, Debug)]
pub struct PlanLimits {
    /// Most admissions in one plan.
    pub admissions_max: usize,
    /// Instances where ECS refused a task in this cycle. Nobody is placed there again until the next cycle,
    /// or a lower-ranked task could take the room that the refused one is about to try again.
    pub closed: BTreeSet<ContainerInstanceArn>,
}

/// One task that starts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The task's place in the order, which also names it.
    pub rank: Rank,
    /// The lane it waits in.
    pub lane: LaneKey,
    /// Where it goes.
    pub instance: ContainerInstanceArn,
}

/// What a cycle decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionPlan {
    /// Who starts, in rank order, each placed with all before it in mind.
    pub admissions: Vec<Admission>,
    /// The lanes that wait on, each with the reason for its first task.
    pub held: Vec<(LaneKey, HoldReason)>,
    /// Whether the plan looked at all that could be admitted.
    pub end: PlanEnd,
}

/// Where planning ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanEnd {
    /// Nothing more can be admitted.
    Complete,
    /// More may be: a lane's loaded heads ran out, or the limit was reached. Carry out this plan, load
    /// again, and plan again.
    MoreToPlan,
}

/// Decides who starts now.
///
/// The heads of all lanes are merged by rank. A lane whose head fits nowhere is skipped whole: its other
/// tasks have the same shape. So a cycle costs as much as there are lanes and admissions, however many wait.
///
/// INVARIANT (NoOvertaking): a task is admitted only when every higher-ranked waiting task was looked at
/// before it and fits nowhere in the room then left. Room only shrinks while a plan is made, so what did not
/// fit then does not fit at the end either; only a constraint about running tasks (`task:group == databases`)
/// can come true through an admission, so lanes with one are looked at again after each. When a lane's loaded
/// heads run out while more wait behind them, planning stops, because the next of them may rank above
/// everything else.
pub fn plan(snapshot: &Snapshot, lanes: &[Lane], limits: &PlanLimits) -> AdmissionPlan {
    let mut plan = AdmissionPlan {
        admissions: Vec::new(),
        held: Vec::new(),
        end: PlanEnd::Complete,
    };
    let under_way = tasks_under_way(snapshot);
    let mut placement = Placement::new(snapshot, &limits.closed);
    let mut held: BTreeMap<&LaneKey, HoldReason> = BTreeMap::new();
    let mut held_by_running_tasks: Vec<Head<'_>> = Vec::new();
    let mut order: BinaryHeap<Reverse<Head<'_>>> = BinaryHeap::with_capacity(lanes.len());
    for lane in lanes {
        order.extend(Head::from(lane, 0).map(Reverse));
    }
    while let Some(Reverse(Head { rank, position, lane })) = order.pop() {
        let Some(task) = lane.heads.get(position) else {
            continue;
        };
        if !under_way.contains(&rank.task()) {
            if plan.admissions.len() >= limits.admissions_max {
                plan.end = PlanEnd::MoreToPlan;
                break;
            }
            let seed = PlacementSeed::of_task(&rank.task());
            match placement.place(&lane.shape, &task.group, seed) {
                Ok(instance) => {
                    held.remove(&lane.key);
                    order.extend(held_by_running_tasks.drain(..).map(Reverse));
                    plan.admissions.push(Admission {
                        rank: rank.clone(),
                        lane: lane.key.clone(),
                        instance,
                    });
                }
                Err(reason) => {
                    held.insert(&lane.key, reason);
                    if lane.shape.depends_on_running_tasks() {
                        held_by_running_tasks.push(Head { rank, position, lane });
                    }
                    continue;
                }
            }
        }
        match Head::from(lane, position.saturating_add(1)) {
            Some(next) => order.push(Reverse(next)),
            None if lane.tail == LaneTail::MoreWaiting => {
                plan.end = PlanEnd::MoreToPlan;
                break;
            }
            None => {}
        }
    }
    plan.held = held
        .into_iter()
        .map(|(lane, reason)| (lane.clone(), reason))
        .collect();
    plan
}

/// Tasks whose launch has no recorded answer yet: their waiting entries are still there, and they must not
/// be admitted a second time.
fn tasks_under_way(snapshot: &Snapshot) -> BTreeSet<TaskId> {
    let instances = snapshot.instances().iter();
    instances
        .flat_map(|it| it.record.pending_attempts())
        .map(|attempt| attempt.task.clone())
        .collect()
}

/// The next task of a lane, ordered by rank.
struct Head<'a> {
    rank: &'a Rank,
    position: usize,
    lane: &'a Lane,
}

impl<'a> Head<'a> {
    fn from(lane: &'a Lane, position: usize) -> Option<Self> {
        let task = lane.heads.get(position)?;
        Some(Self {
            rank: &task.rank,
            position,
            lane,
        })
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(other.rank)
    }
}

#[cfg(test)]
mod tests;
