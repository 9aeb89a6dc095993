//! Tasks of the simulated ECS.

use std::sync::Arc;

use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn, ReportVersion, TaskArn, TaskGroup};
use berth_scheduler::report::{TaskEnd, TaskReport, TaskStatus};
use berth_scheduler::resources::Demand;
use berth_scheduler::timestamp::Timestamp;

use super::definition::{Definition, Document};
use super::launch::LaunchType;
use super::schedule::StepId;

/// Counts the tasks of a simulated ECS, in the order of their creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskNumber(pub(super) u64);

impl TaskNumber {
    /// The bare number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Where a task is in its life.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Placed; the agent waits until the instance really has room for it.
    Queued,
    /// The agent starts its containers.
    Starting,
    /// Its containers run.
    Running,
    /// Its containers are being stopped. ECS has given its resources back already, but they are still used.
    Stopping,
    /// Its containers have ended.
    Stopped,
}

/// Why a task stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopCause {
    /// ECS's stop code.
    pub code: &'static str,
    /// The reason in words.
    pub reason: String,
    /// What its containers exit with, when they do so in order.
    pub exit_code: Option<i32>,
    /// What ECS says about the container, if anything.
    pub container_reason: Option<&'static str>,
}

/// How the containers of a task exit when they have run for as long as they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerExit {
    /// Their exit code.
    pub code: i32,
    /// What ECS says about it, if anything.
    pub reason: Option<&'static str>,
}

impl ContainerExit {
    /// The kernel killed the container because it took more memory than it may.
    pub const OUT_OF_MEMORY: Self = Self {
        code: 137,
        reason: Some("OutOfMemoryError: Container killed due to memory usage"),
    };
}

/// What a request says about a task that changes nothing here, kept to be answered again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskDetails {
    /// `overrides`, as they were sent.
    pub overrides: Document,
    /// `tags`, as they were sent.
    pub tags: Vec<serde_json::Value>,
    /// `enableExecuteCommand`.
    pub enable_execute_command: bool,
}

/// A port that a container got on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Position of the container in its task definition.
    pub container: usize,
    /// Position of the port in its container.
    pub mapping: usize,
    /// The port of the host.
    pub host_port: u16,
}

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) number: TaskNumber,
    pub(crate) arn: TaskArn,
    pub(crate) cluster: ClusterName,
    pub(crate) definition: Arc<Definition>,
    pub(crate) instance: ContainerInstanceArn,
    pub(crate) group: TaskGroup,
    pub(crate) started_by: Option<Arc<str>>,
    pub(crate) launch_type: LaunchType,
    pub(crate) demand: Demand,
    pub(crate) details: Arc<TaskDetails>,
    pub(crate) stage: Stage,
    pub(crate) version: ReportVersion,
    pub(crate) created_at: Timestamp,
    pub(crate) pulled_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) stopping_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) cause: Option<StopCause>,
    pub(crate) gpu_ids: Vec<Arc<str>>,
    pub(crate) bindings: Vec<Binding>,
    /// How long it runs.
    pub(super) duration_ms: u64,
    /// How it exits then.
    pub(super) exit: ContainerExit,
    /// Its next step, if one is planned.
    pub(super) step: Option<StepId>,
    pub(super) token: Option<Arc<str>>,
}

impl Task {
    /// ECS's word for where it is.
    pub fn last_status(&self) -> &'static str {
        match self.stage {
            // Its network interface is attached first.
            Stage::Queued | Stage::Starting if self.definition.uses_awsvpc() => "PROVISIONING",
            Stage::Queued | Stage::Starting => "PENDING",
            Stage::Running => "RUNNING",
            Stage::Stopping => "STOPPING",
            Stage::Stopped => "STOPPED",
        }
    }

    /// ECS's word for where it should be; never PENDING.
    pub fn desired_status(&self) -> &'static str {
        if self.is_wanted() { "RUNNING" } else { "STOPPED" }
    }

    /// Whether its desired status is RUNNING.
    pub fn is_wanted(&self) -> bool {
        matches!(self.stage, Stage::Queued | Stage::Starting | Stage::Running)
    }

    /// Whether its containers use their instance, or are about to.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Running | Stage::Stopping)
    }

    /// What ECS says about it.
    pub fn report(&self) -> TaskReport {
        TaskReport {
            task: self.arn.clone(),
            instance: Some(self.instance.clone()),
            version: self.version,
            status: match self.stage {
                Stage::Queued | Stage::Starting | Stage::Running => TaskStatus::Running,
                Stage::Stopping => TaskStatus::Stopping,
                Stage::Stopped => TaskStatus::Stopped,
            },
            created_at: Some(self.created_at),
            group: self.group.clone(),
            attempt: self.started_by.as_deref().and_then(AttemptId::from_started_by),
            demand: self.demand.clone(),
            end: (self.stage == Stage::Stopped).then(|| TaskEnd {
                stopped_at: self.stopped_at,
                stop_code: self.cause.as_ref().map(|cause| cause.code.to_owned()),
                stopped_reason: self.cause.as_ref().map(|cause| cause.reason.clone()),
                exit_code: self.cause.as_ref().and_then(|cause| cause.exit_code),
                container_reason: self
                    .cause
                    .as_ref()
                    .and_then(|cause| cause.container_reason)
                    .map(str::to_owned),
            }),
        }
    }
}
