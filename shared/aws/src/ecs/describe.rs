//! Answers of ECS as the JSON that events have, so that what a field means is read in one place for both.

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Attribute, Container, ContainerInstance, Resource, Task, TaskDefinition};
use berth_control::wire::event::{DecodedEvent, decode_event};
use berth_control::wire::task_definition as wire;
use berth_scheduler::id::ClusterName;
use berth_scheduler::report::{InstanceReport, TaskReport};
use berth_scheduler::timestamp::Timestamp;
use serde_json::{Map, Value, json};

/// An instant of the SDK, to the millisecond.
pub(super) fn timestamp_of(at: &DateTime) -> Timestamp {
    Timestamp::from_millis(at.to_millis().unwrap_or_default())
}

/// What an answer says about a container instance; the error says which field cannot be read.
pub(super) fn instance_report(
    cluster: &ClusterName,
    instance: &ContainerInstance,
) -> Result<InstanceReport, String> {
    let arn = instance.container_instance_arn().unwrap_or_default();
    let version_info = instance.version_info();
    let detail = object([
        ("clusterArn", Some(json!(cluster_arn(arn, cluster)))),
        ("containerInstanceArn", Some(json!(arn))),
        ("ec2InstanceId", instance.ec2_instance_id().map(Value::from)),
        ("status", instance.status().map(Value::from)),
        ("agentConnected", Some(json!(instance.agent_connected()))),
        ("version", Some(json!(instance.version()))),
        (
            "versionInfo",
            version_info.map(|info| json!({"agentVersion": info.agent_version()})),
        ),
        ("registeredAt", instance.registered_at().map(time_json)),
        ("runningTasksCount", Some(json!(instance.running_tasks_count()))),
        (
            "registeredResources",
            Some(
                instance
                    .registered_resources()
                    .iter()
                    .map(resource_json)
                    .collect(),
            ),
        ),
        (
            "remainingResources",
            Some(instance.remaining_resources().iter().map(resource_json).collect()),
        ),
        (
            "attributes",
            Some(instance.attributes().iter().map(attribute_json).collect()),
        ),
    ]);
    match decode("ECS Container Instance State Change", &detail, cluster) {
        DecodedEvent::Instance { report, .. } => Ok(*report),
        DecodedEvent::Task { .. } => Err("a task where a container instance was asked for".to_owned()),
        DecodedEvent::Ignored(why) => Err(why.to_string()),
    }
}

/// What an answer says about a task; the error says which field cannot be read.
pub(super) fn task_report(cluster: &ClusterName, task: &Task) -> Result<TaskReport, String> {
    let detail = object([
        ("clusterArn", task.cluster_arn().map(Value::from)),
        ("taskArn", task.task_arn().map(Value::from)),
        (
            "containerInstanceArn",
            task.container_instance_arn().map(Value::from),
        ),
        ("taskDefinitionArn", task.task_definition_arn().map(Value::from)),
        ("version", Some(json!(task.version()))),
        ("lastStatus", task.last_status().map(Value::from)),
        // An answer about a task that stopped long ago may leave out what it was meant to be.
        (
            "desiredStatus",
            Some(json!(task.desired_status().or(task.last_status()))),
        ),
        ("createdAt", task.created_at().map(time_json)),
        ("group", task.group().map(Value::from)),
        ("startedBy", task.started_by().map(Value::from)),
        ("launchType", task.launch_type().map(|it| json!(it.as_str()))),
        ("cpu", task.cpu().map(Value::from)),
        ("memory", task.memory().map(Value::from)),
        (
            "containers",
            Some(task.containers().iter().map(container_json).collect()),
        ),
        (
            "attachments",
            Some(
                task.attachments()
                    .iter()
                    .map(|it| json!({"type": it.r#type()}))
                    .collect(),
            ),
        ),
        ("stoppedAt", task.stopped_at().map(time_json)),
        ("stopCode", task.stop_code().map(|it| json!(it.as_str()))),
        ("stoppedReason", task.stopped_reason().map(Value::from)),
    ]);
    match decode("ECS Task State Change", &detail, cluster) {
        DecodedEvent::Task { report, .. } => Ok(*report),
        DecodedEvent::Instance { .. } => Err("a container instance where a task was asked for".to_owned()),
        DecodedEvent::Ignored(why) => Err(why.to_string()),
    }
}

fn decode(kind: &str, detail: &Value, cluster: &ClusterName) -> DecodedEvent {
    let event = json!({"source": "aws.ecs", "detail-type": kind, "detail": detail});
    decode_event(&event.to_string(), std::slice::from_ref(cluster))
}

/// Answers do not name the cluster of an instance: it is the one that was asked about, in the instance's
/// Region and account.
fn cluster_arn(instance_arn: &str, cluster: &ClusterName) -> String {
    let home = instance_arn
        .split_once(":container-instance/")
        .map_or(instance_arn, |(home, _)| home);
    format!("{home}:cluster/{cluster}")
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn time_json(at: &DateTime) -> Value {
    Value::String(timestamp_of(at).to_string())
}

fn attribute_json(attribute: &Attribute) -> Value {
    json!({"name": attribute.name(), "value": attribute.value()})
}

/// The SDK fills the values that a resource's type does not name with 0, so the type must go with it.
fn resource_json(resource: &Resource) -> Value {
    json!({
        "name": resource.name(),
        "type": resource.r#type(),
        "integerValue": resource.integer_value(),
        "longValue": resource.long_value(),
        "doubleValue": resource.double_value(),
        "stringSetValue": resource.string_set_value(),
    })
}

fn container_json(container: &Container) -> Value {
    let bindings = container.network_bindings().iter();
    let bindings = bindings.map(|binding| {
        json!({"hostPort": binding.host_port(), "protocol": binding.protocol().map(|it| it.as_str())})
    });
    json!({
        "cpu": container.cpu(),
        "memory": container.memory(),
        "memoryReservation": container.memory_reservation(),
        "gpuIds": container.gpu_ids(),
        "networkBindings": bindings.collect::<Value>(),
        "exitCode": container.exit_code(),
        "reason": container.reason(),
    })
}

/// A task definition in the form that its JSON has.
pub(super) fn task_definition_of(definition: &TaskDefinition) -> wire::TaskDefinition {
    let constraints = definition
        .placement_constraints()
        .iter()
        .map(|it| wire::PlacementConstraint {
            kind: it.r#type().map(|kind| kind.as_str().to_owned()),
            expression: it.expression().map(str::to_owned),
        });
    let attributes = definition.requires_attributes().iter().map(|it| wire::Attribute {
        name: it.name().to_owned(),
        value: it.value().map(str::to_owned),
    });
    wire::TaskDefinition {
        task_definition_arn: definition.task_definition_arn().map(str::to_owned),
        status: definition.status().map(|status| status.as_str().to_owned()),
        cpu: definition.cpu().map(str::to_owned),
        memory: definition.memory().map(str::to_owned),
        network_mode: definition.network_mode().map(|mode| mode.as_str().to_owned()),
        container_definitions: definition
            .container_definitions()
            .iter()
            .map(container_definition_of)
            .collect(),
        placement_constraints: constraints.collect(),
        requires_attributes: attributes.collect(),
        runtime_platform: definition
            .runtime_platform()
            .map(|platform| wire::RuntimePlatform {
                operating_system_family: platform
                    .operating_system_family()
                    .map(|it| it.as_str().to_owned()),
                cpu_architecture: platform.cpu_architecture().map(|it| it.as_str().to_owned()),
            }),
    }
}

fn container_definition_of(container: &aws_sdk_ecs::types::ContainerDefinition) -> wire::ContainerDefinition {
    let mappings = container.port_mappings().iter().map(|mapping| wire::PortMapping {
        container_port: mapping.container_port().map(i64::from),
        host_port: mapping.host_port().map(i64::from),
        protocol: mapping.protocol().map(|protocol| protocol.as_str().to_owned()),
    });
    let requirements =
        container
            .resource_requirements()
            .iter()
            .map(|requirement| wire::ResourceRequirement {
                value: Some(requirement.value().to_owned()),
                kind: Some(requirement.r#type().as_str().to_owned()),
                sharing_strategy: requirement.sharing_strategy().map(|_| json!({})),
            });
    wire::ContainerDefinition {
        name: container.name().map(str::to_owned),
        cpu: Some(i64::from(container.cpu())),
        memory: container.memory().map(i64::from),
        memory_reservation: container.memory_reservation().map(i64::from),
        port_mappings: mappings.collect(),
        resource_requirements: requirements.collect(),
    }
}

#[cfg(test)]
mod tests;
