//! Where the copies of a task would go.

use std::collections::BTreeSet;

use berth_control::records::hold;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::ContainerInstanceArn;
use berth_scheduler::placement::{Placement, PlacementSeed};
use berth_scheduler::snapshot::Snapshot;
use serde_json::{Value, json};

use super::task::PlannedTask;

/// The instances for the copies of a task, and why there is none for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The instance of each copy that finds one, in the order of the copies.
    pub placements: Vec<ContainerInstanceArn>,
    /// Why the next copy finds none; all after it find none either. `None` when every copy finds one.
    pub hold: Option<HoldReason>,
}

/// Places the copies of a task one after the other, each seeing the ones before. The same seed gives the same
/// plan; it only matters where a strategy leaves the choice to chance.
pub fn plan(snapshot: &Snapshot, task: &PlannedTask, seed: u64) -> Plan {
    let closed = BTreeSet::new();
    let mut placement = Placement::new(snapshot, &closed);
    let mut plan = Plan {
        placements: Vec::new(),
        hold: None,
    };
    for copy in 0..u64::from(task.count) {
        let seed = PlacementSeed::new(seed.wrapping_add(copy));
        match placement.place(&task.shape, &task.group, seed) {
            Ok(instance) => plan.placements.push(instance),
            Err(reason) => {
                // A copy more or less changes nothing for those after it: they ask for the same.
                plan.hold = Some(reason);
                break;
            }
        }
    }
    plan
}

impl Plan {
    /// `{"placements": [containerInstanceArn...], "hold": null | {...}}`.
    pub fn to_json(&self) -> Value {
        let placements: Vec<&str> = self.placements.iter().map(ContainerInstanceArn::as_str).collect();
        json!({ "placements": placements, "hold": self.hold.as_ref().map(hold::to_json) })
    }
}
