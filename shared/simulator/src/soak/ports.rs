//! The ports of one invocation: the real in-memory ones behind a network on which anything can go wrong.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use berth_control::damage::{Damaged, Replaced, Replacement};
use berth_control::intake::DeadLetter;
use berth_control::ports::{
    Attention, Change, Clock, Committed, DescribedInstance, FallAsleep, Inspector, LaunchCall, Launcher,
    Ledger, Messenger, PassStart, PauseOrder, PortError, StopAnswer, StoredLane, TaskDefinitionAnswer, Turn,
    TurnRequest, WakeState,
};
use berth_control::records::{Appointment, LaneRecord, TaskRecord};
use berth_control::wire::submission::TaskDefinitionName;
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Generation, LaneKey, Revision, TaskArn, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::Request;
use berth_scheduler::report::TaskReport;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Rank, WaitingTask};

use super::agenda::{Due, InvocationNumber, OwnedChange, Sleep};
use super::effect;
use super::fault::FaultKind;
use super::mutation::Mutation;
use super::world::{Service, World};

/// A call of RunTask that was given up arrives at most this much later, in milliseconds.
const LATE_LAUNCH_MS_MAX: u64 = 50_000;

/// A write that was given up arrives at most this much later, in milliseconds.
const LATE_WRITE_MS_MAX: u64 = 20_000;

/// The ports of one invocation.
#[derive(Debug)]
pub(super) struct SoakPorts {
    world: Rc<World>,
    invocation: InvocationNumber,
    /// How wrong the invocation's clock is, in milliseconds.
    skew_ms: i64,
    /// For mutations: whether anything was written, and whether news are kept back.
    wrote: Cell<bool>,
    pub(super) muted: Cell<bool>,
    kept_turn: RefCell<Option<Turn>>,
}

impl SoakPorts {
    pub(super) fn new(world: &Rc<World>, invocation: InvocationNumber) -> Self {
        let skew = if world.hits(FaultKind::ClockSkew) {
            world.fault_number(FaultKind::ClockSkew, 4_001)
        } else {
            2_000
        };
        Self {
            world: Rc::clone(world),
            invocation,
            skew_ms: i64::try_from(skew).unwrap_or(0) - 2_000,
            wrote: Cell::new(false),
            muted: Cell::new(false),
            kept_turn: RefCell::default(),
        }
    }

    async fn sleep(&self, millis: u64) {
        let until = self.world.now().saturating_add_millis(millis);
        Sleep {
            world: Rc::clone(&self.world),
            invocation: self.invocation,
            until,
            planned: Cell::new(false),
        }
        .await;
    }

    /// A call's way there or back. Now and then the invocation is paused.
    async fn travel(&self) {
        let mut millis = 1 + self.world.draw(self.world.slowness_ms);
        if self.world.hits(FaultKind::Pause) {
            millis += 1_000 + self.world.fault_number(FaultKind::Pause, 65_000);
        }
        self.sleep(millis).await;
    }

    /// The invocation dies here: the engine drops it, and nothing after this line ever runs.
    async fn crash(&self, name: &'static str) {
        self.world
            .note(|| format!("#{} crashes at {name}", self.invocation.0));
        self.world.crashed.borrow_mut().insert(self.invocation);
        std::future::pending().await
    }

    /// What stops a call before it takes effect.
    async fn before(&self, of: Service, name: &'static str) -> Result<(), PortError> {
        let world = &self.world;
        world.calls.set(world.calls.get() + 1);
        self.travel().await;
        if world.hits(FaultKind::CrashBefore) {
            self.crash(name).await;
        }
        let now = world.now();
        let out = world
            .weather
            .borrow()
            .outage
            .as_ref()
            .is_some_and(|(until, out)| *until > now && out.contains(&of));
        if out || world.hits(FaultKind::ErrorBefore) {
            return Err(self.failed(name, "no connection"));
        }
        let throttled = world
            .weather
            .borrow()
            .throttled_until
            .is_some_and(|until| until > now);
        if throttled && world.fault_number(FaultKind::Throttle, 2) == 0 {
            world.faults.borrow_mut().count(FaultKind::Throttle);
            world.note(|| format!("#{} {name} is throttled", self.invocation.0));
            return Err(PortError::Throttled { service: name });
        }
        Ok(())
    }

    /// What happens to the answer.
    async fn after(&self, name: &'static str) -> Result<(), PortError> {
        if self.world.hits(FaultKind::CrashAfter) {
            self.crash(name).await;
        }
        self.travel().await;
        if self.world.hits(FaultKind::LostReply) {
            // The same broken network may be the beginning of something longer.
            if self.world.is_on(FaultKind::Outage) && self.world.fault_number(FaultKind::Outage, 10) == 0 {
                self.world.faults.borrow_mut().count(FaultKind::Outage);
                self.world.begin_outage();
            }
            return Err(self.failed(name, "the answer is lost"));
        }
        Ok(())
    }

    fn failed(&self, operation: &'static str, message: &str) -> PortError {
        self.world
            .note(|| format!("#{} {operation} fails: {message}", self.invocation.0));
        PortError::Failed {
            operation,
            message: message.to_owned(),
        }
    }

    async fn call<T>(
        &self,
        of: Service,
        name: &'static str,
        effect: impl FnOnce(&World) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.before(of, name).await?;
        let answer = effect(&self.world)?;
        self.after(name).await?;
        Ok(answer)
    }

    async fn table<T>(
        &self,
        name: &'static str,
        effect: impl FnOnce(&World) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.call(Service::Ledger, name, effect).await
    }

    fn has(&self, mutation: Mutation) -> bool {
        self.world.has(mutation)
    }
}

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
            turn: change.turn.cloned(),
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
            effect::at_once(world.ledger.dequeue(cluster, lane, rank, seen))
        })
        .await
    }

    async fn appoint(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        self.table("appoint", |world| {
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

    async fn load_lanes(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> Result<Vec<StoredLane>, PortError> {
        let read = |world: &World| {
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
        if self.muted.get() || self.has(Mutation::SilentRepeat) && self.muted_unless_written() {
            return Ok(Attention::Awake);
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

    async fn begin_pass(&self, cluster: &ClusterName) -> Result<PassStart, PortError> {
        self.table("begin_pass", |world| {
            effect::begin_pass(world, self.invocation, cluster)
        })
        .await
    }

    async fn hand_back(&self, turn: &Turn) -> Result<(), PortError> {
        if self.has(Mutation::AsleepBeforeHandBack) {
            *self.kept_turn.borrow_mut() = Some(turn.clone());
            return Ok(());
        }
        self.table("hand_back", |world| {
            effect::hand_back(world, self.invocation, turn)
        })
        .await
    }

    async fn fall_asleep(&self, cluster: &ClusterName, seen: Generation) -> Result<FallAsleep, PortError> {
        let asleep = self
            .table("fall_asleep", |world| {
                effect::fall_asleep(world, self.invocation, cluster, seen)
            })
            .await;
        self.hand_back_kept_turn().await?;
        asleep
    }

    async fn wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        self.table("wake_state", |world| {
            effect::at_once(world.ledger.wake_state(cluster))
        })
        .await
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

    /// For the mutation that hands the turn back last.
    async fn hand_back_kept_turn(&self) -> Result<(), PortError> {
        let kept = self.kept_turn.borrow_mut().take();
        if let Some(turn) = kept {
            self.sleep(1_000).await;
            self.table("hand_back", |world| {
                effect::hand_back(world, self.invocation, &turn)
            })
            .await?;
        }
        Ok(())
    }
}

impl Launcher for SoakPorts {
    async fn run_task(&self, call: &LaunchCall) -> LaunchOutcome {
        let world = &self.world;
        if world.hits(FaultKind::LateLaunch) {
            let late_ms = world.fault_number(FaultKind::LateLaunch, LATE_LAUNCH_MS_MAX);
            world.note(|| {
                format!(
                    "#{} RunTask for {} is given up, and late",
                    self.invocation.0,
                    call.attempt.started_by()
                )
            });
            world.plan_in(late_ms, Due::Launch(Box::new(call.clone())));
            self.travel().await;
            return LaunchOutcome::Unknown {
                message: "timed out".to_owned(),
            };
        }
        let invocation = self.invocation;
        let answer = self
            .call(Service::Ecs, "RunTask", |world| {
                Ok(effect::launch(world, Some(invocation), call))
            })
            .await;
        match answer {
            Ok(outcome) => outcome,
            Err(PortError::Throttled { .. }) => LaunchOutcome::Throttled,
            Err(error) => LaunchOutcome::Unknown {
                message: error.to_string(),
            },
        }
    }

    async fn stop_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<StopAnswer, PortError> {
        let stop = |world: &World| effect::at_once(world.ecs.stop_task(cluster, task, reason));
        self.call(Service::Ecs, "StopTask", stop).await
    }
}

impl Inspector for SoakPorts {
    async fn task_definition(&self, name: &TaskDefinitionName) -> Result<TaskDefinitionAnswer, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.task_definition(name));
        self.call(Service::Ecs, "DescribeTaskDefinition", ask).await
    }

    async fn list_instances(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Vec<ContainerInstanceArn>>, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.list_instances(cluster));
        self.call(Service::Ecs, "ListContainerInstances", ask).await
    }

    async fn describe_instances(
        &self,
        cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> Result<Vec<DescribedInstance>, PortError> {
        let ask = |world: &World| effect::describe_instances(world, cluster, instances);
        self.call(Service::Ecs, "DescribeContainerInstances", ask).await
    }

    async fn list_tasks(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Vec<TaskArn>, PortError> {
        let ask = |world: &World| effect::at_once(world.ecs.list_tasks(cluster, instance));
        self.call(Service::Ecs, "ListTasks", ask).await
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> Result<Vec<TaskReport>, PortError> {
        let ask = |world: &World| effect::describe_tasks(world, cluster, tasks);
        self.call(Service::Ecs, "DescribeTasks", ask).await
    }
}

impl Messenger for SoakPorts {
    async fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        self.hand_back_kept_turn().await?;
        let send = |world: &World| {
            world.note(|| format!("#{} wakes `{cluster}` in {delay_seconds} s", self.invocation.0));
            world.send_wake(cluster, delay_seconds);
            Ok(())
        };
        let sent = self.call(Service::Queues, "wake", send).await;
        if sent.is_err() {
            self.world.disturb();
        }
        sent
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        let send = |world: &World| {
            let refusal: serde_json::Value = serde_json::from_str(refusal).unwrap_or_default();
            let field = |name| {
                refusal
                    .get(name)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
            };
            let message = field("messageId");
            world.note(|| format!("#{} refuses `{message}`: {}", self.invocation.0, field("reason")));
            world
                .referee
                .borrow_mut()
                .refused_messages
                .insert(message.to_owned());
            Ok(())
        };
        self.call(Service::Queues, "refuse", send).await
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), PortError> {
        let send = |world: &World| {
            world.note(|| {
                format!(
                    "#{} `{}` is a dead letter: {}",
                    self.invocation.0, letter.message_id, letter.reason
                )
            });
            let mut sqs = world.sqs.borrow_mut();
            sqs.send_dead_letter(&letter.message_id, &letter.body, world.now());
            Ok(())
        };
        self.call(Service::Queues, "dead_letter", send).await
    }
}

impl Clock for SoakPorts {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world.now().as_millis().saturating_add(self.skew_ms))
    }
}
