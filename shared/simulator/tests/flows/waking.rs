//! Who wakes whom, and what wakes nobody because it can start nobody.

use berth_control::cycle::CycleEnd;
use berth_control::ports::{Attention, FallAsleep, Ledger, TurnRequest, WaitingList};
use berth_scheduler::report::TaskStatus;
use serde_json::json;

use crate::world::{World, cluster, message, now, report, submission};

fn attention(world: &World) -> Attention {
    now(world.ledger.wake_state(&cluster())).unwrap().attention
}

fn wakes(world: &World) -> usize {
    world.queues.wakes.borrow().len()
}

#[test]
fn a_wake_that_finds_the_turn_taken_makes_its_holder_look_again() {
    let world = World::with_instances(&["a"]);
    let until = world.deadline();
    let taken = now(world
        .ledger
        .take_turn(&cluster(), "other", world.clock_now(), until))
    .unwrap();
    let TurnRequest::Taken(turn, start) = taken else {
        panic!()
    };
    assert_eq!(world.cycle(), CycleEnd::HeldByAnother);
    let asleep = world
        .ledger
        .fall_asleep(&turn, start.generation, WaitingList::Occupied);
    assert_eq!(now(asleep).unwrap(), FallAsleep::Moved);
}

#[test]
fn room_wakes_nobody_where_nobody_waits_and_everybody_where_somebody_does() {
    let world = World::with_instances(&["a"]);
    world.send(
        &(0..5)
            .map(|n| submission(&format!("t{n}"), 0, "small"))
            .collect::<Vec<_>>(),
    );
    assert_eq!(attention(&world), Attention::Idle);
    world.queues.wakes.borrow_mut().clear();
    world.observe_task(&world.task_report(0, TaskStatus::Stopped));
    world.register(&report("b", 1, 512));
    assert_eq!(wakes(&world), 0);
    world.send(
        &(5..12)
            .map(|n| submission(&format!("t{n}"), 0, "small"))
            .collect::<Vec<_>>(),
    );
    assert_eq!(world.launched().len(), 11, "six more have room");
    assert_eq!(attention(&world), Attention::Asleep);
    world.observe_task(&world.task_report(1, TaskStatus::Stopped));
    assert_eq!(wakes(&world), 1);
    world.cycle();
    assert_eq!(world.launched().len(), 12);
    assert_eq!(attention(&world), Attention::Idle);
}

#[test]
fn whoever_joins_a_lane_behind_somebody_needs_no_cycle() {
    let world = World::with_instances(&["a"]);
    world.send(
        &(0..6)
            .map(|n| submission(&format!("t{n}"), 5, "small"))
            .collect::<Vec<_>>(),
    );
    assert_eq!(world.waiting(), ["t5"]);
    let batch = world.send(&[submission("behind", 0, "small")]);
    assert_eq!((batch.accepted, batch.cycles.len()), (1, 0));
    assert_eq!(world.waiting(), ["t5", "behind"]);
    // Somebody in front of the others is looked at.
    assert_eq!(world.send(&[submission("first", 9, "small")]).cycles.len(), 1);
    // One that is known to be short may find room that is set aside for the others.
    let short = json!({"id": "short", "taskDefinition": "small", "expectedDurationSeconds": 60});
    assert_eq!(
        world.send(&[message("short", &short.to_string())]).cycles.len(),
        1
    );
    assert_eq!(world.waiting(), ["first", "t5", "behind", "short"]);
}

#[test]
fn whoever_joined_behind_somebody_starts_with_the_next_room() {
    let world = World::with_instances(&["a"]);
    world.send(
        &(0..6)
            .map(|n| submission(&format!("t{n}"), 5, "small"))
            .collect::<Vec<_>>(),
    );
    world.send(&[submission("behind", 0, "small")]);
    world.register(&report("b", 1, 512));
    world.cycle();
    assert_eq!(world.launched()[5..], ["t5", "behind"]);
    assert_eq!(attention(&world), Attention::Idle);
}
