//! The soak as a test: thousands of runs with everything going wrong, and the proof that each check can fail.

use berth_simulator::soak::{FaultKind, Invariant, Mutation, SoakOptions, run_seed, shrink, soak};

/// Seeds of the normal run.
const SEEDS: u64 = 2_000;

/// Seeds within which each mutation must be found: those that the product passes.
const MUTATION_SEEDS: u64 = SEEDS;

#[test]
fn two_thousand_runs_keep_every_promise() {
    let report = soak(1..1 + SEEDS, &SoakOptions::default(), &|| {});
    let told: Vec<String> = report
        .violations
        .iter()
        .map(|(seed, it)| format!("{seed}: {it:?}"))
        .collect();
    assert!(
        told.is_empty(),
        "again: cargo run --release -- soak --seed N\n{}",
        told.join("\n")
    );
    assert_eq!(report.seeds, SEEDS);
    for kind in FaultKind::ALL {
        let count = report.faults.get(kind).copied().unwrap_or(0);
        assert!(count > 0, "{} never occurred", kind.name());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..20 {
        let run = || {
            let run = run_seed(seed, &SoakOptions::default());
            (run.steps, run.calls, run.faults)
        };
        assert_eq!(run(), run(), "seed {seed}");
    }
}

/// The first broken promise under a mutation.
fn found(mutation: Mutation) -> Option<(u64, Invariant)> {
    let options = SoakOptions {
        mutation: Some(mutation),
        ..SoakOptions::default()
    };
    (1..=MUTATION_SEEDS).find_map(|seed| run_seed(seed, &options).violation.map(|it| (seed, it.invariant)))
}

macro_rules! mutations_are_found {
    ($($test:ident: $mutation:ident;)*) => {
        $(#[test]
        fn $test() {
            let (seed, invariant) = found(Mutation::$mutation).expect("no seed noticed it");
            println!("{}: {} after {seed} seeds", Mutation::$mutation.name(), invariant.name());
        })*

        #[test]
        fn every_mutation_has_its_test() {
            assert_eq!([$(Mutation::$mutation,)*], Mutation::ALL);
        }
    };
}

mutations_are_found! {
    settling_at_the_reply_is_found: SettleAtReply;
    settling_on_any_newer_version_is_found: SettleOnAnyNewerVersion;
    a_fresh_token_for_every_call_is_found: FreshToken;
    falling_asleep_without_the_generation_check_is_found: SleepUnchecked;
    announcing_before_writing_is_found: AnnounceBeforeWrite;
    silence_about_a_repeated_report_is_found: SilentRepeat;
    a_token_used_at_any_age_is_found: AgelessToken;
    a_refusal_that_is_definite_at_once_is_found: HastyRefusal;
    dequeuing_at_the_reservation_is_found: DequeueAtReservation;
    a_wake_that_comes_back_too_early_is_found: EarlyRedelivery;
    idleness_although_somebody_waits_is_found: IdleTooSoon;
    news_that_are_not_counted_are_found: UncountedNews;
    silence_about_the_first_of_a_lane_is_found: QuietInFront;
    a_missing_second_look_at_the_lanes_is_found: NoSecondLook;
    room_given_back_under_an_attempt_that_may_begin_is_found: NoStrike;
    stale_reads_are_found: StaleRead;
    blind_writes_are_found: BlindWrite;
    stopping_tasks_counted_as_free_are_found: StoppingIsFree;
    lost_events_without_reconciliation_are_found: NoReconciliation;
    a_lane_read_in_the_wrong_order_is_found: LastFirst;
    messages_deleted_at_receipt_are_found: AckAtReceipt;
    open_reservations_left_open_are_found: OpenForEver;
    clocks_that_are_far_ahead_are_found: FastClock;
    appointments_that_are_not_noted_are_found: NoAppointments;
    waiting_entries_that_stay_are_found: EntriesStay;
}

#[test]
fn a_failing_run_is_made_smaller_and_still_fails_with_a_trace() {
    let options = SoakOptions {
        mutation: Some(Mutation::FreshToken),
        ..SoakOptions::default()
    };
    let (seed, _) = found(Mutation::FreshToken).expect("found by another test, too");
    let whole = run_seed(seed, &options);
    let shrunk = shrink(seed, &options, 70).expect("the seed fails");
    assert!(shrunk.run.violation.is_some());
    assert!(
        shrunk.run.messages <= whole.messages && shrunk.kinds.len() < whole.kinds.len(),
        "{shrunk:?}"
    );
    assert!(shrunk.run.trace.len() > 5);
}
