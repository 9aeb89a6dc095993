//! The flow of capacity-tracker: what ECS reports becomes capacity records, and the admitter is woken.
//!
//! Nothing is decided here: the version rule and the accounting are `berth-scheduler`'s. Each step can be
//! repeated, because every event can be.

use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn, TaskFamily};
use berth_scheduler::instance::{InstanceRecord, Observed, observe};
use berth_scheduler::progress::{TaskProgress, TaskState};
use berth_scheduler::report::{InstanceReport, InstanceStatus, TaskReport, TaskStatus};
use berth_scheduler::reservation::{OtherTask, TaskStage};
use berth_scheduler::run_time::RunTimeBucket;
use berth_scheduler::timestamp::Timestamp;

use crate::follow_up::appoint;
use crate::learn::count_end;
use crate::ports::{Change, Committed, Ledger, Messenger, PortError};
use crate::records::TaskRecord;
use crate::wake::{News, announce};

/// How often a write is tried again when somebody else changed the record meanwhile. An instance has a
/// handful of writers at a time, so losing this often in a row means that something else is wrong; the event
/// then comes again.
const TRIES_MAX: usize = 10;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It changed a record in a way that may let somebody start.
    Recorded,
    /// It changed a record, and lets nobody start: room became less, or a task is known to run.
    Noted,
    /// A task of ours has ended and is to be run again.
    RunAgain,
    /// It repeats what is recorded.
    Known,
    /// It is newer than what is recorded, and tells only what follows from that.
    Expected,
    /// It is older than what is recorded.
    Stale,
    /// It concerns nothing that Berth keeps.
    NotOurs,
}

impl Tracked {
    /// Whether a record was changed.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Recorded | Self::Noted | Self::RunAgain)
    }
}

/// Records what ECS says about a container instance and announces it, if it may let somebody start. A repeated
/// report is announced too: the wake-up behind the first one may be lost.
///
/// # Errors
/// When a port fails; the event must then come again.
pub async fn track_instance<L: Ledger, M: Messenger>(
    ledger: &L,
    messenger: &M,
    cluster: &ClusterName,
    report: &InstanceReport,
) -> Result<Tracked, PortError> {
    let tracked = record_report(ledger, cluster, report).await?;
    if matches!(tracked, Tracked::Recorded | Tracked::Known) {
        announce(ledger, messenger, cluster, News::Room).await?;
    }
    Ok(tracked)
}

/// Stores a report by the version rule, without announcing it.
pub(crate) async fn record_report<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    report: &InstanceReport,
) -> Result<Tracked, PortError> {
    for _ in 0..TRIES_MAX {
        let stored = ledger.load_instance(cluster, &report.instance).await?;
        let record = match observe(stored.as_ref(), report) {
            Observed::Stale => return Ok(Tracked::Stale),
            Observed::Unchanged => return Ok(Tracked::Known),
            Observed::Expected => return Ok(Tracked::Expected),
            Observed::Updated(record) => record,
        };
        // The attributes of one that was gone may have been removed since.
        let known = stored.as_ref().map(InstanceRecord::state);
        let known = known.filter(|state| state.status != InstanceStatus::Inactive);
        let known = known.map(|state| state.attributes);
        if let Some(attributes) = report
            .attributes
            .as_ref()
            .filter(|attributes| !attributes.is_empty())
            && known != Some(attributes.fingerprint())
        {
            ledger
                .store_attributes(cluster, &report.instance, attributes)
                .await?;
        }
        if commit_instance(ledger, cluster, &record).await? == Committed::Done {
            return Ok(changed(stored.as_ref(), &record));
        }
    }
    Err(contended("record a report"))
}

/// Records what ECS says about a task: the life of one of ours, or the room and group of somebody else's.
///
/// # Errors
/// When a port fails; the event must then come again.
pub async fn track_task<L: Ledger, M: Messenger>(
    ledger: &L,
    messenger: &M,
    cluster: &ClusterName,
    report: &TaskReport,
) -> Result<Tracked, PortError> {
    let tracked = match &report.attempt {
        Some(attempt) => record_own_task(ledger, cluster, attempt, report).await?,
        None => record_other_task(ledger, cluster, report).await?,
    };
    let news = match tracked {
        Tracked::RunAgain => Some(News::Waiting),
        Tracked::Recorded => Some(News::Room),
        // A stop can free room even when it is known: the event that freed it may not have been announced.
        _ if report.status == TaskStatus::Stopped => Some(News::Room),
        _ => None,
    };
    if let Some(news) = news {
        announce(ledger, messenger, cluster, news).await?;
    }
    Ok(tracked)
}

/// Brings one of our tasks to where ECS says it is: first the task's record, then its reservation, so that a
/// crash in between leaves a reservation that the next report or cycle resolves.
pub(crate) async fn record_own_task<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    attempt: &AttemptId,
    report: &TaskReport,
) -> Result<Tracked, PortError> {
    let Some(instance) = &report.instance else {
        return Ok(Tracked::NotOurs);
    };
    let Some(task) = advance_task(ledger, attempt, report).await? else {
        return release_old_attempt(ledger, cluster, instance, attempt, report).await;
    };
    // It is run again. The admitter puts it back in its place; until that is noted, the reservation stays.
    let runs_again =
        report.status == TaskStatus::Stopped && matches!(task.progress.state, TaskState::Waiting { .. });
    if runs_again {
        appoint(ledger, &task, end_of(report).saturating_add_millis(1)).await?;
    }
    let tracked = change_instance(ledger, cluster, instance, |record| match report.status {
        TaskStatus::Stopped => record.release(attempt, stopped_at(report)),
        TaskStatus::Running | TaskStatus::Stopping => {
            let TaskState::Started(started) = &task.progress.state else {
                return None;
            };
            let placed = record.place(attempt, started.task.clone(), started.started_at);
            if report.status == TaskStatus::Running {
                return placed;
            }
            placed.as_ref().unwrap_or(record).stopping(attempt)
        }
    })
    .await?;
    Ok(if runs_again { Tracked::RunAgain } else { tracked })
}

/// The task has gone on to another attempt, or its record is no longer kept. Whoever recorded the end of this one
/// may have died before its room was given back.
async fn release_old_attempt<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    instance: &ContainerInstanceArn,
    attempt: &AttemptId,
    report: &TaskReport,
) -> Result<Tracked, PortError> {
    if report.status != TaskStatus::Stopped {
        return Ok(Tracked::NotOurs);
    }
    let ended_at = stopped_at(report);
    let release = |record: &InstanceRecord| record.release(attempt, ended_at);
    let released = change_instance(ledger, cluster, instance, release).await?;
    Ok(if released.is_change() {
        released
    } else {
        Tracked::NotOurs
    })
}

/// Moves the task's record on; `None` when the report is not about the task's current attempt.
async fn advance_task<L: Ledger>(
    ledger: &L,
    attempt: &AttemptId,
    report: &TaskReport,
) -> Result<Option<TaskRecord>, PortError> {
    for _ in 0..TRIES_MAX {
        let Some(task) = ledger.load_task(&attempt.task).await? else {
            return Ok(None);
        };
        if task.progress.attempt != attempt.number {
            return Ok(None);
        }
        let Some(progress) = next_progress(&task, report) else {
            return Ok(Some(task));
        };
        let run_time = run_time(&task, report);
        let task = task.after(progress);
        // Noted before it is true and, a millisecond later on the list, again after: a crash in between must not
        // leave a task that nobody looks at, and whoever keeps the first appointment too early must not dismiss
        // the second.
        if let TaskState::Waiting { .. } = task.progress.state {
            appoint(ledger, &task, end_of(report)).await?;
        }
        if ledger
            .commit(Change {
                task: Some(&task),
                ..Change::default()
            })
            .await?
            == Committed::Done
        {
            if let Some((family, bucket)) = run_time {
                // It only helps to choose: what comes after must not wait for it to be counted.
                let _uncounted = count_end(ledger, &task, &family, bucket).await;
            }
            return Ok(Some(task));
        }
    }
    Err(contended("record a task's progress"))
}

/// What is learnt from this step of a task's life: how long its family runs, when it has ended by itself.
fn run_time(task: &TaskRecord, report: &TaskReport) -> Option<(TaskFamily, RunTimeBucket)> {
    let end = report.end.as_ref()?;
    let started_at = match &task.progress.state {
        TaskState::Started(started) => started.started_at,
        // The end is reported before the start was recorded.
        _ => report.created_at?,
    };
    let bucket = RunTimeBucket::of_end(started_at, end)?;
    Some((task.outlook().family?, bucket))
}

fn next_progress(task: &TaskRecord, report: &TaskReport) -> Option<TaskProgress> {
    let progress = &task.progress;
    let attempt = progress.attempt;
    match report.status {
        TaskStatus::Running | TaskStatus::Stopping => {
            let created_at = report.created_at?;
            progress.start(attempt, report.task.clone(), created_at).ok()
        }
        TaskStatus::Stopped => progress
            .end(
                attempt,
                report.task.clone(),
                report.end.clone().unwrap_or_default(),
                &task.terms,
                end_of(report),
            )
            .ok(),
    }
}

fn stopped_at(report: &TaskReport) -> Option<Timestamp> {
    report.end.as_ref().and_then(|end| end.stopped_at)
}

/// When a task ended, as far as its report tells.
fn end_of(report: &TaskReport) -> Timestamp {
    stopped_at(report)
        .or(report.created_at)
        .unwrap_or(Timestamp::from_millis(0))
}

async fn record_other_task<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    report: &TaskReport,
) -> Result<Tracked, PortError> {
    let Some(instance) = &report.instance else {
        return Ok(Tracked::NotOurs);
    };
    let seen = |stage| OtherTask {
        demand: report.demand.clone(),
        group: report.group.clone(),
        version: report.version,
        stage,
    };
    change_instance(ledger, cluster, instance, |record| match report.status {
        TaskStatus::Running => record.observe_other(&report.task, seen(TaskStage::Running)),
        TaskStatus::Stopping => record.observe_other(&report.task, seen(TaskStage::Stopping)),
        TaskStatus::Stopped => record.forget_other(&report.task),
    })
    .await
}

fn changed(before: Option<&InstanceRecord>, after: &InstanceRecord) -> Tracked {
    if before.is_none_or(|before| after.offers_more_than(before)) {
        Tracked::Recorded
    } else {
        Tracked::Noted
    }
}

/// Applies a change to an instance's record until it is stored; [`Tracked::Known`] when there is nothing to change.
pub(crate) async fn change_instance<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    instance: &ContainerInstanceArn,
    change: impl Fn(&InstanceRecord) -> Option<InstanceRecord>,
) -> Result<Tracked, PortError> {
    for _ in 0..TRIES_MAX {
        let Some(stored) = ledger.load_instance(cluster, instance).await? else {
            return Ok(Tracked::Known);
        };
        let Some(next) = change(&stored) else {
            return Ok(Tracked::Known);
        };
        let next = next.as_next_of(&stored);
        if commit_instance(ledger, cluster, &next).await? == Committed::Done {
            return Ok(changed(Some(&stored), &next));
        }
    }
    Err(contended("change an instance's record"))
}

async fn commit_instance<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    record: &InstanceRecord,
) -> Result<Committed, PortError> {
    ledger
        .commit(Change {
            instance: Some((cluster, record)),
            ..Change::default()
        })
        .await
}

fn contended(operation: &'static str) -> PortError {
    PortError::Failed {
        operation,
        message: format!("the record changed under {TRIES_MAX} tries"),
    }
}
