//! What ECS says about container instances and tasks, in events and in answers to Describe calls.

use crate::attributes::AttributeSet;
use crate::id::{
    AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn, TaskGroup,
};
use crate::instance::InstanceRecord;
use crate::resources::{Demand, Resources};
use crate::timestamp::Timestamp;

/// The status of a container instance.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceStatus {
    /// Being set up.
    Registering,
    /// Could not be set up.
    RegistrationFailed,
    /// Takes tasks.
    Active,
    /// Keeps its tasks and takes no new ones.
    Draining,
    /// Being removed.
    Deregistering,
    /// Gone; the record stays as a tombstone so that a late event cannot bring the instance back.
    Inactive,
}

impl InstanceStatus {
    /// ECS's word for the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registering => "REGISTERING",
            Self::RegistrationFailed => "REGISTRATION_FAILED",
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Deregistering => "DEREGISTERING",
            Self::Inactive => "INACTIVE",
        }
    }

    /// Reads ECS's word.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Registering,
            Self::RegistrationFailed,
            Self::Active,
            Self::Draining,
            Self::Deregistering,
            Self::Inactive,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// Whether the ECS agent of an instance is connected. Disconnects of a few minutes are normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentConnection {
    /// It can start tasks.
    Connected,
    /// ECS would refuse a task with the reason AGENT.
    Disconnected,
}

/// Everything ECS says about one container instance at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceReport {
    /// Which container instance.
    pub instance: ContainerInstanceArn,
    /// The EC2 instance below it.
    pub ec2_instance_id: Option<Ec2InstanceId>,
    /// Its status.
    pub status: InstanceStatus,
    /// Whether its agent is connected.
    pub agent: AgentConnection,
    /// The agent's version, such as `1.86.2`.
    pub agent_version: Option<String>,
    /// Rises with every change of the instance.
    pub version: ReportVersion,
    /// When ECS made this version, on ECS's clock; only events tell.
    pub updated_at: Option<Timestamp>,
    /// When the instance registered.
    pub registered_at: Option<Timestamp>,
    /// All its resources.
    pub registered: Resources,
    /// What ECS says remains of them. Tasks on their way out are already given back.
    pub remaining: Resources,
    /// Tasks with status RUNNING.
    pub running_tasks: u32,
    /// Its attributes; `None` or empty when the report does not tell (a first event has none).
    pub attributes: Option<AttributeSet>,
    /// How the report came.
    pub source: ReportSource,
}

/// How a report came to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportSource {
    /// An event, possibly late, repeated or out of order.
    Event,
    /// The answer to a DescribeContainerInstances call. These attempts were known to be placed before the
    /// call was sent, so the answer counts them.
    Described {
        /// Attempts placed before the call.
        placed_before: Vec<AttemptId>,
        /// The revision of the capacity record before the call, if there was one: what has changed since may or may
        /// not be in the answer.
        revision_before: Option<Revision>,
    },
}

impl Default for ReportSource {
    fn default() -> Self {
        Self::Described {
            placed_before: Vec::new(),
            revision_before: None,
        }
    }
}

impl ReportSource {
    /// The answer to a call that is sent after this record was read.
    pub fn described_after(record: &InstanceRecord) -> Self {
        Self::Described {
            placed_before: record.placed().map(|(attempt, ..)| attempt.clone()).collect(),
            revision_before: Some(record.state().revision),
        }
    }
}

/// Everything Berth needs of what ECS says about one task at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// Which task.
    pub task: TaskArn,
    /// Where it runs; `None` before it is placed.
    pub instance: Option<ContainerInstanceArn>,
    /// Rises with every change of the task; not related to the instance's versions.
    pub version: ReportVersion,
    /// Where it is.
    pub status: TaskStatus,
    /// When ECS created it.
    pub created_at: Option<Timestamp>,
    /// Its group.
    pub group: TaskGroup,
    /// The attempt of ours that started it; `None` for a task that others started.
    pub attempt: Option<AttemptId>,
    /// What it takes, as far as the report tells.
    pub demand: Demand,
    /// How it ended, when it has.
    pub end: Option<TaskEnd>,
}

/// The part of a task's life cycle that matters for capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// On its way to RUNNING or there.
    Running,
    /// `desiredStatus` STOPPED, `lastStatus` not yet.
    Stopping,
    /// `lastStatus` STOPPED (or DELETED).
    Stopped,
}

/// How a task ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskEnd {
    /// When it stopped, on ECS's clock.
    pub stopped_at: Option<Timestamp>,
    /// ECS's stop code, such as `EssentialContainerExited`.
    pub stop_code: Option<String>,
    /// ECS's own words.
    pub stopped_reason: Option<String>,
    /// The first container exit code that is not 0, else the first one there is.
    pub exit_code: Option<i32>,
    /// The reason of the container with that exit code, else of the first that has one, such as
    /// `OutOfMemoryError: Container killed due to memory usage`.
    pub container_reason: Option<String>,
}
