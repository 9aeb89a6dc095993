//! The ledger in memory: the same promises as the DynamoDB one, for the local run and for tests.

mod damage;
mod ledger;
mod meter;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use berth_control::damage::{Damaged, RecordName};
use berth_control::ports::{Attention, Change, PassStart, PauseOrder};
use berth_control::records::form::RecordError;
use berth_control::records::{Appointment, LaneRecord, TaskRecord};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Epoch, Generation, LaneKey, Revision, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::run_time::RunTimeCounts;
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Rank, WaitingTask};
use serde_json::Value;

pub use meter::{RequestUnits, Write, WriteUnits};

/// All tables of a deployment.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    tables: RefCell<Tables>,
    pace: Pace,
    learning: Learning,
    /// What was written, if that is counted.
    units: RefCell<Option<RequestUnits>>,
}

/// Whether run times are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learning {
    /// As in a deployment.
    #[default]
    On,
    /// As in a deployment that has seen nothing end yet.
    Off,
}

/// Whether writes are counted as DynamoDB would charge them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// They are not.
    #[default]
    Off,
    /// They are.
    On,
}

/// How a ledger answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    /// Every call at once: a flow runs from end to end without a break.
    #[default]
    AtOnce,
    /// Calls around the turn only when asked again.
    Interleaved,
}

#[derive(Debug, Default)]
struct Tables {
    tasks: BTreeMap<TaskId, TaskRecord>,
    clusters: BTreeMap<ClusterName, ClusterTables>,
    damaged: BTreeMap<RecordName, (Value, RecordError)>,
    set_aside: Vec<Damaged>,
}

#[derive(Debug, Default)]
struct ClusterTables {
    instances: BTreeMap<ContainerInstanceArn, InstanceView>,
    attributes: BTreeMap<ContainerInstanceArn, Arc<AttributeSet>>,
    lanes: BTreeMap<LaneKey, StoredLaneRecord>,
    waiting: BTreeMap<LaneKey, BTreeMap<Rank, WaitingTask>>,
    appointments: BTreeMap<(Timestamp, TaskId), Appointment>,
    pause: Option<PauseOrder>,
    run_times: BTreeMap<TaskFamily, RunTimeCounts>,
    generation: Generation,
    attention: Option<Attention>,
    turn: StoredTurn,
}

#[derive(Debug)]
struct StoredLaneRecord {
    record: LaneRecord,
    hold: Option<(HoldReason, Timestamp)>,
    claims: Vec<ContainerInstanceArn>,
}

#[derive(Debug, Default)]
struct StoredTurn {
    epoch: Epoch,
    holder: Option<(String, Timestamp)>,
}

impl ClusterTables {
    fn pass_start(&self) -> PassStart {
        PassStart {
            generation: self.generation,
            pause: self.pause.as_ref().and_then(|order| order.pause.clone()),
        }
    }
}

impl MemoryLedger {
    /// Empty tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tables, which learn nothing of how long tasks run.
    #[must_use]
    pub fn without_learning(self) -> Self {
        Self {
            learning: Learning::Off,
            ..self
        }
    }

    /// Empty tables whose users take turns: before the turn is taken, and before the holder of the turn reads
    /// the generation, everybody else who runs at the same time gets as far as that, too. So flows that
    /// are polled side by side meet as invocations do that run at the same time.
    pub fn interleaved() -> Self {
        Self {
            pace: Pace::Interleaved,
            ..Self::default()
        }
    }

    async fn pause(&self) {
        let mut left = match self.pace {
            Pace::AtOnce => 0,
            Pace::Interleaved => 1,
        };
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Every task record, by task.
    pub fn tasks(&self) -> Vec<TaskRecord> {
        self.tables.borrow().tasks.values().cloned().collect()
    }

    /// Every capacity record of a cluster, tombstones too.
    pub fn instances(&self, cluster: &ClusterName) -> Vec<Arc<InstanceRecord>> {
        let tables = self.tables.borrow();
        let Some(cluster) = tables.clusters.get(cluster) else {
            return Vec::new();
        };
        cluster
            .instances
            .values()
            .map(|view| Arc::clone(&view.record))
            .collect()
    }

    /// Whether somebody has paused a cluster.
    pub fn is_paused(&self, cluster: &ClusterName) -> bool {
        let tables = self.tables.borrow();
        let order = tables
            .clusters
            .get(cluster)
            .and_then(|tables| tables.pause.as_ref());
        order.is_some_and(|order| order.pause.is_some())
    }

    /// The waiting tasks of a cluster in rank order, each with its lane.
    pub fn waiting(&self, cluster: &ClusterName) -> Vec<(Rank, LaneKey)> {
        let tables = self.tables.borrow();
        let Some(cluster) = tables.clusters.get(cluster) else {
            return Vec::new();
        };
        let of_lane = |(lane, tasks): (&LaneKey, &BTreeMap<Rank, WaitingTask>)| {
            tasks
                .keys()
                .map(|rank| (rank.clone(), lane.clone()))
                .collect::<Vec<_>>()
        };
        let mut waiting: Vec<_> = cluster.waiting.iter().flat_map(of_lane).collect();
        waiting.sort();
        waiting
    }

    fn with<T>(&self, cluster: &ClusterName, work: impl FnOnce(&mut ClusterTables) -> T) -> T {
        let mut tables = self.tables.borrow_mut();
        if !tables.clusters.contains_key(cluster) {
            tables.clusters.insert(cluster.clone(), ClusterTables::default());
        }
        match tables.clusters.get_mut(cluster) {
            Some(found) => work(found),
            None => work(&mut ClusterTables::default()),
        }
    }
}

/// Whether a record of this revision may replace what is stored.
fn replaces(new: Revision, stored: Option<Revision>) -> bool {
    stored.map_or(Revision::new(1), Revision::next) == new
}

impl Tables {
    fn refuse_task(&self, task: &TaskRecord) -> bool {
        let stored = self.tasks.get(&task.id);
        !replaces(task.revision, stored.map(|stored| stored.revision))
    }

    fn refuse_instance(&self, cluster: &ClusterName, record: &InstanceRecord) -> bool {
        let stored = self
            .clusters
            .get(cluster)
            .and_then(|tables| tables.instances.get(record.arn()));
        !replaces(
            record.state().revision,
            stored.map(|view| view.record.state().revision),
        )
    }

    /// Whether the very same records are stored already: the answer to an earlier try was lost.
    fn is_stored(&self, change: &Change<'_>) -> bool {
        let task = change
            .task
            .is_none_or(|task| self.tasks.get(&task.id) == Some(task));
        let instance = change.instance.is_none_or(|(cluster, record)| {
            let stored = self
                .clusters
                .get(cluster)
                .and_then(|tables| tables.instances.get(record.arn()));
            stored.is_some_and(|view| *view.record == *record)
        });
        task && instance
    }
}
