//! The examples of AWS's launch post for task placement policies.
//! <https://aws.amazon.com/blogs/compute/introducing-amazon-ecs-task-placement-policies/>

use super::cluster::{Maker, cluster, instance, member_of, task};
use super::{explanation, place};
use crate::constraint::expression::Expression;
use crate::shape::{PlacementTemplate, Shape};
use crate::snapshot::Snapshot;

const A: &str = "40f0e62c-38cc-4cd2-a28e-770fa9796ca1";
const B: &str = "eb6680ac-407e-42a6-abd3-1bbf57d7401f";
const C: &str = "ecc03e17-6cbd-4291-bf24-870fa9796bf2";
const D: &str = "fbc03e17-acbd-2291-df24-4324ab342a24";
const E: &str = "f9a69f54-9ce7-4f1d-bc62-b8a9cfe8e8e5";

/// The five t2 instances of the post, three of them in us-east-1a, and a G2 instance beside them.
fn instances() -> Vec<Maker> {
    vec![
        instance(A)
            .kind("t2.small")
            .zone("us-east-1a")
            .attribute("stack", "prod"),
        instance(B).kind("t2.medium").zone("us-east-1a"),
        instance(C).kind("t2.micro").zone("us-east-1a"),
        instance(D).kind("t2.small").zone("us-east-1b"),
        instance(E).kind("t2.medium").zone("us-east-1d"),
        instance("g2")
            .kind("g2.2xlarge")
            .zone("us-east-1c")
            .attribute("stack", "prod"),
    ]
}

fn listed(snapshot: &Snapshot, filter: &str) -> Vec<String> {
    let expression = Expression::parse(filter).unwrap();
    let matching = snapshot
        .instances()
        .iter()
        .filter(|instance| expression.matches(*instance));
    matching
        .map(|instance| instance.record.arn().id().to_owned())
        .collect()
}

#[test]
fn instances_are_listed_by_type() {
    assert_eq!(
        listed(&cluster(instances()), "attribute:ecs.instance-type matches t2.*"),
        [A, B, C, E, D]
    );
}

#[test]
fn instances_are_listed_by_type_and_zone() {
    let filter = "attribute:ecs.instance-type matches t2.* and attribute:ecs.availability-zone == us-east-1a";
    assert_eq!(listed(&cluster(instances()), filter), [A, B, C]);
}

#[test]
fn a_custom_attribute_that_is_missing_is_not_equal_to_a_value() {
    assert_eq!(
        listed(&cluster(instances()), "attribute:stack != prod"),
        [B, C, E, D]
    );
}

#[test]
fn five_tasks_go_to_two_types_outside_one_zone() {
    let constraint = "(attribute:ecs.instance-type == t2.small or attribute:ecs.instance-type == t2.medium) \
                      and attribute:ecs.availability-zone != us-east-1d";
    let shape = Shape {
        constraints: vec![member_of(constraint)],
        ..task()
    };
    let chosen = place(&cluster(instances()), &shape, 5).unwrap();
    assert_eq!(chosen.len(), 5);
    assert!(
        chosen.iter().all(|id| [A, B, D].contains(&id.as_str())),
        "{chosen:?}"
    );
}

#[test]
fn nine_tasks_are_spread_over_zones_and_packed_by_memory_within_each() {
    let snapshot = cluster([
        instance("a1").zone("us-east-1a").memory(4096),
        instance("a2").zone("us-east-1a").memory(8192),
        instance("b1").zone("us-east-1b").memory(8192),
        instance("b2").zone("us-east-1b").memory(1024),
        instance("c1").zone("us-east-1c").memory(8192),
    ]);
    let shape = Shape {
        strategies: PlacementTemplate::AzBalancedBinpack.strategies(),
        ..task()
    };
    // b2 holds two tasks of 512 MiB; then its zone goes on with b1, which has more left than a1 and c1.
    assert_eq!(
        place(&snapshot, &shape, 9).unwrap(),
        ["b2", "a1", "c1", "b2", "a1", "c1", "a1", "c1", "b1"]
    );
}

#[test]
fn a_template_with_a_constraint_packs_only_instances_of_one_family() {
    let shape = Shape {
        constraints: vec![member_of("attribute:ecs.instance-type=~g2.*")],
        strategies: PlacementTemplate::AzBalancedBinpack.strategies(),
        ..task()
    };
    let snapshot = cluster(instances());
    assert_eq!(place(&snapshot, &shape, 3).unwrap(), ["g2", "g2", "g2"]);
    let large = Shape {
        demand: super::demand(5000, 1),
        ..shape
    };
    let reason = place(&snapshot, &large, 1).unwrap_err();
    assert_eq!(
        (explanation(&reason).evaluated, explanation(&reason).matching()),
        (6, 1)
    );
}
