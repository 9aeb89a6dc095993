//! Where tasks go, and why they go nowhere.

mod cluster;
mod launch_post;
mod properties;

use std::collections::BTreeSet;

use super::reference::ReferencePlacement;
use super::{IndexPolicy, Placement, PlacementSeed};
use crate::attributes::RequiredAttribute;
use crate::hold::{Dimension, Explanation, Filter, HoldReason};
use crate::id::ContainerInstanceArn;
use crate::quantity::{EniCount, GpuCount};
use crate::report::{AgentConnection, InstanceStatus};
use crate::resources::Demand;
use crate::shape::{BinpackField, Constraint, PlacementTemplate, Shape, SpreadField, Strategy};
use crate::snapshot::Snapshot;
use cluster::{arn, cluster, demand, group, instance, member_of, subnets, task, tcp};

/// Builds an index at the first occasion, which small clusters never would.
const INDEX_ALWAYS: IndexPolicy = IndexPolicy {
    instances_min: 0,
    decisions_before: 0,
    indexes_max: 1000,
};

/// Places `count` tasks by the reference and by the real one with and without index, and returns the ids of
/// the instances (or the reason for the first that fits nowhere): all three must agree.
fn place(snapshot: &Snapshot, shape: &Shape, count: u64) -> Result<Vec<String>, HoldReason> {
    let closed = BTreeSet::new();
    place_with(snapshot, &closed, shape, count)
}

fn place_with(
    snapshot: &Snapshot,
    closed: &BTreeSet<ContainerInstanceArn>,
    shape: &Shape,
    count: u64,
) -> Result<Vec<String>, HoldReason> {
    let mut reference = ReferencePlacement::new(snapshot, closed);
    let mut plain = Placement::new(snapshot, closed);
    let mut indexed = Placement::new(snapshot, closed);
    indexed.policy = INDEX_ALWAYS;
    let mut chosen = Vec::new();
    for seed in 0..count {
        let seed = PlacementSeed::new(seed);
        let expected = reference.place(shape, &group("family:app"), seed);
        assert_eq!(plain.place(shape, &group("family:app"), seed), expected);
        assert_eq!(indexed.place(shape, &group("family:app"), seed), expected);
        chosen.push(expected?.id().to_owned());
    }
    Ok(chosen)
}

fn explanation(reason: &HoldReason) -> &Explanation {
    match reason {
        HoldReason::NeverFits(it) | HoldReason::NoInstanceMatches(it) | HoldReason::Shortfall(it) => it,
        other => panic!("{other:?} has no explanation"),
    }
}

fn binpack(field: BinpackField) -> Shape {
    Shape {
        strategies: vec![Strategy::Binpack(field)],
        ..task()
    }
}

fn spread(attribute: &str) -> Strategy {
    Strategy::Spread(SpreadField::Attribute(attribute.to_owned()))
}

#[test]
fn binpack_takes_the_least_remaining_that_still_fits() {
    let snapshot = cluster([
        instance("a").memory(8192).cpu(300),
        instance("b").memory(600).cpu(4096),
        instance("c").memory(511).cpu(255),
    ]);
    assert_eq!(
        place(&snapshot, &binpack(BinpackField::Memory), 2).unwrap(),
        ["b", "a"]
    );
    assert_eq!(
        place(&snapshot, &binpack(BinpackField::Cpu), 2).unwrap(),
        ["a", "b"]
    );
}

#[test]
fn equally_good_instances_are_taken_by_arn() {
    let snapshot = cluster([instance("b"), instance("a"), instance("c")]);
    assert_eq!(
        place(&snapshot, &binpack(BinpackField::Memory), 1).unwrap(),
        ["a"]
    );
}

#[test]
fn spread_over_an_attribute_fills_buckets_in_turn_and_the_one_without_it_last() {
    let snapshot = cluster([
        instance("a").zone("1a"),
        instance("b").zone("1a"),
        instance("c").zone("1b").memory(512),
        instance("d"),
    ]);
    let shape = Shape {
        strategies: vec![spread("ecs.availability-zone")],
        ..task()
    };
    // c is full after one task, so its bucket is passed over; d is not in any zone.
    assert_eq!(place(&snapshot, &shape, 4).unwrap(), ["a", "c", "a", "a"]);
    let small = cluster([instance("a").zone("1a").memory(512), instance("d")]);
    assert_eq!(place(&small, &shape, 2).unwrap(), ["a", "d"]);
}

#[test]
fn an_attribute_without_value_is_a_bucket_like_any_other() {
    let snapshot = cluster([
        instance("a").attribute("disk", "ssd").runs("family:app"),
        instance("b").capability("disk"),
    ]);
    let shape = Shape {
        strategies: vec![spread("disk")],
        ..task()
    };
    assert_eq!(place(&snapshot, &shape, 1).unwrap(), ["b"]);
}

#[test]
fn spread_counts_running_tasks_of_the_group_whoever_started_them() {
    let snapshot = cluster([
        instance("a").runs("family:app").runs("family:app"),
        instance("b")
            .runs("family:app")
            .stops("family:app")
            .stops("family:app"),
        instance("c")
            .runs("family:other")
            .runs("family:other")
            .runs("family:app")
            .runs("family:app"),
    ]);
    let shape = Shape {
        strategies: vec![Strategy::Spread(SpreadField::InstanceId)],
        ..task()
    };
    assert_eq!(place(&snapshot, &shape, 4).unwrap(), ["b", "a", "b", "c"]);
}

#[test]
fn a_bucket_counts_tasks_on_instances_that_are_no_candidates() {
    let snapshot = cluster([
        instance("a").zone("1a"),
        instance("b").zone("1b"),
        instance("x")
            .zone("1a")
            .runs("family:app")
            .with(|it| it.status = InstanceStatus::Draining),
    ]);
    let shape = Shape {
        strategies: vec![spread("ecs.availability-zone")],
        ..task()
    };
    assert_eq!(place(&snapshot, &shape, 1).unwrap(), ["b"]);
}

#[test]
fn each_strategy_of_a_chain_chooses_among_what_the_one_before_left() {
    let snapshot = cluster([
        instance("a").zone("1a").memory(4000),
        instance("b").zone("1a").memory(2000),
        instance("c").zone("1b").memory(8000),
        instance("d").zone("1b").memory(1000),
    ]);
    let shape = Shape {
        strategies: PlacementTemplate::AzBalancedBinpack.strategies(),
        ..task()
    };
    assert_eq!(place(&snapshot, &shape, 4).unwrap(), ["d", "b", "b", "c"]);
    let shape = Shape {
        strategies: PlacementTemplate::AzBalancedSpread.strategies(),
        ..task()
    };
    assert_eq!(place(&snapshot, &shape, 4).unwrap(), ["a", "c", "b", "d"]);
}

#[test]
fn the_same_seed_draws_the_same_instances_and_seeds_differ() {
    let snapshot = cluster((0..9).map(|number| instance(&format!("n{number}"))));
    let first = place(&snapshot, &task(), 20).unwrap();
    assert_eq!(place(&snapshot, &task(), 20).unwrap(), first);
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 4, "{first:?}");
}

#[test]
fn distinct_instance_counts_tasks_of_the_group_and_those_just_placed() {
    let snapshot = cluster([
        instance("a").runs("family:app"),
        instance("b").stops("family:app"),
        instance("c").runs("family:other"),
    ]);
    let shape = Shape {
        constraints: PlacementTemplate::OneTaskPerHost.constraints(),
        distinct_group: Some(group("family:app")),
        ..binpack(BinpackField::Memory)
    };
    assert_eq!(place(&snapshot, &shape, 2).unwrap(), ["b", "c"]);
    let reason = place(&snapshot, &shape, 3).unwrap_err();
    assert!(matches!(reason, HoldReason::NoInstanceMatches(_)));
    assert_eq!(explanation(&reason).filtered, [(Filter::DistinctInstance, 3)]);
}

#[test]
fn running_tasks_are_counted_with_those_just_placed() {
    let snapshot = cluster([instance("a"), instance("b").with(|it| it.running_tasks = 1)]);
    let shape = Shape {
        constraints: vec![member_of("runningTasksCount < 2")],
        ..binpack(BinpackField::Cpu)
    };
    assert_eq!(place(&snapshot, &shape, 3).unwrap(), ["a", "a", "b"]);
    assert!(place(&snapshot, &shape, 4).is_err());
}

#[test]
fn affinity_to_a_group_is_satisfied_by_a_task_just_placed() {
    let snapshot = cluster([instance("a"), instance("b").runs("family:cache")]);
    let shape = Shape {
        constraints: vec![member_of(
            "task:group == family:cache or task:group == family:app",
        )],
        ..binpack(BinpackField::Cpu)
    };
    assert_eq!(place(&snapshot, &shape, 2).unwrap(), ["b", "b"]);
    let shape = Shape {
        constraints: vec![member_of("not(task:group == family:app)")],
        ..binpack(BinpackField::Cpu)
    };
    assert_eq!(place(&snapshot, &shape, 2).unwrap(), ["a", "b"]);
    assert!(place(&snapshot, &shape, 3).is_err());
}

#[test]
fn draining_and_disconnected_and_closed_instances_are_no_candidates() {
    let snapshot = cluster([
        instance("a").with(|it| it.status = InstanceStatus::Draining),
        instance("b").with(|it| it.agent = AgentConnection::Disconnected),
        instance("c"),
        instance("d").with(|it| it.status = InstanceStatus::Inactive),
    ]);
    let closed = BTreeSet::from([arn("c")]);
    let reason = place_with(&snapshot, &closed, &task(), 1).unwrap_err();
    let filtered = [
        (Filter::Status(InstanceStatus::Draining), 1),
        (Filter::Status(InstanceStatus::Inactive), 1),
        (Filter::AgentDisconnected, 1),
        (Filter::ClosedThisCycle, 1),
    ];
    assert_eq!(explanation(&reason).filtered, filtered);
    assert_eq!(
        reason.to_string(),
        "no instance matches: 0 of 4 instances match (4 filtered: 1 draining, 1 in status INACTIVE, \
         1 with a disconnected agent, 1 refused by ECS a moment ago)"
    );
}

#[test]
fn an_instance_counts_for_the_first_filter_that_removes_it() {
    let snapshot = cluster([
        instance("a").zone("1c").subnet("subnet-c"),
        instance("b").zone("1a").subnet("subnet-a"),
        instance("c").zone("1a").capability("task-eni"),
        instance("d")
            .capability("task-eni")
            .kind("g2.2xlarge")
            .runs("family:app"),
        instance("e")
            .capability("task-eni")
            .kind("g2.2xlarge")
            .memory(500),
    ]);
    let shape = Shape {
        subnets: subnets(&["subnet-a"]),
        required_attributes: vec![RequiredAttribute {
            name: "task-eni".to_owned(),
            value: None,
        }],
        // distinctInstance is looked at last, wherever it stands.
        constraints: vec![
            Constraint::DistinctInstance,
            member_of("attribute:ecs.instance-type =~ g2.*"),
        ],
        distinct_group: Some(group("family:app")),
        ..task()
    };
    let reason = place(&snapshot, &shape, 1).unwrap_err();
    assert_eq!(
        reason.to_string(),
        "no instance has room: 1 of 5 instances matches (4 filtered: 1 outside the zones of the subnets, \
         1 without the attribute `task-eni`, 1 by memberOf(attribute:ecs.instance-type =~ g2.*), \
         1 by distinctInstance); short of memory on 1; nearest e: memory: needs 512 MiB, 500 free"
    );
}

#[test]
fn a_task_larger_than_every_matching_instance_never_fits() {
    let snapshot = cluster([
        instance("a").kind("t2.small"),
        instance("b").kind("m5.large").gpu(1),
    ]);
    let shape = Shape {
        demand: Demand {
            gpu: GpuCount::new(1),
            ..demand(256, 512)
        },
        constraints: vec![member_of("attribute:ecs.instance-type == t2.small")],
        ..Shape::default()
    };
    let reason = place(&snapshot, &shape, 1).unwrap_err();
    assert!(matches!(reason, HoldReason::NeverFits(_)), "{reason}");
    assert_eq!(explanation(&reason).short, [(Dimension::Gpu, 1)]);
}

#[test]
fn an_empty_cluster_is_named_as_such() {
    assert_eq!(
        place(&cluster([]), &task(), 1).unwrap_err(),
        HoldReason::NoInstances
    );
}

#[test]
fn the_nearest_miss_has_the_fewest_short_dimensions_then_the_smallest_share_missing() {
    let snapshot = cluster([
        instance("a").cpu(255).memory(511),
        instance("b").cpu(200).memory(8000),
        instance("c").cpu(4000).memory(500),
        instance("d").cpu(4000).memory(500),
    ]);
    let reason = place(&snapshot, &task(), 1).unwrap_err();
    let nearest = explanation(&reason).nearest.as_ref().unwrap();
    assert_eq!(
        (nearest.instance.id(), nearest.shortfall.to_string().as_str()),
        ("c", "memory: needs 512 MiB, 500 free")
    );
    assert_eq!(
        explanation(&reason).short,
        [(Dimension::Cpu, 2), (Dimension::Memory, 3)]
    );
}

#[test]
fn a_host_port_is_taken_once_per_instance() {
    let snapshot = cluster([instance("a").ports_taken(&[80]), instance("b"), instance("c")]);
    let shape = Shape {
        demand: Demand {
            ports: tcp(&[80]),
            ..demand(0, 1)
        },
        ..binpack(BinpackField::Memory)
    };
    assert_eq!(place(&snapshot, &shape, 2).unwrap(), ["b", "c"]);
    let reason = place(&snapshot, &shape, 3).unwrap_err();
    assert_eq!(explanation(&reason).short, [(Dimension::Ports, 3)]);
}

#[test]
fn tasks_in_awsvpc_mode_take_network_interfaces() {
    let snapshot = cluster([instance("a").eni_limit(1), instance("b").eni_limit(2)]);
    let awsvpc = Demand {
        eni: EniCount::new(1),
        ..demand(0, 1)
    };
    let shape = Shape {
        demand: awsvpc,
        ..binpack(BinpackField::Memory)
    };
    assert_eq!(place(&snapshot, &shape, 3).unwrap(), ["a", "b", "b"]);
    let reason = place(&snapshot, &shape, 4).unwrap_err();
    assert_eq!(explanation(&reason).short, [(Dimension::Eni, 2)]);
}

#[test]
fn a_task_goes_to_the_zone_of_its_subnets_when_instances_tell_it_of_all() {
    let snapshot = cluster([
        instance("a").zone("1a").subnet("subnet-a"),
        instance("b").zone("1b").subnet("subnet-b"),
        // Another subnet of that zone: the network interface can be in one and the instance in the other.
        instance("c").zone("1b").subnet("subnet-b2").memory(4000),
        // It takes nothing, and tells where its subnet is.
        instance("d")
            .zone("1d")
            .subnet("subnet-d")
            .with(|it| it.status = InstanceStatus::Draining),
    ]);
    let first = |ids: &[&str]| {
        let shape = Shape {
            subnets: subnets(ids),
            ..binpack(BinpackField::Memory)
        };
        place(&snapshot, &shape, 1).map(|chosen| chosen.concat())
    };
    assert_eq!(first(&["subnet-a"]).unwrap(), "a");
    assert_eq!(first(&["subnet-b"]).unwrap(), "c");
    assert_eq!(first(&["subnet-a", "subnet-b"]).unwrap(), "c");
    // Where subnet-x is, nobody knows: ECS decides.
    assert_eq!(first(&["subnet-a", "subnet-x"]).unwrap(), "c");
    let reason = first(&["subnet-d"]).unwrap_err();
    let filtered = [(Filter::Status(InstanceStatus::Draining), 1), (Filter::Zone, 3)];
    assert_eq!(explanation(&reason).filtered, filtered);
}

#[test]
fn asking_again_gives_the_same_reason_and_a_placement_in_between_a_new_one() {
    let snapshot = cluster([instance("a").memory(600)]);
    let closed = BTreeSet::new();
    let mut placement = Placement::new(&snapshot, &closed);
    let large = Shape {
        demand: demand(0, 700),
        ..Shape::default()
    };
    let mut place = |shape: &Shape| placement.place(shape, &group("g"), PlacementSeed::new(0));
    let first = place(&large).unwrap_err();
    assert_eq!(place(&large).unwrap_err(), first);
    place(&task()).unwrap();
    let nearest = explanation(&place(&large).unwrap_err()).nearest.clone().unwrap();
    assert_eq!(nearest.shortfall.to_string(), "memory: needs 700 MiB, 88 free");
}
