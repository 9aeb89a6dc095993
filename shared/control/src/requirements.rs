//! What a task needs, worked out from what its submission asks for and what its task definition says: once when
//! it is accepted, and again when it comes back to the waiting list.

use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{NetworkMode, TaskDefinition, demand};
use berth_scheduler::id::{Ec2InstanceId, LaneKey, TaskGroup};
use berth_scheduler::quantity::MemoryMib;
use berth_scheduler::resources::Demand;
use berth_scheduler::retry::MemoryGrowth;
use berth_scheduler::shape::{Constraint, Shape, Strategy};
use sha2::{Digest, Sha256};

use crate::ports::{Inspector, PortError, TaskDefinitionAnswer};
use crate::records::{LaneRecord, TaskRecord, lane};
use crate::wire::overrides::{ContainerOverride, TaskOverrides};
use crate::wire::refusal::Refusal;
use crate::wire::submission::{LaunchRequest, PlacementConstraint, Submission, TaskDefinitionName};

/// Most placement constraints of a task, those of its task definition included.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const CONSTRAINTS_MAX: usize = 10;

/// What a submission asks for.
struct Asked<'a> {
    constraints: Vec<Constraint>,
    strategies: &'a [Strategy],
    request: &'a LaunchRequest,
    group: Option<&'a TaskGroup>,
}

/// What a task needs.
pub(crate) struct Requirements {
    /// The task definition with its revision.
    pub(crate) definition: Box<TaskDefinition>,
    /// What it takes.
    pub(crate) demand: Demand,
    /// Its group.
    pub(crate) group: TaskGroup,
    /// The lane it waits in.
    pub(crate) lane: LaneRecord,
}

/// What the tasks of a submission need, or why they can never start.
///
/// # Errors
/// When ECS cannot be asked.
pub(crate) async fn of_submission<E: Inspector>(
    inspector: &E,
    submission: &Submission,
) -> Result<Result<Requirements, Refusal>, PortError> {
    let asked = Asked {
        constraints: submission.constraints.clone(),
        strategies: &submission.strategies,
        request: &submission.request,
        group: submission.group.as_ref(),
    };
    let definition = definition(inspector, &submission.task_definition).await?;
    Ok(definition.and_then(|definition| work_out(&asked, definition)))
}

/// What an accepted task needs now, or why it can never start.
///
/// # Errors
/// When ECS cannot be asked.
pub(crate) async fn of_task<E: Inspector>(
    inspector: &E,
    task: &TaskRecord,
) -> Result<Result<Requirements, Refusal>, PortError> {
    let name = TaskDefinitionName::from(&task.task_definition);
    let definition = definition(inspector, &name).await?;
    Ok(definition.and_then(|definition| {
        let asked = Asked {
            constraints: constraints_of(&task.request)?,
            strategies: &task.strategies,
            request: &task.request,
            group: Some(&task.group),
        };
        work_out(&asked, definition)
    }))
}

/// The lane of a task by its own record alone, for when its task definition can no longer be used; `None` when a
/// constraint of it cannot be read. ECS refuses whoever is launched from it, and says why.
pub(crate) fn lane_of_record(task: &TaskRecord) -> Option<LaneRecord> {
    let constraints = constraints_of(&task.request).ok()?;
    let distinct = constraints.contains(&Constraint::DistinctInstance);
    let shape = Shape {
        demand: task.demand.clone(),
        constraints,
        required_attributes: Vec::new(),
        subnets: task.request.subnets(),
        strategies: task.strategies.clone(),
        distinct_group: distinct.then(|| task.group.clone()),
    };
    Some(LaneRecord {
        key: task.lane.clone(),
        shape: Arc::new(shape),
    })
}

/// The overrides that give a task more memory, task and containers alike; `None` when none of them may grow any
/// more.
pub(crate) fn with_more_memory(
    definition: &TaskDefinition,
    overrides: &TaskOverrides,
    growth: MemoryGrowth,
) -> Option<TaskOverrides> {
    let now = overrides.read().ok()?;
    let mut grown = overrides.clone();
    let mut any = false;
    if let Some(memory) = now.memory.or(definition.memory).and_then(|it| growth.next(it)) {
        grown.memory = Some(memory.get().to_string());
        any = true;
    }
    for container in &definition.containers {
        let changed = now.containers.iter().find(|it| it.name == container.name);
        let memory = changed.and_then(|it| it.memory).or(container.memory);
        let reserved = changed
            .and_then(|it| it.memory_reservation)
            .or(container.memory_reservation);
        let memory = memory.and_then(|it| growth.next(it));
        let reserved = reserved.and_then(|it| growth.next(it));
        if memory.is_some() || reserved.is_some() {
            any = true;
            give(&mut grown.container_overrides, &container.name, memory, reserved);
        }
    }
    any.then_some(grown)
}

/// Sets the memory of one container among the changes to containers.
fn give(
    changes: &mut Vec<ContainerOverride>,
    name: &str,
    memory: Option<MemoryMib>,
    reservation: Option<MemoryMib>,
) {
    let number = |it: MemoryMib| i32::try_from(it.get()).unwrap_or(i32::MAX);
    let known = changes.iter().position(|it| it.name.as_deref() == Some(name));
    let mut change = match known {
        Some(position) => changes.remove(position),
        None => ContainerOverride {
            name: Some(name.to_owned()),
            ..ContainerOverride::default()
        },
    };
    change.memory = memory.map(number).or(change.memory);
    change.memory_reservation = reservation.map(number).or(change.memory_reservation);
    changes.push(change);
}

async fn definition<E: Inspector>(
    inspector: &E,
    name: &TaskDefinitionName,
) -> Result<Result<Box<TaskDefinition>, Refusal>, PortError> {
    Ok(match inspector.task_definition(name).await? {
        TaskDefinitionAnswer::Active(definition) => Ok(definition),
        TaskDefinitionAnswer::Inactive => Err(Refusal::without_position(
            Some("taskDefinition"),
            format!("taskDefinition: `{name}` is INACTIVE: name an active revision, or register a new one"),
        )),
        TaskDefinitionAnswer::Unknown { message } => Err(Refusal::without_position(
            Some("taskDefinition"),
            format!("taskDefinition: `{name}` is not known to ECS ({message}): register it first"),
        )),
    })
}

/// The constraints of a stored request. They were read once before, so what cannot be read now is damaged.
fn constraints_of(request: &LaunchRequest) -> Result<Vec<Constraint>, Refusal> {
    let read = |constraint: &PlacementConstraint| match constraint {
        PlacementConstraint::DistinctInstance => Ok(Constraint::DistinctInstance),
        PlacementConstraint::MemberOf { expression } => Expression::parse(expression)
            .map(Constraint::MemberOf)
            .map_err(|error| at("placementConstraints", format!("placementConstraints: {error}"))),
    };
    request.placement_constraints.iter().map(read).collect()
}

/// Everything that the task definition decides.
fn work_out(asked: &Asked<'_>, definition: Box<TaskDefinition>) -> Result<Requirements, Refusal> {
    check_network(asked.request, &definition)?;
    let overrides = asked.request.overrides.read();
    let overrides = overrides.map_err(|error| at("overrides", error.to_string()))?;
    let demand = demand(&definition, &overrides).map_err(|error| at("overrides", error.to_string()))?;
    let group = match asked.group {
        Some(group) => group.clone(),
        None => TaskGroup::parse(&format!("family:{}", definition.arn.family()))
            .map_err(|error| at("group", error.to_string()))?,
    };
    let constraints = constraints(asked, &definition)?;
    let distinct = constraints.contains(&Constraint::DistinctInstance);
    let shape = Shape {
        demand: demand.clone(),
        constraints,
        required_attributes: definition.required_attributes.clone(),
        subnets: asked.request.subnets(),
        strategies: asked.strategies.to_vec(),
        distinct_group: distinct.then(|| group.clone()),
    };
    let lane = LaneRecord {
        key: lane_key(&shape)?,
        shape: Arc::new(shape),
    };
    Ok(Requirements {
        definition,
        demand,
        group,
        lane,
    })
}

fn check_network(request: &LaunchRequest, definition: &TaskDefinition) -> Result<(), Refusal> {
    let given = request.network_configuration.is_some();
    match (definition.network_mode == NetworkMode::Awsvpc, given) {
        (true, false) => Err(at(
            "networkConfiguration",
            format!(
                "networkConfiguration: missing, and `{}` has the network mode awsvpc: give \
                 networkConfiguration.awsvpcConfiguration.subnets",
                definition.arn
            ),
        )),
        (false, true) => Err(at(
            "networkConfiguration",
            format!(
                "networkConfiguration: given, but the network mode of `{}` is not awsvpc: leave it out",
                definition.arn
            ),
        )),
        (true, true) | (false, false) => Ok(()),
    }
}

/// The submission's constraints and the task definition's: all must hold.
fn constraints(asked: &Asked<'_>, definition: &TaskDefinition) -> Result<Vec<Constraint>, Refusal> {
    let mut constraints = asked.constraints.clone();
    for text in &definition.placement_constraints {
        let expression = Expression::parse(text).map_err(|error| {
            at(
                "taskDefinition",
                format!(
                    "taskDefinition: a placement constraint of `{}` cannot be used: {error}",
                    definition.arn
                ),
            )
        })?;
        constraints.push(Constraint::MemberOf(expression));
    }
    // One of them must take in the constraint that names the instance, or leave room for it.
    let pin = Ec2InstanceId::parse("i-00000000000000000").map(|longest| asked.request.pinned_to(&longest));
    let added = pin.map_or(1, |pinned| pinned.len().saturating_sub(asked.constraints.len()));
    if constraints.len().saturating_add(added) > CONSTRAINTS_MAX {
        let reason = format!(
            "placementConstraints: {} together with those of `{}`: ECS takes at most {CONSTRAINTS_MAX}, with the \
             one that names the instance: give fewer, or a shorter memberOf expression for it to join",
            constraints.len(),
            definition.arn
        );
        return Err(at("placementConstraints", reason));
    }
    Ok(constraints)
}

/// The name of the lane for a shape: tasks with the same shape wait in the same lane, whoever sent them.
fn lane_key(shape: &Shape) -> Result<LaneKey, Refusal> {
    let hex: String = Sha256::digest(lane::shape_text(shape))
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    LaneKey::parse(&hex).map_err(|error| at("taskDefinition", error.to_string()))
}

fn at(field: &str, reason: String) -> Refusal {
    Refusal::without_position(Some(field), reason)
}
