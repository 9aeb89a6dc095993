//! RunTask and StartTask.

use std::sync::Arc;

use berth_control::wire::overrides::TaskOverrides;
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::{ClusterName, SubnetId, TaskGroup};
use berth_scheduler::shape::{BinpackField, Constraint, SpreadField, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{cluster_of, required};
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::Document;
use crate::ecs::error::{EcsError, EcsErrorKind};
use crate::ecs::launch::{LaunchType, NetworkConfiguration, RunTaskAnswer, RunTaskRequest, StartTaskRequest};
use crate::ecs::task::{Stage, TaskDetails};
use crate::endpoint::calls::Calls;
use crate::endpoint::protocol::{read, set};
use crate::endpoint::render::{Form, stub_json, task_json};
use crate::ports::{duration_ms, exits};

/// Longest `overrides`, in characters of JSON.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const OVERRIDES_CHARS_MAX: usize = 8_192;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunTask {
    cluster: Option<String>,
    task_definition: Option<String>,
    count: Option<i64>,
    launch_type: Option<String>,
    capacity_provider_strategy: Vec<Value>,
    group: Option<String>,
    started_by: Option<String>,
    client_token: Option<String>,
    overrides: Option<Document>,
    placement_constraints: Vec<PlacementConstraint>,
    placement_strategy: Vec<PlacementStrategy>,
    network_configuration: Option<Network>,
    enable_execute_command: bool,
    tags: Vec<Value>,
    container_instances: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlacementConstraint {
    #[serde(rename = "type")]
    kind: Option<String>,
    expression: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlacementStrategy {
    #[serde(rename = "type")]
    kind: Option<String>,
    field: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Network {
    awsvpc_configuration: Option<Awsvpc>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Awsvpc {
    subnets: Vec<String>,
}

pub(in crate::endpoint) fn run_task(
    ecs: &mut SimulatedEcs,
    calls: &mut Calls,
    parameters: &Document,
) -> Result<Value, EcsError> {
    let given: RunTask = read(parameters)?;
    let started_by = given.started_by.clone();
    let before = ecs.tasks_created();
    let outcome = request(&given).and_then(|request| {
        let answer = ecs.run_task(&request)?;
        Ok((request, answer))
    });
    let started = ecs.tasks_created() - before;
    let placed = outcome.as_ref().ok().map(|(_, answer)| answer);
    calls.count_run_task(started_by.as_deref(), started, placed);
    let (request, answer) = outcome?;
    let novelty = if started == 0 {
        Novelty::Repeated
    } else {
        Novelty::New
    };
    answer_json(ecs, &request.cluster, &answer, novelty)
}

pub(in crate::endpoint) fn start_task(
    ecs: &mut SimulatedEcs,
    parameters: &Document,
) -> Result<Value, EcsError> {
    let given: RunTask = read(parameters)?;
    let start = StartTaskRequest {
        instances: given.container_instances.clone(),
        task: request(&given)?,
    };
    let answer = ecs.start_task(&start)?;
    answer_json(ecs, &start.task.cluster, &answer, Novelty::New)
}

fn request(given: &RunTask) -> Result<RunTaskRequest, EcsError> {
    let cluster = cluster_of(given.cluster.as_deref())?;
    let definition = required(given.task_definition.as_deref(), "Task definition")?;
    let count = given.count.unwrap_or(1);
    let count =
        u32::try_from(count).map_err(|_| EcsError::invalid(format!("count: `{count}` is out of range")))?;
    if !given.capacity_provider_strategy.is_empty() {
        let message = "capacityProviderStrategy: the simulated ECS has no capacity providers";
        return Err(EcsError::new(EcsErrorKind::UnsupportedFeature, message));
    }
    let group = given
        .group
        .as_deref()
        .map(|group| TaskGroup::parse(group).map_err(|error| EcsError::invalid(format!("group: {error}"))));
    let document = given.overrides.clone().unwrap_or_default();
    let overrides = read_overrides(&document)?;
    let network = given.network_configuration.as_ref();
    Ok(RunTaskRequest {
        count,
        group: group.transpose()?,
        constraints: given
            .placement_constraints
            .iter()
            .map(read_constraint)
            .collect::<Result<_, _>>()?,
        strategies: given
            .placement_strategy
            .iter()
            .map(read_strategy)
            .collect::<Result<_, _>>()?,
        started_by: given.started_by.as_deref().map(Arc::from),
        client_token: given.client_token.as_deref().map(Arc::from),
        launch_type: read_launch_type(given.launch_type.as_deref())?,
        network: read_network(network.and_then(|it| it.awsvpc_configuration.as_ref()))?,
        duration_ms: duration_ms(&overrides)?,
        exits: exits(&overrides)?,
        overrides: overrides
            .read()
            .map_err(|error| EcsError::invalid(error.to_string()))?,
        details: Arc::new(TaskDetails {
            overrides: document,
            tags: given.tags.clone(),
            enable_execute_command: given.enable_execute_command,
        }),
        ..RunTaskRequest::new(cluster, definition)
    })
}

fn read_overrides(document: &Document) -> Result<TaskOverrides, EcsError> {
    let json = Value::Object(document.clone());
    if json.to_string().chars().count() > OVERRIDES_CHARS_MAX {
        return Err(EcsError::invalid(format!(
            "overrides: give at most {OVERRIDES_CHARS_MAX} characters of JSON"
        )));
    }
    serde_json::from_value(json).map_err(|error| EcsError::invalid(format!("overrides: {error}")))
}

fn read_network(awsvpc: Option<&Awsvpc>) -> Result<NetworkConfiguration, EcsError> {
    let Some(awsvpc) = awsvpc else {
        return Ok(NetworkConfiguration::Absent);
    };
    let subnets = awsvpc.subnets.iter().map(|subnet| SubnetId::parse(subnet));
    let subnets: Result<_, _> = subnets.collect();
    subnets
        .map(NetworkConfiguration::Subnets)
        .map_err(|error| EcsError::invalid(format!("subnets: {error}")))
}

fn read_launch_type(launch_type: Option<&str>) -> Result<LaunchType, EcsError> {
    match launch_type {
        None | Some("EC2") => Ok(LaunchType::Ec2),
        Some("EXTERNAL") => Ok(LaunchType::External),
        Some(other @ ("FARGATE" | "MANAGED_INSTANCES")) => {
            let message = format!("launchType: `{other}` is not simulated, only `EC2` and `EXTERNAL` are");
            Err(EcsError::new(EcsErrorKind::UnsupportedFeature, message))
        }
        Some(other) => Err(EcsError::invalid(format!(
            "launchType: `{other}` is not valid: give `EC2` or `EXTERNAL`"
        ))),
    }
}

fn read_constraint(given: &PlacementConstraint) -> Result<Constraint, EcsError> {
    let expression = given
        .expression
        .as_deref()
        .filter(|expression| !expression.is_empty());
    match (given.kind.as_deref(), expression) {
        (Some("distinctInstance"), None) => Ok(Constraint::DistinctInstance),
        (Some("distinctInstance"), Some(_)) => Err(EcsError::invalid(
            "distinctInstance expression should not be specified.",
        )),
        (Some("memberOf"), None) => Err(EcsError::invalid("memberOf expression cannot be blank.")),
        (Some("memberOf"), Some(text)) => Expression::parse(text)
            .map(Constraint::MemberOf)
            .map_err(|error| EcsError::invalid(format!("placementConstraints: `{text}`: {error}"))),
        (kind, _) => Err(EcsError::invalid(format!(
            "placementConstraints: type `{}` is not valid: give `memberOf` or `distinctInstance`",
            kind.unwrap_or_default()
        ))),
    }
}

fn read_strategy(given: &PlacementStrategy) -> Result<Strategy, EcsError> {
    let field = given.field.as_deref().unwrap_or_default();
    let invalid = |expected: &str| {
        let message = format!("placementStrategy: field `{field}` is not valid: give {expected}");
        Err(EcsError::invalid(message))
    };
    match given.kind.as_deref() {
        Some("random") => Ok(Strategy::Random),
        Some("binpack") => match BinpackField::parse(field) {
            Some(field) => Ok(Strategy::Binpack(field)),
            None => invalid("`cpu` or `memory`"),
        },
        Some("spread") => match SpreadField::parse(field) {
            Some(field) => Ok(Strategy::Spread(field)),
            None => invalid("`instanceId`, `host` or `attribute:NAME`"),
        },
        kind => Err(EcsError::invalid(format!(
            "placementStrategy: type `{}` is not valid: give `random`, `spread` or `binpack`",
            kind.unwrap_or_default()
        ))),
    }
}

/// Whether an answer is that of an earlier request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    /// Of tasks that have stopped meanwhile, only a stub is answered.
    Repeated,
}

fn answer_json(
    ecs: &SimulatedEcs,
    cluster: &ClusterName,
    answer: &RunTaskAnswer,
    novelty: Novelty,
) -> Result<Value, EcsError> {
    let entry = ecs.cluster(cluster)?;
    let mut tasks = Vec::new();
    for arn in &answer.tasks {
        let number = ecs.find_task(cluster, arn.as_str())?;
        tasks.extend(number.and_then(|number| ecs.tasks.get(&number)).map(|task| {
            if novelty == Novelty::Repeated && task.stage == Stage::Stopped {
                return stub_json(task);
            }
            let mut json = task_json(entry, task, Form::Answer);
            set(&mut json, "tags", json!(task.details.tags));
            json
        }));
    }
    let failures: Vec<_> = answer
        .failures
        .iter()
        .map(|failure| json!({ "arn": failure.arn, "reason": failure.reason }))
        .collect();
    Ok(json!({ "tasks": tasks, "failures": failures }))
}
