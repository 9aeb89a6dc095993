//! The stored form of a task's entry in its lane, and the text that sorts as ranks do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::id::{Revision, SubmissionId, TaskGroup, TaskId};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{AgingSeconds, Priority, Rank, WaitingTask};

use super::form::{self, RecordError, Text};
use super::outlook::OutlookForm;
use crate::wire::submission::COUNT_MAX;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitingForm {
    task: Text<TaskId>,
    priority: u16,
    submitted_at: Text<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aging_seconds: Option<u32>,
    group: Text<TaskGroup>,
    /// Missing in the entries of releases that never put a task back.
    #[serde(default)]
    stamp: u64,
    #[serde(flatten)]
    outlook: OutlookForm,
}

/// Writes an entry.
pub fn to_json(task: &WaitingTask) -> Value {
    form::write(&WaitingForm {
        task: Text(task.rank.task()),
        priority: task.rank.priority().get(),
        submitted_at: Text(task.rank.submitted_at()),
        aging_seconds: task.rank.aging().map(AgingSeconds::get),
        group: Text(task.group.clone()),
        stamp: task.stamp.get(),
        outlook: OutlookForm::new(&task.outlook, &task.group),
    })
}

/// Reads an entry.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<WaitingTask, RecordError> {
    let form: WaitingForm = form::read(value)?;
    let rank = read_rank(
        form.priority,
        form.submitted_at.0,
        form.aging_seconds,
        &form.task.0,
    )?;
    Ok(WaitingTask {
        rank,
        outlook: form.outlook.read(&form.group.0),
        group: form.group.0,
        stamp: Revision::new(form.stamp),
    })
}

/// The task whose entry has this sort key; `None` when it is none.
pub fn task_of_sort_key(key: &str) -> Option<TaskId> {
    let mut parts = key.rsplit('#');
    let copy: u8 = parts.next()?.parse().ok()?;
    let submission = SubmissionId::parse(parts.next()?).ok()?;
    (1..=COUNT_MAX)
        .contains(&copy)
        .then(|| TaskId::of_copy(&submission, copy))
}

/// The rank of a task from its stored parts.
pub(super) fn read_rank(
    priority: u16,
    submitted_at: Timestamp,
    aging_seconds: Option<u32>,
    task: &TaskId,
) -> Result<Rank, RecordError> {
    let damaged = |field, problem: String| RecordError::damaged(field, problem);
    let too_high = || damaged("priority", format!("`{priority}` is above {}", Priority::MAX));
    let priority = Priority::new(priority).ok_or_else(too_high)?;
    let read_aging = |seconds| {
        let out_of_range = || {
            damaged(
                "agingSeconds",
                format!("`{seconds}` is not 1 to {}", AgingSeconds::MAX),
            )
        };
        AgingSeconds::new(seconds).ok_or_else(out_of_range)
    };
    let aging = aging_seconds.map(read_aging).transpose()?;
    Ok(Rank::new(priority, submitted_at, task).with_aging(aging))
}

/// The text that sorts among others as the rank does: its band, its time, the submission and the copy. Without
/// aging these are what is left to the highest priority, and the submission time, such as
/// `0950#2026-11-21T10:00:00.000Z#etl#01`.
///
/// ISO 8601 sorts by time because the year has four digits, and `#` sorts before every character of a
/// submission id, so an id sorts before the longer ones that begin with it.
pub fn sort_key(rank: &Rank) -> String {
    let task = rank.task();
    format!(
        "{:04}#{}#{}#{:02}",
        rank.band(),
        rank.time(),
        task.submission(),
        task.copy_number()
    )
}
