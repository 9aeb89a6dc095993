//! The flow of a command: people change their minds about tasks and clusters.
//!
//! The task's record remembers which commands it has obeyed. A command that comes again finds itself there and
//! only its consequences are made sure of; one that was sent before another that was obeyed is too late.

use std::collections::BTreeSet;

use berth_scheduler::id::{ClusterName, TaskGroup, TaskId};
use berth_scheduler::progress::{NoEffect, Request, TaskProgress};
use berth_scheduler::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::follow_up::follow_up;
use crate::ports::{
    Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, PauseOrder, PortError, Ports,
};
use crate::records::{AppliedCommand, COMMANDS_KEPT, CommandStamp, TaskRecord};
use crate::wire::command::{ClusterAction, Command, Order, Target, TaskAction};
use crate::wire::refusal::Refusal;
use crate::wire::submission::COUNT_MAX;

/// How long a command waits for the submission it is about, in milliseconds: standard queues do not keep the
/// order.
const UNKNOWN_FOR_MS: u64 = 10 * 60_000;

/// How often a record that somebody else changed meanwhile is looked at again.
const TRIES_MAX: usize = 10;

/// Tasks of a group that are worked on at the same time.
const TASKS_AT_ONCE: usize = 16;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obeyed {
    /// It was carried out, now or before, in these clusters.
    Done(BTreeSet<ClusterName>),
    /// It cannot be, and this is why.
    Refused(Refusal),
}

/// Carries out a command; `work_until` ends work on a large group, and the rest is done when its message comes
/// again.
///
/// # Errors
/// When a port fails, a task is not known yet, or time runs out: the message must then come again, and every
/// step is safe to repeat.
pub async fn obey<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    command: &Command,
    stamp: &CommandStamp,
    work_until: Timestamp,
) -> Result<Obeyed, PortError> {
    let (action, target) = match &command.order {
        Order::Cluster(action, cluster) => {
            let request = Request {
                at: stamp.sent_at,
                reason: command.reason.clone(),
            };
            let order = PauseOrder {
                stamp: stamp.clone(),
                pause: (*action == ClusterAction::Pause).then_some(request),
            };
            ports.ledger.set_pause(cluster, &order).await?;
            return Ok(Obeyed::Done(BTreeSet::from([cluster.clone()])));
        }
        Order::Tasks(action, target) => (*action, target),
    };
    let tasks = match target {
        Target::Group(cluster, group) => members(ports.ledger, cluster, group, stamp.sent_at).await?,
        Target::Task(task) => vec![task.clone()],
        Target::Submission(submission) => (1..=COUNT_MAX)
            .map(|copy| TaskId::of_copy(submission, copy))
            .collect(),
    };
    let applied = AppliedCommand {
        action: action.as_str().to_owned(),
        priority: match action {
            TaskAction::ChangePriority(priority) => Some(priority.get()),
            TaskAction::Cancel | TaskAction::Hold | TaskAction::Release | TaskAction::Retry => None,
        },
        previous_priority: None,
        stamp: stamp.clone(),
        reason: command.reason.clone(),
    };
    let work = tasks.iter().map(|task| async {
        if ports.clock.now() >= work_until {
            return Err(PortError::Failed {
                operation: "carry out a command",
                message: "time ran out; the rest is done when the message comes again".to_owned(),
            });
        }
        apply(ports, task, action, &applied).await
    });
    let clusters: Vec<Option<ClusterName>> = stream::iter(work).buffered(TASKS_AT_ONCE).try_collect().await?;
    let clusters: BTreeSet<ClusterName> = clusters.into_iter().flatten().collect();
    match target {
        Target::Submission(_) | Target::Task(_) if clusters.is_empty() => {
            unknown(target, stamp, ports.clock.now())
        }
        _ => Ok(Obeyed::Done(clusters)),
    }
}

/// Applies a command to one task, and gives its cluster; `None` when there is no such task.
async fn apply<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    id: &TaskId,
    action: TaskAction,
    command: &AppliedCommand,
) -> Result<Option<ClusterName>, PortError> {
    for _ in 0..TRIES_MAX {
        let Some(task) = ports.ledger.load_task(id).await? else {
            return Ok(None);
        };
        let cluster = task.cluster.clone();
        if task.commands.iter().any(|known| known.stamp == command.stamp) {
            follow_up(ports, task).await?;
            return Ok(Some(cluster));
        }
        let too_late = task
            .commands
            .last()
            .is_some_and(|newest| newest.stamp > command.stamp);
        let Some(changed) = changed(&task, action, command).filter(|_| !too_late) else {
            // Whoever obeyed the one before may have died before its consequences.
            follow_up(ports, task).await?;
            return Ok(Some(cluster));
        };
        let change = Change {
            task: Some(&changed),
            ..Change::default()
        };
        if ports.ledger.commit(change).await? == Committed::Done {
            follow_up(ports, changed).await?;
            return Ok(Some(cluster));
        }
    }
    Err(PortError::Failed {
        operation: "carry out a command",
        message: format!("the record of `{id}` changed under {TRIES_MAX} tries"),
    })
}

/// The task as the command wants it; `None` when nothing can happen to the task any more.
fn changed(task: &TaskRecord, action: TaskAction, command: &AppliedCommand) -> Option<TaskRecord> {
    let request = || Request {
        at: command.stamp.sent_at,
        reason: command.reason.clone(),
    };
    let progress: Result<TaskProgress, NoEffect> = match action {
        TaskAction::Cancel => task.progress.cancel(request()),
        TaskAction::Hold => task.progress.put_on_hold(request()),
        TaskAction::Release => task.progress.release(),
        TaskAction::Retry => task.progress.retry(),
        TaskAction::ChangePriority(priority)
            if task.progress.has_a_place() && task.rank.priority() != priority =>
        {
            let mut changed = task.after(task.progress.clone());
            changed.rank = task.rank.with_priority(priority);
            changed.remember(AppliedCommand {
                previous_priority: Some(task.rank.priority().get()),
                ..command.clone()
            });
            return Some(changed);
        }
        TaskAction::ChangePriority(_) => Err(NoEffect),
    };
    let mut changed = match progress {
        Ok(progress) => task.after(progress),
        Err(NoEffect) if task.progress.is_final() => return None,
        // Remembered all the same: one that was sent before it may come after it.
        Err(NoEffect) => task.after(task.progress.clone()),
    };
    changed.remember(command.clone());
    Some(changed)
}

impl TaskRecord {
    fn remember(&mut self, command: AppliedCommand) {
        self.commands.push(command);
        let forgotten = self.commands.len().saturating_sub(COMMANDS_KEPT);
        self.commands.drain(..forgotten);
    }
}

/// The tasks of a group that were submitted by then and are not over: those in lanes, those with an appointment,
/// and those that hold room. Reads the whole waiting list, which costs less than an index that every submission
/// would have to write.
async fn members<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    group: &TaskGroup,
    sent_at: Timestamp,
) -> Result<Vec<TaskId>, PortError> {
    let mut members = BTreeSet::new();
    // Instances last: a task that is started meanwhile has left its lane only after it has its room.
    for stored in ledger.load_lanes(cluster, usize::MAX).await? {
        let heads = stored.lane.heads.iter();
        let of_group = heads.filter(|head| head.group == *group && head.rank.submitted_at() <= sent_at);
        members.extend(of_group.map(|head| head.rank.task()));
    }
    for appointment in ledger
        .load_appointments(cluster, Timestamp::MAX, usize::MAX)
        .await?
    {
        if appointment.group == *group {
            members.insert(appointment.task);
        }
    }
    for view in ledger.load_instances(cluster).await? {
        let reservations = view.record.state().reservations.iter();
        let of_group = reservations.filter(|(_, it)| it.group == *group);
        members.extend(of_group.map(|(attempt, _)| attempt.task.clone()));
    }
    Ok(members.into_iter().collect())
}

fn unknown(target: &Target, stamp: &CommandStamp, now: Timestamp) -> Result<Obeyed, PortError> {
    let id = match target {
        Target::Submission(submission) => submission.to_string(),
        Target::Task(task) => task.to_string(),
        Target::Group(_, group) => group.to_string(),
    };
    if now.millis_since(stamp.sent_at) < UNKNOWN_FOR_MS {
        return Err(PortError::Failed {
            operation: "carry out a command",
            message: format!("no task `{id}` is known yet; its submission may be on its way"),
        });
    }
    Ok(Obeyed::Refused(Refusal::of_unknown_task(&id)))
}
