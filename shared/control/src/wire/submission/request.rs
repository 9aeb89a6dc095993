//! What RunTask is told besides the cluster, the task definition, the count, the client token, `startedBy`
//! and the pin. It is stored with the task, as JSON, from its acceptance to its launch.

use std::collections::BTreeSet;

use berth_scheduler::constraint::expression::EXPRESSION_CHARACTERS_MAX;
use berth_scheduler::id::{Ec2InstanceId, SubnetId, TaskGroup};
use berth_scheduler::shape::Constraint;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::overrides::TaskOverrides;

/// The part of a RunTask call that the user has chosen. Fields are named as in the API, and what is left at
/// its default is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchRequest {
    /// The kind of instances.
    pub launch_type: LaunchType,
    /// The group, if the user has chosen one; else ECS fills in `family:FAMILY`.
    #[serde(with = "group_as_text", skip_serializing_if = "Option::is_none")]
    pub group: Option<TaskGroup>,
    /// The constraints, to which the pin is added. Those of the task definition are not among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placement_constraints: Vec<PlacementConstraint>,
    /// Changes to the task definition.
    #[serde(skip_serializing_if = "is_default")]
    pub overrides: TaskOverrides,
    /// Tags for the tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The network of tasks in `awsvpc` mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Whether ECS adds its own tags.
    #[serde(rename = "enableECSManagedTags", skip_serializing_if = "is_default")]
    pub enable_ecs_managed_tags: bool,
    /// Whose tags are copied to the tasks.
    #[serde(skip_serializing_if = "is_default")]
    pub propagate_tags: PropagateTags,
    /// Whether ECS Exec may open a shell in the tasks.
    #[serde(skip_serializing_if = "is_default")]
    pub enable_execute_command: bool,
}

impl LaunchRequest {
    /// The stored form.
    pub fn to_json(&self) -> Value {
        // Texts, numbers and lists only: there is nothing in it that could fail to become JSON.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The stored form as text.
    pub fn to_json_text(&self) -> String {
        self.to_json().to_string()
    }

    /// The subnets, sorted and none twice: in whatever order they are named, they allow the same instances.
    pub fn subnets(&self) -> Vec<SubnetId> {
        let network = self.network_configuration.iter();
        let named: BTreeSet<&SubnetId> = network
            .flat_map(|network| &network.awsvpc_configuration.subnets)
            .collect();
        named.into_iter().cloned().collect()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn from_json(json: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(json)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The kind of instances to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LaunchType {
    /// EC2 instances.
    #[default]
    Ec2,
    /// Servers registered with ECS Anywhere.
    External,
}

impl LaunchType {
    /// ECS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::External => "EXTERNAL",
        }
    }
}

/// A placement constraint, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum PlacementConstraint {
    /// Each running task of the group is on an instance of its own.
    DistinctInstance,
    /// The instance satisfies an expression.
    MemberOf {
        /// In the cluster query language.
        expression: String,
    },
}

impl From<&Constraint> for PlacementConstraint {
    fn from(constraint: &Constraint) -> Self {
        match constraint {
            Constraint::DistinctInstance => Self::DistinctInstance,
            Constraint::MemberOf(expression) => Self::MemberOf {
                expression: expression.as_written().to_owned(),
            },
        }
    }
}

impl LaunchRequest {
    /// The placement constraints together with the pin to an instance. The pin joins the first `memberOf`
    /// with room for it, so that all ten constraints that RunTask takes can be the user's.
    pub fn pinned_to(&self, instance: &Ec2InstanceId) -> Vec<PlacementConstraint> {
        let pin = format!("ec2InstanceId == {instance}");
        let mut constraints = self.placement_constraints.clone();
        let joined = constraints.iter_mut().find_map(|constraint| match constraint {
            PlacementConstraint::MemberOf { expression } => {
                let both = format!("({expression}) and {pin}");
                (both.chars().count() <= EXPRESSION_CHARACTERS_MAX).then(|| *expression = both)
            }
            PlacementConstraint::DistinctInstance => None,
        });
        if joined.is_none() {
            constraints.push(PlacementConstraint::MemberOf { expression: pin });
        }
        constraints
    }
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value, which may be empty.
    #[serde(default)]
    pub value: String,
}

/// Whose tags are copied to the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PropagateTags {
    /// Nobody's.
    #[default]
    None,
    /// The task definition's.
    TaskDefinition,
}

/// The network of tasks in `awsvpc` mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// The one kind there is.
    pub awsvpc_configuration: AwsvpcConfiguration,
}

/// Where the network interface of a task goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsvpcConfiguration {
    /// At least one.
    #[serde(with = "subnets_as_text")]
    pub subnets: Vec<SubnetId>,
    /// Ids of security groups; the VPC's default one if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Whether the interface gets a public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assign_public_ip: Option<AssignPublicIp>,
}

/// Whether a task's network interface gets a public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AssignPublicIp {
    /// Yes.
    Enabled,
    /// No.
    Disabled,
}

/// Ids of the scheduler know no JSON.
mod group_as_text {
    use berth_scheduler::id::TaskGroup;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(
        group: &Option<TaskGroup>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match group {
            Some(group) => serializer.serialize_some(group.as_str()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Option<TaskGroup>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| TaskGroup::parse(&text).map_err(D::Error::custom))
            .transpose()
    }
}

mod subnets_as_text {
    use berth_scheduler::id::SubnetId;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(subnets: &[SubnetId], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(subnets.iter().map(SubnetId::as_str))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<SubnetId>, D::Error> {
        let subnets: Vec<String> = Vec::deserialize(deserializer)?;
        let parsed = subnets.iter().map(|subnet| SubnetId::parse(subnet));
        parsed.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(constraints: &[PlacementConstraint]) -> Vec<PlacementConstraint> {
        let request = LaunchRequest {
            placement_constraints: constraints.to_vec(),
            ..LaunchRequest::default()
        };
        request.pinned_to(&Ec2InstanceId::parse("i-1").unwrap())
    }

    fn member_of(expression: &str) -> PlacementConstraint {
        PlacementConstraint::MemberOf {
            expression: expression.to_owned(),
        }
    }

    #[test]
    fn the_pin_joins_an_expression_of_the_user_when_there_is_one_with_room() {
        assert_eq!(pinned(&[]), [member_of("ec2InstanceId == i-1")]);
        assert_eq!(
            pinned(&[
                PlacementConstraint::DistinctInstance,
                member_of("attribute:a == b or attribute:c exists")
            ]),
            [
                PlacementConstraint::DistinctInstance,
                member_of("(attribute:a == b or attribute:c exists) and ec2InstanceId == i-1")
            ]
        );
        let long = format!("attribute:a == {}", "b".repeat(1_970));
        assert_eq!(pinned(&[member_of(&long)]).len(), 2);
    }
}
