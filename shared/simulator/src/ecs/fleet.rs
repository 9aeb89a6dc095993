//! What happens to container instances: they register, drain, lose their agents, get attributes, and go.

use std::sync::Arc;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn};
use berth_scheduler::report::{AgentConnection, InstanceStatus};

use super::SimulatedEcs;
use super::error::{EcsError, EcsErrorKind};
use super::instance::{Host, Instance, Registration};
use super::task::StopCause;

/// Most custom attributes of an instance.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAttributes.html>
pub const CUSTOM_ATTRIBUTES_MAX: usize = 10;

/// Whether an instance with running tasks may be deregistered; its tasks are then lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deregistration {
    /// Only without tasks.
    WhenEmpty,
    /// In any case.
    Forced,
}

impl SimulatedEcs {
    /// Registers an instance; its agent is connected.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn register_instance(
        &mut self,
        cluster: &ClusterName,
        registration: Registration,
    ) -> Result<ContainerInstanceArn, EcsError> {
        self.cluster(cluster)?;
        let id = self.next_id();
        let arn = self.settings.arn(&format!("container-instance/{cluster}/{id}"));
        let arn = ContainerInstanceArn::parse(&arn).map_err(|error| EcsError::invalid(error.to_string()))?;
        let now = self.now;
        self.learn_subnet_zone(&registration.attributes);
        let entry = self.cluster_mut(cluster)?;
        if let Some(ec2_instance_id) = registration.ec2_instance_id.clone() {
            entry.by_ec2_id.insert(ec2_instance_id, arn.clone());
        }
        let mut instance = Instance::new(arn.clone(), registration, now);
        // Inserted without an agent, so that connecting it puts the instance into the index.
        instance.agent = AgentConnection::Disconnected;
        entry.instances.insert(arn.clone(), instance);
        entry.change_instance(&arn, |instance| instance.agent = AgentConnection::Connected);
        self.tell_instance(cluster, &arn);
        Ok(arn)
    }

    /// An agent that starts again registers its instance again, under the ARN that it remembers. Registered
    /// amounts stay as they are.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn register_again(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        registration: &Registration,
    ) -> Result<(), EcsError> {
        self.known(cluster, arn)?;
        let versions = registration.versions.clone();
        let attributes = registration.attributes.clone();
        self.learn_subnet_zone(&attributes);
        self.cluster_mut(cluster)?.change_instance(arn, |instance| {
            instance.versions = versions;
            instance.set_attributes(attributes);
        });
        self.set_agent(cluster, arn, AgentConnection::Connected)
    }

    /// Makes an instance DRAINING, or ACTIVE again. Its tasks stay.
    ///
    /// # Errors
    /// When there is no such instance, or the status is neither.
    pub fn set_instance_status(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        status: InstanceStatus,
    ) -> Result<(), EcsError> {
        if !matches!(status, InstanceStatus::Active | InstanceStatus::Draining) {
            return Err(EcsError::invalid("status: give `ACTIVE` or `DRAINING`"));
        }
        if self.known(cluster, arn)?.status == InstanceStatus::Inactive {
            return Err(EcsError::invalid("The container instance is inactive."));
        }
        if self.known(cluster, arn)?.status != status {
            self.change(cluster, arn, |instance| instance.status = status);
        }
        Ok(())
    }

    /// Connects or disconnects an agent. What it could not report meanwhile it reports when it is back.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn set_agent(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        agent: AgentConnection,
    ) -> Result<(), EcsError> {
        let instance = self.known(cluster, arn)?;
        let gone = instance.host == Host::Gone || instance.status == InstanceStatus::Inactive;
        if agent == AgentConnection::Connected && gone {
            return Err(EcsError::invalid("The container instance has gone."));
        }
        if instance.agent == agent {
            return Ok(());
        }
        self.change(cluster, arn, |instance| instance.agent = agent);
        if agent == AgentConnection::Connected {
            let entry = self.cluster_mut(cluster)?.instances.get_mut(arn);
            let unreported = entry.map(|instance| std::mem::take(&mut instance.unreported));
            for number in unreported.unwrap_or_default() {
                self.take_step(number);
            }
            self.start_queued(cluster, arn);
        }
        Ok(())
    }

    /// Terminates the virtual machine. With a connected agent ECS deregisters the instance and its tasks stop;
    /// without, ECS does not learn of it, and the instance stays listed as ACTIVE.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeregisterContainerInstance.html>
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn terminate_instance(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
    ) -> Result<(), EcsError> {
        let instance = self.known(cluster, arn)?;
        let host = instance
            .ec2_instance_id
            .as_ref()
            .map_or("unknown", |id| id.as_str());
        let reason = format!("Host EC2 (instance {host}) terminated.");
        let connected = instance.agent == AgentConnection::Connected;
        if let Some(instance) = self.cluster_mut(cluster)?.instances.get_mut(arn) {
            instance.host = Host::Gone;
        }
        if connected {
            self.remove_instance(cluster, arn, &reason);
        }
        Ok(())
    }

    /// Deregisters an instance.
    ///
    /// # Errors
    /// When there is no such instance, or it has tasks and is not forced.
    pub fn deregister_instance(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        mode: Deregistration,
    ) -> Result<(), EcsError> {
        let instance = self.known(cluster, arn)?;
        if instance.status == InstanceStatus::Inactive {
            return Ok(());
        }
        if mode == Deregistration::WhenEmpty && !instance.tasks.is_empty() {
            return Err(EcsError::invalid("Found running tasks on the instance."));
        }
        self.remove_instance(cluster, arn, "Container instance deregistration forced by user");
        Ok(())
    }

    /// Sets attributes of an instance, all or none. ECS sends no event for that, nor does the version rise.
    ///
    /// # Errors
    /// When there is no such instance, or it would get too many attributes of its own.
    pub fn put_attributes(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        changes: &[(String, Option<String>)],
    ) -> Result<(), EcsError> {
        let mut attributes = AttributeSet::clone(&self.known(cluster, arn)?.attributes);
        for (name, value) in changes {
            attributes.insert(name.clone(), value.clone());
        }
        self.replace_attributes(cluster, arn, attributes)
    }

    /// Takes attributes off an instance, if it has them; like [`SimulatedEcs::put_attributes`] otherwise.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn delete_attributes(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        names: &[String],
    ) -> Result<(), EcsError> {
        let attributes = Arc::clone(&self.known(cluster, arn)?.attributes);
        let kept = attributes
            .iter()
            .filter(|(name, _)| !names.iter().any(|gone| gone == name));
        self.replace_attributes(cluster, arn, kept.collect())
    }

    fn replace_attributes(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        attributes: AttributeSet,
    ) -> Result<(), EcsError> {
        if attributes.iter().filter(|(name, _)| is_custom(name)).count() > CUSTOM_ATTRIBUTES_MAX {
            let message = format!("an instance has at most {CUSTOM_ATTRIBUTES_MAX} custom attributes");
            return Err(EcsError::new(EcsErrorKind::AttributeLimitExceeded, message));
        }
        self.learn_subnet_zone(&attributes);
        let entry = self.cluster_mut(cluster)?;
        entry.change_instance(arn, |instance| instance.set_attributes(attributes));
        Ok(())
    }

    fn remove_instance(&mut self, cluster: &ClusterName, arn: &ContainerInstanceArn, reason: &str) {
        let instance = self
            .clusters
            .get(cluster)
            .and_then(|cluster| cluster.instances.get(arn));
        let tasks: Vec<_> = instance
            .map(|instance| instance.tasks.iter().copied().collect())
            .unwrap_or_default();
        for number in tasks {
            let cause = StopCause {
                code: "TerminationNotice",
                reason: reason.to_owned(),
                exit_code: None,
                container_reason: None,
            };
            self.stop_at_once(number, cause);
        }
        self.change(cluster, arn, |instance| {
            instance.status = InstanceStatus::Inactive;
            instance.agent = AgentConnection::Disconnected;
        });
    }

    /// Changes an instance, which is a new version of it and an event.
    fn change(
        &mut self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
        change: impl FnOnce(&mut Instance),
    ) {
        if let Some(entry) = self.clusters.get_mut(cluster) {
            entry.change_instance(arn, |instance| {
                change(instance);
                instance.version = instance.version.next();
                instance.touch();
            });
        }
        self.tell_instance(cluster, arn);
    }

    fn known(&self, cluster: &ClusterName, arn: &ContainerInstanceArn) -> Result<&Instance, EcsError> {
        let instance = self.cluster(cluster)?.instances.get(arn);
        instance.ok_or_else(|| EcsError::invalid("Referenced container instance not found."))
    }
}

/// Whether an attribute is the user's own and not one of ECS's.
pub(crate) fn is_custom(name: &str) -> bool {
    !name.starts_with("ecs.") && !name.starts_with("com.amazonaws.ecs.")
}
