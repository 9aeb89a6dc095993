//! The capacity record of one container instance and every change it can go through.
//!
//! The record keeps the newest report of ECS and, by identity, every attempt of ours on the instance until
//! its task is known to have ended. Free room is the smaller of two views (see [`InstanceRecord::room`]), so
//! that neither a late report nor a lost one can make Berth promise the same room twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::attributes::Fingerprint;
use crate::eni;
use crate::id::{
    AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn, TaskGroup,
};
use crate::quantity::EniCount;
use crate::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
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
    /// Version of the newest report.
    pub version: ReportVersion,
    /// When ECS made that version.
    pub updated_at: Option<Timestamp>,
    /// When the instance registered.
    pub registered_at: Option<Timestamp>,
    /// All its resources.
    pub registered: Resources,
    /// What remains of them by the newest report.
    pub remaining: Resources,
    /// Tasks with status RUNNING by the newest report.
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

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is news: this record replaces the stored one.
    Updated(Box<InstanceRecord>),
    /// It repeats what is stored. The wake-up behind it may still be lost, so it must be repeated.
    Unchanged,
    /// It is older than what is stored.
    Stale,
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

    /// Records that an attempt's task is stopping. `None` when nothing changes.
    pub fn stopping(&self, attempt: &AttemptId) -> Option<Self> {
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

    /// Takes back a reservation after a definite failure or the end of its task. `None` when there is none.
    pub fn release(&self, attempt: &AttemptId) -> Option<Self> {
        self.state.reservations.contains_key(attempt).then(|| {
            self.changed(|state| {
                state.reservations.remove(attempt);
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

/// Applies a report of ECS to the stored record, if there is one. A higher version wins; an equal one can
/// still bring attributes, which change without a new version, and tells which of our tasks it counts.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwet_handling.html>
pub fn observe(stored: Option<&InstanceRecord>, report: &InstanceReport) -> Observed {
    let Some(stored) = stored else {
        return Observed::Updated(Box::new(InstanceRecord::from_state(first_state(report))));
    };
    let newest = stored.state();
    if report.version < newest.version {
        return Observed::Stale;
    }
    // INACTIVE is the end of a container instance: whoever registers again gets a new ARN. Only what ECS
    // answers to a question of ours can correct a tombstone that was set by mistake.
    if newest.status == InstanceStatus::Inactive && report.source == ReportSource::Event {
        return Observed::Stale;
    }
    let mut state = newest.clone();
    if report.version > newest.version || newest.status == InstanceStatus::Inactive {
        take_report(&mut state, report);
    }
    // A described version has no time; its event, which may come later, has.
    if state.updated_at.is_none() {
        state.updated_at = report.updated_at;
    }
    take_attributes(&mut state, report);
    mark_counted(&mut state, report);
    if state == *newest {
        return Observed::Unchanged;
    }
    state.revision = state.revision.next();
    Observed::Updated(Box::new(InstanceRecord::from_state(state)))
}

fn first_state(report: &InstanceReport) -> InstanceState {
    let mut state = InstanceState {
        instance: report.instance.clone(),
        ec2_instance_id: None,
        status: report.status,
        agent: report.agent,
        agent_version: None,
        version: report.version,
        updated_at: None,
        registered_at: None,
        registered: Resources::default(),
        remaining: Resources::default(),
        running_tasks: 0,
        eni_limit: None,
        attributes: Fingerprint::default(),
        reservations: BTreeMap::new(),
        other_tasks: BTreeMap::new(),
        revision: Revision::new(1),
    };
    take_report(&mut state, report);
    take_attributes(&mut state, report);
    state
}

fn take_report(state: &mut InstanceState, report: &InstanceReport) {
    state.status = report.status;
    state.agent = report.agent;
    state.version = report.version;
    state.updated_at = report.updated_at;
    state.registered = report.registered.clone();
    state.remaining = report.remaining.clone();
    state.running_tasks = report.running_tasks;
    // What a report may leave out keeps its last known value.
    if report.ec2_instance_id.is_some() {
        state.ec2_instance_id.clone_from(&report.ec2_instance_id);
    }
    if report.agent_version.is_some() {
        state.agent_version.clone_from(&report.agent_version);
    }
    if report.registered_at.is_some() {
        state.registered_at = report.registered_at;
    }
}

/// The first event of an instance has an empty attribute list: an empty one never replaces a known one.
fn take_attributes(state: &mut InstanceState, report: &InstanceReport) {
    if let Some(attributes) = report
        .attributes
        .as_ref()
        .filter(|attributes| !attributes.is_empty())
    {
        state.attributes = attributes.fingerprint();
        state.eni_limit = eni::task_limit(attributes);
    }
}

/// Marks which of our placed tasks the newest report counts. Once counted, a task is counted in every later
/// report until it ends, so the mark is never taken back.
fn mark_counted(state: &mut InstanceState, report: &InstanceReport) {
    let placed_before: &[AttemptId] = match &report.source {
        ReportSource::Event => &[],
        ReportSource::Described { placed_before } => placed_before,
    };
    let (version, updated_at) = (state.version, state.updated_at);
    for (attempt, reservation) in &mut state.reservations {
        let reserved_at_version = reservation.reserved_at_version;
        if let ReservationState::Placed(placed) = &mut reservation.state
            && version > reserved_at_version
            && (placed_before.contains(attempt) || updated_at.is_some_and(|at| at >= placed.created_at))
        {
            placed.report = ReportInclusion::Included;
        }
    }
}

fn report_counts(state: &InstanceState, reserved_at_version: ReportVersion, created_at: Timestamp) -> bool {
    state.version > reserved_at_version && state.updated_at.is_some_and(|at| at >= created_at)
}

/// Whether a reservation must be taken off what the newest report says remains.
fn missing_from_report(reservation: &Reservation) -> bool {
    match &reservation.state {
        ReservationState::Pending => true,
        ReservationState::Placed(placed) => {
            placed.report == ReportInclusion::NotYet || placed.stage == TaskStage::Stopping
        }
    }
}

fn room(state: &InstanceState) -> Room {
    let mut reported = Sum::default();
    let mut ours = Sum::default();
    let mut ports_taken = state.remaining.ports_taken.clone();
    ports_taken.insert_all(&state.registered.ports_taken);
    for reservation in state.reservations.values() {
        ours.add(&reservation.demand);
        if missing_from_report(reservation) {
            reported.add(&reservation.demand);
        }
        ports_taken.insert_all(&reservation.demand.ports);
    }
    let mut others_eni = EniCount::ZERO;
    for other in state.other_tasks.values() {
        others_eni = others_eni.saturating_add(other.demand.eni);
        if other.stage == TaskStage::Stopping {
            reported.add(&other.demand);
            ports_taken.insert_all(&other.demand.ports);
        }
    }
    let (remaining, registered) = (&state.remaining, &state.registered);
    let eni_taken = ours.0.eni.saturating_add(others_eni);
    Room {
        cpu: remaining
            .cpu
            .saturating_take(reported.0.cpu)
            .min(registered.cpu.saturating_take(ours.0.cpu)),
        memory: remaining
            .memory
            .saturating_take(reported.0.memory)
            .min(registered.memory.saturating_take(ours.0.memory)),
        gpu: remaining
            .gpu
            .saturating_take(reported.0.gpu)
            .min(registered.gpu.saturating_take(ours.0.gpu)),
        eni: state.eni_limit.map_or(EniRoom::Unknown, |limit| {
            EniRoom::Limited(limit.saturating_take(eni_taken))
        }),
        ports_taken,
    }
}

/// Demands added up, ports aside: ports are sets, and a union cannot count one twice.
#[derive(Default)]
struct Sum(Demand);

impl Sum {
    fn add(&mut self, demand: &Demand) {
        self.0.cpu = self.0.cpu.saturating_add(demand.cpu);
        self.0.memory = self.0.memory.saturating_add(demand.memory);
        self.0.gpu = self.0.gpu.saturating_add(demand.gpu);
        self.0.eni = self.0.eni.saturating_add(demand.eni);
    }
}

#[cfg(test)]
mod tests;
