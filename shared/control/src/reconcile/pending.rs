//! Reservations whose launch has no recorded answer, seen from the tasks' records.

use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn};
use berth_scheduler::progress::TaskState;
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;

use super::{ReconcileReport, repair};
use crate::follow_up::appoint;
use crate::orphan::strike_off;
use crate::ports::{Clock, Inspector, Ledger, Messenger, PortError, Ports};
use crate::records::TaskRecord;
use crate::track::change_instance;

/// Brings reservations to where their tasks are, and tells whether a launch is left for a cycle to resolve.
///
/// A cycle finds a launch without an answer by the task's entry in its lane. When the start or the end was recorded
/// and the reservation was not, that entry may be gone, and nobody else would look.
pub(super) async fn settle<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    stored: &[InstanceView],
    report: &mut ReconcileReport,
) -> Result<bool, PortError> {
    let mut unresolved = false;
    for view in stored {
        for attempt in view.record.pending_attempts() {
            match ports.ledger.load_task(&attempt.task).await {
                Err(PortError::Unreadable { .. }) => {
                    unresolved = true;
                    let damage = repair::set_task_aside(ports, cluster, &attempt.task).await?;
                    report.damage.extend(damage);
                }
                other => unresolved |= settle_one(ports, cluster, view.record.arn(), attempt, other?).await?,
            }
        }
    }
    Ok(unresolved)
}

/// A moment in the past that is the same however often this is repeated, and another one after the task has changed:
/// whoever keeps an appointment by an older record of the task must not dismiss this one.
pub(super) fn at_once(task: &TaskRecord) -> Timestamp {
    task.rank
        .submitted_at()
        .saturating_add_millis(task.revision.get())
}

/// Tells whether it is left for a cycle to resolve.
async fn settle_one<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    instance: &ContainerInstanceArn,
    attempt: &AttemptId,
    task: Option<TaskRecord>,
) -> Result<bool, PortError> {
    let current = task
        .as_ref()
        .filter(|task| task.progress.attempt == attempt.number);
    match current.map(|task| (task, &task.progress.state)) {
        Some((_, TaskState::Reserved(reserved))) if reserved.instance == *instance => return Ok(true),
        Some((_, TaskState::Started(started))) if started.instance == *instance => {
            change_instance(ports.ledger, cluster, instance, |record| {
                record.place(attempt, started.task.clone(), started.started_at)
            })
            .await?;
            return Ok(false);
        }
        // Its run has ended unseen by its lane: the admitter puts it back, before its room is given up.
        Some((task, TaskState::Waiting { .. })) => appoint(ports.ledger, task, at_once(task)).await?,
        // The attempt was begun elsewhere, or is over.
        Some(_) => {}
        None => {
            if !strike_off(ports.ledger, attempt, task.as_ref()).await? {
                return Ok(true);
            }
        }
    }
    change_instance(ports.ledger, cluster, instance, |record| {
        record.release(attempt, None)
    })
    .await?;
    Ok(false)
}
