//! The referee: independent checks of the promises, by what the simulated ECS itself says.

mod order;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use berth_control::records::TaskRecord;
use berth_scheduler::id::{
    AttemptId, AttemptNumber, ClusterName, ContainerInstanceArn, Epoch, ReportVersion, SubmissionId, TaskArn,
    TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::report::{InstanceReport, InstanceStatus, TaskReport, TaskStatus};
use berth_scheduler::reservation::{ReportInclusion, TaskStage};
use berth_scheduler::resources::{Demand, Resources};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::Rank;

use super::agenda::InvocationNumber;
use super::terms::Limits;
use super::workload::Family;
use super::world::SKEW_MS_MAX;

/// A promise, as it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// At most one ECS task per attempt, one attempt at a time, and none after one that succeeded.
    StartedOnce,
    /// Our tasks on an instance never take more than it has, and without tasks of others ECS never has to say
    /// so, nor does a task of ours wait at its agent for room.
    NoOvercommit,
    /// No reservation takes room that a higher-ranked waiting task could use.
    NoOvertaking,
    /// No task runs before its `notBefore`.
    NotBefore,
    /// A task counts as reported only when the report counts it.
    HonestReports,
    /// Revisions, versions, epochs and attempts only rise, and what is final stays.
    OnlyForward,
    /// When nothing is under way, nothing can be admitted.
    NoLostWakeUp,
    /// Every message ends as started tasks, as a refusal, or as a doubt.
    NothingLost,
    /// In the end the records say what ECS says.
    RecordsEqualTruth,
}

impl Invariant {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartedOnce => "StartedOnce",
            Self::NoOvercommit => "NoOvercommit",
            Self::NoOvertaking => "NoOvertaking",
            Self::NotBefore => "NotBefore",
            Self::HonestReports => "HonestReports",
            Self::OnlyForward => "OnlyForward",
            Self::NoLostWakeUp => "NoLostWakeUp",
            Self::NothingLost => "NothingLost",
            Self::RecordsEqualTruth => "RecordsEqualTruth",
        }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub detail: String,
}

/// What the tasks of a submission need.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    pub(super) family: Family,
    pub(super) limits: Limits,
}

/// Who waited when a pass began, with how often each had been tried.
pub(super) type Waiters = BTreeMap<Rank, AttemptNumber>;

/// What the referee knows.
#[derive(Debug, Default)]
pub(super) struct Referee {
    /// The last attempt of each task of ours that ECS has placed, and its ECS task.
    started: BTreeMap<TaskId, (AttemptNumber, TaskArn)>,
    /// The ECS tasks that have stopped, with their exit codes.
    stopped: BTreeMap<TaskArn, Option<i32>>,
    /// What our tasks that have not stopped take, by instance.
    live: BTreeMap<ContainerInstanceArn, BTreeMap<TaskArn, Demand>>,
    registered: BTreeMap<ContainerInstanceArn, Resources>,
    /// The first version of the instance that counts an attempt, and when it was placed.
    counted_from: BTreeMap<AttemptId, (ReportVersion, Timestamp)>,
    just_placed: Vec<(ContainerInstanceArn, AttemptId, Timestamp)>,
    instance_types: BTreeMap<ContainerInstanceArn, &'static str>,
    needs: BTreeMap<TaskId, Needs>,
    passes: BTreeMap<(InvocationNumber, ClusterName), Waiters>,
    /// Invocations with a write that may arrive after their end.
    kept_passes: BTreeSet<InvocationNumber>,
    /// Room that was reserved for an attempt although somebody who comes first could have had it, in words.
    taken_from: BTreeMap<(ContainerInstanceArn, AttemptId), String>,
    epochs: BTreeMap<ClusterName, Epoch>,
    /// The messages that were refused, by the ids they were first sent with.
    pub(super) refused_messages: BTreeSet<String>,
    /// The submissions with doubts that users have seen, and whether they want to run what is in doubt again.
    doubts: BTreeMap<SubmissionId, bool>,
    violation: Option<Violation>,
}

impl Referee {
    /// The first broken promise.
    pub(super) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Records a broken promise; only the first one counts.
    pub(super) fn blame(&mut self, invariant: Invariant, detail: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                invariant,
                detail: detail.into(),
            });
        }
    }

    /// A task will be asked for.
    pub(super) fn expect(&mut self, task: TaskId, needs: Needs) {
        self.needs.insert(task, needs);
    }

    /// A user sees a task in doubt, and runs all of its submission that are again or not; `false` when it was seen before.
    pub(super) fn see_doubt(&mut self, task: &TaskId, retry: bool) -> bool {
        match self.doubts.entry(task.submission()) {
            Entry::Vacant(unseen) => {
                unseen.insert(retry);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Whether a user has asked for another run, whatever became of the task.
    pub(super) fn is_retried(&self, task: &TaskId) -> bool {
        self.doubts.get(&task.submission()).copied().unwrap_or_default()
    }

    pub(super) fn registered(&mut self, instance: ContainerInstanceArn, instance_type: &'static str) {
        self.instance_types.insert(instance, instance_type);
    }

    /// The last ECS task that ECS ever placed for this task.
    pub(super) fn ecs_task(&self, task: &TaskId) -> Option<&TaskArn> {
        self.started.get(task).map(|(_, arn)| arn)
    }

    pub(super) fn has_stopped(&self, task: &TaskArn) -> bool {
        self.stopped.contains_key(task)
    }

    /// Whether ECS may place this attempt after what it has placed for the task before.
    fn may_start(&self, attempt: &AttemptId) -> bool {
        let Some((earlier, arn)) = self.started.get(&attempt.task) else {
            return true;
        };
        // An exit code of 0 is a success unless the instance was lost, in which case there is none.
        let ended_badly = self.stopped.get(arn).is_some_and(|code| *code != Some(0));
        attempt.number > *earlier && (ended_badly || self.is_retried(&attempt.task))
    }

    /// When ECS placed a task.
    pub(super) fn placed_at(&self, task: &TaskId) -> Option<Timestamp> {
        let of_task = self
            .counted_from
            .iter()
            .find(|(attempt, _)| attempt.task == *task);
        of_task.map(|(_, (_, placed_at))| *placed_at)
    }

    /// ECS tells about a task. The first event of a task tells that it is placed.
    pub(super) fn see_task(&mut self, report: &TaskReport) {
        let (Some(attempt), Some(instance)) = (&report.attempt, &report.instance) else {
            return;
        };
        if report.version.get() == 1 {
            if !self.may_start(attempt) {
                let detail = format!(
                    "`{}` (attempt {}) is `{}`, and was {:?}",
                    attempt.task,
                    attempt.number,
                    report.task,
                    self.started.get(&attempt.task)
                );
                self.blame(Invariant::StartedOnce, detail);
            }
            self.started
                .insert(attempt.task.clone(), (attempt.number, report.task.clone()));
            if let Some(created_at) = report.created_at {
                self.check_begin(&attempt.task, created_at);
                self.just_placed
                    .push((instance.clone(), attempt.clone(), created_at));
            }
        }
        let live = self.live.entry(instance.clone()).or_default();
        if report.status == TaskStatus::Stopped {
            live.remove(&report.task);
            let code = report.end.as_ref().and_then(|end| end.exit_code);
            self.stopped.insert(report.task.clone(), code);
        } else {
            live.insert(report.task.clone(), report.demand.clone());
        }
        self.check_live(instance);
    }

    /// A task begins to run: not before it may, by any of our clocks.
    fn check_begin(&mut self, task: &TaskId, created_at: Timestamp) {
        let not_before = self.needs.get(task).and_then(|needs| needs.limits.not_before);
        if let Some(not_before) = not_before
            && created_at.as_millis() < not_before.as_millis() - SKEW_MS_MAX
        {
            self.blame(
                Invariant::NotBefore,
                format!("`{task}` runs since {created_at}, and may from {not_before}"),
            );
        }
    }

    /// ECS tells about an instance.
    pub(super) fn see_instance(&mut self, report: &InstanceReport) {
        self.registered
            .insert(report.instance.clone(), report.registered.clone());
        let mut others = Vec::new();
        for (instance, attempt, created_at) in std::mem::take(&mut self.just_placed) {
            if instance == report.instance {
                self.counted_from.insert(attempt, (report.version, created_at));
            } else {
                others.push((instance, attempt, created_at));
            }
        }
        self.just_placed = others;
        self.check_live(&report.instance);
    }

    fn check_live(&mut self, instance: &ContainerInstanceArn) {
        let (Some(live), Some(registered)) = (self.live.get(instance), self.registered.get(instance)) else {
            return;
        };
        let sum = |of: fn(&Demand) -> u32| live.values().map(|demand| u64::from(of(demand))).sum::<u64>();
        let memory = sum(|demand| demand.memory.get());
        let cpu = sum(|demand| demand.cpu.get());
        let gpu = sum(|demand| demand.gpu.get());
        let ports: Vec<u16> = live
            .values()
            .flat_map(|demand| demand.ports.tcp.iter().collect::<Vec<_>>())
            .collect();
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        if memory > u64::from(registered.memory.get())
            || cpu > u64::from(registered.cpu.get())
            || gpu > u64::from(registered.gpu.get())
            || distinct.len() < ports.len()
        {
            let detail = format!(
                "our tasks on `{}` take {memory} MiB of {}, {cpu} CPU units of {}, {gpu} GPUs of {}, ports {ports:?}",
                instance.id(),
                registered.memory.get(),
                registered.cpu.get(),
                registered.gpu.get()
            );
            self.blame(Invariant::NoOvercommit, detail);
        }
    }

    /// A pass begins and sees these waiting tasks.
    pub(super) fn pass_begins(
        &mut self,
        invocation: InvocationNumber,
        cluster: &ClusterName,
        waiters: Waiters,
    ) {
        self.passes.insert((invocation, cluster.clone()), waiters);
    }

    /// An invocation has ended.
    pub(super) fn invocation_ends(&mut self, invocation: InvocationNumber) {
        if !self.kept_passes.contains(&invocation) {
            self.passes.retain(|(of, _), _| *of != invocation);
        }
    }

    /// A write of this invocation may arrive after its end.
    pub(super) fn keep_pass(&mut self, invocation: InvocationNumber) {
        self.kept_passes.insert(invocation);
    }

    /// The turn is taken.
    pub(super) fn turn_taken(&mut self, cluster: &ClusterName, epoch: Epoch) {
        if self
            .epochs
            .insert(cluster.clone(), epoch)
            .is_some_and(|earlier| earlier >= epoch)
        {
            self.blame(
                Invariant::OnlyForward,
                format!("epoch {epoch} of `{cluster}` was given before"),
            );
        }
    }

    /// A task's record was replaced.
    pub(super) fn task_stored(&mut self, before: Option<&TaskRecord>, after: &TaskRecord) {
        let Some(before) = before.filter(|before| *before != after) else {
            return;
        };
        let forward = after.revision == before.revision.next()
            && after.progress.attempt >= before.progress.attempt
            && (after.rank == before.rank || after.commands != before.commands)
            && !before.progress.is_final();
        if !forward {
            self.blame(
                Invariant::OnlyForward,
                format!(
                    "`{}`: {:?} became {:?}",
                    after.id, before.progress, after.progress
                ),
            );
        }
    }

    /// An instance's record was replaced. `exact` unless Describe calls may answer what is no longer true.
    pub(super) fn instance_stored(
        &mut self,
        before: Option<&InstanceRecord>,
        after: &InstanceRecord,
        exact: bool,
    ) {
        let state = after.state();
        if let Some(before) = before.map(InstanceRecord::state)
            && before != state
            && (state.version < before.version || state.revision != before.revision.next())
        {
            let detail = format!(
                "`{}`: version {} revision {} became version {} revision {}",
                state.instance.id(),
                before.version,
                before.revision,
                state.version,
                state.revision
            );
            self.blame(Invariant::OnlyForward, detail);
        }
        for (attempt, _, placed) in after.placed().filter(|_| exact) {
            let Some((counted_from, created_at)) = self.counted_from.get(attempt) else {
                continue;
            };
            // Within one millisecond nobody can tell what came first; the view by identity covers it.
            let tie = state.updated_at == Some(*created_at) || state.updated_at == Some(placed.created_at);
            if placed.report == ReportInclusion::Included && state.version < *counted_from && !tie {
                let detail = format!(
                    "`{}` counts `{}` by version {}, which ECS counts from version {counted_from}",
                    state.instance.id(),
                    attempt.task,
                    state.version
                );
                self.violation.get_or_insert(Violation {
                    invariant: Invariant::HonestReports,
                    detail,
                });
            }
        }
    }

    /// In the end nothing of ours is left on an instance, and the record says what ECS says.
    pub(super) fn compare(&mut self, record: &InstanceRecord, truth: Option<&InstanceReport>) {
        let state = record.state();
        let id = state.instance.id();
        let left = state.reservations.keys().next();
        if let Some(attempt) = left {
            self.blame(
                Invariant::RecordsEqualTruth,
                format!("`{id}` still holds room for `{}`", attempt.task),
            );
        }
        let Some(truth) = truth.filter(|truth| truth.status != InstanceStatus::Inactive) else {
            if state.status != InstanceStatus::Inactive {
                self.blame(
                    Invariant::RecordsEqualTruth,
                    format!("`{id}` is gone, and recorded as {:?}", state.status),
                );
            }
            return;
        };
        let room = record.room();
        let same = room.memory == truth.remaining.memory
            && room.cpu == truth.remaining.cpu
            && room.gpu == truth.remaining.gpu
            && room.ports_taken == truth.remaining.ports_taken
            && state.status == truth.status
            && state.agent == truth.agent;
        if !same {
            let stopping = state
                .other_tasks
                .values()
                .filter(|it| it.stage == TaskStage::Stopping)
                .count();
            let detail = format!(
                "`{id}` is recorded with {room:?}, {:?}, {:?}, {stopping} stopping tasks of others; ECS says {:?}, {:?}, {:?}",
                state.status, state.agent, truth.remaining, truth.status, truth.agent
            );
            self.blame(Invariant::RecordsEqualTruth, detail);
        }
    }
}
