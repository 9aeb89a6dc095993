//! The simulated ECS of a run, before its instances register.

use berth_scheduler::demand::{
    Container, GpuRequest, NetworkMode, OperatingSystem, PortMapping, Protocol, TaskDefinition,
    TaskDefinitionStatus,
};
use berth_scheduler::id::{ClusterName, TaskDefinitionArn};
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::timestamp::Timestamp;

use super::chaos::FOREIGN_FAMILIES;
use super::workload::{CONTAINER, Family, Workload};
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;
use crate::ecs::{EcsSettings, SimulatedEcs};

/// An ECS with the run's clusters and task definitions.
pub(super) fn simulated_ecs(workload: &Workload, clusters: &[ClusterName], began: Timestamp) -> SimulatedEcs {
    let settings = EcsSettings {
        start_ms: workload.start_ms,
        stop_ms: workload.stop_ms,
        ..EcsSettings::default()
    };
    let mut ecs = SimulatedEcs::new(settings, began);
    for cluster in clusters {
        ecs.create_cluster(cluster, Document::new());
    }
    let foreign = FOREIGN_FAMILIES.iter().map(|(name, memory_mib)| Family {
        name: (*name).to_owned(),
        memory_mib: *memory_mib,
        ..Workload::last_family()
    });
    let families = workload
        .families
        .iter()
        .cloned()
        .chain([Workload::last_family()])
        .chain(foreign);
    for family in families {
        // A family that cannot be registered shows in the run: its messages are refused.
        let _registered =
            ecs.register_task_definition(&family.name, Document::new(), |arn| definition(&arn, &family));
    }
    ecs
}

fn definition(arn: &str, family: &Family) -> Result<TaskDefinition, EcsError> {
    let port = |port| PortMapping {
        container_port: Some(80),
        host_port: Some(port),
        protocol: Protocol::Tcp,
    };
    let container = Container {
        name: CONTAINER.to_owned(),
        cpu: Some(CpuUnits::new(family.cpu)),
        memory: Some(MemoryMib::new(family.memory_mib)),
        gpu: GpuRequest::Devices(GpuCount::new(family.gpu)),
        port_mappings: family.port.map(port).into_iter().collect(),
        ..Container::default()
    };
    Ok(TaskDefinition {
        arn: TaskDefinitionArn::parse(arn).map_err(|error| EcsError::invalid(error.to_string()))?,
        status: TaskDefinitionStatus::Active,
        operating_system: OperatingSystem::Linux,
        network_mode: NetworkMode::Bridge,
        cpu: None,
        memory: None,
        containers: vec![container],
        required_attributes: Vec::new(),
        placement_constraints: Vec::new(),
    })
}
