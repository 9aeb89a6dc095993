//! The decision of a cycle: which waiting tasks start now, and where.

mod claims;
mod order;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::hold::{Claim, HoldReason};
use crate::id::{ContainerInstanceArn, LaneKey, TaskId};
use crate::placement::{Misplaced, Placement, PlacementSeed};
use crate::policy::WaitingPolicy;
use crate::run_time::RunTimes;
use crate::snapshot::Snapshot;
use crate::timestamp::Timestamp;
use crate::waiting::{Lane, LaneTail, Rank};

use claims::Claims;
use order::{Head, Standing};

/// What a plan depends on, the cluster and the waiting list aside.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions<'a> {
    /// Most admissions in one plan.
    pub admissions_max: usize,
    /// Instances where ECS refused a task in this cycle. Nobody is placed there again until the next cycle,
    /// or a lower-ranked task could take the room that the refused one is about to try again.
    pub closed: &'a BTreeSet<ContainerInstanceArn>,
    /// What becomes of those behind a task that fits nowhere.
    pub policy: WaitingPolicy,
    /// The time.
    pub now: Timestamp,
    /// How long tasks have run, as far as that was learnt. Without it only declared run times count.
    pub run_times: &'a RunTimes,
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
    /// The instances that are set aside, each with the lane of its task; those of a lane in the order of its
    /// tasks.
    pub claims: Vec<(LaneKey, Claim)>,
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
/// before it and cannot use the room that it takes. Room only shrinks while a plan is made, so what did not
/// fit then does not fit at the end either; only a constraint about running tasks (`task:group == databases`)
/// can come true through an admission, so lanes with one are looked at again after each. When a lane's loaded
/// heads run out while more wait behind them, planning stops, because the next of them may rank above
/// everything else.
///
/// Under [`WaitingPolicy::Reserve`] the first tasks that wait for room have an instance each set aside for
/// them. It is barred to lower ranks and never to higher ones: those are looked at before it is handed out,
/// or again with only the claims above them in mind. A task that declares to end before the projected start
/// may use the instance all the same, and it alone may pass a higher-ranked one that does not declare it.
pub fn plan<'a>(
    snapshot: &'a Snapshot,
    lanes: impl IntoIterator<Item = &'a Lane>,
    options: &PlanOptions<'a>,
) -> AdmissionPlan {
    let heads = lanes.into_iter().filter_map(Head::first);
    let mut planner = Planner {
        options: *options,
        snapshot,
        under_way: tasks_under_way(snapshot),
        placement: Placement::new(snapshot, options.closed),
        claims: Claims::new(snapshot, options),
        order: heads.map(Reverse).collect(),
        admissions: Vec::new(),
        held: BTreeMap::new(),
        held_by_running_tasks: Vec::new(),
    };
    let end = planner.run();
    let held = planner.held.into_iter();
    AdmissionPlan {
        admissions: planner.admissions,
        held: held.map(|(lane, reason)| (lane.clone(), reason)).collect(),
        claims: planner.claims.finish(),
        end,
    }
}

/// A plan in the making.
struct Planner<'p> {
    options: PlanOptions<'p>,
    snapshot: &'p Snapshot,
    under_way: BTreeSet<TaskId>,
    placement: Placement<'p>,
    claims: Claims<'p>,
    /// Who is to be looked at.
    order: BinaryHeap<Reverse<Head<'p>>>,
    admissions: Vec<Admission>,
    /// Why each lane waits, by the first of its tasks that does.
    held: BTreeMap<&'p LaneKey, HoldReason>,
    held_by_running_tasks: Vec<Head<'p>>,
}

/// Whom a held task holds up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HoldsUp {
    ItsLane,
    Everybody,
}

impl<'p> Planner<'p> {
    fn run(&mut self) -> PlanEnd {
        while let Some(Reverse(head)) = self.order.pop() {
            if !self.is_under_way(head.rank) {
                if self.admissions.len() >= self.options.admissions_max {
                    return PlanEnd::MoreToPlan;
                }
                match self.place(&head) {
                    Ok(ordinal) => self.admit(&head, ordinal),
                    Err(misplaced) => match self.hold(head, misplaced) {
                        HoldsUp::ItsLane => continue,
                        HoldsUp::Everybody => {
                            self.hold_the_rest(head.rank);
                            return PlanEnd::Complete;
                        }
                    },
                }
            }
            match head.next(head.standing) {
                Some(next) => self.order.push(Reverse(next)),
                None if head.standing == Standing::Front && head.lane.tail == LaneTail::MoreWaiting => {
                    return PlanEnd::MoreToPlan;
                }
                None => {}
            }
        }
        PlanEnd::Complete
    }

    fn is_under_way(&self, rank: &Rank) -> bool {
        !self.under_way.is_empty() && self.under_way.contains(&rank.task())
    }

    fn place(&mut self, head: &Head<'p>) -> Result<usize, Misplaced> {
        let seed = PlacementSeed::of_task(&head.rank.task());
        let barred = self.claims.barred_to(head.task);
        self.placement
            .place_past(&head.lane.shape, &head.task.group, seed, &barred)
    }

    fn admit(&mut self, head: &Head<'p>, ordinal: usize) {
        if head.standing == Standing::Front {
            self.held.remove(&head.lane.key);
        }
        self.order
            .extend(self.held_by_running_tasks.drain(..).map(Reverse));
        self.claims.placed(head, ordinal);
        let instance = self.snapshot.instances().get(ordinal);
        self.admissions.extend(instance.map(|instance| Admission {
            rank: head.rank.clone(),
            lane: head.lane.key.clone(),
            instance: instance.record.arn().clone(),
        }));
    }

    /// A task waits on: it may have an instance set aside, and its lane may have others to look at.
    fn hold(&mut self, head: Head<'p>, misplaced: Misplaced) -> HoldsUp {
        let waits_for_room = matches!(
            misplaced,
            Misplaced::Barred(_) | Misplaced::Held(HoldReason::Shortfall(_))
        );
        let is_barred = matches!(misplaced, Misplaced::Barred(_));
        let claim = waits_for_room.then(|| self.claims.hand_out(&head, &mut self.placement));
        let claim = claim.flatten().cloned();
        // Whoever has got a claim is followed by the next of the lane, who may get one, too. All others of the
        // lane are held for the same reason, except where a short one may use what is set aside.
        // A lane that may be looked at again is looked at from its first task on.
        let looked_at_again = head.lane.shape.depends_on_running_tasks();
        let next = if looked_at_again {
            None
        } else if claim.is_some() && self.claims.are_left() {
            head.next(Standing::BehindHeld)
        } else if is_barred {
            head.next_declared()
        } else {
            None
        };
        self.order.extend(next.map(Reverse));
        if head.standing == Standing::Front {
            let reason = self.reason(misplaced, claim);
            self.held.insert(&head.lane.key, reason);
            if looked_at_again {
                self.held_by_running_tasks.push(head);
            }
        }
        if waits_for_room && self.options.policy == WaitingPolicy::Strict {
            HoldsUp::Everybody
        } else {
            HoldsUp::ItsLane
        }
    }

    fn reason(&self, misplaced: Misplaced, claim: Option<Claim>) -> HoldReason {
        match misplaced {
            Misplaced::Barred(ordinals) => HoldReason::ReservedForHigherRank {
                set_aside: self.claims.on(&ordinals),
                claim,
            },
            Misplaced::Held(HoldReason::Shortfall(mut explanation)) => {
                explanation.claim = claim.map(Box::new);
                HoldReason::Shortfall(explanation)
            }
            Misplaced::Held(reason) => reason,
        }
    }

    /// Everybody who was not looked at waits for the room of this task to come.
    fn hold_the_rest(&mut self, head: &Rank) {
        for Reverse(Head { lane, .. }) in self.order.drain() {
            let behind = || HoldReason::BehindStrictHead { head: head.task() };
            self.held.entry(&lane.key).or_insert_with(behind);
        }
    }
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

#[cfg(test)]
mod tests;
