//! Each mistake in the protocol is caught: a model that cannot find a known mistake proves nothing.

use berth_model::configurations::MUTATIONS;
use berth_model::explore;
use berth_model::world::Mutation;

/// The model with a mistake breaks the expected promise.
fn is_caught(mutation: Mutation) {
    let places = MUTATIONS.iter().filter(|it| it.model.mutation == Some(mutation));
    for caught in places.clone() {
        let found = explore(&caught.model, 4_000_000);
        let violation = found.violation.as_ref().map(|(violation, _)| *violation);
        assert_eq!(
            violation,
            Some(caught.violation),
            "{mutation:?}: {:?}",
            found.violation
        );
    }
    assert_eq!(places.count(), 1, "{mutation:?} has one configuration");
}

macro_rules! caught {
    ($($name:ident: $mutation:ident,)*) => {
        $(#[test] fn $name() { is_caught(Mutation::$mutation); })*

        #[test]
        fn every_mutation_has_a_test() {
            assert_eq!(MUTATIONS.len(), [$(Mutation::$mutation),*].len());
        }
    };
}

caught! {
    a_task_must_not_count_as_reported_when_run_task_has_answered: SettleAtReply,
    a_task_must_not_count_as_reported_with_any_newer_version: SettleOnAnyNewerVersion,
    a_reported_task_must_not_be_subtracted_again: SubtractUntilStopped,
    the_cluster_must_not_fall_asleep_when_the_generation_moved: SleepUnconditionally,
    a_repeated_report_must_be_announced: SkipEqualVersion,
    news_must_be_written_before_they_are_announced: AnnounceBeforeWrite,
    a_repeated_call_must_carry_the_same_token: FreshToken,
    a_refused_attempt_must_not_keep_its_number: SameAttemptNumber,
    a_refusal_must_not_be_definite_while_an_earlier_call_can_arrive: RequeueAtOnce,
    an_old_token_must_not_be_sent: NoTokenAge,
    capacity_must_be_read_after_the_generation: StaleRead,
    a_wake_message_must_not_come_back_while_the_dead_holders_lease_stands: EarlyRedelivery,
    a_cycle_must_end_in_one_write: EndInTwoWrites,
    a_waiting_entry_must_stay_until_the_task_has_started: DequeueAtReserve,
    room_must_not_be_given_back_before_the_task_waits_again: ReleaseFirst,
    a_reservation_must_check_the_revisions: IgnoreRevisions,
    room_must_be_reserved_before_the_task: TaskFirst,
    a_task_must_be_recorded_as_reserved_before_it_is_launched: LaunchUnrecorded,
    a_repeated_write_that_is_refused_may_be_ones_own: TakeBackOwn,
    an_orphaned_attempt_must_be_struck_before_its_room_is_released: ReleaseUnstruck,
    a_reservation_must_be_resolved_for_its_own_instance: AnyInstance,
    open_reservations_must_be_looked_for_when_nobody_waits: NobodyWaitsNothingOpen,
    who_looks_at_news_must_be_read_after_they_are_written: AttentionBeforeWrite,
    news_must_be_counted_while_somebody_is_at_work: AwakeIsNotCounted,
    a_loser_of_the_turn_must_see_whether_the_holder_has_ended: LateCount,
    a_submission_must_be_announced_unless_a_higher_rank_is_ahead: JoinBehindAnybody,
    the_lanes_must_be_looked_at_again_after_a_wave: NoSecondLook,
    a_cycle_must_not_take_it_that_nobody_waits: IdleAfterStart,
    a_cycle_must_stop_when_its_turn_is_lost: GoOnWithoutTurn,
    an_event_older_than_a_known_end_must_not_be_believed: BelieveOldEvent,
    a_report_older_than_an_end_must_not_stay_in_doubt: KeepOldDoubt,
    an_open_reservation_must_not_be_released_without_its_tasks_end: EndUntold,
    a_report_must_be_announced_while_the_use_by_others_is_in_doubt: NotedQuietly,
    a_stored_report_that_comes_again_must_be_worked_out_anew: RepeatSaysNothing,
    an_answer_must_not_be_believed_when_the_record_was_written_meanwhile: BelieveOverlap,
    a_task_reserved_by_another_cycle_must_keep_its_entry: ReservedIsOrphan,
    a_failed_cycles_wake_message_must_not_arrive_before_its_lease_ends: WakeAtOnceAfterFailure,
    run_task_must_not_be_sent_when_its_time_is_over: SendLate,
    an_instance_left_out_must_be_looked_at_again: ForgetClosed,
    an_event_must_date_what_describe_told_before: UndatedForGood,
    lost_events_must_be_made_good_by_reconciler: NoReconciler,
}
