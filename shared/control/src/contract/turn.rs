//! One cycle at a time, and no wake-up is lost.

use super::fixture::{Scope, at};
use super::{Check, Failure, same};
use crate::ports::{Attention, FallAsleep, Ledger, PassStart, Turn, TurnRequest, WaitingList};

async fn begin(
    ledger: &impl Ledger,
    scope: &Scope,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<(Turn, PassStart), Failure> {
    match ledger
        .take_turn(&scope.cluster, owner, at(now), at(until))
        .await?
    {
        TurnRequest::Taken(turn, start) => Ok((turn, start)),
        TurnRequest::HeldUntil(until) => Err(Failure(format!("`{owner}` finds the turn held until {until}"))),
    }
}

async fn another_pass(ledger: &impl Ledger, turn: &Turn) -> Result<PassStart, Failure> {
    let start = ledger.begin_pass(turn).await?;
    start.ok_or_else(|| Failure(format!("turn {} is lost", turn.epoch)))
}

async fn take(
    ledger: &impl Ledger,
    scope: &Scope,
    owner: &str,
    now: i64,
    until: i64,
) -> Result<Turn, Failure> {
    Ok(begin(ledger, scope, owner, now, until).await?.0)
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
    let (turn, start) = begin(ledger, scope, "one", 0, 10).await?;
    same("during a pass", &ledger.bump(cluster).await?, &Attention::Awake)?;
    same(
        "the state",
        &ledger.wake_state(cluster).await?.attention,
        &Attention::Awake,
    )?;
    same(
        "the news",
        &ledger
            .fall_asleep(&turn, start.generation, WaitingList::Empty)
            .await?,
        &FallAsleep::Moved,
    )?;
    let seen = another_pass(ledger, &turn).await?.generation;
    same(
        "no news",
        &ledger.fall_asleep(&turn, seen, WaitingList::Occupied).await?,
        &FallAsleep::Asleep,
    )?;
    same("afterwards", &ledger.bump(cluster).await?, &Attention::Asleep)?;
    same("the lease", &ledger.wake_state(cluster).await?.turn_until, &None)
}

pub(super) async fn a_cluster_where_nobody_waits_is_idle(ledger: &impl Ledger, scope: &Scope) -> Check {
    let cluster = &scope.cluster;
    let (turn, start) = begin(ledger, scope, "one", 0, 10).await?;
    same(
        "nobody waits",
        &ledger
            .fall_asleep(&turn, start.generation, WaitingList::Empty)
            .await?,
        &FallAsleep::Asleep,
    )?;
    same(
        "the state",
        &ledger.wake_state(cluster).await?.attention,
        &Attention::Idle,
    )?;
    same("news", &ledger.bump(cluster).await?, &Attention::Idle)?;
    let (turn, start) = begin(ledger, scope, "two", 1, 11).await?;
    same("a cycle", &ledger.bump(cluster).await?, &Attention::Awake)?;
    same(
        "its pass",
        &another_pass(ledger, &turn).await?.generation,
        &start.generation.next(),
    )?;
    ledger.hand_back(&turn).await?;
    same("handed back", &ledger.bump(cluster).await?, &Attention::Awake)
}

pub(super) async fn a_cluster_with_news_does_not_fall_asleep(ledger: &impl Ledger, scope: &Scope) -> Check {
    // A cluster that nobody has ever brought news of.
    let (turn, start) = begin(ledger, scope, "one", 0, 10).await?;
    for _ in 0..2 {
        // The second time, the answer to the first was lost.
        same(
            "no news at all",
            &ledger
                .fall_asleep(&turn, start.generation, WaitingList::Occupied)
                .await?,
            &FallAsleep::Asleep,
        )?;
    }
    let (turn, start) = begin(ledger, scope, "two", 1, 11).await?;
    ledger.bump(&scope.cluster).await?;
    for _ in 0..2 {
        same(
            "news",
            &ledger
                .fall_asleep(&turn, start.generation, WaitingList::Occupied)
                .await?,
            &FallAsleep::Moved,
        )?;
    }
    let state = ledger.wake_state(&scope.cluster).await?;
    same("the state", &state.attention, &Attention::Awake)?;
    same("the lease", &state.turn_until, &Some(at(11)))
}

pub(super) async fn only_who_has_the_turn_lets_the_cluster_sleep(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let (old, start) = begin(ledger, scope, "one", 0, 10).await?;
    let new = take(ledger, scope, "two", 10, 20).await?;
    same(
        "under the old turn",
        &ledger
            .fall_asleep(&old, start.generation, WaitingList::Occupied)
            .await?,
        &FallAsleep::TurnLost,
    )?;
    same(
        "the state",
        &ledger.wake_state(&scope.cluster).await?.attention,
        &Attention::Awake,
    )?;
    same(
        "another pass of the old one",
        &ledger.begin_pass(&old).await?,
        &None,
    )?;
    same(
        "under the new turn",
        &ledger
            .fall_asleep(&new, start.generation, WaitingList::Occupied)
            .await?,
        &FallAsleep::Asleep,
    )
}
