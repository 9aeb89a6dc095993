//! ECS as a state machine in virtual time: clusters, task definitions, container instances and tasks, with the
//! resources, versions, refusals and events of the real one.
//!
//! Nothing happens by itself: a caller moves the clock with [`SimulatedEcs::advance_to`], and every change is
//! an event to be fetched with [`SimulatedEcs::take_events`]. The same operations serve the local run, which
//! needs them typed and fast, and the HTTP endpoint, which needs them complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::demand::TaskDefinition;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId, SubnetId, TaskArn};
use berth_scheduler::quantity::MemoryMib;
use berth_scheduler::report::{InstanceReport, TaskReport};
use berth_scheduler::subnet::{SUBNET_ATTRIBUTE, SubnetZones};
use berth_scheduler::timestamp::Timestamp;

pub mod definition;
pub mod error;
pub mod fleet;
pub mod instance;
pub mod launch;
mod lifecycle;
mod placing;
mod query;
mod schedule;
pub mod task;
mod token;

use definition::{Definition, Definitions, Document};
use error::EcsError;
use instance::Instance;
use schedule::{Chore, Schedule};
use task::{Task, TaskNumber};
use token::Token;

/// How long a stopped task is still described, and its client token is kept, in milliseconds.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
pub const STOPPED_TASK_VISIBLE_MS: u64 = 60 * 60 * 1_000;

/// Where the simulated ECS is, and how fast its tasks are.
#[derive(Clone, Debug)]
pub struct EcsSettings {
    /// The Region in its ARNs.
    pub region: String,
    /// The account in its ARNs.
    pub account: String,
    /// The `source` of its events.
    pub event_source: String,
    /// From PENDING to RUNNING, in milliseconds, on an instance that really has room.
    pub start_ms: u64,
    /// From RUNNING to its containers' end, in milliseconds, unless the request says otherwise.
    pub run_ms: u64,
    /// From the wish to stop to STOPPED, in milliseconds; with 0 there is no stage between.
    pub stop_ms: u64,
}

impl Default for EcsSettings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            event_source: "aws.ecs".to_owned(),
            start_ms: 0,
            run_ms: 60_000,
            stop_ms: 0,
        }
    }
}

impl EcsSettings {
    /// An ARN of this account: `arn:aws:ecs:REGION:ACCOUNT:` and the rest.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }
}

/// Something that ECS tells about, in the order it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EcsEvent {
    /// "ECS Container Instance State Change".
    Instance {
        /// The instance's cluster.
        cluster: ClusterName,
        /// The instance after the change.
        report: Box<InstanceReport>,
    },
    /// "ECS Task State Change".
    Task {
        /// The task's cluster.
        cluster: ClusterName,
        /// The task after the change.
        report: Box<TaskReport>,
    },
}

/// What an event is about, whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventSubject<'a> {
    Instance(&'a Cluster, &'a Instance),
    Task(&'a Cluster, &'a Task),
}

/// What becomes of events.
#[derive(Clone, Copy, Debug)]
enum Telling {
    /// They are kept for [`SimulatedEcs::take_events`].
    Typed,
    /// They are written down for [`SimulatedEcs::take_written`].
    Written(EventWriter),
    /// Nobody wants them.
    Silent,
}

/// Writes an event down at the moment it happens: later its subject looks different.
pub(crate) type EventWriter = fn(&EcsSettings, Timestamp, EventSubject<'_>) -> serde_json::Value;

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) name: ClusterName,
    pub(crate) arn: String,
    pub(crate) active: bool,
    pub(crate) document: Document,
    pub(crate) instances: BTreeMap<ContainerInstanceArn, Instance>,
    pub(crate) tasks: BTreeSet<TaskNumber>,
    by_ec2_id: BTreeMap<Ec2InstanceId, ContainerInstanceArn>,
    /// Instances that take tasks, by what memory remains there.
    by_memory: BTreeMap<MemoryMib, BTreeSet<ContainerInstanceArn>>,
    by_started_by: BTreeMap<Arc<str>, BTreeSet<TaskNumber>>,
    tokens: BTreeMap<Arc<str>, Token>,
}

/// The simulated ECS of one account and Region.
#[derive(Debug)]
pub struct SimulatedEcs {
    pub(crate) settings: EcsSettings,
    now: Timestamp,
    pub(crate) clusters: BTreeMap<ClusterName, Cluster>,
    definitions: Definitions,
    pub(crate) tasks: BTreeMap<TaskNumber, Task>,
    task_numbers: BTreeMap<TaskArn, TaskNumber>,
    subnet_zones: Arc<SubnetZones>,
    schedule: Schedule,
    last_id: u64,
    tasks_created: u64,
    events: Vec<EcsEvent>,
    telling: Telling,
    written: Vec<serde_json::Value>,
}

impl SimulatedEcs {
    /// An account without clusters, at a moment.
    pub fn new(settings: EcsSettings, now: Timestamp) -> Self {
        Self {
            settings,
            now,
            clusters: BTreeMap::new(),
            definitions: Definitions::default(),
            tasks: BTreeMap::new(),
            task_numbers: BTreeMap::new(),
            subnet_zones: Arc::default(),
            schedule: Schedule::default(),
            last_id: 0,
            tasks_created: 0,
            events: Vec::new(),
            telling: Telling::Typed,
            written: Vec::new(),
        }
    }

    /// From now on events are written down whole, for [`SimulatedEcs::take_written`], instead of typed.
    pub(crate) fn write_events(&mut self, writer: EventWriter) {
        self.telling = Telling::Written(writer);
    }

    /// From now on nobody is told of events.
    pub(crate) fn drop_events(&mut self) {
        self.telling = Telling::Silent;
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many tasks have come into being.
    pub fn tasks_created(&self) -> u64 {
        self.tasks_created
    }

    /// When something will happen by itself next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.schedule.next_step().map(|(at, _, _)| at)
    }

    /// Moves the clock; whatever is due until then happens at its own moment. The clock never goes back.
    pub fn advance_to(&mut self, now: Timestamp) {
        while let Some((at, step, number)) = self.schedule.next_step()
            && at <= now
        {
            self.schedule.drop_step();
            self.now = self.now.max(at);
            if self
                .tasks
                .get(&number)
                .is_some_and(|task| task.step == Some(step))
            {
                self.take_step(number);
            }
            self.drop_overtaken_steps();
        }
        self.now = self.now.max(now);
        while let Some(chore) = self.schedule.take_chore(self.now) {
            match chore {
                Chore::ForgetTask(number) => self.forget_task(number),
                Chore::ForgetToken(cluster, token, created_at) => {
                    self.forget_token(&cluster, &token, created_at);
                }
            }
        }
    }

    /// A step that was overtaken by another one is no reason for a caller to move its clock.
    fn drop_overtaken_steps(&mut self) {
        while let Some((_, step, number)) = self.schedule.next_step()
            && self.tasks.get(&number).is_none_or(|task| task.step != Some(step))
        {
            self.schedule.drop_step();
        }
    }

    /// What has happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<EcsEvent> {
        std::mem::take(&mut self.events)
    }

    /// The same, as the writer wrote it.
    pub(crate) fn take_written(&mut self) -> Vec<serde_json::Value> {
        std::mem::take(&mut self.written)
    }

    /// Makes a cluster, unless there is one of that name.
    pub fn create_cluster(&mut self, name: &ClusterName, document: Document) -> &Cluster {
        let arn = self.settings.arn(&format!("cluster/{name}"));
        let new = || Cluster {
            name: name.clone(),
            arn,
            active: true,
            document,
            instances: BTreeMap::new(),
            tasks: BTreeSet::new(),
            by_ec2_id: BTreeMap::new(),
            by_memory: BTreeMap::new(),
            by_started_by: BTreeMap::new(),
            tokens: BTreeMap::new(),
        };
        let cluster = self.clusters.entry(name.clone()).or_insert_with(new);
        cluster.active = true;
        cluster
    }

    /// Makes a cluster INACTIVE.
    ///
    /// # Errors
    /// When there is none, or it has instances.
    pub fn delete_cluster(&mut self, name: &ClusterName) -> Result<&Cluster, EcsError> {
        let cluster = self.clusters.get_mut(name).filter(|cluster| cluster.active);
        let cluster = cluster.ok_or_else(EcsError::cluster_not_found)?;
        if cluster.registered_instances().next().is_some() {
            let kind = error::EcsErrorKind::ClusterContainsContainerInstances;
            let message = "The Cluster cannot be deleted while Container Instances are active or draining.";
            return Err(EcsError::new(kind, message));
        }
        cluster.active = false;
        Ok(cluster)
    }

    /// Tells in which availability zone a subnet is, so that tasks with their own network interface go there.
    /// Instances that have such attributes tell it by themselves.
    pub fn set_subnet_zone(&mut self, subnet: SubnetId, zone: &str) {
        Arc::make_mut(&mut self.subnet_zones).tell(subnet, zone);
    }

    fn learn_subnet_zone(&mut self, attributes: &AttributeSet) {
        if attributes.get(SUBNET_ATTRIBUTE).is_some() {
            Arc::make_mut(&mut self.subnet_zones).learn(attributes);
        }
    }

    /// Registers the next revision of a family. `read` makes its typed form from the new revision's ARN and
    /// number.
    ///
    /// # Errors
    /// When the typed form cannot be made, its demand cannot be told, or a constraint is no expression.
    pub fn register_task_definition(
        &mut self,
        family: &str,
        document: Document,
        read: impl FnOnce(String) -> Result<TaskDefinition, EcsError>,
    ) -> Result<Arc<Definition>, EcsError> {
        let revision = self.definitions.next_revision(family);
        let arn = self.settings.arn(&format!("task-definition/{family}:{revision}"));
        self.definitions.register(read(arn)?, self.now, document)
    }

    /// Makes a revision INACTIVE; tasks that run keep it.
    ///
    /// # Errors
    /// When the name is not that of a revision.
    pub fn deregister_task_definition(&mut self, name: &str) -> Result<Arc<Definition>, EcsError> {
        self.definitions.deregister(name, self.now)
    }

    /// A revision by `family:revision` or ARN, or a family's latest ACTIVE one by the family alone.
    pub fn task_definition(&self, name: &str) -> Option<Arc<Definition>> {
        self.definitions.find(name)
    }

    /// All task definitions, by family and revision.
    pub fn task_definitions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.definitions.iter()
    }

    /// An ACTIVE cluster.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn cluster(&self, name: &ClusterName) -> Result<&Cluster, EcsError> {
        self.clusters
            .get(name)
            .filter(|cluster| cluster.active)
            .ok_or_else(EcsError::cluster_not_found)
    }

    fn cluster_mut(&mut self, name: &ClusterName) -> Result<&mut Cluster, EcsError> {
        self.clusters
            .get_mut(name)
            .filter(|cluster| cluster.active)
            .ok_or_else(EcsError::cluster_not_found)
    }

    /// 32 hexadecimal digits that nothing else of this ECS has (splitmix64 of a counter, twice).
    fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:016x}{:016x}", mix(self.last_id), mix(!self.last_id))
    }

    fn tell_instance(&mut self, cluster: &ClusterName, instance: &ContainerInstanceArn) {
        let Some(cluster) = self.clusters.get_mut(cluster) else {
            return;
        };
        match self.telling {
            Telling::Silent => {}
            Telling::Typed => {
                let Some(instance) = cluster.instances.get_mut(instance) else {
                    return;
                };
                let report = Box::new(instance.event(self.now));
                let cluster = cluster.name.clone();
                self.events.push(EcsEvent::Instance { cluster, report });
            }
            Telling::Written(write) => {
                let Some(instance) = cluster.instances.get(instance) else {
                    return;
                };
                let subject = EventSubject::Instance(cluster, instance);
                self.written.push(write(&self.settings, self.now, subject));
            }
        }
    }

    fn tell_task(&mut self, number: TaskNumber) {
        let Some(task) = self.tasks.get(&number) else {
            return;
        };
        match self.telling {
            Telling::Silent => {}
            Telling::Typed => {
                let report = Box::new(task.report());
                let cluster = task.cluster.clone();
                self.events.push(EcsEvent::Task { cluster, report });
            }
            Telling::Written(write) => {
                let Some(cluster) = self.clusters.get(&task.cluster) else {
                    return;
                };
                let subject = EventSubject::Task(cluster, task);
                self.written.push(write(&self.settings, self.now, subject));
            }
        }
    }
}

impl Cluster {
    /// The instances that are not INACTIVE.
    pub(crate) fn registered_instances(&self) -> impl Iterator<Item = &Instance> {
        let inactive = berth_scheduler::report::InstanceStatus::Inactive;
        self.instances
            .values()
            .filter(move |instance| instance.status != inactive)
    }

    /// Finds an instance by its ARN, or by the id at the end of it.
    pub(crate) fn find_instance(&self, name: &str) -> Option<&Instance> {
        match ContainerInstanceArn::parse(name) {
            Ok(arn) => self.instances.get(&arn),
            Err(_) => self.instances.values().find(|instance| instance.arn.id() == name),
        }
    }

    /// Changes an instance and keeps the index by memory in step with it.
    fn change_instance<T>(
        &mut self,
        arn: &ContainerInstanceArn,
        change: impl FnOnce(&mut Instance) -> T,
    ) -> Option<T> {
        let instance = self.instances.get_mut(arn)?;
        let key = |instance: &Instance| instance.is_candidate().then_some(instance.remaining.memory);
        let before = key(instance);
        let result = change(instance);
        let after = key(instance);
        if before != after {
            if let Some(before) = before
                && let Some(arns) = self.by_memory.get_mut(&before)
            {
                arns.remove(arn);
                if arns.is_empty() {
                    self.by_memory.remove(&before);
                }
            }
            if let Some(after) = after {
                self.by_memory.entry(after).or_default().insert(arn.clone());
            }
        }
        Some(result)
    }
}

fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
