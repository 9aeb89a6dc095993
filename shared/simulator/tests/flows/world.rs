//! One cluster with instances of 512 MiB and 1,024 CPU units, and task definitions of 100 MiB and 900 MiB.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use berth_control::cycle::{CycleEnd, run_cycle};
use berth_control::intake::{AfterFailure, BatchReport, DeadLetter, InboundMessage, Invocation, take_in};
use berth_control::ports::{
    Clock, DescribedInstance, Inspector, LaunchCall, Launcher, Ledger, Messenger, PortError, Ports,
    StopAnswer, TaskDefinitionAnswer,
};
use berth_control::records::TaskRecord;
use berth_control::settings::Settings;
use berth_control::track::{Tracked, track_instance, track_task};
use berth_control::wire::submission::TaskDefinitionName;
use berth_control::wire::task_definition;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Ec2InstanceId, ReportVersion, TaskArn, TaskGroup, TaskId,
};
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::progress::{Outcome, TaskState};
use berth_scheduler::quantity::{CpuUnits, MemoryMib};
use berth_scheduler::report::{
    AgentConnection, InstanceReport, InstanceStatus, ReportSource, TaskEnd, TaskReport, TaskStatus,
};
use berth_scheduler::resources::{Demand, Resources};
use berth_scheduler::timestamp::Timestamp;
use berth_simulator::memory::MemoryLedger;
use futures_util::FutureExt as _;

/// Everything a test plays with.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) ledger: MemoryLedger,
    pub(crate) ecs: ScriptedEcs,
    pub(crate) queues: Queues,
    pub(crate) clock: TestClock,
}

/// Answers from the script, and when it is empty by starting the task.
#[derive(Default)]
pub(crate) struct ScriptedEcs {
    pub(crate) script: RefCell<VecDeque<LaunchOutcome>>,
    pub(crate) calls: RefCell<Vec<LaunchCall>>,
    pub(crate) instances: RefCell<BTreeMap<ContainerInstanceArn, InstanceReport>>,
    pub(crate) tasks: RefCell<BTreeMap<TaskArn, TaskReport>>,
    /// Families whose task definitions were deregistered.
    pub(crate) deregistered: RefCell<BTreeSet<String>>,
    /// The tasks that StopTask was called for, with its reason.
    pub(crate) stops: RefCell<Vec<(TaskArn, String)>>,
}

#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) wakes: RefCell<Vec<u16>>,
    pub(crate) refusals: RefCell<Vec<serde_json::Value>>,
    pub(crate) dead_letters: RefCell<Vec<DeadLetter>>,
    /// So many wake messages cannot be sent.
    pub(crate) wake_failures: Cell<u32>,
}

#[derive(Default)]
pub(crate) struct TestClock(pub(crate) Cell<i64>);

pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("ports in memory answer at once")
}

pub(crate) fn cluster() -> ClusterName {
    ClusterName::parse("default").unwrap()
}

pub(crate) fn arn(name: &str) -> ContainerInstanceArn {
    ContainerInstanceArn::parse(&format!(
        "arn:aws:ecs:us-east-1:123456789012:container-instance/default/{name}"
    ))
    .unwrap()
}

pub(crate) fn ecs_task(name: &str) -> TaskArn {
    TaskArn::parse(&format!("arn:aws:ecs:us-east-1:123456789012:task/default/{name}")).unwrap()
}

/// A report of an instance with this much memory left.
pub(crate) fn report(name: &str, version: u64, remaining_mib: u32) -> InstanceReport {
    let resources = |mib| Resources {
        cpu: CpuUnits::new(1024),
        memory: MemoryMib::new(mib),
        ..Resources::default()
    };
    InstanceReport {
        instance: arn(name),
        ec2_instance_id: Some(Ec2InstanceId::parse(&format!("i-{name}")).unwrap()),
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: None,
        version: ReportVersion::new(version),
        updated_at: None,
        registered_at: None,
        registered: resources(512),
        remaining: resources(remaining_mib),
        running_tasks: 0,
        attributes: None,
        source: ReportSource::Event,
    }
}

/// The n-th task's message: 100 MiB unless the task definition says otherwise.
pub(crate) fn submission(id: &str, priority: u16, task_definition: &str) -> InboundMessage {
    let body = serde_json::json!({"id": id, "priority": priority, "taskDefinition": task_definition});
    message(id, &body.to_string())
}

pub(crate) fn message(id: &str, body: &str) -> InboundMessage {
    InboundMessage {
        after_failure: AfterFailure::ComesAgain,
        message_id: format!("message-{id}"),
        body: body.to_owned(),
        sent_at: Timestamp::from_millis(1_000),
    }
}

pub(crate) fn wake() -> InboundMessage {
    message("wake", r#"{"wake":{"cluster":"default"}}"#)
}

impl World {
    /// A world with instances of 512 MiB that capacity-tracker has seen.
    pub(crate) fn with_instances(names: &[&str]) -> Self {
        let world = Self::default();
        for name in names {
            world.register(&report(name, 1, 512));
        }
        world
    }

    pub(crate) fn register(&self, report: &InstanceReport) -> Tracked {
        self.ecs
            .instances
            .borrow_mut()
            .insert(report.instance.clone(), report.clone());
        self.observe(report)
    }

    pub(crate) fn observe(&self, report: &InstanceReport) -> Tracked {
        now(track_instance(&self.ledger, &self.queues, &cluster(), report)).unwrap()
    }

    pub(crate) fn observe_task(&self, report: &TaskReport) -> Tracked {
        now(track_task(&self.ledger, &self.queues, &cluster(), report)).unwrap()
    }

    pub(crate) fn ports(&self) -> Ports<'_, MemoryLedger, ScriptedEcs, Queues, TestClock> {
        Ports {
            ledger: &self.ledger,
            ecs: &self.ecs,
            messenger: &self.queues,
            clock: &self.clock,
        }
    }

    pub(crate) fn send(&self, messages: &[InboundMessage]) -> BatchReport {
        let settings = Settings::parse("default", "environment,resources").unwrap();
        self.send_to(&settings, messages)
    }

    /// Sends to a deployment with these settings.
    pub(crate) fn send_to(&self, settings: &Settings, messages: &[InboundMessage]) -> BatchReport {
        let invocation = Invocation {
            settings,
            owner: "test",
            deadline: self.deadline(),
        };
        now(take_in(self.ports(), invocation, messages))
    }

    pub(crate) fn cycle(&self) -> CycleEnd {
        now(run_cycle(
            self.ports(),
            &cluster(),
            WaitingPolicy::default(),
            "test",
            self.deadline(),
        ))
        .unwrap()
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.clock.now().saturating_add_seconds(60)
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.clock.0.set(self.clock.0.get() + seconds * 1000);
    }

    pub(crate) fn task(&self, id: &str) -> TaskRecord {
        now(self.ledger.load_task(&TaskId::parse(id).unwrap()))
            .unwrap()
            .expect("the task is recorded")
    }

    /// What came of a task; `None` while something can still happen to it.
    pub(crate) fn outcome(&self, id: &str) -> Option<Outcome> {
        match self.task(id).progress.state {
            TaskState::Final(task) => Some(task.outcome),
            _ => None,
        }
    }

    /// The task of the n-th RunTask call stops like this, and capacity-tracker and admitter hear of it.
    pub(crate) fn stop(&self, call: usize, end: TaskEnd) {
        let report = TaskReport {
            end: Some(end),
            ..self.task_report(call, TaskStatus::Stopped)
        };
        self.observe_task(&report);
        self.cycle();
    }

    /// The tasks that RunTask was called for, in order.
    pub(crate) fn launched(&self) -> Vec<String> {
        self.ecs
            .calls
            .borrow()
            .iter()
            .map(|call| call.attempt.task.to_string())
            .collect()
    }

    /// The tasks that wait, in order.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.ledger
            .waiting(&cluster())
            .iter()
            .map(|(rank, _)| rank.task().to_string())
            .collect()
    }

    /// What is free on an instance by its record, in MiB.
    pub(crate) fn free(&self, name: &str) -> u32 {
        let record = now(self.ledger.load_instance(&cluster(), &arn(name)))
            .unwrap()
            .expect("recorded");
        record.room().memory.get()
    }

    /// The only lane's hold reason, as JSON.
    pub(crate) fn hold(&self) -> serde_json::Value {
        let lanes = now(self.ledger.load_lanes(&cluster(), 1)).unwrap();
        let [lane] = &lanes[..] else { panic!("{lanes:?}") };
        let (reason, _) = lane.hold.as_ref().expect("a lane that waits has a reason");
        berth_control::records::hold::to_json(reason)
    }

    pub(crate) fn answer(&self, outcome: LaunchOutcome) {
        self.ecs.script.borrow_mut().push_back(outcome);
    }

    /// The report of a task that RunTask was called for, the n-th call counted from 0.
    pub(crate) fn task_report(&self, call: usize, status: TaskStatus) -> TaskReport {
        let call = &self.ecs.calls.borrow()[call];
        TaskReport {
            task: ecs_task(&format!(
                "{}-{}",
                call.attempt.task.copy_number(),
                call.attempt.task.submission()
            )),
            instance: Some(call.pin.instance.clone()),
            version: ReportVersion::new(1),
            status,
            created_at: Some(Timestamp::from_millis(0)),
            group: TaskGroup::parse("family:small").unwrap(),
            attempt: Some(call.attempt.clone()),
            demand: Demand {
                memory: MemoryMib::new(100),
                ..Demand::default()
            },
            end: (status == TaskStatus::Stopped).then(TaskEnd::default),
        }
    }
}

impl Launcher for ScriptedEcs {
    async fn run_task(&self, call: &LaunchCall) -> LaunchOutcome {
        self.calls.borrow_mut().push(call.clone());
        if let Some(outcome) = self.script.borrow_mut().pop_front() {
            return outcome;
        }
        let task = &call.attempt.task;
        LaunchOutcome::Placed {
            task: ecs_task(&format!("{}-{}", task.copy_number(), task.submission())),
            created_at: Some(Timestamp::from_millis(0)),
        }
    }

    async fn stop_task(
        &self,
        _cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<StopAnswer, PortError> {
        self.stops.borrow_mut().push((task.clone(), reason.to_owned()));
        Ok(StopAnswer::Stopping)
    }
}

impl Inspector for ScriptedEcs {
    async fn task_definition(&self, name: &TaskDefinitionName) -> Result<TaskDefinitionAnswer, PortError> {
        if self.deregistered.borrow().contains(name.family()) {
            return Ok(TaskDefinitionAnswer::Inactive);
        }
        let memory = match name.family() {
            "small" | "private" => 100,
            "huge" => 900,
            "retired" => return Ok(TaskDefinitionAnswer::Inactive),
            _ => {
                return Ok(TaskDefinitionAnswer::Unknown {
                    message: "no such family".to_owned(),
                });
            }
        };
        let network_mode = match name.family() {
            "private" => "awsvpc",
            _ => "bridge",
        };
        let definition: task_definition::TaskDefinition = serde_json::from_value(serde_json::json!({
            "taskDefinitionArn":
                format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{}:1", name.family()),
            "status": "ACTIVE",
            "networkMode": network_mode,
            "containerDefinitions": [{"name": "main", "cpu": 10, "memory": memory}],
        }))
        .unwrap();
        Ok(TaskDefinitionAnswer::Active(Box::new(definition.read().unwrap())))
    }

    async fn list_instances(
        &self,
        _cluster: &ClusterName,
    ) -> Result<Option<Vec<ContainerInstanceArn>>, PortError> {
        Ok(Some(self.instances.borrow().keys().cloned().collect()))
    }

    async fn describe_instances(
        &self,
        _cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> Result<Vec<DescribedInstance>, PortError> {
        let known = self.instances.borrow();
        let describe = |arn: &ContainerInstanceArn| match known.get(arn) {
            Some(report) => DescribedInstance::Found(Box::new(report.clone())),
            None => DescribedInstance::Missing(arn.clone()),
        };
        Ok(instances.iter().map(describe).collect())
    }

    async fn list_tasks(
        &self,
        _cluster: &ClusterName,
        _instance: &ContainerInstanceArn,
    ) -> Result<Vec<TaskArn>, PortError> {
        Ok(self.tasks.borrow().keys().cloned().collect())
    }

    async fn describe_tasks(
        &self,
        _cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> Result<Vec<TaskReport>, PortError> {
        let known = self.tasks.borrow();
        Ok(tasks.iter().filter_map(|task| known.get(task).cloned()).collect())
    }
}

impl Messenger for Queues {
    async fn wake(&self, _cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        if let Some(left) = self.wake_failures.get().checked_sub(1) {
            self.wake_failures.set(left);
            return Err(PortError::Failed {
                operation: "send a wake message",
                message: "no connection".to_owned(),
            });
        }
        self.wakes.borrow_mut().push(delay_seconds);
        Ok(())
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        self.refusals
            .borrow_mut()
            .push(serde_json::from_str(refusal).unwrap());
        Ok(())
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), PortError> {
        self.dead_letters.borrow_mut().push(letter.clone());
        Ok(())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.get())
    }
}
