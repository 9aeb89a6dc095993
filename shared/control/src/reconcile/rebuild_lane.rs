//! A lane made anew from one of its tasks.

use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::shape::{Constraint, Shape};
use serde_json::Value;

use crate::ports::{Inspector, PortError, TaskDefinitionAnswer};
use crate::records::{LaneRecord, TaskRecord, lane};
use crate::wire::submission::{PlacementConstraint, TaskDefinitionName};

/// The lane of a task: what it takes and which rules bind it, by its own record and its task definition. Rules must
/// not get lost, so there is no lane when one of them cannot be read. Where the tasks would best run is only in the
/// lane itself; what the damaged one does not tell any more is given up, and the tasks go anywhere they may.
pub(super) async fn from_task<E: Inspector>(
    inspector: &E,
    task: &TaskRecord,
    damaged: &Value,
) -> Result<Option<LaneRecord>, PortError> {
    let Some(mut constraints) = own_constraints(task) else {
        return Ok(None);
    };
    let name = TaskDefinitionName::from(&task.task_definition);
    let required_attributes = match inspector.task_definition(&name).await? {
        TaskDefinitionAnswer::Active(definition) => {
            for text in &definition.placement_constraints {
                let Ok(expression) = Expression::parse(text) else {
                    return Ok(None);
                };
                constraints.push(Constraint::MemberOf(expression));
            }
            definition.required_attributes.clone()
        }
        // ECS refuses whoever is launched with it, and says so.
        TaskDefinitionAnswer::Inactive | TaskDefinitionAnswer::Unknown { .. } => Vec::new(),
    };
    let distinct = constraints.contains(&Constraint::DistinctInstance);
    let shape = Shape {
        demand: task.demand.clone(),
        constraints,
        required_attributes,
        zones: Vec::new(),
        strategies: lane::strategies_in(damaged),
        distinct_group: distinct.then(|| task.group.clone()),
    };
    Ok(Some(LaneRecord {
        key: task.lane.clone(),
        shape: Arc::new(shape),
    }))
}

/// The constraints of the submission; `None` when one of them cannot be read.
fn own_constraints(task: &TaskRecord) -> Option<Vec<Constraint>> {
    let read = |constraint: &PlacementConstraint| match constraint {
        PlacementConstraint::DistinctInstance => Some(Constraint::DistinctInstance),
        PlacementConstraint::MemberOf { expression } => {
            Expression::parse(expression).ok().map(Constraint::MemberOf)
        }
    };
    task.request.placement_constraints.iter().map(read).collect()
}
