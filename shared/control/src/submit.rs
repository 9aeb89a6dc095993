//! The flow of a submission: work out what it needs, and store it once.
//!
//! From then on its SQS message is done: nobody waits in SQS, where a task would hide from its place in the
//! order while it is invisible.
//!
//! Whoever joins a lane behind somebody need not be announced: both need the same, so where the one in front does not
//! fit, the one behind does not either. A cycle that starts the one in front looks at the lane once more before it
//! ends. Only a task that declares how long it runs may find room that the one in front may not use.

use std::sync::Arc;

use berth_scheduler::id::{Revision, TaskId};
use berth_scheduler::progress::{Due, TaskProgress, TaskState};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{AgingSeconds, Rank};

use crate::follow_up::{follow_up, put_in_lane};
use crate::ports::{Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, PortError, Ports};
use crate::records::TaskRecord;
use crate::requirements::{self, Requirements};
use crate::wire::refusal::Refusal;
use crate::wire::submission::Submission;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Its tasks wait.
    Accepted(Joined),
    /// The same submission came before; the state of the first one stands.
    AlreadyKnown,
    /// It will never start, and this is why.
    Refused(Refusal),
}

/// Where new tasks are on the waiting list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Where a cycle must look.
    ToBeLookedAt,
    /// Behind others that need the same.
    BehindOthers,
}

/// Stores a submission, once per id however often it comes. `submitted_at` is its place among equal
/// priorities: when its message was first sent. With `aging` it gains rank while it waits.
///
/// # Errors
/// When a port fails; the message must then come again, and every step is safe to repeat.
pub async fn submit<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    submission: &Submission,
    submitted_at: Timestamp,
    aging: Option<AgingSeconds>,
) -> Result<Submitted, PortError> {
    let ledger = ports.ledger;
    let needed = match requirements::of_submission(ports.ecs, submission).await? {
        Ok(needed) => needed,
        Err(refusal) => return go_on(ports, submission, refusal).await,
    };
    let mut first_new = None;
    let mut joined = Joined::BehindOthers;
    for copy in 1..=submission.count {
        let task = task_record(submission, &needed, copy, submitted_at, aging);
        let change = Change {
            task: Some(&task),
            ..Change::default()
        };
        let stored = match ledger.commit(change).await? {
            Committed::Done => {
                first_new.get_or_insert_with(|| task.clone());
                task
            }
            _exists => match ledger.load_task(&task.id).await? {
                Some(stored) if stored.content == task.content => {
                    joined = Joined::ToBeLookedAt;
                    stored
                }
                Some(stored) => return Ok(Submitted::Refused(id_reuse(&stored.id))),
                None => return Err(vanished(&task.id)),
            },
        };
        if let TaskState::Waiting { .. } = stored.progress.state
            && list(ports, &needed, stored).await? == Joined::ToBeLookedAt
        {
            joined = Joined::ToBeLookedAt;
        }
    }
    let Some(first) = first_new else {
        return Ok(Submitted::AlreadyKnown);
    };
    // Asked once all of them are in the lane: whoever leads it then is in front of each.
    if joined == Joined::BehindOthers && ledger.leads(&first.cluster, &first.lane, &first.rank).await? {
        joined = Joined::ToBeLookedAt;
    }
    Ok(Submitted::Accepted(joined))
}

/// A submission that would be refused today may have been accepted before, as when its task definition was
/// deregistered since: what is stored of it goes on, because whoever stored it may have crashed.
async fn go_on<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    submission: &Submission,
    refusal: Refusal,
) -> Result<Submitted, PortError> {
    let mut outcome = Submitted::AlreadyKnown;
    for copy in 1..=submission.count {
        let id = TaskId::of_copy(&submission.id, copy);
        match ports.ledger.load_task(&id).await? {
            Some(stored) if stored.content == submission.content_hash => {
                follow_up(ports, stored).await?;
            }
            _unknown => outcome = Submitted::Refused(refusal.clone()),
        }
    }
    Ok(outcome)
}

/// Puts a waiting task where it belongs. A repeated message repeats this, because the first one may have crashed
/// in between. Tells whether a cycle must look whoever is in front of it.
async fn list<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    needed: &Requirements,
    task: TaskRecord,
) -> Result<Joined, PortError> {
    // Nearly every task may start at once, in the lane that was just worked out.
    match task.progress.due(&task.terms, ports.clock.now()) {
        Due::Enter(None) if task.lane == needed.lane.key => {
            put_in_lane(ports.ledger, &task, &needed.lane).await?;
            let is_short = task.outlook().declared().is_some();
            Ok(if is_short {
                Joined::ToBeLookedAt
            } else {
                Joined::BehindOthers
            })
        }
        _ => {
            follow_up(ports, task).await?;
            Ok(Joined::ToBeLookedAt)
        }
    }
}

fn task_record(
    submission: &Submission,
    needed: &Requirements,
    copy: u8,
    submitted_at: Timestamp,
    aging: Option<AgingSeconds>,
) -> TaskRecord {
    let id = TaskId::of_copy(&submission.id, copy);
    TaskRecord {
        cluster: submission.cluster.clone(),
        rank: Rank::new(submission.priority, submitted_at, &id).with_aging(aging),
        id,
        lane: needed.lane.key.clone(),
        group: needed.group.clone(),
        task_definition: needed.definition.arn.clone(),
        demand: needed.demand.clone(),
        strategies: submission.strategies.clone(),
        expected: submission.expected,
        request: Arc::clone(&submission.request),
        terms: submission.terms.clone(),
        content: submission.content_hash,
        progress: TaskProgress::accepted(),
        commands: Vec::new(),
        revision: Revision::new(1),
    }
}

fn id_reuse(id: &TaskId) -> Refusal {
    Refusal::without_position(
        Some("id"),
        format!("id: `{id}` was used before with other content: give every submission an id of its own"),
    )
}

fn vanished(id: &TaskId) -> PortError {
    PortError::Failed {
        operation: "store a submission",
        message: format!("the record of `{id}` was there and then was not"),
    }
}
