//! Clusters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Paging, cluster_of};
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;
use crate::ecs::{Cluster, SimulatedEcs};
use crate::endpoint::protocol::read;
use crate::endpoint::render::cluster_json;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CreateCluster {
    cluster_name: Option<String>,
}

pub(super) fn create(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: CreateCluster = read(parameters)?;
    let name = cluster_of(given.cluster_name.as_deref())?;
    let kept = [
        "tags",
        "settings",
        "configuration",
        "capacityProviders",
        "defaultCapacityProviderStrategy",
    ];
    let document = parameters
        .iter()
        .filter(|(field, _)| kept.contains(&field.as_str()));
    let document = document
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect();
    Ok(json!({ "cluster": cluster_json(ecs.create_cluster(&name, document)) }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeleteCluster {
    cluster: Option<String>,
}

pub(super) fn delete(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: DeleteCluster = read(parameters)?;
    let name = cluster_of(given.cluster.as_deref())?;
    Ok(json!({ "cluster": cluster_json(ecs.delete_cluster(&name)?) }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DescribeClusters {
    clusters: Option<Vec<String>>,
}

pub(super) fn describe(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: DescribeClusters = read(parameters)?;
    let names = given
        .clusters
        .filter(|names| !names.is_empty())
        .unwrap_or(vec!["default".to_owned()]);
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &names {
        let cluster = cluster_of(Some(name)).ok();
        let cluster = cluster.and_then(|name| ecs.clusters.get(&name));
        match cluster {
            Some(cluster) => found.push(cluster_json(cluster)),
            None if name.starts_with("arn:") => failures.push(json!({ "arn": name, "reason": "MISSING" })),
            None => {
                let arn = ecs.settings.arn(&format!("cluster/{name}"));
                failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            }
        }
    }
    Ok(json!({ "clusters": found, "failures": failures }))
}

pub(super) fn list(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let clusters = ecs
        .clusters
        .values()
        .map(|cluster| (cluster.arn.as_str(), cluster));
    let write = |cluster: &Cluster| json!(cluster.arn);
    Paging::of(parameters)?.answer("clusterArns", clusters, |cluster| cluster.active, write)
}
