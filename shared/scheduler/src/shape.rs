//! What decides where a task may go and should go. Tasks of one shape fit the same places: if one of them
//! fits nowhere, none does.

use std::fmt;

use crate::attributes::RequiredAttribute;
use crate::constraint::expression::{Dependencies, Expression};
use crate::id::{SubnetId, TaskGroup};
use crate::resources::Demand;
use crate::subnet::ZONE_ATTRIBUTE;

/// Everything about a task that placement looks at, its group's spread aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What it takes.
    pub demand: Demand,
    /// Rules that bind, from the submission and its task definition; all must hold.
    pub constraints: Vec<Constraint>,
    /// Attributes the task definition's features need.
    pub required_attributes: Vec<RequiredAttribute>,
    /// The subnets that its network interface may be in, sorted, none twice; empty outside `awsvpc` mode. The
    /// instance must be in the zone of one of them, as far as their zones are known.
    pub subnets: Vec<SubnetId>,
    /// Preferences, the first one first. Empty means random, as for RunTask.
    pub strategies: Vec<Strategy>,
    /// The group whose tasks must each be on an instance of their own; set exactly when a constraint is
    /// [`Constraint::DistinctInstance`].
    pub distinct_group: Option<TaskGroup>,
}

impl Shape {
    /// Whether a task of this shape may fit later only because another one was placed.
    pub fn depends_on_running_tasks(&self) -> bool {
        self.constraints.iter().any(|constraint| match constraint {
            Constraint::DistinctInstance => false,
            Constraint::MemberOf(expression) => expression.depends_on() == Dependencies::RunningTasks,
        })
    }
}

/// A placement constraint.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constraint {
    /// Each running task of the group is on an instance of its own.
    DistinctInstance,
    /// The instance satisfies an expression of the cluster query language.
    MemberOf(Expression),
}

/// A placement strategy.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Any instance with room.
    Random,
    /// The instance with the least of a resource left.
    Binpack(BinpackField),
    /// The bucket with the fewest running tasks of the group.
    Spread(SpreadField),
}

/// What `binpack` packs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BinpackField {
    /// CPU units.
    Cpu,
    /// Memory.
    Memory,
}

impl BinpackField {
    /// Reads a field as RunTask takes it: ECS's reference writes `CPU` and `MEMORY`, its examples `cpu` and
    /// `memory`.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementStrategy.html>
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cpu, Self::Memory]
            .into_iter()
            .find(|field| text.eq_ignore_ascii_case(field.as_str()))
    }

    /// The field as in ECS's examples.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

/// What `spread` makes buckets of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpreadField {
    /// Every instance is a bucket (`instanceId`, or its other name `host`).
    InstanceId,
    /// Instances with the same value of this attribute are a bucket.
    Attribute(String),
}

/// What the name of an attribute follows in a field to spread by.
pub const ATTRIBUTE_PREFIX: &str = "attribute:";

const INSTANCE_ID_FIELD: &str = "instanceId";

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
const ATTRIBUTE_NAME_CHARACTERS_MAX: usize = 128;

impl SpreadField {
    /// Reads a field as RunTask takes it: `instanceId`, `host` or `attribute:NAME`.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PlacementStrategy.html>
    pub fn parse(text: &str) -> Option<Self> {
        if [INSTANCE_ID_FIELD, "host"].contains(&text) {
            return Some(Self::InstanceId);
        }
        let name = text.strip_prefix(ATTRIBUTE_PREFIX)?;
        let is_name = (1..=ATTRIBUTE_NAME_CHARACTERS_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-/\\".contains(&byte));
        is_name.then(|| Self::Attribute(name.to_owned()))
    }
}

impl fmt::Display for SpreadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstanceId => f.write_str(INSTANCE_ID_FIELD),
            Self::Attribute(name) => write!(f, "{ATTRIBUTE_PREFIX}{name}"),
        }
    }
}

/// ECS's named placement templates: shorthands for constraints and strategies.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/create-service-console-v2.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlacementTemplate {
    /// Spread across availability zones, then across the instances of a zone.
    AzBalancedSpread,
    /// Spread across availability zones, then pack by memory within a zone.
    AzBalancedBinpack,
    /// Pack by memory.
    Binpack,
    /// At most one task of the group on an instance.
    OneTaskPerHost,
}

impl PlacementTemplate {
    /// Every template.
    pub const ALL: [Self; 4] = [
        Self::AzBalancedSpread,
        Self::AzBalancedBinpack,
        Self::Binpack,
        Self::OneTaskPerHost,
    ];

    /// The template's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AzBalancedSpread => "az-balanced-spread",
            Self::AzBalancedBinpack => "az-balanced-binpack",
            Self::Binpack => "binpack",
            Self::OneTaskPerHost => "one-task-per-host",
        }
    }

    /// Reads a template's name; `None` when there is no such template.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == name)
    }

    /// The constraints it stands for.
    pub fn constraints(self) -> Vec<Constraint> {
        match self {
            Self::OneTaskPerHost => vec![Constraint::DistinctInstance],
            Self::AzBalancedSpread | Self::AzBalancedBinpack | Self::Binpack => Vec::new(),
        }
    }

    /// The strategies it stands for.
    pub fn strategies(self) -> Vec<Strategy> {
        let zones = || Strategy::Spread(SpreadField::Attribute(ZONE_ATTRIBUTE.to_owned()));
        match self {
            Self::AzBalancedSpread => vec![zones(), Strategy::Spread(SpreadField::InstanceId)],
            Self::AzBalancedBinpack => vec![zones(), Strategy::Binpack(BinpackField::Memory)],
            Self::Binpack => vec![Strategy::Binpack(BinpackField::Memory)],
            Self::OneTaskPerHost => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_by_its_name() {
        for template in PlacementTemplate::ALL {
            assert_eq!(PlacementTemplate::parse(template.as_str()), Some(template));
        }
        assert_eq!(PlacementTemplate::parse("AZ"), None);
    }

    #[test]
    fn fields_are_read_as_run_task_takes_them() {
        assert_eq!(BinpackField::parse("MEMORY"), Some(BinpackField::Memory));
        assert_eq!(BinpackField::parse("cpu"), Some(BinpackField::Cpu));
        assert_eq!(BinpackField::parse("disk"), None);
        assert_eq!(SpreadField::parse("host"), Some(SpreadField::InstanceId));
        for text in [
            "instanceId",
            "attribute:ecs.availability-zone",
            "attribute:a/b_c\\1",
        ] {
            assert_eq!(SpreadField::parse(text).unwrap().to_string(), text);
        }
        let long = format!("attribute:{}", "a".repeat(129));
        for text in ["", "zone", "attribute:", "attribute:a b", "Host", long.as_str()] {
            assert_eq!(SpreadField::parse(text), None, "{text}");
        }
    }

    #[test]
    fn one_task_per_host_is_a_constraint_and_the_others_are_strategies() {
        let kinds = PlacementTemplate::ALL.map(|it| (it.constraints().len(), it.strategies().len()));
        assert_eq!(kinds, [(0, 2), (0, 2), (0, 1), (1, 0)]);
    }
}
