//! Room first, then the attempt: what a cycle that dies or comes late leaves behind.

use berth_control::cycle::TURN_LEASE_MS;
use berth_control::ports::{Change, Committed, Ledger, TurnRequest};
use berth_control::reconcile::reconcile;
use berth_control::records::TaskRecord;
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::progress::TaskState;

use crate::world::{World, arn, cluster, now, submission};

fn record(world: &World, name: &str) -> InstanceRecord {
    now(world.ledger.load_instance(&cluster(), &arn(name)))
        .unwrap()
        .unwrap()
}

fn store_room(world: &World, record: &InstanceRecord) -> Committed {
    let cluster = cluster();
    let change = Change {
        instance: Some((&cluster, record)),
        ..Change::default()
    };
    now(world.ledger.commit(change)).unwrap()
}

fn store_task(world: &World, task: &TaskRecord) -> Committed {
    let change = Change {
        task: Some(task),
        ..Change::default()
    };
    now(world.ledger.commit(change)).unwrap()
}

/// What a cycle would write to begin the task's next attempt on this instance.
fn next_attempt(world: &World, task: &TaskRecord, on: &InstanceRecord) -> (TaskRecord, InstanceRecord) {
    let begun = task
        .progress
        .reserve(on.arn().clone(), world.clock_now())
        .unwrap();
    let begun = task.after(begun);
    let room = on.reserve(begun.attempt(), &begun.demand, &begun.group, begun.outlook());
    (begun, room.unwrap())
}

/// Nobody looks at the task that is sent: somebody else has the turn, and dies.
fn send_while_a_holder_is_dead(world: &World, id: &str) {
    let until = world.clock_now().saturating_add_millis(TURN_LEASE_MS);
    let taken = now(world
        .ledger
        .take_turn(&cluster(), "dead", world.clock_now(), until))
    .unwrap();
    assert!(matches!(taken, TurnRequest::Taken(..)));
    world.send(&[submission(id, 0, "small")]);
    assert!(world.launched().is_empty());
}

#[test]
fn a_holder_that_died_is_followed_when_its_lease_is_over_and_its_late_writes_are_refused() {
    let world = World::with_instances(&["a"]);
    send_while_a_holder_is_dead(&world, "t");
    let (begun, room) = next_attempt(&world, &world.task("t"), &record(&world, "a"));
    world.pass_seconds(60);
    world.cycle();
    assert_eq!(world.launched(), ["t"]);
    assert_eq!(store_room(&world, &room), Committed::InstanceMoved);
    assert_eq!(store_task(&world, &begun), Committed::TaskMoved);
}

#[test]
fn an_attempt_that_was_not_begun_is_struck_off_before_its_room_is_given_back() {
    let world = World::with_instances(&["a"]);
    send_while_a_holder_is_dead(&world, "t");
    let (begun, room) = next_attempt(&world, &world.task("t"), &record(&world, "a"));
    assert_eq!(store_room(&world, &room), Committed::Done);
    assert_eq!(world.free("a"), 412);
    world.pass_seconds(60);
    world.cycle();
    // The holder was only slow: it may not launch the attempt any more.
    assert_eq!(store_task(&world, &begun), Committed::TaskMoved);
    let calls = world.ecs.calls.borrow();
    let attempts: Vec<u64> = calls.iter().map(|call| call.attempt.number.get()).collect();
    assert_eq!(attempts, [2], "the first one is struck off");
    assert_eq!(world.free("a"), 412);
}

#[test]
fn the_reconciler_strikes_off_what_no_cycle_looks_at() {
    let world = World::with_instances(&["a"]);
    send_while_a_holder_is_dead(&world, "t");
    let (begun, room) = next_attempt(&world, &world.task("t"), &record(&world, "a"));
    assert_eq!(store_room(&world, &room), Committed::Done);
    now(reconcile(world.ports(), &cluster())).unwrap();
    assert_eq!(store_task(&world, &begun), Committed::TaskMoved);
    assert_eq!(world.free("a"), 512);
    assert!(matches!(
        world.task("t").progress.state,
        TaskState::Waiting { .. }
    ));
}

#[test]
fn of_two_instances_that_have_room_for_one_attempt_only_one_keeps_it() {
    let world = World::with_instances(&["a", "b"]);
    send_while_a_holder_is_dead(&world, "t");
    let task = world.task("t");
    let (begun, on_a) = next_attempt(&world, &task, &record(&world, "a"));
    let (late, on_b) = next_attempt(&world, &task, &record(&world, "b"));
    assert_eq!(store_room(&world, &on_a), Committed::Done);
    assert_eq!(store_room(&world, &on_b), Committed::Done);
    assert_eq!(store_task(&world, &begun), Committed::Done);
    assert_eq!(store_task(&world, &late), Committed::TaskMoved);
    world.pass_seconds(60);
    world.cycle();
    assert_eq!((world.free("a"), world.free("b")), (412, 512));
    assert_eq!(world.launched(), ["t"]);
    assert_eq!(world.ecs.calls.borrow()[0].pin.instance, arn("a"));
}
