//! Task definitions.

use std::collections::BTreeSet;

use berth_control::wire::task_definition::TaskDefinition;
use berth_scheduler::demand::TaskDefinitionStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Paging, required};
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::{Definition, Document};
use crate::ecs::error::EcsError;
use crate::endpoint::protocol::{read, set};
use crate::endpoint::render::definition_json;

mod requirements;

/// Most containers of a task definition.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const CONTAINERS_MAX: usize = 10;

pub(super) fn register(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let family = parameters.get("family").and_then(Value::as_str);
    let family = required(family, "Family")?.to_owned();
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !(1..=255).contains(&family.len()) || !family.chars().all(valid) {
        let expected = "give 1 to 255 letters, digits, hyphens and underscores";
        return Err(EcsError::client(format!(
            "family: `{family}` is not valid: {expected}"
        )));
    }
    let mut wire: TaskDefinition = read(parameters)?;
    check_containers(parameters, &wire)?;
    let mut document = parameters.clone();
    let required = requirements::of(parameters);
    if !required.is_empty() {
        document.insert(
            "requiresAttributes".to_owned(),
            required.iter().map(|name| json!({ "name": name })).collect(),
        );
    }
    wire.requires_attributes = required
        .into_iter()
        .map(|name| berth_control::wire::task_definition::Attribute {
            name: name.to_owned(),
            value: None,
        })
        .collect();
    let definition = ecs.register_task_definition(&family, document, |arn| {
        wire.task_definition_arn = Some(arn);
        wire.read().map_err(|error| EcsError::client(error.to_string()))
    })?;
    Ok(described(&definition, &["TAGS".to_owned()]))
}

fn check_containers(parameters: &Document, wire: &TaskDefinition) -> Result<(), EcsError> {
    let containers = &wire.container_definitions;
    if !(1..=CONTAINERS_MAX).contains(&containers.len()) {
        return Err(EcsError::client(format!(
            "Container list must have 1 to {CONTAINERS_MAX} containers."
        )));
    }
    let documents = parameters
        .get("containerDefinitions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut seen = BTreeSet::new();
    for (container, document) in containers.iter().zip(documents) {
        let name = container.name.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| EcsError::client("Container.name should not be null or empty."))?;
        if !seen.insert(name) {
            return Err(EcsError::client(format!(
                "Container names must be unique: `{name}` is there twice."
            )));
        }
        if document
            .get("image")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            return Err(EcsError::client("Container.image should not be null or empty."));
        }
        let (limit, reserved) = (container.memory, container.memory_reservation);
        if limit.is_none() && reserved.is_none() && wire.memory.is_none() {
            return Err(EcsError::client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be \
                 specified."
            )));
        }
        if let (Some(limit), Some(reserved)) = (limit, reserved)
            && reserved > limit
        {
            return Err(EcsError::client(format!(
                "Invalid setting for container '{name}'. 'memoryReservation' must not be larger than 'memory'."
            )));
        }
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Named {
    task_definition: Option<String>,
    include: Vec<String>,
}

pub(super) fn deregister(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: Named = read(parameters)?;
    let name = required(given.task_definition, "Task definition")?;
    Ok(described(&*ecs.deregister_task_definition(&name)?, &[]))
}

pub(super) fn describe(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: Named = read(parameters)?;
    let name = required(given.task_definition, "Task definition")?;
    let found = ecs.task_definition(&name);
    let definition = found.ok_or_else(|| EcsError::client("Unable to describe task definition."))?;
    Ok(described(&definition, &given.include))
}

fn described(definition: &Definition, include: &[String]) -> Value {
    let mut answer = json!({ "taskDefinition": definition_json(definition) });
    if include.iter().any(|include| include == "TAGS") {
        set(
            &mut answer,
            "tags",
            definition.document.get("tags").cloned().unwrap_or(json!([])),
        );
    }
    answer
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListTaskDefinitions {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
}

impl ListTaskDefinitions {
    fn wants(&self, definition: &Definition) -> bool {
        let status = definition.definition.status;
        let status = match self.status.as_deref() {
            None | Some("ACTIVE") => status == TaskDefinitionStatus::Active,
            Some("ALL") => true,
            Some(_) => status != TaskDefinitionStatus::Active,
        };
        status
            && self
                .family_prefix
                .as_deref()
                .is_none_or(|prefix| definition.family().starts_with(prefix))
    }
}

pub(super) fn list(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: ListTaskDefinitions = read(parameters)?;
    let mut arns: Vec<_> = ecs
        .task_definitions()
        .filter(|it| given.wants(it))
        .map(|it| it.arn().to_string())
        .collect();
    if given.sort.as_deref() == Some("DESC") {
        arns.reverse();
    }
    // Revisions are numbers, so that the order of the texts is not theirs.
    let items = arns
        .into_iter()
        .enumerate()
        .map(|(at, arn)| (format!("{at:08}"), arn));
    Paging::of(parameters)?.answer("taskDefinitionArns", items, |_| true, Value::String)
}

pub(super) fn list_families(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: ListTaskDefinitions = read(parameters)?;
    let families: BTreeSet<_> = ecs
        .task_definitions()
        .filter(|it| given.wants(it))
        .map(|it| it.family().to_owned())
        .collect();
    let items = families.into_iter().map(|family| (family.clone(), family));
    Paging::of(parameters)?.answer("families", items, |_| true, Value::String)
}
