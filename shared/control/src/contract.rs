//! What every [`Ledger`] must keep, as checks that run against any of them: the one in memory and the one on
//! DynamoDB pass the same suite. Only built with the feature `contract-tests`.

mod appointment;
mod commit;
mod fixture;
mod run_time;
mod turn;
mod waiting;

use std::fmt::Debug;

use berth_scheduler::id::IdError;

use crate::ports::{Ledger, PortError};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{check}`: {what}")]
pub struct Breach {
    check: &'static str,
    what: String,
}

/// Why a check ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure(String);

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self(error.to_string())
    }
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Self(error.to_string())
    }
}

type Check = Result<(), Failure>;

fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Check {
    if found == expected {
        Ok(())
    } else {
        Err(Failure(format!("{what}: found {found:?}, expected {expected:?}")))
    }
}

macro_rules! run_checks {
    ($ledger:expr, $run:expr, $($module:ident::$check:ident),* $(,)?) => {{
        let mut passed = Vec::new();
        $(
            let scope = fixture::Scope::new($run, stringify!($check));
            let outcome = match scope {
                Ok(scope) => $module::$check($ledger, &scope).await,
                Err(failure) => Err(failure),
            };
            outcome.map_err(|Failure(what)| Breach { check: stringify!($check), what })?;
            passed.push(stringify!($check));
        )*
        Ok(passed)
    }};
}

/// Runs all checks and gives their names. `run` must not have been used with the same tables before.
///
/// # Errors
/// The first promise that is not kept.
pub async fn ledger_contract(ledger: &impl Ledger, run: &str) -> Result<Vec<&'static str>, Breach> {
    run_checks!(
        ledger,
        run,
        commit::what_was_never_written_is_not_there,
        commit::a_task_is_read_as_it_was_written,
        commit::an_instance_is_read_with_its_attributes,
        commit::a_stale_revision_is_refused,
        commit::a_record_cannot_be_written_twice_as_new,
        commit::the_very_same_change_again_is_done,
        commit::two_records_are_written_together_or_not_at_all,
        commit::only_one_of_two_writers_at_the_same_time_succeeds,
        commit::an_instance_that_is_gone_is_left_out_unless_something_is_reserved_on_it,
        turn::a_turn_is_taken_when_free_or_over_or_ones_own,
        turn::a_turn_that_is_lost_cannot_be_handed_back,
        turn::whoever_brings_news_learns_whether_anybody_is_awake,
        turn::a_cluster_where_nobody_waits_is_idle,
        turn::a_cluster_with_news_does_not_fall_asleep,
        turn::only_who_has_the_turn_lets_the_cluster_sleep,
        waiting::tasks_wait_in_rank_order_and_the_rest_is_told_of,
        waiting::a_task_waits_once_however_often_it_is_enqueued,
        waiting::whoever_leads_a_lane_is_told,
        waiting::a_task_that_was_put_back_stays_in_its_lane,
        waiting::a_lane_is_retired_only_when_nobody_waits_in_it,
        waiting::a_hold_reason_stays_with_its_lane,
        waiting::no_task_waits_in_an_unlisted_lane,
        waiting::clusters_do_not_see_each_other,
        appointment::appointments_come_in_the_order_of_their_times,
        appointment::the_latest_command_decides_whether_a_cluster_is_paused,
        run_time::ends_are_counted_by_family_and_cluster,
        run_time::counts_are_halved_unless_somebody_has_counted_meanwhile,
    )
}
