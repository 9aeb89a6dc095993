//! reconciler: what events did not tell.

use berth_control::ports::{Change, Ledger};
use berth_control::reconcile::{ReconcileReport, reconcile};
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::report::TaskStatus;

use crate::world::{World, arn, cluster, now, report, submission};

fn run(world: &World) -> ReconcileReport {
    now(reconcile(world.ports(), &cluster())).unwrap()
}

#[test]
fn a_new_deployment_knows_its_instances_before_any_event() {
    let world = World::default();
    world.send(&[submission("t", 0, "small")]);
    world
        .ecs
        .instances
        .borrow_mut()
        .insert(arn("a"), report("a", 7, 512));
    let found = run(&world);
    assert_eq!((found.instances, found.corrected), (1, 1));
    assert!(!world.queues.wakes.borrow().is_empty());
    world.cycle();
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn nothing_is_corrected_twice() {
    let world = World::with_instances(&["a"]);
    world.queues.wakes.borrow_mut().clear();
    assert_eq!(
        run(&world),
        ReconcileReport {
            instances: 1,
            ..ReconcileReport::default()
        }
    );
    assert!(world.queues.wakes.borrow().is_empty());
}

#[test]
fn an_instance_that_ecs_no_longer_knows_takes_no_task() {
    let world = World::with_instances(&["a", "b"]);
    world.ecs.instances.borrow_mut().remove(&arn("a"));
    assert_eq!(run(&world).gone, 1);
    world.send(&[submission("t", 0, "small")]);
    assert_eq!(world.ecs.calls.borrow()[0].pin.instance, arn("b"));
    world.observe(&report("a", 9, 512));
    let known = now(world.ledger.load_instances(&cluster())).unwrap();
    assert_eq!(known.len(), 1, "a late event does not bring it back");
}

#[test]
fn the_end_of_a_task_that_no_event_told_of_is_found() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let stopped = world.task_report(0, TaskStatus::Stopped);
    world.ecs.tasks.borrow_mut().insert(stopped.task.clone(), stopped);
    world
        .ecs
        .instances
        .borrow_mut()
        .insert(arn("a"), report("a", 9, 512));
    assert_eq!(run(&world).ends_found, 1);
    assert!(world.task("t").progress.is_final());
    assert_eq!(world.free("a"), 512);
}

#[test]
fn a_task_that_ecs_has_forgotten_has_ended_and_a_young_one_has_not() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    world.pass_seconds(9 * 60);
    assert_eq!(run(&world).ends_found, 0, "ECS may not show it everywhere yet");
    world.pass_seconds(2 * 60);
    assert_eq!(run(&world).ends_found, 1);
    assert!(world.task("t").progress.is_final());
}

#[test]
fn a_lost_wake_up_is_made_good() {
    let world = World::default();
    world.send(&[submission("t", 0, "small")]);
    world.register(&report("a", 1, 512));
    // Somebody marked the cluster awake and died; the wake message is lost.
    let now_ms = world.clock_now();
    now(world
        .ledger
        .take_turn(&cluster(), "dead", now_ms, now_ms.saturating_add_millis(1)))
    .unwrap();
    world.pass_seconds(1);
    world.queues.wakes.borrow_mut().clear();
    assert_eq!(run(&world).rescued, 1);
    assert_eq!(*world.queues.wakes.borrow(), [0]);
}

#[test]
fn an_unresolved_launch_is_looked_at_again() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world.queues.wakes.borrow_mut().clear();
    run(&world);
    assert_eq!(*world.queues.wakes.borrow(), [0]);
}

#[test]
fn a_lane_that_nobody_waits_in_is_retired() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    assert_eq!(run(&world).lanes_retired, 1);
    assert!(now(world.ledger.load_lanes(&cluster(), 1)).unwrap().is_empty());
    world.send(&[submission("u", 0, "small")]);
    assert_eq!(world.launched(), ["t", "u"]);
}

/// Found by the soak: the start was recorded, its reservation was not, and the entry that tells of both was gone.
#[test]
fn a_start_whose_reservation_was_not_recorded_is_settled_and_its_end_is_found() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    // The record of the task says that it has started; that of the instance does not.
    let reserved = world.task("t");
    let attempt = reserved.progress.attempt;
    let started = world.task_report(0, TaskStatus::Running);
    let progress = reserved
        .progress
        .start(attempt, started.task.clone(), world.clock_now());
    let change = Change {
        task: Some(&reserved.after(progress.unwrap())),
        ..Change::default()
    };
    now(world.ledger.commit(change)).unwrap();
    run(&world);
    assert!(world.waiting().is_empty());
    let stopped = world.task_report(0, TaskStatus::Stopped);
    world.ecs.tasks.borrow_mut().insert(stopped.task.clone(), stopped);
    assert_eq!(run(&world).ends_found, 1);
    assert!(world.task("t").progress.is_final());
    assert_eq!(world.free("a"), 512);
}

/// Found by the soak: a task had started, its instance had gone, and its entry waited for one like it for ever.
#[test]
fn an_entry_left_behind_where_nothing_fits_is_removed() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("t", 0, "small")]);
    let task = world.task("t");
    now(world.ledger.enqueue(&cluster(), &task.lane, &task.waiting())).unwrap();
    world.ecs.instances.borrow_mut().remove(&arn("a"));
    run(&world);
    assert!(world.waiting().is_empty());
}
