//! A task definition as DescribeTaskDefinition answers and RegisterTaskDefinition takes it, as far as placement
//! needs it. ECS adds fields over time, so unknown ones are left out.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>

use berth_scheduler::attributes::RequiredAttribute;
use berth_scheduler::demand::{
    self, Container, ContainerOverride, FieldError, GpuRequest, NetworkMode, OperatingSystem, Overrides,
    TaskDefinitionStatus, read_count, read_cpu, read_memory, read_port,
};
use berth_scheduler::id::TaskDefinitionArn;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use serde::Deserialize;

use super::overrides::TaskOverrides;

/// A task definition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskDefinition {
    /// The revision's ARN; not part of RegisterTaskDefinition.
    pub task_definition_arn: Option<String>,
    /// ACTIVE, INACTIVE or DELETE_IN_PROGRESS; ACTIVE when absent.
    pub status: Option<String>,
    /// CPU of the whole task: `256` or `.25 vCPU`.
    pub cpu: Option<String>,
    /// Memory of the whole task: `512` or `0.5 GB`.
    pub memory: Option<String>,
    /// `bridge`, `host`, `awsvpc`, `none`, or `default` on Windows.
    pub network_mode: Option<String>,
    /// The containers.
    pub container_definitions: Vec<ContainerDefinition>,
    /// `memberOf` constraints.
    pub placement_constraints: Vec<PlacementConstraint>,
    /// What ECS found the features to need.
    pub requires_attributes: Vec<Attribute>,
    /// Operating system and processor.
    pub runtime_platform: Option<RuntimePlatform>,
}

/// A container of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerDefinition {
    /// Its name.
    pub name: Option<String>,
    /// CPU units.
    pub cpu: Option<i64>,
    /// The hard limit of memory, in MiB.
    pub memory: Option<i64>,
    /// The memory that ECS reserves, in MiB.
    pub memory_reservation: Option<i64>,
    /// Its ports.
    pub port_mappings: Vec<PortMapping>,
    /// GPUs.
    pub resource_requirements: Vec<ResourceRequirement>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortMapping {
    /// The container's port.
    pub container_port: Option<i64>,
    /// The host's port.
    pub host_port: Option<i64>,
    /// `tcp` or `udp`.
    pub protocol: Option<String>,
}

/// A device that a container needs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRequirement {
    /// How many, as text.
    pub value: Option<String>,
    /// `GPU`, or `InferenceAccelerator`, which has ended.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How the device is shared with other containers, if it is.
    pub sharing_strategy: Option<serde_json::Value>,
}

/// A placement constraint of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlacementConstraint {
    /// `memberOf`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The expression.
    pub expression: Option<String>,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value, if it has one.
    pub value: Option<String>,
}

/// Operating system and processor of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuntimePlatform {
    /// `LINUX`, or one of several `WINDOWS_SERVER_...`.
    pub operating_system_family: Option<String>,
    /// `X86_64` or `ARM64`.
    pub cpu_architecture: Option<String>,
}

impl TaskDefinition {
    /// What placement needs of it.
    ///
    /// # Errors
    /// When a field has a value that is not ECS's, or one that Berth cannot account for.
    pub fn read(&self) -> Result<demand::TaskDefinition, FieldError> {
        let arn = self.task_definition_arn.as_deref().unwrap_or_default();
        let arn = TaskDefinitionArn::parse(arn)
            .map_err(|error| FieldError::new("taskDefinitionArn", arn, error.expected()))?;
        let containers = self.container_definitions.iter().enumerate();
        Ok(demand::TaskDefinition {
            arn,
            status: read_status(self.status.as_deref())?,
            operating_system: self.operating_system(),
            network_mode: read_network_mode(self.network_mode.as_deref())?,
            cpu: self
                .cpu
                .as_deref()
                .map(|text| read_cpu("cpu", text))
                .transpose()?,
            memory: self
                .memory
                .as_deref()
                .map(|text| read_memory("memory", text))
                .transpose()?,
            containers: containers.map(read_container).collect::<Result<_, _>>()?,
            required_attributes: self.required_attributes(),
            placement_constraints: read_constraints(&self.placement_constraints)?,
        })
    }

    fn operating_system(&self) -> OperatingSystem {
        let family = self
            .runtime_platform
            .as_ref()
            .and_then(|it| it.operating_system_family.as_deref());
        if family.is_some_and(|family| family.to_ascii_uppercase().starts_with("WINDOWS")) {
            OperatingSystem::Windows
        } else {
            OperatingSystem::Linux
        }
    }

    /// What ECS listed, and what the runtime platform says: an arm64 image does not run on an x86_64 instance,
    /// whether ECS lists that or not.
    fn required_attributes(&self) -> Vec<RequiredAttribute> {
        let listed = self.requires_attributes.iter();
        let mut required: Vec<RequiredAttribute> = listed
            .map(|it| RequiredAttribute {
                name: it.name.clone(),
                value: it.value.clone(),
            })
            .collect();
        let Some(platform) = &self.runtime_platform else {
            return required;
        };
        let system = match self.operating_system() {
            OperatingSystem::Linux => "linux",
            OperatingSystem::Windows => "windows",
        };
        let family = platform
            .operating_system_family
            .as_ref()
            .map(|_| ("ecs.os-type", system.to_owned()));
        let architecture = platform.cpu_architecture.as_ref();
        let architecture = architecture.map(|it| ("ecs.cpu-architecture", it.to_ascii_lowercase()));
        for (name, value) in [family, architecture].into_iter().flatten() {
            if !required.iter().any(|listed| listed.name == name) {
                required.push(RequiredAttribute {
                    name: name.to_owned(),
                    value: Some(value),
                });
            }
        }
        required
    }
}

fn read_status(status: Option<&str>) -> Result<TaskDefinitionStatus, FieldError> {
    match status {
        None | Some("ACTIVE") => Ok(TaskDefinitionStatus::Active),
        Some("INACTIVE") => Ok(TaskDefinitionStatus::Inactive),
        Some("DELETE_IN_PROGRESS") => Ok(TaskDefinitionStatus::DeleteInProgress),
        Some(other) => Err(FieldError::new(
            "status",
            other,
            "`ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`",
        )),
    }
}

fn read_network_mode(mode: Option<&str>) -> Result<NetworkMode, FieldError> {
    match mode {
        // Windows calls its NAT network `default`, and it is what absence means there.
        None | Some("bridge" | "default") => Ok(NetworkMode::Bridge),
        Some("host") => Ok(NetworkMode::Host),
        Some("awsvpc") => Ok(NetworkMode::Awsvpc),
        Some("none") => Ok(NetworkMode::None),
        Some(other) => Err(FieldError::new(
            "networkMode",
            other,
            "`bridge`, `host`, `awsvpc`, `none` or `default`",
        )),
    }
}

fn read_container((position, container): (usize, &ContainerDefinition)) -> Result<Container, FieldError> {
    let field = |name: &str| format!("containerDefinitions[{position}].{name}");
    let count =
        |name: &str, number: Option<i64>| number.map(|number| read_count(&field(name), number)).transpose();
    let mappings = container.port_mappings.iter();
    Ok(Container {
        name: container.name.clone().unwrap_or_default(),
        cpu: count("cpu", container.cpu)?.map(CpuUnits::new),
        memory: count("memory", container.memory)?.map(MemoryMib::new),
        memory_reservation: count("memoryReservation", container.memory_reservation)?.map(MemoryMib::new),
        gpu: read_gpu(&field("resourceRequirements"), &container.resource_requirements)?.unwrap_or_default(),
        port_mappings: mappings
            .map(|mapping| read_mapping(&field("portMappings"), mapping))
            .collect::<Result<_, _>>()?,
    })
}

fn read_mapping(field: &str, mapping: &PortMapping) -> Result<demand::PortMapping, FieldError> {
    let port = |name: &str, number: Option<i64>| {
        number
            .map(|number| read_port(&format!("{field}.{name}"), number))
            .transpose()
    };
    let protocol = mapping.protocol.as_deref().map(str::to_ascii_lowercase);
    Ok(demand::PortMapping {
        container_port: port("containerPort", mapping.container_port)?,
        host_port: port("hostPort", mapping.host_port)?,
        protocol: match protocol.as_deref() {
            None | Some("tcp") => demand::Protocol::Tcp,
            Some("udp") => demand::Protocol::Udp,
            Some(other) => {
                return Err(FieldError::new(
                    format!("{field}.protocol"),
                    other,
                    "`tcp` or `udp`",
                ));
            }
        },
    })
}

/// The GPUs of a container; `None` when nothing is said about them.
fn read_gpu(field: &str, requirements: &[ResourceRequirement]) -> Result<Option<GpuRequest>, FieldError> {
    let mut gpu = None;
    for requirement in requirements {
        let (kind, value) = (
            requirement.kind.as_deref(),
            requirement.value.as_deref().unwrap_or_default(),
        );
        if kind != Some("GPU") {
            let field = format!("{field}.type");
            return Err(FieldError::new(
                field,
                kind.unwrap_or_default(),
                "`GPU`, the only supported type",
            ));
        }
        if let Some(sharing) = &requirement.sharing_strategy {
            let field = format!("{field}.sharingStrategy");
            return Err(FieldError::new(
                field,
                sharing,
                "no sharing strategy, only whole GPUs are supported",
            ));
        }
        gpu = Some(read_gpu_count(field, value)?);
    }
    Ok(gpu)
}

fn read_gpu_count(field: &str, value: &str) -> Result<GpuRequest, FieldError> {
    if value == "ALL" {
        return Ok(GpuRequest::All);
    }
    let number = value
        .parse::<u16>()
        .ok()
        .filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
    let devices = number.map(|number| GpuRequest::Devices(GpuCount::new(u32::from(number))));
    devices.ok_or_else(|| FieldError::new(format!("{field}.value"), value, "a number of GPUs such as `1`"))
}

fn read_constraints(constraints: &[PlacementConstraint]) -> Result<Vec<String>, FieldError> {
    let read = |constraint: &PlacementConstraint| match (constraint.kind.as_deref(), &constraint.expression) {
        (Some("memberOf"), Some(expression)) => Ok(expression.clone()),
        (Some("memberOf"), None) => Err(FieldError::new(
            "placementConstraints.expression",
            "",
            "an expression for `memberOf`",
        )),
        (kind, _) => {
            let kind = kind.unwrap_or_default();
            Err(FieldError::new(
                "placementConstraints.type",
                kind,
                "`memberOf`, the only type in task definitions",
            ))
        }
    };
    constraints.iter().map(read).collect()
}

impl TaskOverrides {
    /// What changes a task's demand.
    ///
    /// # Errors
    /// When an amount is not one, or a GPU requirement cannot be accounted for.
    pub fn read(&self) -> Result<Overrides, FieldError> {
        let containers = self
            .container_overrides
            .iter()
            .enumerate()
            .map(|(position, given)| {
                let field = |name: &str| format!("overrides.containerOverrides[{position}].{name}");
                let count = |name: &str, number: Option<i32>| {
                    number
                        .map(|number| read_count(&field(name), i64::from(number)))
                        .transpose()
                };
                let Some(name) = given.name.clone() else {
                    return Err(FieldError::new(field("name"), "", "the name of a container"));
                };
                let requirements = given.resource_requirements.iter().map(|it| ResourceRequirement {
                    value: Some(it.value.clone()),
                    kind: Some(it.kind.clone()),
                    sharing_strategy: None,
                });
                Ok(ContainerOverride {
                    name,
                    cpu: count("cpu", given.cpu)?.map(CpuUnits::new),
                    memory: count("memory", given.memory)?.map(MemoryMib::new),
                    memory_reservation: count("memoryReservation", given.memory_reservation)?
                        .map(MemoryMib::new),
                    gpu: read_gpu(&field("resourceRequirements"), &requirements.collect::<Vec<_>>())?,
                })
            });
        Ok(Overrides {
            cpu: self
                .cpu
                .as_deref()
                .map(|text| read_cpu("overrides.cpu", text))
                .transpose()?,
            memory: self
                .memory
                .as_deref()
                .map(|text| read_memory("overrides.memory", text))
                .transpose()?,
            containers: containers.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
