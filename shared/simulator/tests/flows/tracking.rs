//! capacity-tracker: events, early, late, repeated and out of order.

use berth_control::ports::Ledger;
use berth_control::track::Tracked;
use berth_scheduler::id::ReportVersion;
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::TaskState;
use berth_scheduler::report::{InstanceReport, TaskEnd, TaskReport, TaskStatus};
use berth_scheduler::timestamp::Timestamp;

use crate::world::{World, arn, cluster, ecs_task, now, report, submission};

#[test]
fn an_older_report_changes_nothing_and_a_repeated_one_is_announced_again() {
    let world = World::default();
    assert_eq!(world.register(&report("a", 2, 512)), Tracked::Recorded);
    assert_eq!(world.observe(&report("a", 1, 0)), Tracked::Stale);
    assert_eq!(world.observe(&report("a", 2, 512)), Tracked::Known);
    assert_eq!(world.free("a"), 512);
    assert_eq!(
        world.queues.wakes.borrow().len(),
        2,
        "the wake behind the first report may be lost"
    );
}

#[test]
fn what_lets_nobody_start_wakes_nobody() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small"), submission("waits", 0, "huge")]);
    world.queues.wakes.borrow_mut().clear();
    assert_eq!(world.observe(&report("a", 2, 412)), Tracked::Noted);
    world.observe_task(&world.task_report(0, TaskStatus::Running));
    assert!(world.queues.wakes.borrow().is_empty());
    world.observe_task(&world.task_report(0, TaskStatus::Stopped));
    assert_eq!(world.observe(&report("a", 3, 512)), Tracked::Recorded);
    assert!(!world.queues.wakes.borrow().is_empty());
}

#[test]
fn the_end_of_a_task_frees_its_room_and_is_recorded() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    world.observe(&report("a", 2, 412));
    assert_eq!(
        world.observe_task(&world.task_report(0, TaskStatus::Stopped)),
        Tracked::Recorded
    );
    world.observe(&report("a", 3, 512));
    assert_eq!(world.free("a"), 512);
    assert!(world.task("t").progress.is_final());
}

#[test]
fn a_stopping_task_keeps_its_room_until_it_has_stopped() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    world.observe_task(&world.task_report(0, TaskStatus::Stopping));
    world.observe(&report("a", 3, 512));
    assert_eq!(world.free("a"), 412);
    world.observe_task(&world.task_report(0, TaskStatus::Stopped));
    assert_eq!(world.free("a"), 512);
}

#[test]
fn an_event_may_tell_of_a_start_before_runtask_answers() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "connection reset".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world.observe_task(&world.task_report(0, TaskStatus::Running));
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
    world.cycle();
    assert_eq!(world.launched(), ["t"], "nothing is left to resolve");
    assert!(
        world.waiting().is_empty(),
        "the cycle removes the entry that is left behind"
    );
}

#[test]
fn a_late_start_event_does_not_bring_an_ended_task_back() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    world.observe_task(&world.task_report(0, TaskStatus::Stopped));
    world.observe_task(&world.task_report(0, TaskStatus::Running));
    assert!(world.task("t").progress.is_final());
    assert_eq!(world.free("a"), 512);
}

#[test]
fn tasks_of_others_are_known_by_their_events() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let other = |version, status| TaskReport {
        task: ecs_task("other"),
        attempt: None,
        version: ReportVersion::new(version),
        ..world.task_report(0, status)
    };
    world.observe(&report("a", 2, 312));
    assert_eq!(world.observe_task(&other(1, TaskStatus::Running)), Tracked::Noted);
    assert_eq!(world.observe_task(&other(1, TaskStatus::Running)), Tracked::Known);
    assert_eq!(
        world.observe_task(&other(2, TaskStatus::Stopping)),
        Tracked::Noted
    );
    world.observe(&report("a", 3, 412));
    assert_eq!(
        world.free("a"),
        212,
        "our unreported task and the stopping one of others"
    );
    assert_eq!(
        world.observe_task(&other(3, TaskStatus::Stopped)),
        Tracked::Recorded
    );
    assert_eq!(world.free("a"), 312);
}

#[test]
fn a_task_that_claims_an_attempt_nobody_made_is_not_ours() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let mut forged = world.task_report(0, TaskStatus::Stopped);
    let attempt = forged.attempt.as_mut().unwrap();
    attempt.number = attempt.number.next();
    assert_eq!(world.observe_task(&forged), Tracked::NotOurs);
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
}

#[test]
fn every_end_of_a_family_is_counted_at_first_and_a_sample_once_it_is_known() {
    let world = World::with_instances(&["a"]);
    let end = TaskEnd {
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_at: Some(Timestamp::from_millis(60_000)),
        exit_code: Some(0),
        ..TaskEnd::default()
    };
    let counted = || {
        let learnt = now(world.ledger.load_run_times(&cluster())).unwrap();
        learnt.iter().map(|(_, counts)| counts.total()).sum::<u32>()
    };
    for number in 0..132 {
        world.send(&[submission(&format!("t{number}"), 0, "small")]);
        world.stop(number, end.clone());
        if number < 32 {
            assert_eq!(usize::try_from(counted()), Ok(number + 1));
        }
    }
    assert!((36..56).contains(&counted()), "{} of 132", counted());
}

/// How often an instance's record is written while one task starts and ends there, and what is free at last.
fn writes_of_a_task(others_mib: u32, ending: &[TaskStatus]) -> (u64, u32) {
    let world = World::default();
    let report_with = |version, tasks_mib: u32| InstanceReport {
        updated_at: Some(Timestamp::from_millis(i64::try_from(version).unwrap() * 1_000)),
        ..report("a", version, 512 - others_mib - tasks_mib)
    };
    world.register(&report_with(1, 0));
    let revision = || {
        let record = now(world.ledger.load_instance(&cluster(), &arn("a"))).unwrap();
        record.unwrap().state().revision.get()
    };
    let before = revision();
    world.send(&[submission("t", 0, "small")]);
    world.observe(&report_with(2, 100));
    world.observe_task(&world.task_report(0, TaskStatus::Running));
    for status in ending {
        world.observe_task(&world.task_report(0, *status));
    }
    world.observe(&report_with(3, 0));
    world.observe_task(&world.task_report(0, TaskStatus::Stopped));
    // The next report shows that others use what they used.
    world.observe(&report_with(4, 0));
    (revision() - before, world.free("a"))
}

#[test]
fn a_task_costs_three_writes_of_its_instances_record_and_a_few_more_beside_others() {
    use TaskStatus::{Stopped, Stopping};
    // Its room, its start, its end.
    for ending in [&[][..], &[Stopping], &[Stopped], &[Stopping, Stopped]] {
        assert_eq!(writes_of_a_task(0, ending), (3, 512), "{ending:?}");
    }
    // Beside others, too, when its end is known before its room is reported free.
    assert_eq!(writes_of_a_task(200, &[Stopped]), (3, 312));
    assert_eq!(writes_of_a_task(200, &[Stopping, Stopped]), (4, 312));
    assert_eq!(writes_of_a_task(200, &[Stopping]), (4, 312));
    // Else it might be one of theirs that has ended.
    assert_eq!(writes_of_a_task(200, &[]), (5, 312));
}
