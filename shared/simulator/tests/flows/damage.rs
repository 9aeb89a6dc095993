//! Records that cannot be read: nobody else waits for them, and the reconciler repairs them.

use berth_control::damage::{RecordName, Repair};
use berth_control::intake::AfterFailure;
use berth_control::ports::Ledger;
use berth_control::reconcile::{ReconcileReport, reconcile};
use berth_control::records::waiting::sort_key;
use berth_scheduler::id::TaskId;
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::TaskState;
use berth_scheduler::report::TaskStatus;
use serde_json::{Value, json};

use crate::world::{World, arn, cluster, message, now, report, submission};

fn broken(field: &'static str) -> impl FnOnce(&mut Value) {
    move |record| {
        record.as_object_mut().unwrap().remove(field);
    }
}

fn of_a_newer_release(record: &mut Value) {
    record["schema"] = json!(1_000);
}

fn task(id: &str) -> TaskId {
    TaskId::parse(id).unwrap()
}

fn repaired(world: &World) -> Vec<(RecordName, Repair)> {
    let report: ReconcileReport = now(reconcile(world.ports(), &cluster())).unwrap();
    report.damage.into_iter().map(|it| (it.name, it.repair)).collect()
}

/// The lane of a waiting task.
fn lane(world: &World) -> RecordName {
    RecordName::Lane(world.ledger.waiting(&cluster())[0].1.clone())
}

fn instance(id: &str) -> RecordName {
    RecordName::Instance(id.to_owned())
}

#[test]
fn a_damaged_capacity_record_takes_no_tasks_and_the_others_do() {
    let world = World::with_instances(&["a", "b"]);
    world
        .ledger
        .damage(&cluster(), &instance("a"), broken("reservations"));
    let tasks: Vec<_> = (0..7).map(|n| submission(&format!("t{n}"), n, "small")).collect();
    let batch = world.send(&tasks);
    assert_eq!((batch.accepted, batch.failed_cycles.len()), (7, 0));
    assert_eq!(world.launched().len(), 5);
    let calls = world.ecs.calls.borrow();
    assert!(calls.iter().all(|call| call.pin.instance == arn("b")));
}

#[test]
fn a_damaged_capacity_record_is_made_anew_with_what_runs_there() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("first", 0, "small"), submission("second", 0, "small")]);
    for call in 0..2 {
        let running = world.task_report(call, TaskStatus::Running);
        world.ecs.tasks.borrow_mut().insert(running.task.clone(), running);
    }
    world.register(&report("a", 2, 312));
    world
        .ledger
        .damage(&cluster(), &instance("a"), broken("registered"));
    assert_eq!(repaired(&world), [(instance("a"), Repair::Rebuilt)]);
    let record = now(world.ledger.load_instance(&cluster(), &arn("a")))
        .unwrap()
        .unwrap();
    assert_eq!(record.placed().count(), 2);
    assert_eq!(world.free("a"), 312);
    assert_eq!(world.ledger.set_aside().len(), 1);
    // And it is in use again.
    world.send(&[submission("third", 0, "small")]);
    assert_eq!(world.launched(), ["first", "second", "third"]);
}

#[test]
fn a_launch_without_an_answer_is_found_in_a_damaged_capacity_record() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world
        .ledger
        .damage(&cluster(), &instance("a"), broken("registered"));
    assert_eq!(repaired(&world), [(instance("a"), Repair::Rebuilt)]);
    assert_eq!(world.free("a"), 412);
    world.cycle();
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
    assert_eq!(world.launched(), ["t", "t"]);
}

#[test]
fn a_reservation_that_was_lost_with_its_record_is_put_back_and_resolved() {
    let world = World::with_instances(&["a"]);
    world.answer(LaunchOutcome::Unknown {
        message: "timed out".to_owned(),
    });
    world.send(&[submission("t", 0, "small")]);
    world
        .ledger
        .damage(&cluster(), &instance("a"), broken("reservations"));
    assert_eq!(repaired(&world), [(instance("a"), Repair::Rebuilt)]);
    assert_eq!(world.free("a"), 512, "nothing tells of the reservation");
    world.cycle();
    assert!(matches!(world.task("t").progress.state, TaskState::Started(_)));
    let calls = world.ecs.calls.borrow();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].client_token, calls[1].client_token);
}

#[test]
fn a_damaged_lane_is_made_anew_from_its_tasks() {
    let world = World::default();
    world.send(&[submission("t", 0, "small")]);
    world.ledger.damage(&cluster(), &lane(&world), broken("shape"));
    world.register(&report("a", 1, 512));
    world.cycle();
    assert!(world.launched().is_empty(), "nobody can tell what it needs");
    assert_eq!(repaired(&world), [(lane(&world), Repair::Rebuilt)]);
    world.cycle();
    assert_eq!(world.launched(), ["t"]);
}

#[test]
fn a_damaged_entry_of_a_lane_is_made_anew_and_keeps_its_place() {
    let world = World::default();
    world.send(&[submission("high", 9, "small"), submission("low", 1, "small")]);
    let (rank, key) = world.ledger.waiting(&cluster())[0].clone();
    let name = RecordName::Waiting {
        lane: key,
        place: sort_key(&rank),
    };
    world.ledger.damage(&cluster(), &name, broken("group"));
    assert_eq!(repaired(&world), [(name, Repair::Rebuilt)]);
    world.register(&report("a", 1, 512));
    world.cycle();
    assert_eq!(world.launched(), ["high", "low"]);
}

#[test]
fn a_damaged_task_is_set_aside_and_refused_and_blocks_nobody() {
    let world = World::default();
    world.send(&[submission("bad", 9, "small"), submission("good", 1, "small")]);
    world
        .ledger
        .damage(&cluster(), &RecordName::Task(task("bad")), broken("request"));
    world.register(&report("a", 1, 512));
    world.cycle();
    assert_eq!(world.launched(), ["good"]);
    assert_eq!(
        repaired(&world),
        [(RecordName::Task(task("bad")), Repair::SetAside)]
    );
    assert!(world.waiting().is_empty());
    let refusals = world.queues.refusals.borrow();
    let reason = refusals[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("`bad` is damaged") && reason.contains("`request`"),
        "{reason}"
    );
    assert_eq!(repaired(&world), []);
}

#[test]
fn a_record_of_a_newer_release_is_left_as_it_is_and_blocks_nobody() {
    let world = World::default();
    world.send(&[submission("new", 9, "small"), submission("old", 1, "small")]);
    let name = RecordName::Task(task("new"));
    world.ledger.damage(&cluster(), &name, of_a_newer_release);
    world.register(&report("a", 1, 512));
    world.register(&report("b", 1, 512));
    world
        .ledger
        .damage(&cluster(), &instance("b"), of_a_newer_release);
    world.cycle();
    assert_eq!(world.launched(), ["old"]);
    assert_eq!(
        repaired(&world),
        [(instance("b"), Repair::LeftAlone), (name, Repair::LeftAlone)]
    );
    assert!(world.ledger.set_aside().is_empty());
    assert!(world.queues.refusals.borrow().is_empty());
}

#[test]
fn a_message_that_fails_on_its_last_try_is_a_dead_letter_with_its_reason_and_its_neighbours_start() {
    let world = World::with_instances(&["a"]);
    world.send(&[submission("bad", 0, "small")]);
    world
        .ledger
        .damage(&cluster(), &RecordName::Task(task("bad")), of_a_newer_release);
    let mut poison = message("bad", r#"{"id": "bad", "taskDefinition": "small"}"#);
    let batch = world.send(&[poison.clone(), submission("good", 0, "small")]);
    assert_eq!((batch.failed.len(), batch.dead_letters.len()), (1, 0));
    assert!(world.launched().contains(&"good".to_owned()));
    poison.after_failure = AfterFailure::DeadLetter;
    let batch = world.send(&[poison.clone()]);
    assert_eq!((batch.failed.len(), batch.dead_letters.len()), (0, 1));
    let letters = world.queues.dead_letters.borrow();
    assert_eq!(
        (&letters[0].message_id, &letters[0].body),
        (&poison.message_id, &poison.body)
    );
    assert!(
        letters[0].reason.to_string().contains("newer release"),
        "{}",
        letters[0].reason
    );
}
