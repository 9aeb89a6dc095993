//! One cycle at a time, and no wake-up is lost.

use super::fixture::{Scope, at, reserved};
use super::{Check, Failure, same};
use crate::ports::{Attention, Change, Committed, FallAsleep, Ledger, Turn, TurnRequest};

async fn take(
    ledger: &impl Ledger,
    scope: &Scope,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<Turn, Failure> {
    match ledger
        .take_turn(&scope.cluster, owner, at(now), at(until))
        .await?
    {
        TurnRequest::Taken(turn) => Ok(turn),
        TurnRequest::HeldUntil(until) => Err(Failure(format!("`{owner}` finds the turn held until {until}"))),
    }
}

pub(super) async fn only_the_newest_turn_may_write(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (task, record) = (scope.task("a")?, scope.instance("i")?);
    ledger
        .commit(Change {
            task: Some(&task),
            ..Change::default()
        })
        .await?;
    ledger
        .commit(Change {
            instance: Some((&scope.cluster, &record)),
            ..Change::default()
        })
        .await?;
    let (reserved_task, reserved_record) = reserved(&task, &record)?;
    let change = |turn| Change {
        task: Some(&reserved_task),
        instance: Some((&scope.cluster, &reserved_record)),
        turn,
    };
    let old = take(ledger, scope, "one", 0, 10).await?;
    let new = take(ledger, scope, "two", 10, 20).await?;
    same(
        "under the old turn",
        &ledger.commit(change(Some(&old))).await?,
        &Committed::TurnLost,
    )?;
    same(
        "the task",
        &ledger.load_task(&task.id).await?,
        &Some(task.clone()),
    )?;
    let alone = Change {
        task: Some(&reserved_task),
        turn: Some(&old),
        ..Change::default()
    };
    same(
        "one record under the old turn",
        &ledger.commit(alone).await?,
        &Committed::TurnLost,
    )?;
    same(
        "under the new turn",
        &ledger.commit(change(Some(&new))).await?,
        &Committed::Done,
    )?;
    same(
        "the task at last",
        &ledger.load_task(&task.id).await?,
        &Some(reserved_task.clone()),
    )
}

pub(super) async fn a_turn_is_taken_when_free_or_over_or_ones_own(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let first = take(ledger, scope, "one", 0, 10).await?;
    let held = ledger.take_turn(&scope.cluster, "two", at(9), at(19)).await?;
    same("while it is held", &held, &TurnRequest::HeldUntil(at(10)))?;
    let again = take(ledger, scope, "one", 9, 15).await?;
    let over = take(ledger, scope, "two", 15, 25).await?;
    ledger.hand_back(&over).await?;
    let free = take(ledger, scope, "three", 16, 26).await?;
    let epochs = [&first, &again, &over, &free].map(|turn| turn.epoch);
    let mut risen = epochs.to_vec();
    risen.sort_unstable();
    risen.dedup();
    same("epochs that rise", &epochs.to_vec(), &risen)?;
    same(
        "the lease",
        &ledger.wake_state(&scope.cluster).await?.turn_until,
        &Some(at(26)),
    )
}

pub(super) async fn a_turn_that_is_lost_cannot_be_handed_back(ledger: &impl Ledger, scope: &Scope) -> Check {
    let old = take(ledger, scope, "one", 0, 10).await?;
    let new = take(ledger, scope, "two", 10, 20).await?;
    ledger.hand_back(&old).await?;
    same(
        "the lease",
        &ledger.wake_state(&scope.cluster).await?.turn_until,
        &Some(at(20)),
    )?;
    ledger.hand_back(&new).await?;
    same(
        "no lease",
        &ledger.wake_state(&scope.cluster).await?.turn_until,
        &None,
    )
}

pub(super) async fn whoever_brings_news_learns_whether_anybody_is_awake(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let cluster = &scope.cluster;
    same("at first", &ledger.bump(cluster).await?, &Attention::Asleep)?;
    let seen = ledger.begin_pass(cluster).await?.generation;
    same("during a pass", &ledger.bump(cluster).await?, &Attention::Awake)?;
    same(
        "the state",
        &ledger.wake_state(cluster).await?.attention,
        &Attention::Awake,
    )?;
    same(
        "the news",
        &ledger.fall_asleep(cluster, seen).await?,
        &FallAsleep::Moved,
    )?;
    let seen = ledger.begin_pass(cluster).await?.generation;
    same(
        "no news",
        &ledger.fall_asleep(cluster, seen).await?,
        &FallAsleep::Asleep,
    )?;
    same("afterwards", &ledger.bump(cluster).await?, &Attention::Asleep)
}

pub(super) async fn a_cluster_with_news_does_not_fall_asleep(ledger: &impl Ledger, scope: &Scope) -> Check {
    let cluster = &scope.cluster;
    // A cluster that nobody has ever brought news of.
    let seen = ledger.begin_pass(cluster).await?.generation;
    same(
        "no news at all",
        &ledger.fall_asleep(cluster, seen).await?,
        &FallAsleep::Asleep,
    )?;
    let seen = ledger.begin_pass(cluster).await?.generation;
    ledger.bump(cluster).await?;
    for _ in 0..2 {
        same(
            "news",
            &ledger.fall_asleep(cluster, seen).await?,
            &FallAsleep::Moved,
        )?;
    }
    same(
        "the state",
        &ledger.wake_state(cluster).await?.attention,
        &Attention::Awake,
    )
}
