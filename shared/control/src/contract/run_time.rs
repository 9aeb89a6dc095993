//! What is learnt of how long tasks run.

use berth_scheduler::id::TaskFamily;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts};

use super::fixture::Scope;
use super::{Check, Failure, same};
use crate::ports::Ledger;

/// Looks at a family's counts before they must be as new as those of all families.
const LOOKS_MAX: usize = 50;

fn family(name: &str) -> Result<TaskFamily, Failure> {
    Ok(TaskFamily::parse(name)?)
}

fn counts(ends: &[(u64, u32)]) -> RunTimeCounts {
    let mut counts = RunTimeCounts::default();
    for (seconds, times) in ends {
        counts.add(RunTimeBucket::of_seconds(*seconds), *times);
    }
    counts
}

async fn learnt(ledger: &impl Ledger, scope: &Scope, of: &TaskFamily) -> Result<RunTimeCounts, Failure> {
    let learnt = ledger.load_run_times(&scope.cluster).await?;
    Ok(learnt.of(of).cloned().unwrap_or_default())
}

/// One family alone, which may be read a moment late.
async fn same_alone(ledger: &impl Ledger, scope: &Scope, of: &TaskFamily, expected: &RunTimeCounts) -> Check {
    for _ in 0..LOOKS_MAX {
        if ledger.load_run_times_of(&scope.cluster, of).await? == *expected {
            return Ok(());
        }
    }
    let found = ledger.load_run_times_of(&scope.cluster, of).await?;
    same("a family alone", &found, expected)
}

pub(super) async fn ends_are_counted_by_family_and_cluster(ledger: &impl Ledger, scope: &Scope) -> Check {
    let (etl, report, never) = (family("etl")?, family("report")?, family("never")?);
    for (of, seconds) in [(&etl, 60), (&etl, 60), (&etl, 3_600), (&report, 5)] {
        let bucket = RunTimeBucket::of_seconds(seconds);
        ledger.count_run_time(&scope.cluster, of, bucket).await?;
    }
    for (of, expected) in [
        (&etl, counts(&[(60, 2), (3_600, 1)])),
        (&report, counts(&[(5, 1)])),
        (&never, RunTimeCounts::default()),
    ] {
        same(of.as_str(), &learnt(ledger, scope, of).await?, &expected)?;
        same_alone(ledger, scope, of, &expected).await?;
    }
    let other = ledger.load_run_times(&scope.other_cluster()?).await?;
    same("another cluster has learnt nothing", &other.is_empty(), &true)
}

pub(super) async fn counts_are_halved_unless_somebody_has_counted_meanwhile(
    ledger: &impl Ledger,
    scope: &Scope,
) -> Check {
    let etl = family("etl")?;
    let bucket = RunTimeBucket::of_seconds(60);
    for _ in 0..RunTimeCounts::TOTAL_MAX {
        ledger.count_run_time(&scope.cluster, &etl, bucket).await?;
    }
    let seen = learnt(ledger, scope, &etl).await?;
    ledger.halve_run_times(&scope.cluster, &etl, &seen).await?;
    same("too few to halve", &learnt(ledger, scope, &etl).await?, &seen)?;
    ledger
        .count_run_time(&scope.cluster, &etl, RunTimeBucket::of_seconds(900))
        .await?;
    let seen = learnt(ledger, scope, &etl).await?;
    ledger.count_run_time(&scope.cluster, &etl, bucket).await?;
    ledger.halve_run_times(&scope.cluster, &etl, &seen).await?;
    let all = counts(&[(60, RunTimeCounts::TOTAL_MAX + 1), (900, 1)]);
    same("counted meanwhile", &learnt(ledger, scope, &etl).await?, &all)?;
    ledger.halve_run_times(&scope.cluster, &etl, &all).await?;
    let half = counts(&[(60, RunTimeCounts::TOTAL_MAX.div_ceil(2) + 1), (900, 1)]);
    same("halved", &learnt(ledger, scope, &etl).await?, &half)?;
    same_alone(ledger, scope, &etl, &half).await
}
