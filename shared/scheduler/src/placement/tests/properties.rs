//! The fast placement and the reference choose the same instances and give the same reasons.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::reference::ReferencePlacement;
use super::super::{IndexPolicy, Placement, PlacementSeed};
use super::cluster::{Maker, arn, cluster, group, instance, member_of, subnets, tcp};
use crate::attributes::RequiredAttribute;
use crate::id::TaskGroup;
use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use crate::report::{AgentConnection, InstanceStatus};
use crate::resources::Demand;
use crate::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy as PlacementStrategy};
use crate::subnet::SubnetZones;

const GROUPS: [&str; 3] = ["family:app", "family:db", "service:web"];

const EXPRESSIONS: [&str; 10] = [
    "attribute:ecs.instance-type =~ g2.*",
    "attribute:ecs.availability-zone != 1a",
    "(attribute:ecs.instance-type == t2.small or attribute:rack exists) and not(attribute:ecs.availability-zone == 1b)",
    "attribute:rack in [r1, r2, r3, r5, r8, r13]",
    "ec2InstanceId != i-n3",
    "ec2InstanceId =~ i-n[0-7].*",
    "runningTasksCount < 3",
    "task:group == family:db",
    "not(task:group == service:web)",
    "agentVersion >= 1.86.0",
];

fn any_instance(number: usize) -> impl Strategy<Value = Maker> {
    let room = (0_u32..6, 0_u32..6, 0_u32..3, proptest::option::of(0_u32..3));
    let state = (0_u8..20, 0_u32..4, proptest::collection::vec(80_u16..84, 0..3));
    let attributes = (0_u8..5, 0_u8..4, 0_u8..4, any::<bool>());
    let tasks = proptest::collection::vec((0..GROUPS.len(), any::<bool>()), 0..3);
    (room, state, attributes, tasks).prop_map(move |(room, state, attributes, tasks)| {
        let (cpu, memory, gpu, eni) = room;
        let mut maker = instance(&format!("n{number}"))
            .cpu(cpu * 250)
            .memory(memory * 300)
            .gpu(gpu);
        maker = maker.with(|it| {
            it.registered.cpu = CpuUnits::new(cpu * 300);
            it.registered.memory = MemoryMib::new(1200);
            it.eni_limit = eni.map(EniCount::new);
            it.running_tasks = state.1;
            match state.0 {
                0 => it.status = InstanceStatus::Draining,
                1 => it.agent = AgentConnection::Disconnected,
                2 => it.status = InstanceStatus::Inactive,
                _ => {}
            }
        });
        maker = maker.ports_taken(&state.2);
        let (zone, kind, rack, tells_subnet) = attributes;
        let zones = [
            ("1a", "subnet-a"),
            ("1b", "subnet-b"),
            ("1c", "subnet-c"),
            ("1a", "subnet-a"),
        ];
        if let Some((zone, subnet)) = zones.get(usize::from(zone)) {
            maker = maker.zone(zone);
            if tells_subnet {
                maker = maker.subnet(subnet);
            }
        }
        if let Some(kind) = ["t2.small", "g2.2xlarge", "g2.8xlarge"].get(usize::from(kind)) {
            maker = maker.kind(kind);
        }
        maker = match rack {
            0 => maker,
            1 => maker.capability("rack"),
            _ => maker.attribute("rack", &format!("r{number}")),
        };
        tasks
            .into_iter()
            .fold(maker, |maker, (group, running)| match running {
                true => maker.runs(GROUPS[group]),
                false => maker.stops(GROUPS[group]),
            })
    })
}

fn any_cluster() -> impl Strategy<Value = Vec<Maker>> {
    (0_usize..40).prop_flat_map(|count| (0..count).map(any_instance).collect::<Vec<_>>())
}

fn any_strategy() -> impl Strategy<Value = PlacementStrategy> {
    let by = |name: &str| PlacementStrategy::Spread(SpreadField::Attribute(name.to_owned()));
    prop_oneof![
        1 => Just(PlacementStrategy::Random),
        1 => Just(PlacementStrategy::Binpack(BinpackField::Cpu)),
        3 => Just(PlacementStrategy::Binpack(BinpackField::Memory)),
        2 => Just(PlacementStrategy::Spread(SpreadField::InstanceId)),
        2 => Just(by("ecs.availability-zone")),
        1 => Just(by("ecs.instance-type")),
        1 => Just(by("rack")),
        1 => Just(by("nobody-has-it")),
    ]
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let demand = (
        0_u32..5,
        0_u32..5,
        0_u32..8,
        0_u32..4,
        proptest::collection::vec(80_u16..84, 0..2),
    );
    let constraints = proptest::collection::vec(0..EXPRESSIONS.len(), 0..3);
    let distinct = proptest::option::weighted(0.2, 0..GROUPS.len());
    let strategies = proptest::collection::vec(any_strategy(), 0..4);
    let others = (any::<bool>(), 0_u8..6, 0_u8..6);
    (demand, constraints, distinct, strategies, others).prop_map(
        |(
            (cpu, memory, gpu, eni, ports),
            expressions,
            distinct,
            strategies,
            (has_ports, network, required),
        )| {
            let mut constraints: Vec<Constraint> = expressions
                .into_iter()
                .map(|position| member_of(EXPRESSIONS[position]))
                .collect();
            if distinct.is_some() {
                constraints.insert(0, Constraint::DistinctInstance);
            }
            let attribute = |name: &str, value: Option<&str>| RequiredAttribute {
                name: name.to_owned(),
                value: value.map(str::to_owned),
            };
            Shape {
                demand: Demand {
                    cpu: CpuUnits::new(cpu * 120),
                    memory: MemoryMib::new(memory * 130),
                    gpu: GpuCount::new(gpu.saturating_sub(5)),
                    eni: EniCount::new(u32::from(eni == 0)),
                    ports: if has_ports { tcp(&ports) } else { tcp(&[]) },
                },
                constraints,
                required_attributes: match required {
                    0 => vec![attribute("rack", None)],
                    1 => vec![
                        attribute("ecs.instance-type", Some("g2.2xlarge")),
                        attribute("rack", None),
                    ],
                    _ => Vec::new(),
                },
                // Nobody tells where subnet-d is, except where the snapshot does.
                subnets: match network {
                    0 => subnets(&["subnet-a"]),
                    1 => subnets(&["subnet-b", "subnet-c"]),
                    2 => subnets(&["subnet-a", "subnet-d"]),
                    _ => Vec::new(),
                },
                strategies,
                distinct_group: distinct.map(|position| group(GROUPS[position])),
            }
        },
    )
}

fn any_policy() -> impl Strategy<Value = IndexPolicy> {
    (0_usize..20, 0_u32..4, 0_usize..6).prop_map(|(instances_min, decisions_before, indexes_max)| {
        IndexPolicy {
            instances_min: instances_min.saturating_sub(8),
            decisions_before,
            indexes_max,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_placement_is_the_reference(
        makers in any_cluster(),
        shapes in proptest::collection::vec(any_shape(), 1..4),
        tasks in proptest::collection::vec((0_usize..4, 0..GROUPS.len(), any::<u64>()), 1..60),
        closed in proptest::collection::vec(0_usize..40, 0..3),
        barred in proptest::collection::vec(proptest::collection::vec(0_usize..40, 0..6), 1..4),
        policy in any_policy(),
        told in any::<bool>(),
    ) {
        let mut zones = SubnetZones::default();
        if told {
            zones.tell(subnets(&["subnet-d"]).remove(0), "1b");
        }
        let snapshot = cluster(makers).with_subnet_zones(Arc::new(zones));
        let closed: BTreeSet<_> = closed.iter().map(|number| arn(&format!("n{number}"))).collect();
        let mut reference = ReferencePlacement::new(&snapshot, &closed);
        let mut fast = Placement::new(&snapshot, &closed);
        fast.policy = policy;
        let groups: Vec<TaskGroup> = GROUPS.map(group).to_vec();
        for (shape, group, seed) in tasks {
            let shape = &shapes[shape % shapes.len()];
            let barred = &barred[usize::try_from(seed).unwrap_or(0) % barred.len()];
            let seed = PlacementSeed::new(seed);
            let expected = reference.place_past(shape, &groups[group], seed, barred);
            let chosen = fast.place_past(shape, &groups[group], seed, barred);
            let chosen = chosen.map(|ordinal| snapshot.instances()[ordinal].record.arn().clone());
            prop_assert_eq!(chosen, expected, "{:?} past {:?}", shape, barred);
        }
    }
}
