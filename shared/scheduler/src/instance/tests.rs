//! Capacity accounting under late, repeated and lost reports.

mod others;

use super::*;
use crate::attributes::AttributeSet;
use crate::id::{AttemptNumber, TaskId};
use crate::quantity::{CpuUnits, GpuCount, MemoryMib};
use crate::report::{InstanceReport, ReportSource};
use crate::resources::{HostPorts, PortSet, fits};

fn arn() -> ContainerInstanceArn {
    ContainerInstanceArn::parse("arn:aws:ecs:us-east-1:1:container-instance/default/a").unwrap()
}

fn task(name: &str) -> TaskArn {
    TaskArn::parse(&format!("arn:aws:ecs:us-east-1:1:task/default/{name}")).unwrap()
}

fn group() -> TaskGroup {
    TaskGroup::parse("family:etl").unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId {
        task: TaskId::parse(name).unwrap(),
        number: AttemptNumber::new(1),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn memory(mib: u32) -> Demand {
    Demand {
        memory: MemoryMib::new(mib),
        ..Demand::default()
    }
}

/// A report of an instance with 512 MiB and this much of it left.
fn report(version: u64, remaining_mib: u32) -> InstanceReport {
    let resources = |mib| Resources {
        cpu: CpuUnits::new(1024),
        memory: MemoryMib::new(mib),
        gpu: GpuCount::ZERO,
        ports_taken: HostPorts {
            tcp: [22].into_iter().collect(),
            udp: PortSet::EMPTY,
        },
    };
    InstanceReport {
        instance: arn(),
        ec2_instance_id: None,
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: None,
        version: ReportVersion::new(version),
        updated_at: Some(at(i64::try_from(version).unwrap())),
        registered_at: None,
        registered: resources(512),
        remaining: resources(remaining_mib),
        running_tasks: 0,
        attributes: None,
        source: ReportSource::Event,
    }
}

fn record(report: &InstanceReport) -> InstanceRecord {
    updated(None, report)
}

/// The record after a report, which may tell only what the record tells already.
fn updated(stored: Option<&InstanceRecord>, report: &InstanceReport) -> InstanceRecord {
    match (observe(stored, report), stored) {
        (Observed::Updated(record), _) => *record,
        (Observed::Expected, Some(stored)) => stored.clone(),
        (other, _) => panic!("{other:?}"),
    }
}

fn free(record: &InstanceRecord) -> u32 {
    record.room().memory.get()
}

#[test]
fn a_higher_version_wins_and_an_older_or_equal_one_changes_nothing() {
    let second = record(&report(2, 400));
    assert_eq!(observe(Some(&second), &report(1, 512)), Observed::Stale);
    assert_eq!(observe(Some(&second), &report(2, 400)), Observed::Unchanged);
    assert_eq!(free(&updated(Some(&second), &report(3, 300))), 300);
}

#[test]
fn room_is_counted_once_from_reservation_to_report() {
    let empty = record(&report(1, 512));
    let reserved = empty
        .reserve(attempt("a"), &memory(100), &group(), RunOutlook::default())
        .unwrap();
    assert_eq!(free(&reserved), 412);
    let placed = reserved.place(&attempt("a"), task("t"), at(2)).unwrap();
    assert_eq!(free(&placed), 412, "the report in hand is older than the task");
    let reported = updated(Some(&placed), &report(2, 412));
    assert_eq!(
        free(&reported),
        412,
        "the report counts the task: it must not be taken off twice"
    );
}

#[test]
fn a_report_made_before_the_task_was_created_does_not_count_it() {
    let placed = record(&report(1, 512))
        .reserve(attempt("a"), &memory(100), &group(), RunOutlook::default())
        .unwrap()
        .place(&attempt("a"), task("t"), at(10))
        .unwrap();
    // Version 2 is another change of the instance, made before the task was created.
    let other_change = updated(Some(&placed), &report(2, 512));
    assert_eq!(free(&other_change), 412);
}

#[test]
fn a_described_report_counts_the_tasks_placed_before_it_was_asked_for() {
    let placed = record(&report(1, 512))
        .reserve(attempt("a"), &memory(100), &group(), RunOutlook::default())
        .unwrap()
        .place(&attempt("a"), task("t"), at(10))
        .unwrap();
    let described = |placed_before| InstanceReport {
        updated_at: None,
        source: ReportSource::Described {
            placed_before,
            revision_before: Some(placed.state().revision),
        },
        ..report(2, 412)
    };
    assert_eq!(
        free(&updated(Some(&placed), &described(vec![]))),
        312,
        "unsure: counted twice, never too little"
    );
    assert_eq!(free(&updated(Some(&placed), &described(vec![attempt("a")]))), 412);
}

#[test]
fn a_stopping_task_still_takes_its_room() {
    let running = updated(
        Some(
            &record(&report(1, 512))
                .reserve(attempt("a"), &memory(100), &group(), RunOutlook::default())
                .unwrap()
                .place(&attempt("a"), task("t"), at(2))
                .unwrap(),
        ),
        &report(2, 212),
    );
    // Others hold 200 MiB. ECS gives the room of the stopping task back at once.
    let stopping = updated(Some(&running.stopping(&attempt("a")).unwrap()), &report(3, 312));
    assert_eq!(free(&stopping), 212);
    assert_eq!(free(&stopping.release(&attempt("a"), None).unwrap()), 312);
}

#[test]
fn a_stopping_task_of_others_still_takes_its_room_and_ports() {
    let other = |version, stage| OtherTask {
        demand: Demand {
            ports: HostPorts {
                tcp: [80].into_iter().collect(),
                udp: PortSet::EMPTY,
            },
            ..memory(200)
        },
        group: group(),
        version: ReportVersion::new(version),
        stage,
    };
    let running = record(&report(1, 312))
        .observe_other(&task("o"), other(1, TaskStage::Running))
        .unwrap();
    assert_eq!(free(&running), 312, "a running one is in the report");
    let stopping = running
        .observe_other(&task("o"), other(2, TaskStage::Stopping))
        .unwrap();
    let freed_early = updated(Some(&stopping), &report(2, 512));
    assert_eq!(free(&freed_early), 312);
    let port_80 = Demand {
        ports: HostPorts {
            tcp: [80].into_iter().collect(),
            udp: PortSet::EMPTY,
        },
        ..memory(1)
    };
    assert!(fits(&port_80, freed_early.room()).is_err());
    assert_eq!(
        freed_early.observe_other(&task("o"), other(1, TaskStage::Running)),
        None,
        "late event"
    );
    assert_eq!(free(&freed_early.forget_other(&task("o")).unwrap()), 512);
}

#[test]
fn what_is_reserved_never_exceeds_what_is_registered_whatever_the_report_says() {
    let reserved = record(&report(1, 512))
        .reserve(attempt("a"), &memory(400), &group(), RunOutlook::default())
        .unwrap();
    // A wrong or very late report claims that everything is free.
    let lied_to = updated(Some(&reserved), &report(9, 512));
    let refused = lied_to
        .reserve(attempt("b"), &memory(200), &group(), RunOutlook::default())
        .unwrap_err();
    assert_eq!(refused.to_string(), "memory: needs 200 MiB, 112 free");
}

#[test]
fn ports_of_reservations_and_reports_are_a_union() {
    let port = |number: u16| Demand {
        ports: HostPorts {
            tcp: [number].into_iter().collect(),
            udp: PortSet::EMPTY,
        },
        ..Demand::default()
    };
    let record = record(&report(1, 512))
        .reserve(attempt("a"), &port(80), &group(), RunOutlook::default())
        .unwrap();
    assert!(
        record
            .reserve(attempt("b"), &port(80), &group(), RunOutlook::default())
            .is_err()
    );
    assert!(
        record
            .reserve(attempt("b"), &port(22), &group(), RunOutlook::default())
            .is_err()
    );
    assert!(
        record
            .reserve(attempt("b"), &port(81), &group(), RunOutlook::default())
            .is_ok()
    );
}

#[test]
fn a_tombstone_is_not_raised_by_a_late_event_but_by_an_answer_of_ecs() {
    let gone = record(&report(5, 512)).gone().unwrap();
    assert_eq!(observe(Some(&gone), &report(6, 512)), Observed::Stale);
    let described = InstanceReport {
        source: ReportSource::described_after(&gone),
        ..report(5, 512)
    };
    assert!(updated(Some(&gone), &described).is_candidate());
}

#[test]
fn an_empty_attribute_list_never_replaces_a_known_one() {
    let attributes: AttributeSet = [("stack", Some("prod"))].into_iter().collect();
    let with = |version, attributes: Option<AttributeSet>| InstanceReport {
        attributes,
        ..report(version, 512)
    };
    let first = record(&with(1, Some(AttributeSet::default())));
    let described = updated(Some(&first), &with(1, Some(attributes.clone())));
    assert_eq!(
        described.state().attributes,
        attributes.fingerprint(),
        "an equal version may bring attributes"
    );
    let later = updated(Some(&described), &with(2, Some(AttributeSet::default())));
    assert_eq!(later.state().attributes, attributes.fingerprint());
}

#[test]
fn only_an_active_instance_with_a_connected_agent_is_a_candidate() {
    let with = |status, agent| {
        record(&InstanceReport {
            status,
            agent,
            ..report(1, 512)
        })
        .is_candidate()
    };
    assert!(with(InstanceStatus::Active, AgentConnection::Connected));
    assert!(!with(InstanceStatus::Active, AgentConnection::Disconnected));
    assert!(!with(InstanceStatus::Draining, AgentConnection::Connected));
}

#[test]
fn every_change_raises_the_revision() {
    let first = record(&report(1, 512));
    let second = first
        .reserve(attempt("a"), &memory(1), &group(), RunOutlook::default())
        .unwrap();
    let third = second.place(&attempt("a"), task("t"), at(1)).unwrap();
    let fourth = third.release(&attempt("a"), None).unwrap();
    let revisions = [&first, &second, &third, &fourth].map(|record| record.state().revision.get());
    assert_eq!(revisions, [1, 2, 3, 4]);
    assert_eq!(
        fourth.clone().as_next_of(&second).state().revision.get(),
        3,
        "several changes, one write"
    );
    assert_eq!(fourth.release(&attempt("a"), None), None);
    assert_eq!(fourth.place(&attempt("a"), task("t"), at(1)), None);
}

/// Found by the model: the reconciler stored a version before its event came, and the event's time, which
/// tells that the report counts a fresh task, was ignored because the version was known.
#[test]
fn the_event_of_a_version_that_was_described_before_brings_its_time() {
    let placed = record(&report(1, 512))
        .reserve(attempt("a"), &memory(100), &group(), RunOutlook::default())
        .unwrap()
        .place(&attempt("a"), task("t"), at(2))
        .unwrap();
    let described = InstanceReport {
        updated_at: None,
        source: ReportSource::Described {
            placed_before: vec![],
            revision_before: Some(placed.state().revision),
        },
        ..report(2, 412)
    };
    let unsure = updated(Some(&placed), &described);
    assert_eq!(free(&unsure), 312);
    assert_eq!(free(&updated(Some(&unsure), &report(2, 412))), 412);
}

fn changed(record: &InstanceRecord, change: impl FnOnce(&mut InstanceState)) -> InstanceRecord {
    let mut state = record.state().clone();
    change(&mut state);
    InstanceRecord::from_state(state)
}

#[test]
fn more_is_offered_by_room_and_by_what_constraints_look_at() {
    let Observed::Updated(empty) = observe(None, &report(1, 512)) else {
        panic!()
    };
    let reported = |mib| report(1, mib).remaining;
    let full = changed(&empty, |state| {
        state.remaining = Remaining::reported(reported(100))
    });
    assert!(full.offers_more_than(&empty) != empty.offers_more_than(&full));
    assert!(empty.offers_more_than(&full) && !empty.offers_more_than(&empty));
    // A port that becomes free, whatever else is less.
    let taken = changed(&empty, |state| {
        let mut resources = reported(512);
        resources.ports_taken.tcp = [22, 80].into_iter().collect();
        state.remaining = Remaining::reported(resources);
    });
    assert!(full.offers_more_than(&taken));
    let drained = changed(&empty, |state| state.status = InstanceStatus::Draining);
    assert!(empty.offers_more_than(&drained) && drained.offers_more_than(&empty));
    let labelled = changed(&full, |state| {
        state.attributes = AttributeSet::from_iter([("stack", None::<&str>)]).fingerprint();
    });
    assert!(labelled.offers_more_than(&empty));
    // The first task of a group may be what a constraint waits for, and so may its end; the second is neither.
    let reserve = |record: &InstanceRecord, name| {
        let outlook = RunOutlook::default();
        record
            .reserve(attempt(name), &memory(10), &group(), outlook)
            .unwrap()
    };
    let (one, two) = (reserve(&empty, "one"), reserve(&reserve(&empty, "one"), "two"));
    assert!(one.offers_more_than(&empty) && !two.offers_more_than(&one));
}
