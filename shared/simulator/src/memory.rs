//! The ledger in memory: the same promises as the DynamoDB one, for the local run and for tests.

mod damage;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use berth_control::damage::{Damaged, RecordName, Replaced, Replacement};
use berth_control::ports::{
    Attention, Change, Committed, FallAsleep, Ledger, PassStart, PauseOrder, PortError, StoredLane, Turn,
    TurnRequest, WakeState,
};
use berth_control::records::form::RecordError;
use berth_control::records::{Appointment, LaneRecord, TaskRecord};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Epoch, Generation, LaneKey, Revision, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::progress::Request;
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, LaneTail, Rank, WaitingTask};
use serde_json::Value;

use damage::{entry_name, instance_name};

/// All tables of a deployment.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    tables: RefCell<Tables>,
    pace: Pace,
    learning: Learning,
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

    fn holds(&self, turn: &Turn) -> bool {
        self.clusters
            .get(&turn.cluster)
            .is_some_and(|tables| tables.turn.epoch == turn.epoch)
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

impl Ledger for MemoryLedger {
    async fn load_task(&self, task: &TaskId) -> Result<Option<TaskRecord>, PortError> {
        let tables = self.tables.borrow();
        tables.check(&RecordName::Task(task.clone()))?;
        Ok(tables.tasks.get(task).cloned())
    }

    async fn commit(&self, change: Change<'_>) -> Result<Committed, PortError> {
        let mut tables = self.tables.borrow_mut();
        if tables.is_stored(&change) {
            return Ok(Committed::Done);
        }
        if change.turn.is_some_and(|turn| !tables.holds(turn)) {
            return Ok(Committed::TurnLost);
        }
        if change.task.is_some_and(|task| tables.refuse_task(task)) {
            return Ok(Committed::TaskMoved);
        }
        if change
            .instance
            .is_some_and(|(cluster, record)| tables.refuse_instance(cluster, record))
        {
            return Ok(Committed::InstanceMoved);
        }
        // A write by a revision from before the damage makes it good.
        if let Some(task) = change.task {
            tables.damaged.remove(&RecordName::Task(task.id.clone()));
            tables.tasks.insert(task.id.clone(), task.clone());
        }
        if let Some((cluster, record)) = change.instance {
            tables.damaged.remove(&instance_name(record.arn()));
            let of_cluster = tables.clusters.entry(cluster.clone()).or_default();
            let attributes = of_cluster
                .attributes
                .get(record.arn())
                .cloned()
                .unwrap_or_default();
            let view = InstanceView {
                record: Arc::new(record.clone()),
                attributes,
            };
            of_cluster.instances.insert(record.arn().clone(), view);
        }
        Ok(Committed::Done)
    }

    async fn load_instance(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Option<InstanceRecord>, PortError> {
        let tables = self.tables.borrow();
        tables.check(&instance_name(instance))?;
        let stored = tables
            .clusters
            .get(cluster)
            .and_then(|tables| tables.instances.get(instance));
        Ok(stored.map(|view| (*view.record).clone()))
    }

    async fn load_instances(&self, cluster: &ClusterName) -> Result<Vec<InstanceView>, PortError> {
        let tables = self.tables.borrow();
        let Some(of_cluster) = tables.clusters.get(cluster) else {
            return Ok(Vec::new());
        };
        let matters = |view: &&InstanceView| {
            let state = view.record.state();
            let matters = state.status != InstanceStatus::Inactive || !state.reservations.is_empty();
            matters && !tables.is_damaged(&instance_name(view.record.arn()))
        };
        Ok(of_cluster.instances.values().filter(matters).cloned().collect())
    }

    async fn store_attributes(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
        attributes: &AttributeSet,
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            let attributes = Arc::new(attributes.clone());
            if let Some(view) = tables.instances.get_mut(instance) {
                view.attributes = Arc::clone(&attributes);
            }
            tables.attributes.insert(instance.clone(), attributes);
        });
        Ok(())
    }

    async fn open_lane(&self, cluster: &ClusterName, lane: &LaneRecord) -> Result<(), PortError> {
        // A damaged one is written anew.
        let name = RecordName::Lane(lane.key.clone());
        let was_damaged = self.tables.borrow_mut().damaged.remove(&name).is_some();
        self.with(cluster, |tables| {
            if was_damaged || !tables.lanes.contains_key(&lane.key) {
                let stored = StoredLaneRecord {
                    record: lane.clone(),
                    hold: None,
                    claims: Vec::new(),
                };
                tables.lanes.insert(lane.key.clone(), stored);
            }
        });
        Ok(())
    }

    async fn enqueue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        task: &WaitingTask,
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            let waiting = tables.waiting.entry(lane.clone()).or_default();
            let newer = |known: &WaitingTask| known.stamp >= task.stamp;
            if !waiting.get(&task.rank).is_some_and(newer) {
                waiting.insert(task.rank.clone(), task.clone());
            }
        });
        Ok(())
    }

    async fn dequeue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
        seen: Revision,
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            if let Some(waiting) = tables.waiting.get_mut(lane)
                && waiting.get(rank).is_some_and(|entry| entry.stamp <= seen)
            {
                waiting.remove(rank);
            }
        });
        Ok(())
    }

    async fn load_lanes(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> Result<Vec<StoredLane>, PortError> {
        let tables = self.tables.borrow();
        let Some(of_cluster) = tables.clusters.get(cluster) else {
            return Ok(Vec::new());
        };
        let load = |(key, stored): (&LaneKey, &StoredLaneRecord)| {
            let waiting = of_cluster.waiting.get(key);
            let readable = |(rank, _): &(&Rank, &WaitingTask)| !tables.is_damaged(&entry_name(key, rank));
            let heads = waiting.into_iter().flatten().filter(readable).take(heads_max);
            let heads: Vec<WaitingTask> = heads.map(|(_, entry)| entry.clone()).collect();
            let more = waiting.is_some_and(|waiting| waiting.iter().filter(readable).count() > heads.len());
            StoredLane {
                lane: Lane {
                    key: key.clone(),
                    shape: Arc::clone(&stored.record.shape),
                    heads,
                    tail: if more {
                        LaneTail::MoreWaiting
                    } else {
                        LaneTail::Empty
                    },
                    claims: stored.claims.clone(),
                },
                hold: stored.hold.clone(),
            }
        };
        let readable =
            |(key, _): &(&LaneKey, &StoredLaneRecord)| !tables.is_damaged(&RecordName::Lane((*key).clone()));
        Ok(of_cluster.lanes.iter().filter(readable).map(load).collect())
    }

    async fn record_hold(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        reason: &HoldReason,
        now: Timestamp,
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            if let Some(stored) = tables.lanes.get_mut(lane) {
                stored.hold = Some((reason.clone(), now));
            }
        });
        Ok(())
    }

    async fn record_claims(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        claims: &[ContainerInstanceArn],
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            if let Some(stored) = tables.lanes.get_mut(lane) {
                stored.claims = claims.to_vec();
            }
        });
        Ok(())
    }

    async fn count_run_time(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        bucket: RunTimeBucket,
    ) -> Result<(), PortError> {
        if self.learning == Learning::Off {
            return Ok(());
        }
        self.with(cluster, |tables| {
            let counts = tables.run_times.entry(family.clone()).or_default();
            counts.add(bucket, 1);
        });
        Ok(())
    }

    async fn load_run_times(&self, cluster: &ClusterName) -> Result<RunTimes, PortError> {
        let tables = self.tables.borrow();
        let of_cluster = tables.clusters.get(cluster);
        let learnt = of_cluster.into_iter().flat_map(|tables| &tables.run_times);
        Ok(learnt
            .map(|(family, counts)| (family.clone(), counts.clone()))
            .collect())
    }

    async fn halve_run_times(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        seen: &RunTimeCounts,
    ) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            if let Some(counts) = tables.run_times.get_mut(family)
                && counts == seen
                && let Some(halved) = seen.halved()
            {
                *counts = halved;
            }
        });
        Ok(())
    }

    async fn retire_lane(&self, cluster: &ClusterName, lane: &LaneKey) -> Result<(), PortError> {
        // Nothing happens between the look and the removal here, so there is no closing mark.
        self.with(cluster, |tables| {
            if tables.waiting.get(lane).is_none_or(BTreeMap::is_empty) {
                tables.waiting.remove(lane);
                tables.lanes.remove(lane);
            }
        });
        Ok(())
    }

    async fn appoint(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            let key = (appointment.due, appointment.task.clone());
            tables.appointments.insert(key, appointment.clone());
        });
        Ok(())
    }

    async fn dismiss(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            tables
                .appointments
                .remove(&(appointment.due, appointment.task.clone()));
        });
        Ok(())
    }

    async fn load_appointments(
        &self,
        cluster: &ClusterName,
        due_by: Timestamp,
        most: usize,
    ) -> Result<Vec<Appointment>, PortError> {
        Ok(self.with(cluster, |tables| {
            let due = tables.appointments.values().take_while(|it| it.due <= due_by);
            due.take(most).cloned().collect()
        }))
    }

    async fn set_pause(&self, cluster: &ClusterName, order: &PauseOrder) -> Result<(), PortError> {
        self.with(cluster, |tables| {
            let later = |known: &PauseOrder| known.stamp >= order.stamp;
            if !tables.pause.as_ref().is_some_and(later) {
                tables.pause = Some(order.clone());
            }
        });
        Ok(())
    }

    async fn load_pause(&self, cluster: &ClusterName) -> Result<Option<Request>, PortError> {
        Ok(self.with(cluster, |tables| {
            tables.pause.as_ref().and_then(|order| order.pause.clone())
        }))
    }

    async fn bump(&self, cluster: &ClusterName) -> Result<Attention, PortError> {
        Ok(self.with(cluster, |tables| {
            tables.generation = tables.generation.next();
            tables.attention.unwrap_or(Attention::Asleep)
        }))
    }

    async fn take_turn(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<TurnRequest, PortError> {
        self.pause().await;
        Ok(self.with(cluster, |tables| {
            if let Some((holder, held_until)) = &tables.turn.holder
                && *held_until > now
                && holder != owner
            {
                return TurnRequest::HeldUntil(*held_until);
            }
            tables.turn.epoch = tables.turn.epoch.next();
            tables.turn.holder = Some((owner.to_owned(), until));
            TurnRequest::Taken(Turn {
                cluster: cluster.clone(),
                epoch: tables.turn.epoch,
                until,
            })
        }))
    }

    async fn begin_pass(&self, cluster: &ClusterName) -> Result<PassStart, PortError> {
        self.pause().await;
        Ok(self.with(cluster, |tables| {
            tables.attention = Some(Attention::Awake);
            PassStart {
                generation: tables.generation,
                pause: tables.pause.as_ref().and_then(|order| order.pause.clone()),
            }
        }))
    }

    async fn hand_back(&self, turn: &Turn) -> Result<(), PortError> {
        self.with(&turn.cluster, |tables| {
            if tables.turn.epoch == turn.epoch {
                tables.turn.holder = None;
            }
        });
        Ok(())
    }

    async fn fall_asleep(&self, cluster: &ClusterName, seen: Generation) -> Result<FallAsleep, PortError> {
        Ok(self.with(cluster, |tables| {
            if tables.generation != seen {
                return FallAsleep::Moved;
            }
            tables.attention = Some(Attention::Asleep);
            FallAsleep::Asleep
        }))
    }

    async fn wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        Ok(self.with(cluster, |tables| WakeState {
            attention: tables.attention.unwrap_or(Attention::Asleep),
            turn_until: tables.turn.holder.as_ref().map(|(_, until)| *until),
        }))
    }

    async fn load_damaged(&self, cluster: &ClusterName) -> Result<Vec<Damaged>, PortError> {
        Ok(self.damaged_records(cluster))
    }

    async fn load_damaged_task(&self, task: &TaskId) -> Result<Option<Damaged>, PortError> {
        Ok(self.damaged_task(task))
    }

    async fn replace_damaged(
        &self,
        cluster: &ClusterName,
        damaged: &Damaged,
        with: Replacement,
    ) -> Result<Replaced, PortError> {
        Ok(self.put_in_place(cluster, damaged, with))
    }
}
