//! The calls of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_control::damage::{Damaged, RecordName, Replaced, Replacement};
use berth_control::ports::{
    Attention, Change, Committed, FallAsleep, Ledger, PassStart, PauseOrder, PortError, StoredLane, Turn,
    TurnRequest, WaitingList, WakeState,
};
use berth_control::records::{Appointment, LaneRecord, TaskRecord, lane as lane_record, task as task_record};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Generation, LaneKey, Revision, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::progress::Request;
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, LaneTail, Rank, WaitingTask};

use super::damage::{entry_name, instance_name};
use super::meter::{Pricing, Reading, Write, item_bytes};
use super::{Learning, MemoryLedger, StoredLaneRecord};

impl Ledger for MemoryLedger {
    async fn load_task(&self, task: &TaskId) -> Result<Option<TaskRecord>, PortError> {
        self.meter_read(Reading::Consistent, || {
            let tables = self.tables.borrow();
            tables
                .tasks
                .get(task)
                .map_or(0, |task| item_bytes(&task_record::to_json(task)))
        });
        let tables = self.tables.borrow();
        tables.check(&RecordName::Task(task.clone()))?;
        Ok(tables.tasks.get(task).cloned())
    }

    async fn commit(&self, change: Change<'_>) -> Result<Committed, PortError> {
        self.meter_commit(&change);
        let mut tables = self.tables.borrow_mut();
        if tables.is_stored(&change) {
            return Ok(Committed::Done);
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
        self.meter_capacity_read(std::iter::once(instance));
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
        self.meter_capacity_read(of_cluster.instances.keys());
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
        self.meter(Write::Capacity, Pricing::Plain, || {
            format!("{attributes:?}").len()
        });
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
        self.meter_read(Reading::Consistent, || 0);
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
                self.meter(Write::Lanes, Pricing::Plain, || {
                    item_bytes(&lane_record::to_json(lane))
                });
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
        self.meter(Write::WaitingList, Pricing::Plain, || 0);
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
        self.meter(Write::WaitingList, Pricing::Plain, || 0);
        self.with(cluster, |tables| {
            if let Some(waiting) = tables.waiting.get_mut(lane)
                && waiting.get(rank).is_some_and(|entry| entry.stamp <= seen)
            {
                waiting.remove(rank);
            }
        });
        Ok(())
    }

    async fn leads(&self, cluster: &ClusterName, lane: &LaneKey, rank: &Rank) -> Result<bool, PortError> {
        self.meter_read(Reading::Consistent, || 0);
        let tables = self.tables.borrow();
        let waiting = tables.clusters.get(cluster).and_then(|it| it.waiting.get(lane));
        let mut before = waiting
            .into_iter()
            .flat_map(|waiting| waiting.range(..rank.clone()));
        Ok(before.all(|(rank, _)| tables.is_damaged(&entry_name(lane, rank))))
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
        // The list of the lanes, and the first entries of each.
        for _ in 0..=of_cluster.lanes.len() {
            self.meter_read(Reading::Consistent, || 0);
        }
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
        self.meter(Write::Lanes, Pricing::Plain, || 0);
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
        self.meter(Write::Lanes, Pricing::Plain, || 0);
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
        self.meter(Write::RunTimes, Pricing::Plain, || 0);
        self.with(cluster, |tables| {
            let counts = tables.run_times.entry(family.clone()).or_default();
            counts.add(bucket, 1);
        });
        Ok(())
    }

    async fn load_run_times_of(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
    ) -> Result<RunTimeCounts, PortError> {
        self.meter_read(Reading::Eventual, || 0);
        let tables = self.tables.borrow();
        let of_cluster = tables.clusters.get(cluster);
        let learnt = of_cluster.and_then(|tables| tables.run_times.get(family));
        Ok(learnt.cloned().unwrap_or_default())
    }

    async fn load_run_times(&self, cluster: &ClusterName) -> Result<RunTimes, PortError> {
        self.meter_read(Reading::Consistent, || 0);
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
        // Its closing mark, and its removal.
        self.meter(Write::Lanes, Pricing::Twice, || 0);
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
        self.meter(Write::Appointments, Pricing::Plain, || 0);
        self.with(cluster, |tables| {
            let key = (appointment.due, appointment.task.clone());
            tables.appointments.insert(key, appointment.clone());
        });
        Ok(())
    }

    async fn dismiss(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.meter(Write::Appointments, Pricing::Plain, || 0);
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
        self.meter_read(Reading::Consistent, || 0);
        Ok(self.with(cluster, |tables| {
            let due = tables.appointments.values().take_while(|it| it.due <= due_by);
            due.take(most).cloned().collect()
        }))
    }

    async fn set_pause(&self, cluster: &ClusterName, order: &PauseOrder) -> Result<(), PortError> {
        self.meter(Write::Turn, Pricing::Plain, || 0);
        self.with(cluster, |tables| {
            let later = |known: &PauseOrder| known.stamp >= order.stamp;
            if !tables.pause.as_ref().is_some_and(later) {
                tables.pause = Some(order.clone());
            }
        });
        Ok(())
    }

    async fn load_pause(&self, cluster: &ClusterName) -> Result<Option<Request>, PortError> {
        self.meter_read(Reading::Consistent, || 0);
        Ok(self.with(cluster, |tables| {
            tables.pause.as_ref().and_then(|order| order.pause.clone())
        }))
    }

    async fn bump(&self, cluster: &ClusterName) -> Result<Attention, PortError> {
        self.meter(Write::Turn, Pricing::Plain, || 0);
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
        self.meter(Write::Turn, Pricing::Plain, || 0);
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
            tables.attention = Some(Attention::Awake);
            let turn = Turn {
                cluster: cluster.clone(),
                epoch: tables.turn.epoch,
                until,
            };
            TurnRequest::Taken(turn, tables.pass_start())
        }))
    }

    async fn begin_pass(&self, turn: &Turn) -> Result<Option<PassStart>, PortError> {
        self.meter_read(Reading::Consistent, || 0);
        self.pause().await;
        Ok(self.with(&turn.cluster, |tables| {
            (tables.turn.epoch == turn.epoch).then(|| tables.pass_start())
        }))
    }

    async fn hand_back(&self, turn: &Turn) -> Result<(), PortError> {
        self.meter(Write::Turn, Pricing::Plain, || 0);
        self.with(&turn.cluster, |tables| {
            if tables.turn.epoch == turn.epoch {
                tables.turn.holder = None;
            }
        });
        Ok(())
    }

    async fn fall_asleep(
        &self,
        turn: &Turn,
        seen: Generation,
        waiting: WaitingList,
    ) -> Result<FallAsleep, PortError> {
        self.meter(Write::Turn, Pricing::Plain, || 0);
        Ok(self.with(&turn.cluster, |tables| {
            if tables.turn.epoch != turn.epoch {
                return FallAsleep::TurnLost;
            }
            if tables.turn.holder.is_some() {
                if tables.generation != seen {
                    return FallAsleep::Moved;
                }
                tables.turn.holder = None;
                tables.attention = Some(match waiting {
                    WaitingList::Empty => Attention::Idle,
                    WaitingList::Occupied => Attention::Asleep,
                });
            }
            FallAsleep::Asleep
        }))
    }

    async fn wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        self.meter_read(Reading::Consistent, || 0);
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
