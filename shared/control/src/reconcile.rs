//! The flow of reconciler: compares the records with what ECS reports, repairs, and wakes the admitter.
//!
//! It fills the tables of a new deployment before any event has arrived, and it is the net under everything:
//! whatever event, wake-up or invocation was lost, at most one interval later it is made good.

mod pending;
mod repair;

use std::collections::{BTreeMap, BTreeSet};

use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn, ReportVersion, Revision, TaskArn};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::report::{ReportSource, TaskEnd, TaskReport, TaskStatus};
use berth_scheduler::reservation::{PlacedTask, Reservation};
use berth_scheduler::retry::UNSEEN_END;
use berth_scheduler::snapshot::InstanceView;

use crate::damage::{DamageReport, Repair};
use crate::follow_up::appoint;
use crate::ports::{
    Attention, Clock, DescribedInstance, Inspector, Ledger, Messenger, PortError, Ports, StoredLane,
};
use crate::track::{Tracked, change_instance, record_own_task, record_report};
use crate::wake::{News, announce};

/// A task that ECS does not know this long after its creation has stopped and been forgotten; before that,
/// ECS may not have it in every answer yet. In milliseconds.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const FORGOTTEN_AFTER_MS: u64 = 10 * 60_000;

/// Most entries of a lane that are looked at for ones left behind. Looking ends at the first that is in order,
/// which is nearly always the very first.
const HEADS_MAX: usize = 10;

/// What a reconciliation found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconcileReport {
    /// Instances that ECS reports.
    pub instances: u32,
    /// Records that differed from what ECS reports, or were missing, and were corrected.
    pub corrected: u32,
    /// Instances that ECS no longer knows.
    pub gone: u32,
    /// Tasks whose end was not recorded.
    pub ends_found: u32,
    /// Tasks of others that were recorded and have ended.
    pub others_forgotten: u32,
    /// Lanes that nobody waits in any more.
    pub lanes_retired: u32,
    /// The cluster was awake without anybody at work: a wake-up was lost, and is made good.
    pub rescued: u32,
    /// Records that could not be read, and what became of them.
    pub damage: Vec<DamageReport>,
    /// Whether ECS knows the cluster.
    pub cluster: ClusterPresence,
}

/// Whether ECS knows a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterPresence {
    /// It does.
    #[default]
    Present,
    /// It does not: nothing can be started there.
    Missing,
}

/// Reconciles one cluster.
///
/// # Errors
/// When a port fails; the next scheduled run does the rest, because every step stands alone.
pub async fn reconcile<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
) -> Result<ReconcileReport, PortError> {
    let mut report = ReconcileReport::default();
    // The records are read before ECS is asked: an instance that registers in between is not taken for gone.
    let stored = ports.ledger.load_instances(cluster).await?;
    match ports.ecs.list_instances(cluster).await? {
        Some(listed) => {
            report.damage = repair::repair_cluster(ports, cluster, &listed).await?;
            correct_instances(ports, cluster, &stored, listed, &mut report).await?;
            correct_tasks(ports, cluster, &stored, &mut report).await?;
        }
        None => report.cluster = ClusterPresence::Missing,
    }
    if corrections(&report) > 0 {
        announce(ports.ledger, ports.messenger, cluster, News::Room).await?;
    }
    look_after_waiting(ports, cluster, &stored, &mut report).await?;
    forget_old_run_times(ports.ledger, cluster).await?;
    Ok(report)
}

/// Halves what was learnt of families that have ended often, so that what they do now counts more.
async fn forget_old_run_times<L: Ledger>(ledger: &L, cluster: &ClusterName) -> Result<(), PortError> {
    let learnt = ledger.load_run_times(cluster).await?;
    for (family, counts) in learnt.iter().filter(|(_, counts)| counts.halved().is_some()) {
        ledger.halve_run_times(cluster, family, counts).await?;
    }
    Ok(())
}

fn corrections(report: &ReconcileReport) -> u32 {
    let repaired = report.damage.iter().filter(|it| it.repair != Repair::LeftAlone);
    [
        u32::try_from(repaired.count()).unwrap_or(u32::MAX),
        report.corrected,
        report.gone,
        report.ends_found,
        report.others_forgotten,
    ]
    .into_iter()
    .fold(0, u32::saturating_add)
}

/// Brings every capacity record to what ECS describes. An instance is gone only when ECS neither lists nor
/// describes it; a partial answer proves nothing.
async fn correct_instances<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    stored: &[InstanceView],
    listed: Vec<ContainerInstanceArn>,
    report: &mut ReconcileReport,
) -> Result<(), PortError> {
    let before: BTreeMap<&ContainerInstanceArn, &InstanceRecord> =
        stored.iter().map(|it| (it.record.arn(), &*it.record)).collect();
    let mut known: BTreeSet<ContainerInstanceArn> = listed.into_iter().collect();
    known.extend(stored.iter().map(|it| it.record.arn().clone()));
    let known: Vec<ContainerInstanceArn> = known.into_iter().collect();
    for described in ports.ecs.describe_instances(cluster, &known).await? {
        match described {
            DescribedInstance::Found(mut found) => {
                report.instances = report.instances.saturating_add(1);
                let before = before.get(&found.instance);
                found.source = before
                    .map(|it| ReportSource::described_after(it))
                    .unwrap_or_default();
                match record_report(ports.ledger, cluster, &found).await {
                    // It was left alone a moment ago, and keeps no other instance waiting.
                    Err(PortError::Unreadable { .. }) => {}
                    recorded => {
                        let corrected = recorded?.is_change();
                        report.corrected = report.corrected.saturating_add(u32::from(corrected));
                    }
                }
            }
            DescribedInstance::Missing(arn) => {
                let gone = change_instance(ports.ledger, cluster, &arn, InstanceRecord::gone).await?;
                if gone.is_change() {
                    report.gone = report.gone.saturating_add(1);
                }
            }
        }
    }
    Ok(())
}

/// Asks ECS about every task that is recorded as placed, and records the ends that no event told of.
async fn correct_tasks<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    stored: &[InstanceView],
    report: &mut ReconcileReport,
) -> Result<(), PortError> {
    let ours: Vec<(&ContainerInstanceArn, &AttemptId, &Reservation, &PlacedTask)> = stored
        .iter()
        .flat_map(|it| {
            it.record
                .placed()
                .map(|(attempt, held, placed)| (it.record.arn(), attempt, held, placed))
        })
        .collect();
    let others: Vec<(&ContainerInstanceArn, &TaskArn)> = stored
        .iter()
        .flat_map(|it| {
            it.record
                .state()
                .other_tasks
                .keys()
                .map(|task| (it.record.arn(), task))
        })
        .collect();
    let all: Vec<TaskArn> = ours
        .iter()
        .map(|(.., placed)| placed.task.clone())
        .chain(others.iter().map(|(_, task)| (*task).clone()))
        .collect();
    if all.is_empty() {
        return Ok(());
    }
    let described = ports.ecs.describe_tasks(cluster, &all).await?;
    let described: BTreeMap<&TaskArn, &TaskReport> = described.iter().map(|it| (&it.task, it)).collect();
    let now = ports.clock.now();
    for (instance, attempt, held, placed) in ours {
        let end = match described.get(&placed.task) {
            Some(found) if found.status == TaskStatus::Running => continue,
            Some(found) => (*found).clone(),
            None if now.millis_since(placed.created_at) < FORGOTTEN_AFTER_MS => continue,
            None => forgotten(instance, attempt, held, placed),
        };
        if end_task(ports, cluster, attempt, &end, report).await?.is_change() {
            report.ends_found = report.ends_found.saturating_add(1);
        }
    }
    for (instance, task) in others {
        let ended = described
            .get(task)
            .is_none_or(|found| found.status == TaskStatus::Stopped);
        if ended
            && change_instance(ports.ledger, cluster, instance, |record| {
                record.forget_other(task)
            })
            .await?
            .is_change()
        {
            report.others_forgotten = report.others_forgotten.saturating_add(1);
        }
    }
    Ok(())
}

/// Records the end of a task. One whose record cannot be read is set aside, and gives its room back as well.
async fn end_task<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    attempt: &AttemptId,
    end: &TaskReport,
    report: &mut ReconcileReport,
) -> Result<Tracked, PortError> {
    let recorded = match record_own_task(ports.ledger, cluster, attempt, end).await {
        Err(PortError::Unreadable { .. }) => {
            let damage = repair::set_task_aside(ports, cluster, &attempt.task).await?;
            report.damage.extend(damage);
            Tracked::NotOurs
        }
        recorded => recorded?,
    };
    let (TaskStatus::Stopped, Tracked::NotOurs, Some(instance)) = (end.status, recorded, &end.instance)
    else {
        return Ok(recorded);
    };
    // No record tells of this attempt any more, and ECS says that it is over.
    let released = change_instance(ports.ledger, cluster, instance, |record| {
        record.release(attempt, None)
    })
    .await?;
    Ok(if released.is_change() { released } else { recorded })
}

/// The end of a task that ECS has forgotten: it stopped more than an hour ago, and nobody knows how.
fn forgotten(
    instance: &ContainerInstanceArn,
    attempt: &AttemptId,
    held: &Reservation,
    placed: &PlacedTask,
) -> TaskReport {
    let end = TaskEnd {
        stopped_reason: Some(UNSEEN_END.to_owned()),
        ..TaskEnd::default()
    };
    TaskReport {
        task: placed.task.clone(),
        instance: Some(instance.clone()),
        version: ReportVersion::default(),
        status: TaskStatus::Stopped,
        created_at: Some(placed.created_at),
        group: held.group.clone(),
        attempt: Some(attempt.clone()),
        demand: held.demand.clone(),
        end: Some(end),
    }
}

/// Retires empty lanes, removes entries that were left behind, and wakes the admitter when nobody is at work
/// although somebody waits, a launch is unresolved, or an appointment is due. This one does not ask whether the cluster believes itself awake: that belief may be what is wrong.
async fn look_after_waiting<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    stored: &[InstanceView],
    report: &mut ReconcileReport,
) -> Result<(), PortError> {
    let lanes = ports.ledger.load_lanes(cluster, HEADS_MAX).await?;
    let mut somebody_waits = false;
    for StoredLane { lane, .. } in &lanes {
        if lane.heads.is_empty() {
            ports.ledger.retire_lane(cluster, &lane.key).await?;
            report.lanes_retired = report.lanes_retired.saturating_add(1);
            continue;
        }
        somebody_waits = true;
        // Entries left behind in a lane that fits nowhere are met by no cycle.
        for head in &lane.heads {
            let task = match ports.ledger.load_task(&head.rank.task()).await {
                Err(PortError::Unreadable { .. }) => {
                    let damage = repair::set_task_aside(ports, cluster, &head.rank.task()).await?;
                    let left = damage.as_ref().is_some_and(|it| it.repair == Repair::LeftAlone);
                    report.damage.extend(damage);
                    if left {
                        continue;
                    }
                    None
                }
                other => other?,
            };
            let now = ports.clock.now();
            if task
                .as_ref()
                .is_some_and(|task| task.belongs_in(&lane.key, &head.rank, now))
            {
                break;
            }
            // It may be its old place, while whoever was to put it in its new one died.
            if let Some(task) = task
                .as_ref()
                .filter(|it| !it.progress.has_left_the_waiting_list())
            {
                appoint(ports.ledger, task, pending::at_once(task)).await?;
            }
            let seen = task.map_or(Revision::new(u64::MAX), |task| task.revision);
            ports.ledger.dequeue(cluster, &lane.key, &head.rank, seen).await?;
        }
    }
    let unresolved = pending::settle(ports, cluster, stored, report).await?;
    let due = ports
        .ledger
        .load_appointments(cluster, ports.clock.now(), 1)
        .await?;
    if !somebody_waits && !unresolved && due.is_empty() {
        return Ok(());
    }
    let state = ports.ledger.wake_state(cluster).await?;
    let at_work = state.turn_until.is_some_and(|until| until > ports.clock.now());
    if at_work {
        return Ok(());
    }
    if state.attention == Attention::Awake {
        report.rescued = report.rescued.saturating_add(1);
    }
    ports.ledger.bump(cluster).await?;
    ports.messenger.wake(cluster, 0).await
}
