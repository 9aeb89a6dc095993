//! Times, retries, and people who change their minds.

use berth_control::cycle::CycleEnd;
use berth_control::intake::{BatchReport, InboundMessage};
use berth_control::ports::{Change, Ledger};
use berth_control::reconcile::reconcile;
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::launch::{LaunchOutcome, Refusal};
use berth_scheduler::progress::{Outcome, TaskState};
use berth_scheduler::report::{TaskEnd, TaskStatus};
use berth_scheduler::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::world::{World, arn, cluster, ecs_task, message, now, report, submission, wake};

/// A submission with more fields.
pub(crate) fn with(id: &str, fields: Value) -> InboundMessage {
    let mut body = json!({"id": id, "taskDefinition": "small"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    message(id, &body.to_string())
}

/// A command sent at this second.
pub(crate) fn command(sent_at: i64, body: Value) -> InboundMessage {
    InboundMessage {
        sent_at: Timestamp::from_millis(sent_at * 1_000),
        ..message(&format!("command-{sent_at}"), &body.to_string())
    }
}

pub(crate) fn order(world: &World, sent_at: i64, body: Value) -> BatchReport {
    let report = world.send(&[command(sent_at, body)]);
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    report
}

/// An instance that is full, so that everybody waits.
pub(crate) fn full() -> World {
    let world = World::default();
    world.register(&report("a", 1, 0));
    world
}

pub(crate) fn room(world: &World, version: u64) {
    world.observe(&report("a", version, 512));
    world.cycle();
}

pub(crate) fn exit(code: i32) -> TaskEnd {
    TaskEnd {
        exit_code: Some(code),
        stop_code: Some("EssentialContainerExited".to_owned()),
        ..TaskEnd::default()
    }
}

pub(crate) fn time(seconds: i64) -> String {
    Timestamp::from_millis(seconds * 1_000).to_string()
}

#[test]
fn a_waiting_task_is_cancelled_and_leaves_the_list() {
    let world = full();
    world.send(&[submission("a", 0, "small"), submission("b", 0, "small")]);
    order(
        &world,
        5,
        json!({"action": "cancel", "id": "a", "reason": "wrong input"}),
    );
    assert_eq!(world.outcome("a"), Some(Outcome::Cancelled));
    assert_eq!(world.waiting(), ["b"]);
    let TaskState::Final(task) = world.task("a").progress.state else {
        panic!()
    };
    assert_eq!(task.reason, "cancelled: wrong input");
    room(&world, 2);
    assert_eq!(world.launched(), ["b"]);
    // Again, and a submission that comes again: nothing changes.
    order(
        &world,
        5,
        json!({"action": "cancel", "id": "a", "reason": "wrong input"}),
    );
    world.send(&[submission("a", 0, "small")]);
    assert!(world.waiting().is_empty());
    assert_eq!(world.task("a").commands.len(), 1);
}

#[test]
fn a_running_task_is_stopped_and_is_cancelled_when_it_has_ended() {
    let world = World::with_instances(&["a"]);
    world.send(&[with("t", json!({"retryStrategy": {"attempts": 3}}))]);
    order(
        &world,
        5,
        json!({"action": "cancel", "id": "t", "reason": "enough"}),
    );
    assert_eq!(
        *world.ecs.stops.borrow(),
        [(ecs_task("1-t"), "Berth: enough".to_owned())]
    );
    assert_eq!(world.outcome("t"), None);
    // ECS may not have heard it: it is told again, by an appointment, until the task has ended.
    world.pass_seconds(120);
    world.cycle();
    assert_eq!(world.ecs.stops.borrow().len(), 2);
    world.stop(0, exit(137));
    assert_eq!(world.outcome("t"), Some(Outcome::Cancelled));
    world.pass_seconds(120);
    world.cycle();
    assert_eq!(world.ecs.stops.borrow().len(), 2);
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_launch_without_an_answer_is_cancelled_as_soon_as_its_task_is_known() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    order(&world, 5, json!({"action": "cancel", "id": "t"}));
    assert_eq!(
        world.launched(),
        ["t", "t"],
        "the cycle resolves the launch first"
    );
    assert_eq!(world.ecs.stops.borrow().len(), 1);
    world.stop(0, exit(137));
    assert_eq!(world.outcome("t"), Some(Outcome::Cancelled));
}

#[test]
fn a_launch_that_is_refused_after_it_was_cancelled_is_not_tried_again() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world.pass_seconds(181);
    world.answer(LaunchOutcome::Refused(Refusal::from_reason("RESOURCE:MEMORY")));
    order(&world, 5, json!({"action": "cancel", "id": "t"}));
    assert_eq!(world.outcome("t"), Some(Outcome::Cancelled));
    world.cycle();
    assert!(world.waiting().is_empty());
    assert_eq!(world.free("a"), 512);
}

#[test]
fn a_task_on_hold_lets_others_pass_and_is_in_its_old_place_when_released() {
    let world = full();
    world.send(&[
        submission("first", 9, "small"),
        submission("second", 5, "small"),
        submission("third", 0, "small"),
    ]);
    order(
        &world,
        5,
        json!({"action": "hold", "id": "first", "reason": "not yet"}),
    );
    assert_eq!(world.waiting(), ["second", "third"]);
    order(&world, 6, json!({"action": "release", "id": "first"}));
    assert_eq!(world.waiting(), ["first", "second", "third"]);
    order(&world, 7, json!({"action": "hold", "id": "first"}));
    room(&world, 2);
    assert_eq!(world.launched(), ["second", "third"]);
    // A release that was sent before the hold, and comes late, changes nothing.
    order(&world, 6, json!({"action": "release", "id": "first"}));
    assert_eq!(world.launched(), ["second", "third"]);
    order(&world, 8, json!({"action": "release", "id": "first"}));
    assert_eq!(world.launched(), ["second", "third", "first"]);
}

/// Found by the soak: the release came first and had nothing to release.
#[test]
fn a_hold_that_comes_after_the_release_that_was_sent_later_changes_nothing() {
    let world = full();
    world.send(&[submission("t", 0, "small")]);
    order(&world, 6, json!({"action": "release", "id": "t"}));
    order(&world, 5, json!({"action": "hold", "id": "t"}));
    assert_eq!(world.waiting(), ["t"]);
    let commands = world.task("t").commands;
    assert_eq!(commands.len(), 1, "{commands:?}");
}

#[test]
fn a_new_priority_is_a_new_place() {
    let world = full();
    world.send(&[submission("a", 5, "small"), submission("b", 4, "small")]);
    order(
        &world,
        5,
        json!({"action": "changePriority", "id": "b", "priority": 6}),
    );
    assert_eq!(world.waiting(), ["b", "a"]);
    order(
        &world,
        6,
        json!({"action": "changePriority", "id": "b", "priority": 0}),
    );
    assert_eq!(world.waiting(), ["a", "b"]);
    room(&world, 2);
    assert_eq!(world.launched(), ["a", "b"]);
}

/// Found by the soak: whoever carried the command out died before the old place was left, and the message came back
/// from the dead-letter queue as another one.
#[test]
fn the_old_place_is_left_by_whoever_follows_the_task_up_next() {
    let world = full();
    world.send(&[submission("t", 5, "small")]);
    let before = world.task("t");
    let urgent = json!({"action": "changePriority", "id": "t", "priority": 6});
    order(&world, 5, urgent.clone());
    now(world.ledger.enqueue(&cluster(), &before.lane, &before.waiting())).unwrap();
    assert_eq!(world.waiting(), ["t", "t"]);
    order(&world, 900, urgent);
    assert_eq!(world.waiting(), ["t"]);
    assert_eq!(world.task("t").rank.priority().get(), 6);
}

/// Found by the soak: a launch was under way, the place was changed, and ECS refused the launch.
#[test]
fn a_launch_under_way_keeps_its_new_place_when_it_is_refused() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world.pass_seconds(181);
    world.answer(LaunchOutcome::Refused(Refusal::from_reason("RESOURCE:MEMORY")));
    order(
        &world,
        5,
        json!({"action": "changePriority", "id": "t", "priority": 7}),
    );
    world.cycle();
    assert_eq!(world.launched(), ["t", "t", "t"]);
    let TaskState::Started(_) = world.task("t").progress.state else {
        panic!("{:?}", world.task("t").progress)
    };
    assert!(world.waiting().is_empty());
}

#[test]
fn a_command_on_a_group_finds_who_waits_who_is_on_hold_and_who_runs() {
    let world = World::with_instances(&["a"]);
    let group = |id: &str, group: &str| with(id, json!({"group": group}));
    world.send(&[group("running", "nightly"), group("other", "daily")]);
    world.observe(&report("a", 2, 0));
    world.send(&[group("waiting", "nightly"), group("held", "nightly")]);
    order(&world, 5, json!({"action": "hold", "id": "held"}));
    let later = InboundMessage {
        sent_at: Timestamp::from_millis(9_000),
        ..group("later", "nightly")
    };
    world.send(&[later]);
    order(&world, 8, json!({"action": "cancel", "group": "nightly"}));
    for id in ["waiting", "held"] {
        assert_eq!(world.outcome(id), Some(Outcome::Cancelled), "{id}");
    }
    assert_eq!(world.ecs.stops.borrow().len(), 1);
    assert_eq!(world.waiting(), ["later"], "it was submitted after the command");
    assert!(world.task("other").progress.stop.is_none());
}

#[test]
fn a_command_waits_for_its_submission_and_is_refused_when_there_is_none() {
    let world = full();
    let cancel = command(5, json!({"action": "cancel", "id": "t"}));
    assert_eq!(world.send(std::slice::from_ref(&cancel)).failed.len(), 1);
    world.pass_seconds(11 * 60);
    assert_eq!(world.send(std::slice::from_ref(&cancel)).refused, 1);
    assert!(
        world.queues.refusals.borrow()[0]["reason"]
            .to_string()
            .contains("no task `t` is known")
    );
    // In one batch with its submission it comes after it, wherever it stands.
    let batch = world.send(&[
        command(6, json!({"action": "cancel", "id": "u"})),
        submission("u", 0, "small"),
    ]);
    assert_eq!((batch.obeyed, batch.accepted), (1, 1));
    assert_eq!(world.outcome("u"), Some(Outcome::Cancelled));
}

#[test]
fn all_copies_of_a_submission_are_meant_or_one_of_them() {
    let world = full();
    world.send(&[with("t", json!({"count": 3}))]);
    order(&world, 5, json!({"action": "cancel", "id": "t/2"}));
    assert_eq!(world.waiting(), ["t", "t/3"]);
    order(&world, 5, json!({"action": "hold", "id": "t/1"}));
    assert_eq!(world.waiting(), ["t/3"]);
    order(&world, 6, json!({"action": "hold", "id": "t"}));
    assert!(world.waiting().is_empty());
    order(&world, 7, json!({"action": "release", "id": "t"}));
    assert_eq!(world.waiting(), ["t", "t/3"]);
}

#[test]
fn nothing_starts_in_a_paused_cluster_and_everybody_is_told() {
    let world = World::with_instances(&["a"]);
    order(&world, 5, json!({"action": "pause", "reason": "maintenance"}));
    world.send(&[submission("t", 0, "small")]);
    assert!(world.launched().is_empty());
    let hold = world.hold().to_string();
    assert!(hold.contains("paused") && hold.contains("maintenance"), "{hold}");
    assert!(matches!(world.cycle(), CycleEnd::Complete(_)));
    // A resume that was sent before the pause, and comes late, changes nothing.
    order(&world, 4, json!({"action": "resume"}));
    assert!(world.launched().is_empty());
    order(&world, 6, json!({"action": "resume"}));
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_task_starts_at_its_time_and_not_before() {
    let world = World::with_instances(&["a"]);
    world.send(&[with("t", json!({"notBefore": time(100)}))]);
    world.pass_seconds(99);
    world.cycle();
    assert!(world.launched().is_empty() && world.waiting().is_empty());
    world.pass_seconds(1);
    // The reconciler wakes the admitter for an appointment that is due.
    world.queues.wakes.borrow_mut().clear();
    now(reconcile(world.ports(), &cluster())).unwrap();
    assert_eq!(*world.queues.wakes.borrow(), [0]);
    world.send(&[wake()]);
    assert_eq!(world.launched(), ["t"]);
}

/// Found by the soak: it was taken out of its lane again, its appointment was kept already, and nobody looked at it.
#[test]
fn a_task_whose_time_has_come_by_one_clock_is_not_lost_by_one_that_is_behind() {
    let world = full();
    world.send(&[with("t", json!({"notBefore": time(100)}))]);
    world.pass_seconds(100);
    world.cycle();
    assert_eq!(world.waiting(), ["t"]);
    world.pass_seconds(-2);
    now(reconcile(world.ports(), &cluster())).unwrap();
    world.cycle();
    assert_eq!(world.waiting(), ["t"]);
    room(&world, 2);
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_task_that_cannot_start_in_time_expires_with_its_reason() {
    let world = full();
    world.send(&[with("t", json!({"startBy": time(100)}))]);
    world.pass_seconds(99);
    world.cycle();
    assert_eq!(world.waiting(), ["t"]);
    world.pass_seconds(1);
    world.cycle();
    assert_eq!(world.outcome("t"), Some(Outcome::Expired));
    assert!(world.waiting().is_empty());
    room(&world, 2);
    assert!(world.launched().is_empty());
    // One that has started does not expire.
    let world = World::with_instances(&["a"]);
    world.send(&[with("t", json!({"startBy": time(100)}))]);
    world.pass_seconds(200);
    world.cycle();
    assert_eq!(world.outcome("t"), None);
    // And one that came too late was never there.
    world.send(&[with("u", json!({"startBy": time(100)}))]);
    assert_eq!(world.outcome("u"), Some(Outcome::Expired));
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_task_that_runs_for_too_long_is_stopped_and_has_failed() {
    let world = World::with_instances(&["a"]);
    world.send(&[with(
        "t",
        json!({"timeoutSeconds": 60, "retryStrategy": {"attempts": 3}}),
    )]);
    world.pass_seconds(59);
    world.cycle();
    assert!(world.ecs.stops.borrow().is_empty());
    world.pass_seconds(1);
    world.cycle();
    assert!(
        world.ecs.stops.borrow()[0].1.contains("60 s"),
        "{:?}",
        world.ecs.stops
    );
    world.stop(0, exit(143));
    assert_eq!(world.outcome("t"), Some(Outcome::Failed));
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_failed_task_is_run_again_in_its_old_place() {
    let world = World::with_instances(&["a"]);
    let again = json!({"priority": 9, "retryStrategy": {"attempts": 2}});
    world.send(&[with("t", again)]);
    world.observe(&report("a", 2, 0));
    world.send(&[submission("later", 5, "small")]);
    world.stop(0, exit(1));
    assert_eq!(world.waiting(), ["t", "later"]);
    room(&world, 3);
    assert_eq!(world.launched(), ["t", "t", "later"]);
    assert_eq!(world.ecs.calls.borrow()[1].attempt.number.get(), 2);
    assert_ne!(
        world.ecs.calls.borrow()[0].client_token,
        world.ecs.calls.borrow()[1].client_token
    );
    // The first end comes again: it is about an attempt that is over.
    world.stop(0, exit(1));
    assert_eq!(world.outcome("t"), None);
    world.stop(1, exit(1));
    assert_eq!(world.outcome("t"), Some(Outcome::Failed));
    let succeeded = TaskEnd { ..exit(0) };
    world.stop(2, succeeded);
    assert_eq!(world.outcome("later"), Some(Outcome::Succeeded));
}

#[test]
fn a_task_whose_instance_is_lost_is_run_again_without_costing_an_attempt() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let lost = TaskEnd {
        stop_code: Some("TerminationNotice".to_owned()),
        stopped_reason: Some("Host EC2 (instance i-a) terminated.".to_owned()),
        ..TaskEnd::default()
    };
    world.stop(0, lost);
    assert_eq!(world.launched(), ["t", "t"]);
    let runs = world.task("t").progress.runs;
    assert_eq!((runs.failed, runs.hosts_lost), (0, 1));
}

#[test]
fn a_task_out_of_memory_gets_more_in_a_lane_of_its_own() {
    let world = World::with_instances(&["a"]);
    let more = json!({"attempts": 2, "onOutOfMemory": {"increasePercent": 50, "maximumMiB": 400}});
    world.send(&[with("t", json!({"retryStrategy": more}))]);
    let lane = world.task("t").lane;
    let out_of_memory = TaskEnd {
        container_reason: Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
        ..exit(137)
    };
    world.observe(&report("a", 2, 412));
    world.stop(0, out_of_memory);
    assert_eq!(world.launched(), ["t", "t"]);
    let task = world.task("t");
    assert_eq!(task.demand.memory.get(), 150);
    assert_ne!(task.lane, lane);
    let call = &world.ecs.calls.borrow()[1];
    let container = &call.request.overrides.container_overrides[0];
    assert_eq!(
        (container.name.as_deref(), container.memory),
        (Some("main"), Some(150))
    );
}

#[test]
fn an_end_that_comes_before_the_start_is_known_is_followed_by_the_next_run() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[with("t", json!({"retryStrategy": {"attempts": 2}}))]);
    world.stop(0, exit(1));
    world.cycle();
    assert_eq!(world.launched(), ["t", "t"]);
    assert_eq!(world.ecs.calls.borrow()[1].attempt.number.get(), 2);
    assert_eq!(world.free("a"), 412);
}

#[test]
fn a_task_in_doubt_is_tried_again_or_cancelled_when_people_say_so() {
    let doubtful = || {
        let world = World::with_instances(&["a"]);
        world.answer(LaunchOutcome::Unknown {
            message: "timed out".to_owned(),
        });
        world.send(&[submission("t", 0, "small")]);
        world.pass_seconds(66 * 60);
        world.cycle();
        assert!(matches!(world.task("t").progress.state, TaskState::Doubt { .. }));
        world
    };
    let world = doubtful();
    // Found by the soak: a release that was sent for a hold came back from the dead-letter queue.
    order(&world, 5, json!({"action": "release", "id": "t"}));
    assert_eq!(world.launched(), ["t"]);
    order(&world, 6, json!({"action": "retry", "id": "t"}));
    assert_eq!(world.launched(), ["t", "t"]);
    order(&world, 7, json!({"action": "retry", "id": "t"}));
    assert_eq!(world.launched(), ["t", "t"]);
    assert_eq!(world.ecs.calls.borrow()[1].attempt.number.get(), 2);
    let world = doubtful();
    order(&world, 5, json!({"action": "cancel", "id": "t"}));
    assert_eq!(world.outcome("t"), Some(Outcome::Cancelled));
}

/// Found by the soak: each noted a moment of its own, and every one of them was looked at and led to another.
#[test]
fn however_many_look_at_a_task_that_must_be_stopped_it_has_one_appointment() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    for second in 5..9 {
        world.pass_seconds(1);
        order(&world, second, json!({"action": "cancel", "id": "t"}));
    }
    let appointments = now(world.ledger.load_appointments(&cluster(), Timestamp::MAX, 100)).unwrap();
    assert_eq!(appointments.len(), 1, "{appointments:?}");
}

/// Found by the soak: whoever recorded the end died before the room was given back, and the task went on.
#[test]
fn the_room_of_an_earlier_attempt_is_given_back_by_whoever_hears_of_its_end() {
    let world = World::with_instances(&["a"]);
    world.send(&[with("t", json!({"retryStrategy": {"attempts": 2}}))]);
    let before = now(world.ledger.load_instance(&cluster(), &arn("a")))
        .unwrap()
        .unwrap();
    world.stop(0, exit(1));
    assert_eq!(world.launched(), ["t", "t"]);
    let after = now(world.ledger.load_instance(&cluster(), &arn("a")))
        .unwrap()
        .unwrap();
    // Both attempts hold room, as they would if the first had not been released.
    let mut state = after.state().clone();
    state.reservations.extend(before.state().reservations.clone());
    state.revision = state.revision.next();
    let both = InstanceRecord::from_state(state);
    let change = Change {
        instance: Some((&cluster(), &both)),
        ..Change::default()
    };
    now(world.ledger.commit(change)).unwrap();
    assert_eq!(world.free("a"), 312);
    world.stop(0, exit(1));
    assert_eq!(world.free("a"), 412);
}

#[test]
fn a_task_is_followed_to_its_end_by_the_reconciler_when_no_event_tells() {
    let world = World::with_instances(&["a"]);
    world.send(&[with("t", json!({"retryStrategy": {"attempts": 2}}))]);
    let mut stopped = world.task_report(0, TaskStatus::Stopped);
    stopped.end = Some(exit(1));
    world.ecs.tasks.borrow_mut().insert(stopped.task.clone(), stopped);
    now(reconcile(world.ports(), &cluster())).unwrap();
    world.cycle();
    assert_eq!(world.launched(), ["t", "t"]);
}
