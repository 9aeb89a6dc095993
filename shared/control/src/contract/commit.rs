//! Records are written by revision, together or not at all.

use futures_util::future::join;

use super::fixture::{Scope, attributes, reserved};
use super::{Check, Failure, same};
use crate::ports::{Change, Committed, Ledger};
use crate::records::TaskRecord;
use berth_scheduler::instance::InstanceRecord;

fn of_task(task: &TaskRecord) -> Change<'_> {
    Change {
        task: Some(task),
        ..Change::default()
    }
}

fn of_instance<'a>(scope: &'a Scope, record: &'a InstanceRecord) -> Change<'a> {
    Change {
        instance: Some((&scope.cluster, record)),
        ..Change::default()
    }
}

fn of_both<'a>(scope: &'a Scope, task: &'a TaskRecord, record: &'a InstanceRecord) -> Change<'a> {
    Change {
        task: Some(task),
        ..of_instance(scope, record)
    }
}

pub(super) async fn what_was_never_written_is_not_there(ledger: &impl Ledger, scope: &Scope) -> Check {
    same("the task", &ledger.load_task(&scope.task_id("a")?).await?, &None)?;
    same(
        "the instance",
        &ledger.load_instance(&scope.cluster, &scope.arn("i")?).await?,
        &None,
    )?;
    same(
        "instances",
        &ledger.load_instances(&scope.cluster).await?.len(),
        &0,
    )?;
    same("lanes", &ledger.load_lanes(&scope.cluster, 5).await?.len(), &0)
}

pub(super) async fn a_task_is_read_as_it_was_written(ledger: &impl Ledger, scope: &Scope) -> Check {
    let task = scope.task("a")?;
    same(
        "the write",
        &ledger.commit(of_task(&task)).await?,
        &Committed::Done,
    )?;
    same(
        "the task",
        &ledger.load_task(&task.id).await?,
        &Some(task.clone()),
    )?;
    let (reserved, _) = reserved(&task, &scope.instance("i")?)?;
    same(
        "the second write",
        &ledger.commit(of_task(&reserved)).await?,
        &Committed::Done,
    )?;
    same(
        "the task after it",
        &ledger.load_task(&task.id).await?,
        &Some(reserved),
    )
}

pub(super) async fn an_instance_is_read_with_its_attributes(ledger: &impl Ledger, scope: &Scope) -> Check {
    let record = scope.instance("i")?;
    ledger
        .store_attributes(&scope.cluster, record.arn(), &attributes())
        .await?;
    same(
        "the write",
        &ledger.commit(of_instance(scope, &record)).await?,
        &Committed::Done,
    )?;
    let stored = ledger.load_instance(&scope.cluster, record.arn()).await?;
    same("the instance", &stored.as_ref(), &Some(&record))?;
    // Twice, because a ledger may remember attributes.
    for _ in 0..2 {
        let views = ledger.load_instances(&scope.cluster).await?;
        let [view] = views.as_slice() else {
            return Err(Failure(format!("{} instances, expected 1", views.len())));
        };
        same("the instance's view", &*view.record, &record)?;
        same("its attributes", &*view.attributes, &attributes())?;
    }
    Ok(())
}

pub(super) async fn a_stale_revision_is_refused(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (task, record) = (scope.task("a")?, scope.instance("i")?);
    let (reserved_task, reserved_record) = reserved(&task, &record)?;
    // Nothing is stored yet, so nothing can follow it.
    same(
        "a task from nowhere",
        &ledger.commit(of_task(&reserved_task)).await?,
        &Committed::TaskMoved,
    )?;
    let from_nowhere = ledger.commit(of_instance(scope, &reserved_record)).await?;
    same(
        "an instance from nowhere",
        &from_nowhere,
        &Committed::InstanceMoved,
    )?;
    for change in [
        of_task(&task),
        of_task(&reserved_task),
        of_instance(scope, &record),
    ] {
        same(
            "a write in order",
            &ledger.commit(change).await?,
            &Committed::Done,
        )?;
    }
    same(
        "the instance's next",
        &ledger.commit(of_instance(scope, &reserved_record)).await?,
        &Committed::Done,
    )?;
    let other = task.after(task.progress.clone());
    same(
        "a task at a revision that is taken",
        &ledger.commit(of_task(&other)).await?,
        &Committed::TaskMoved,
    )?;
    let Some(gone) = record.gone() else {
        return Err(Failure("an active instance can go".to_owned()));
    };
    let late = ledger.commit(of_instance(scope, &gone)).await?;
    same(
        "an instance at a revision that is taken",
        &late,
        &Committed::InstanceMoved,
    )?;
    same(
        "the task",
        &ledger.load_task(&task.id).await?,
        &Some(reserved_task),
    )?;
    let stored = ledger.load_instance(&scope.cluster, record.arn()).await?;
    same("the instance", &stored, &Some(reserved_record))
}

pub(super) async fn a_record_cannot_be_written_twice_as_new(ledger: &impl Ledger, scope: &Scope) -> Check {
    let task = scope.task("a")?;
    ledger.commit(of_task(&task)).await?;
    let mut other = task.clone();
    other.group = berth_scheduler::id::TaskGroup::parse("another")?;
    same(
        "the second one",
        &ledger.commit(of_task(&other)).await?,
        &Committed::TaskMoved,
    )?;
    same("the task", &ledger.load_task(&task.id).await?, &Some(task))
}

pub(super) async fn the_very_same_change_again_is_done(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (task, record) = (scope.task("a")?, scope.instance("i")?);
    let (reserved_task, reserved_record) = reserved(&task, &record)?;
    for _ in 0..2 {
        same(
            "the task alone",
            &ledger.commit(of_task(&task)).await?,
            &Committed::Done,
        )?;
        same(
            "the instance alone",
            &ledger.commit(of_instance(scope, &record)).await?,
            &Committed::Done,
        )?;
    }
    for _ in 0..2 {
        let change = of_both(scope, &reserved_task, &reserved_record);
        same("both together", &ledger.commit(change).await?, &Committed::Done)?;
    }
    same(
        "the task",
        &ledger.load_task(&task.id).await?,
        &Some(reserved_task),
    )
}

pub(super) async fn two_records_are_written_together_or_not_at_all(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let (task, record) = (scope.task("a")?, scope.instance("i")?);
    let (reserved_task, reserved_record) = reserved(&task, &record)?;
    ledger.commit(of_task(&task)).await?;
    let no_instance = ledger
        .commit(of_both(scope, &reserved_task, &reserved_record))
        .await?;
    same("without the instance", &no_instance, &Committed::InstanceMoved)?;
    same(
        "the task",
        &ledger.load_task(&task.id).await?,
        &Some(task.clone()),
    )?;
    ledger.commit(of_instance(scope, &record)).await?;
    let moved_on = task.after(task.progress.clone());
    ledger.commit(of_task(&moved_on)).await?;
    let no_task = ledger
        .commit(of_both(scope, &reserved_task, &reserved_record))
        .await?;
    same("with a task that moved on", &no_task, &Committed::TaskMoved)?;
    let stored = ledger.load_instance(&scope.cluster, record.arn()).await?;
    same("the instance", &stored, &Some(record))
}

pub(super) async fn only_one_of_two_writers_at_the_same_time_succeeds(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let record = scope.instance("i")?;
    ledger.commit(of_instance(scope, &record)).await?;
    let (one, other) = (scope.task("a")?, scope.task("b")?);
    for task in [&one, &other] {
        ledger.commit(of_task(task)).await?;
    }
    let (one, with_one) = reserved(&one, &record)?;
    let (other, with_other) = reserved(&other, &record)?;
    let first = ledger.commit(of_both(scope, &one, &with_one));
    let second = ledger.commit(of_both(scope, &other, &with_other));
    let winner = match join(first, second).await {
        (Ok(Committed::Done), Ok(Committed::InstanceMoved)) => with_one,
        (Ok(Committed::InstanceMoved), Ok(Committed::Done)) => with_other,
        outcomes => {
            return Err(Failure(format!(
                "{outcomes:?}, expected Done once and InstanceMoved once"
            )));
        }
    };
    let stored = ledger.load_instance(&scope.cluster, record.arn()).await?;
    same("the instance", &stored, &Some(winner))
}

pub(super) async fn an_instance_that_is_gone_is_left_out_unless_something_is_reserved_on_it(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let (empty, busy) = (scope.instance("empty")?, scope.instance("busy")?);
    let (task, with_task) = reserved(&scope.task("a")?, &busy)?;
    let (Some(empty_gone), Some(busy_gone)) = (empty.gone(), with_task.gone()) else {
        return Err(Failure("an active instance can go".to_owned()));
    };
    for record in [&empty, &busy, &with_task, &empty_gone, &busy_gone] {
        same(
            "a write",
            &ledger.commit(of_instance(scope, record)).await?,
            &Committed::Done,
        )?;
    }
    let listed = ledger.load_instances(&scope.cluster).await?;
    let listed: Vec<_> = listed.iter().map(|view| view.record.arn().clone()).collect();
    same("the instances", &listed, &vec![busy.arn().clone()])?;
    let tombstone = ledger.load_instance(&scope.cluster, empty.arn()).await?;
    same("the tombstone", &tombstone, &Some(empty_gone))?;
    let Some(resolved) = busy_gone.release(&task.attempt(), None) else {
        return Err(Failure("a reservation can be released".to_owned()));
    };
    same(
        "the release",
        &ledger.commit(of_instance(scope, &resolved)).await?,
        &Committed::Done,
    )?;
    same(
        "the instances at last",
        &ledger.load_instances(&scope.cluster).await?.len(),
        &0,
    )
}
