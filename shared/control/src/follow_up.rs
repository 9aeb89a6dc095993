//! What must be done about a task after its record has changed, or because its time has come: put it in its lane
//! or take it out, stop it, and make an appointment to look at it again.
//!
//! The record is the truth; lanes and appointments are only how it is found. So everything here can be repeated,
//! and whoever crashes in between is followed by a repeated message, an event, or an appointment.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use berth_scheduler::id::ClusterName;
use berth_scheduler::progress::{Due, TaskProgress, TaskState};
use berth_scheduler::retry::MemoryNeed;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::Priority;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::ports::{
    Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, PortError, Ports, StopAnswer,
};
use crate::records::{Appointment, LaneRecord, TaskRecord};
use crate::requirements;
use crate::wire::refusal::Refusal;
use crate::wire::submission::LaunchRequest;

/// How often a record that somebody else changed meanwhile is looked at again.
const TRIES_MAX: usize = 10;

/// Appointments that are read at once.
const APPOINTMENTS_READ: usize = 100;

/// Appointments that are kept at the same time: whoever waits for room waits for them, too.
const APPOINTMENTS_AT_ONCE: usize = 16;

/// Most rounds of appointments in one go; the others are kept by the next one.
const ROUNDS_MAX: usize = 10;

/// Puts a task in its lane, and the lane in the list, in this order: a lane is only retired when nobody waits
/// in it.
pub(crate) async fn put_in_lane<L: Ledger>(
    ledger: &L,
    task: &TaskRecord,
    lane: &LaneRecord,
) -> Result<(), PortError> {
    ledger.enqueue(&task.cluster, &task.lane, &task.waiting()).await?;
    ledger.open_lane(&task.cluster, lane).await
}

/// Takes a task out of its lane, unless it was put there again since this record of it was written.
pub(crate) async fn take_out<L: Ledger>(ledger: &L, task: &TaskRecord) -> Result<(), PortError> {
    ledger
        .dequeue(&task.cluster, &task.lane, &task.rank, task.revision)
        .await
}

/// Makes sure that the task is looked at at this moment.
pub(crate) async fn appoint<L: Ledger>(
    ledger: &L,
    task: &TaskRecord,
    due: Timestamp,
) -> Result<(), PortError> {
    let appointment = Appointment {
        due,
        task: task.id.clone(),
        group: task.group.clone(),
    };
    ledger.appoint(&task.cluster, &appointment).await
}

/// Notes when to look again, before anything is done that may be the last thing: whoever crashes in between leaves a
/// task that time still finds.
async fn note<L: Ledger>(ledger: &L, task: &TaskRecord, next: Option<Timestamp>) -> Result<(), PortError> {
    match next {
        Some(next) => appoint(ledger, task, next).await,
        None => Ok(()),
    }
}

/// Does what is due for a task, and gives the moment of its next appointment.
///
/// # Errors
/// When a port fails, or the record changes under every try.
pub(crate) async fn follow_up<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    mut task: TaskRecord,
) -> Result<Option<Timestamp>, PortError> {
    for _ in 0..TRIES_MAX {
        let now = ports.clock.now();
        let next = match task.progress.due(&task.terms, now) {
            Due::Enter(next) => {
                note(ports.ledger, &task, next).await?;
                if let Some(changed) = enter(ports, &task).await? {
                    task = changed;
                    continue;
                }
                next
            }
            Due::Expire(progress) | Due::TimeOut(progress) => {
                task = commit(ports.ledger, task.after(*progress)).await?;
                continue;
            }
            Due::Stop => {
                let next = Some(TaskProgress::look_again(now));
                note(ports.ledger, &task, next).await?;
                stop(ports, &task).await?;
                next
            }
            Due::Later(next) => {
                note(ports.ledger, &task, Some(next)).await?;
                Some(next)
            }
            Due::Nothing => None,
        };
        match &task.progress.state {
            // A launch under way may be refused, and then needs its place.
            TaskState::Reserved(_) => keep_place(ports, &task).await?,
            TaskState::Waiting { .. } if task.progress.hold.is_some() => {
                take_out(ports.ledger, &task).await?;
            }
            TaskState::Final(_) => take_out(ports.ledger, &task).await?,
            TaskState::Waiting { .. } | TaskState::Started(_) | TaskState::Doubt { .. } => {}
        }
        leave_old_places(ports.ledger, &task).await?;
        return Ok(next);
    }
    Err(PortError::Failed {
        operation: "follow a task up",
        message: format!("the record of `{}` changed under {TRIES_MAX} tries", task.id),
    })
}

/// Puts a task that may start in its lane; `Some` with its new record when that had to change first.
async fn enter<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    task: &TaskRecord,
) -> Result<Option<TaskRecord>, PortError> {
    let needed = match requirements::of_task(ports.ecs, task).await? {
        Ok(needed) => needed,
        Err(refusal) => return refuse(ports, task, &refusal).await.map(Some),
    };
    if task.progress.memory == MemoryNeed::More {
        let mut grown = TaskRecord {
            request: more_memory(task, &needed),
            ..task.after(TaskProgress {
                memory: MemoryNeed::Same,
                ..task.progress.clone()
            })
        };
        match requirements::of_task(ports.ecs, &grown).await? {
            Ok(needed) => {
                grown.demand = needed.demand;
                grown.lane = needed.lane.key;
            }
            Err(refusal) => return refuse(ports, task, &refusal).await.map(Some),
        }
        return commit(ports.ledger, grown).await.map(Some);
    }
    if task.lane != needed.lane.key {
        // An older release named lanes differently.
        let moved = TaskRecord {
            lane: needed.lane.key,
            ..task.after(task.progress.clone())
        };
        return commit(ports.ledger, moved).await.map(Some);
    }
    put_in_lane(ports.ledger, task, &needed.lane).await?;
    Ok(None)
}

/// Makes sure that a task whose launch is under way is in its lane: its place may have changed meanwhile.
async fn keep_place<L: Ledger, E: Inspector, M, C>(
    ports: Ports<'_, L, E, M, C>,
    task: &TaskRecord,
) -> Result<(), PortError> {
    let needed = requirements::of_task(ports.ecs, task).await?;
    let lane = match needed {
        Ok(needed) if needed.lane.key == task.lane => Some(needed.lane),
        // It keeps the name that its lane has, and that lane may not be listed any more.
        _ => requirements::lane_of_record(task),
    };
    match lane {
        Some(lane) => put_in_lane(ports.ledger, task, &lane).await,
        None => {
            ports
                .ledger
                .enqueue(&task.cluster, &task.lane, &task.waiting())
                .await
        }
    }
}

/// Takes a task out of the places that it had with other priorities, after it was put in its new one: a task in no
/// place would be found by nobody. Whoever changed a priority may have died before this, and its message may never
/// come again, or come from the dead-letter queue as another one; so this belongs to whatever happens next.
async fn leave_old_places<L: Ledger>(ledger: &L, task: &TaskRecord) -> Result<(), PortError> {
    let remembered = task.commands.iter().filter_map(|it| it.previous_priority);
    let old: BTreeSet<Priority> = remembered.filter_map(Priority::new).collect();
    for priority in old.into_iter().filter(|it| *it != task.rank.priority()) {
        let rank = task.rank.with_priority(priority);
        ledger
            .dequeue(&task.cluster, &task.lane, &rank, task.revision)
            .await?;
    }
    Ok(())
}

fn more_memory(task: &TaskRecord, needed: &requirements::Requirements) -> Arc<LaunchRequest> {
    let growth = task.terms.retry.on_out_of_memory;
    let grown = growth.and_then(|growth| {
        requirements::with_more_memory(&needed.definition, &task.request.overrides, growth)
    });
    match grown {
        Some(overrides) => Arc::new(LaunchRequest {
            overrides,
            ..LaunchRequest::clone(&task.request)
        }),
        None => Arc::clone(&task.request),
    }
}

/// Refuses a task that can never start again: its task definition is gone.
async fn refuse<L: Ledger, E, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    task: &TaskRecord,
    refusal: &Refusal,
) -> Result<TaskRecord, PortError> {
    let now = ports.clock.now();
    let text = refusal.to_message(task.id.as_str(), &task.submission_text(), now);
    ports.messenger.refuse(&text).await?;
    let refused = task.progress.refuse_waiting(refusal.reason.clone(), now);
    commit(ports.ledger, task.after(refused)).await
}

/// Tells ECS to stop a task that runs.
async fn stop<L, E: Launcher, M, C>(
    ports: Ports<'_, L, E, M, C>,
    task: &TaskRecord,
) -> Result<(), PortError> {
    let (TaskState::Started(started), Some(stop)) = (&task.progress.state, &task.progress.stop) else {
        return Ok(());
    };
    let reason = stop.request.reason.as_deref().unwrap_or("cancelled");
    match ports
        .ecs
        .stop_task(&task.cluster, &started.task, &format!("Berth: {reason}"))
        .await?
    {
        // Its end is an event, or found by the reconciler.
        StopAnswer::Stopping | StopAnswer::Unknown => Ok(()),
    }
}

/// Writes a task's record, and gives what is stored then: this one, or what somebody else made of it.
async fn commit<L: Ledger>(ledger: &L, task: TaskRecord) -> Result<TaskRecord, PortError> {
    let change = Change {
        task: Some(&task),
        ..Change::default()
    };
    if ledger.commit(change).await? == Committed::Done {
        return Ok(task);
    }
    Ok(ledger.load_task(&task.id).await?.unwrap_or(task))
}

/// Keeps the appointments of a cluster that are due; those that are not kept by `work_until` are kept next time.
///
/// # Errors
/// When a port fails; what is left is kept next time.
pub(crate) async fn keep_appointments<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    work_until: Timestamp,
) -> Result<(), PortError> {
    for _ in 0..ROUNDS_MAX {
        let now = ports.clock.now();
        let due = ports
            .ledger
            .load_appointments(cluster, now, APPOINTMENTS_READ)
            .await?;
        let kept = stream::iter(&due).map(|it| keep(ports, cluster, it, work_until));
        kept.buffer_unordered(APPOINTMENTS_AT_ONCE)
            .try_for_each(|()| ready(Ok(())))
            .await?;
        if due.len() < APPOINTMENTS_READ || ports.clock.now() >= work_until {
            break;
        }
    }
    Ok(())
}

async fn keep<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    appointment: &Appointment,
    work_until: Timestamp,
) -> Result<(), PortError> {
    if ports.clock.now() >= work_until {
        return Ok(());
    }
    let next = match ports.ledger.load_task(&appointment.task).await {
        Ok(Some(task)) => follow_up(ports, task).await?,
        Ok(None) => None,
        // The reconciler sets it aside.
        Err(PortError::Unreadable { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if next == Some(appointment.due) {
        return Ok(());
    }
    ports.ledger.dismiss(cluster, appointment).await
}
