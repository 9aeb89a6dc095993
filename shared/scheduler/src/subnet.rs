//! In which availability zone a subnet is. The cluster itself tells: ECS gives every container instance its
//! subnet and its zone as attributes, so nobody has to be asked.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html>

use std::collections::{BTreeMap, BTreeSet};

use crate::attributes::AttributeSet;
use crate::id::SubnetId;

/// The attribute that holds an instance's availability zone.
pub const ZONE_ATTRIBUTE: &str = "ecs.availability-zone";

/// The attribute that holds an instance's subnet.
pub const SUBNET_ATTRIBUTE: &str = "ecs.subnet-id";

/// The zone of every subnet that is known; a subnet is in exactly one.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/configure-subnets.html>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetZones(BTreeMap<SubnetId, String>);

impl SubnetZones {
    /// Takes somebody's word for it, whatever was known before.
    pub fn tell(&mut self, subnet: SubnetId, zone: impl Into<String>) {
        self.0.insert(subnet, zone.into());
    }

    /// Learns from the attributes of an instance. What is known already stays.
    pub fn learn(&mut self, attributes: &AttributeSet) {
        let subnet = attributes
            .value(SUBNET_ATTRIBUTE)
            .and_then(|subnet| SubnetId::parse(subnet).ok());
        if let (Some(subnet), Some(zone)) = (subnet, attributes.value(ZONE_ATTRIBUTE)) {
            self.0.entry(subnet).or_insert_with(|| zone.to_owned());
        }
    }

    /// The zones that a task with these subnets may run in; `None` when it has none or the zone of one of them
    /// is not known: the task may run there, too.
    pub fn of_all(&self, subnets: &[SubnetId]) -> Option<BTreeSet<&str>> {
        if subnets.is_empty() {
            return None;
        }
        subnets
            .iter()
            .map(|subnet| self.0.get(subnet).map(String::as_str))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(subnet: &str, zone: &str) -> AttributeSet {
        [(SUBNET_ATTRIBUTE, Some(subnet)), (ZONE_ATTRIBUTE, Some(zone))]
            .into_iter()
            .collect()
    }

    fn subnet(id: &str) -> SubnetId {
        SubnetId::parse(id).unwrap()
    }

    #[test]
    fn zones_are_known_when_that_of_every_subnet_is() {
        let mut zones = SubnetZones::default();
        zones.learn(&attributes("subnet-a", "1a"));
        zones.learn(&attributes("subnet-a2", "1a"));
        zones.learn(&attributes("subnet-b", "1b"));
        zones.learn(&[(SUBNET_ATTRIBUTE, Some("subnet-c"))].into_iter().collect());
        let of = |ids: &[&str]| {
            let subnets: Vec<SubnetId> = ids.iter().copied().map(subnet).collect();
            let zones = zones.of_all(&subnets)?;
            Some(zones.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(of(&["subnet-a", "subnet-a2"]).unwrap(), ["1a"]);
        assert_eq!(of(&["subnet-a", "subnet-b"]).unwrap(), ["1a", "1b"]);
        assert_eq!(of(&["subnet-a", "subnet-c"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_was_told_goes_before_what_instances_say() {
        let mut zones = SubnetZones::default();
        zones.learn(&attributes("subnet-a", "1a"));
        zones.tell(subnet("subnet-a"), "1b");
        zones.learn(&attributes("subnet-a", "1a"));
        assert_eq!(zones.of_all(&[subnet("subnet-a")]), Some(BTreeSet::from(["1b"])));
    }
}
