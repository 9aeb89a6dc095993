//! Who waits, in which order, and no lane is lost.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{ClusterName, TaskId};
use berth_scheduler::waiting::{LaneTail, WaitingTask};

use super::fixture::{Scope, at, lane, lane_key, waiting};
use super::{Check, Failure, same};
use crate::ports::{Ledger, StoredLane};

/// Most polls that a retirement of a lane may take: three calls over a network, with a handful of polls each.
const POLLS_MAX: usize = 200;

async fn only_lane(
    ledger: &impl Ledger,
    cluster: &ClusterName,
    heads_max: usize,
) -> Result<StoredLane, Failure> {
    let mut lanes = ledger.load_lanes(cluster, heads_max).await?;
    match (lanes.pop(), lanes.len()) {
        (Some(lane), 0) => Ok(lane),
        (_, others) => Err(Failure(format!(
            "one lane expected, and {others} others are listed"
        ))),
    }
}

fn tasks_of(stored: &StoredLane) -> Vec<TaskId> {
    stored.lane.heads.iter().map(|task| task.rank.task()).collect()
}

pub(super) async fn tasks_wait_in_rank_order_and_the_rest_is_told_of(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let (low, late, early, top) = (
        scope.task_id("low")?,
        scope.task_id("late")?,
        scope.task_id("early")?,
        scope.task_id("top")?,
    );
    let key = lane_key()?;
    for (task, priority, submitted_at) in [
        (&low, 0, at(1)),
        (&late, 50, at(9_000)),
        (&top, 1_000, at(9_999)),
        (&early, 50, at(10)),
    ] {
        ledger
            .enqueue(&scope.cluster, &key, &waiting(task, priority, submitted_at)?)
            .await?;
    }
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    let all = only_lane(ledger, &scope.cluster, 4).await?;
    same(
        "the order",
        &tasks_of(&all),
        &vec![top.clone(), early.clone(), late, low],
    )?;
    same("the tail when all are heads", &all.lane.tail, &LaneTail::Empty)?;
    same("the shape", &*all.lane.shape, &*lane()?.shape)?;
    let two = only_lane(ledger, &scope.cluster, 2).await?;
    same("the heads", &tasks_of(&two), &vec![top, early])?;
    same("the tail", &two.lane.tail, &LaneTail::MoreWaiting)
}

pub(super) async fn a_task_waits_once_however_often_it_is_enqueued(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let task = waiting(&scope.task_id("a")?, 5, at(7))?;
    let key = lane_key()?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    for _ in 0..2 {
        ledger.enqueue(&scope.cluster, &key, &task).await?;
    }
    same(
        "enqueued",
        &only_lane(ledger, &scope.cluster, 9).await?.lane.heads,
        &vec![task.clone()],
    )?;
    for _ in 0..2 {
        ledger
            .dequeue(&scope.cluster, &key, &task.rank, task.stamp)
            .await?;
    }
    same(
        "dequeued",
        &only_lane(ledger, &scope.cluster, 9).await?.lane.heads,
        &vec![],
    )
}

pub(super) async fn a_lane_is_retired_only_when_nobody_waits_in_it(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let task = waiting(&scope.task_id("a")?, 5, at(7))?;
    let key = lane_key()?;
    // A lane that was never opened can be retired, too.
    ledger.retire_lane(&scope.cluster, &key).await?;
    same("no lane", &ledger.load_lanes(&scope.cluster, 1).await?.len(), &0)?;
    ledger.enqueue(&scope.cluster, &key, &task).await?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    ledger.retire_lane(&scope.cluster, &key).await?;
    same(
        "in use",
        &tasks_of(&only_lane(ledger, &scope.cluster, 1).await?),
        &vec![task.rank.task()],
    )?;
    ledger
        .dequeue(&scope.cluster, &key, &task.rank, task.stamp)
        .await?;
    ledger.retire_lane(&scope.cluster, &key).await?;
    same("retired", &ledger.load_lanes(&scope.cluster, 1).await?.len(), &0)?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    same(
        "opened again",
        &ledger.load_lanes(&scope.cluster, 1).await?.len(),
        &1,
    )
}

pub(super) async fn a_hold_reason_stays_with_its_lane(ledger: &impl Ledger, scope: &Scope) -> Check {
    let key = lane_key()?;
    let refused = HoldReason::RefusedByEcs {
        reason: "RESOURCE:MEMORY".to_owned(),
    };
    // Nobody holds a lane that is not listed, and recording it must not list it.
    ledger.record_hold(&scope.cluster, &key, &refused, at(1)).await?;
    same(
        "an unlisted lane",
        &ledger.load_lanes(&scope.cluster, 1).await?.len(),
        &0,
    )?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    same(
        "at first",
        &only_lane(ledger, &scope.cluster, 1).await?.hold,
        &None,
    )?;
    for (reason, now) in [(refused, at(5)), (HoldReason::NoInstances, at(6))] {
        ledger.record_hold(&scope.cluster, &key, &reason, now).await?;
        // A lane that is open already keeps what was recorded.
        ledger.open_lane(&scope.cluster, &lane()?).await?;
        same(
            "the reason",
            &only_lane(ledger, &scope.cluster, 1).await?.hold,
            &Some((reason, now)),
        )?;
    }
    Ok(())
}

pub(super) async fn no_task_waits_in_an_unlisted_lane(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (key, lane) = (lane_key()?, lane()?);
    // A retirement is stopped one poll later in each round, a task enqueued meanwhile, and the retirement let
    // go on. Once it is over before it is stopped, all its steps have been interrupted.
    for polls in 0..POLLS_MAX {
        let task = waiting(&scope.task_id(&format!("{polls}"))?, 5, at(7))?;
        ledger.open_lane(&scope.cluster, &lane).await?;
        let enqueue = async {
            ledger.enqueue(&scope.cluster, &key, &task).await?;
            ledger.open_lane(&scope.cluster, &lane).await
        };
        let retire = ledger.retire_lane(&scope.cluster, &key);
        let (enqueued, retired, interruption) = interrupted(retire, polls, enqueue).await;
        enqueued?;
        retired?;
        let listed = only_lane(ledger, &scope.cluster, 9).await;
        let listed =
            listed.map_err(|_| Failure(format!("after {polls} polls: the task's lane is not listed")))?;
        same("who waits", &listed.lane.heads, &vec![task.clone()])?;
        ledger
            .dequeue(&scope.cluster, &key, &task.rank, task.stamp)
            .await?;
        if interruption == Interruption::TooLate {
            return Ok(());
        }
    }
    Err(Failure(format!("a retirement takes more than {POLLS_MAX} polls")))
}

/// Whether a future could be stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    InTime,
    TooLate,
}

/// Polls `outer` that often, then runs `inner` to its end, then `outer`.
async fn interrupted<T, U>(
    outer: impl Future<Output = T>,
    polls: usize,
    inner: impl Future<Output = U>,
) -> (U, T, Interruption) {
    let mut outer = pin!(outer);
    let mut polls_left = polls;
    let early = poll_fn(|context| {
        let Some(left) = polls_left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        polls_left = left;
        match outer.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    let early = early.await;
    let inner = inner.await;
    match early {
        Some(output) => (inner, output, Interruption::TooLate),
        None => (inner, outer.await, Interruption::InTime),
    }
}

pub(super) async fn whoever_leads_a_lane_is_told(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (first, second) = (
        waiting(&scope.task_id("a")?, 5, at(7))?,
        waiting(&scope.task_id("b")?, 5, at(8))?,
    );
    let leads = |of: WaitingTask| async move {
        ledger
            .leads(&scope.cluster, &lane_key()?, &of.rank)
            .await
            .map_err(Failure::from)
    };
    same("an empty lane", &leads(second.clone()).await?, &true)?;
    ledger.enqueue(&scope.cluster, &lane_key()?, &second).await?;
    same("alone", &leads(second.clone()).await?, &true)?;
    same("before another one", &leads(first.clone()).await?, &true)?;
    ledger.enqueue(&scope.cluster, &lane_key()?, &first).await?;
    same("behind another one", &leads(second).await?, &false)?;
    same("first", &leads(first).await?, &true)
}

pub(super) async fn clusters_do_not_see_each_other(ledger: &impl Ledger, scope: &Scope) -> Check {
    let other = scope.other_cluster()?;
    let task = waiting(&scope.task_id("a")?, 5, at(7))?;
    ledger.enqueue(&scope.cluster, &lane_key()?, &task).await?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    ledger.open_lane(&other, &lane()?).await?;
    same(
        "the other's lane",
        &only_lane(ledger, &other, 1).await?.lane.heads,
        &vec![],
    )?;
    ledger.take_turn(&scope.cluster, "one", at(0), at(10)).await?;
    same(
        "the other's attention",
        &ledger.bump(&other).await?,
        &crate::ports::Attention::Asleep,
    )
}

pub(super) async fn a_task_that_was_put_back_stays_in_its_lane(ledger: &impl Ledger, scope: &Scope) -> Check {
    let first = waiting(&scope.task_id("a")?, 5, at(7))?;
    let again = WaitingTask {
        stamp: first.stamp.next().next(),
        ..first.clone()
    };
    let key = lane_key()?;
    ledger.open_lane(&scope.cluster, &lane()?).await?;
    ledger.enqueue(&scope.cluster, &key, &again).await?;
    // A late repetition of the first one, and who takes that one out.
    ledger.enqueue(&scope.cluster, &key, &first).await?;
    ledger
        .dequeue(&scope.cluster, &key, &first.rank, first.stamp.next())
        .await?;
    same(
        "put back",
        &only_lane(ledger, &scope.cluster, 9).await?.lane.heads,
        &vec![again.clone()],
    )?;
    ledger
        .dequeue(&scope.cluster, &key, &again.rank, again.stamp)
        .await?;
    same(
        "taken out",
        &only_lane(ledger, &scope.cluster, 9).await?.lane.heads,
        &vec![],
    )
}
