//! The JSON of an answer, put together from what was read.

use berth_scheduler::hold::HoldReason;
use berth_scheduler::progress::{Request, TaskState};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::WaitingTask;
use serde::Serialize;
use serde_json::{Value, json};

use super::View;
use crate::ports::StoredLane;
use crate::records::{AppliedCommand, TaskRecord, hold, request};
use crate::wire::refusal::Refusal;
use crate::wire::task_state::ToldState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskAnswer {
    task: String,
    cluster: String,
    group: String,
    task_definition: String,
    priority: u16,
    submitted_at: String,
    #[serde(flatten)]
    told: ToldState,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopping: Option<Value>,
    #[serde(flatten)]
    waiting: Option<WaitingAnswer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<Value>,
}

/// What is told of a task that waits only.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingAnswer {
    /// One sentence: what keeps it waiting first of all.
    why: String,
    /// 1 is next. Missing when it waits for something else than room.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_hold: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_paused: Option<Value>,
    #[serde(flatten)]
    hold: Option<HoldAnswer>,
}

/// Why the tasks of a lane wait, as last recorded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldAnswer {
    hold: Value,
    held_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaneAnswer {
    lane: String,
    waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(flatten)]
    hold: Option<HoldAnswer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceAnswer {
    position: usize,
    task: String,
    priority: u16,
    submitted_at: String,
    group: String,
    lane: String,
}

/// The answer to a question that cannot be answered.
pub(super) fn of_error(refusal: &Refusal) -> Value {
    json!({"error": refusal.reason})
}

/// The answer about tasks. `view` is their cluster's, if any of them waits.
pub(super) fn of_tasks(tasks: &[TaskRecord], view: Option<&View>, now: Timestamp) -> Value {
    let order = view.map(order).unwrap_or_default();
    let answers: Vec<TaskAnswer> = tasks
        .iter()
        .map(|task| told_of(task, view, &order, now))
        .collect();
    json!({"tasks": answers})
}

/// The answer about a cluster, with the first `top` tasks of the order.
pub(super) fn of_cluster(view: &View, top: usize) -> Value {
    let order = order(view);
    let lanes: Vec<LaneAnswer> = view.lanes.iter().map(of_lane).collect();
    let first = order.iter().take(top).zip(1..);
    let first: Vec<PlaceAnswer> = first
        .map(|((waiting, lane), position)| of_place(waiting, lane, position))
        .collect();
    json!({
        "cluster": view.cluster.as_str(),
        "paused": view.pause.as_ref().map(request::to_json),
        "waiting": order.len(),
        "lanes": lanes,
        "order": first,
    })
}

/// Everybody who waits, in order, each with its lane.
fn order(view: &View) -> Vec<(&WaitingTask, &StoredLane)> {
    let mut order = Vec::new();
    for stored in &view.lanes {
        order.extend(stored.lane.heads.iter().map(|waiting| (waiting, stored)));
    }
    order.sort_by(|(one, _), (other, _)| one.rank.cmp(&other.rank));
    order
}

fn told_of(
    task: &TaskRecord,
    view: Option<&View>,
    order: &[(&WaitingTask, &StoredLane)],
    now: Timestamp,
) -> TaskAnswer {
    let waits = matches!(task.progress.state, TaskState::Waiting { .. });
    let view = view.filter(|_| waits);
    let stop = task.progress.stop.as_ref();
    TaskAnswer {
        task: task.id.to_string(),
        cluster: task.cluster.to_string(),
        group: task.group.to_string(),
        task_definition: task.task_definition.to_string(),
        priority: task.rank.priority().get(),
        submitted_at: task.rank.submitted_at().to_string(),
        told: ToldState::from(&task.progress),
        since: since(task).map(|since| since.to_string()),
        attempt: task.progress.attempt.get(),
        stopping: stop
            .filter(|_| !task.progress.is_final())
            .map(|stop| request::to_json(&stop.request)),
        waiting: view.map(|view| of_waiting(task, view, order, now)),
        commands: task.commands.iter().map(of_command).collect(),
    }
}

/// Since when a task is where it is. One that waits has its place since it was submitted, however often it was
/// tried; when a doubt began is not recorded.
fn since(task: &TaskRecord) -> Option<Timestamp> {
    match &task.progress.state {
        TaskState::Waiting { .. } => Some(task.rank.submitted_at()),
        TaskState::Reserved(reserved) => Some(reserved.reserved_at),
        TaskState::Started(started) => Some(started.started_at),
        TaskState::Doubt { .. } => None,
        TaskState::Final(task) => Some(task.at),
    }
}

fn of_waiting(
    task: &TaskRecord,
    view: &View,
    order: &[(&WaitingTask, &StoredLane)],
    now: Timestamp,
) -> WaitingAnswer {
    let lane = view.lanes.iter().find(|stored| stored.lane.key == task.lane);
    let held = lane.and_then(|stored| stored.hold.as_ref());
    let not_before = task.terms.not_before.filter(|not_before| *not_before > now);
    let on_hold = task.progress.hold.as_ref();
    let waits_for_room = on_hold.is_none() && not_before.is_none();
    let before = order.binary_search_by(|(waiting, _)| waiting.rank.cmp(&task.rank));
    let before = before.ok().filter(|_| waits_for_room);
    WaitingAnswer {
        why: why(on_hold, not_before, view.pause.as_ref(), held),
        position: before.map(|before| before.saturating_add(1)),
        on_hold: on_hold.map(|request| of_request(request, &task.commands)),
        not_before: not_before.map(|it| it.to_string()),
        start_by: task.terms.start_by.map(|it| it.to_string()),
        cluster_paused: view.pause.as_ref().map(request::to_json),
        hold: held.filter(|_| waits_for_room).map(of_hold),
    }
}

fn why(
    on_hold: Option<&Request>,
    not_before: Option<Timestamp>,
    pause: Option<&Request>,
    held: Option<&(HoldReason, Timestamp)>,
) -> String {
    match (on_hold, not_before, pause, held) {
        (Some(request), ..) => format!("it is on hold {request}"),
        (_, Some(not_before), ..) => format!("it may not start before {not_before}"),
        (_, _, Some(request), _) => format!("the cluster is paused {request}"),
        (_, _, _, Some((reason, _))) => hold::text(reason),
        _ => "no cycle has looked at it yet".to_owned(),
    }
}

/// What somebody asked for, with the message that did.
fn of_request(asked: &Request, commands: &[AppliedCommand]) -> Value {
    let mut told = request::to_json(asked);
    let at_that_moment = |command: &&AppliedCommand| command.stamp.sent_at == asked.at;
    let command = commands.iter().rev().find(at_that_moment);
    if let (Value::Object(fields), Some(command)) = (&mut told, command) {
        fields.insert("message".to_owned(), command.stamp.message_id.as_str().into());
    }
    told
}

fn of_hold((reason, at): &(HoldReason, Timestamp)) -> HoldAnswer {
    HoldAnswer {
        hold: hold::to_json(reason),
        held_at: at.to_string(),
    }
}

fn of_command(command: &AppliedCommand) -> Value {
    let mut told = json!({
        "action": command.action,
        "sentAt": command.stamp.sent_at.to_string(),
        "message": command.stamp.message_id,
    });
    if let Value::Object(fields) = &mut told {
        fields.extend(command.priority.map(|it| ("priority".to_owned(), it.into())));
        let reason = command.reason.as_deref();
        fields.extend(reason.map(|it| ("reason".to_owned(), it.into())));
    }
    told
}

fn of_lane(stored: &StoredLane) -> LaneAnswer {
    let first = stored.lane.heads.first();
    LaneAnswer {
        lane: stored.lane.key.to_string(),
        waiting: stored.lane.heads.len(),
        first: first.map(|first| first.rank.task().to_string()),
        hold: stored.hold.as_ref().map(of_hold),
    }
}

fn of_place(waiting: &WaitingTask, stored: &StoredLane, position: usize) -> PlaceAnswer {
    PlaceAnswer {
        position,
        task: waiting.rank.task().to_string(),
        priority: waiting.rank.priority().get(),
        submitted_at: waiting.rank.submitted_at().to_string(),
        group: waiting.group.to_string(),
        lane: stored.lane.key.to_string(),
    }
}
