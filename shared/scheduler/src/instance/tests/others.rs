//! What others use: known, in doubt, and told by old reports.

use super::*;

/// An instance where one task of ours runs that takes 100 MiB, and others use so much.
fn with_one_running(others_mib: u32) -> InstanceRecord {
    let first = record(&report(1, 512 - others_mib));
    let reserved = first.reserve(attempt("a"), &memory(100), &group(), RunOutlook::default());
    let placed = reserved.unwrap().place(&attempt("a"), task("t"), at(2)).unwrap();
    assert_eq!(
        observe(Some(&placed), &report(2, 412 - others_mib)),
        Observed::Expected,
        "others use what they used before, and ours the rest"
    );
    placed
}

#[test]
fn a_report_that_follows_from_the_record_is_not_stored() {
    for others_mib in [0, 200] {
        let running = with_one_running(others_mib);
        assert_eq!(free(&running), 412 - others_mib);
        // The end of the task gives its room back, whatever becomes of the report of it.
        let ended = running.release(&attempt("a"), None).unwrap();
        assert_eq!(free(&ended), 512 - others_mib);
        assert_eq!(
            observe(Some(&ended), &report(3, 512 - others_mib)),
            Observed::Expected
        );
        // What was said before is not said again as news, and is announced again.
        assert_eq!(
            observe(Some(&running), &report(1, 512 - others_mib)),
            Observed::Unchanged
        );
    }
}

#[test]
fn the_report_of_an_end_that_comes_before_the_end_lets_nobody_in_too_early() {
    let alone = with_one_running(0);
    assert_eq!(observe(Some(&alone), &report(3, 512)), Observed::Expected);
    assert_eq!(free(&alone), 412);
    assert_eq!(free(&alone.release(&attempt("a"), None).unwrap()), 512);
    // Beside others it may be one of theirs that has ended.
    let beside = with_one_running(200);
    let reported = updated(Some(&beside), &report(3, 312));
    assert_eq!(free(&reported), 312);
    assert_eq!(free(&reported.release(&attempt("a"), None).unwrap()), 312);
    let again = updated(
        Some(&reported.release(&attempt("a"), None).unwrap()),
        &report(4, 312),
    );
    assert_eq!(observe(Some(&again), &report(5, 312)), Observed::Expected);
}

#[test]
fn what_others_come_to_use_is_stored_and_so_is_what_they_give_back() {
    let alone = with_one_running(0);
    let more = updated(Some(&alone), &report(3, 112));
    assert_eq!(free(&more), 112);
    assert_eq!(free(&more.release(&attempt("a"), None).unwrap()), 212);
    // Less is believed for now, and for good when ECS says so once more.
    let less = updated(Some(&more), &report(4, 262));
    assert_eq!(free(&less), 262);
    let none = updated(Some(&less), &report(5, 412));
    assert_eq!(free(&none), 412);
    let described = InstanceReport {
        source: ReportSource::described_after(&none),
        ..report(5, 412)
    };
    let sure = updated(Some(&none), &described);
    assert_eq!(free(&sure), 412);
    assert_eq!(observe(Some(&sure), &report(6, 412)), Observed::Expected);
}

#[test]
fn a_task_of_others_that_the_end_of_one_of_ours_hides_is_told_by_its_own_event() {
    let alone = with_one_running(0);
    let other = |stage| OtherTask {
        demand: memory(100),
        group: group(),
        version: ReportVersion::new(1),
        stage,
    };
    // Ours has ended, and is not known to have; another one of the same size has taken its room.
    assert_eq!(observe(Some(&alone), &report(3, 412)), Observed::Expected);
    let told = alone
        .observe_other(&task("o"), other(TaskStage::Running))
        .unwrap();
    assert_eq!(free(&told.release(&attempt("a"), None).unwrap()), 412);
    // Its report comes: it is not counted twice.
    let ended = updated(Some(&told.release(&attempt("a"), None).unwrap()), &report(4, 412));
    assert_eq!(free(&ended), 412);
    let gone = updated(Some(&ended.forget_other(&task("o")).unwrap()), &report(5, 512));
    assert_eq!(free(&gone), 512);
}

#[test]
fn that_a_task_is_stopping_is_noted_only_beside_others() {
    assert_eq!(with_one_running(0).stopping(&attempt("a")), None);
    let stopping = with_one_running(200).stopping(&attempt("a")).unwrap();
    // Whether or not ECS has given its room back, the report follows from the record.
    for remaining in [212, 312] {
        assert_eq!(
            observe(Some(&stopping), &report(3, remaining)),
            Observed::Expected
        );
    }
    assert_eq!(free(&stopping), 212);
}

#[test]
fn running_tasks_are_those_of_others_and_ours() {
    let count = |record: &InstanceRecord| record.running_tasks_count();
    let running = |version, remaining, tasks| InstanceReport {
        running_tasks: tasks,
        ..report(version, remaining)
    };
    let first = record(&running(1, 312, 2));
    assert_eq!(count(&first), 2);
    let reserved = first.reserve(attempt("a"), &memory(100), &group(), RunOutlook::default());
    let placed = reserved.unwrap().place(&attempt("a"), task("t"), at(2)).unwrap();
    assert_eq!(count(&placed), 3);
    let with_a_third = updated(Some(&placed), &running(3, 112, 4));
    assert_eq!(count(&with_a_third), 4);
    assert_eq!(count(&with_a_third.release(&attempt("a"), None).unwrap()), 3);
}

#[test]
fn a_report_that_may_be_older_than_the_end_of_a_task_gives_nobody_else_its_room() {
    let ended = with_one_running(0).release(&attempt("a"), Some(at(9))).unwrap();
    // The report of the start comes after the end.
    assert_eq!(observe(Some(&ended), &report(8, 412)), Observed::Stale);
    // One that was made later tells of somebody else.
    assert_eq!(free(&updated(Some(&ended), &report(9, 412))), 412);
    // And so does an answer of ECS, unless something was recorded meanwhile.
    let described = |before: &InstanceRecord| InstanceReport {
        source: ReportSource::described_after(before),
        updated_at: None,
        ..report(8, 412)
    };
    assert_eq!(
        observe(Some(&ended), &described(&with_one_running(0))),
        Observed::Stale
    );
    assert_eq!(free(&updated(Some(&ended), &described(&ended))), 412);
    // What else it tells is believed.
    let draining = InstanceReport {
        status: InstanceStatus::Draining,
        ..report(8, 412)
    };
    let drained = updated(Some(&ended), &draining);
    assert_eq!(drained.state().status, InstanceStatus::Draining);
    assert_eq!(free(&updated(Some(&drained), &report(9, 512))), 512);
}
