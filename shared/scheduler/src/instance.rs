//! The capacity record of one container instance and every change it can go through.
//!
//! The record keeps the newest report of ECS and, by identity, every attempt of ours on the instance until
//! its task is known to have ended. Free room is the smaller of two views (see [`InstanceRecord::room`]), so
//! that neither a late report nor a lost one can make Berth promise the same room twice.

mod observation;
mod remaining;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use self::observation::report_counts;
pub use self::observation::{Observed, observe};
pub use self::remaining::{Remaining, Reported};
use self::room::room;
use crate::attributes::Fingerprint;
use crate::id::{
    AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn, TaskGroup,
};
use crate::quantity::EniCount;
use crate::report::{AgentConnection, InstanceStatus};
use crate::reservation::{OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage};
use crate::resources::{Demand, EniRoom, Resources, Room, Shortfall};
use crate::run_time::RunOutlook;
use crate::timestamp::Timestamp;

/// The stored content of a capacity record, plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceState {
    /// Which container instance.
    pub instance: ContainerInstanceArn,
    /// The EC2 instance below it.
    pub ec2_instance_id: Option<Ec2InstanceId>,
    /// Its status.
    pub status: InstanceStatus,
    /// Whether its agent is connected.
    pub agent: AgentConnection,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// Version of the newest report that told anything new.
    pub version: ReportVersion,
    /// When ECS made that version.
    pub updated_at: Option<Timestamp>,
    /// When the instance registered.
    pub registered_at: Option<Timestamp>,
    /// All its resources.
    pub registered: Resources,
    /// What remains of them.
    pub remaining: Remaining,
    /// When the last of our tasks here ended that was released, on ECS's clock: a report that was made before may
    /// count it.
    pub ended_at: Option<Timestamp>,
    /// Tasks with status RUNNING: by the newest report, or those of others where their use is known.
    pub running_tasks: u32,
    /// Network interfaces for tasks in `awsvpc` mode; `None` when the instance type is not known.
    pub eni_limit: Option<EniCount>,
    /// Tells when the cold attribute record changed.
    pub attributes: Fingerprint,
    /// Our attempts on the instance.
    pub reservations: BTreeMap<AttemptId, Reservation>,
    /// Tasks of others that are known from their events.
    pub other_tasks: BTreeMap<TaskArn, OtherTask>,
    /// Our own revision: every write checks and raises it.
    pub revision: Revision,
}

/// A capacity record with its free room worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    state: InstanceState,
    room: Room,
}

impl InstanceRecord {
    /// A record with its room worked out.
    pub fn from_state(state: InstanceState) -> Self {
        let room = room(&state);
        Self { state, room }
    }

    /// The stored content.
    pub fn state(&self) -> &InstanceState {
        &self.state
    }

    /// The container instance.
    pub fn arn(&self) -> &ContainerInstanceArn {
        &self.state.instance
    }

    /// What is free: in each dimension the smaller of
    ///
    /// - the reported view: what ECS says remains, minus our tasks that the report does not count yet and
    ///   minus all tasks that are stopping (ECS gives their resources back too early), and
    /// - the identity view: what is registered minus every attempt of ours that is not known to have ended.
    ///
    /// While the use by others is known and stays the same, the two are one: what is registered minus that use and
    /// minus every attempt of ours (see [`Remaining::Besides`]).
    ///
    /// INVARIANT (NoOvercommit): every live task of ours is a reservation here, because it is written before
    /// RunTask is called and removed only after a definite end. So the identity view alone never exceeds
    /// what is left after all our placements, whatever report is late, lost or repeated.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// What the instance could hold if it were empty.
    pub fn registered_room(&self) -> Room {
        Room {
            cpu: self.state.registered.cpu,
            memory: self.state.registered.memory,
            gpu: self.state.registered.gpu,
            eni: self.state.eni_limit.map_or(EniRoom::Unknown, EniRoom::Limited),
            ports_taken: self.state.registered.ports_taken.clone(),
        }
    }

    /// Whether ECS would place anything here: ACTIVE, with a connected agent.
    pub fn is_candidate(&self) -> bool {
        self.state.status == InstanceStatus::Active && self.state.agent == AgentConnection::Connected
    }

    /// The groups of the tasks here with `desiredStatus` RUNNING, ours and others', one entry per task.
    pub fn task_groups(&self) -> impl Iterator<Item = &TaskGroup> {
        let ours = self
            .state
            .reservations
            .values()
            .filter(|reservation| !reservation.is_stopping());
        let others = self
            .state
            .other_tasks
            .values()
            .filter(|task| task.stage == TaskStage::Running);
        ours.map(|reservation| &reservation.group)
            .chain(others.map(|task| &task.group))
    }

    /// How many tasks run here: those that the newest report counts, and ours that it does not; or, where the use by
    /// others is known, theirs and ours.
    pub fn running_tasks_count(&self) -> u32 {
        let state = &self.state;
        let is_to_be_added = |held: &&Reservation| match (&state.remaining, &held.state) {
            (Remaining::Besides(_), _) => !held.is_stopping(),
            (Remaining::Reported(_), ReservationState::Pending) => true,
            (Remaining::Reported(_), ReservationState::Placed(placed)) => {
                placed.report == ReportInclusion::NotYet && placed.stage == TaskStage::Running
            }
        };
        let ours = state.reservations.values().filter(is_to_be_added).count();
        let ours = u32::try_from(ours).unwrap_or(u32::MAX);
        state.running_tasks.saturating_add(ours)
    }

    /// Whether somebody may start who could not while the record was as it was before: then whoever waits must be
    /// told. Less room, or another task of a group that is here, gives nobody a place.
    pub fn offers_more_than(&self, before: &Self) -> bool {
        let (now, then) = (&self.state, &before.state);
        let groups = |record: &Self| record.task_groups().cloned().collect::<BTreeSet<TaskGroup>>();
        let is_news = now.attributes != then.attributes
            || now.ec2_instance_id != then.ec2_instance_id
            || now.eni_limit != then.eni_limit
            || now.registered != then.registered
            // When it goes, whoever waited for it alone keeps nobody else waiting any more.
            || self.is_candidate() != before.is_candidate()
            // `distinctInstance` and `task:group` look at who is here.
            || groups(self) != groups(before);
        is_news || !before.room.includes(&self.room)
    }

    /// The attempts here whose RunTask call has no recorded answer.
    pub fn pending_attempts(&self) -> impl Iterator<Item = &AttemptId> {
        let pending = |reservation: &Reservation| reservation.state == ReservationState::Pending;
        self.state
            .reservations
            .iter()
            .filter(move |(_, it)| pending(it))
            .map(|(attempt, _)| attempt)
    }

    /// The reservations here whose task ECS has placed.
    pub fn placed(&self) -> impl Iterator<Item = (&AttemptId, &Reservation, &PlacedTask)> {
        self.state
            .reservations
            .iter()
            .filter_map(|(attempt, reservation)| match &reservation.state {
                ReservationState::Placed(placed) => Some((attempt, reservation, placed)),
                ReservationState::Pending => None,
            })
    }

    /// Whether nobody but us is known to use the instance.
    fn is_ours_alone(&self) -> bool {
        self.state.remaining.is_ours_alone() && self.state.other_tasks.is_empty()
    }

    fn changed(&self, change: impl FnOnce(&mut InstanceState)) -> Self {
        let mut state = self.state.clone();
        change(&mut state);
        state.revision = state.revision.next();
        Self::from_state(state)
    }

    /// The record as one write after `stored`, however many changes led to it.
    #[must_use]
    pub fn as_next_of(mut self, stored: &Self) -> Self {
        self.state.revision = stored.state.revision.next();
        self
    }

    /// Promises room to an attempt.
    ///
    /// # Errors
    /// The [`Shortfall`] when there is not enough room. NoOvercommit is decided here and nowhere else.
    pub fn reserve(
        &self,
        attempt: AttemptId,
        demand: &Demand,
        group: &TaskGroup,
        outlook: RunOutlook,
    ) -> Result<Self, Shortfall> {
        self.room.take(demand)?;
        let reservation = Reservation {
            demand: demand.clone(),
            group: group.clone(),
            outlook,
            reserved_at_version: self.state.version,
            state: ReservationState::Pending,
        };
        Ok(self.changed(|state| {
            state.reservations.insert(attempt, reservation);
        }))
    }

    /// Puts back the reservation of an attempt that was lost with a damaged record, whether or not there is room: its
    /// task may be there. `None` when it has one.
    pub fn restore(
        &self,
        attempt: &AttemptId,
        demand: &Demand,
        group: &TaskGroup,
        outlook: RunOutlook,
    ) -> Option<Self> {
        let reservation = Reservation {
            demand: demand.clone(),
            group: group.clone(),
            outlook,
            reserved_at_version: self.state.version,
            state: ReservationState::Pending,
        };
        (!self.state.reservations.contains_key(attempt)).then(|| {
            self.changed(|state| {
                state.reservations.insert(attempt.clone(), reservation);
            })
        })
    }

    /// Records that ECS has placed an attempt. `None` when nothing changes: the attempt has no reservation
    /// here (its end came first) or is recorded as placed already.
    pub fn place(&self, attempt: &AttemptId, task: TaskArn, created_at: Timestamp) -> Option<Self> {
        let reservation = self.state.reservations.get(attempt)?;
        if reservation.state != ReservationState::Pending {
            return None;
        }
        let counted = report_counts(&self.state, reservation.reserved_at_version, created_at);
        let report = if counted {
            ReportInclusion::Included
        } else {
            ReportInclusion::NotYet
        };
        let placed = PlacedTask {
            task,
            created_at,
            report,
            stage: TaskStage::Running,
        };
        Some(self.changed(|state| {
            if let Some(reservation) = state.reservations.get_mut(attempt) {
                reservation.state = ReservationState::Placed(placed);
            }
        }))
    }

    /// Records that an attempt's task is stopping. `None` when nothing changes, or when it makes no difference: where
    /// nothing but our tasks is, room is counted by identity, whatever ECS gives back too early.
    pub fn stopping(&self, attempt: &AttemptId) -> Option<Self> {
        if self.is_ours_alone() {
            return None;
        }
        let ReservationState::Placed(placed) = &self.state.reservations.get(attempt)?.state else {
            return None;
        };
        if placed.stage == TaskStage::Stopping {
            return None;
        }
        Some(self.changed(|state| {
            if let Some(Reservation {
                state: ReservationState::Placed(placed),
                ..
            }) = state.reservations.get_mut(attempt)
            {
                placed.stage = TaskStage::Stopping;
            }
        }))
    }

    /// Takes back a reservation after a definite failure, or the end of its task at this moment on ECS's clock. `None`
    /// when nothing changes: somebody else has taken it back, and the end is no news.
    pub fn release(&self, attempt: &AttemptId, ended_at: Option<Timestamp>) -> Option<Self> {
        let is_news = ended_at > self.state.ended_at;
        (self.state.reservations.contains_key(attempt) || is_news).then(|| {
            self.changed(|state| {
                state.reservations.remove(attempt);
                state.ended_at = state.ended_at.max(ended_at);
            })
        })
    }

    /// Records a task of others, by its own version. `None` when nothing changes.
    pub fn observe_other(&self, task: &TaskArn, other: OtherTask) -> Option<Self> {
        let known = self.state.other_tasks.get(task);
        if known.is_some_and(|known| known.version >= other.version) {
            return None;
        }
        Some(self.changed(|state| {
            state.other_tasks.insert(task.clone(), other);
        }))
    }

    /// Forgets a task of others that has stopped. `None` when it was not known.
    pub fn forget_other(&self, task: &TaskArn) -> Option<Self> {
        self.state.other_tasks.contains_key(task).then(|| {
            self.changed(|state| {
                state.other_tasks.remove(task);
            })
        })
    }

    /// Makes the record a tombstone: ECS no longer knows the instance. Reservations stay until each attempt
    /// is resolved. `None` when it is one already.
    pub fn gone(&self) -> Option<Self> {
        (self.state.status != InstanceStatus::Inactive)
            .then(|| self.changed(|state| state.status = InstanceStatus::Inactive))
    }
}

#[cfg(test)]
mod tests;
