//! Why a task waits. "Not now" is not an error: it is a reason, complete, and it reaches the user.

use crate::attributes::RequiredAttribute;
use crate::id::ContainerInstanceArn;
use crate::report::InstanceStatus;
use crate::resources::Shortfall;

/// Why the tasks of a lane were not admitted in a cycle. Reasons that no finished task can change come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The cluster has no container instance. One may yet register.
    NoInstances,
    /// Larger than every registered instance that the constraints allow. A larger one may yet register.
    NeverFits(Explanation),
    /// No instance satisfies the constraints.
    NoInstanceMatches(Explanation),
    /// Instances match, but none has room now.
    Shortfall(Explanation),
    /// ECS refused the task although the records said that it fits.
    RefusedByEcs {
        /// ECS's own reason.
        reason: String,
    },
    /// ECS throttles our calls.
    Throttled,
}

/// What happened to each instance that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Instances looked at.
    pub evaluated: usize,
    /// How many instances each filter removed, in the order the filters apply. An instance counts for the
    /// first filter that removes it.
    pub filtered: Vec<(Filter, usize)>,
    /// How many of the others are short of each dimension. An instance counts once for each dimension.
    pub short: Vec<(Dimension, usize)>,
    /// The instance that misses least.
    pub nearest: Option<NearestMiss>,
}

/// Why an instance is no candidate, room aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Its status is not ACTIVE.
    Status(InstanceStatus),
    /// Its agent is not connected.
    AgentDisconnected,
    /// It was refused by ECS a moment ago and is looked at again in the next cycle.
    ClosedThisCycle,
    /// It is in none of the zones of the task's subnets.
    Zone,
    /// It lacks an attribute that the task definition requires.
    MissingAttribute(RequiredAttribute),
    /// It does not satisfy a `memberOf` expression.
    MemberOf {
        /// The expression.
        expression: String,
    },
    /// It runs a task of the same group.
    DistinctInstance,
}

/// A dimension of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// CPU units.
    Cpu,
    /// Memory.
    Memory,
    /// GPUs.
    Gpu,
    /// Network interfaces.
    Eni,
    /// Host ports.
    Ports,
}

/// The instance that misses least, and what is missing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// The instance.
    pub instance: ContainerInstanceArn,
    /// What is missing.
    pub shortfall: Shortfall,
}
