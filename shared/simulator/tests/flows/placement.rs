//! Where submissions are placed, from their JSON to the pin of their launch.

use berth_control::ports::Ledger;
use berth_control::settings::Settings;
use berth_scheduler::attributes::AttributeSet;
use serde_json::{Value, json};

use crate::world::{World, cluster, message, now, report, submission};

/// An instance that tells its subnet and zone, as ECS's own do.
fn instance_in(world: &World, name: &str, subnet: &str, zone: &str) {
    let mut report = report(name, 1, 512);
    let attributes: AttributeSet = [
        ("ecs.subnet-id", Some(subnet)),
        ("ecs.availability-zone", Some(zone)),
    ]
    .into_iter()
    .collect();
    report.attributes = Some(attributes);
    world.register(&report);
}

fn send(world: &World, id: &str, fields: Value) {
    let mut body = json!({"id": id});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let batch = world.send(&[message(id, &body.to_string())]);
    assert_eq!((batch.accepted, batch.failed.len()), (1, 0));
}

/// The instances that launches were pinned to, in order.
fn pins(world: &World) -> Vec<String> {
    let calls = world.ecs.calls.borrow();
    calls
        .iter()
        .map(|call| call.pin.instance.id().to_owned())
        .collect()
}

fn private(subnets: &[&str]) -> Value {
    json!({
        "taskDefinition": "private",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": subnets}},
    })
}

#[test]
fn a_task_with_its_own_network_interface_goes_to_the_zone_of_its_subnets() {
    let world = World::default();
    instance_in(&world, "a", "subnet-a", "1a");
    instance_in(&world, "b", "subnet-b", "1b");
    instance_in(&world, "c", "subnet-c", "1c");
    for number in 0..5 {
        send(&world, &format!("t{number}"), private(&["subnet-b"]));
    }
    assert_eq!(pins(&world), ["b"; 5]);
    send(&world, "too-many", private(&["subnet-b", "subnet-b"]));
    assert_eq!(pins(&world).len(), 5, "the other zones are no place for it");
    let explanation = &world.hold()["explanation"];
    assert_eq!(
        explanation["filtered"],
        json!([{"by": {"filter": "zone"}, "instances": 2}])
    );
}

#[test]
fn subnets_of_unknown_zones_are_left_to_ecs() {
    let world = World::default();
    instance_in(&world, "a", "subnet-a", "1a");
    send(&world, "t", private(&["subnet-a", "subnet-x"]));
    send(&world, "u", private(&["subnet-x"]));
    assert_eq!(pins(&world), ["a", "a"]);
}

/// A deployment with this default strategy.
fn packing(strategy: &str) -> Settings {
    let settings = Settings::parse("default", "environment,resources").unwrap();
    settings.with_default_strategy(strategy).unwrap()
}

#[test]
fn a_submission_without_a_strategy_is_placed_by_the_deployments() {
    let world = World::default();
    for (name, remaining) in [("a", 512), ("b", 300), ("c", 400)] {
        world.register(&report(name, 1, remaining));
    }
    let tasks: Vec<_> = (0..6).map(|n| submission(&format!("t{n}"), 0, "small")).collect();
    world.send_to(&packing("binpack"), &tasks);
    assert_eq!(pins(&world), ["b", "b", "b", "c", "c", "c"]);
}

#[test]
fn a_message_that_comes_again_after_a_crash_and_another_deployment_is_not_lost() {
    let world = World::default();
    let task = submission("t", 0, "small");
    world.send_to(&packing("random"), std::slice::from_ref(&task));
    // 1. the admitter had crashed before it listed the lane, and before it put the task there
    let stored = world.task("t");
    now(world
        .ledger
        .dequeue(&cluster(), &stored.lane, &stored.rank, stored.revision))
    .unwrap();
    now(world.ledger.retire_lane(&cluster(), &stored.lane)).unwrap();
    // 2. a deployment with another default strategy, under which the shape has another name
    world.send_to(&packing("binpack"), &[task]);
    assert_eq!(world.waiting(), ["t"]);
    // 3. there is room
    world.register(&report("a", 1, 512));
    world.cycle();
    assert_eq!(pins(&world), ["a"]);
}
