//! Tasks as JSON.

use berth_scheduler::demand::{Container, GpuRequest, NetworkMode};
use serde_json::{Map, Value, json};

use super::Form;
use crate::ecs::Cluster;
use crate::ecs::task::{Stage, Task};
use crate::endpoint::protocol::set;

/// A task.
pub(in crate::endpoint) fn task_json(cluster: &Cluster, task: &Task, form: Form) -> Value {
    let attributes = cluster
        .instances
        .get(&task.instance)
        .map(|instance| &instance.attributes);
    let attribute = |name: &str| attributes.and_then(|attributes| attributes.value(name));
    let mut json = Map::new();
    let mut put = |name: &str, value: Value| {
        json.insert(name.to_owned(), value);
    };
    put("taskArn", json!(task.arn.as_str()));
    put("clusterArn", json!(cluster.arn));
    put("containerInstanceArn", json!(task.instance.as_str()));
    put("taskDefinitionArn", json!(task.definition.arn().as_str()));
    put("group", json!(task.group.as_str()));
    put("launchType", json!(task.launch_type.as_str()));
    put("version", json!(task.version.get()));
    put("lastStatus", json!(task.last_status()));
    put("desiredStatus", json!(task.desired_status()));
    put("cpu", json!(task.demand.cpu.get().to_string()));
    put("memory", json!(task.demand.memory.get().to_string()));
    put("overrides", overrides_json(task));
    put(
        "containers",
        (0..containers(task).len())
            .map(|at| container_json(task, at, form))
            .collect(),
    );
    put("attachments", attachments_json(task, form));
    put("enableExecuteCommand", json!(task.details.enable_execute_command));
    if let Some(zone) = attribute("ecs.availability-zone") {
        put("availabilityZone", json!(zone));
    }
    if let Some(architecture) = attribute("ecs.cpu-architecture") {
        put(
            "attributes",
            json!([{ "name": "ecs.cpu-architecture", "value": architecture }]),
        );
    }
    if let Some(started_by) = task.started_by.as_deref() {
        put("startedBy", json!(started_by));
    }
    if let Some(cause) = &task.cause {
        put("stopCode", json!(cause.code));
        put("stoppedReason", json!(cause.reason));
    }
    if form == Form::Answer {
        put("healthStatus", json!("UNKNOWN"));
    }
    if task.started_at.is_some() {
        put("connectivity", json!("CONNECTED"));
    }
    put_times(&mut json, task, form);
    Value::Object(json)
}

fn put_times(json: &mut Map<String, Value>, task: &Task, form: Form) {
    let ended = task.stopped_at.filter(|_| task.started_at.is_some());
    for (name, at) in [
        ("createdAt", Some(task.created_at)),
        ("connectivityAt", task.started_at.and(task.pulled_at)),
        ("pullStartedAt", task.pulled_at),
        ("pullStoppedAt", task.started_at),
        ("startedAt", task.started_at),
        ("stoppingAt", task.stopping_at),
        ("executionStoppedAt", ended),
        ("stoppedAt", task.stopped_at),
    ] {
        form.put_time(json, name, at);
    }
}

/// A stopped task as RunTask's answer to a repeated request has it.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
pub(in crate::endpoint) fn stub_json(task: &Task) -> Value {
    json!({
        "taskArn": task.arn.as_str(),
        "lastStatus": task.last_status(),
        "desiredStatus": task.desired_status(),
    })
}

fn containers(task: &Task) -> &[Container] {
    &task.definition.definition.containers
}

/// What was overridden, and a place for every container, as ECS answers it.
fn overrides_json(task: &Task) -> Value {
    let mut json = Value::Object(task.details.overrides.clone());
    let mut given = match json.get("containerOverrides") {
        Some(Value::Array(given)) => given.clone(),
        _ => Vec::new(),
    };
    for container in containers(task) {
        let name = container.name.as_str();
        if !given
            .iter()
            .any(|given| given.get("name").and_then(Value::as_str) == Some(name))
        {
            given.push(json!({ "name": name }));
        }
    }
    set(&mut json, "containerOverrides", Value::Array(given));
    if json.get("inferenceAcceleratorOverrides").is_none() {
        set(&mut json, "inferenceAcceleratorOverrides", json!([]));
    }
    json
}

fn container_json(task: &Task, at: usize, form: Form) -> Value {
    let Some(container) = containers(task).get(at) else {
        return Value::Null;
    };
    let registered = task
        .definition
        .document
        .get("containerDefinitions")
        .and_then(|all| all.get(at));
    let id = task.arn.as_str().rsplit('/').next().unwrap_or_default();
    let mut json = json!({
        "containerArn": format!("{}/{id}-{at}", task.arn.as_str().replacen(":task/", ":container/", 1)),
        "taskArn": task.arn.as_str(),
        "name": container.name,
        "lastStatus": match task.stage {
            Stage::Queued | Stage::Starting => "PENDING",
            Stage::Running | Stage::Stopping => "RUNNING",
            Stage::Stopped => "STOPPED",
        },
        "networkInterfaces": [],
        "networkBindings": bindings_json(task, at),
        "cpu": container.cpu.map_or(0, |cpu| cpu.get()).to_string(),
    });
    if let Some(image) = registered.and_then(|container| container.get("image")) {
        set(&mut json, "image", image.clone());
    }
    if let Some(memory) = container.memory {
        set(&mut json, "memory", json!(memory.get().to_string()));
    }
    if let Some(reserved) = container.memory_reservation {
        set(&mut json, "memoryReservation", json!(reserved.get().to_string()));
    }
    if task.started_at.is_some() {
        set(&mut json, "runtimeId", json!(format!("{id}{id}")));
    }
    if let (Stage::Stopped, Some(code)) = (task.stage, task.cause.as_ref().and_then(|cause| cause.exit_code))
    {
        set(&mut json, "exitCode", json!(code));
    }
    if let (Stage::Stopped, Some(reason)) = (
        task.stage,
        task.cause.as_ref().and_then(|cause| cause.container_reason),
    ) {
        set(&mut json, "reason", json!(reason));
    }
    let gpu_ids = gpu_ids(task, at);
    if !gpu_ids.is_empty() {
        set(&mut json, "gpuIds", Value::Array(gpu_ids));
    }
    if form == Form::Answer {
        set(&mut json, "healthStatus", json!("UNKNOWN"));
    }
    json
}

fn bindings_json(task: &Task, at: usize) -> Value {
    let Some(container) = containers(task).get(at) else {
        return json!([]);
    };
    let bindings = task.bindings.iter().filter(|binding| binding.container == at);
    let json = bindings.filter_map(|binding| {
        let mapping = container.port_mappings.get(binding.mapping)?;
        Some(json!({
            "bindIP": "0.0.0.0",
            "containerPort": mapping.container_port,
            "hostPort": binding.host_port,
            "protocol": match mapping.protocol {
                berth_scheduler::demand::Protocol::Tcp => "tcp",
                berth_scheduler::demand::Protocol::Udp => "udp",
            },
        }))
    });
    json.collect()
}

/// The devices of a container: its share of the task's, in the order of the containers.
fn gpu_ids(task: &Task, at: usize) -> Vec<Value> {
    let wanted = |container: &Container| match container.gpu {
        GpuRequest::Devices(devices) => usize::try_from(devices.get()).unwrap_or(usize::MAX),
        GpuRequest::All => usize::MAX,
    };
    let before: usize = containers(task)
        .iter()
        .take(at)
        .map(wanted)
        .fold(0, usize::saturating_add);
    let Some(container) = containers(task).get(at) else {
        return Vec::new();
    };
    // An override may have changed the number: the last container takes what is left.
    let last = at + 1 == containers(task).len();
    let count = if last { usize::MAX } else { wanted(container) };
    task.gpu_ids
        .iter()
        .skip(before)
        .take(count)
        .map(|id| json!(&**id))
        .collect()
}

/// The network interface of a task that has its own.
fn attachments_json(task: &Task, form: Form) -> Value {
    if task.definition.definition.network_mode != NetworkMode::Awsvpc {
        return json!([]);
    }
    let kind = match form {
        Form::Answer => "ElasticNetworkInterface",
        Form::Event => "eni",
    };
    let status = match task.stage {
        Stage::Queued => "PRECREATED",
        Stage::Starting => "ATTACHING",
        Stage::Running | Stage::Stopping => "ATTACHED",
        Stage::Stopped => "DELETED",
    };
    let id = task.arn.as_str().rsplit('/').next().unwrap_or_default();
    let id: String = id.chars().take(17).collect();
    let details = json!([{ "name": "networkInterfaceId", "value": format!("eni-{id}") }]);
    json!([{ "id": format!("attachment-{id}"), "type": kind, "status": status, "details": details }])
}
