//! Room on an instance that Berth has promised to one attempt of a task, kept until the task has ended.

use crate::id::{ReportVersion, TaskArn, TaskGroup};
use crate::resources::Demand;
use crate::run_time::RunOutlook;
use crate::timestamp::Timestamp;

/// Room promised to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// What the task takes.
    pub demand: Demand,
    /// The task's group, counted by `spread` and `distinctInstance`.
    pub group: TaskGroup,
    /// How long it will run, as far as that is known.
    pub outlook: RunOutlook,
    /// The instance's report version when the reservation was made: only a later report can include it.
    pub reserved_at_version: ReportVersion,
    /// How far the task has come.
    pub state: ReservationState,
}

impl Reservation {
    /// When the task started, on ECS's clock; `None` while RunTask has not been answered.
    pub fn started_at(&self) -> Option<Timestamp> {
        match &self.state {
            ReservationState::Pending => None,
            ReservationState::Placed(placed) => Some(placed.created_at),
        }
    }

    /// Whether the task is on its way out.
    pub fn is_stopping(&self) -> bool {
        matches!(&self.state, ReservationState::Placed(placed) if placed.stage == TaskStage::Stopping)
    }
}

/// How far a reserved task has come, as far as Berth knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationState {
    /// RunTask has not been answered yet.
    Pending,
    /// ECS has placed the task.
    Placed(PlacedTask),
}

/// A task of ours that ECS has placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedTask {
    /// The ECS task.
    pub task: TaskArn,
    /// When ECS created it, on ECS's clock.
    pub created_at: Timestamp,
    /// Whether the instance's report already counts the task.
    pub report: ReportInclusion,
    /// Whether the task is on its way out.
    pub stage: TaskStage,
}

/// Whether a report of an instance already counts a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportInclusion {
    /// Not known to: its demand must still be taken off what the report says remains.
    NotYet,
    /// It does, and every later report too, until the task ends.
    Included,
}

/// Where a task is between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStage {
    /// `desiredStatus` is RUNNING.
    Running,
    /// `desiredStatus` is STOPPED and the task has not stopped yet: ECS already reports its resources as
    /// free, but its containers still use them.
    Stopping,
}

/// A task on the instance that Berth did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTask {
    /// What it takes, as far as its events tell.
    pub demand: Demand,
    /// Its group.
    pub group: TaskGroup,
    /// Its own report version.
    pub version: ReportVersion,
    /// Where it is between start and end.
    pub stage: TaskStage,
}
