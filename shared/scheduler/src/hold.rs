//! Why a task waits. "Not now" is not an error: it is a reason, complete, and it reaches the user.

use crate::attributes::RequiredAttribute;
use crate::id::{ContainerInstanceArn, TaskId};
use crate::progress::Request;
use crate::report::InstanceStatus;
use crate::resources::{ShortDimension, Shortfall};
use crate::timestamp::Timestamp;

/// Why the tasks of a lane were not admitted in a cycle. Reasons that no finished task can change come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The cluster has no container instance. One may yet register.
    NoInstances,
    /// Instances match, but the task would not fit on any of them even if it were empty. A larger one may
    /// yet register.
    NeverFits(Explanation),
    /// No instance satisfies the constraints.
    NoInstanceMatches(Explanation),
    /// An instance has room, and is set aside for a task of higher rank.
    ReservedForHigherRank {
        /// The instances with room, each with the task it is set aside for, in the order of the instances.
        set_aside: Vec<Claim>,
        /// The instance that is set aside for this one.
        claim: Option<Claim>,
    },
    /// A task of higher rank waits for room, and the waiting policy lets nobody go before it.
    BehindStrictHead {
        /// The task that waits for room.
        head: TaskId,
    },
    /// Instances match, but none has room now.
    Shortfall(Explanation),
    /// ECS refused the task although the records said that it fits.
    RefusedByEcs {
        /// ECS's own reason.
        reason: String,
    },
    /// ECS throttles our calls.
    Throttled,
    /// Somebody has paused the cluster.
    Paused(Request),
}

/// An instance that is set aside for a waiting task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The task.
    pub task: TaskId,
    /// The instance.
    pub instance: ContainerInstanceArn,
    /// When the instance is projected to have room for it; `None` when the end of a task there is not known.
    pub projected_start: Option<Timestamp>,
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
    /// The instance that misses least: with the fewest short dimensions, then with the smallest share of
    /// what is needed missing (added up over the short dimensions), then with the smallest ARN.
    pub nearest: Option<NearestMiss>,
    /// The instance that is set aside for the task.
    pub claim: Option<Box<Claim>>,
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

impl Dimension {
    /// The dimension that falls short.
    pub const fn of(short: &ShortDimension) -> Self {
        match short {
            ShortDimension::Cpu { .. } => Self::Cpu,
            ShortDimension::Memory { .. } => Self::Memory,
            ShortDimension::Gpu { .. } => Self::Gpu,
            ShortDimension::Eni { .. } => Self::Eni,
            ShortDimension::Ports { .. } | ShortDimension::PortLimit { .. } => Self::Ports,
        }
    }
}

/// The instance that misses least, and what is missing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// The instance.
    pub instance: ContainerInstanceArn,
    /// What is missing.
    pub shortfall: Shortfall,
}

impl Explanation {
    /// How many instances passed every filter.
    pub fn matching(&self) -> usize {
        let removed = self
            .filtered
            .iter()
            .fold(0_usize, |sum, (_, count)| sum.saturating_add(*count));
        self.evaluated.saturating_sub(removed)
    }
}

/// One sentence for people.
///
/// ```
/// use berth_scheduler::hold::{Explanation, Filter, HoldReason};
///
/// let explanation =
///     Explanation { evaluated: 2, filtered: vec![(Filter::AgentDisconnected, 2)], ..Explanation::default() };
/// assert_eq!(
///     HoldReason::NoInstanceMatches(explanation).to_string(),
///     "no instance matches: 0 of 2 instances match (2 filtered: 2 with a disconnected agent)"
/// );
/// ```
impl std::fmt::Display for HoldReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoInstances => f.write_str("the cluster has no container instance"),
            Self::NeverFits(explanation) => {
                write!(
                    f,
                    "larger than every matching instance, even an empty one: {explanation}"
                )
            }
            Self::NoInstanceMatches(explanation) => write!(f, "no instance matches: {explanation}"),
            Self::ReservedForHigherRank { set_aside, claim } => {
                f.write_str("reserved for tasks of higher rank: ")?;
                write_list(f, set_aside, |it| {
                    format!("{} for {}{}", it.instance.id(), it.task, it.when())
                })?;
                write_claim(f, claim.as_ref())
            }
            Self::BehindStrictHead { head } => write!(f, "behind {head}, which waits for room"),
            Self::Shortfall(explanation) => write!(f, "no instance has room: {explanation}"),
            Self::RefusedByEcs { reason } => write!(f, "refused by ECS: `{reason}`"),
            Self::Throttled => f.write_str("ECS throttles our calls"),
            Self::Paused(request) => write!(f, "the cluster is paused {request}"),
        }
    }
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let instances = if self.evaluated == 1 {
            "instance"
        } else {
            "instances"
        };
        let matching = self.matching();
        let verb = if matching == 1 { "matches" } else { "match" };
        write!(f, "{matching} of {} {instances} {verb}", self.evaluated)?;
        if !self.filtered.is_empty() {
            write!(f, " ({} filtered: ", self.evaluated.saturating_sub(matching))?;
            write_list(f, &self.filtered, |(filter, count)| format!("{count} {filter}"))?;
            f.write_str(")")?;
        }
        if !self.short.is_empty() {
            f.write_str("; short of ")?;
            write_list(f, &self.short, |(dimension, count)| {
                format!("{dimension} on {count}")
            })?;
        }
        if let Some(NearestMiss { instance, shortfall }) = &self.nearest {
            write!(f, "; nearest {}: {shortfall}", instance.id())?;
        }
        write_claim(f, self.claim.as_deref())
    }
}

impl Claim {
    /// The projected start as an addition to a sentence; empty when there is none.
    pub fn when(&self) -> String {
        let projected = self.projected_start;
        projected.map_or_else(String::new, |at| format!(", about {at}"))
    }
}

fn write_claim(f: &mut std::fmt::Formatter<'_>, claim: Option<&Claim>) -> std::fmt::Result {
    match claim {
        Some(claim) => write!(f, "; {} is set aside for it{}", claim.instance.id(), claim.when()),
        None => Ok(()),
    }
}

fn write_list<T>(
    f: &mut std::fmt::Formatter<'_>,
    items: &[T],
    text: impl Fn(&T) -> String,
) -> std::fmt::Result {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            f.write_str(", ")?;
        }
        f.write_str(&text(item))?;
    }
    Ok(())
}

/// What a filter says of the instances that it removed.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(InstanceStatus::Draining) => f.write_str("draining"),
            Self::Status(status) => write!(f, "in status {}", status.as_str()),
            Self::AgentDisconnected => f.write_str("with a disconnected agent"),
            Self::ClosedThisCycle => f.write_str("refused by ECS a moment ago"),
            Self::Zone => f.write_str("outside the zones of the subnets"),
            Self::MissingAttribute(RequiredAttribute { name, value: None }) => {
                write!(f, "without the attribute `{name}`")
            }
            Self::MissingAttribute(RequiredAttribute {
                name,
                value: Some(value),
            }) => {
                write!(f, "without the attribute `{name}` = `{value}`")
            }
            Self::MemberOf { expression } => write!(f, "by memberOf({expression})"),
            Self::DistinctInstance => f.write_str("by distinctInstance"),
        }
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Gpu => "gpu",
            Self::Eni => "network interfaces",
            Self::Ports => "host ports",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::MemoryMib;
    use crate::resources::{Demand, Room, fits};

    #[test]
    fn a_shortfall_reads_as_one_sentence() {
        let demand = Demand {
            memory: MemoryMib::new(100),
            ..Demand::default()
        };
        let room = Room {
            memory: MemoryMib::new(12),
            ..Room::NONE
        };
        let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/40f0e62c";
        let reason = HoldReason::Shortfall(Explanation {
            evaluated: 12,
            filtered: vec![
                (Filter::Status(InstanceStatus::Draining), 3),
                (
                    Filter::MemberOf {
                        expression: "attribute:stack == prod".to_owned(),
                    },
                    4,
                ),
            ],
            short: vec![(Dimension::Memory, 5)],
            nearest: Some(NearestMiss {
                instance: ContainerInstanceArn::parse(arn).unwrap(),
                shortfall: fits(&demand, &room).unwrap_err(),
            }),
            claim: Some(Box::new(claim("etl-7"))),
        });
        assert_eq!(
            reason.to_string(),
            "no instance has room: 5 of 12 instances match (7 filtered: 3 draining, \
             4 by memberOf(attribute:stack == prod)); short of memory on 5; \
             nearest 40f0e62c: memory: needs 100 MiB, 12 free; \
             a1 is set aside for it, about 2026-11-21T10:00:00.000Z"
        );
    }

    fn claim(task: &str) -> Claim {
        let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/a1";
        Claim {
            task: TaskId::parse(task).unwrap(),
            instance: ContainerInstanceArn::parse(arn).unwrap(),
            projected_start: Timestamp::parse_iso8601("2026-11-21T10:00:00Z"),
        }
    }

    #[test]
    fn whoever_waits_for_a_higher_rank_is_told_for_whom() {
        let barred = HoldReason::ReservedForHigherRank {
            set_aside: vec![claim("etl-7")],
            claim: None,
        };
        assert_eq!(
            barred.to_string(),
            "reserved for tasks of higher rank: a1 for etl-7, about 2026-11-21T10:00:00.000Z"
        );
        let behind = HoldReason::BehindStrictHead {
            head: TaskId::parse("etl-7").unwrap(),
        };
        assert_eq!(behind.to_string(), "behind etl-7, which waits for room");
    }

    #[test]
    fn a_cluster_without_instances_is_named_as_such() {
        assert_eq!(
            HoldReason::NoInstances.to_string(),
            "the cluster has no container instance"
        );
    }
}
