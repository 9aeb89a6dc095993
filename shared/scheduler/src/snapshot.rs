//! The view of a cluster that a decision starts from.

use std::sync::Arc;

use crate::attributes::AttributeSet;
use crate::constraint::expression::{AttributeLookup, ExpressionSubject};
use crate::instance::InstanceRecord;
use crate::report::AgentConnection;
use crate::subnet::SubnetZones;
use crate::timestamp::Timestamp;

/// One container instance with its attributes.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// The capacity record.
    pub record: Arc<InstanceRecord>,
    /// The attributes.
    pub attributes: Arc<AttributeSet>,
}

/// The instances of a cluster, in the order of their ARNs.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    instances: Vec<InstanceView>,
    subnet_zones: Arc<SubnetZones>,
}

impl Snapshot {
    /// A snapshot of these instances, whatever order they come in.
    pub fn new(mut instances: Vec<InstanceView>) -> Self {
        instances.sort_by(|one, other| one.record.arn().cmp(other.record.arn()));
        Self {
            instances,
            subnet_zones: Arc::default(),
        }
    }

    /// The same, with the zones of subnets that its instances may not tell.
    #[must_use]
    pub fn with_subnet_zones(self, subnet_zones: Arc<SubnetZones>) -> Self {
        Self { subnet_zones, ..self }
    }

    /// The zones of subnets that were told; the instances know more.
    pub fn subnet_zones(&self) -> &SubnetZones {
        &self.subnet_zones
    }

    /// The instances, in the order of their ARNs.
    pub fn instances(&self) -> &[InstanceView] {
        &self.instances
    }
}

impl ExpressionSubject for InstanceView {
    fn attribute(&self, name: &str) -> AttributeLookup<'_> {
        match self.attributes.get(name) {
            None => AttributeLookup::Missing,
            Some(None) => AttributeLookup::WithoutValue,
            Some(Some(value)) => AttributeLookup::Value(value),
        }
    }

    fn agent_connected(&self) -> bool {
        self.record.state().agent == AgentConnection::Connected
    }

    fn agent_version(&self) -> Option<&str> {
        self.record.state().agent_version.as_deref()
    }

    fn ec2_instance_id(&self) -> Option<&str> {
        self.record.state().ec2_instance_id.as_ref().map(|id| id.as_str())
    }

    fn registered_at_millis(&self) -> Option<i64> {
        self.record.state().registered_at.map(Timestamp::as_millis)
    }

    /// What ECS reported, and our own tasks that the report does not know yet: an expression such as
    /// `runningTasksCount < 3` must not change its mind between a placement and its report.
    fn running_tasks_count(&self) -> u32 {
        self.record.running_tasks_count()
    }

    fn for_each_task_group(&self, visit: &mut dyn FnMut(&str)) {
        for group in self.record.task_groups() {
            visit(group.as_str());
        }
    }
}
