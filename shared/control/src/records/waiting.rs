//! The stored form of a task's entry in its lane, and the text that sorts as ranks do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::id::{Revision, SubmissionId, TaskGroup, TaskId};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Priority, Rank, WaitingTask};

use super::form::{self, RecordError, Text};
use crate::wire::submission::COUNT_MAX;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WaitingForm {
    task: Text<TaskId>,
    priority: u16,
    submitted_at: Text<Timestamp>,
    group: Text<TaskGroup>,
    /// Missing in the entries of releases that never put a task back.
    #[serde(default)]
    stamp: u64,
}

/// Writes an entry.
pub fn to_json(task: &WaitingTask) -> Value {
    form::write(&WaitingForm {
        task: Text(task.rank.task()),
        priority: task.rank.priority().get(),
        submitted_at: Text(task.rank.submitted_at()),
        group: Text(task.group.clone()),
        stamp: task.stamp.get(),
    })
}

/// Reads an entry.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<WaitingTask, RecordError> {
    let form: WaitingForm = form::read(value)?;
    let priority = read_priority(form.priority)?;
    let rank = Rank::new(priority, form.submitted_at.0, &form.task.0);
    Ok(WaitingTask {
        rank,
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

pub(super) fn read_priority(priority: u16) -> Result<Priority, RecordError> {
    Priority::new(priority)
        .ok_or_else(|| RecordError::damaged("priority", format!("`{priority}` is above {}", Priority::MAX)))
}

/// The text that sorts among others as the rank does: what is left to the highest priority, the submission
/// time, the submission and the copy, such as `0950#2026-11-21T10:00:00.000Z#etl#01`.
///
/// ISO 8601 sorts by time because the year has four digits, and `#` sorts before every character of a
/// submission id, so an id sorts before the longer ones that begin with it.
pub fn sort_key(rank: &Rank) -> String {
    let task = rank.task();
    format!(
        "{:04}#{}#{}#{:02}",
        Priority::MAX.saturating_sub(rank.priority().get()),
        rank.submitted_at(),
        task.submission(),
        task.copy_number()
    )
}
