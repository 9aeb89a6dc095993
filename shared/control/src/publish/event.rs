//! What a change of a record means to others, if anything.

use berth_scheduler::id::ClusterName;
use berth_scheduler::progress::TaskState;
use berth_scheduler::timestamp::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{EventKind, PublishedEvent, RecordChange, Subject};
use crate::records::form::RecordError;
use crate::records::{TaskRecord, hold, request, task};
use crate::wire::task_state::{ToldState, state_word};

/// The schema number of the details. Fields may be added under the same number.
const SCHEMA: u64 = 1;

/// The fields of a stored lane that are told.
const HOLD: &str = "hold";
const HELD_AT: &str = "heldAt";
const LANE: &str = "lane";
/// The kind of a stored hold reason.
const REASON: &str = "reason";
const TEXT: &str = "text";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskDetail {
    schema: u64,
    task: String,
    submission: String,
    cluster: String,
    #[serde(flatten)]
    told: ToldState,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_state: Option<&'static str>,
    sequence: u64,
    attempt: u64,
    priority: u16,
    group: String,
    task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_hold: Option<Value>,
    submitted_at: String,
    at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaneDetail {
    schema: u64,
    lane: String,
    cluster: String,
    reason: Value,
    text: String,
    at: String,
}

/// The event that a change is worth, if any: for a task, when its state, its priority or whether it is on hold has
/// changed; for a lane, when the kind of its hold reason has.
///
/// # Errors
/// When the new record is damaged or was written by a newer release. An old one that cannot be read counts as none.
pub fn event_of(change: &RecordChange) -> Result<Option<PublishedEvent>, RecordError> {
    let Some(new) = &change.new else {
        return Ok(None);
    };
    match &change.subject {
        Subject::Task => {
            let new = task::from_json(new)?;
            let old = change.old.as_ref().and_then(|old| task::from_json(old).ok());
            let is_news = old.as_ref().is_none_or(|old| differs(old, &new));
            Ok(is_news.then(|| {
                event(
                    EventKind::TaskStateChange,
                    &task_detail(&new, old.as_ref(), change.at),
                )
            }))
        }
        Subject::Lane(cluster) => {
            let is_news = kind_of_hold(Some(new)) != kind_of_hold(change.old.as_ref());
            match new.get(HOLD).filter(|_| is_news) {
                Some(stored) => {
                    let detail = lane_detail(cluster, new, stored, change.at)?;
                    Ok(Some(event(EventKind::LaneHeld, &detail)))
                }
                None => Ok(None),
            }
        }
    }
}

fn event(kind: EventKind, detail: &impl Serialize) -> PublishedEvent {
    PublishedEvent {
        kind,
        // Texts and whole numbers: there is nothing in it that could fail to become JSON.
        detail: serde_json::to_string(detail).unwrap_or_default(),
    }
}

fn differs(old: &TaskRecord, new: &TaskRecord) -> bool {
    state_word(&old.progress.state) != state_word(&new.progress.state)
        || old.progress.hold != new.progress.hold
        || old.rank.priority() != new.rank.priority()
}

fn task_detail(new: &TaskRecord, old: Option<&TaskRecord>, at: Timestamp) -> TaskDetail {
    let mut told = ToldState::from(&new.progress);
    if matches!(new.progress.state, TaskState::Final(_)) {
        // The end of a task does not say where it ran; the state before it does.
        told.container_instance_arn =
            old.and_then(|old| ToldState::from(&old.progress).container_instance_arn);
    }
    TaskDetail {
        schema: SCHEMA,
        task: new.id.to_string(),
        submission: new.id.submission().to_string(),
        cluster: new.cluster.to_string(),
        told,
        previous_state: old.map(|old| state_word(&old.progress.state)),
        sequence: new.revision.get(),
        attempt: new.progress.attempt.get(),
        priority: new.rank.priority().get(),
        group: new.group.to_string(),
        task_definition: new.task_definition.to_string(),
        on_hold: new.progress.hold.as_ref().map(request::to_json),
        submitted_at: new.rank.submitted_at().to_string(),
        at: at.to_string(),
    }
}

/// The kind of reason that a stored lane waits for. Its figures change with every cycle and are no news.
fn kind_of_hold(lane: Option<&Value>) -> Option<&str> {
    lane?.get(HOLD)?.get(REASON)?.as_str()
}

fn lane_detail(
    cluster: &ClusterName,
    lane: &Value,
    stored: &Value,
    at: Timestamp,
) -> Result<LaneDetail, RecordError> {
    let text_of = |name: &str| lane.get(name).and_then(Value::as_str);
    let held = hold::from_json(stored)?;
    let mut reason = hold::to_json(&held);
    if let Value::Object(fields) = &mut reason {
        fields.remove(TEXT);
    }
    Ok(LaneDetail {
        schema: SCHEMA,
        lane: text_of(LANE).unwrap_or_default().to_owned(),
        cluster: cluster.to_string(),
        reason,
        text: hold::text(&held),
        at: text_of(HELD_AT).map_or_else(|| at.to_string(), str::to_owned),
    })
}
