//! Appointments and pauses.

use berth_scheduler::progress::Request;
use berth_scheduler::timestamp::Timestamp;

use super::fixture::{Scope, at, group};
use super::{Check, Failure, same};
use crate::ports::{Ledger, PauseOrder, TurnRequest};
use crate::records::{Appointment, CommandStamp};

fn appointment(scope: &Scope, task: &str, due: Timestamp) -> Result<Appointment, Failure> {
    Ok(Appointment {
        due,
        task: scope.task_id(task)?,
        group: group()?,
    })
}

pub(super) async fn appointments_come_in_the_order_of_their_times(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let cluster = &scope.cluster;
    let (late, early, never) = (
        appointment(scope, "late", at(9_000))?,
        appointment(scope, "early", at(10))?,
        appointment(scope, "never", Timestamp::MAX)?,
    );
    for it in [&late, &never, &early, &early] {
        ledger.appoint(cluster, it).await?;
    }
    same(
        "none is due",
        &ledger.load_appointments(cluster, at(9), 5).await?,
        &vec![],
    )?;
    same(
        "one is due to the millisecond",
        &ledger.load_appointments(cluster, at(10), 5).await?,
        &vec![early.clone()],
    )?;
    same(
        "all",
        &ledger
            .load_appointments(cluster, Timestamp::MAX, usize::MAX)
            .await?,
        &vec![early.clone(), late.clone(), never.clone()],
    )?;
    same(
        "the first two",
        &ledger.load_appointments(cluster, Timestamp::MAX, 2).await?,
        &vec![early.clone(), late.clone()],
    )?;
    for _ in 0..2 {
        ledger.dismiss(cluster, &early).await?;
    }
    same(
        "the others",
        &ledger.load_appointments(cluster, Timestamp::MAX, 5).await?,
        &vec![late, never],
    )
}

fn order(sent_at: i64, message: &str, reason: Option<&str>) -> PauseOrder {
    PauseOrder {
        stamp: CommandStamp {
            sent_at: at(sent_at),
            message_id: message.to_owned(),
        },
        pause: reason.map(|reason| Request {
            at: at(sent_at),
            reason: Some(reason.to_owned()),
        }),
    }
}

/// What a cycle learns that begins, and what its next pass learns.
async fn pause_at_a_cycle(ledger: &impl Ledger, scope: &Scope) -> Result<Option<Request>, Failure> {
    let request = ledger.take_turn(&scope.cluster, "one", at(0), at(10)).await?;
    let TurnRequest::Taken(turn, start) = request else {
        return Err(Failure("the turn is held".to_owned()));
    };
    let next = ledger.begin_pass(&turn).await?;
    same("the next pass", &next.as_ref(), &Some(&start))?;
    ledger.hand_back(&turn).await?;
    Ok(start.pause)
}

pub(super) async fn the_latest_command_decides_whether_a_cluster_is_paused(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let cluster = &scope.cluster;
    same("a first look", &ledger.load_pause(cluster).await?, &None)?;
    same("at first", &pause_at_a_cycle(ledger, scope).await?, &None)?;
    let pause = order(50, "m-2", Some("flood"));
    for _ in 0..2 {
        ledger.set_pause(cluster, &pause).await?;
    }
    // Sent before, by its time or, at the same time, by its name.
    ledger.set_pause(cluster, &order(49, "m-9", None)).await?;
    ledger.set_pause(cluster, &order(50, "m-1", None)).await?;
    same("paused", &pause_at_a_cycle(ledger, scope).await?, &pause.pause)?;
    same("a look", &ledger.load_pause(cluster).await?, &pause.pause)?;
    ledger.set_pause(cluster, &order(51, "m-3", None)).await?;
    ledger.set_pause(cluster, &pause).await?;
    same("a look", &ledger.load_pause(cluster).await?, &None)?;
    same("resumed", &pause_at_a_cycle(ledger, scope).await?, &None)
}
