//! What Berth stores: tasks, lanes and capacity records, and their JSON forms (one file each).

mod amount;
pub mod appointment;
pub mod attributes;
pub mod form;
pub mod hold;
pub mod instance;
pub mod lane;
mod outlook;
pub mod request;
pub mod run_time;
pub mod task;
pub mod waiting;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use berth_scheduler::id::{
    AttemptId, ClusterName, LaneKey, Revision, TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::progress::{TaskProgress, TaskState};
use berth_scheduler::resources::Demand;
use berth_scheduler::run_time::{RunOutlook, RunSeconds};
use berth_scheduler::shape::{Shape, Strategy};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Rank, WaitingTask};

use crate::wire::submission::{ContentHash, LaunchRequest};
use crate::wire::terms::TermsForm;

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
    /// Where it would best run.
    pub strategies: Vec<Strategy>,
    /// How long its submission expects it to run.
    pub expected: Option<RunSeconds>,
    /// Everything else RunTask needs.
    pub request: Arc<LaunchRequest>,
    /// When it may start, how long it may run, and when it is run again.
    pub terms: Terms,
    /// Tells a repeated submission from another one with the same id.
    pub content: ContentHash,
    /// How far it has come.
    pub progress: TaskProgress,
    /// The newest commands that concerned it, the newest last.
    pub commands: Vec<AppliedCommand>,
    /// Our own revision: every write checks and raises it.
    pub revision: Revision,
}

/// A moment at which a task must be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// When.
    pub due: Timestamp,
    /// Which task.
    pub task: TaskId,
    /// Its group, so that those of a group can be found.
    pub group: TaskGroup,
}

/// Most commands that a task's record keeps.
pub const COMMANDS_KEPT: usize = 10;

/// A command as it was applied to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedCommand {
    /// What was asked for, in the word of the message.
    pub action: String,
    /// The new priority, if that was it.
    pub priority: Option<u16>,
    /// The priority before it: whoever died before the old place was given up left it to the next one.
    pub previous_priority: Option<u16>,
    /// Which message.
    pub stamp: CommandStamp,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Orders commands: a task obeys none that was sent before one that it has obeyed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandStamp {
    /// When the message was sent, on SQS's clock.
    pub sent_at: Timestamp,
    /// SQS's id of the message.
    pub message_id: String,
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
        if !self.strategies.is_empty() {
            fields.insert(
                "placementStrategy".into(),
                lane::strategies_to_json(&self.strategies),
            );
        }
        if let Ok(serde_json::Value::Object(terms)) = serde_json::to_value(TermsForm::from(&self.terms)) {
            fields.extend(terms);
        }
        if let Some(expected) = self.expected {
            fields.insert("expectedDurationSeconds".into(), expected.get().into());
        }
        serde_json::Value::Object(fields).to_string()
    }

    /// Whether an entry of this lane and rank is the task's own, and may be there now: it waits to start, or its
    /// launch is under way.
    pub fn belongs_in(&self, lane: &LaneKey, rank: &Rank, now: Timestamp) -> bool {
        self.lane == *lane
            && self.rank == *rank
            && match self.progress.state {
                TaskState::Waiting { .. } => self.progress.may_be_in_lane(&self.terms, now),
                _ => !self.progress.has_left_the_waiting_list(),
            }
    }

    /// The task's entry in its lane.
    pub fn waiting(&self) -> WaitingTask {
        WaitingTask {
            rank: self.rank.clone(),
            group: self.group.clone(),
            stamp: self.revision,
            outlook: self.outlook(),
        }
    }

    /// What is known of how long it will run.
    pub fn outlook(&self) -> RunOutlook {
        RunOutlook {
            family: TaskFamily::parse(self.task_definition.family()).ok(),
            expected: self.expected,
            timeout: self
                .terms
                .timeout
                .and_then(|timeout| RunSeconds::new(timeout.get())),
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
