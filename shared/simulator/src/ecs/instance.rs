//! Container instances of the simulated ECS, with two accounts of their resources: ECS's own, which is given
//! back as soon as a task begins to stop, and the agent's, which waits until its containers have ended.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};

use berth_scheduler::attributes::{AttributeSet, Fingerprint};
use berth_scheduler::eni;
use berth_scheduler::id::{ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use berth_scheduler::reservation::{OtherTask, TaskStage};
use berth_scheduler::resources::{Demand, EniRoom, HostPorts, PortSet, Resources, Room, fits};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;

use super::launch::LaunchType;
use super::task::{Task, TaskNumber};

/// The ports of the Docker daemon, SSH and the ECS agent.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PortMapping.html>
pub const AGENT_PORTS: [u16; 6] = [22, 2375, 2376, 51678, 51679, 51680];

/// The first port Docker maps when the task definition names none, and the last one.
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 32_768..=60_999;

/// What an instance registers with.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The EC2 instance below it.
    pub ec2_instance_id: Option<Ec2InstanceId>,
    /// CPU units.
    pub cpu: CpuUnits,
    /// Memory for tasks.
    pub memory: MemoryMib,
    /// Host ports that are taken from the start.
    pub ports_taken: HostPorts,
    /// The ids of its GPUs.
    pub gpu_ids: Vec<Arc<str>>,
    /// Its attributes.
    pub attributes: AttributeSet,
    /// The versions of the software on it.
    pub versions: VersionInfo,
    /// `tags`, as they were sent.
    pub tags: Vec<serde_json::Value>,
}

/// The versions of the software on an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// The agent's commit.
    pub agent_hash: String,
    /// The agent's version.
    pub agent_version: String,
    /// The Docker daemon's version.
    pub docker_version: String,
}

impl Default for VersionInfo {
    fn default() -> Self {
        Self {
            agent_hash: "47e7a5d4".to_owned(),
            agent_version: "1.98.0".to_owned(),
            docker_version: "DockerVersion: 25.0.8".to_owned(),
        }
    }
}

impl Registration {
    /// An instance as Amazon's Linux image registers it.
    pub fn new(ec2_instance_id: Ec2InstanceId, instance_type: &str, zone: &str) -> Self {
        let mut attributes = capabilities().clone();
        for (name, value) in [
            ("ecs.ami-id", "ami-0c55b159cbfafe1f0"),
            ("ecs.availability-zone", zone),
            ("ecs.cpu-architecture", "x86_64"),
            ("ecs.instance-type", instance_type),
            ("ecs.os-family", "LINUX"),
            ("ecs.os-type", "linux"),
            ("ecs.vpc-id", "vpc-0a1b2c3d4e5f67890"),
        ] {
            attributes.insert(name, Some(value.to_owned()));
        }
        Self {
            ec2_instance_id: Some(ec2_instance_id),
            cpu: CpuUnits::ZERO,
            memory: MemoryMib::ZERO,
            ports_taken: HostPorts {
                tcp: AGENT_PORTS.into_iter().collect(),
                udp: PortSet::EMPTY,
            },
            gpu_ids: Vec::new(),
            attributes,
            versions: VersionInfo::default(),
            tags: Vec::new(),
        }
    }

    /// The same instance with these resources.
    #[must_use]
    pub fn with_resources(mut self, cpu: CpuUnits, memory: MemoryMib, gpu: GpuCount) -> Self {
        let host = self.ec2_instance_id.as_ref().map_or("", |id| id.as_str());
        self.gpu_ids = (0..gpu.get())
            .map(|number| Arc::from(format!("GPU-{host}-{number}")))
            .collect();
        (self.cpu, self.memory) = (cpu, memory);
        self
    }
}

/// What the agent of a current Linux image can do; enough for every task definition that ECS accepts on EC2.
pub fn capabilities() -> &'static AttributeSet {
    static CAPABILITIES: LazyLock<AttributeSet> = LazyLock::new(list_capabilities);
    &CAPABILITIES
}

fn list_capabilities() -> AttributeSet {
    let remote_api =
        (17..=44).map(|minor| format!("com.amazonaws.ecs.capability.docker-remote-api.1.{minor}"));
    let docker = [
        "ecr-auth",
        "privileged-container",
        "selinux",
        "task-iam-role",
        "task-iam-role-network-host",
    ];
    let drivers = [
        "awslogs",
        "fluentd",
        "gelf",
        "journald",
        "json-file",
        "none",
        "syslog",
        "splunk",
        "awsfirelens",
    ];
    let ecs = [
        "aws-appmesh",
        "container-health-check",
        "container-ordering",
        "docker-plugin.local",
        "efs",
        "efsAuth",
        "env-files.s3",
        "execute-command",
        "execution-role-awslogs",
        "execution-role-ecr-pull",
        "firelens.fluentbit",
        "firelens.fluentd",
        "pid-ipc-namespace-sharing",
        "private-registry-authentication.secretsmanager",
        "secrets.asm.bootstrap.log-driver",
        "secrets.asm.environment-variables",
        "secrets.ssm.bootstrap.log-driver",
        "secrets.ssm.environment-variables",
        "task-cpu-mem-limit",
        "task-eni",
        "task-eni-block-instance-metadata",
        "task-eia.optimized-cpu",
    ];
    let docker = docker
        .iter()
        .map(|name| format!("com.amazonaws.ecs.capability.{name}"));
    let drivers = drivers
        .iter()
        .map(|name| format!("com.amazonaws.ecs.capability.logging-driver.{name}"));
    let ecs = ecs.iter().map(|name| format!("ecs.capability.{name}"));
    let mut attributes = AttributeSet::default();
    for name in remote_api.chain(docker).chain(drivers).chain(ecs) {
        attributes.insert(name, None);
    }
    attributes
}

/// A container instance.
#[derive(Debug)]
pub struct Instance {
    pub(crate) arn: ContainerInstanceArn,
    pub(crate) ec2_instance_id: Option<Ec2InstanceId>,
    pub(crate) status: InstanceStatus,
    pub(crate) agent: AgentConnection,
    pub(crate) versions: VersionInfo,
    pub(crate) version: ReportVersion,
    pub(crate) registered_at: Timestamp,
    pub(crate) registered: Resources,
    pub(crate) remaining: Resources,
    pub(crate) gpu_ids: Vec<Arc<str>>,
    pub(crate) gpu_free: BTreeSet<Arc<str>>,
    pub(crate) attributes: Arc<AttributeSet>,
    pub(crate) tags: Vec<serde_json::Value>,
    pub(crate) running: u32,
    pub(crate) pending: u32,
    /// Its tasks that have not stopped.
    pub(crate) tasks: BTreeSet<TaskNumber>,
    /// Whether the virtual machine itself has gone.
    pub(super) host: Host,
    /// Tasks that the agent has not started yet, in the order they came.
    pub(super) queue: VecDeque<TaskNumber>,
    /// Steps that happened while the agent could not report them.
    pub(super) unreported: Vec<TaskNumber>,
    /// What containers really use, ports aside.
    held: Demand,
    eni_limit: Option<EniCount>,
    eni_taken: EniCount,
    room: Room,
    attributes_reported: Option<Arc<AttributeSet>>,
    /// Of the attributes: telling instances with equal ones is quick with it.
    fingerprint: Fingerprint,
    /// What the attributes say about the kind of machine.
    kind: LaunchType,
    next_dynamic_port: u16,
    record: OnceCell<Arc<InstanceRecord>>,
}

/// The virtual machine below a container instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Up,
    Gone,
}

/// The agent of a machine outside AWS has a capability of its own.
fn kind_of(attributes: &AttributeSet) -> LaunchType {
    match attributes.get("ecs.capability.external") {
        Some(_) => LaunchType::External,
        None => LaunchType::Ec2,
    }
}

/// A direction of accounting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Take,
    GiveBack,
}

impl Instance {
    pub(super) fn new(arn: ContainerInstanceArn, registration: Registration, now: Timestamp) -> Self {
        let gpu = GpuCount::new(u32::try_from(registration.gpu_ids.len()).unwrap_or(u32::MAX));
        let registered = Resources {
            cpu: registration.cpu,
            memory: registration.memory,
            gpu,
            ports_taken: registration.ports_taken,
        };
        let mut instance = Self {
            arn,
            ec2_instance_id: registration.ec2_instance_id,
            status: InstanceStatus::Active,
            agent: AgentConnection::Connected,
            versions: registration.versions,
            version: ReportVersion::new(1),
            registered_at: now,
            remaining: registered.clone(),
            registered,
            gpu_free: registration.gpu_ids.iter().cloned().collect(),
            gpu_ids: registration.gpu_ids,
            eni_limit: eni::task_limit(&registration.attributes),
            fingerprint: registration.attributes.fingerprint(),
            kind: kind_of(&registration.attributes),
            attributes: Arc::new(registration.attributes),
            tags: registration.tags,
            running: 0,
            pending: 0,
            tasks: BTreeSet::new(),
            host: Host::Up,
            queue: VecDeque::new(),
            unreported: Vec::new(),
            held: Demand::default(),
            eni_taken: EniCount::ZERO,
            room: Room::NONE,
            attributes_reported: None,
            next_dynamic_port: *DYNAMIC_PORTS.start(),
            record: OnceCell::new(),
        };
        instance.refresh();
        instance
    }

    /// Whether ECS places tasks here.
    pub(super) fn is_candidate(&self) -> bool {
        self.status == InstanceStatus::Active && self.agent == AgentConnection::Connected
    }

    /// Whether it is a machine outside AWS: those take tasks of launch type EXTERNAL and no others.
    pub(super) fn is_external(&self) -> bool {
        self.kind == LaunchType::External
    }

    /// What ECS says is free.
    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Works out the room anew after a change of what it depends on.
    fn refresh(&mut self) {
        self.record.take();
        self.room = Room {
            cpu: self.remaining.cpu,
            memory: self.remaining.memory,
            gpu: self.remaining.gpu,
            eni: eni_room(self.eni_limit, self.eni_taken),
            ports_taken: self.remaining.ports_taken.clone(),
        };
    }

    /// Takes ECS's room for a task, GPUs by their ids.
    pub(super) fn take(&mut self, demand: &Demand) -> Vec<Arc<str>> {
        self.account(demand, Flow::Take);
        self.remaining.ports_taken.insert_all(&demand.ports);
        self.refresh();
        let count = usize::try_from(demand.gpu.get()).unwrap_or(usize::MAX);
        let ids: Vec<_> = self.gpu_free.iter().take(count).cloned().collect();
        for id in &ids {
            self.gpu_free.remove(id);
        }
        ids
    }

    /// Gives back ECS's room when a task begins to stop. `tasks` tells the ports that others still have.
    pub(super) fn give_back(&mut self, leaving: &Task, tasks: &BTreeMap<TaskNumber, Task>) {
        self.account(&leaving.demand, Flow::GiveBack);
        self.gpu_free.extend(leaving.gpu_ids.iter().cloned());
        if !leaving.demand.ports.is_empty() {
            let stays = |task: &&Task| task.is_wanted() && task.number != leaving.number;
            self.remaining.ports_taken = self.ports_of(tasks, stays);
        }
        self.refresh();
    }

    fn account(&mut self, demand: &Demand, flow: Flow) {
        let remaining = &mut self.remaining;
        match flow {
            Flow::Take => {
                remaining.cpu = remaining.cpu.saturating_take(demand.cpu);
                remaining.memory = remaining.memory.saturating_take(demand.memory);
                remaining.gpu = remaining.gpu.saturating_take(demand.gpu);
                self.eni_taken = self.eni_taken.saturating_add(demand.eni);
            }
            Flow::GiveBack => {
                remaining.cpu = remaining.cpu.saturating_add(demand.cpu);
                remaining.memory = remaining.memory.saturating_add(demand.memory);
                remaining.gpu = remaining.gpu.saturating_add(demand.gpu);
                self.eni_taken = self.eni_taken.saturating_take(demand.eni);
            }
        }
    }

    fn ports_of(&self, tasks: &BTreeMap<TaskNumber, Task>, counts: impl Fn(&&Task) -> bool) -> HostPorts {
        let mut ports = self.registered.ports_taken.clone();
        for task in self
            .tasks
            .iter()
            .filter_map(|number| tasks.get(number))
            .filter(counts)
        {
            ports.insert_all(&task.demand.ports);
        }
        ports
    }

    /// Whether the agent can start a task now: what other containers still use is not free for it.
    pub(super) fn really_fits(&self, demand: &Demand, tasks: &BTreeMap<TaskNumber, Task>) -> bool {
        let (registered, held) = (&self.registered, &self.held);
        let ports_taken = if demand.ports.is_empty() {
            HostPorts::NONE
        } else {
            self.ports_of(tasks, |task| task.is_held())
        };
        let room = Room {
            cpu: registered.cpu.saturating_take(held.cpu),
            memory: registered.memory.saturating_take(held.memory),
            gpu: registered.gpu.saturating_take(held.gpu),
            eni: self.eni_limit.map_or(EniRoom::Unknown, |limit| {
                EniRoom::Limited(limit.saturating_take(held.eni))
            }),
            ports_taken,
        };
        fits(demand, &room).is_ok()
    }

    /// A task's containers begin to use the instance.
    pub(super) fn hold(&mut self, demand: &Demand) {
        self.held.cpu = self.held.cpu.saturating_add(demand.cpu);
        self.held.memory = self.held.memory.saturating_add(demand.memory);
        self.held.gpu = self.held.gpu.saturating_add(demand.gpu);
        self.held.eni = self.held.eni.saturating_add(demand.eni);
    }

    /// A task's containers have ended.
    pub(super) fn let_go(&mut self, demand: &Demand) {
        self.held.cpu = self.held.cpu.saturating_take(demand.cpu);
        self.held.memory = self.held.memory.saturating_take(demand.memory);
        self.held.gpu = self.held.gpu.saturating_take(demand.gpu);
        self.held.eni = self.held.eni.saturating_take(demand.eni);
    }

    /// A host port of Docker's choice.
    pub(super) fn dynamic_port(&mut self) -> u16 {
        let port = self.next_dynamic_port;
        let next = port.checked_add(1).filter(|next| DYNAMIC_PORTS.contains(next));
        self.next_dynamic_port = next.unwrap_or(*DYNAMIC_PORTS.start());
        port
    }

    /// Changes the attributes. ECS sends no event for that.
    pub(super) fn set_attributes(&mut self, attributes: AttributeSet) {
        self.eni_limit = eni::task_limit(&attributes);
        self.fingerprint = attributes.fingerprint();
        self.kind = kind_of(&attributes);
        self.attributes = Arc::new(attributes);
        self.refresh();
    }

    /// What changes that do not go through [`Instance::take`] must say, so that placement sees them.
    pub(super) fn touch(&mut self) {
        self.record.take();
    }

    /// The instance as placement looks at it: ECS's own view, in which stopping tasks do not count.
    pub(super) fn view(&self, tasks: &BTreeMap<TaskNumber, Task>) -> InstanceView {
        let record = self.record.get_or_init(|| Arc::new(self.to_record(tasks)));
        InstanceView {
            record: Arc::clone(record),
            attributes: Arc::clone(&self.attributes),
        }
    }

    fn to_record(&self, tasks: &BTreeMap<TaskNumber, Task>) -> InstanceRecord {
        let wanted = self
            .tasks
            .iter()
            .filter_map(|number| tasks.get(number))
            .filter(|task| task.is_wanted());
        let other_tasks = wanted.map(|task| {
            let other = OtherTask {
                demand: task.demand.clone(),
                group: task.group.clone(),
                version: task.version,
                stage: TaskStage::Running,
            };
            (task.arn.clone(), other)
        });
        InstanceRecord::from_state(InstanceState {
            instance: self.arn.clone(),
            ec2_instance_id: self.ec2_instance_id.clone(),
            status: self.status,
            agent: self.agent,
            agent_version: Some(self.versions.agent_version.clone()),
            version: self.version,
            updated_at: None,
            registered_at: Some(self.registered_at),
            registered: self.registered.clone(),
            remaining: Remaining::reported(self.remaining.clone()),
            ended_at: None,
            running_tasks: self.running,
            eni_limit: self.eni_limit,
            attributes: self.fingerprint,
            reservations: BTreeMap::new(),
            other_tasks: other_tasks.collect(),
            revision: Revision::default(),
        })
    }

    /// What DescribeContainerInstances says.
    pub fn described(&self) -> InstanceReport {
        let attributes = Some(AttributeSet::clone(&self.attributes));
        let source = ReportSource::default();
        self.report(None, attributes, source)
    }

    /// What an event says. Attributes are long and rarely change: only the first event and those after a
    /// change carry them.
    pub(super) fn event(&mut self, now: Timestamp) -> InstanceReport {
        let reported = self.attributes_reported.replace(Arc::clone(&self.attributes));
        let changed = reported.is_none_or(|reported| !Arc::ptr_eq(&reported, &self.attributes));
        let attributes = changed.then(|| AttributeSet::clone(&self.attributes));
        self.report(Some(now), attributes, ReportSource::Event)
    }

    fn report(
        &self,
        updated_at: Option<Timestamp>,
        attributes: Option<AttributeSet>,
        source: ReportSource,
    ) -> InstanceReport {
        InstanceReport {
            instance: self.arn.clone(),
            ec2_instance_id: self.ec2_instance_id.clone(),
            status: self.status,
            agent: self.agent,
            agent_version: Some(self.versions.agent_version.clone()),
            version: self.version,
            updated_at,
            registered_at: Some(self.registered_at),
            registered: self.registered.clone(),
            remaining: self.remaining.clone(),
            running_tasks: self.running,
            attributes,
            source,
        }
    }
}

fn eni_room(limit: Option<EniCount>, taken: EniCount) -> EniRoom {
    limit.map_or(EniRoom::Unknown, |limit| {
        EniRoom::Limited(limit.saturating_take(taken))
    })
}
