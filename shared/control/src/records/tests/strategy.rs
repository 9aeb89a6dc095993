//! Arbitrary records.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use berth_scheduler::attributes::{Fingerprint, RequiredAttribute};
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::hold::{Claim, Dimension, Explanation, Filter, HoldReason, NearestMiss};
use berth_scheduler::id::{
    AttemptId, AttemptNumber, ClusterName, ContainerInstanceArn, Ec2InstanceId, LaneKey, ReportVersion,
    Revision, SubmissionId, SubnetId, TaskArn, TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::instance::{InstanceState, Remaining, Reported};
use berth_scheduler::progress::{
    FinalTask, FinishedRun, Outcome, Request, ReservedTask, StartedTask, StopCause, StopRequest,
    TaskProgress, TaskState,
};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib, Seconds};
use berth_scheduler::report::{AgentConnection, InstanceStatus, TaskEnd};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::resources::{Demand, HostPorts, Resources, Room, fits};
use berth_scheduler::retry::{
    EvaluateOnExit, ExitAction, MemoryGrowth, MemoryNeed, Pattern, RetryStrategy, RunCount,
};
use berth_scheduler::run_time::{RunOutlook, RunSeconds};
use berth_scheduler::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy as Preference};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{AgingSeconds, Priority, Rank, WaitingTask};

use crate::records::{AppliedCommand, Appointment, CommandStamp, TaskRecord};
use crate::wire::submission::{ContentHash, LaunchRequest};

const EXPRESSIONS: [&str; 4] = [
    "attribute:ecs.instance-type =~ g2.*",
    "attribute:stack  ==  prod",
    "not(task:group == db) && attribute:x in [b, a]",
    "runningTasksCount < 3",
];

pub(super) fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        (0..4_000_000_000_000_i64).prop_map(Timestamp::from_millis),
    ]
}

pub(super) fn task_id() -> impl Strategy<Value = TaskId> {
    let submission = "[A-Za-z0-9_-]{1,4}".prop_map(|text| SubmissionId::parse(&text).unwrap());
    (submission, 1..=10_u8).prop_map(|(submission, copy)| TaskId::of_copy(&submission, copy))
}

pub(super) fn rank() -> impl Strategy<Value = Rank> {
    // Few priorities and instants, so that ties are common.
    let priority = select(vec![0, 1, 9, 10, 999, 1000]).prop_map(|number| Priority::new(number).unwrap());
    let instant = prop_oneof![timestamp(), Just(Timestamp::from_millis(1_000_000_000_000))];
    let aging =
        option::of(select(vec![1, 60, 3_600]).prop_map(|seconds| AgingSeconds::new(seconds).unwrap()));
    (priority, instant, task_id(), aging)
        .prop_map(|(priority, at, task, aging)| Rank::new(priority, at, &task).with_aging(aging))
}

pub(super) fn group() -> impl Strategy<Value = TaskGroup> {
    "[ -~]{1,8}".prop_map(|text| TaskGroup::parse(&text).unwrap())
}

pub(super) fn waiting_task() -> impl Strategy<Value = WaitingTask> {
    (rank(), group(), any::<u64>(), outlook()).prop_map(|(rank, group, stamp, outlook)| WaitingTask {
        rank,
        group,
        stamp: Revision::new(stamp),
        outlook,
    })
}

/// The family is always known: one that the group names is not stored.
fn outlook() -> impl Strategy<Value = RunOutlook> {
    let seconds = || option::of((1..=RunSeconds::MAX).prop_map(|seconds| RunSeconds::new(seconds).unwrap()));
    ("[a-z]{1,3}", seconds(), seconds()).prop_map(|(family, expected, timeout)| RunOutlook {
        family: TaskFamily::parse(&family).ok(),
        expected,
        timeout,
    })
}

fn claim() -> impl Strategy<Value = Claim> {
    (task_id(), option::of(timestamp())).prop_map(|(task, projected_start)| Claim {
        task,
        instance: instance_arn("a1"),
        projected_start,
    })
}

fn ports() -> impl Strategy<Value = HostPorts> {
    (vec(any::<u16>(), 0..3), vec(any::<u16>(), 0..3)).prop_map(|(tcp, udp)| HostPorts {
        tcp: tcp.into_iter().collect(),
        udp: udp.into_iter().collect(),
    })
}

pub(super) fn demand() -> impl Strategy<Value = Demand> {
    (any::<u32>(), any::<u32>(), 0..3_u32, 0..2_u32, ports()).prop_map(|(cpu, memory, gpu, eni, ports)| {
        Demand {
            cpu: CpuUnits::new(cpu),
            memory: MemoryMib::new(memory),
            gpu: GpuCount::new(gpu),
            eni: EniCount::new(eni),
            ports,
        }
    })
}

fn resources() -> impl Strategy<Value = Resources> {
    (any::<u32>(), any::<u32>(), 0..3_u32, ports()).prop_map(|(cpu, memory, gpu, ports_taken)| Resources {
        cpu: CpuUnits::new(cpu),
        memory: MemoryMib::new(memory),
        gpu: GpuCount::new(gpu),
        ports_taken,
    })
}

fn task_arn() -> impl Strategy<Value = TaskArn> {
    "[a-f0-9]{1,6}".prop_map(|id| {
        TaskArn::parse(&format!("arn:aws:ecs:us-east-1:123456789012:task/default/{id}")).unwrap()
    })
}

fn instance_arn(id: &str) -> ContainerInstanceArn {
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:container-instance/default/{id}");
    ContainerInstanceArn::parse(&arn).unwrap()
}

fn stage() -> impl Strategy<Value = TaskStage> {
    select(vec![TaskStage::Running, TaskStage::Stopping])
}

fn reservation_state() -> impl Strategy<Value = ReservationState> {
    let inclusion = select(vec![ReportInclusion::NotYet, ReportInclusion::Included]);
    let placed =
        (task_arn(), timestamp(), inclusion, stage()).prop_map(|(task, created_at, report, stage)| {
            PlacedTask {
                task,
                created_at,
                report,
                stage,
            }
        });
    option::of(placed).prop_map(|placed| placed.map_or(ReservationState::Pending, ReservationState::Placed))
}

fn reservations() -> impl Strategy<Value = BTreeMap<AttemptId, Reservation>> {
    let attempt = (task_id(), any::<u64>()).prop_map(|(task, number)| AttemptId {
        task,
        number: AttemptNumber::new(number),
    });
    let reservation = (demand(), group(), any::<u64>(), reservation_state(), outlook()).prop_map(
        |(demand, group, version, state, outlook)| Reservation {
            demand,
            group,
            outlook,
            reserved_at_version: ReportVersion::new(version),
            state,
        },
    );
    btree_map(attempt, reservation, 0..4)
}

fn other_tasks() -> impl Strategy<Value = BTreeMap<TaskArn, OtherTask>> {
    let other =
        (demand(), group(), any::<u64>(), stage()).prop_map(|(demand, group, version, stage)| OtherTask {
            demand,
            group,
            version: ReportVersion::new(version),
            stage,
        });
    btree_map(task_arn(), other, 0..3)
}

fn status() -> impl Strategy<Value = InstanceStatus> {
    select(vec![
        InstanceStatus::Registering,
        InstanceStatus::RegistrationFailed,
        InstanceStatus::Active,
        InstanceStatus::Draining,
        InstanceStatus::Deregistering,
        InstanceStatus::Inactive,
    ])
}

pub(super) fn plain_instance_state() -> InstanceState {
    InstanceState {
        instance: instance_arn("a1"),
        ec2_instance_id: Some(Ec2InstanceId::parse("i-0123456789abcdef0").unwrap()),
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: Some("1.86.2".to_owned()),
        version: ReportVersion::new(7),
        updated_at: None,
        registered_at: None,
        registered: Resources::default(),
        remaining: Remaining::default(),
        ended_at: None,
        running_tasks: 0,
        eni_limit: None,
        attributes: Fingerprint::new(u64::MAX),
        reservations: BTreeMap::new(),
        other_tasks: BTreeMap::new(),
        revision: Revision::new(1),
    }
}

fn remaining() -> impl Strategy<Value = Remaining> {
    let reported = (resources(), option::of(resources())).prop_map(|(remaining, others_before)| {
        Remaining::Reported(Reported {
            remaining,
            others_before,
        })
    });
    prop_oneof![reported, resources().prop_map(Remaining::Besides)]
}

pub(super) fn instance_state() -> impl Strategy<Value = InstanceState> {
    let identity = (status(), any::<bool>(), option::of("[0-9.]{1,6}"), any::<u64>());
    let times = (option::of(timestamp()), option::of(timestamp()));
    let amounts = (resources(), remaining(), any::<u32>(), option::of(any::<u32>()));
    let rest = (any::<u64>(), reservations(), other_tasks(), any::<u64>());
    (identity, times, amounts, rest).prop_map(|(identity, times, amounts, rest)| InstanceState {
        status: identity.0,
        agent: if identity.1 {
            AgentConnection::Connected
        } else {
            AgentConnection::Disconnected
        },
        agent_version: identity.2,
        version: ReportVersion::new(identity.3),
        updated_at: times.0,
        registered_at: times.1,
        registered: amounts.0,
        remaining: amounts.1,
        ended_at: None,
        running_tasks: amounts.2,
        eni_limit: amounts.3.map(EniCount::new),
        attributes: Fingerprint::new(rest.0),
        reservations: rest.1,
        other_tasks: rest.2,
        revision: Revision::new(rest.3),
        ..plain_instance_state()
    })
}

pub(super) fn attributes() -> impl Strategy<Value = BTreeMap<String, Option<String>>> {
    btree_map("[ -~]{1,12}", option::of("[ -~]{0,8}"), 0..6)
}

fn required_attribute() -> impl Strategy<Value = RequiredAttribute> {
    ("[a-z.]{1,8}", option::of("[a-z]{0,4}")).prop_map(|(name, value)| RequiredAttribute { name, value })
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let member_of = select(EXPRESSIONS.to_vec()).prop_map(|text| Expression::parse(text).unwrap());
    prop_oneof![
        Just(Constraint::DistinctInstance),
        member_of.prop_map(Constraint::MemberOf)
    ]
}

fn preference() -> impl Strategy<Value = Preference> {
    prop_oneof![
        Just(Preference::Random),
        Just(Preference::Binpack(BinpackField::Cpu)),
        Just(Preference::Binpack(BinpackField::Memory)),
        Just(Preference::Spread(SpreadField::InstanceId)),
        "[a-zA-Z.-]{1,12}".prop_map(|name| Preference::Spread(SpreadField::Attribute(name))),
    ]
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let rules = (
        vec(constraint(), 0..3),
        vec(required_attribute(), 0..3),
        vec("subnet-[a-z0-9-]{1,10}", 0..3),
    );
    (demand(), rules, vec(preference(), 0..3), option::of(group())).prop_map(
        |(demand, (constraints, required_attributes, subnets), strategies, distinct_group)| Shape {
            demand,
            constraints,
            required_attributes,
            subnets: subnets.iter().map(|id| SubnetId::parse(id).unwrap()).collect(),
            strategies,
            distinct_group,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        status().prop_map(Filter::Status),
        Just(Filter::AgentDisconnected),
        Just(Filter::ClosedThisCycle),
        Just(Filter::Zone),
        required_attribute().prop_map(Filter::MissingAttribute),
        select(EXPRESSIONS.to_vec()).prop_map(|text| Filter::MemberOf {
            expression: text.to_owned()
        }),
        Just(Filter::DistinctInstance),
    ]
}

fn dimension() -> impl Strategy<Value = Dimension> {
    select(vec![
        Dimension::Cpu,
        Dimension::Memory,
        Dimension::Gpu,
        Dimension::Eni,
        Dimension::Ports,
    ])
}

fn nearest() -> impl Strategy<Value = Option<NearestMiss>> {
    // Whatever the demand is short of on an instance with no room; nothing when it asks for nothing.
    demand().prop_map(|demand| {
        let room = Room {
            ports_taken: demand.ports.clone(),
            ..Room::NONE
        };
        let shortfall = fits(&demand, &room).err()?;
        Some(NearestMiss {
            instance: instance_arn("a1"),
            shortfall,
        })
    })
}

fn explanation() -> impl Strategy<Value = Explanation> {
    let filtered = vec((filter(), 0..9_000_usize), 0..4);
    let short = vec((dimension(), 0..9_000_usize), 0..4);
    (0..9_000_usize, filtered, short, nearest(), option::of(claim())).prop_map(
        |(evaluated, filtered, short, nearest, claim)| Explanation {
            evaluated,
            filtered,
            short,
            nearest,
            claim: claim.map(Box::new),
        },
    )
}

pub(super) fn hold_reason() -> impl Strategy<Value = HoldReason> {
    prop_oneof![
        Just(HoldReason::NoInstances),
        explanation().prop_map(HoldReason::NeverFits),
        explanation().prop_map(HoldReason::NoInstanceMatches),
        explanation().prop_map(HoldReason::Shortfall),
        "[ -~]{0,12}".prop_map(|reason| HoldReason::RefusedByEcs { reason }),
        Just(HoldReason::Throttled),
        request().prop_map(HoldReason::Paused),
        (vec(claim(), 0..3), option::of(claim()))
            .prop_map(|(set_aside, claim)| HoldReason::ReservedForHigherRank { set_aside, claim }),
        task_id().prop_map(|head| HoldReason::BehindStrictHead { head }),
    ]
}

pub(super) fn plain_shortfall() -> HoldReason {
    let demand = Demand {
        memory: MemoryMib::new(100),
        ..Demand::default()
    };
    let room = Room {
        memory: MemoryMib::new(12),
        ..Room::NONE
    };
    HoldReason::Shortfall(Explanation {
        evaluated: 3,
        filtered: vec![(
            Filter::MemberOf {
                expression: "attribute:stack == prod".to_owned(),
            },
            1,
        )],
        short: vec![(Dimension::Memory, 2)],
        nearest: fits(&demand, &room).err().map(|shortfall| NearestMiss {
            instance: instance_arn("a1"),
            shortfall,
        }),
        claim: None,
    })
}

fn words() -> impl Strategy<Value = String> {
    "[ -~]{0,12}"
}

fn task_end() -> impl Strategy<Value = TaskEnd> {
    (
        option::of(timestamp()),
        option::of(words()),
        option::of(words()),
        option::of(any::<i32>()),
        option::of(words()),
    )
        .prop_map(
            |(stopped_at, stop_code, stopped_reason, exit_code, container_reason)| TaskEnd {
                stopped_at,
                stop_code,
                stopped_reason,
                exit_code,
                container_reason,
            },
        )
}

fn task_state() -> impl Strategy<Value = TaskState> {
    let instance = || Just(instance_arn("a1"));
    let reserved = (instance(), timestamp(), timestamp(), option::of(words())).prop_map(
        |(instance, reserved_at, call_by, refused)| ReservedTask {
            instance,
            reserved_at,
            call_by,
            refused,
        },
    );
    let started =
        (instance(), task_arn(), timestamp()).prop_map(|(instance, task, started_at)| StartedTask {
            instance,
            task,
            started_at,
        });
    prop_oneof![
        option::of(words()).prop_map(|last_refusal| TaskState::Waiting { last_refusal }),
        reserved.prop_map(TaskState::Reserved),
        started.prop_map(TaskState::Started),
        instance().prop_map(|instance| TaskState::Doubt { instance }),
        final_task().prop_map(TaskState::Final),
    ]
}

fn final_task() -> impl Strategy<Value = FinalTask> {
    let outcome = select(vec![
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Expired,
        Outcome::Refused,
    ]);
    let run = (task_arn(), task_end()).prop_map(|(task, end)| FinishedRun { task, end });
    (outcome, words(), timestamp(), option::of(run)).prop_map(|(outcome, reason, at, run)| FinalTask {
        outcome,
        reason,
        at,
        run,
    })
}

fn request() -> impl Strategy<Value = Request> {
    (timestamp(), option::of(words())).prop_map(|(at, reason)| Request { at, reason })
}

fn stop() -> impl Strategy<Value = StopRequest> {
    let cause = select(vec![StopCause::Cancelled, StopCause::TimedOut]);
    (cause, request()).prop_map(|(cause, request)| StopRequest { cause, request })
}

fn progress() -> impl Strategy<Value = TaskProgress> {
    let runs = (any::<u8>(), any::<u8>()).prop_map(|(failed, hosts_lost)| RunCount { failed, hosts_lost });
    let memory = select(vec![MemoryNeed::Same, MemoryNeed::More]);
    (
        any::<u64>(),
        task_state(),
        runs,
        memory,
        option::of(request()),
        option::of(stop()),
    )
        .prop_map(|(number, state, runs, memory, hold, stop)| TaskProgress {
            attempt: AttemptNumber::new(number),
            state,
            runs,
            memory,
            hold,
            stop,
        })
}

fn terms() -> impl Strategy<Value = Terms> {
    let rule = EvaluateOnExit {
        on_exit_code: Pattern::parse("1*"),
        on_reason: None,
        on_status_reason: Pattern::parse("Host EC2*"),
        action: ExitAction::Exit,
    };
    let growth = MemoryGrowth {
        increase_percent: 50,
        maximum: MemoryMib::new(4_096),
    };
    let retry = RetryStrategy {
        attempts: 3,
        evaluate_on_exit: vec![rule],
        on_out_of_memory: Some(growth),
    };
    (
        option::of(timestamp()),
        option::of(timestamp()),
        option::of(any::<u32>().prop_map(Seconds::new)),
        select(vec![RetryStrategy::default(), retry]),
    )
        .prop_map(|(not_before, start_by, timeout, retry)| Terms {
            not_before,
            start_by,
            timeout,
            retry,
        })
}

pub(super) fn appointment() -> impl Strategy<Value = Appointment> {
    (timestamp(), waiting_task()).prop_map(|(due, waiting)| Appointment {
        due,
        task: waiting.rank.task(),
        group: waiting.group,
    })
}

/// A request with something in most of its fields; what can be in them is tested with submissions.
fn launch_request() -> LaunchRequest {
    let json = serde_json::json!({
        "launchType": "EXTERNAL", "group": "nightly", "enableECSManagedTags": true, "propagateTags": "TASK_DEFINITION",
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:stack == prod"}],
        "tags": [{"key": "team", "value": ""}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "DISABLED"}},
        "overrides": {"containerOverrides": [{"name": "app", "environment": [{"name": "A", "value": "1"}]}]}
    });
    serde_json::from_value(json).unwrap()
}

pub(super) fn task() -> impl Strategy<Value = TaskRecord> {
    let request = select(vec![LaunchRequest::default(), launch_request()]);
    let command = (
        words(),
        option::of(any::<u16>()),
        timestamp(),
        option::of(words()),
    )
        .prop_map(|(action, priority, sent_at, reason)| AppliedCommand {
            action,
            priority,
            previous_priority: priority,
            stamp: CommandStamp {
                sent_at,
                message_id: "m-1".to_owned(),
            },
            reason,
        });
    let strategies = vec(preference(), 0..3);
    (
        waiting_task(),
        demand(),
        request,
        "[0-9a-f]{64}",
        progress(),
        any::<u64>(),
        strategies,
        terms(),
        vec(command, 0..3),
    )
        .prop_map(
            |(waiting, demand, request, content, progress, revision, strategies, terms, commands)| {
                TaskRecord {
                    id: waiting.rank.task(),
                    cluster: ClusterName::parse("default").unwrap(),
                    rank: waiting.rank,
                    lane: LaneKey::parse("lane").unwrap(),
                    group: waiting.group,
                    task_definition: TaskDefinitionArn::parse(
                        "arn:aws:ecs:us-east-1:1:task-definition/etl:12",
                    )
                    .unwrap(),
                    demand,
                    strategies,
                    expected: waiting.outlook.expected,
                    request: request.into(),
                    terms,
                    content: ContentHash::parse(&content).unwrap(),
                    progress,
                    commands,
                    revision: Revision::new(revision),
                }
            },
        )
}
