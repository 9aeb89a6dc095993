//! The tables behind the network, and the mistakes that mutations make in their use.

use berth_control::damage::{Damaged, Replaced, Replacement};
use berth_control::ports::{
    Attention, Change, Clock, Committed, FallAsleep, Ledger, PassStart, PauseOrder, PortError, StoredLane,
    Turn, TurnRequest, WaitingList, WakeState,
};
use berth_control::records::{Appointment, LaneRecord, TaskRecord};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Generation, LaneKey, Revision, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::progress::Request;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Rank, WaitingTask};

use super::super::agenda::{Due, OwnedChange};
use super::super::effect;
use super::super::fault::FaultKind;
use super::super::mutation::Mutation;
use super::super::world::{Service, World};
use super::SoakPorts;

/// A write that was given up arrives at most this much later, in milliseconds.
const LATE_WRITE_MS_MAX: u64 = 20_000;

impl Ledger for SoakPorts {
    async fn load_task(&self, task: &TaskId) -> Result<Option<TaskRecord>, PortError> {
        let read = |world: &World| {
            let record = effect::at_once(world.ledger.load_task(task))?;
            let now = self.now();
            Ok(record.map(|record| match world.mutation {
                Some(mutation) => mutation.read_task(record, now),
                None => record,
            }))
        };
        self.table("load_task", read).await
    }

    async fn commit(&self, change: Change<'_>) -> Result<Committed, PortError> {
        let world = &self.world;
        let owned = OwnedChange {
            by: self.invocation,
            task: change.task.cloned(),
            instance: change
                .instance
                .map(|(cluster, record)| (cluster.clone(), record.clone())),
        };
        self.before(Service::Ledger, "commit").await?;
        if world.hits(FaultKind::LateWrite) {
            let late_ms = world.fault_number(FaultKind::LateWrite, LATE_WRITE_MS_MAX);
            world.referee.borrow_mut().keep_pass(self.invocation);
            world.plan_in(late_ms, Due::Write(Box::new(owned)));
            return Err(self.failed("commit", "given up, and on its way"));
        }
        if world.hits(FaultKind::Conflict) {
            let moved = if owned.task.is_some() {
                Committed::TaskMoved
            } else {
                Committed::InstanceMoved
            };
            world.note(|| format!("#{} commit meets another one: {moved:?}", self.invocation.0));
            self.after("commit").await?;
            return Ok(moved);
        }
        if self.has(Mutation::NoStrike) && effect::strikes_off(world, &owned)? {
            return Ok(Committed::Done);
        }
        let committed = effect::commit(world, owned)?;
        self.wrote.set(self.wrote.get() || committed == Committed::Done);
        if self.has(Mutation::SilentRepeat) && self.tracks() && world.draw(3) == 0 {
            // The mutation shows only when a write is not followed by its announcement, which is rare.
            self.crash("commit").await;
        }
        self.after("commit").await?;
        Ok(committed)
    }

    async fn load_instance(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Option<InstanceRecord>, PortError> {
        let read = |world: &World| {
            let record = effect::at_once(world.ledger.load_instance(cluster, instance))?;
            Ok(match world.mutation {
                Some(mutation) => record.map(|record| mutation.read_instance(record)),
                None => record,
            })
        };
        self.table("load_instance", read).await
    }

    async fn load_instances(&self, cluster: &ClusterName) -> Result<Vec<InstanceView>, PortError> {
        let read = |world: &World| {
            if world.has(Mutation::StaleRead) {
                return Ok(effect::views_before(world, cluster));
            }
            let views = effect::at_once(world.ledger.load_instances(cluster))?;
            Ok(match world.mutation {
                Some(mutation) => mutation.read_views(views),
                None => views,
            })
        };
        self.table("load_instances", read).await
    }

    async fn store_attributes(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
        attributes: &AttributeSet,
    ) -> Result<(), PortError> {
        let write =
            |world: &World| effect::at_once(world.ledger.store_attributes(cluster, instance, attributes));
        self.table("store_attributes", write).await
    }

    async fn open_lane(&self, cluster: &ClusterName, lane: &LaneRecord) -> Result<(), PortError> {
        self.table("open_lane", |world| {
            effect::at_once(world.ledger.open_lane(cluster, lane))
        })
        .await
    }

    async fn enqueue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        task: &WaitingTask,
    ) -> Result<(), PortError> {
        self.table("enqueue", |world| {
            effect::at_once(world.ledger.enqueue(cluster, lane, task))
        })
        .await
    }

    async fn dequeue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
        seen: Revision,
    ) -> Result<(), PortError> {
        self.table("dequeue", |world| {
            if world.has(Mutation::EntriesStay) {
                return Ok(());
            }
            world.note(|| {
                let by = self.invocation.0;
                format!("#{by} takes `{}` out of its lane, seen at {seen}", rank.task())
            });
            effect::at_once(world.ledger.dequeue(cluster, lane, rank, seen))
        })
        .await
    }

    async fn appoint(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.table("appoint", |world| {
            if world.has(Mutation::NoAppointments) {
                return Ok(());
            }
            effect::at_once(world.ledger.appoint(cluster, appointment))
        })
        .await
    }

    async fn dismiss(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.table("dismiss", |world| {
            effect::at_once(world.ledger.dismiss(cluster, appointment))
        })
        .await
    }

    async fn load_appointments(
        &self,
        cluster: &ClusterName,
        due_by: Timestamp,
        most: usize,
    ) -> Result<Vec<Appointment>, PortError> {
        self.table("load_appointments", |world| {
            effect::at_once(world.ledger.load_appointments(cluster, due_by, most))
        })
        .await
    }

    async fn set_pause(&self, cluster: &ClusterName, order: &PauseOrder) -> Result<(), PortError> {
        self.table("set_pause", |world| {
            effect::at_once(world.ledger.set_pause(cluster, order))
        })
        .await
    }

    async fn leads(&self, cluster: &ClusterName, lane: &LaneKey, rank: &Rank) -> Result<bool, PortError> {
        self.table("leads", |world| {
            if world.has(Mutation::QuietInFront) {
                return Ok(false);
            }
            effect::at_once(world.ledger.leads(cluster, lane, rank))
        })
        .await
    }

    async fn load_lanes(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> Result<Vec<StoredLane>, PortError> {
        let read = |world: &World| {
            if heads_max == 1 && world.has(Mutation::NoSecondLook) {
                return Ok(Vec::new());
            }
            let mut lanes = effect::at_once(world.ledger.load_lanes(cluster, heads_max))?;
            if world.has(Mutation::LastFirst) {
                for stored in &mut lanes {
                    stored.lane.heads.reverse();
                }
            }
            Ok(lanes)
        };
        self.table("load_lanes", read).await
    }

    async fn record_hold(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        reason: &HoldReason,
        now: Timestamp,
    ) -> Result<(), PortError> {
        self.table("record_hold", |world| {
            effect::at_once(world.ledger.record_hold(cluster, lane, reason, now))
        })
        .await
    }

    async fn record_claims(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        claims: &[ContainerInstanceArn],
    ) -> Result<(), PortError> {
        self.table("record_claims", |world| {
            effect::at_once(world.ledger.record_claims(cluster, lane, claims))
        })
        .await
    }

    async fn count_run_time(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        bucket: RunTimeBucket,
    ) -> Result<(), PortError> {
        self.table("count_run_time", |world| {
            effect::at_once(world.ledger.count_run_time(cluster, family, bucket))
        })
        .await
    }

    async fn load_run_times_of(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
    ) -> Result<RunTimeCounts, PortError> {
        self.table("load_run_times_of", |world| {
            effect::at_once(world.ledger.load_run_times_of(cluster, family))
        })
        .await
    }

    async fn load_run_times(&self, cluster: &ClusterName) -> Result<RunTimes, PortError> {
        self.table("load_run_times", |world| {
            effect::at_once(world.ledger.load_run_times(cluster))
        })
        .await
    }

    async fn halve_run_times(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        seen: &RunTimeCounts,
    ) -> Result<(), PortError> {
        self.table("halve_run_times", |world| {
            effect::at_once(world.ledger.halve_run_times(cluster, family, seen))
        })
        .await
    }

    async fn retire_lane(&self, cluster: &ClusterName, lane: &LaneKey) -> Result<(), PortError> {
        self.table("retire_lane", |world| {
            effect::at_once(world.ledger.retire_lane(cluster, lane))
        })
        .await
    }

    async fn load_pause(&self, cluster: &ClusterName) -> Result<Option<Request>, PortError> {
        self.table("load_pause", |world| {
            effect::at_once(world.ledger.load_pause(cluster))
        })
        .await
    }

    async fn bump(&self, cluster: &ClusterName) -> Result<Attention, PortError> {
        if self.has(Mutation::UncountedNews) {
            let state = self.wake_state(cluster).await?;
            return Ok(state.attention);
        }
        self.table("bump", |world| effect::bump(world, self.invocation, cluster))
            .await
    }

    async fn take_turn(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<TurnRequest, PortError> {
        let take = |world: &World| effect::take_turn(world, self.invocation, cluster, owner, now, until);
        self.table("take_turn", take).await
    }

    async fn begin_pass(&self, turn: &Turn) -> Result<Option<PassStart>, PortError> {
        self.table("begin_pass", |world| {
            effect::begin_pass(world, self.invocation, turn)
        })
        .await
    }

    async fn hand_back(&self, turn: &Turn) -> Result<(), PortError> {
        self.table("hand_back", |world| {
            effect::hand_back(world, self.invocation, turn)
        })
        .await
    }

    async fn fall_asleep(
        &self,
        turn: &Turn,
        seen: Generation,
        waiting: WaitingList,
    ) -> Result<FallAsleep, PortError> {
        self.table("fall_asleep", |world| {
            effect::fall_asleep(world, self.invocation, turn, seen, waiting)
        })
        .await
    }

    async fn wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        let mut state = self
            .table("wake_state", |world| {
                effect::at_once(world.ledger.wake_state(cluster))
            })
            .await?;
        if self.muted.get() || self.has(Mutation::SilentRepeat) && self.muted_unless_written() {
            state.attention = Attention::Idle;
        }
        Ok(state)
    }

    async fn load_damaged(&self, cluster: &ClusterName) -> Result<Vec<Damaged>, PortError> {
        self.table("load_damaged", |world| {
            effect::at_once(world.ledger.load_damaged(cluster))
        })
        .await
    }

    async fn load_damaged_task(&self, task: &TaskId) -> Result<Option<Damaged>, PortError> {
        self.table("load_damaged_task", |world| {
            effect::at_once(world.ledger.load_damaged_task(task))
        })
        .await
    }

    async fn replace_damaged(
        &self,
        cluster: &ClusterName,
        damaged: &Damaged,
        with: Replacement,
    ) -> Result<Replaced, PortError> {
        self.table("replace_damaged", |world| {
            effect::at_once(world.ledger.replace_damaged(cluster, damaged, with))
        })
        .await
    }
}

impl SoakPorts {
    /// For the mutation that keeps what is known to itself.
    fn muted_unless_written(&self) -> bool {
        self.tracks() && !self.wrote.get()
    }

    fn tracks(&self) -> bool {
        self.world.trackers.borrow().contains(&self.invocation)
    }
}
