//! A busy instance is written with every task that starts or ends there, so its record should cost one unit.

use std::collections::BTreeMap;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::id::{
    AttemptId, AttemptNumber, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn,
    TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining};
use berth_scheduler::quantity::{CpuUnits, EniCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::reservation::{PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage};
use berth_scheduler::resources::{Demand, HostPorts, Resources};
use berth_scheduler::run_time::RunOutlook;
use berth_scheduler::timestamp::Timestamp;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_iso8601(text).unwrap()
}

fn resources(cpu: u32, memory_mib: u32) -> Resources {
    Resources {
        cpu: CpuUnits::new(cpu),
        memory: MemoryMib::new(memory_mib),
        ports_taken: HostPorts {
            tcp: [22, 2_375, 2_376, 51_678, 51_679].into_iter().collect(),
            ..HostPorts::NONE
        },
        ..Resources::default()
    }
}

fn reservation(family: &str, number: u32) -> Reservation {
    let task = format!("arn:aws:ecs:us-east-1:123456789012:task/default/{number:032x}");
    Reservation {
        demand: Demand {
            cpu: CpuUnits::new(256),
            memory: MemoryMib::new(512),
            ..Demand::default()
        },
        group: TaskGroup::parse(&format!("family:{family}")).unwrap(),
        outlook: RunOutlook {
            family: TaskFamily::parse(family).ok(),
            ..RunOutlook::default()
        },
        reserved_at_version: ReportVersion::new(400 + u64::from(number)),
        state: ReservationState::Placed(PlacedTask {
            task: TaskArn::parse(&task).unwrap(),
            created_at: at("2026-11-21T10:00:02.123Z").saturating_add_millis(u64::from(number)),
            report: ReportInclusion::NotYet,
            stage: TaskStage::Running,
        }),
    }
}

/// An instance that was registered a day ago, where a task of each of these ids runs, of these families in turn.
fn busy_instance(ids: &[String], families: &[&str]) -> InstanceRecord {
    let id = "0123456789abcdef".repeat(2);
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:container-instance/default/{id}");
    let tasks = ids.iter().zip(families.iter().cycle()).zip(0..);
    let reservations: BTreeMap<AttemptId, Reservation> = tasks
        .map(|((id, family), number)| {
            let attempt = AttemptId {
                task: TaskId::parse(id).unwrap(),
                number: AttemptNumber::new(1),
            };
            (attempt, reservation(family, number))
        })
        .collect();
    InstanceRecord::from_state(InstanceState {
        instance: ContainerInstanceArn::parse(&arn).unwrap(),
        ec2_instance_id: Ec2InstanceId::parse("i-0123456789abcdef0").ok(),
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: Some("1.86.2".to_owned()),
        version: ReportVersion::new(412),
        updated_at: Some(at("2026-11-21T10:00:03.123Z")),
        registered_at: Some(at("2026-11-20T09:00:00.123Z")),
        registered: resources(4_096, 15_800),
        remaining: Remaining::default(),
        ended_at: Some(at("2026-11-21T10:00:01.123Z")),
        running_tasks: 0,
        eni_limit: Some(EniCount::new(3)),
        attributes: Fingerprint::new(0xfedc_ba98_7654_3210),
        reservations,
        other_tasks: BTreeMap::new(),
        revision: Revision::new(960),
    })
}

/// So many ids of so many characters.
fn ids(number: usize, length: usize) -> Vec<String> {
    (0..number).map(|number| format!("{number:-<length$}")).collect()
}

fn bytes(tasks: usize, id_length: usize, families: &[&str]) -> usize {
    item_bytes(&instance::to_json(&busy_instance(
        &ids(tasks, id_length),
        families,
    )))
}

#[test]
fn the_record_of_an_instance_with_eight_tasks_costs_one_unit() {
    // Each family more takes the room of a part of a task; so do the ids that many make up, which are the longest here.
    let one = &["nightly-report"][..];
    let two = &["nightly-report", "etl-import"];
    for (tasks, id_length, families) in [(8, 20, one), (7, 20, two), (6, 36, one)] {
        let bytes = bytes(tasks, id_length, families);
        assert!(
            bytes <= UNIT_BYTES,
            "{bytes} B with {tasks} tasks of {families:?}"
        );
    }
}

/// So long are the ids that many make up. Nothing of them can be left out, nor of ECS's ids of the tasks.
#[test]
fn longer_ids_cost_no_more_than_two_units() {
    let eight = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| name.repeat(14));
    let families: Vec<&str> = eight.iter().map(String::as_str).collect();
    for families in [&["nightly-report"][..], &families] {
        let bytes = bytes(8, 36, families);
        assert!(bytes <= 2 * UNIT_BYTES, "{bytes} B with {families:?}");
    }
}
