//! What others are told of where a task is: in answers about its status, and in events. Never what it was sent with.

use berth_scheduler::progress::{Outcome, TaskProgress, TaskState};
use serde::Serialize;

/// Where a task is, in the words of the record.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ToldState {
    pub(crate) state: &'static str,
    /// What became of the last attempt, or why the task has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) container_instance_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ecs_task_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_code: Option<i32>,
}

impl From<&TaskProgress> for ToldState {
    fn from(progress: &TaskProgress) -> Self {
        let told = Self {
            state: state_word(&progress.state),
            ..Self::default()
        };
        match &progress.state {
            TaskState::Waiting { last_refusal } => Self {
                reason: last_refusal.clone(),
                ..told
            },
            TaskState::Reserved(reserved) => Self {
                reason: reserved.refused.clone(),
                container_instance_arn: Some(reserved.instance.to_string()),
                ..told
            },
            TaskState::Started(started) => Self {
                container_instance_arn: Some(started.instance.to_string()),
                ecs_task_arn: Some(started.task.to_string()),
                ..told
            },
            TaskState::Doubt { instance } => Self {
                container_instance_arn: Some(instance.to_string()),
                ..told
            },
            TaskState::Final(task) => Self {
                reason: Some(task.reason.clone()).filter(|reason| !reason.is_empty()),
                ecs_task_arn: task.run.as_ref().map(|run| run.task.to_string()),
                exit_code: task.run.as_ref().and_then(|run| run.end.exit_code),
                ..told
            },
        }
    }
}

/// The word for a state, as in the record.
pub(crate) const fn state_word(state: &TaskState) -> &'static str {
    match state {
        TaskState::Waiting { .. } => "waiting",
        TaskState::Reserved(_) => "reserved",
        TaskState::Started(_) => "started",
        TaskState::Doubt { .. } => "doubt",
        TaskState::Final(task) => match task.outcome {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Expired => "expired",
            Outcome::Refused => "refused",
        },
    }
}
