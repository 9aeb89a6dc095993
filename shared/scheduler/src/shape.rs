//! What decides where a task may go and should go. Tasks of one shape fit the same places: if one of them
//! fits nowhere, none does.

use crate::attributes::RequiredAttribute;
use crate::constraint::expression::Expression;
use crate::id::TaskGroup;
use crate::resources::Demand;

/// Everything about a task that placement looks at, its group's spread aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What it takes.
    pub demand: Demand,
    /// Rules that bind, from the submission and its task definition; all must hold.
    pub constraints: Vec<Constraint>,
    /// Attributes the task definition's features need.
    pub required_attributes: Vec<RequiredAttribute>,
    /// Availability zones of the task's subnets, when it has subnets and their zones are known.
    pub zones: Vec<String>,
    /// Preferences, the first one first. Empty means random, as for RunTask.
    pub strategies: Vec<Strategy>,
    /// The group whose tasks must each be on an instance of their own; set exactly when a constraint is
    /// [`Constraint::DistinctInstance`].
    pub distinct_group: Option<TaskGroup>,
}

/// A placement constraint.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html>
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What `spread` makes buckets of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpreadField {
    /// Every instance is a bucket (`instanceId`, or its other name `host`).
    InstanceId,
    /// Instances with the same value of this attribute are a bucket.
    Attribute(String),
}
