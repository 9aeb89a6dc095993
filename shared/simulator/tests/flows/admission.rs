//! Intake and the admission cycle.

use berth_control::cycle::CycleEnd;
use berth_control::intake::InboundMessage;
use berth_control::ports::Ledger;
use berth_scheduler::launch::{LaunchOutcome, Refusal};
use berth_scheduler::progress::{Outcome, TaskState};
use serde_json::json;

use crate::world::{World, arn, cluster, ecs_task, message, now, report, submission, wake};

fn refused(reason: &str) -> LaunchOutcome {
    LaunchOutcome::Refused(Refusal::from_reason(reason))
}

fn unknown() -> LaunchOutcome {
    LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    }
}

#[test]
fn the_highest_priority_starts_first_and_the_rest_wait_with_a_reason() {
    let world = World::with_instances(&["a"]);
    let tasks: Vec<_> = (0..7).map(|n| submission(&format!("t{n}"), n, "small")).collect();
    let batch = world.send(&tasks);
    assert_eq!((batch.accepted, batch.failed.len()), (7, 0));
    assert_eq!(world.launched(), ["t6", "t5", "t4", "t3", "t2"]);
    assert_eq!(world.waiting(), ["t1", "t0"]);
    assert_eq!(world.free("a"), 12);
    let hold = world.hold().to_string();
    assert!(hold.contains("shortfall") || hold.contains("Shortfall"), "{hold}");
}

#[test]
fn a_launch_is_pinned_and_carries_the_attempts_own_token() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("etl", 0, "small")]);
    let calls = world.ecs.calls.borrow();
    assert_eq!(calls[0].pin.instance, arn("a"));
    assert_eq!(calls[0].pin.ec2_instance_id.as_str(), "i-a");
    assert_eq!(calls[0].attempt.started_by(), "berth/1/etl");
    assert_eq!(calls[0].client_token.len(), 64);
    let TaskState::Started(started) = world.task("etl").progress.state else {
        panic!()
    };
    assert_eq!((started.instance, started.task), (arn("a"), ecs_task("1-etl")));
}

#[test]
fn one_malformed_body_goes_to_the_refusals_queue_and_its_neighbours_are_admitted() {
    let world = World::with_instances(&["a", "b"]);
    let mut messages: Vec<_> = (0..9).map(|n| submission(&format!("t{n}"), 0, "small")).collect();
    messages.insert(4, message("bad", "{\"id\": \"bad\", \"priorty\": 1}"));
    let batch = world.send(&messages);
    assert_eq!((batch.accepted, batch.refused, batch.failed.len()), (9, 1, 0));
    assert_eq!(world.launched().len(), 9);
    let refusals = world.queues.refusals.borrow();
    assert_eq!(refusals[0]["body"], "{\"id\": \"bad\", \"priorty\": 1}");
    assert_eq!(refusals[0]["field"], "priorty");
}

#[test]
fn the_same_submission_twice_is_one_task_and_another_one_with_its_id_is_refused() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 1, "small")]);
    let again = world.send(&[submission("t", 1, "small")]);
    assert_eq!((again.accepted, again.repeated), (0, 1));
    assert_eq!(world.launched(), ["t"]);
    let other = world.send(&[submission("t", 2, "small")]);
    assert_eq!(other.refused, 1);
    assert_eq!(world.queues.refusals.borrow()[0]["field"], "id");
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn every_copy_of_a_submission_is_a_task_of_its_own() {
    let world = World::with_instances(&["a"]);
    world.send(&[message(
        "m",
        r#"{"id": "etl", "taskDefinition": "small", "count": 3}"#,
    )]);
    assert_eq!(world.launched(), ["etl", "etl/2", "etl/3"]);
}

#[test]
fn a_submission_that_comes_before_any_capacity_starts_when_an_instance_registers() {
    let world = World::default();
    world.send(&[submission("t", 0, "small")]);
    assert_eq!(world.waiting(), ["t"]);
    world.register(&report("a", 1, 512));
    assert_eq!(
        *world.queues.wakes.borrow(),
        [0],
        "asleep, so the tracker sends a wake"
    );
    world.send(&[wake()]);
    assert_eq!(world.launched(), ["t"]);
    assert!(world.waiting().is_empty());
}

#[test]
fn an_unusable_task_definition_is_refused_by_name() {
    let world = World::with_instances(&["a"]);
    let batch = world.send(&[submission("t", 0, "retired"), submission("u", 0, "nobody:3")]);
    assert_eq!(batch.refused, 2);
    let refusals = world.queues.refusals.borrow();
    let reasons: Vec<String> = refusals
        .iter()
        .map(|refusal| refusal["reason"].to_string())
        .collect();
    assert!(reasons[0].contains("`retired` is INACTIVE"), "{reasons:?}");
    assert!(reasons[1].contains("`nobody:3` is not known"), "{reasons:?}");
}

/// Found by the soak: it came back from the dead-letter queue after its task definition was gone, was refused as if it
/// had never been accepted, and what was stored of it waited for ever.
#[test]
fn a_half_accepted_submission_goes_on_although_its_task_definition_is_gone() {
    let world = World::default();
    world.send(&[submission("t", 0, "small")]);
    let stored = world.task("t");
    // As if whoever stored it had died before it was put in its lane.
    let (lane, rank) = (&stored.lane, &stored.rank);
    now(world.ledger.dequeue(&cluster(), lane, rank, stored.revision)).unwrap();
    world.ecs.deregistered.borrow_mut().insert("small".to_owned());
    let batch = world.send(&[submission("t", 0, "small"), submission("u", 0, "small")]);
    assert_eq!((batch.repeated, batch.refused), (1, 1));
    assert_eq!(world.outcome("t"), Some(Outcome::Refused));
    let refusals = world.queues.refusals.borrow();
    assert_eq!(refusals.len(), 2, "{refusals:?}");
}

#[test]
fn what_fits_nowhere_is_held_and_blocks_nobody() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("huge", 1000, "huge"), submission("small", 0, "small")]);
    assert_eq!(world.launched(), ["small"]);
    assert_eq!(world.waiting(), ["huge"]);
}

#[test]
fn a_refused_task_is_in_its_old_place_and_its_next_attempt_has_a_new_token() {
    let world = World::with_instances(&["a"]);
    world.answer(refused("RESOURCE:MEMORY"));
    world.send(&[submission("high", 9, "small")]);
    world.send(&[submission("low", 1, "small")]);
    world.cycle();
    // The first cycle closed the instance; the next one starts both, the refused one first.
    assert_eq!(world.launched(), ["high", "high", "low"]);
    let calls = world.ecs.calls.borrow();
    assert_ne!(calls[0].client_token, calls[1].client_token);
    assert_eq!(calls[1].attempt.number.get(), 2);
    assert_eq!(world.free("a"), 312);
}

#[test]
fn nobody_is_placed_where_a_higher_ranked_task_was_refused_a_moment_ago() {
    let world = World::with_instances(&["a"]);
    world.answer(refused("AGENT"));
    let batch = world.send(&[submission("high", 9, "small"), submission("low", 1, "huge")]);
    assert!(batch.failed.is_empty());
    assert_eq!(world.launched(), ["high"]);
    assert_eq!(world.waiting(), ["high", "low"]);
    assert_eq!(
        world.task("high").progress.state,
        TaskState::Waiting {
            last_refusal: Some("AGENT".into())
        }
    );
    assert_eq!(world.free("a"), 512, "the reservation is given back");
}

#[test]
fn an_unanswered_launch_is_repeated_with_the_same_token_and_adopted() {
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    assert!(matches!(world.task("t").progress.state, TaskState::Reserved(_)));
    assert_eq!(world.free("a"), 412, "it may run: its room stays reserved");
    assert_eq!(
        *world.queues.wakes.borrow(),
        [0, 5],
        "asleep at registration; then again in five seconds"
    );
    world.pass_seconds(5);
    world.send(&[wake()]);
    let calls = world.ecs.calls.borrow();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].client_token, calls[1].client_token);
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
    assert_eq!(world.free("a"), 412);
}

#[test]
fn a_refusal_after_an_unanswered_launch_is_definite_only_when_the_first_call_can_no_longer_arrive() {
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    world.answer(refused("RESOURCE:MEMORY"));
    world.pass_seconds(5);
    world.cycle();
    assert!(
        matches!(world.task("t").progress.state, TaskState::Reserved(_)),
        "the first call may be late"
    );
    world.pass_seconds(60);
    world.cycle();
    assert_eq!(
        world.launched().len(),
        2,
        "nothing new can be learnt by asking again"
    );
    world.pass_seconds(120);
    world.answer(refused("RESOURCE:MEMORY"));
    world.cycle();
    assert_eq!(world.launched().len(), 3);
    assert!(matches!(
        world.task("t").progress.state,
        TaskState::Waiting { .. }
    ));
}

#[test]
fn a_token_that_may_be_forgotten_is_never_sent_again() {
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    world.pass_seconds(51 * 60);
    world.cycle();
    assert_eq!(world.launched().len(), 1);
    assert!(
        matches!(world.task("t").progress.state, TaskState::Reserved(_)),
        "it may yet be found"
    );
    world.pass_seconds(15 * 60);
    world.cycle();
    assert_eq!(world.launched().len(), 1);
    assert!(matches!(world.task("t").progress.state, TaskState::Doubt { .. }));
    assert_eq!(world.free("a"), 512);
}

#[test]
fn a_lost_launch_that_ran_is_found_by_its_mark() {
    use berth_scheduler::report::TaskStatus;
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    let running = world.task_report(0, TaskStatus::Running);
    world.ecs.tasks.borrow_mut().insert(running.task.clone(), running);
    world.pass_seconds(51 * 60);
    world.cycle();
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
    assert!(world.waiting().is_empty());
}

#[test]
fn throttling_keeps_the_order_and_tries_again_in_a_few_seconds() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Throttled);
    world.send(&[submission("t", 0, "small")]);
    assert!(matches!(world.task("t").progress.state, TaskState::Reserved(_)));
    assert_eq!(world.queues.wakes.borrow().last(), Some(&5));
    world.pass_seconds(5);
    world.cycle();
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
}

#[test]
fn a_request_that_ecs_will_never_take_is_refused_with_its_reason() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Invalid {
        message: "TaskDefinition is inactive".to_owned(),
    });
    world.send(&[submission("bad", 9, "small"), submission("good", 0, "small")]);
    assert_eq!(world.launched(), ["bad", "good"]);
    assert_eq!(world.outcome("bad"), Some(Outcome::Refused));
    let refusals = world.queues.refusals.borrow();
    assert!(
        refusals[0]["reason"]
            .to_string()
            .contains("TaskDefinition is inactive")
    );
    assert!(
        refusals[0]["body"]
            .to_string()
            .contains("task-definition/small:1")
    );
    assert!(world.waiting().is_empty());
}

#[test]
fn a_missing_right_is_no_fault_of_the_task() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unavailable {
        message: "not authorized to perform: ecs:RunTask".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    assert_eq!(world.waiting(), ["t"]);
    assert!(world.hold().to_string().contains("ecs:RunTask"));
    world.cycle();
    assert_eq!(world.launched(), ["t", "t"]);
}

#[test]
fn an_entry_left_behind_by_a_started_task_is_removed() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let task = world.task("t");
    now(world.ledger.enqueue(&cluster(), &task.lane, &task.waiting())).unwrap();
    assert!(matches!(world.cycle(), CycleEnd::Complete(_)));
    assert!(world.waiting().is_empty());
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_cycle_without_time_hands_over_with_a_wake() {
    let world = World::with_instances(&["a"]);
    let far = world.clock_now();
    let tasks: Vec<_> = (0..3).map(|n| submission(&format!("t{n}"), 0, "small")).collect();
    world.queues.wakes.borrow_mut().clear();
    let settings = berth_control::settings::Settings::parse("default", "").unwrap();
    let invocation = berth_control::intake::Invocation {
        settings: &settings,
        owner: "short",
        deadline: far,
    };
    let batch = now(berth_control::intake::take_in(world.ports(), invocation, &tasks));
    assert_eq!(batch.accepted, 3);
    assert!(world.launched().is_empty());
    assert_eq!(*world.queues.wakes.borrow(), [0]);
    world.cycle();
    assert_eq!(world.launched().len(), 3);
}

/// Found by the soak: the turn was taken although the answer was lost, and the only wake message came at once,
/// found the turn taken, and was used up. Nobody looked at the cluster before reconciler did.
#[test]
fn after_a_failed_cycle_somebody_looks_again_when_its_lease_is_over() {
    let world = World::with_instances(&["a"]);
    world.queues.wakes.borrow_mut().clear();
    world.answer(LaunchOutcome::Throttled);
    world.queues.wake_failures.set(1);
    let batch = world.send(&[submission("t", 0, "small")]);
    assert_eq!((batch.accepted, batch.failed_cycles.len()), (1, 1));
    assert_eq!(*world.queues.wakes.borrow(), [0, 65]);
}

/// Found by the model: a holder that was paused beyond its lease took the entry of a task that another cycle
/// had reserved for one left behind, and removed it. That launch was refused, and nobody knew that the task
/// waited.
#[test]
fn a_task_that_another_cycle_has_reserved_keeps_its_waiting_entry() {
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    // The reservation as it was before the other cycle's write reached this cycle's view.
    let reserved = world.task("t");
    assert!(!reserved.progress.has_left_the_waiting_list());
    assert_eq!(world.waiting(), ["t"]);
    world.pass_seconds(5);
    world.answer(refused("RESOURCE:MEMORY"));
    world.cycle();
    assert_eq!(world.waiting(), ["t"]);
}

/// Found by the model: a task of somebody else had the room for a moment. Its end was announced before the
/// refused task was back in its place, so no news was left to wake anybody.
#[test]
fn after_a_refusal_somebody_looks_again_in_a_few_seconds() {
    let world = World::with_instances(&["a"]);
    world.answer(refused("RESOURCE:MEMORY"));
    world.send(&[submission("t", 0, "small")]);
    assert_eq!(world.queues.wakes.borrow().last(), Some(&5));
    world.cycle();
    assert_eq!(world.launched(), ["t", "t"]);
}

#[test]
fn a_constraint_that_ecs_judges_differently_is_not_tried_every_few_seconds() {
    let world = World::with_instances(&["a"]);
    world.queues.wakes.borrow_mut().clear();
    world.answer(refused("MemberOf placement constraint unsatisfied."));
    world.send(&[submission("t", 0, "small")]);
    assert!(world.queues.wakes.borrow().is_empty());
    assert_eq!(world.waiting(), ["t"]);
}

#[test]
fn a_repeated_call_that_is_turned_away_at_the_door_tells_nothing_about_the_first_one() {
    let world = World::with_instances(&["a"]);
    world.answer(unknown());
    world.send(&[submission("t", 0, "small")]);
    for seconds in [5, 300] {
        world.pass_seconds(seconds);
        world.answer(LaunchOutcome::Unavailable {
            message: "not authorized".to_owned(),
        });
        world.cycle();
        assert!(
            matches!(world.task("t").progress.state, TaskState::Reserved(_)),
            "it may run"
        );
    }
    let calls = world.ecs.calls.borrow();
    assert!(
        calls
            .iter()
            .all(|call| call.client_token == calls[0].client_token)
    );
}

/// A submission of so many MiB.
fn of_size(id: &str, priority: u16, mib: u32, seconds: &str) -> InboundMessage {
    let mut body = json!({
        "id": id, "taskDefinition": "small", "priority": priority,
        "overrides": {"containerOverrides": [{"name": "main", "memory": mib}]},
    });
    if !seconds.is_empty() {
        body[seconds] = json!(60);
    }
    message(id, &body.to_string())
}

/// Found by the soak: the instance was set aside for a task that ran already, and a short one used it, past another
/// that could have had it.
#[test]
fn an_entry_left_behind_lets_nobody_pass_a_waiting_task() {
    let world = World::with_instances(&["a"]);
    world.send(&[of_size("long", 0, 352, "expectedDurationSeconds")]);
    world.send(&[of_size("ghost", 9, 100, "")]);
    assert_eq!(world.launched(), ["long", "ghost"]);
    let ghost = world.task("ghost");
    now(world.ledger.enqueue(&cluster(), &ghost.lane, &ghost.waiting())).unwrap();
    world.send(&[
        of_size("waits", 5, 50, ""),
        of_size("short", 0, 50, "timeoutSeconds"),
    ]);
    assert_eq!(world.launched(), ["long", "ghost", "waits"]);
    assert_eq!(world.waiting(), ["short"]);
}
