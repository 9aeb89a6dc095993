//! What one task of a task definition takes from its instance, as ECS counts it when it places the task.
//!
//! Actual use never counts, only what the task definition and the overrides of RunTask declare:
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>

use crate::attributes::RequiredAttribute;
use crate::id::TaskDefinitionArn;
use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use crate::resources::{Demand, HostPorts};

mod amount;

pub use amount::{FieldError, read_count, read_cpu, read_memory, read_port};

/// What placement needs of a task definition's revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDefinition {
    /// The revision; the family is part of it.
    pub arn: TaskDefinitionArn,
    /// Whether new tasks may use it.
    pub status: TaskDefinitionStatus,
    /// Decides whether the task's own CPU and memory count.
    pub operating_system: OperatingSystem,
    /// How its containers use the instance's network.
    pub network_mode: NetworkMode,
    /// CPU units of the whole task.
    pub cpu: Option<CpuUnits>,
    /// Memory of the whole task.
    pub memory: Option<MemoryMib>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Attributes its features need, as ECS computed them.
    pub required_attributes: Vec<RequiredAttribute>,
    /// Its `memberOf` expressions, not parsed.
    pub placement_constraints: Vec<String>,
}

/// Whether a revision can be used.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deregister-task-definition-v2.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskDefinitionStatus {
    /// It can.
    Active,
    /// It was deregistered; no new task can use it.
    Inactive,
    /// It is being deleted.
    DeleteInProgress,
}

/// The operating system of a task's containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperatingSystem {
    /// Linux.
    #[default]
    Linux,
    /// Windows: CPU and memory of the task itself are ignored there, only its containers' count.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html>
    Windows,
}

/// How a task's containers use the instance's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// Through the host's bridge (on Windows its NAT); host ports are those that the mappings name.
    #[default]
    Bridge,
    /// Directly: each container port is a host port.
    Host,
    /// Through a network interface of the task's own.
    Awsvpc,
    /// Not at all.
    None,
}

/// What placement needs of a container definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name, unique in its task definition.
    pub name: String,
    /// CPU units.
    pub cpu: Option<CpuUnits>,
    /// The limit at which it is killed; counts when nothing is reserved.
    pub memory: Option<MemoryMib>,
    /// What is reserved for it; counts when given.
    pub memory_reservation: Option<MemoryMib>,
    /// The GPUs it has for itself.
    pub gpu: GpuRequest,
    /// Its ports.
    pub port_mappings: Vec<PortMapping>,
}

/// How many GPUs a container asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuRequest {
    /// So many whole devices.
    Devices(GpuCount),
    /// All devices of the instance. Instances differ, so this is no demand that could be compared.
    All,
}

impl Default for GpuRequest {
    fn default() -> Self {
        Self::Devices(GpuCount::ZERO)
    }
}

/// One port of a container. Ranges of ports are mapped dynamically and reserve nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// The container's port.
    pub container_port: Option<u16>,
    /// The host's port; 0 and `None` let Docker choose one in bridge mode.
    pub host_port: Option<u16>,
    /// The protocol.
    pub protocol: Protocol,
}

/// A port's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, unless said otherwise.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// The overrides of RunTask that change what a task takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// CPU units of the whole task.
    pub cpu: Option<CpuUnits>,
    /// Memory of the whole task.
    pub memory: Option<MemoryMib>,
    /// Overrides by container.
    pub containers: Vec<ContainerOverride>,
}

/// The overrides of one container that change what its task takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerOverride {
    /// The container's name.
    pub name: String,
    /// CPU units.
    pub cpu: Option<CpuUnits>,
    /// The limit at which it is killed.
    pub memory: Option<MemoryMib>,
    /// What is reserved for it.
    pub memory_reservation: Option<MemoryMib>,
    /// The GPUs it has for itself.
    pub gpu: Option<GpuRequest>,
}

/// Why a task's demand cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DemandError {
    /// The overrides name a container that the task definition does not have.
    UnknownContainer {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The overrides name a container twice.
    RepeatedContainer {
        /// The name.
        name: String,
    },
    /// A container asks for all GPUs of its instance.
    AllGpus {
        /// The container.
        container: String,
    },
    /// The containers' amounts add up to more than any number of ECS's.
    TooLarge {
        /// What was added up.
        amount: &'static str,
    },
}

impl std::fmt::Display for DemandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownContainer { name, known } => write!(
                f,
                "container override `{name}`: the task definition has no such container, only `{}`",
                known.join("`, `")
            ),
            Self::RepeatedContainer { name } => {
                write!(
                    f,
                    "container override `{name}`: named twice, give each container one override"
                )
            }
            Self::AllGpus { container } => write!(
                f,
                "container `{container}`: a GPU requirement of `ALL` is not supported, give a number of GPUs"
            ),
            Self::TooLarge { amount } => {
                write!(
                    f,
                    "{amount}: the containers' amounts add up to more than {}",
                    i32::MAX
                )
            }
        }
    }
}

impl std::error::Error for DemandError {}

/// What one task takes.
///
/// # Errors
/// When the overrides do not belong to the task definition, or the amounts make no sense.
///
/// ```
/// use berth_scheduler::demand::{Container, Overrides, TaskDefinition, demand};
/// # use berth_scheduler::demand::*;
/// # use berth_scheduler::id::TaskDefinitionArn;
/// use berth_scheduler::quantity::MemoryMib;
///
/// # let arn = TaskDefinitionArn::parse("arn:aws:ecs:us-east-1:123456789012:task-definition/etl:1").unwrap();
/// let main = Container {
///     name: "main".to_owned(),
///     memory: Some(MemoryMib::new(512)),
///     memory_reservation: Some(MemoryMib::new(128)),
///     ..Container::default()
/// };
/// let definition = TaskDefinition {
///     containers: vec![main],
///     // ...
/// #   arn, status: TaskDefinitionStatus::Active, operating_system: OperatingSystem::Linux,
/// #   network_mode: NetworkMode::Bridge, cpu: None, memory: None,
/// #   required_attributes: vec![], placement_constraints: vec![],
/// };
/// assert_eq!(demand(&definition, &Overrides::default())?.memory, MemoryMib::new(128));
/// # Ok::<(), DemandError>(())
/// ```
pub fn demand(definition: &TaskDefinition, overrides: &Overrides) -> Result<Demand, DemandError> {
    check_names(definition, overrides)?;
    let mut cpu = Sum::of("cpu");
    let mut memory = Sum::of("memory");
    let mut gpu = Sum::of("gpu");
    for container in &definition.containers {
        let given = overrides
            .containers
            .iter()
            .find(|given| given.name == container.name);
        let given = given.cloned().unwrap_or_default();
        cpu.add(given.cpu.or(container.cpu).map_or(0, CpuUnits::get))?;
        let limit = given.memory.or(container.memory);
        let reserved = given.memory_reservation.or(container.memory_reservation);
        let reserved = reserved.filter(|reserved| *reserved != MemoryMib::ZERO);
        memory.add(reserved.or(limit).map_or(0, MemoryMib::get))?;
        match given.gpu.unwrap_or(container.gpu) {
            GpuRequest::Devices(devices) => gpu.add(devices.get())?,
            GpuRequest::All => {
                return Err(DemandError::AllGpus {
                    container: container.name.clone(),
                });
            }
        }
    }
    let (task_cpu, task_memory) = match definition.operating_system {
        OperatingSystem::Linux => (
            overrides.cpu.or(definition.cpu),
            overrides.memory.or(definition.memory),
        ),
        OperatingSystem::Windows => (None, None),
    };
    Ok(Demand {
        cpu: task_cpu.unwrap_or(CpuUnits::new(cpu.total)),
        memory: task_memory.unwrap_or(MemoryMib::new(memory.total)),
        gpu: GpuCount::new(gpu.total),
        eni: EniCount::new(u32::from(definition.network_mode == NetworkMode::Awsvpc)),
        ports: host_ports(definition),
    })
}

fn check_names(definition: &TaskDefinition, overrides: &Overrides) -> Result<(), DemandError> {
    for (position, given) in overrides.containers.iter().enumerate() {
        let name = given.name.clone();
        if !definition
            .containers
            .iter()
            .any(|container| container.name == name)
        {
            let known = definition
                .containers
                .iter()
                .map(|container| container.name.clone())
                .collect();
            return Err(DemandError::UnknownContainer { name, known });
        }
        if overrides
            .containers
            .iter()
            .take(position)
            .any(|earlier| earlier.name == name)
        {
            return Err(DemandError::RepeatedContainer { name });
        }
    }
    Ok(())
}

/// The host ports that are the task's alone.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
fn host_ports(definition: &TaskDefinition) -> HostPorts {
    let mappings = || {
        definition
            .containers
            .iter()
            .flat_map(|container| &container.port_mappings)
    };
    let named = |port: Option<u16>| port.filter(|port| *port != 0);
    let host_port = |mapping: &PortMapping| match definition.network_mode {
        NetworkMode::Bridge => named(mapping.host_port),
        // A blank host port is the container's port, there is no other network it could be on.
        NetworkMode::Host => named(mapping.host_port).or(named(mapping.container_port)),
        NetworkMode::Awsvpc | NetworkMode::None => None,
    };
    let of = |protocol| {
        mappings()
            .filter(move |mapping| mapping.protocol == protocol)
            .filter_map(host_port)
    };
    HostPorts {
        tcp: of(Protocol::Tcp).collect(),
        udp: of(Protocol::Udp).collect(),
    }
}

/// A sum that stays within the integers of ECS's API.
struct Sum {
    amount: &'static str,
    total: u32,
}

impl Sum {
    fn of(amount: &'static str) -> Self {
        Self { amount, total: 0 }
    }

    fn add(&mut self, amount: u32) -> Result<(), DemandError> {
        let total = self
            .total
            .checked_add(amount)
            .filter(|total| *total <= i32::MAX.unsigned_abs());
        self.total = total.ok_or(DemandError::TooLarge { amount: self.amount })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
