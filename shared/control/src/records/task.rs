//! The stored form of a task.

mod state;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::id::{
    AttemptNumber, ClusterName, LaneKey, Revision, TaskDefinitionArn, TaskGroup, TaskId,
};
use berth_scheduler::progress::TaskProgress;
use berth_scheduler::retry::{MemoryNeed, RunCount};
use berth_scheduler::run_time::RunSeconds;
use berth_scheduler::shape::Strategy;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::AgingSeconds;

use self::state::{StateForm, StopForm};
use super::amount::DemandForm;
use super::form::{self, RecordError, Text};
use super::lane::StrategyForm;
use super::request::RequestForm;
use super::waiting::read_rank;
use super::{AppliedCommand, CommandStamp, TaskRecord};
use crate::wire::submission::{ContentHash, LaunchRequest};
use crate::wire::terms::TermsForm;

/// The schema number of tasks that this release writes, and the highest that it reads. Schema 1 had one state for
/// every end, and neither terms nor commands.
pub const SCHEMA: u64 = 2;

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strategies: Vec<StrategyForm>,
    request: LaunchRequest,
    #[serde(default, skip_serializing_if = "TermsForm::is_default")]
    terms: TermsForm,
    content: Text<ContentHash>,
    attempt: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    failed_runs: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    hosts_lost: u8,
    #[serde(default, skip_serializing_if = "MemoryForm::is_same")]
    memory: MemoryForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_hold: Option<RequestForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop: Option<StopForm>,
    #[serde(flatten)]
    state: StateForm,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<CommandForm>,
    revision: u64,
}

/// What the next run gets of memory.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum MemoryForm {
    #[default]
    Same,
    More,
}

impl MemoryForm {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes the field by reference"
    )]
    fn is_same(&self) -> bool {
        *self == Self::Same
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommandForm {
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_priority: Option<u16>,
    sent_at: Text<Timestamp>,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Writes a task.
pub fn to_json(record: &TaskRecord) -> Value {
    let progress = &record.progress;
    let form = TaskForm {
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
        strategies: record.strategies.iter().map(StrategyForm::from).collect(),
        request: LaunchRequest::clone(&record.request),
        terms: TermsForm::from(&record.terms),
        content: Text(record.content),
        attempt: progress.attempt.get(),
        failed_runs: progress.runs.failed,
        hosts_lost: progress.runs.hosts_lost,
        memory: match progress.memory {
            MemoryNeed::Same => MemoryForm::Same,
            MemoryNeed::More => MemoryForm::More,
        },
        on_hold: progress.hold.as_ref().map(RequestForm::from),
        stop: progress.stop.as_ref().map(StopForm::from),
        state: StateForm::from(&progress.state),
        commands: record.commands.iter().map(CommandForm::from).collect(),
        revision: record.revision.get(),
    };
    form::write_schema(&form, SCHEMA)
}

/// Reads a task.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<TaskRecord, RecordError> {
    let form: TaskForm = form::read_schema(value, SCHEMA)?;
    let submitted_at = form.submitted_at.0;
    let rank = read_rank(form.priority, submitted_at, form.aging_seconds, &form.task.0)?;
    let terms = form
        .terms
        .read()
        .map_err(|error| RecordError::damaged("terms", error))?;
    Ok(TaskRecord {
        id: form.task.0,
        cluster: form.cluster.0,
        rank,
        lane: form.lane.0,
        group: form.group.0,
        task_definition: form.task_definition.0,
        demand: form.demand.into(),
        strategies: form.strategies.into_iter().map(Strategy::from).collect(),
        expected: form.expected_seconds.and_then(RunSeconds::new),
        request: Arc::new(form.request),
        terms,
        content: form.content.0,
        progress: TaskProgress {
            attempt: AttemptNumber::new(form.attempt),
            state: form.state.read(submitted_at),
            runs: RunCount {
                failed: form.failed_runs,
                hosts_lost: form.hosts_lost,
            },
            memory: match form.memory {
                MemoryForm::Same => MemoryNeed::Same,
                MemoryForm::More => MemoryNeed::More,
            },
            hold: form.on_hold.map(Into::into),
            stop: form.stop.map(Into::into),
        },
        commands: form.commands.into_iter().map(AppliedCommand::from).collect(),
        revision: Revision::new(form.revision),
    })
}

impl From<&AppliedCommand> for CommandForm {
    fn from(command: &AppliedCommand) -> Self {
        Self {
            action: command.action.clone(),
            priority: command.priority,
            previous_priority: command.previous_priority,
            sent_at: Text(command.stamp.sent_at),
            message: command.stamp.message_id.clone(),
            reason: command.reason.clone(),
        }
    }
}

impl From<CommandForm> for AppliedCommand {
    fn from(form: CommandForm) -> Self {
        Self {
            action: form.action,
            priority: form.priority,
            previous_priority: form.previous_priority,
            stamp: CommandStamp {
                sent_at: form.sent_at.0,
                message_id: form.message,
            },
            reason: form.reason,
        }
    }
}
