//! The task in a file: RunTask's input, or a submission to Berth, with the facts of its task definition.

use std::fmt;

use berth_control::settings::Settings;
use berth_control::wire::overrides::TaskOverrides;
use berth_control::wire::submission::{Message, Submission, TaskDefinitionName, decode_message};
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{Overrides, TaskDefinition, demand};
use berth_scheduler::id::TaskGroup;
use berth_scheduler::quantity::GpuCount;
use berth_scheduler::resources::Demand;
use berth_scheduler::shape::{Constraint, PlacementTemplate, Shape};
use serde_json::{Map, Value};

use super::definition::{read as read_definition, typed, unwrapped};

/// Copies of a task at most. RunTask takes ten, but a question costs nothing.
pub const COUNT_MAX: u32 = 10_000;

/// Placement constraints of a task at most, those of its task definition included.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const CONSTRAINTS_MAX: usize = 10;

/// GPUs of a task at most; more than any instance has.
const GPUS_MAX: u64 = 1_024;

/// The fields that are read as those of a submission are, and refused as they are.
const SUBMISSION_FIELDS: [&str; 7] = [
    "placementConstraints",
    "placementStrategy",
    "placementTemplate",
    "group",
    "networkConfiguration",
    "launchType",
    "capacityProviderStrategy",
];

/// Fields of RunTask and of submissions that are read here or that make no difference to placement.
const REQUEST_FIELDS: [&str; 20] = [
    "taskDefinition",
    "count",
    "overrides",
    "cluster",
    "clientToken",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "platformVersion",
    "propagateTags",
    "referenceId",
    "startedBy",
    "tags",
    "volumeConfigurations",
    "id",
    "priority",
    "notBefore",
    "startBy",
    "expectedDurationSeconds",
    "timeoutSeconds",
    "gpu",
];

/// Fields of a task definition that decide what a task takes.
const FACT_FIELDS: [&str; 7] = [
    "cpu",
    "memory",
    "containerDefinitions",
    "networkMode",
    "requiresAttributes",
    "runtimePlatform",
    "gpu",
];

/// Other fields of RegisterTaskDefinition and of DescribeTaskDefinition's answer.
const DEFINITION_FIELDS: [&str; 19] = [
    "family",
    "taskDefinitionArn",
    "revision",
    "status",
    "taskRoleArn",
    "executionRoleArn",
    "volumes",
    "requiresCompatibilities",
    "compatibilities",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
    "inferenceAccelerators",
    "ephemeralStorage",
    "enableFaultInjection",
    "registeredAt",
    "deregisteredAt",
    "registeredBy",
    "deleteRequestedAt",
];

/// A task of which it is asked where it would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTask {
    /// What decides where it may and should go.
    pub shape: Shape,
    /// Its group.
    pub group: TaskGroup,
    /// How many copies, 1 to [`COUNT_MAX`].
    pub count: u32,
}

/// What a planned task is read from.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskInput<'t> {
    /// The task's JSON.
    pub task: &'t str,
    /// The JSON of its task definition, if that is in another file.
    pub definition: Option<&'t str>,
    /// How many copies, whatever the task says.
    pub count: Option<u32>,
    /// A placement template on top.
    pub template: Option<PlacementTemplate>,
}

/// Why a task cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    reason: String,
    /// Whether it is about the file with the task definition.
    in_definition: InDefinition,
}

/// Which of the two files an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InDefinition {
    Yes,
    No,
}

impl TaskError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            in_definition: InDefinition::No,
        }
    }

    fn of_definition_file(self) -> Self {
        Self {
            in_definition: InDefinition::Yes,
            ..self
        }
    }

    /// The file it is about, of the task's and the task definition's.
    pub fn file<'f>(&self, task: &'f str, definition: &'f str) -> &'f str {
        match self.in_definition {
            InDefinition::Yes => definition,
            InDefinition::No => task,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for TaskError {}

impl PlannedTask {
    /// Reads a task and its task definition.
    ///
    /// # Errors
    /// The first problem: the field, and what was expected there.
    pub fn read(input: &TaskInput<'_>) -> Result<Self, TaskError> {
        let mut task = object(input.task, "a task: an object with the fields of RunTask")?;
        check_names(&task)?;
        let count = match input.count {
            Some(count) => count,
            None => read_count(task.get("count"))?,
        };
        let submission = read_submission(&task, input.template)?;
        let overrides = read_overrides(task.remove("overrides"))?;
        let gpu = read_gpu(task.get("gpu"))?;
        let definition = read_task_definition(task, input.definition)?;
        let demand = demand_of(&definition, &overrides, gpu)?;
        let group = match submission.group {
            Some(group) => group,
            None => TaskGroup::parse(&format!("family:{}", definition.arn.family()))
                .map_err(|error| TaskError::new(format!("group: {error}")))?,
        };
        let mut shape = Shape {
            demand,
            constraints: submission.constraints,
            required_attributes: definition.required_attributes,
            subnets: submission.request.subnets(),
            strategies: submission.strategies,
            distinct_group: None,
        };
        add_constraints(&mut shape, &definition.placement_constraints)?;
        if shape.constraints.len() > CONSTRAINTS_MAX {
            return Err(TaskError::new(format!(
                "placementConstraints: {} are too many: give at most {CONSTRAINTS_MAX} with those of the task definition",
                shape.constraints.len()
            )));
        }
        if shape.constraints.contains(&Constraint::DistinctInstance) {
            shape.distinct_group = Some(group.clone());
        }
        Ok(Self { shape, group, count })
    }
}

fn object(json: &str, expected: &str) -> Result<Map<String, Value>, TaskError> {
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(TaskError::new(format!("expected {expected}"))),
        Err(error) => Err(TaskError::new(format!("not JSON: {error}"))),
    }
}

/// A mistyped constraint that went unnoticed would make a wrong answer look right.
fn check_names(task: &Map<String, Value>) -> Result<(), TaskError> {
    let known = |name: &&String| {
        let name = name.as_str();
        SUBMISSION_FIELDS.contains(&name)
            || REQUEST_FIELDS.contains(&name)
            || FACT_FIELDS.contains(&name)
            || DEFINITION_FIELDS.contains(&name)
    };
    match task.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(TaskError::new(format!(
            "{}: unknown field: give fields of RunTask, such as `placementConstraints`, `placementStrategy`, `group`, \
             `overrides` and `count`, and of a task definition, such as `cpu`, `memory` and `containerDefinitions`",
            name.escape_debug()
        ))),
    }
}

fn read_count(count: Option<&Value>) -> Result<u32, TaskError> {
    let Some(count) = count else { return Ok(1) };
    let number = count.as_u64().and_then(|count| u32::try_from(count).ok());
    number
        .filter(|count| (1..=COUNT_MAX).contains(count))
        .ok_or_else(|| {
            TaskError::new(format!(
                "count: `{count}` is not a count: give a whole number from 1 to {COUNT_MAX}"
            ))
        })
}

fn read_gpu(gpu: Option<&Value>) -> Result<Option<GpuCount>, TaskError> {
    let Some(gpu) = gpu else { return Ok(None) };
    let number = gpu.as_u64().filter(|gpu| *gpu <= GPUS_MAX);
    let number = number.and_then(|gpu| u32::try_from(gpu).ok());
    number.map(|gpu| Some(GpuCount::new(gpu))).ok_or_else(|| {
        TaskError::new(format!(
            "gpu: `{gpu}` is not a number of GPUs: give a whole number from 0 to {GPUS_MAX}"
        ))
    })
}

/// Reads the fields that a submission has, too, as a submission's. A template given beside the task goes
/// before its own.
fn read_submission(
    task: &Map<String, Value>,
    template: Option<PlacementTemplate>,
) -> Result<Submission, TaskError> {
    let mut body = Map::new();
    let name = task.get("taskDefinition").filter(|name| name.is_string());
    body.insert(
        "taskDefinition".to_owned(),
        name.cloned().unwrap_or_else(|| Value::from("task")),
    );
    for (name, value) in task
        .iter()
        .filter(|(name, _)| SUBMISSION_FIELDS.contains(&name.as_str()))
    {
        body.insert(name.clone(), value.clone());
    }
    if let Some(template) = template {
        body.insert("placementTemplate".to_owned(), Value::from(template.as_str()));
    }
    let settings = Settings::parse("default", "").map_err(|error| TaskError::new(error.to_string()))?;
    match decode_message(&Value::Object(body).to_string(), "task", &settings) {
        Ok(Message::Submission(submission)) => Ok(*submission),
        Ok(Message::Wake(_) | Message::Command(_)) => Err(TaskError::new("expected a task")),
        // Its position is one in a text that nobody wrote.
        Err(refusal) => Err(TaskError::new(refusal.reason)),
    }
}

fn read_overrides(overrides: Option<Value>) -> Result<Overrides, TaskError> {
    let Some(overrides) = overrides else {
        return Ok(Overrides::default());
    };
    let overrides: TaskOverrides = typed("overrides", overrides)?;
    overrides
        .read()
        .map_err(|error| TaskError::new(error.to_string()))
}

/// Finds the task definition: in its own file, in the task's field `taskDefinition`, or beside it.
fn read_task_definition(
    mut task: Map<String, Value>,
    definition: Option<&str>,
) -> Result<TaskDefinition, TaskError> {
    let beside = FACT_FIELDS.into_iter().find(|field| task.contains_key(*field));
    let mut name = None;
    let inline = match task.remove("taskDefinition") {
        Some(Value::String(text)) => {
            let parsed = TaskDefinitionName::parse(&text);
            name = Some(parsed.map_err(|error| TaskError::new(format!("taskDefinition: {error}")))?);
            None
        }
        Some(Value::Object(inline)) => Some(unwrapped(inline)),
        Some(other) => {
            let reason =
                format!("taskDefinition: `{other}` is no task definition: give its name or an object");
            return Err(TaskError::new(reason));
        }
        None => None,
    };
    match (inline, definition, beside) {
        (None, Some(definition), None) => {
            let object = object(definition, "the output of `aws ecs describe-task-definition`");
            object
                .and_then(|object| read_definition(unwrapped(object), name.as_ref()))
                .map_err(TaskError::of_definition_file)
        }
        (Some(inline), None, None) => read_definition(inline, None),
        (None, None, Some(_)) => {
            // These bind the task, too: they were read with the task's own.
            task.remove("placementConstraints");
            read_definition(task, name.as_ref())
        }
        (None, None, None) => Err(TaskError::new(
            "nothing tells what the task takes: give `--task-definition FILE` with the output of \
             `aws ecs describe-task-definition`, or `cpu` and `memory`, or `containerDefinitions`",
        )),
        (Some(_), Some(_), _) => Err(TaskError::new(
            "taskDefinition: an object, and `--task-definition` gives one too: give one of them",
        )),
        (_, _, Some(field)) => Err(TaskError::new(format!(
            "{field}: given beside a task definition, which has its own: change it with `overrides`",
        ))),
    }
}

fn demand_of(
    definition: &TaskDefinition,
    overrides: &Overrides,
    gpu: Option<GpuCount>,
) -> Result<Demand, TaskError> {
    let mut demand = demand(definition, overrides).map_err(|error| TaskError::new(error.to_string()))?;
    match gpu {
        Some(_) if !definition.containers.is_empty() => Err(TaskError::new(
            "gpu: given beside containers: give `resourceRequirements` of a container instead",
        )),
        Some(gpu) => {
            demand.gpu = gpu;
            Ok(demand)
        }
        None => Ok(demand),
    }
}

fn add_constraints(shape: &mut Shape, expressions: &[String]) -> Result<(), TaskError> {
    for text in expressions {
        let expression = Expression::parse(text).map_err(|error| {
            let rendered = error.render(text);
            TaskError::new(format!(
                "placementConstraints of the task definition:\n{rendered}"
            ))
        })?;
        shape.constraints.push(Constraint::MemberOf(expression));
    }
    Ok(())
}
