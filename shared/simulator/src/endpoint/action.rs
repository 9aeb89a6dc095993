//! The actions of the ECS API, one function each.

use berth_scheduler::id::{ClusterName, ContainerInstanceArn};
use serde::Deserialize;
use serde_json::Value;

use super::Endpoint;
use super::protocol::read;
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::Document;
use crate::ecs::error::{EcsError, EcsErrorKind};

mod attribute;
mod cluster;
mod instance;
mod run;
mod task;
mod task_definition;

/// The name of the cluster that is meant when none is named.
const DEFAULT_CLUSTER: &str = "default";

impl Endpoint {
    /// Carries out an action.
    pub(super) fn act(&mut self, action: &str, parameters: &Document) -> Result<Value, EcsError> {
        let ecs = &mut self.ecs;
        match action {
            "CreateCluster" => cluster::create(ecs, parameters),
            "DeleteCluster" => cluster::delete(ecs, parameters),
            "DescribeClusters" => cluster::describe(ecs, parameters),
            "ListClusters" => cluster::list(ecs, parameters),
            "RegisterTaskDefinition" => task_definition::register(ecs, parameters),
            "DeregisterTaskDefinition" => task_definition::deregister(ecs, parameters),
            "DescribeTaskDefinition" => task_definition::describe(ecs, parameters),
            "ListTaskDefinitions" => task_definition::list(ecs, parameters),
            "ListTaskDefinitionFamilies" => task_definition::list_families(ecs, parameters),
            "RegisterContainerInstance" => instance::register(ecs, parameters),
            "DeregisterContainerInstance" => instance::deregister(ecs, parameters),
            "UpdateContainerInstancesState" => instance::update_state(ecs, parameters),
            "ListContainerInstances" => instance::list(ecs, parameters),
            "DescribeContainerInstances" => instance::describe(ecs, parameters),
            "PutAttributes" => attribute::put(ecs, parameters),
            "DeleteAttributes" => attribute::delete(ecs, parameters),
            "ListAttributes" => attribute::list(ecs, parameters),
            "RunTask" => run::run_task(ecs, &mut self.calls, parameters),
            "StartTask" => run::start_task(ecs, parameters),
            "StopTask" => task::stop(ecs, parameters),
            "ListTasks" => task::list(ecs, parameters),
            "DescribeTasks" => task::describe(ecs, parameters),
            // Tags are kept of what is created with some; changing them later has no effect on anything here.
            "TagResource" | "UntagResource" => Ok(Value::Object(Document::new())),
            "ListTagsForResource" => Ok(serde_json::json!({ "tags": [] })),
            unknown => {
                let message = format!("`{unknown}` is not an action of the simulated ECS");
                Err(EcsError::new(EcsErrorKind::UnknownOperation, message))
            }
        }
    }
}

/// The cluster of a request, by name or ARN.
fn cluster_of(name: Option<&str>) -> Result<ClusterName, EcsError> {
    let name = name.unwrap_or(DEFAULT_CLUSTER);
    ClusterName::from_name_or_arn(name).map_err(|_| {
        EcsError::invalid(format!(
            "Invalid identifier: Identifier is for cluster. Your identifier is {name}"
        ))
    })
}

/// An instance of a request, by ARN or id.
fn instance_of(
    ecs: &SimulatedEcs,
    cluster: &ClusterName,
    name: &str,
) -> Result<ContainerInstanceArn, EcsError> {
    let found = ecs
        .cluster(cluster)?
        .find_instance(name)
        .map(|instance| instance.arn.clone());
    found.ok_or_else(|| EcsError::invalid("Referenced container instance not found."))
}

/// A parameter that must be there.
fn required<T>(parameter: Option<T>, name: &str) -> Result<T, EcsError> {
    parameter.ok_or_else(|| EcsError::invalid(format!("{name} cannot be blank.")))
}

/// Names that a Describe call asks for.
fn names(given: Option<Vec<String>>, what: &str) -> Result<Vec<String>, EcsError> {
    let names = given.unwrap_or_default();
    if names.is_empty() {
        return Err(EcsError::invalid(format!("{what} cannot be empty.")));
    }
    if names.len() > 100 {
        return Err(EcsError::invalid(format!("{what} can have at most 100 items.")));
    }
    Ok(names)
}

/// What every List call takes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Paging {
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Paging {
    fn of(parameters: &Document) -> Result<Self, EcsError> {
        read(parameters)
    }

    /// The answer of a List call: a page of those `items` that are `wanted`, written by `write`.
    fn answer<K: AsRef<str>, T>(
        &self,
        name: &str,
        items: impl Iterator<Item = (K, T)>,
        wanted: impl Fn(&T) -> bool,
        write: impl Fn(T) -> Value,
    ) -> Result<Value, EcsError> {
        let page = super::page::page(items, wanted, self.max_results, self.next_token.as_deref())?;
        let mut answer = Document::new();
        answer.insert(name.to_owned(), page.items.into_iter().map(write).collect());
        if let Some(token) = page.next_token {
            answer.insert("nextToken".to_owned(), Value::String(token));
        }
        Ok(Value::Object(answer))
    }
}
