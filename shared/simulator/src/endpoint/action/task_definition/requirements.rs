//! The capabilities that a task definition's features need of an instance's agent.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ecs::definition::Document;

/// Whether a field has a value that makes use of its feature.
fn is_used(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    }
}

/// The names of all attributes that a task definition requires.
pub(super) fn of(definition: &Document) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    let uses = |field: &str| is_used(definition.get(field));
    if definition.get("networkMode").and_then(Value::as_str) == Some("awsvpc") {
        names.insert("ecs.capability.task-eni");
    }
    if uses("taskRoleArn") {
        names.insert("com.amazonaws.ecs.capability.task-iam-role");
    }
    if uses("cpu") || uses("memory") {
        names.insert("ecs.capability.task-cpu-mem-limit");
    }
    if uses("pidMode") || uses("ipcMode") {
        names.insert("ecs.capability.pid-ipc-namespace-sharing");
    }
    let volumes = definition
        .get("volumes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    if volumes
        .clone()
        .any(|volume| is_used(volume.get("efsVolumeConfiguration")))
    {
        names.insert("ecs.capability.efs");
    }
    let containers = definition
        .get("containerDefinitions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for container in containers {
        of_container(container, uses("executionRoleArn"), &mut names);
    }
    names
}

fn of_container(container: &Value, has_execution_role: bool, names: &mut BTreeSet<&'static str>) {
    for (field, name) in [
        ("privileged", "com.amazonaws.ecs.capability.privileged-container"),
        ("dependsOn", "ecs.capability.container-ordering"),
        ("healthCheck", "ecs.capability.container-health-check"),
        ("environmentFiles", "ecs.capability.env-files.s3"),
        (
            "repositoryCredentials",
            "ecs.capability.private-registry-authentication.secretsmanager",
        ),
    ] {
        if is_used(container.get(field)) {
            names.insert(name);
        }
    }
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    if image.contains(".dkr.ecr.") {
        names.insert("com.amazonaws.ecs.capability.ecr-auth");
        if has_execution_role {
            names.insert("ecs.capability.execution-role-ecr-pull");
        }
    }
    let secrets = container
        .get("secrets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for secret in secrets {
        let source = secret
            .get("valueFrom")
            .and_then(Value::as_str)
            .unwrap_or_default();
        names.insert(if source.contains(":secretsmanager:") {
            "ecs.capability.secrets.asm.environment-variables"
        } else {
            "ecs.capability.secrets.ssm.environment-variables"
        });
    }
    let driver = container
        .get("logConfiguration")
        .and_then(|it| it.get("logDriver"))
        .and_then(Value::as_str);
    names.extend(driver.and_then(of_log_driver));
    if driver == Some("awslogs") && has_execution_role {
        names.insert("ecs.capability.execution-role-awslogs");
    }
}

fn of_log_driver(driver: &str) -> Option<&'static str> {
    Some(match driver {
        "awslogs" => "com.amazonaws.ecs.capability.logging-driver.awslogs",
        "awsfirelens" => "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
        "fluentd" => "com.amazonaws.ecs.capability.logging-driver.fluentd",
        "gelf" => "com.amazonaws.ecs.capability.logging-driver.gelf",
        "journald" => "com.amazonaws.ecs.capability.logging-driver.journald",
        "json-file" => "com.amazonaws.ecs.capability.logging-driver.json-file",
        "splunk" => "com.amazonaws.ecs.capability.logging-driver.splunk",
        "syslog" => "com.amazonaws.ecs.capability.logging-driver.syslog",
        _ => return None,
    })
}
