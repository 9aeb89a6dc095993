//! What Berth stores: tasks, lanes and capacity records, and their JSON forms (one file each).

mod amount;
pub mod attributes;
pub mod form;
pub mod hold;
pub mod instance;
pub mod lane;
mod outlook;
pub mod run_time;
pub mod task;
pub mod waiting;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use berth_scheduler::id::{
    AttemptId, ClusterName, LaneKey, Revision, TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::progress::TaskProgress;
use berth_scheduler::resources::Demand;
use berth_scheduler::run_time::{RunOutlook, RunSeconds};
use berth_scheduler::shape::Shape;
use berth_scheduler::waiting::{Rank, WaitingTask};

use crate::wire::submission::{ContentHash, LaunchRequest};

/// One task, from its acceptance to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// The task.
    pub id: TaskId,
    /// The cluster it runs in.
    pub cluster: ClusterName,
    /// Its place in the order, for life.
    pub rank: Rank,
    /// The lane it waits in.
    pub lane: LaneKey,
    /// Its group.
    pub group: TaskGroup,
    /// The task definition with the revision that was the newest when the task was accepted.
    pub task_definition: TaskDefinitionArn,
    /// What it takes, worked out once.
    pub demand: Demand,
    /// How long its submission expects it to run.
    pub expected: Option<RunSeconds>,
    /// Everything else RunTask needs.
    pub request: Arc<LaunchRequest>,
    /// Tells a repeated submission from another one with the same id.
    pub content: ContentHash,
    /// How far it has come.
    pub progress: TaskProgress,
    /// Our own revision: every write checks and raises it.
    pub revision: Revision,
}

impl TaskRecord {
    /// The attempt begun last.
    pub fn attempt(&self) -> AttemptId {
        AttemptId {
            task: self.id.clone(),
            number: self.progress.attempt,
        }
    }

    /// The task after a step of its life.
    #[must_use]
    pub fn after(&self, progress: TaskProgress) -> Self {
        Self {
            progress,
            revision: self.revision.next(),
            ..self.clone()
        }
    }

    /// The task as a submission that could be sent again, in JSON.
    pub fn submission_text(&self) -> String {
        let request = serde_json::to_value(&*self.request).unwrap_or_default();
        let mut fields = match request {
            serde_json::Value::Object(fields) => fields,
            _never => serde_json::Map::new(),
        };
        fields.insert("id".into(), self.id.submission().as_str().into());
        fields.insert("cluster".into(), self.cluster.as_str().into());
        fields.insert("priority".into(), self.rank.priority().get().into());
        fields.insert("taskDefinition".into(), self.task_definition.as_str().into());
        if let Some(expected) = self.expected {
            fields.insert("expectedDurationSeconds".into(), expected.get().into());
        }
        serde_json::Value::Object(fields).to_string()
    }

    /// The task's entry in its lane.
    pub fn waiting(&self) -> WaitingTask {
        WaitingTask {
            rank: self.rank.clone(),
            group: self.group.clone(),
            outlook: self.outlook(),
        }
    }

    /// What is known of how long it will run.
    pub fn outlook(&self) -> RunOutlook {
        RunOutlook {
            family: TaskFamily::parse(self.task_definition.family()).ok(),
            expected: self.expected,
            timeout: None,
        }
    }
}

/// A lane of the waiting list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRecord {
    /// Its name, worked out from the shape.
    pub key: LaneKey,
    /// What its tasks need.
    pub shape: Arc<Shape>,
}
