//! The flow of a submission: resolve its task definition, work out what it needs, and store it once.
//!
//! From then on its SQS message is done: nobody waits in SQS, where a task would hide from its place in the
//! order while it is invisible.

use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{NetworkMode, TaskDefinition, demand};
use berth_scheduler::id::{Ec2InstanceId, LaneKey, Revision, TaskGroup, TaskId};
use berth_scheduler::progress::{TaskProgress, TaskState};
use berth_scheduler::resources::Demand;
use berth_scheduler::shape::{Constraint, Shape};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{AgingSeconds, Rank};
use sha2::{Digest, Sha256};

use crate::ports::{Change, Committed, Inspector, Ledger, PortError, TaskDefinitionAnswer};
use crate::records::{LaneRecord, TaskRecord, lane};
use crate::wire::refusal::Refusal;
use crate::wire::submission::{Submission, TaskDefinitionName};

/// Most placement constraints of a task, those of its task definition included.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const CONSTRAINTS_MAX: usize = 10;

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Its tasks wait.
    Accepted,
    /// The same submission came before; the state of the first one stands.
    AlreadyKnown,
    /// It will never start, and this is why.
    Refused(Refusal),
}

/// A submission with everything worked out that its task definition decides.
struct Resolved {
    definition: Box<TaskDefinition>,
    demand: Demand,
    group: TaskGroup,
    lane: LaneRecord,
}

/// Stores a submission, once per id however often it comes. `submitted_at` is its place among equal
/// priorities: when its message was first sent. With `aging` it gains rank while it waits.
///
/// # Errors
/// When a port fails; the message must then come again, and every step is safe to repeat.
pub async fn submit<L: Ledger, E: Inspector>(
    ledger: &L,
    inspector: &E,
    submission: &Submission,
    submitted_at: Timestamp,
    aging: Option<AgingSeconds>,
) -> Result<Submitted, PortError> {
    let resolved = match resolve(inspector, submission, &submission.task_definition).await? {
        Ok(resolved) => resolved,
        Err(refusal) => return Ok(Submitted::Refused(refusal)),
    };
    let mut outcome = Submitted::AlreadyKnown;
    for copy in 1..=submission.count {
        let task = task_record(submission, &resolved, copy, submitted_at, aging);
        let stored = match ledger
            .commit(Change {
                task: Some(&task),
                ..Change::default()
            })
            .await?
        {
            Committed::Done => {
                outcome = Submitted::Accepted;
                task
            }
            _exists => match ledger.load_task(&task.id).await? {
                Some(stored) if stored.content == task.content => stored,
                Some(stored) => return Ok(Submitted::Refused(id_reuse(&stored.id))),
                None => return Err(vanished(&task.id)),
            },
        };
        if let TaskState::Waiting { .. } = stored.progress.state {
            enqueue(ledger, inspector, submission, &resolved, &stored).await?;
        }
    }
    Ok(outcome)
}

/// Puts a task in its lane, and the lane in the list, in this order: a lane is only retired when nobody
/// waits in it. A repeated message repeats this, because the first one may have crashed in between.
async fn enqueue<L: Ledger, E: Inspector>(
    ledger: &L,
    inspector: &E,
    submission: &Submission,
    resolved: &Resolved,
    task: &TaskRecord,
) -> Result<(), PortError> {
    ledger.enqueue(&task.cluster, &task.lane, &task.waiting()).await?;
    if task.lane == resolved.lane.key {
        return ledger.open_lane(&task.cluster, &resolved.lane).await;
    }
    // The family has a newer revision than the one pinned when the task was first accepted.
    let pinned = TaskDefinitionName::from(&task.task_definition);
    match resolve(inspector, submission, &pinned).await? {
        Ok(resolved) => ledger.open_lane(&task.cluster, &resolved.lane).await,
        Err(_inactive_since) => Ok(()),
    }
}

fn task_record(
    submission: &Submission,
    resolved: &Resolved,
    copy: u8,
    submitted_at: Timestamp,
    aging: Option<AgingSeconds>,
) -> TaskRecord {
    let id = TaskId::of_copy(&submission.id, copy);
    TaskRecord {
        cluster: submission.cluster.clone(),
        rank: Rank::new(submission.priority, submitted_at, &id).with_aging(aging),
        id,
        lane: resolved.lane.key.clone(),
        group: resolved.group.clone(),
        task_definition: resolved.definition.arn.clone(),
        demand: resolved.demand.clone(),
        expected: submission.expected,
        request: Arc::clone(&submission.request),
        content: submission.content_hash,
        progress: TaskProgress::accepted(),
        revision: Revision::new(1),
    }
}

async fn resolve<E: Inspector>(
    inspector: &E,
    submission: &Submission,
    name: &TaskDefinitionName,
) -> Result<Result<Resolved, Refusal>, PortError> {
    Ok(match inspector.task_definition(name).await? {
        TaskDefinitionAnswer::Active(definition) => apply(submission, definition),
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

/// Everything about a submission that its task definition decides.
fn apply(submission: &Submission, definition: Box<TaskDefinition>) -> Result<Resolved, Refusal> {
    check_network(submission, &definition)?;
    let overrides = submission.request.overrides.read();
    let overrides = overrides.map_err(|error| at("overrides", error.to_string()))?;
    let demand = demand(&definition, &overrides).map_err(|error| at("overrides", error.to_string()))?;
    let group = match &submission.group {
        Some(group) => group.clone(),
        None => TaskGroup::parse(&format!("family:{}", definition.arn.family()))
            .map_err(|error| at("group", error.to_string()))?,
    };
    let constraints = constraints(submission, &definition)?;
    let distinct = constraints.contains(&Constraint::DistinctInstance);
    let shape = Shape {
        demand: demand.clone(),
        constraints,
        required_attributes: definition.required_attributes.clone(),
        zones: Vec::new(),
        strategies: submission.strategies.clone(),
        distinct_group: distinct.then(|| group.clone()),
    };
    let lane = LaneRecord {
        key: lane_key(&shape)?,
        shape: Arc::new(shape),
    };
    Ok(Resolved {
        definition,
        demand,
        group,
        lane,
    })
}

fn check_network(submission: &Submission, definition: &TaskDefinition) -> Result<(), Refusal> {
    let given = submission.request.network_configuration.is_some();
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
fn constraints(submission: &Submission, definition: &TaskDefinition) -> Result<Vec<Constraint>, Refusal> {
    let mut constraints = submission.constraints.clone();
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
    let pin =
        Ec2InstanceId::parse("i-00000000000000000").map(|longest| submission.request.pinned_to(&longest));
    let added = pin.map_or(1, |pinned| {
        pinned.len().saturating_sub(submission.constraints.len())
    });
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

fn id_reuse(id: &TaskId) -> Refusal {
    at(
        "id",
        format!("id: `{id}` was used before with other content: give every submission an id of its own"),
    )
}

fn at(field: &str, reason: String) -> Refusal {
    Refusal::without_position(Some(field), reason)
}

fn vanished(id: &TaskId) -> PortError {
    PortError::Failed {
        operation: "store a submission",
        message: format!("the record of `{id}` was there and then was not"),
    }
}
