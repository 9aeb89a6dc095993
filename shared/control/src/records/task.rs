//! The stored form of a task.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::id::{
    AttemptNumber, ClusterName, ContainerInstanceArn, LaneKey, Revision, TaskArn, TaskDefinitionArn,
    TaskGroup, TaskId,
};
use berth_scheduler::progress::{ReservedTask, StartedTask, TaskProgress, TaskState};
use berth_scheduler::report::TaskEnd;
use berth_scheduler::run_time::RunSeconds;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::AgingSeconds;

use super::TaskRecord;
use super::amount::DemandForm;
use super::form::{self, RecordError, Text};
use super::waiting::read_rank;
use crate::wire::submission::{ContentHash, LaunchRequest};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskForm {
    task: Text<TaskId>,
    cluster: Text<ClusterName>,
    priority: u16,
    submitted_at: Text<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aging_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected_seconds: Option<u32>,
    lane: Text<LaneKey>,
    group: Text<TaskGroup>,
    task_definition: Text<TaskDefinitionArn>,
    demand: DemandForm,
    request: LaunchRequest,
    content: Text<ContentHash>,
    attempt: u64,
    #[serde(flatten)]
    state: StateForm,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(
    tag = "state",
    content = "details",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum StateForm {
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
    Ended {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ecs_task: Option<Text<TaskArn>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_at: Option<Text<Timestamp>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop_code: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped_reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    Refused {
        reason: String,
    },
    Doubt {
        instance: Text<ContainerInstanceArn>,
    },
}

/// Writes a task.
pub fn to_json(record: &TaskRecord) -> Value {
    form::write(&TaskForm {
        task: Text(record.id.clone()),
        cluster: Text(record.cluster.clone()),
        priority: record.rank.priority().get(),
        submitted_at: Text(record.rank.submitted_at()),
        aging_seconds: record.rank.aging().map(AgingSeconds::get),
        expected_seconds: record.expected.map(RunSeconds::get),
        lane: Text(record.lane.clone()),
        group: Text(record.group.clone()),
        task_definition: Text(record.task_definition.clone()),
        demand: DemandForm::from(&record.demand),
        request: LaunchRequest::clone(&record.request),
        content: Text(record.content),
        attempt: record.progress.attempt.get(),
        state: StateForm::from(&record.progress.state),
        revision: record.revision.get(),
    })
}

/// Reads a task.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<TaskRecord, RecordError> {
    let form: TaskForm = form::read(value)?;
    let rank = read_rank(
        form.priority,
        form.submitted_at.0,
        form.aging_seconds,
        &form.task.0,
    )?;
    Ok(TaskRecord {
        id: form.task.0,
        cluster: form.cluster.0,
        rank,
        lane: form.lane.0,
        group: form.group.0,
        task_definition: form.task_definition.0,
        demand: form.demand.into(),
        expected: form.expected_seconds.and_then(RunSeconds::new),
        request: Arc::new(form.request),
        content: form.content.0,
        progress: TaskProgress {
            attempt: AttemptNumber::new(form.attempt),
            state: form.state.into(),
        },
        revision: Revision::new(form.revision),
    })
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
            TaskState::Ended { task, end } => Self::Ended {
                ecs_task: task.clone().map(Text),
                stopped_at: end.stopped_at.map(Text),
                stop_code: end.stop_code.clone(),
                stopped_reason: end.stopped_reason.clone(),
                exit_code: end.exit_code,
            },
            TaskState::Refused { reason } => Self::Refused {
                reason: reason.clone(),
            },
            TaskState::Doubt { instance } => Self::Doubt {
                instance: Text(instance.clone()),
            },
        }
    }
}

impl From<StateForm> for TaskState {
    fn from(form: StateForm) -> Self {
        match form {
            StateForm::Waiting { last_refusal } => Self::Waiting { last_refusal },
            StateForm::Reserved {
                instance,
                reserved_at,
                call_by,
                refused,
            } => Self::Reserved(ReservedTask {
                instance: instance.0,
                reserved_at: reserved_at.0,
                call_by: call_by.0,
                refused,
            }),
            StateForm::Started {
                instance,
                ecs_task,
                started_at,
            } => Self::Started(StartedTask {
                instance: instance.0,
                task: ecs_task.0,
                started_at: started_at.0,
            }),
            StateForm::Ended {
                ecs_task,
                stopped_at,
                stop_code,
                stopped_reason,
                exit_code,
            } => Self::Ended {
                task: ecs_task.map(|task| task.0),
                end: TaskEnd {
                    stopped_at: stopped_at.map(|at| at.0),
                    stop_code,
                    stopped_reason,
                    exit_code,
                },
            },
            StateForm::Refused { reason } => Self::Refused { reason },
            StateForm::Doubt { instance } => Self::Doubt { instance: instance.0 },
        }
    }
}
