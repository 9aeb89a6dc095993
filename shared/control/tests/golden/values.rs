//! What the golden records mean. The names of the files are the names here.

use std::collections::BTreeMap;

use berth_control::records::{AppliedCommand, CommandStamp, LaneRecord, TaskRecord};
use berth_control::wire::submission::{ContentHash, LaunchRequest};
use berth_scheduler::attributes::{AttributeSet, Fingerprint, RequiredAttribute};
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::hold::{Dimension, Explanation, Filter, HoldReason, NearestMiss};
use berth_scheduler::id::{
    AttemptId, AttemptNumber, ClusterName, ContainerInstanceArn, Ec2InstanceId, LaneKey, ReportVersion,
    Revision, TaskArn, TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining, Reported};
use berth_scheduler::progress::{
    FinalTask, FinishedRun, Outcome, Request, ReservedTask, StartedTask, StopCause, StopRequest,
    TaskProgress, TaskState,
};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib, Seconds};
use berth_scheduler::report::{AgentConnection, InstanceStatus, TaskEnd};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::resources::{Demand, EniRoom, HostPorts, Resources, Room, fits};
use berth_scheduler::retry::{
    EvaluateOnExit, ExitAction, MemoryGrowth, MemoryNeed, Pattern, RetryStrategy, RunCount,
};
use berth_scheduler::run_time::{RunOutlook, RunSeconds};
use berth_scheduler::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{AgingSeconds, Priority, Rank, WaitingTask};
use serde_json::json;

const EXPRESSION: &str = "attribute:ecs.instance-type =~ g2.* and attribute:stack != prod";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_iso8601(text).unwrap()
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

fn instance(name: &str) -> ContainerInstanceArn {
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:container-instance/default/{name}");
    ContainerInstanceArn::parse(&arn).unwrap()
}

fn ecs_task(name: &str) -> TaskArn {
    TaskArn::parse(&format!("arn:aws:ecs:us-east-1:123456789012:task/default/{name}")).unwrap()
}

fn group(text: &str) -> TaskGroup {
    TaskGroup::parse(text).unwrap()
}

fn plain_demand() -> Demand {
    Demand {
        cpu: CpuUnits::new(10),
        memory: MemoryMib::new(100),
        ..Demand::default()
    }
}

fn full_demand() -> Demand {
    Demand {
        cpu: CpuUnits::new(256),
        memory: MemoryMib::new(2048),
        gpu: GpuCount::new(1),
        eni: EniCount::new(1),
        ports: HostPorts {
            tcp: [80, 443].into_iter().collect(),
            udp: [53].into_iter().collect(),
        },
    }
}

fn full_request() -> LaunchRequest {
    let json = json!({
        "launchType": "EXTERNAL", "group": "nightly", "enableECSManagedTags": true, "propagateTags": "TASK_DEFINITION",
        "placementConstraints": [{"type": "memberOf", "expression": EXPRESSION}, {"type": "distinctInstance"}],
        "tags": [{"key": "team", "value": "data"}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "DISABLED"}},
        "overrides": {"containerOverrides": [{"name": "main", "environment": [{"name": "DAY", "value": "21"}]}]}
    });
    serde_json::from_value(json).unwrap()
}

fn task(name: &str, attempt: u64, state: TaskState, request: LaunchRequest) -> TaskRecord {
    let rank = Rank::new(
        Priority::new(50).unwrap(),
        at("2026-11-21T10:00:00.123Z"),
        &id(name),
    );
    let arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12";
    TaskRecord {
        id: id(name),
        cluster: ClusterName::parse("default").unwrap(),
        rank,
        lane: LaneKey::parse("00112233445566778899aabbccddeeff").unwrap(),
        group: group("family:etl"),
        task_definition: TaskDefinitionArn::parse(arn).unwrap(),
        demand: full_demand(),
        request: request.into(),
        content: ContentHash::parse(&"0123456789abcdef".repeat(4)).unwrap(),
        strategies: Vec::new(),
        expected: None,
        terms: Terms::default(),
        progress: TaskProgress {
            attempt: AttemptNumber::new(attempt),
            state,
            ..TaskProgress::accepted()
        },
        commands: Vec::new(),
        revision: Revision::new(attempt + 1),
    }
}

fn reserved(refused: Option<&str>) -> TaskState {
    TaskState::Reserved(ReservedTask {
        instance: instance("a1"),
        reserved_at: at("2026-11-21T10:00:01.000Z"),
        call_by: at("2026-11-21T10:02:01.000Z"),
        refused: refused.map(str::to_owned),
    })
}

fn end() -> TaskEnd {
    TaskEnd {
        stopped_at: Some(at("2026-11-21T10:05:00.500Z")),
        stop_code: Some("EssentialContainerExited".to_owned()),
        stopped_reason: Some("Essential container in task exited".to_owned()),
        exit_code: Some(137),
        container_reason: None,
    }
}

/// A task in every state, and in both forms of those that have an optional part.
pub(crate) fn tasks() -> Vec<(&'static str, TaskRecord)> {
    let plain = LaunchRequest::default;
    let waiting = |last_refusal| TaskState::Waiting { last_refusal };
    let started = StartedTask {
        instance: instance("a1"),
        task: ecs_task("4d9bb5e5"),
        started_at: at("2026-11-21T10:00:02.000Z"),
    };
    // Schema 1 had one state for every end, and no time of it but ECS's.
    let submitted_at = at("2026-11-21T10:00:00.123Z");
    let over = |outcome, reason: &str, at, run| {
        TaskState::Final(FinalTask {
            outcome,
            reason: reason.to_owned(),
            at,
            run,
        })
    };
    let unseen = over(Outcome::Failed, "", submitted_at, None);
    let run = FinishedRun {
        task: ecs_task("4d9bb5e5"),
        end: end(),
    };
    let ended = over(Outcome::Failed, "", at("2026-11-21T10:05:00.500Z"), Some(run));
    let refused = over(Outcome::Refused, "ClientException: no", submitted_at, None);
    let doubt = TaskState::Doubt {
        instance: instance("a1"),
    };
    let said = Some("RESOURCE:MEMORY".to_owned());
    vec![
        ("task-waiting", task("etl", 0, waiting(None), full_request())),
        ("task-waiting-again", task("etl/2", 1, waiting(said), plain())),
        ("task-reserved", task("etl-3", 1, reserved(None), plain())),
        (
            "task-reserved-refused-for-now",
            task("etl-4", 2, reserved(Some("AGENT")), plain()),
        ),
        (
            "task-started",
            task("etl-5", 1, TaskState::Started(started), plain()),
        ),
        ("task-ended", task("etl-6", 1, ended, plain())),
        ("task-ended-unseen", task("etl-7", 3, unseen, plain())),
        ("task-refused", task("etl-8", 1, refused, plain())),
        ("task-doubt", task("etl-9", 1, doubt, plain())),
    ]
}

/// What schema 2 added to tasks: final states, terms, strategies, runs, commands, and what people asked for.
pub(crate) fn tasks_of_2() -> Vec<(&'static str, TaskRecord)> {
    let final_task = |outcome, run| {
        TaskState::Final(FinalTask {
            outcome,
            reason: "because".to_owned(),
            at: at("2026-11-21T11:00:00.000Z"),
            run,
        })
    };
    let run = || {
        Some(FinishedRun {
            task: ecs_task("4d9bb5e5"),
            end: TaskEnd {
                container_reason: Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
                ..end()
            },
        })
    };
    let of = |name, state| task(name, 1, state, LaunchRequest::default());
    let request = |reason: &str| Request {
        at: at("2026-11-21T10:30:00.000Z"),
        reason: Some(reason.to_owned()),
    };
    let mut waiting = of(
        "etl-4",
        TaskState::Waiting {
            last_refusal: Some("failed".to_owned()),
        },
    );
    waiting.strategies = vec![Strategy::Binpack(BinpackField::Memory), Strategy::Random];
    waiting.expected = RunSeconds::new(900);
    waiting.terms = terms();
    waiting.rank = waiting.rank.with_aging(AgingSeconds::new(60));
    waiting.progress.runs = RunCount {
        failed: 1,
        hosts_lost: 2,
    };
    waiting.progress.memory = MemoryNeed::More;
    waiting.progress.hold = Some(request("input is late"));
    waiting.commands = vec![AppliedCommand {
        action: "changePriority".to_owned(),
        priority: Some(50),
        previous_priority: Some(7),
        stamp: CommandStamp {
            sent_at: at("2026-11-21T10:29:00.000Z"),
            message_id: "m-1".to_owned(),
        },
        reason: Some("urgent".to_owned()),
    }];
    let started = TaskState::Started(StartedTask {
        instance: instance("a1"),
        task: ecs_task("4d9bb5e5"),
        started_at: at("2026-11-21T10:00:02.000Z"),
    });
    let mut stopping = of("etl-5", started);
    stopping.progress.stop = Some(StopRequest {
        cause: StopCause::TimedOut,
        request: request("ran for 3600 s"),
    });
    vec![
        ("task-succeeded", of("etl", final_task(Outcome::Succeeded, run()))),
        ("task-failed", of("etl-2", final_task(Outcome::Failed, run()))),
        (
            "task-cancelled",
            of("etl-3", final_task(Outcome::Cancelled, None)),
        ),
        ("task-expired", of("etl-6", final_task(Outcome::Expired, None))),
        ("task-refused", of("etl-7", final_task(Outcome::Refused, None))),
        ("task-waiting-on-hold", waiting),
        ("task-stopping", stopping),
    ]
}

fn terms() -> Terms {
    let rule = EvaluateOnExit {
        on_exit_code: Pattern::parse("1*"),
        on_reason: Pattern::parse("CannotPull*"),
        on_status_reason: None,
        action: ExitAction::Exit,
    };
    Terms {
        not_before: Some(at("2026-11-21T22:00:00.000Z")),
        start_by: Some(at("2026-11-22T04:00:00.000Z")),
        timeout: Some(Seconds::new(3_600)),
        retry: RetryStrategy {
            attempts: 3,
            evaluate_on_exit: vec![rule],
            on_out_of_memory: Some(MemoryGrowth {
                increase_percent: 50,
                maximum: MemoryMib::new(3_072),
            }),
        },
    }
}

fn attempt(number: u64, task: &str) -> AttemptId {
    AttemptId {
        task: id(task),
        number: AttemptNumber::new(number),
    }
}

fn placed(report: ReportInclusion, stage: TaskStage) -> ReservationState {
    ReservationState::Placed(PlacedTask {
        task: ecs_task("4d9bb5e5"),
        created_at: at("2026-11-21T10:00:02.000Z"),
        report,
        stage,
    })
}

fn resources(memory: u32) -> Resources {
    Resources {
        cpu: CpuUnits::new(1024),
        memory: MemoryMib::new(memory),
        gpu: GpuCount::new(2),
        ports_taken: HostPorts {
            tcp: [22, 2375].into_iter().collect(),
            udp: [123].into_iter().collect(),
        },
    }
}

fn empty_instance(name: &str, status: InstanceStatus) -> InstanceState {
    InstanceState {
        instance: instance(name),
        ec2_instance_id: None,
        status,
        agent: AgentConnection::Disconnected,
        agent_version: None,
        version: ReportVersion::new(7),
        updated_at: None,
        registered_at: None,
        registered: Resources::default(),
        remaining: Remaining::reported(Resources::default()),
        ended_at: None,
        running_tasks: 0,
        eni_limit: None,
        attributes: Fingerprint::default(),
        reservations: BTreeMap::new(),
        other_tasks: BTreeMap::new(),
        revision: Revision::new(1),
    }
}

/// What a record tells that names no more than the group of its task.
fn outlook() -> RunOutlook {
    RunOutlook {
        family: TaskFamily::parse("etl").ok(),
        ..RunOutlook::default()
    }
}

fn full_instance() -> InstanceState {
    let reservation = |state| Reservation {
        demand: plain_demand(),
        group: group("family:etl"),
        outlook: outlook(),
        reserved_at_version: ReportVersion::new(6),
        state,
    };
    let other = |stage| OtherTask {
        demand: full_demand(),
        group: group("service:web"),
        version: ReportVersion::new(3),
        stage,
    };
    InstanceState {
        ec2_instance_id: Some(Ec2InstanceId::parse("i-0123456789abcdef0").unwrap()),
        agent: AgentConnection::Connected,
        agent_version: Some("1.86.2".to_owned()),
        updated_at: Some(at("2026-11-21T10:00:03.000Z")),
        registered_at: Some(at("2026-11-20T08:00:00.000Z")),
        registered: resources(8192),
        remaining: Remaining::reported(resources(4096)),
        ended_at: None,
        running_tasks: 4,
        eni_limit: Some(EniCount::new(3)),
        attributes: Fingerprint::new(0xfedc_ba98_7654_3210),
        reservations: BTreeMap::from([
            (attempt(1, "etl-3"), reservation(ReservationState::Pending)),
            (
                attempt(1, "etl-5"),
                reservation(placed(ReportInclusion::NotYet, TaskStage::Running)),
            ),
            (
                attempt(2, "etl/2"),
                reservation(placed(ReportInclusion::Included, TaskStage::Stopping)),
            ),
        ]),
        other_tasks: BTreeMap::from([
            (ecs_task("0a"), other(TaskStage::Running)),
            (ecs_task("0b"), other(TaskStage::Stopping)),
        ]),
        revision: Revision::new(9),
        ..empty_instance("a1", InstanceStatus::Active)
    }
}

/// Capacity records: everything in one, and one for every other status with nothing that can be left out.
pub(crate) fn instances() -> Vec<(&'static str, InstanceRecord)> {
    let empty = |name, status| InstanceRecord::from_state(empty_instance(name, status));
    vec![
        ("instance-active", InstanceRecord::from_state(full_instance())),
        ("instance-draining", empty("a2", InstanceStatus::Draining)),
        ("instance-registering", empty("a3", InstanceStatus::Registering)),
        (
            "instance-registration-failed",
            empty("a4", InstanceStatus::RegistrationFailed),
        ),
        (
            "instance-deregistering",
            empty("a5", InstanceStatus::Deregistering),
        ),
        ("instance-gone", empty("a6", InstanceStatus::Inactive)),
    ]
}

/// The same as schema 2 stored them, and what it leaves out elsewhere: names of another account, a group and a family
/// of their own, no time of registration to count from, every port of the ECS agent.
pub(crate) fn instances_of_2() -> Vec<(&'static str, InstanceRecord)> {
    let mut records = instances();
    records.push(("instance-odd", InstanceRecord::from_state(odd_instance())));
    let remaining = |remaining| {
        InstanceRecord::from_state(InstanceState {
            remaining,
            ..full_instance()
        })
    };
    let in_doubt = Remaining::Reported(Reported {
        remaining: resources(4096),
        others_before: Some(resources(512)),
    });
    records.push(("instance-alone", remaining(Remaining::default())));
    records.push((
        "instance-beside-others",
        remaining(Remaining::Besides(resources(512))),
    ));
    records.push(("instance-in-doubt", remaining(in_doubt)));
    records
}

fn odd_instance() -> InstanceState {
    let reservation = |family: &str, group_text: &str, state| Reservation {
        demand: full_demand(),
        group: group(group_text),
        outlook: RunOutlook {
            family: TaskFamily::parse(family).ok(),
            expected: RunSeconds::new(900),
            timeout: RunSeconds::new(3_600),
        },
        reserved_at_version: ReportVersion::new(6),
        state,
    };
    let elsewhere = "arn:aws:ecs:us-east-1:210987654321:task/default/4d9bb5e5";
    let foreign = ReservationState::Placed(PlacedTask {
        task: TaskArn::parse(elsewhere).unwrap(),
        created_at: at("2026-11-21T10:00:02.123Z"),
        report: ReportInclusion::NotYet,
        stage: TaskStage::Stopping,
    });
    let arn = "arn:aws-us-gov:ecs:us-gov-west-1:123456789012:container-instance/a7";
    let mut registered = resources(8192);
    registered.ports_taken.tcp = [22, 80, 2375, 2376, 51_678, 51_679].into_iter().collect();
    InstanceState {
        instance: ContainerInstanceArn::parse(arn).unwrap(),
        registered_at: None,
        agent_version: None,
        registered,
        reservations: BTreeMap::from([
            (attempt(1, "etl"), reservation("etl", "nightly run 1", foreign)),
            (
                attempt(2, "etl/2"),
                reservation("", "no family", ReservationState::Pending),
            ),
        ]),
        ..full_instance()
    }
}

/// Lanes: a shape of one demand, and one with every kind of rule and preference.
pub(crate) fn lanes() -> Vec<(&'static str, LaneRecord)> {
    let lane = |key: &str, shape: Shape| LaneRecord {
        key: LaneKey::parse(key).unwrap(),
        shape: shape.into(),
    };
    let plain = Shape {
        demand: plain_demand(),
        ..Shape::default()
    };
    let full = Shape {
        demand: full_demand(),
        constraints: vec![
            Constraint::DistinctInstance,
            Constraint::MemberOf(Expression::parse(EXPRESSION).unwrap()),
        ],
        required_attributes: vec![
            RequiredAttribute {
                name: "com.amazonaws.ecs.capability.task-iam-role".to_owned(),
                value: None,
            },
            RequiredAttribute {
                name: "ecs.os-type".to_owned(),
                value: Some("linux".to_owned()),
            },
        ],
        // Schema 1 had zones here, which no release ever filled; subnets tell more.
        subnets: Vec::new(),
        strategies: vec![
            Strategy::Spread(SpreadField::Attribute("ecs.availability-zone".to_owned())),
            Strategy::Spread(SpreadField::InstanceId),
            Strategy::Binpack(BinpackField::Cpu),
            Strategy::Binpack(BinpackField::Memory),
            Strategy::Random,
        ],
        distinct_group: Some(group("nightly")),
    };
    vec![
        ("lane-plain", lane("00112233445566778899aabbccddeeff", plain)),
        ("lane-full", lane("ffeeddccbbaa99887766554433221100", full)),
    ]
}

/// Entries of lanes.
pub(crate) fn waiting() -> Vec<(&'static str, WaitingTask)> {
    let entry = |name: &str, priority| WaitingTask {
        rank: Rank::new(
            Priority::new(priority).unwrap(),
            at("2026-11-21T10:00:00.123Z"),
            &id(name),
        ),
        group: group("family:etl"),
        stamp: Revision::new(0),
        outlook: outlook(),
    };
    vec![
        ("waiting", entry("etl", 50)),
        ("waiting-copy", entry("etl/10", 1000)),
    ]
}

/// Attributes with and without values.
pub(crate) fn attributes() -> Vec<(&'static str, AttributeSet)> {
    let pairs = [
        ("ecs.availability-zone", Some("us-east-1a")),
        ("ecs.capability.execution-role-awslogs", None),
        ("stack", Some("")),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    vec![("attributes", pairs.into_iter().collect())]
}

fn explanation(demand: &Demand, room: &Room) -> Explanation {
    let filters = [
        Filter::Status(InstanceStatus::Draining),
        Filter::AgentDisconnected,
        Filter::ClosedThisCycle,
        Filter::Zone,
        Filter::MissingAttribute(RequiredAttribute {
            name: "ecs.os-type".to_owned(),
            value: Some("linux".to_owned()),
        }),
        Filter::MissingAttribute(RequiredAttribute {
            name: "stack".to_owned(),
            value: None,
        }),
        Filter::MemberOf {
            expression: EXPRESSION.to_owned(),
        },
        Filter::DistinctInstance,
    ];
    let short = [
        Dimension::Cpu,
        Dimension::Memory,
        Dimension::Gpu,
        Dimension::Eni,
        Dimension::Ports,
    ];
    Explanation {
        evaluated: 20,
        filtered: filters.into_iter().map(|filter| (filter, 1)).collect(),
        short: short.into_iter().map(|dimension| (dimension, 2)).collect(),
        nearest: fits(demand, room).err().map(|shortfall| NearestMiss {
            instance: instance("a1"),
            shortfall,
        }),
        claim: None,
    }
}

/// Hold reasons of every kind, with every kind of filter and missing dimension.
pub(crate) fn holds() -> Vec<(&'static str, HoldReason)> {
    let full = full_demand();
    // Short of everything at once.
    let room = Room {
        cpu: CpuUnits::new(1),
        memory: MemoryMib::new(2),
        gpu: GpuCount::new(0),
        eni: EniRoom::Limited(EniCount::new(0)),
        ports_taken: full.ports.clone(),
    };
    // All the host ports that an instance can give are taken, and none of those that are asked for.
    let crowded = Room {
        ports_taken: HostPorts {
            tcp: (10_000..10_100).collect(),
            ..HostPorts::NONE
        },
        ..room.clone()
    };
    let refused = HoldReason::RefusedByEcs {
        reason: "RESOURCE:MEMORY".to_owned(),
    };
    vec![
        ("hold-no-instances", HoldReason::NoInstances),
        (
            "hold-never-fits",
            HoldReason::NeverFits(explanation(&full, &crowded)),
        ),
        (
            "hold-no-instance-matches",
            HoldReason::NoInstanceMatches(Explanation {
                nearest: None,
                ..explanation(&full, &room)
            }),
        ),
        ("hold-shortfall", HoldReason::Shortfall(explanation(&full, &room))),
        ("hold-refused-by-ecs", refused),
        ("hold-throttled", HoldReason::Throttled),
    ]
}
