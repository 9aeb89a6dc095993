//! Attributes of container instances.

use berth_scheduler::id::ClusterName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Paging, cluster_of, required};
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::Document;
use crate::ecs::error::{EcsError, EcsErrorKind};
use crate::endpoint::protocol::{read, set};

/// Most attributes of one call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAttributes.html>
const ATTRIBUTES_MAX: usize = 10;
const CHARS_MAX: usize = 128;

/// An attribute, and where it belongs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: Option<String>,
    target_id: Option<String>,
}

impl Attribute {
    /// Its name and value, if they are what ECS takes.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
    pub(super) fn checked(&self) -> Result<(String, Option<String>), EcsError> {
        let in_name = |c: char| c.is_ascii_alphanumeric() || "-_/\\.".contains(c);
        let in_value = |c: char| in_name(c) || "@: ".contains(c);
        let length = |text: &str| (1..=CHARS_MAX).contains(&text.chars().count());
        if !length(&self.name) || !self.name.chars().all(in_name) {
            return Err(EcsError::invalid(format!(
                "attribute name `{}` is not valid: give 1 to {CHARS_MAX} letters, digits, `-`, `_`, `/`, `\\` and `.`",
                self.name
            )));
        }
        match &self.value {
            Some(value) if !length(value) || !value.chars().all(in_value) || value.trim() != value => {
                Err(EcsError::invalid(format!(
                    "value `{value}` of attribute `{}` is not valid: give 1 to {CHARS_MAX} letters, digits, `-`, \
                     `_`, `/`, `\\`, `.`, `@`, `:` and inner spaces",
                    self.name
                )))
            }
            _ => Ok((self.name.clone(), self.value.clone())),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangeAttributes {
    cluster: Option<String>,
    attributes: Vec<Attribute>,
}

fn read_changes(parameters: &Document) -> Result<(ClusterName, Vec<Attribute>), EcsError> {
    let given: ChangeAttributes = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    if !(1..=ATTRIBUTES_MAX).contains(&given.attributes.len()) {
        return Err(EcsError::invalid(format!(
            "attributes: give 1 to {ATTRIBUTES_MAX} attributes"
        )));
    }
    Ok((cluster, given.attributes))
}

fn target(
    ecs: &SimulatedEcs,
    cluster: &ClusterName,
    attribute: &Attribute,
) -> Result<berth_scheduler::id::ContainerInstanceArn, EcsError> {
    let name = required(attribute.target_id.as_deref(), "targetId")?;
    let found = ecs
        .cluster(cluster)?
        .find_instance(name)
        .map(|instance| instance.arn.clone());
    let unknown = || EcsError::new(EcsErrorKind::TargetNotFound, format!("target `{name}` not found"));
    found.ok_or_else(unknown)
}

pub(super) fn put(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let (cluster, attributes) = read_changes(parameters)?;
    // All are checked before the first one is set.
    let checked = attributes
        .iter()
        .map(|attribute| Ok((target(ecs, &cluster, attribute)?, attribute.checked()?)));
    let checked: Vec<_> = checked.collect::<Result<_, EcsError>>()?;
    let mut answers = Vec::new();
    for (arn, change) in checked {
        answers.push(attribute_json(&change.0, change.1.as_deref(), arn.as_str()));
        ecs.put_attributes(&cluster, &arn, &[change])?;
    }
    Ok(json!({ "attributes": answers }))
}

pub(super) fn delete(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let (cluster, attributes) = read_changes(parameters)?;
    let mut answers = Vec::new();
    for attribute in &attributes {
        let arn = target(ecs, &cluster, attribute)?;
        ecs.delete_attributes(&cluster, &arn, std::slice::from_ref(&attribute.name))?;
        answers.push(attribute_json(
            &attribute.name,
            attribute.value.as_deref(),
            arn.as_str(),
        ));
    }
    Ok(json!({ "attributes": answers }))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListAttributes {
    cluster: Option<String>,
    target_type: Option<String>,
    attribute_name: Option<String>,
    attribute_value: Option<String>,
}

pub(super) fn list(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: ListAttributes = read(parameters)?;
    let cluster = ecs.cluster(&cluster_of(given.cluster.as_deref())?)?;
    if given.target_type.as_deref() != Some("container-instance") {
        return Err(EcsError::invalid("targetType: give `container-instance`"));
    }
    let wanted = |(_, name, value): &(&str, &str, Option<&str>)| {
        given
            .attribute_name
            .as_deref()
            .is_none_or(|wanted| wanted == *name)
            && (given.attribute_value.is_none() || given.attribute_value.as_deref() == *value)
    };
    let items = cluster.registered_instances().flat_map(|instance| {
        let arn = instance.arn.as_str();
        let attributes = instance.attributes.iter();
        attributes.map(move |(name, value)| (format!("{arn} {name}"), (arn, name, value)))
    });
    let write = |(arn, name, value): (&str, &str, Option<&str>)| attribute_json(name, value, arn);
    Paging::of(parameters)?.answer("attributes", items, wanted, write)
}

fn attribute_json(name: &str, value: Option<&str>, target: &str) -> Value {
    let mut json = json!({ "name": name, "targetType": "container-instance", "targetId": target });
    if let Some(value) = value {
        set(&mut json, "value", json!(value));
    }
    json
}
