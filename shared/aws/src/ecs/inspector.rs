//! What ECS says is there.

use std::sync::PoisonError;

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::operation::list_container_instances::ListContainerInstancesError;
use aws_sdk_ecs::types::{ContainerInstanceField, DesiredStatus};
use berth_control::ports::{DescribedInstance, Inspector, PortError, TaskDefinitionAnswer};
use berth_control::wire::submission::TaskDefinitionName;
use berth_scheduler::demand::TaskDefinitionStatus;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, TaskArn};
use berth_scheduler::report::{ReportSource, TaskReport};

use super::describe::{instance_report, task_definition_of, task_report};
use super::{Ecs, SERVICE};
use crate::error::port_error;

/// Most instances or tasks that one Describe call takes.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeContainerInstances.html>
const DESCRIBED_AT_ONCE: usize = 100;

/// Most task definitions that a process remembers. A deployment has a few hundred revisions in use.
const DEFINITIONS_MAX: usize = 5_000;

/// The reason in the failures of a Describe call for what ECS does not know.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
const MISSING: &str = "MISSING";

impl Inspector for Ecs {
    async fn task_definition(&self, name: &TaskDefinitionName) -> Result<TaskDefinitionAnswer, PortError> {
        // A family alone stands for its newest revision, which changes.
        let remembered = name.revision().is_some();
        if remembered {
            let known = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = known.get(name.as_str()) {
                return Ok(answer.clone());
            }
        }
        let answer = self.describe_task_definition(name).await?;
        if remembered && matches!(answer, TaskDefinitionAnswer::Active(_)) {
            let mut known = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= DEFINITIONS_MAX {
                known.clear();
            }
            known.insert(name.as_str().to_owned(), answer.clone());
        }
        Ok(answer)
    }

    async fn list_instances(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Vec<ContainerInstanceArn>>, PortError> {
        let mut arns = Vec::new();
        let mut pages = self
            .asking
            .list_container_instances()
            .cluster(cluster.as_str())
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => arns.extend(
                    page.container_instance_arns()
                        .iter()
                        .map(|arn| parsed_instance(arn)),
                ),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(ListContainerInstancesError::is_cluster_not_found_exception) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(port_error(SERVICE, "ListContainerInstances", &error)),
            }
        }
        Ok(Some(arns.into_iter().collect::<Result<_, _>>()?))
    }

    async fn describe_instances(
        &self,
        cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> Result<Vec<DescribedInstance>, PortError> {
        let mut described = Vec::with_capacity(instances.len());
        for batch in instances.chunks(DESCRIBED_AT_ONCE) {
            self.describe_instance_batch(cluster, batch, &mut described)
                .await?;
        }
        Ok(described)
    }

    async fn list_tasks(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Vec<TaskArn>, PortError> {
        let mut arns = Vec::new();
        // Without a status, only tasks that are meant to run are listed.
        for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let request = self.asking.list_tasks().cluster(cluster.as_str());
            let request = request
                .container_instance(instance.as_str())
                .desired_status(status);
            let mut pages = request.into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| port_error(SERVICE, "ListTasks", &error))?;
                for arn in page.task_arns() {
                    arns.push(TaskArn::parse(arn).map_err(|error| unreadable("ListTasks", &error))?);
                }
            }
        }
        Ok(arns)
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> Result<Vec<TaskReport>, PortError> {
        let mut reports = Vec::with_capacity(tasks.len());
        for batch in tasks.chunks(DESCRIBED_AT_ONCE) {
            let arns = batch.iter().map(|task| task.as_str().to_owned()).collect();
            let request = self
                .asking
                .describe_tasks()
                .cluster(cluster.as_str())
                .set_tasks(Some(arns));
            let answer = request
                .send()
                .await
                .map_err(|error| port_error(SERVICE, "DescribeTasks", &error))?;
            for task in answer.tasks() {
                match task_report(cluster, task) {
                    Ok(report) => reports.push(report),
                    Err(why) => {
                        tracing::warn!(task = task.task_arn(), why, "an answer of ECS cannot be read")
                    }
                }
            }
        }
        Ok(reports)
    }
}

impl Ecs {
    async fn describe_task_definition(
        &self,
        name: &TaskDefinitionName,
    ) -> Result<TaskDefinitionAnswer, PortError> {
        const OPERATION: &str = "DescribeTaskDefinition";
        let answer = match self
            .asking
            .describe_task_definition()
            .task_definition(name.as_str())
            .send()
            .await
        {
            Ok(answer) => answer,
            // The exception has no name of its own: a client's fault that is neither throttling nor a missing
            // right is an unknown task definition.
            Err(error)
                if error.code() == Some("ClientException") && !error.message().is_some_and(is_patience) =>
            {
                let message = error.message().unwrap_or("unknown task definition").to_owned();
                return Ok(TaskDefinitionAnswer::Unknown { message });
            }
            Err(error) => return Err(port_error(SERVICE, OPERATION, &error)),
        };
        let Some(definition) = answer.task_definition() else {
            return Err(unreadable(OPERATION, &"the answer has no task definition"));
        };
        let read = task_definition_of(definition).read();
        let definition = read.map_err(|error| unreadable(OPERATION, &error))?;
        Ok(match definition.status {
            TaskDefinitionStatus::Active => TaskDefinitionAnswer::Active(Box::new(definition)),
            TaskDefinitionStatus::Inactive | TaskDefinitionStatus::DeleteInProgress => {
                TaskDefinitionAnswer::Inactive
            }
        })
    }

    async fn describe_instance_batch(
        &self,
        cluster: &ClusterName,
        batch: &[ContainerInstanceArn],
        described: &mut Vec<DescribedInstance>,
    ) -> Result<(), PortError> {
        const OPERATION: &str = "DescribeContainerInstances";
        let arns = batch
            .iter()
            .map(|instance| instance.as_str().to_owned())
            .collect();
        let request = self
            .asking
            .describe_container_instances()
            .cluster(cluster.as_str());
        let request = request
            .set_container_instances(Some(arns))
            .include(ContainerInstanceField::from("ATTRIBUTES"));
        let answer = request
            .send()
            .await
            .map_err(|error| port_error(SERVICE, OPERATION, &error))?;
        for instance in answer.container_instances() {
            match instance_report(cluster, instance) {
                Ok(mut report) => {
                    report.source = ReportSource::default();
                    described.push(DescribedInstance::Found(Box::new(report)));
                }
                Err(why) => {
                    let arn = instance.container_instance_arn();
                    tracing::warn!(instance = arn, why, "an answer of ECS cannot be read");
                }
            }
        }
        // Any other reason than MISSING tells nothing about the instance.
        let missing = answer
            .failures()
            .iter()
            .filter(|failure| failure.reason() == Some(MISSING));
        for failure in missing {
            let is_meant =
                |instance: &&ContainerInstanceArn| failure.arn().is_some_and(|arn| names(arn, instance));
            described.extend(
                batch
                    .iter()
                    .find(is_meant)
                    .cloned()
                    .map(DescribedInstance::Missing),
            );
        }
        Ok(())
    }
}

/// Failures name an instance by its ARN, in the long or the short form.
fn names(arn: &str, instance: &ContainerInstanceArn) -> bool {
    arn == instance.as_str() || arn.rsplit('/').next() == Some(instance.id())
}

fn is_patience(message: &str) -> bool {
    message.contains("Rate exceeded") || message.contains("Throttling")
}

fn parsed_instance(arn: &str) -> Result<ContainerInstanceArn, PortError> {
    ContainerInstanceArn::parse(arn).map_err(|error| unreadable("ListContainerInstances", &error))
}

fn unreadable(operation: &'static str, why: &dyn std::fmt::Display) -> PortError {
    PortError::Failed {
        operation,
        message: why.to_string(),
    }
}
