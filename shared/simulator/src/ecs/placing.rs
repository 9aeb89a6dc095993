//! Where RunTask places tasks, and why it could not: both decided by the scheduler's own placement.

use std::collections::BTreeSet;
use std::sync::Arc;

use berth_scheduler::hold::{Filter, HoldReason};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId, TaskGroup};
use berth_scheduler::placement::{Placement, PlacementSeed};
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::resources::{ShortDimension, Shortfall, fits};
use berth_scheduler::shape::{Constraint, Shape, Strategy};
use berth_scheduler::snapshot::{InstanceView, Snapshot};

use super::error::EcsError;
use super::instance::Instance;
use super::launch::{Failure, FailureDetail, LaunchType, RunTaskRequest, Target};
use super::{Cluster, SimulatedEcs, mix};

impl Cluster {
    /// Whether there is no ACTIVE instance, which RunTask answers with an exception and not with failures.
    pub(super) fn is_empty_for_placement(&self) -> bool {
        // The index holds ACTIVE instances with a connected agent; only without one the others must be asked.
        self.by_memory.is_empty()
            && !self
                .instances
                .values()
                .any(|instance| instance.status == InstanceStatus::Active)
    }
}

impl SimulatedEcs {
    /// The instance for one more task; `None` when it fits nowhere.
    pub(super) fn choose(
        &self,
        request: &RunTaskRequest,
        shape: &Shape,
        group: &TaskGroup,
    ) -> Result<Option<ContainerInstanceArn>, EcsError> {
        let seed = mix(self.last_id);
        let candidates = self.candidates(request, shape)?;
        let place = |candidates: &[&Instance]| {
            let views = candidates
                .iter()
                .map(|instance| instance.view(&self.tasks))
                .collect();
            let (snapshot, closed) = (self.snapshot(views), BTreeSet::new());
            Placement::new(&snapshot, &closed)
                .place(shape, group, PlacementSeed::new(seed))
                .ok()
        };
        if matches!(shape.strategies.as_slice(), [] | [Strategy::Random]) {
            // A random one will do, if it passes the constraints: most often it saves a look at the others.
            let count = u64::try_from(candidates.len()).unwrap_or(1).max(1);
            let drawn = usize::try_from(seed % count)
                .ok()
                .and_then(|drawn| candidates.get(drawn));
            if let Some(chosen) = drawn.and_then(|drawn| place(&[*drawn])) {
                return Ok(Some(chosen));
            }
        }
        Ok(place(&candidates))
    }

    /// What placement must look at. Instances without room cannot be chosen, so they are left out, except when
    /// tasks are counted by bucket: full instances count there, too.
    fn candidates(&self, request: &RunTaskRequest, shape: &Shape) -> Result<Vec<&Instance>, EcsError> {
        let cluster = self.cluster(&request.cluster)?;
        if let Target::Pinned(pinned) = &request.target {
            return Ok(cluster.instances.get(pinned).into_iter().collect());
        }
        let serves = |instance: &&Instance| takes(instance, request.launch_type);
        if let Some(pinned) = shape.constraints.iter().find_map(pinned_to) {
            // No other instance can satisfy the constraint.
            let arn = cluster.by_ec2_id.get(&pinned);
            let instance = arn.and_then(|arn| cluster.instances.get(arn));
            return Ok(instance.filter(serves).into_iter().collect());
        }
        let counts_buckets = |strategy: &Strategy| matches!(strategy, Strategy::Spread(_));
        if shape.strategies.iter().any(counts_buckets) {
            return Ok(cluster.registered_instances().filter(serves).collect());
        }
        let has_room = |instance: &&Instance| fits(&shape.demand, instance.room()).is_ok();
        let large_enough = || {
            cluster
                .by_memory
                .range(shape.demand.memory..)
                .map(|(_, arns)| arns)
        };
        if large_enough().map(BTreeSet::len).sum::<usize>() > cluster.instances.len() / 8 {
            // Looking at all of them is quicker than looking up most of them.
            let candidates = cluster
                .instances
                .values()
                .filter(|instance| instance.is_candidate());
            return Ok(candidates.filter(has_room).filter(serves).collect());
        }
        let instances = large_enough()
            .flatten()
            .filter_map(|arn| cluster.instances.get(arn));
        Ok(instances.filter(has_room).filter(serves).collect())
    }

    /// Why instances cannot take a task more.
    pub(super) fn failures(
        &self,
        request: &RunTaskRequest,
        shape: &Shape,
        group: &TaskGroup,
    ) -> Result<Vec<Failure>, EcsError> {
        let cluster = self.cluster(&request.cluster)?;
        let failure = |arn: &ContainerInstanceArn| {
            let reason = self.reason_against(&request.cluster, arn, shape, group)?;
            Some(Failure {
                arn: arn.to_string(),
                reason,
            })
        };
        if let Target::Pinned(pinned) = &request.target {
            return Ok(failure(pinned).into_iter().collect());
        }
        let active = cluster.instances.values().filter(|instance| {
            instance.status == InstanceStatus::Active && takes(instance, request.launch_type)
        });
        let failures = active.filter_map(|instance| failure(&instance.arn));
        Ok(match request.failure_detail {
            FailureDetail::EachInstance => failures.collect(),
            FailureDetail::First => failures.take(1).collect(),
        })
    }

    /// ECS's reason why an instance cannot take a task of this shape; `None` when it can.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
    pub(super) fn reason_against(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
        shape: &Shape,
        group: &TaskGroup,
    ) -> Option<&'static str> {
        let Some(instance) = self
            .clusters
            .get(cluster)
            .and_then(|cluster| cluster.instances.get(instance))
        else {
            return Some("MISSING");
        };
        if instance.status != InstanceStatus::Active {
            return Some("INACTIVE");
        }
        if instance.agent == AgentConnection::Disconnected {
            return Some("AGENT");
        }
        // ECS looks at resources before constraints.
        if let Err(shortfall) = fits(&shape.demand, instance.room()) {
            return Some(short_reason(&shortfall));
        }
        let alone = self.snapshot(vec![instance.view(&self.tasks)]);
        let closed = BTreeSet::new();
        let placed = Placement::new(&alone, &closed).place(shape, group, PlacementSeed::new(0));
        placed.err().map(|reason| held_reason(&reason))
    }

    /// Some instances, with what all instances together tell of subnets.
    fn snapshot(&self, views: Vec<InstanceView>) -> Snapshot {
        Snapshot::new(views).with_subnet_zones(Arc::clone(&self.subnet_zones))
    }
}

/// The one EC2 instance that a constraint leaves, when it is such a one.
fn pinned_to(constraint: &Constraint) -> Option<Ec2InstanceId> {
    let Constraint::MemberOf(expression) = constraint else {
        return None;
    };
    let expression = expression.to_string();
    Ec2InstanceId::parse(expression.strip_prefix("ec2InstanceId == ")?).ok()
}

fn takes(instance: &Instance, launch_type: LaunchType) -> bool {
    instance.is_external() == (launch_type == LaunchType::External)
}

fn short_reason(shortfall: &Shortfall) -> &'static str {
    match shortfall.dimensions().first() {
        Some(ShortDimension::Cpu { .. }) => "RESOURCE:CPU",
        Some(ShortDimension::Gpu { .. }) => "RESOURCE:GPU",
        Some(ShortDimension::Eni { .. }) => "RESOURCE:ENI",
        Some(ShortDimension::Ports { .. } | ShortDimension::PortLimit { .. }) => "RESOURCE:PORTS",
        Some(ShortDimension::Memory { .. }) | None => "RESOURCE:MEMORY",
    }
}

fn held_reason(reason: &HoldReason) -> &'static str {
    let explanation = match reason {
        HoldReason::NeverFits(explanation)
        | HoldReason::NoInstanceMatches(explanation)
        | HoldReason::Shortfall(explanation) => explanation,
        _ => return "RESOURCE:MEMORY",
    };
    match explanation.filtered.first() {
        Some((Filter::AgentDisconnected, _)) => "AGENT",
        Some((Filter::Zone, _)) => "LOCATION",
        Some((Filter::MissingAttribute(_), _)) => "ATTRIBUTE",
        Some((Filter::DistinctInstance, _)) => "DistinctInstance placement constraint unsatisfied.",
        Some((Filter::MemberOf { .. }, _)) => "MemberOf placement constraint unsatisfied.",
        Some((Filter::Status(_) | Filter::ClosedThisCycle, _)) => "INACTIVE",
        None => "RESOURCE:MEMORY",
    }
}
