//! Demands and resources, as parts of stored records. What is zero or empty is left out.

use serde::{Deserialize, Serialize};

use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::resources::{Demand, HostPorts, Resources};

/// Host ports by protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PortsForm {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tcp: Vec<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    udp: Vec<u16>,
}

impl PortsForm {
    fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty()
    }
}

impl From<&HostPorts> for PortsForm {
    fn from(ports: &HostPorts) -> Self {
        Self {
            tcp: ports.tcp.iter().collect(),
            udp: ports.udp.iter().collect(),
        }
    }
}

impl From<PortsForm> for HostPorts {
    fn from(form: PortsForm) -> Self {
        Self {
            tcp: form.tcp.into_iter().collect(),
            udp: form.udp.into_iter().collect(),
        }
    }
}

/// What a task takes: CPU units, MiB, GPUs, network interfaces and host ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DemandForm {
    cpu: u32,
    memory: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    gpu: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    eni: u32,
    #[serde(default, skip_serializing_if = "PortsForm::is_empty")]
    ports: PortsForm,
}

impl From<&Demand> for DemandForm {
    fn from(demand: &Demand) -> Self {
        Self {
            cpu: demand.cpu.get(),
            memory: demand.memory.get(),
            gpu: demand.gpu.get(),
            eni: demand.eni.get(),
            ports: PortsForm::from(&demand.ports),
        }
    }
}

impl From<DemandForm> for Demand {
    fn from(form: DemandForm) -> Self {
        Self {
            cpu: CpuUnits::new(form.cpu),
            memory: MemoryMib::new(form.memory),
            gpu: GpuCount::new(form.gpu),
            eni: EniCount::new(form.eni),
            ports: form.ports.into(),
        }
    }
}

/// What an instance has: CPU units, MiB, GPUs, and the host ports that are taken. Only schema 1 of capacity records
/// has it in this form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourcesForm {
    cpu: u32,
    memory: u32,
    #[serde(default)]
    gpu: u32,
    #[serde(default)]
    ports_taken: PortsForm,
}

impl From<ResourcesForm> for Resources {
    fn from(form: ResourcesForm) -> Self {
        Self {
            cpu: CpuUnits::new(form.cpu),
            memory: MemoryMib::new(form.memory),
            gpu: GpuCount::new(form.gpu),
            ports_taken: form.ports_taken.into(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
