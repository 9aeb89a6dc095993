//! A small language for clusters: a test says of an instance only what matters to it.

use std::sync::Arc;

use crate::attributes::AttributeSet;
use crate::constraint::expression::Expression;
use crate::id::{ContainerInstanceArn, Ec2InstanceId, ReportVersion, SubnetId, TaskArn, TaskGroup};
use crate::instance::{InstanceRecord, InstanceState, Observed, Remaining, observe};
use crate::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use crate::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use crate::reservation::{OtherTask, TaskStage};
use crate::resources::{Demand, HostPorts, PortSet, Resources};
use crate::shape::{Constraint, Shape};
use crate::snapshot::{InstanceView, Snapshot};

/// An instance in the making: ACTIVE, connected, with 4 vCPU and 8 GiB, all free.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    state: InstanceState,
    attributes: AttributeSet,
}

pub(super) fn arn(id: &str) -> ContainerInstanceArn {
    ContainerInstanceArn::parse(&format!(
        "arn:aws:ecs:us-east-1:123456789000:container-instance/{id}"
    ))
    .unwrap()
}

pub(super) fn instance(id: &str) -> Maker {
    let resources = Resources {
        cpu: CpuUnits::new(4096),
        memory: MemoryMib::new(8192),
        ..Resources::default()
    };
    let report = InstanceReport {
        instance: arn(id),
        ec2_instance_id: Ec2InstanceId::parse(&format!("i-{id}")).ok(),
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: Some("1.86.2".to_owned()),
        version: ReportVersion::new(1),
        updated_at: None,
        registered_at: None,
        registered: resources.clone(),
        remaining: resources,
        running_tasks: 0,
        attributes: None,
        source: ReportSource::Event,
    };
    match observe(None, &report) {
        Observed::Updated(record) => Maker {
            state: record.state().clone(),
            attributes: AttributeSet::default(),
        },
        other => panic!("{other:?}"),
    }
}

/// What remains by the report, which the tests set as they like.
fn reported(state: &mut InstanceState) -> &mut Resources {
    if let Remaining::Besides(_) = state.remaining {
        state.remaining = Remaining::reported(state.registered.clone());
    }
    match &mut state.remaining {
        Remaining::Reported(reported) => &mut reported.remaining,
        Remaining::Besides(_) => panic!("it was just set"),
    }
}

impl Maker {
    pub(super) fn with(mut self, change: impl FnOnce(&mut InstanceState)) -> Self {
        change(&mut self.state);
        self
    }

    pub(super) fn cpu(self, free: u32) -> Self {
        self.with(|state| reported(state).cpu = CpuUnits::new(free))
    }

    pub(super) fn memory(self, free: u32) -> Self {
        self.with(|state| reported(state).memory = MemoryMib::new(free))
    }

    pub(super) fn gpu(self, count: u32) -> Self {
        self.with(|state| {
            state.registered.gpu = GpuCount::new(count);
            reported(state).gpu = GpuCount::new(count);
        })
    }

    pub(super) fn eni_limit(self, tasks: u32) -> Self {
        self.with(|state| state.eni_limit = Some(EniCount::new(tasks)))
    }

    pub(super) fn ports_taken(self, ports: &[u16]) -> Self {
        self.with(|state| reported(state).ports_taken.tcp = ports.iter().copied().collect())
    }

    pub(super) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name, Some(value.to_owned()));
        self
    }

    pub(super) fn capability(mut self, name: &str) -> Self {
        self.attributes.insert(name, None);
        self
    }

    pub(super) fn zone(self, zone: &str) -> Self {
        self.attribute("ecs.availability-zone", zone)
    }

    pub(super) fn subnet(self, subnet: &str) -> Self {
        self.attribute("ecs.subnet-id", subnet)
    }

    pub(super) fn kind(self, instance_type: &str) -> Self {
        self.attribute("ecs.instance-type", instance_type)
    }

    /// Somebody else's task that runs here.
    pub(super) fn runs(self, group: &str) -> Self {
        self.hosts(group, TaskStage::Running)
    }

    /// Somebody else's task that is stopping here.
    pub(super) fn stops(self, group: &str) -> Self {
        self.hosts(group, TaskStage::Stopping)
    }

    fn hosts(self, name: &str, stage: TaskStage) -> Self {
        self.with(|state| {
            let id = format!("{}-{}", state.instance.id(), state.other_tasks.len());
            let task =
                TaskArn::parse(&format!("arn:aws:ecs:us-east-1:123456789000:task/default/{id}")).unwrap();
            let version = ReportVersion::new(1);
            let other = OtherTask {
                demand: Demand::default(),
                group: group(name),
                version,
                stage,
            };
            state.other_tasks.insert(task, other);
        })
    }

    pub(super) fn record(&self) -> InstanceRecord {
        let mut state = self.state.clone();
        state.attributes = self.attributes.fingerprint();
        InstanceRecord::from_state(state)
    }
}

pub(super) fn cluster(instances: impl IntoIterator<Item = Maker>) -> Snapshot {
    let views = instances.into_iter().map(|maker| InstanceView {
        record: Arc::new(maker.record()),
        attributes: Arc::new(maker.attributes),
    });
    Snapshot::new(views.collect())
}

pub(super) fn group(name: &str) -> TaskGroup {
    TaskGroup::parse(name).unwrap()
}

pub(super) fn demand(cpu: u32, memory: u32) -> Demand {
    Demand {
        cpu: CpuUnits::new(cpu),
        memory: MemoryMib::new(memory),
        ..Demand::default()
    }
}

/// A task of 0.25 vCPU and 512 MiB.
pub(super) fn task() -> Shape {
    Shape {
        demand: demand(256, 512),
        ..Shape::default()
    }
}

pub(super) fn tcp(ports: &[u16]) -> HostPorts {
    HostPorts {
        tcp: ports.iter().copied().collect(),
        udp: PortSet::EMPTY,
    }
}

/// Subnet ids, which are given sorted.
pub(super) fn subnets(ids: &[&str]) -> Vec<SubnetId> {
    ids.iter().map(|id| SubnetId::parse(id).unwrap()).collect()
}

pub(super) fn member_of(expression: &str) -> Constraint {
    Constraint::MemberOf(Expression::parse(expression).unwrap())
}
