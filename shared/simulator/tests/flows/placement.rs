//! Where submissions are placed, from their JSON to the pin of their launch.

use berth_scheduler::attributes::AttributeSet;
use serde_json::{Value, json};

use crate::world::{World, message, report};

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
