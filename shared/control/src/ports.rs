//! What the flows need of the world. Three implementations keep the same promises: DynamoDB, ECS and SQS in
//! `berth-aws`, the simulated ones in `berth-simulator`, and the one that injects faults into either.

mod turn;

use std::future::Future;
use std::sync::Arc;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::demand::TaskDefinition;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    AttemptId, ClusterName, ContainerInstanceArn, Ec2InstanceId, Generation, LaneKey, Revision, TaskArn,
    TaskDefinitionArn, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::Request;
use berth_scheduler::report::{InstanceReport, TaskReport};
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, Rank, WaitingTask};

use crate::damage::{Damaged, Replaced, Replacement};
use crate::intake::DeadLetter;
use crate::publish::PublishedEvent;
use crate::records::{Appointment, LaneRecord, TaskRecord};
use crate::wire::submission::{LaunchRequest, TaskDefinitionName};

pub use self::turn::{
    Attention, FallAsleep, PassStart, PauseOrder, Turn, TurnRequest, WaitingList, WakeState,
};

/// A port could not do its work now. Nothing is known about whether a write took effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Too many calls; later ones may succeed.
    #[error("throttled by {service}")]
    Throttled {
        /// Which service.
        service: &'static str,
    },
    /// The call failed or gave no answer.
    #[error("{operation} failed: {message}")]
    Failed {
        /// Which operation.
        operation: &'static str,
        /// What was said instead of an answer.
        message: String,
    },
    /// A stored record cannot be read: damaged, or written by a newer release.
    #[error("record `{key}` cannot be read: {reason}")]
    Unreadable {
        /// The record's key.
        key: String,
        /// Why.
        reason: String,
    },
}

impl PortError {
    /// A stable name for the kind of error: what Lambda reports as the error's type, and what alarms match.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "Throttled",
            Self::Failed { .. } => "CallFailed",
            Self::Unreadable { .. } => "UnreadableRecord",
        }
    }
}

/// Records to be written together or not at all. Each record carries a revision one above the stored one
/// (1 for a new record); the ledger checks that.
#[derive(Clone, Debug, Default)]
pub struct Change<'a> {
    /// The task's new record.
    pub task: Option<&'a TaskRecord>,
    /// The instance's new record, and its cluster.
    pub instance: Option<(&'a ClusterName, &'a InstanceRecord)>,
}

/// What became of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it is stored. Also when an earlier try of the very same change had succeeded unnoticed.
    Done,
    /// Nothing is stored: the task's record was not as expected.
    TaskMoved,
    /// Nothing is stored: the instance's record was not as expected.
    InstanceMoved,
}

/// A lane as stored, with its hold reason.
#[derive(Clone, Debug)]
pub struct StoredLane {
    /// Its shape, first tasks and claims.
    pub lane: Lane,
    /// Why its tasks waited when last recorded, and when that was.
    pub hold: Option<(HoldReason, Timestamp)>,
}

/// The DynamoDB tables and their rules. All reads are strongly consistent: a stale read after reading the
/// generation would lose wake-ups.
pub trait Ledger {
    /// Reads a task.
    fn load_task(&self, task: &TaskId) -> impl Future<Output = Result<Option<TaskRecord>, PortError>>;

    /// Writes records together or not at all.
    fn commit(&self, change: Change<'_>) -> impl Future<Output = Result<Committed, PortError>>;

    /// Reads an instance's capacity record.
    fn load_instance(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> impl Future<Output = Result<Option<InstanceRecord>, PortError>>;

    /// Reads all capacity records of a cluster with their attributes, tombstones left out unless something
    /// is still reserved on them. What cannot be read is left out, too: nothing may be placed there.
    fn load_instances(
        &self,
        cluster: &ClusterName,
    ) -> impl Future<Output = Result<Vec<InstanceView>, PortError>>;

    /// Writes an instance's attributes. They are written before the capacity record that carries their
    /// fingerprint.
    fn store_attributes(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
        attributes: &AttributeSet,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Makes sure that a lane is listed. Call it after [`Ledger::enqueue`]: a lane that is being retired is
    /// opened again, so a waiting task is never in an unlisted lane.
    fn open_lane(
        &self,
        cluster: &ClusterName,
        lane: &LaneRecord,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Adds a task to its lane, unless it is there already with this stamp or a later one.
    fn enqueue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        task: &WaitingTask,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Takes a task out of its lane, unless it was put there again by a revision of its record later than
    /// `seen`. It may be gone already.
    fn dequeue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
        seen: Revision,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Whether nobody in the lane is ranked before this place, as far as the lane can be read.
    fn leads(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Reads all lanes of a cluster, each with its first `heads_max` tasks by rank. Lanes and entries that
    /// cannot be read are left out.
    fn load_lanes(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> impl Future<Output = Result<Vec<StoredLane>, PortError>>;

    /// Records why a lane's tasks wait.
    fn record_hold(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        reason: &HoldReason,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Records which instances are set aside for a lane's first tasks, in their order, in place of what was
    /// recorded before. A hint for the next plan, which hands out all claims anew.
    fn record_claims(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        claims: &[ContainerInstanceArn],
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Counts the run time of a task that has ended. Counting one twice does no harm.
    fn count_run_time(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        bucket: RunTimeBucket,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Reads what was learnt of one family, nothing at first. It may be a moment old, which makes it cheaper.
    fn load_run_times_of(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
    ) -> impl Future<Output = Result<RunTimeCounts, PortError>>;

    /// Reads all that was learnt of how long tasks run in a cluster.
    fn load_run_times(&self, cluster: &ClusterName) -> impl Future<Output = Result<RunTimes, PortError>>;

    /// Halves what was learnt of a family, if there is enough of it and nobody has counted since it was seen.
    fn halve_run_times(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        seen: &RunTimeCounts,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Removes a lane from the list if nobody waits in it: marks it as closing, looks once more, and removes
    /// it only if nobody opened it meanwhile.
    fn retire_lane(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Notes an appointment; it may be noted already.
    fn appoint(
        &self,
        cluster: &ClusterName,
        appointment: &Appointment,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Forgets an appointment; it may be forgotten already.
    fn dismiss(
        &self,
        cluster: &ClusterName,
        appointment: &Appointment,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Reads the first `most` appointments of a cluster that are due by then, the earliest first.
    fn load_appointments(
        &self,
        cluster: &ClusterName,
        due_by: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Appointment>, PortError>>;

    /// Pauses or resumes a cluster, unless that was decided by a later command already.
    fn set_pause(
        &self,
        cluster: &ClusterName,
        order: &PauseOrder,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Reads since when and why nothing may be started in a cluster, if so.
    fn load_pause(&self, cluster: &ClusterName) -> impl Future<Output = Result<Option<Request>, PortError>>;

    /// Counts a fact that may let a task start, and tells whether somebody is awake to see it.
    fn bump(&self, cluster: &ClusterName) -> impl Future<Output = Result<Attention, PortError>>;

    /// Takes the turn until `until` when it is free, its lease is over, or `owner` has it already; and, in the same
    /// step, marks the cluster as awake and begins a pass.
    fn take_turn(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<TurnRequest, PortError>>;

    /// Begins another pass of a cycle: reads the generation and whether the cluster is paused. `None` when another
    /// cycle has taken the turn.
    fn begin_pass(&self, turn: &Turn) -> impl Future<Output = Result<Option<PassStart>, PortError>>;

    /// Ends the lease, if it is still ours. The cluster stays awake: a wake message must follow.
    fn hand_back(&self, turn: &Turn) -> impl Future<Output = Result<(), PortError>>;

    /// Ends the lease and marks the cluster as asleep, or as idle if nobody waits, in one step: if the turn is still
    /// ours and the generation has not moved.
    fn fall_asleep(
        &self,
        turn: &Turn,
        seen: Generation,
        waiting: WaitingList,
    ) -> impl Future<Output = Result<FallAsleep, PortError>>;

    /// Reads the wake state.
    fn wake_state(&self, cluster: &ClusterName) -> impl Future<Output = Result<WakeState, PortError>>;

    /// The records of a cluster that cannot be read, task records aside: nobody can tell whose they are.
    fn load_damaged(&self, cluster: &ClusterName) -> impl Future<Output = Result<Vec<Damaged>, PortError>>;

    /// The record of a task, if it cannot be read.
    fn load_damaged_task(&self, task: &TaskId) -> impl Future<Output = Result<Option<Damaged>, PortError>>;

    /// Puts another record, or none, in the place of a damaged one, and keeps a copy of that, together or not at
    /// all.
    fn replace_damaged(
        &self,
        cluster: &ClusterName,
        damaged: &Damaged,
        with: Replacement,
    ) -> impl Future<Output = Result<Replaced, PortError>>;
}

/// One RunTask call: one task, pinned to one instance, under a client token that belongs to the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchCall {
    /// The cluster.
    pub cluster: ClusterName,
    /// Which attempt: gives `startedBy`.
    pub attempt: AttemptId,
    /// The attempt's client token, the same however often the call is repeated.
    pub client_token: String,
    /// Where it must run.
    pub pin: Pin,
    /// The task definition with its revision.
    pub task_definition: TaskDefinitionArn,
    /// Everything else the user asked for.
    pub request: Arc<LaunchRequest>,
}

/// The instance a launch is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The container instance.
    pub instance: ContainerInstanceArn,
    /// The EC2 instance below it, which the query language can name.
    pub ec2_instance_id: Ec2InstanceId,
}

/// What ECS said to StopTask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopAnswer {
    /// The task is stopping, or has stopped.
    Stopping,
    /// ECS does not know the task (any more).
    Unknown,
}

/// Starts and stops tasks.
pub trait Launcher {
    /// Calls RunTask once: one HTTP try, no retry of its own.
    fn run_task(&self, call: &LaunchCall) -> impl Future<Output = LaunchOutcome>;

    /// Calls StopTask. `reason` is for people; ECS cuts it at 255 characters.
    fn stop_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> impl Future<Output = Result<StopAnswer, PortError>>;
}

/// What ECS knows about a task definition name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskDefinitionAnswer {
    /// It exists and is ACTIVE.
    Active(Box<TaskDefinition>),
    /// The revision is INACTIVE.
    Inactive,
    /// There is none of that name.
    Unknown {
        /// ECS's own words.
        message: String,
    },
}

/// What ECS knows about one container instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribedInstance {
    /// It exists.
    Found(Box<InstanceReport>),
    /// ECS does not know it (any more).
    Missing(ContainerInstanceArn),
}

/// Asks ECS what is there.
pub trait Inspector {
    /// Describes a task definition by family, family and revision, or ARN.
    fn task_definition(
        &self,
        name: &TaskDefinitionName,
    ) -> impl Future<Output = Result<TaskDefinitionAnswer, PortError>>;

    /// Lists the container instances of a cluster, all pages. `None` when the cluster does not exist.
    fn list_instances(
        &self,
        cluster: &ClusterName,
    ) -> impl Future<Output = Result<Option<Vec<ContainerInstanceArn>>, PortError>>;

    /// Describes container instances, any number of them. What was recorded before is left empty in the source of the
    /// reports: the caller knows that.
    fn describe_instances(
        &self,
        cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> impl Future<Output = Result<Vec<DescribedInstance>, PortError>>;

    /// Lists the tasks on an instance, running and recently stopped.
    fn list_tasks(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> impl Future<Output = Result<Vec<TaskArn>, PortError>>;

    /// Describes tasks, any number of them. Those that ECS has forgotten are left out.
    fn describe_tasks(
        &self,
        cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> impl Future<Output = Result<Vec<TaskReport>, PortError>>;
}

/// Sends messages to Berth's own queues.
pub trait Messenger {
    /// Sends a wake message for a cluster, to arrive after a delay in seconds (0 to 900).
    fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> impl Future<Output = Result<(), PortError>>;

    /// Sends a refusal, as JSON text, to the refusals queue.
    fn refuse(&self, refusal: &str) -> impl Future<Output = Result<(), PortError>>;

    /// Puts a submission that could not be handled on the dead-letter queue, with its reason.
    fn dead_letter(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), PortError>>;
}

/// What the event bus said to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishAnswer {
    /// It is on the bus.
    Accepted,
    /// It is not.
    Refused {
        /// The bus's own words.
        reason: String,
    },
}

/// Tells others.
pub trait EventBus {
    /// Publishes at most 10 events in one call, and gives an answer for each, in the same order.
    fn publish(
        &self,
        events: &[PublishedEvent],
    ) -> impl Future<Output = Result<Vec<PublishAnswer>, PortError>>;
}

/// Tells the time.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The whole world of a function.
#[derive(Debug)]
pub struct Ports<'a, L, E, M, C> {
    /// The tables.
    pub ledger: &'a L,
    /// ECS.
    pub ecs: &'a E,
    /// The queues.
    pub messenger: &'a M,
    /// The time.
    pub clock: &'a C,
}

// Not derived: a reference can be copied whether or not what it points to can.
impl<L, E, M, C> Clone for Ports<'_, L, E, M, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, E, M, C> Copy for Ports<'_, L, E, M, C> {}
