//! Questions about instances and tasks.

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId, TaskArn};
use berth_scheduler::report::{InstanceReport, TaskReport};

use super::SimulatedEcs;
use super::error::EcsError;
use super::instance::Instance;
use super::task::{Task, TaskNumber};

impl SimulatedEcs {
    /// What DescribeContainerInstances says about all instances that are registered, by ARN.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn describe_instances(&self, cluster: &ClusterName) -> Result<Vec<InstanceReport>, EcsError> {
        Ok(self
            .cluster(cluster)?
            .registered_instances()
            .map(Instance::described)
            .collect())
    }

    /// What DescribeContainerInstances says about one instance; `None` when ECS does not know it.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn describe_instance(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Option<InstanceReport>, EcsError> {
        Ok(self
            .cluster(cluster)?
            .instances
            .get(instance)
            .map(Instance::described))
    }

    /// The container instance on an EC2 instance.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn instance_of(
        &self,
        cluster: &ClusterName,
        ec2_instance: &Ec2InstanceId,
    ) -> Result<Option<ContainerInstanceArn>, EcsError> {
        Ok(self.cluster(cluster)?.by_ec2_id.get(ec2_instance).cloned())
    }

    /// Whether an instance satisfies an expression of the cluster query language.
    pub(crate) fn matches(&self, instance: &Instance, filter: &Expression) -> bool {
        filter.matches(&instance.view(&self.tasks))
    }

    /// What DescribeTasks says about one task; `None` when ECS does not know it, or not any more.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn describe_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
    ) -> Result<Option<TaskReport>, EcsError> {
        self.cluster(cluster)?;
        let number = self.task_numbers.get(task);
        let task = number
            .and_then(|number| self.tasks.get(number))
            .filter(|task| task.cluster == *cluster);
        Ok(task.map(Task::report))
    }

    /// What DescribeTasks says about every task of a cluster that is still known, oldest first.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn describe_tasks(&self, cluster: &ClusterName) -> Result<Vec<TaskReport>, EcsError> {
        let numbers = self.cluster(cluster)?.tasks.iter();
        Ok(numbers
            .filter_map(|number| self.tasks.get(number))
            .map(Task::report)
            .collect())
    }

    /// The tasks that were started by this name, stopped ones that are still known included.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn tasks_started_by(&self, cluster: &ClusterName, started_by: &str) -> Result<Vec<&Task>, EcsError> {
        let numbers = self
            .cluster(cluster)?
            .by_started_by
            .get(started_by)
            .into_iter()
            .flatten();
        Ok(numbers.filter_map(|number| self.tasks.get(number)).collect())
    }

    /// The tasks of a cluster, stopped ones that are still known included, oldest first.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub(crate) fn tasks_of(&self, cluster: &ClusterName) -> Result<impl Iterator<Item = &Task>, EcsError> {
        let numbers = self.cluster(cluster)?.tasks.iter();
        Ok(numbers.filter_map(|number| self.tasks.get(number)))
    }

    /// A task by its ARN, or by the id at the end of it.
    pub(crate) fn find_task(
        &self,
        cluster: &ClusterName,
        name: &str,
    ) -> Result<Option<TaskNumber>, EcsError> {
        let entry = self.cluster(cluster)?;
        let arn = if name.starts_with("arn:") {
            name.to_owned()
        } else {
            self.settings.arn(&format!("task/{cluster}/{name}"))
        };
        let number = TaskArn::parse(&arn)
            .ok()
            .and_then(|arn| self.task_numbers.get(&arn).copied());
        Ok(number.filter(|number| entry.tasks.contains(number)))
    }

    /// The ARN that an instance of this name would have.
    pub(crate) fn instance_arn_text(&self, cluster: &ClusterName, name: &str) -> String {
        if name.starts_with("arn:") {
            name.to_owned()
        } else {
            self.settings.arn(&format!("container-instance/{cluster}/{name}"))
        }
    }
}
