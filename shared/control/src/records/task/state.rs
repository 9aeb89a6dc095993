//! The stored form of how far a task has come.

use serde::{Deserialize, Serialize};

use berth_scheduler::id::{ContainerInstanceArn, TaskArn};
use berth_scheduler::progress::{
    FinalTask, FinishedRun, Outcome, ReservedTask, StartedTask, StopCause, StopRequest, TaskState,
};
use berth_scheduler::report::TaskEnd;
use berth_scheduler::timestamp::Timestamp;

use crate::records::form::Text;
use crate::records::request::RequestForm;

#[derive(Serialize, Deserialize)]
#[serde(
    tag = "state",
    content = "details",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum StateForm {
    Waiting {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_refusal: Option<String>,
    },
    Reserved {
        instance: Text<ContainerInstanceArn>,
        reserved_at: Text<Timestamp>,
        call_by: Text<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<String>,
    },
    Started {
        instance: Text<ContainerInstanceArn>,
        ecs_task: Text<TaskArn>,
        started_at: Text<Timestamp>,
    },
    Doubt {
        instance: Text<ContainerInstanceArn>,
    },
    Succeeded(FinalForm),
    Failed(FinalForm),
    Cancelled(FinalForm),
    Expired(FinalForm),
    Refused(FinalForm),
    /// Schema 1 did not tell success from failure.
    #[serde(skip_serializing)]
    Ended(FinalForm),
}

/// Schema 1 had no `at`, and a reason for refusals only.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FinalForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecs_task: Option<Text<TaskArn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<Text<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StopForm {
    cause: StopCauseForm,
    #[serde(flatten)]
    request: RequestForm,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StopCauseForm {
    Cancelled,
    TimedOut,
}

impl StateForm {
    /// The state. `submitted_at` is when a task of schema 1 ended at the earliest.
    pub(super) fn read(self, submitted_at: Timestamp) -> TaskState {
        match self {
            Self::Waiting { last_refusal } => TaskState::Waiting { last_refusal },
            Self::Reserved {
                instance,
                reserved_at,
                call_by,
                refused,
            } => TaskState::Reserved(ReservedTask {
                instance: instance.0,
                reserved_at: reserved_at.0,
                call_by: call_by.0,
                refused,
            }),
            Self::Started {
                instance,
                ecs_task,
                started_at,
            } => TaskState::Started(StartedTask {
                instance: instance.0,
                task: ecs_task.0,
                started_at: started_at.0,
            }),
            Self::Doubt { instance } => TaskState::Doubt { instance: instance.0 },
            Self::Succeeded(form) => form.read(Outcome::Succeeded, submitted_at),
            Self::Failed(form) => form.read(Outcome::Failed, submitted_at),
            Self::Cancelled(form) => form.read(Outcome::Cancelled, submitted_at),
            Self::Expired(form) => form.read(Outcome::Expired, submitted_at),
            Self::Refused(form) => form.read(Outcome::Refused, submitted_at),
            Self::Ended(form) => {
                let outcome = match form.exit_code {
                    Some(0) => Outcome::Succeeded,
                    _ => Outcome::Failed,
                };
                form.read(outcome, submitted_at)
            }
        }
    }
}

impl From<&TaskState> for StateForm {
    fn from(state: &TaskState) -> Self {
        match state {
            TaskState::Waiting { last_refusal } => Self::Waiting {
                last_refusal: last_refusal.clone(),
            },
            TaskState::Reserved(reserved) => Self::Reserved {
                instance: Text(reserved.instance.clone()),
                reserved_at: Text(reserved.reserved_at),
                call_by: Text(reserved.call_by),
                refused: reserved.refused.clone(),
            },
            TaskState::Started(started) => Self::Started {
                instance: Text(started.instance.clone()),
                ecs_task: Text(started.task.clone()),
                started_at: Text(started.started_at),
            },
            TaskState::Doubt { instance } => Self::Doubt {
                instance: Text(instance.clone()),
            },
            TaskState::Final(task) => {
                let form = FinalForm::from(task);
                match task.outcome {
                    Outcome::Succeeded => Self::Succeeded(form),
                    Outcome::Failed => Self::Failed(form),
                    Outcome::Cancelled => Self::Cancelled(form),
                    Outcome::Expired => Self::Expired(form),
                    Outcome::Refused => Self::Refused(form),
                }
            }
        }
    }
}

impl FinalForm {
    fn read(self, outcome: Outcome, submitted_at: Timestamp) -> TaskState {
        let stopped_at = self.stopped_at.map(|at| at.0);
        let end = TaskEnd {
            stopped_at,
            stop_code: self.stop_code,
            stopped_reason: self.stopped_reason,
            exit_code: self.exit_code,
            container_reason: self.container_reason,
        };
        TaskState::Final(FinalTask {
            outcome,
            reason: self.reason.unwrap_or_default(),
            at: self.at.map(|at| at.0).or(stopped_at).unwrap_or(submitted_at),
            run: self.ecs_task.map(|task| FinishedRun { task: task.0, end }),
        })
    }
}

impl From<&FinalTask> for FinalForm {
    fn from(task: &FinalTask) -> Self {
        let end = task.run.as_ref().map(|run| &run.end);
        Self {
            reason: Some(task.reason.clone()).filter(|reason| !reason.is_empty()),
            at: Some(Text(task.at)),
            ecs_task: task.run.as_ref().map(|run| Text(run.task.clone())),
            stopped_at: end.and_then(|end| end.stopped_at).map(Text),
            stop_code: end.and_then(|end| end.stop_code.clone()),
            stopped_reason: end.and_then(|end| end.stopped_reason.clone()),
            exit_code: end.and_then(|end| end.exit_code),
            container_reason: end.and_then(|end| end.container_reason.clone()),
        }
    }
}

impl From<&StopRequest> for StopForm {
    fn from(stop: &StopRequest) -> Self {
        Self {
            cause: match stop.cause {
                StopCause::Cancelled => StopCauseForm::Cancelled,
                StopCause::TimedOut => StopCauseForm::TimedOut,
            },
            request: (&stop.request).into(),
        }
    }
}

impl From<StopForm> for StopRequest {
    fn from(form: StopForm) -> Self {
        Self {
            cause: match form.cause {
                StopCauseForm::Cancelled => StopCause::Cancelled,
                StopCauseForm::TimedOut => StopCause::TimedOut,
            },
            request: form.request.into(),
        }
    }
}
