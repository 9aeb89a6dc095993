//! Who starts, in which order, and who waits for which reason.

use std::sync::Arc;

use super::*;
use crate::attributes::AttributeSet;
use crate::constraint::expression::Expression;
use crate::id::{AttemptId, AttemptNumber, ReportVersion, Revision, TaskGroup};
use crate::instance::{InstanceRecord, Observed, observe};
use crate::quantity::{CpuUnits, MemoryMib};
use crate::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use crate::resources::{Demand, Resources};
use crate::run_time::RunOutlook;
use crate::shape::{Constraint, Shape};
use crate::snapshot::InstanceView;
use crate::timestamp::Timestamp;
use crate::waiting::{Priority, WaitingTask};

fn group() -> TaskGroup {
    TaskGroup::parse("family:etl").unwrap()
}

fn memory(mib: u32) -> Demand {
    Demand {
        memory: MemoryMib::new(mib),
        ..Demand::default()
    }
}

fn instance(name: &str, mib: u32) -> InstanceRecord {
    let resources = Resources {
        cpu: CpuUnits::new(1024),
        memory: MemoryMib::new(mib),
        ..Resources::default()
    };
    let report = InstanceReport {
        instance: ContainerInstanceArn::parse(&format!("arn:aws:ecs:r:1:container-instance/default/{name}"))
            .unwrap(),
        ec2_instance_id: None,
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: None,
        version: ReportVersion::new(1),
        updated_at: None,
        registered_at: None,
        registered: resources.clone(),
        remaining: resources,
        running_tasks: 0,
        attributes: None,
        source: ReportSource::Event,
    };
    match observe(None, &report) {
        Observed::Updated(record) => *record,
        other => panic!("{other:?}"),
    }
}

fn snapshot(records: Vec<InstanceRecord>) -> Snapshot {
    let view = |record| InstanceView {
        record: Arc::new(record),
        attributes: Arc::new(AttributeSet::default()),
    };
    Snapshot::new(records.into_iter().map(view).collect())
}

/// A lane of tasks that need this much memory; each task is (id, priority, submission second).
fn lane(key: &str, mib: u32, tasks: &[(&str, u16, i64)]) -> Lane {
    let mut heads: Vec<WaitingTask> = tasks
        .iter()
        .map(|(id, priority, second)| WaitingTask {
            rank: Rank::new(
                Priority::new(*priority).unwrap(),
                Timestamp::from_millis(second * 1000),
                &TaskId::parse(id).unwrap(),
            ),
            group: group(),
            stamp: Revision::new(1),
            outlook: RunOutlook::default(),
        })
        .collect();
    heads.sort_by(|one, other| one.rank.cmp(&other.rank));
    Lane {
        key: LaneKey::parse(key).unwrap(),
        shape: Arc::new(Shape {
            demand: memory(mib),
            ..Shape::default()
        }),
        heads,
        tail: LaneTail::Empty,
        claims: Vec::new(),
    }
}

/// A plan that skips ahead, as nothing else matters to most tests.
fn filled(snapshot: &Snapshot, lanes: &[Lane]) -> AdmissionPlan {
    plan_by(WaitingPolicy::Fill, snapshot, lanes)
}

fn plan_by(policy: WaitingPolicy, snapshot: &Snapshot, lanes: &[Lane]) -> AdmissionPlan {
    let options = PlanOptions {
        admissions_max: 100,
        closed: &BTreeSet::new(),
        policy,
        now: Timestamp::from_millis(0),
        run_times: &RunTimes::default(),
    };
    plan(snapshot, lanes, &options)
}

fn admitted(plan: &AdmissionPlan) -> Vec<String> {
    plan.admissions
        .iter()
        .map(|admission| admission.rank.task().to_string())
        .collect()
}

#[test]
fn lanes_are_merged_by_rank() {
    let lanes = [
        lane("small", 10, &[("s1", 5, 1), ("s2", 1, 1)]),
        lane("big", 20, &[("b1", 9, 2), ("b2", 1, 0)]),
    ];
    let plan = filled(&snapshot(vec![instance("a", 1000)]), &lanes);
    assert_eq!(admitted(&plan), ["b1", "s1", "b2", "s2"]);
    assert_eq!((plan.held.len(), plan.end), (0, PlanEnd::Complete));
}

#[test]
fn a_head_that_fits_nowhere_holds_its_lane_and_nobody_else() {
    let lanes = [
        lane("big", 900, &[("b1", 9, 0), ("b2", 9, 1)]),
        lane("small", 100, &[("s1", 1, 2)]),
    ];
    let plan = filled(&snapshot(vec![instance("a", 512), instance("b", 512)]), &lanes);
    assert_eq!(admitted(&plan), ["s1"]);
    let [(key, HoldReason::NeverFits(explanation))] = &plan.held[..] else {
        panic!("{plan:?}")
    };
    assert_eq!((key.as_str(), explanation.evaluated), ("big", 2));
}

#[test]
fn a_full_instance_admits_the_highest_ranked_and_explains_the_rest() {
    let tasks: Vec<String> = (0..7).map(|number| format!("t{number}")).collect();
    let tasks: Vec<(&str, u16, i64)> = tasks.iter().map(|id| (id.as_str(), 10, 0)).collect();
    let plan = filled(&snapshot(vec![instance("a", 512)]), &[lane("l", 100, &tasks)]);
    assert_eq!(admitted(&plan), ["t0", "t1", "t2", "t3", "t4"]);
    let [(_, HoldReason::Shortfall(explanation))] = &plan.held[..] else {
        panic!("{plan:?}")
    };
    let nearest = explanation.nearest.as_ref().unwrap();
    assert_eq!(nearest.shortfall.to_string(), "memory: needs 100 MiB, 12 free");
}

#[test]
fn planning_stops_where_the_loaded_heads_of_a_lane_run_out() {
    let mut first = lane("first", 10, &[("f1", 9, 0)]);
    first.tail = LaneTail::MoreWaiting;
    let lanes = [first, lane("second", 10, &[("s1", 1, 0)])];
    let plan = filled(&snapshot(vec![instance("a", 1000)]), &lanes);
    assert_eq!(
        admitted(&plan),
        ["f1"],
        "the next of the first lane may rank above s1"
    );
    assert_eq!(plan.end, PlanEnd::MoreToPlan);
}

#[test]
fn a_task_whose_launch_is_under_way_is_not_admitted_twice() {
    let attempt = AttemptId {
        task: TaskId::parse("t1").unwrap(),
        number: AttemptNumber::new(1),
    };
    let busy = instance("a", 512)
        .reserve(attempt, &memory(100), &group(), RunOutlook::default())
        .unwrap();
    let plan = filled(
        &snapshot(vec![busy]),
        &[lane("l", 100, &[("t1", 1, 0), ("t2", 1, 1)])],
    );
    assert_eq!(admitted(&plan), ["t2"]);
}

#[test]
fn a_closed_instance_takes_nobody_in_this_cycle() {
    let record = instance("a", 512);
    let options = PlanOptions {
        admissions_max: 100,
        closed: &[record.arn().clone()].into_iter().collect(),
        policy: WaitingPolicy::default(),
        now: Timestamp::from_millis(0),
        run_times: &RunTimes::default(),
    };
    let plan = plan(
        &snapshot(vec![record]),
        &[lane("l", 100, &[("t1", 1, 0)])],
        &options,
    );
    assert!(plan.admissions.is_empty());
    assert!(
        matches!(&plan.held[..], [(_, HoldReason::NoInstanceMatches(_))]),
        "{plan:?}"
    );
}

#[test]
fn planning_again_without_change_admits_nothing_new() {
    let mut record = instance("a", 512);
    let lanes = [lane("l", 100, &[("t1", 1, 0), ("t2", 1, 1)])];
    let first = filled(&snapshot(vec![record.clone()]), &lanes);
    for admission in &first.admissions {
        let attempt = AttemptId {
            task: admission.rank.task(),
            number: AttemptNumber::new(1),
        };
        record = record
            .reserve(attempt, &memory(100), &group(), RunOutlook::default())
            .unwrap();
    }
    assert!(filled(&snapshot(vec![record]), &lanes).admissions.is_empty());
}

#[test]
fn a_task_that_wants_company_is_looked_at_again_when_it_comes() {
    let beside = |group: &str| {
        let expression = Expression::parse(&format!("task:group == {group}")).unwrap();
        Shape {
            demand: memory(100),
            constraints: vec![Constraint::MemberOf(expression)],
            ..Shape::default()
        }
    };
    let mut follower = lane("follower", 100, &[("follower", 9, 0)]);
    follower.shape = Arc::new(beside("family:etl"));
    let lanes = [
        follower,
        lane("small", 100, &[("s1", 5, 0), ("s2", 1, 0), ("s3", 0, 0)]),
    ];
    let plan = filled(&snapshot(vec![instance("a", 300)]), &lanes);
    assert_eq!(admitted(&plan), ["s1", "follower", "s2"]);
    assert_eq!(plan.held.len(), 1);
}
