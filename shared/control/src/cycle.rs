//! The admission cycle: who waits is started where there is room, in rank order.
//!
//! One cycle at a time runs per cluster. It holds the cluster's turn, a lease, so that order is strict; the
//! conditional writes per instance and task are the safety net for a cycle that outlives its lease. The generation
//! counter closes the race between "nothing more to do" and news that arrive meanwhile.

mod decide;
mod launch;
mod left_behind;
mod reserve;
mod resolve;
mod second_look;
mod settle;
mod stranded;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::sync::Arc;

use berth_scheduler::admission::{AdmissionPlan, PlanEnd};
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Generation, LaneKey};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::progress::Request;
use berth_scheduler::snapshot::{InstanceView, Snapshot};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::Rank;

use self::decide::{ClaimsByLane, Planning};
use crate::follow_up::keep_appointments;
use crate::ports::{
    Attention, Clock, FallAsleep, Inspector, Launcher, Ledger, Messenger, PassStart, PortError, Ports,
    StoredLane, Turn, TurnRequest, WaitingList,
};

/// How long a turn lasts when it is not handed back, in milliseconds. Shorter than the wake queue's
/// visibility timeout: the wake message of a holder that died must not come back while its lease still
/// stands, or it would be taken off the queue unseen.
pub const TURN_LEASE_MS: u64 = 60_000;

/// Time kept in hand before the lease or the invocation ends, in milliseconds: enough for the calls of one
/// wave that are under way.
pub const TIME_IN_HAND_MS: i64 = 10_000;

/// Most tasks of a lane that are read at once. A lane rarely admits more in one cycle; when it does, the
/// cycle reads on.
const HEADS_MAX: usize = 25;

/// Most admissions in one plan; the plan after it sees what became of them.
const ADMISSIONS_MAX: usize = 100;

/// RunTask calls under way at the same time: a quarter of a second's worth of the account's 40 per second.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>
const LAUNCHES_AT_ONCE: usize = 10;

/// Seconds until a cycle tries again after ECS throttled it or gave no answer.
const RETRY_SECONDS: u16 = 5;

/// A hold reason of the same kind is written again after this long, in milliseconds: its numbers change with
/// every finished task, and a write for each would cost more than the admissions.
const HOLD_REFRESH_MS: u64 = 30_000;

/// How a call to [`run_cycle`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CycleEnd {
    /// Another cycle has the turn; it was told to look again.
    HeldByAnother,
    /// Everything that could be admitted is.
    Complete(CycleReport),
    /// Time ran out, or ECS asks for patience: a wake message goes on with the rest.
    Continues(CycleReport),
}

/// What a cycle did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CycleReport {
    /// Tasks started.
    pub started: u32,
    /// Launches refused by ECS.
    pub refused: u32,
    /// Launches without an answer, to be resolved by a later cycle.
    pub unresolved: u32,
    /// Reservations of earlier cycles that were resolved.
    pub resolved: u32,
    /// Lanes that wait on.
    pub held_lanes: u32,
}

/// How a pass over the waiting list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassEnd {
    /// Nothing more can be admitted now.
    Complete,
    /// Look again at once: something changed, or there is more to plan.
    Again,
    /// Look again in a few seconds: throttled, refused, or launches without an answer.
    Later,
    /// Another cycle has taken the turn.
    TurnLost,
}

/// What comes after the passes of a cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: the turn is free, and the cluster asleep.
    Asleep,
    /// Something happened meanwhile: this pass, from the beginning.
    Pass(PassStart),
    /// A wake message, and whoever gets it.
    HandOver {
        /// In so many seconds.
        delay_seconds: u16,
    },
    /// Whoever has taken the turn.
    TurnLost,
}

/// One cycle on one cluster: the ports, and what must be remembered from pass to pass.
struct Cycle<'a, L, E, M, C> {
    ports: Ports<'a, L, E, M, C>,
    turn: Turn,
    work_until: Timestamp,
    /// The instances' records as this cycle last stored them.
    records: BTreeMap<ContainerInstanceArn, Arc<InstanceRecord>>,
    /// Instances where ECS refused a task in this cycle.
    closed: BTreeSet<ContainerInstanceArn>,
    /// Whether a closed instance may have room a moment later without any news of it: what ECS refused for
    /// may have passed before it was asked what it sees. A constraint that ECS judges differently stays so.
    look_again_soon: bool,
    /// Who cannot be looked at in this cycle, because a record cannot be read.
    stranded: BTreeSet<Rank>,
    /// Whether anybody waited when this cycle last looked.
    waiting: WaitingList,
    /// Why ECS refused the first task of a lane in this cycle.
    refusals: BTreeMap<LaneKey, HoldReason>,
    planning: Planning,
    report: CycleReport,
}

/// Admits what can be admitted in a cluster under its waiting policy, unless another cycle is at it. `owner` names this invocation;
/// at `deadline` a wake message hands the rest to the next one.
///
/// # Errors
/// When a port fails. The turn is handed back if possible; the caller's message must come again.
pub async fn run_cycle<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    policy: WaitingPolicy,
    owner: &str,
    deadline: Timestamp,
) -> Result<CycleEnd, PortError> {
    let Some((turn, mut start)) = take_turn(ports, cluster, owner, deadline).await? else {
        return Ok(CycleEnd::HeldByAnother);
    };
    let mut report = CycleReport::default();
    loop {
        let mut cycle = Cycle::new(ports, turn.clone(), policy, report);
        let next = cycle.run(start).await;
        report = cycle.report;
        if matches!(next, Ok(Next::HandOver { .. }) | Err(_)) {
            ports.ledger.hand_back(&turn).await?;
        }
        match next? {
            Next::Pass(next) => start = next,
            Next::Asleep => return Ok(CycleEnd::Complete(report)),
            Next::HandOver { delay_seconds } => {
                ports.messenger.wake(cluster, delay_seconds).await?;
                return Ok(CycleEnd::Continues(report));
            }
            Next::TurnLost => {
                // The other one may have looked before this one wrote its last.
                ports.messenger.wake(cluster, 0).await?;
                return Ok(CycleEnd::HeldByAnother);
            }
        }
    }
}

/// Takes the turn; `None` when another cycle has it and is told to look again. It may have fallen asleep before it
/// could be told.
async fn take_turn<L: Ledger, E, M, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    owner: &str,
    deadline: Timestamp,
) -> Result<Option<(Turn, PassStart)>, PortError> {
    loop {
        let now = ports.clock.now();
        // No lease outlasts its invocation: the wake message of one that died would find the turn taken.
        let until = now.saturating_add_millis(TURN_LEASE_MS).min(deadline);
        match ports.ledger.take_turn(cluster, owner, now, until).await? {
            TurnRequest::Taken(turn, start) => return Ok(Some((turn, start))),
            TurnRequest::HeldUntil(_) => match ports.ledger.bump(cluster).await? {
                Attention::Awake => return Ok(None),
                Attention::Asleep | Attention::Idle => {}
            },
        }
    }
}

impl<'a, L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'a, L, E, M, C> {
    fn new(ports: Ports<'a, L, E, M, C>, turn: Turn, policy: WaitingPolicy, report: CycleReport) -> Self {
        Self {
            ports,
            work_until: earlier_by(turn.until, TIME_IN_HAND_MS),
            turn,
            records: BTreeMap::new(),
            closed: BTreeSet::new(),
            look_again_soon: false,
            stranded: BTreeSet::new(),
            waiting: WaitingList::Occupied,
            refusals: BTreeMap::new(),
            planning: Planning::new(policy),
            report,
        }
    }
}

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Keeps the appointments that are due, which may bring tasks back to the waiting list, admits, and lets the
    /// cluster sleep if that is all.
    async fn run(&mut self, start: PassStart) -> Result<Next, PortError> {
        let Ports { ledger, .. } = self.ports;
        keep_appointments(self.ports, &self.turn.cluster, self.work_until).await?;
        let (end, seen) = self.run_passes(start).await?;
        let moved = match end {
            PassEnd::Again => return Ok(Next::HandOver { delay_seconds: 0 }),
            PassEnd::Later => {
                return Ok(Next::HandOver {
                    delay_seconds: RETRY_SECONDS,
                });
            }
            PassEnd::TurnLost => return Ok(Next::TurnLost),
            PassEnd::Complete => ledger.fall_asleep(&self.turn, seen, self.waiting).await?,
        };
        Ok(match moved {
            FallAsleep::Asleep => Next::Asleep,
            FallAsleep::TurnLost => Next::TurnLost,
            FallAsleep::Moved => match ledger.begin_pass(&self.turn).await? {
                Some(next) => Next::Pass(next),
                None => Next::TurnLost,
            },
        })
    }

    /// Passes over the waiting list until nothing more can be admitted, with the generation that the last
    /// pass saw.
    async fn run_passes(&mut self, mut start: PassStart) -> Result<(PassEnd, Generation), PortError> {
        loop {
            if !self.has_time() {
                return Ok((PassEnd::Again, start.generation));
            }
            let end = self.pass(start.pause).await?;
            if end != PassEnd::Again || !self.has_time() {
                return Ok((end, start.generation));
            }
            // Whoever has lost its turn stops: two cycles would undo each other's work for ever.
            match self.ports.ledger.begin_pass(&self.turn).await? {
                Some(next) => start = next,
                None => return Ok((PassEnd::TurnLost, start.generation)),
            }
        }
    }

    /// One pass: load, resolve, decide, reserve, launch, settle.
    async fn pass(&mut self, pause: Option<Request>) -> Result<PassEnd, PortError> {
        let Ports { ledger, clock, .. } = self.ports;
        // 1 Load who waits and what room there is, whoever waits: a launch that nobody waits for any more may have
        // been left open.
        let mut lanes = ledger.load_lanes(&self.turn.cluster, HEADS_MAX).await?;
        let known = self.note_who_waits(&lanes);
        let stored_claims = self.take_claims(&mut lanes);
        let instances = ledger.load_instances(&self.turn.cluster).await?;
        self.records = instances
            .iter()
            .map(|it| (it.record.arn().clone(), Arc::clone(&it.record)))
            .collect();
        // 2 Resolve reservations that an earlier cycle left open.
        if let Some(end) = self.resolve(clock.now()).await? {
            // Some of those that this cycle could do nothing with may wait again, and must not be passed.
            self.stranded.clear();
            return Ok(end);
        }
        if self.waiting == WaitingList::Empty {
            self.planning.set_nothing_aside();
            self.record_claims(stored_claims).await?;
            return Ok(PassEnd::Complete);
        }
        if let Some(pause) = pause {
            self.record_pause(&lanes, &stored_claims, &pause).await?;
            return Ok(PassEnd::Complete);
        }
        // 3 Decide, the only thinking.
        self.leave_stranded_out(&mut lanes);
        let snapshot = Snapshot::new(launchable(instances));
        let plan = self.decide(&snapshot, &lanes, clock.now()).await?;
        if !self.holds(&plan, &lanes).await? {
            return Ok(PassEnd::Again);
        }
        let AdmissionPlan {
            admissions,
            held,
            end,
            ..
        } = plan;
        // 4 Reserve, 5 launch and 6 settle, wave by wave. Whatever does not go as planned ends the pass: the
        // rest is decided again from what is stored then.
        for wave in admissions.chunks(LAUNCHES_AT_ONCE) {
            if !self.has_time() {
                return Ok(PassEnd::Again);
            }
            let (reserved, interrupted) = self.reserve(wave).await?;
            let answers = self.launch(reserved).await;
            let unsettled = self.settle(answers).await?;
            if let Some(end) = unsettled.or(interrupted) {
                return Ok(end);
            }
        }
        if end == PlanEnd::MoreToPlan || !admissions.is_empty() && self.somebody_came(&known).await? {
            return Ok(PassEnd::Again);
        }
        let somebody_waits = !held.is_empty();
        self.record_holds(&lanes, &stored_claims, held).await?;
        self.record_claims(stored_claims).await?;
        Ok(if somebody_waits && self.look_again_soon {
            PassEnd::Later
        } else {
            PassEnd::Complete
        })
    }

    /// Nothing is started while the cluster is paused, and everybody who waits is told so.
    async fn record_pause(
        &mut self,
        stored: &[StoredLane],
        stored_claims: &ClaimsByLane,
        pause: &Request,
    ) -> Result<(), PortError> {
        let waiting = stored.iter().filter(|stored| !stored.lane.heads.is_empty());
        let held = waiting
            .map(|stored| (stored.lane.key.clone(), HoldReason::Paused(pause.clone())))
            .collect();
        self.record_holds(stored, stored_claims, held).await
    }

    fn has_time(&self) -> bool {
        self.ports.clock.now() < self.work_until
    }

    /// Records why each lane waits: at once when the kind of reason is new or another instance is set aside for
    /// it, else now and then.
    async fn record_holds(
        &mut self,
        stored: &[StoredLane],
        stored_claims: &ClaimsByLane,
        held: Vec<(LaneKey, HoldReason)>,
    ) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        let known: BTreeMap<_, _> = stored.iter().map(|it| (&it.lane.key, it.hold.as_ref())).collect();
        for (lane, reason) in held {
            self.report.held_lanes = self.report.held_lanes.saturating_add(1);
            let reason = self.refusals.remove(&lane).unwrap_or(reason);
            let unchanged = self.planning.claims_of(&lane) == stored_claims.get(&lane);
            let fresh = unchanged
                && known.get(&lane).copied().flatten().is_some_and(|(known, at)| {
                    discriminant(known) == discriminant(&reason) && now.millis_since(*at) < HOLD_REFRESH_MS
                });
            if !fresh {
                self.ports
                    .ledger
                    .record_hold(&self.turn.cluster, &lane, &reason, now)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Instances a launch can be pinned to: the query language names them by their EC2 instance id.
fn launchable(instances: Vec<InstanceView>) -> Vec<InstanceView> {
    instances
        .into_iter()
        .filter(|it| it.record.state().ec2_instance_id.is_some())
        .collect()
}

fn earlier_by(instant: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(instant.as_millis().saturating_sub(millis))
}
