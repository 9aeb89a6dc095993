//! ECS behind the network: a launch may also arrive after it was given up.

use berth_control::ports::{
    DescribedInstance, Inspector, LaunchCall, Launcher, PortError, StopAnswer, TaskDefinitionAnswer,
};
use berth_control::wire::submission::TaskDefinitionName;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, TaskArn};
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::report::TaskReport;

use super::super::agenda::Due;
use super::super::effect;
use super::super::fault::FaultKind;
use super::super::world::{Service, World};
use super::SoakPorts;

/// A call of RunTask that was given up arrives at most this much later, in milliseconds.
const LATE_LAUNCH_MS_MAX: u64 = 50_000;

impl Launcher for SoakPorts {
    async fn run_task(&self, call: &LaunchCall) -> LaunchOutcome {
        let world = &self.world;
        if world.hits(FaultKind::LateLaunch) {
            let late_ms = world.fault_number(FaultKind::LateLaunch, LATE_LAUNCH_MS_MAX);
            world.note(|| {
                format!(
                    "#{} RunTask for {} is given up, and late",
                    self.invocation.0,
                    call.attempt.started_by()
                )
            });
            world.plan_in(late_ms, Due::Launch(Box::new(call.clone())));
            self.travel().await;
            return LaunchOutcome::Unknown {
                message: "timed out".to_owned(),
            };
        }
        let invocation = self.invocation;
        let answer = self
            .call(Service::Ecs, "RunTask", |world| {
                Ok(effect::launch(world, Some(invocation), call))
            })
            .await;
        match answer {
            Ok(outcome) => outcome,
            Err(PortError::Throttled { .. }) => LaunchOutcome::Throttled,
            Err(error) => LaunchOutcome::Unknown {
                message: error.to_string(),
            },
        }
    }

    async fn stop_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<StopAnswer, PortError> {
        let stop = |world: &World| effect::at_once(world.ecs.stop_task(cluster, task, reason));
        self.call(Service::Ecs, "StopTask", stop).await
    }
}

impl Inspector for SoakPorts {
    async fn task_definition(&self, name: &TaskDefinitionName) -> Result<TaskDefinitionAnswer, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.task_definition(name));
        self.call(Service::Ecs, "DescribeTaskDefinition", ask).await
    }

    async fn list_instances(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Vec<ContainerInstanceArn>>, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.list_instances(cluster));
        self.call(Service::Ecs, "ListContainerInstances", ask).await
    }

    async fn describe_instances(
        &self,
        cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> Result<Vec<DescribedInstance>, PortError> {
        let ask = |world: &World| effect::describe_instances(world, cluster, instances);
        self.call(Service::Ecs, "DescribeContainerInstances", ask).await
    }

    async fn list_tasks(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Vec<TaskArn>, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.list_tasks(cluster, instance));
        self.call(Service::Ecs, "ListTasks", ask).await
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> Result<Vec<TaskReport>, PortError> {
        let ask = |world: &World| effect::describe_tasks(world, cluster, tasks);
        self.call(Service::Ecs, "DescribeTasks", ask).await
    }
}
