//! Ten thousand events, shuffled, tripled and with one in a hundred lost, then one reconciliation: the records are
//! equal to what ECS says. A property over seeds.
//!
//! Berth starts tasks of its own meanwhile, as far as its records let it, between those of others; instances fill and
//! empty, are drained, lose their agents and register anew. Nothing is reconciled before the end.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::collections::BTreeSet;

use berth_control::intake::{AfterFailure, InboundMessage, Invocation, take_in};
use berth_control::ports::{Clock, Ports};
use berth_control::reconcile::reconcile;
use berth_control::settings::Settings;
use berth_control::track::{track_instance, track_task};
use berth_scheduler::demand::{
    Container, NetworkMode, OperatingSystem, TaskDefinition, TaskDefinitionStatus,
};
use berth_scheduler::id::{AttemptId, ClusterName, ContainerInstanceArn, Ec2InstanceId, TaskDefinitionArn};
use berth_scheduler::progress::TaskState;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::timestamp::Timestamp;
use berth_simulator::ecs::definition::Document;
use berth_simulator::ecs::fleet::Deregistration;
use berth_simulator::ecs::instance::Registration;
use berth_simulator::ecs::launch::{RunTaskRequest, Target};
use berth_simulator::ecs::{EcsEvent, EcsSettings, SimulatedEcs};
use berth_simulator::memory::MemoryLedger;
use berth_simulator::ports::{EcsPorts, MemoryQueues, VirtualClock};
use fastrand::Rng;
use futures_util::FutureExt as _;

const SEEDS: u64 = 5;
const EVENTS: usize = 10_000;
const INSTANCES: u64 = 12;

/// Events are delivered in random order among this many.
const SHUFFLED_AMONG: usize = 2_000;

const BEGAN: Timestamp = Timestamp::from_millis(1_795_255_200_000);

struct World {
    cluster: ClusterName,
    ledger: MemoryLedger,
    ecs: EcsPorts,
    queues: MemoryQueues,
    clock: VirtualClock,
    random: Rng,
    instances: u64,
    submitted: u64,
    /// What is under way, each as often as it will be delivered.
    pool: Vec<EcsEvent>,
    events: usize,
    lost: usize,
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let cluster = ClusterName::parse("default").unwrap();
        let settings = EcsSettings {
            stop_ms: 4_000,
            ..EcsSettings::default()
        };
        let mut ecs = SimulatedEcs::new(settings, BEGAN);
        ecs.create_cluster(&cluster, Document::new());
        ecs.register_task_definition("work", Document::new(), |arn| Ok(definition(&arn)))
            .unwrap();
        let mut world = Self {
            cluster,
            ledger: MemoryLedger::new(),
            ecs: EcsPorts::new(ecs),
            queues: MemoryQueues::default(),
            clock: VirtualClock::at(BEGAN),
            random: Rng::with_seed(seed),
            instances: 0,
            submitted: 0,
            pool: Vec::new(),
            events: 0,
            lost: 0,
        };
        for _ in 0..INSTANCES {
            world.register();
        }
        world
    }

    fn register(&mut self) {
        self.instances += 1;
        let id = Ec2InstanceId::parse(&format!("i-{:017x}", self.instances)).unwrap();
        let machine = Registration::new(id, "m5.large", "us-east-1a").with_resources(
            CpuUnits::new(4_096),
            MemoryMib::new(1_000),
            GpuCount::new(0),
        );
        let cluster = self.cluster.clone();
        self.ecs
            .with_ecs(|ecs| ecs.register_instance(&cluster, machine))
            .unwrap();
    }

    fn some_instance(&mut self) -> Option<ContainerInstanceArn> {
        let known = self
            .ecs
            .with_ecs(|ecs| ecs.describe_instances(&self.cluster))
            .unwrap();
        let chosen = self.random.usize(0..known.len().max(1));
        known.into_iter().nth(chosen).map(|report| report.instance)
    }

    /// One thing happens in the cluster; that an instance is in no state for it does not matter.
    fn something_happens(&mut self) {
        let Some(instance) = self.some_instance() else {
            return self.register();
        };
        let cluster = self.cluster.clone();
        match self.random.u8(0..40) {
            0 => drop(self.set_status(&instance, InstanceStatus::Draining)),
            1..=3 => drop(self.set_status(&instance, InstanceStatus::Active)),
            4 => drop(self.set_agent(&instance, AgentConnection::Disconnected)),
            5..=7 => drop(self.set_agent(&instance, AgentConnection::Connected)),
            8 if self.random.u8(0..10) == 0 => {
                let gone = |ecs: &mut SimulatedEcs| {
                    ecs.deregister_instance(&cluster, &instance, Deregistration::Forced)
                };
                drop(self.ecs.with_ecs(gone));
                self.register();
            }
            9..=16 => self.submit(),
            _ => {
                let mut request = RunTaskRequest::new(cluster, "work");
                request.duration_ms = Some(self.random.u64(1_000..60_000));
                request.target = Target::Pinned(instance);
                drop(self.ecs.with_ecs(|ecs| ecs.run_task(&request)));
            }
        }
    }

    fn set_status(&self, instance: &ContainerInstanceArn, status: InstanceStatus) -> Option<()> {
        let set = self
            .ecs
            .with_ecs(|ecs| ecs.set_instance_status(&self.cluster, instance, status));
        set.ok().map(|_| ())
    }

    fn set_agent(&self, instance: &ContainerInstanceArn, agent: AgentConnection) -> Option<()> {
        let set = self
            .ecs
            .with_ecs(|ecs| ecs.set_agent(&self.cluster, instance, agent));
        set.ok().map(|_| ())
    }

    fn submit(&mut self) {
        self.submitted += 1;
        let id = format!("t{}", self.submitted);
        let body = serde_json::json!({"id": id, "taskDefinition": "work", "overrides": {"containerOverrides": [
            {"name": "main", "environment": [{"name": "BERTH_TASK_SECONDS", "value": self.random.u8(1..60).to_string()}]}
        ]}});
        let message = InboundMessage {
            message_id: id,
            body: body.to_string(),
            sent_at: self.clock.now(),
            after_failure: AfterFailure::ComesAgain,
        };
        let settings = Settings::parse("default", "environment").unwrap();
        let invocation = Invocation {
            settings: &settings,
            owner: "test",
            deadline: self.clock.now().saturating_add_millis(60_000),
        };
        let report = now(take_in(self.ports(), invocation, &[message]));
        assert!(
            report.failed.is_empty() && report.failed_cycles.is_empty(),
            "{report:?}"
        );
    }

    fn ports(&self) -> Ports<'_, MemoryLedger, EcsPorts, MemoryQueues, VirtualClock> {
        Ports {
            ledger: &self.ledger,
            ecs: &self.ecs,
            messenger: &self.queues,
            clock: &self.clock,
        }
    }

    fn pass(&mut self, millis: u64) {
        let then = self.clock.now().saturating_add_millis(millis);
        self.clock.set(then);
        self.ecs.with_ecs(|ecs| ecs.advance_to(then));
        for event in self.ecs.with_ecs(SimulatedEcs::take_events) {
            self.events += 1;
            if self.random.u8(0..100) == 0 {
                self.lost += 1;
                continue;
            }
            self.pool.extend([event.clone(), event.clone(), event]);
        }
    }

    /// Delivers events, any of them first, until so many are left.
    fn deliver_down_to(&mut self, left: usize) {
        while self.pool.len() > left {
            let chosen = self.random.usize(0..self.pool.len());
            let event = self.pool.swap_remove(chosen);
            let tracked = match &event {
                EcsEvent::Instance { cluster, report } => {
                    now(track_instance(&self.ledger, &self.queues, cluster, report))
                }
                EcsEvent::Task { cluster, report } => {
                    now(track_task(&self.ledger, &self.queues, cluster, report))
                }
            };
            tracked.unwrap();
        }
    }

    /// Every record beside what ECS says.
    fn check(&self, seed: u64) {
        let truth = self
            .ecs
            .with_ecs(|ecs| ecs.describe_instances(&self.cluster))
            .unwrap();
        let tasks = self
            .ecs
            .with_ecs(|ecs| ecs.describe_tasks(&self.cluster))
            .unwrap();
        for truth in &truth {
            let id = format!("seed {seed}, {}", truth.instance.id());
            let records = self.ledger.instances(&self.cluster);
            let record = records
                .iter()
                .find(|record| *record.arn() == truth.instance)
                .unwrap();
            let state = record.state();
            assert_eq!((state.status, state.agent), (truth.status, truth.agent), "{id}");
            // A report that tells nothing new is not stored, so the version may be older; the room is what counts.
            assert!(state.version <= truth.version, "{id}");
            let (room, remaining) = (record.room(), &truth.remaining);
            assert_eq!((room.cpu, room.memory), (remaining.cpu, remaining.memory), "{id}");
            assert_eq!(
                (room.gpu, &room.ports_taken),
                (remaining.gpu, &remaining.ports_taken),
                "{id}"
            );
            let ours: BTreeSet<&AttemptId> = tasks
                .iter()
                .filter(|task| task.end.is_none() && task.instance.as_ref() == Some(&truth.instance))
                .filter_map(|task| task.attempt.as_ref())
                .collect();
            assert_eq!(state.reservations.keys().collect::<BTreeSet<_>>(), ours, "{id}");
        }
        let here: BTreeSet<_> = truth.iter().map(|truth| &truth.instance).collect();
        for record in self.ledger.instances(&self.cluster) {
            if !here.contains(record.arn()) {
                assert_eq!(record.state().status, InstanceStatus::Inactive, "seed {seed}");
                assert!(record.state().reservations.is_empty(), "seed {seed}");
            }
        }
        let live: BTreeSet<_> = tasks
            .iter()
            .filter(|task| task.end.is_none())
            .filter_map(|task| Some(task.attempt.as_ref()?.task.clone()))
            .collect();
        for task in self.ledger.tasks() {
            let started = matches!(task.progress.state, TaskState::Started(_));
            assert_eq!(started, live.contains(&task.id), "seed {seed}: {task:?}");
        }
    }
}

fn definition(arn: &str) -> TaskDefinition {
    let container = Container {
        name: "main".to_owned(),
        cpu: Some(CpuUnits::new(10)),
        memory: Some(MemoryMib::new(100)),
        ..Container::default()
    };
    TaskDefinition {
        arn: TaskDefinitionArn::parse(arn).unwrap(),
        status: TaskDefinitionStatus::Active,
        operating_system: OperatingSystem::Linux,
        network_mode: NetworkMode::Bridge,
        cpu: None,
        memory: None,
        containers: vec![container],
        required_attributes: Vec::new(),
        placement_constraints: Vec::new(),
    }
}

#[test]
fn ten_thousand_events_shuffled_tripled_and_one_in_a_hundred_lost_then_one_reconciliation() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        while world.events < EVENTS {
            world.something_happens();
            let millis = world.random.u64(1..1_500);
            world.pass(millis);
            world.deliver_down_to(SHUFFLED_AMONG);
        }
        world.deliver_down_to(0);
        assert!(world.lost > EVENTS / 200, "{} were lost", world.lost);
        // What was lost long ago is older than what ECS may not know yet.
        world.pass(11 * 60_000);
        world.pool.clear();
        let report = now(reconcile(world.ports(), &world.cluster)).unwrap();
        assert!(report.corrected > 0, "{report:?}");
        world.check(seed);
        assert!(world.ledger.tasks().len() > 200, "Berth has hardly done anything");
    }
}
