//! Task definitions as JSON.

use berth_scheduler::demand::{NetworkMode, TaskDefinitionStatus};
use serde_json::{Value, json};

use super::Form;
use crate::ecs::definition::{Definition, Document};
use crate::endpoint::protocol::set;

/// A task definition with everything that ECS adds to what was registered.
pub(in crate::endpoint) fn definition_json(definition: &Definition) -> Value {
    let arn = definition.arn().as_str();
    let revision: Option<u32> = arn
        .rsplit_once(':')
        .and_then(|(_, revision)| revision.parse().ok());
    let mut json = Value::Object(definition.document.clone());
    if let Some(object) = json.as_object_mut() {
        object.remove("tags");
    }
    for (name, value) in [
        ("taskDefinitionArn", json!(arn)),
        ("family", json!(definition.family())),
        ("revision", json!(revision)),
        ("status", json!(status(definition))),
        ("compatibilities", compatibilities(definition)),
        ("registeredAt", Form::Answer.time(definition.registered_at)),
    ] {
        set(&mut json, name, value);
    }
    if let Some(at) = definition.deregistered_at {
        set(&mut json, "deregisteredAt", Form::Answer.time(at));
    }
    for name in ["volumes", "placementConstraints"] {
        if json.get(name).is_none() {
            set(&mut json, name, json!([]));
        }
    }
    if let Some(cpu) = definition.definition.cpu {
        set(&mut json, "cpu", json!(cpu.get().to_string()));
    }
    if let Some(memory) = definition.definition.memory {
        set(&mut json, "memory", json!(memory.get().to_string()));
    }
    let containers = json.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        add_defaults(container, definition);
    }
    json
}

fn status(definition: &Definition) -> &'static str {
    match definition.definition.status {
        TaskDefinitionStatus::Active => "ACTIVE",
        TaskDefinitionStatus::Inactive => "INACTIVE",
        TaskDefinitionStatus::DeleteInProgress => "DELETE_IN_PROGRESS",
    }
}

fn compatibilities(definition: &Definition) -> Value {
    // Without a size of its own a task cannot run on Fargate.
    let sized = definition.definition.cpu.is_some() && definition.definition.memory.is_some();
    match definition.definition.network_mode {
        NetworkMode::Awsvpc if sized => json!(["EC2", "FARGATE"]),
        NetworkMode::Awsvpc => json!(["EC2"]),
        NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None => json!(["EXTERNAL", "EC2"]),
    }
}

fn add_defaults(container: &mut Document, definition: &Definition) {
    for (name, value) in [
        ("cpu", json!(0)),
        ("essential", json!(true)),
        ("portMappings", json!([])),
        ("environment", json!([])),
        ("mountPoints", json!([])),
        ("volumesFrom", json!([])),
        ("systemControls", json!([])),
    ] {
        container.entry(name).or_insert(value);
    }
    let mappings = container.get_mut("portMappings").and_then(Value::as_array_mut);
    for mapping in mappings.into_iter().flatten().filter_map(Value::as_object_mut) {
        mapping.entry("protocol").or_insert_with(|| json!("tcp"));
        let port = mapping.get("containerPort").cloned();
        if let Some(container_port) = port {
            mapping
                .entry("hostPort")
                .or_insert(match definition.definition.network_mode {
                    NetworkMode::Bridge | NetworkMode::None => json!(0),
                    NetworkMode::Host | NetworkMode::Awsvpc => container_port,
                });
        }
    }
}
