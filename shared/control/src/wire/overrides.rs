//! RunTask's `overrides`, as JSON.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run of a task changes about its task definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TaskOverrides {
    /// Changes to single containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub container_overrides: Vec<ContainerOverride>,
    /// The task's CPU: units such as `256`, or `1 vCPU`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The task's memory: MiB such as `512`, or `1 GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The role of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    /// The role that starts the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
    /// Fargate only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// A service that has ended; kept so that the field is known by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inference_accelerator_overrides: Vec<InferenceAcceleratorOverride>,
}

/// What a run of a task changes about one of its containers.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerOverride {
    /// Which container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The command, instead of the one of the task definition or the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables, added or replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<EnvironmentVariable>,
    /// Files of environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<EnvironmentFile>,
    /// CPU units of 1/1024 vCPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    /// The hard limit of memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    /// The memory that ECS reserves, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<i32>,
    /// GPUs, instead of the task definition's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_requirements: Vec<ResourceRequirement>,
}

/// Commands can carry secrets, so only their presence is shown.
impl fmt::Debug for ContainerOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerOverride")
            .field("name", &self.name)
            .field("command", &self.command.as_ref().map(|_| "(not shown)"))
            .field("environment", &self.environment)
            .field("environment_files", &self.environment_files)
            .field("cpu", &self.cpu)
            .field("memory", &self.memory)
            .field("memory_reservation", &self.memory_reservation)
            .field("resource_requirements", &self.resource_requirements)
            .finish()
    }
}

/// An environment variable.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnvironmentVariable {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Values can be secrets and are not shown.
impl fmt::Debug for EnvironmentVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentVariable")
            .field("name", &self.name)
            .field("value", &"(not shown)")
            .finish()
    }
}

/// A file of environment variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentFile {
    /// The ARN of an object in S3.
    pub value: String,
    /// `s3`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// GPUs that a container needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRequirement {
    /// How many, as text.
    pub value: String,
    /// `GPU`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The size of a Fargate task's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EphemeralStorage {
    /// In GiB.
    #[serde(rename = "sizeInGiB")]
    pub size_in_gib: i32,
}

/// An Elastic Inference accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InferenceAcceleratorOverride {
    /// The accelerator's name in the task definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_when_debugging() {
        let json = r#"{"containerOverrides":[{"name":"app","command":["hunter2"],"environment":[{"name":"P","value":"hunter2"}]}]}"#;
        let overrides: TaskOverrides = serde_json::from_str(json).unwrap();
        let debug = format!("{overrides:?}");
        assert!(!debug.contains("hunter2") && debug.contains("app"), "{debug}");
        assert_eq!(serde_json::to_string(&overrides).unwrap(), json);
    }
}
