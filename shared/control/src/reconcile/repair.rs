//! Repairs records that cannot be read.

use std::collections::BTreeMap;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn, TaskArn, TaskId};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Observed, Remaining, observe};
use berth_scheduler::progress::TaskState;
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, TaskReport, TaskStatus};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::resources::Resources;
use berth_scheduler::run_time::RunOutlook;
use serde_json::Value;

use crate::damage::{DamageReport, Damaged, RecordName, Repair, Replaced, Replacement};
use crate::ports::{Clock, DescribedInstance, Inspector, Ledger, Messenger, PortError, Ports};
use crate::records::{LaneRecord, TaskRecord, instance as instance_record, lane, waiting};
use crate::requirements;
use crate::track::record_own_task;
use crate::wire::refusal::Refusal;

/// What ECS says about the tasks on an instance, and about the instance after that.
struct Described {
    tasks: Vec<TaskReport>,
    instance: Option<Box<InstanceReport>>,
}

/// Repairs every damaged record of a cluster that can be found without its task.
pub(super) async fn repair_cluster<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    listed: &[ContainerInstanceArn],
) -> Result<Vec<DamageReport>, PortError> {
    let mut reports = Vec::new();
    for damaged in ports.ledger.load_damaged(cluster).await? {
        let repair = match &damaged.name {
            _newer if damaged.is_newer() => Repair::LeftAlone,
            RecordName::Instance(id) => repair_instance(ports, cluster, &damaged, id, listed).await?,
            RecordName::Attributes(id) => repair_attributes(ports, cluster, &damaged, id, listed).await?,
            RecordName::Lane(_) => repair_lane(ports, cluster, &damaged).await?,
            RecordName::Waiting { place, .. } => repair_entry(ports.ledger, cluster, &damaged, place).await?,
            RecordName::Task(_) => Repair::LeftAlone,
        };
        reports.push(DamageReport {
            name: damaged.name,
            error: damaged.error,
            repair,
        });
    }
    Ok(reports)
}

/// Sets a damaged task record aside and reports it: nothing can replace it. `None` when the record is in order.
pub(super) async fn set_task_aside<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    task: &TaskId,
) -> Result<Option<DamageReport>, PortError> {
    let Some(damaged) = ports.ledger.load_damaged_task(task).await? else {
        return Ok(None);
    };
    let mut repair = Repair::LeftAlone;
    if !damaged.is_newer() {
        let reason = format!(
            "the record of `{task}` is damaged and was set aside: {}",
            damaged.error
        );
        let refusal = Refusal::without_position(None, reason);
        let body = damaged.content.to_string();
        let text = refusal.to_message(task.as_str(), &body, ports.clock.now());
        // First, because a refusal that comes twice harms nobody.
        ports.messenger.refuse(&text).await?;
        repair = replace(ports.ledger, cluster, &damaged, Replacement::Nothing).await?;
    }
    Ok(Some(DamageReport {
        name: damaged.name,
        error: damaged.error,
        repair,
    }))
}

async fn replace<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    damaged: &Damaged,
    with: Replacement,
) -> Result<Repair, PortError> {
    let done = match with {
        Replacement::Nothing => Repair::SetAside,
        _ => Repair::Rebuilt,
    };
    Ok(match ledger.replace_damaged(cluster, damaged, with).await? {
        Replaced::Done => done,
        Replaced::Moved => Repair::LeftAlone,
    })
}

/// The instance that a key means: one that ECS lists, or one that the damaged record still names.
fn arn_of(id: &str, damaged: &Damaged, listed: &[ContainerInstanceArn]) -> Option<ContainerInstanceArn> {
    let known = listed.iter().find(|arn| arn.id() == id).cloned();
    known.or_else(|| instance_record::instance_in(&damaged.content))
}

async fn repair_attributes<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    damaged: &Damaged,
    id: &str,
    listed: &[ContainerInstanceArn],
) -> Result<Repair, PortError> {
    let Some(arn) = listed.iter().find(|arn| arn.id() == id) else {
        return replace(ports.ledger, cluster, damaged, Replacement::Nothing).await;
    };
    for described in ports
        .ecs
        .describe_instances(cluster, std::slice::from_ref(arn))
        .await?
    {
        if let DescribedInstance::Found(report) = described
            && let Some(attributes) = report.attributes
        {
            return replace(
                ports.ledger,
                cluster,
                damaged,
                Replacement::Attributes(attributes),
            )
            .await;
        }
    }
    Ok(Repair::LeftAlone)
}

/// Makes a capacity record anew: the instance and its tasks from what ECS describes, and from the damaged record the
/// attempts that ECS does not show, as far as their task records still know them.
async fn repair_instance<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    damaged: &Damaged,
    id: &str,
    listed: &[ContainerInstanceArn],
) -> Result<Repair, PortError> {
    let Some(arn) = arn_of(id, damaged, listed) else {
        return replace(ports.ledger, cluster, damaged, Replacement::Nothing).await;
    };
    let described = describe(ports.ecs, cluster, &arn, listed.contains(&arn)).await?;
    let mut state = match &described.instance {
        Some(report) => {
            if let Some(attributes) = report.attributes.as_ref().filter(|it| !it.is_empty()) {
                ports.ledger.store_attributes(cluster, &arn, attributes).await?;
            }
            let Observed::Updated(record) = observe(None, report) else {
                return Ok(Repair::LeftAlone);
            };
            // What others use is not known before our tasks are.
            InstanceState {
                remaining: Remaining::reported(report.remaining.clone()),
                ended_at: None,
                running_tasks: report.running_tasks,
                ..record.state().clone()
            }
        }
        None => tombstone(&arn),
    };
    for task in &described.tasks {
        add_task(&mut state, task, ports.clock);
    }
    for attempt in instance_record::attempts_in(&damaged.content) {
        if state.reservations.contains_key(&attempt) {
            continue;
        }
        let task = match ports.ledger.load_task(&attempt.task).await {
            Err(PortError::Unreadable { .. }) => None,
            other => other?,
        };
        if let Some(reservation) = task.and_then(|task| reservation_of(&task, &attempt, &state)) {
            state.reservations.insert(attempt, reservation);
        }
    }
    // One write after the damaged record, so that a write of somebody who has read it before it was damaged and this
    // one do not both succeed.
    let follows = damaged
        .content
        .get("revision")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    state.revision = berth_scheduler::id::Revision::new(follows).next();
    let record = Box::new(InstanceRecord::from_state(state));
    let repair = replace(ports.ledger, cluster, damaged, Replacement::Instance(record)).await?;
    // The end of a task whose reservation was lost is looked for by nobody.
    for task in described
        .tasks
        .iter()
        .filter(|task| task.status == TaskStatus::Stopped)
    {
        if let Some(attempt) = &task.attempt {
            record_own_task(ports.ledger, cluster, attempt, task).await?;
        }
    }
    Ok(repair)
}

/// The tasks are asked for first: the description that comes after counts all of them.
async fn describe<E: Inspector>(
    ecs: &E,
    cluster: &ClusterName,
    arn: &ContainerInstanceArn,
    is_listed: bool,
) -> Result<Described, PortError> {
    let tasks: Vec<TaskArn> = if is_listed {
        ecs.list_tasks(cluster, arn).await?
    } else {
        Vec::new()
    };
    let tasks = ecs.describe_tasks(cluster, &tasks).await?;
    let described = ecs.describe_instances(cluster, std::slice::from_ref(arn)).await?;
    let instance = described.into_iter().find_map(|described| match described {
        DescribedInstance::Found(report) => Some(report),
        DescribedInstance::Missing(_) => None,
    });
    let tasks = tasks
        .into_iter()
        .filter(|task| task.instance.as_ref() == Some(arn));
    Ok(Described {
        tasks: tasks.collect(),
        instance,
    })
}

/// An instance that ECS does not know, to keep what must still be resolved.
fn tombstone(arn: &ContainerInstanceArn) -> InstanceState {
    InstanceState {
        instance: arn.clone(),
        ec2_instance_id: None,
        status: InstanceStatus::Inactive,
        agent: AgentConnection::Disconnected,
        agent_version: None,
        version: berth_scheduler::id::ReportVersion::default(),
        updated_at: None,
        registered_at: None,
        registered: Resources::default(),
        remaining: Remaining::default(),
        ended_at: None,
        running_tasks: 0,
        eni_limit: None,
        attributes: Fingerprint::default(),
        reservations: BTreeMap::new(),
        other_tasks: BTreeMap::new(),
        revision: berth_scheduler::id::Revision::default(),
    }
}

/// A task that ECS shows on the instance.
fn add_task(state: &mut InstanceState, task: &TaskReport, clock: &impl Clock) {
    let stage = match task.status {
        TaskStatus::Running => TaskStage::Running,
        TaskStatus::Stopping => TaskStage::Stopping,
        TaskStatus::Stopped => return,
    };
    let Some(attempt) = &task.attempt else {
        let other = OtherTask {
            demand: task.demand.clone(),
            group: task.group.clone(),
            version: task.version,
            stage,
        };
        state.other_tasks.insert(task.task.clone(), other);
        return;
    };
    let placed = PlacedTask {
        task: task.task.clone(),
        created_at: task.created_at.unwrap_or_else(|| clock.now()),
        report: ReportInclusion::Included,
        stage,
    };
    let reservation = Reservation {
        demand: task.demand.clone(),
        group: task.group.clone(),
        outlook: RunOutlook::default(),
        reserved_at_version: state.version,
        state: ReservationState::Placed(placed),
    };
    state.reservations.insert(attempt.clone(), reservation);
}

/// The reservation that an attempt has by its task's record; `None` when it has none on this instance.
fn reservation_of(task: &TaskRecord, attempt: &AttemptId, state: &InstanceState) -> Option<Reservation> {
    if task.progress.attempt != attempt.number {
        return None;
    }
    let kept = |instance: &ContainerInstanceArn, kept: ReservationState| {
        (*instance == state.instance).then(|| Reservation {
            demand: task.demand.clone(),
            group: task.group.clone(),
            outlook: task.outlook(),
            reserved_at_version: state.version,
            state: kept,
        })
    };
    match &task.progress.state {
        TaskState::Reserved(reserved) => kept(&reserved.instance, ReservationState::Pending),
        TaskState::Started(started) => {
            let placed = PlacedTask {
                task: started.task.clone(),
                created_at: started.started_at,
                report: ReportInclusion::NotYet,
                stage: TaskStage::Running,
            };
            kept(&started.instance, ReservationState::Placed(placed))
        }
        _ => None,
    }
}

/// Makes a lane anew from the first of its tasks whose record tells what it needs.
async fn repair_lane<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    cluster: &ClusterName,
    damaged: &Damaged,
) -> Result<Repair, PortError> {
    let RecordName::Lane(key) = &damaged.name else {
        return Ok(Repair::LeftAlone);
    };
    if damaged.waiting.is_empty() {
        return replace(ports.ledger, cluster, damaged, Replacement::Nothing).await;
    }
    for task in &damaged.waiting {
        let task = match ports.ledger.load_task(task).await {
            Err(PortError::Unreadable { .. }) => None,
            other => other?,
        };
        let Some(task) = task.filter(|task| task.lane == *key) else {
            continue;
        };
        if let Some(lane) = lane_of(ports.ecs, task, &damaged.content).await? {
            return replace(ports.ledger, cluster, damaged, Replacement::Lane(lane)).await;
        }
    }
    Ok(Repair::LeftAlone)
}

/// A lane made anew from one of its tasks; `None` when a constraint of it cannot be read. A record of schema 1 does
/// not tell where its task would best run: then what the damaged lane still tells of that counts.
async fn lane_of<E: Inspector>(
    inspector: &E,
    mut task: TaskRecord,
    damaged: &Value,
) -> Result<Option<LaneRecord>, PortError> {
    if task.strategies.is_empty() {
        task.strategies = lane::strategies_in(damaged);
    }
    Ok(match requirements::of_task(inspector, &task).await? {
        Ok(needed) => Some(LaneRecord {
            key: task.lane,
            ..needed.lane
        }),
        Err(_unusable) => requirements::lane_of_record(&task),
    })
}

/// Makes an entry of a lane anew from its task's record. One whose task has moved on is not needed any more.
async fn repair_entry<L: Ledger>(
    ledger: &L,
    cluster: &ClusterName,
    damaged: &Damaged,
    place: &str,
) -> Result<Repair, PortError> {
    let task = match waiting::task_of_sort_key(place) {
        Some(id) => match ledger.load_task(&id).await {
            // Its turn comes when it is looked at.
            Err(PortError::Unreadable { .. }) => None,
            other => other?,
        },
        None => None,
    };
    let waits = |task: &TaskRecord| {
        !task.progress.has_left_the_waiting_list() && waiting::sort_key(&task.rank) == place
    };
    let replacement = match task.filter(waits) {
        Some(task) => Replacement::Waiting(task.waiting()),
        None => Replacement::Nothing,
    };
    replace(ledger, cluster, damaged, replacement).await
}
