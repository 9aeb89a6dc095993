//! The world that schedulers are put into: a simulated ECS with the fleet registered, and a referee who watches
//! what ECS says.

use std::collections::BTreeMap;

use berth_scheduler::demand::{
    Container, GpuRequest, NetworkMode, OperatingSystem, TaskDefinition, TaskDefinitionStatus,
};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, SubmissionId, TaskArn, TaskDefinitionArn};
use berth_scheduler::report::{TaskReport, TaskStatus};
use berth_scheduler::resources::Demand;

use super::referee::{InstanceIndex, Referee, Rules, TaskIndex};
use super::workload::family_of;
use super::{BEGINNING, CONTAINER, Scenario, ScenarioError, since_beginning};
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;
use crate::ecs::{EcsEvent, EcsSettings, SimulatedEcs};
use crate::ports::EcsPorts;

/// A simulated ECS and its referee.
pub(super) struct World<'a> {
    pub(super) cluster: ClusterName,
    pub(super) ecs: EcsPorts,
    pub(super) referee: Referee<'a>,
    instances: BTreeMap<ContainerInstanceArn, InstanceIndex>,
    /// The first task of each submission of Berth's.
    submissions: BTreeMap<SubmissionId, TaskIndex>,
    /// Which task of the workload an ECS task is, until that stops.
    tasks: BTreeMap<TaskArn, TaskIndex>,
}

/// What ECS has told since it was asked last.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// All of it, in order.
    pub(super) events: Vec<EcsEvent>,
    /// Tasks that were placed.
    pub(super) started: Vec<(TaskIndex, InstanceIndex)>,
    /// Tasks that stopped.
    pub(super) ended: Vec<TaskIndex>,
}

impl<'a> World<'a> {
    /// A cluster with the scenario's fleet and a task definition for each amount of resources.
    pub(super) fn new(scenario: &'a Scenario, rules: Rules) -> Result<Self, ScenarioError> {
        let unexpected = |error: EcsError| ScenarioError::unexpected("the simulated ECS", error);
        let cluster =
            ClusterName::parse("default").map_err(|error| ScenarioError::unexpected("the cluster", error))?;
        let mut ecs = SimulatedEcs::new(EcsSettings::default(), BEGINNING);
        ecs.create_cluster(&cluster, Document::new());
        for shape in &scenario.workload.shapes {
            let family = family_of(&shape.demand);
            if ecs.task_definition(&family).is_none() {
                ecs.register_task_definition(&family, Document::new(), |arn| {
                    task_definition(&arn, &shape.demand)
                })
                .map_err(unexpected)?;
            }
        }
        let mut instances = BTreeMap::new();
        for (position, instance) in scenario.fleet.instances.iter().enumerate() {
            let arn = ecs
                .register_instance(&cluster, instance.registration())
                .map_err(unexpected)?;
            instances.insert(arn, InstanceIndex(position));
        }
        Ok(Self {
            cluster,
            ecs: EcsPorts::new(ecs),
            referee: Referee::new(&scenario.workload, &scenario.fleet, rules),
            instances,
            submissions: BTreeMap::new(),
            tasks: BTreeMap::new(),
        })
    }

    /// When something happens in ECS by itself next.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.ecs.with_ecs(|ecs| ecs.next_due()).map(since_beginning)
    }

    /// From now on, tasks that Berth starts for this submission are this task and those after it.
    pub(super) fn expect_submission(&mut self, submission: SubmissionId, first: TaskIndex) {
        self.submissions.insert(submission, first);
    }

    /// This ECS task is this task of the workload.
    pub(super) fn expect_task(&mut self, arn: TaskArn, task: TaskIndex) {
        self.tasks.insert(arn, task);
    }

    /// Tells the referee what ECS says.
    pub(super) fn observe_ecs(&mut self) -> Observed {
        let events = self.ecs.with_ecs(SimulatedEcs::take_events);
        let now_ms = since_beginning(self.ecs.with_ecs(|ecs| ecs.now()));
        let mut observed = Observed::default();
        for event in &events {
            let EcsEvent::Task { report, .. } = event else {
                continue;
            };
            let on = report
                .instance
                .as_ref()
                .and_then(|arn| self.instances.get(arn))
                .copied();
            let (Some(on), Some(task)) = (on, self.task_of(report)) else {
                continue;
            };
            match report.status {
                TaskStatus::Stopped => {
                    self.tasks.remove(&report.task);
                    self.referee.ended(task, now_ms);
                    observed.ended.push(task);
                }
                // The first event of a task tells that it is placed.
                _ if report.version.get() == 1 => {
                    self.tasks.insert(report.task.clone(), task);
                    self.referee.started_on(task, on, now_ms);
                    observed.started.push((task, on));
                }
                _ => {}
            }
        }
        observed.events = events;
        observed
    }

    /// A text for people: with the fleet's own names of instances in it.
    pub(super) fn with_names(&self, text: &str) -> String {
        let named = self.instances.iter().find(|(arn, _)| text.contains(arn.id()));
        match named.and_then(|(arn, index)| Some((arn, self.referee.instance_name(*index)?))) {
            Some((arn, name)) => text.replace(arn.id(), name),
            None => text.to_owned(),
        }
    }

    fn task_of(&self, report: &TaskReport) -> Option<TaskIndex> {
        if let Some(known) = self.tasks.get(&report.task) {
            return Some(*known);
        }
        let task = &report.attempt.as_ref()?.task;
        let first = self.submissions.get(&task.submission())?;
        Some(TaskIndex(
            first
                .0
                .saturating_add(usize::from(task.copy_number().saturating_sub(1))),
        ))
    }
}

fn task_definition(arn: &str, demand: &Demand) -> Result<TaskDefinition, EcsError> {
    let container = Container {
        name: CONTAINER.to_owned(),
        cpu: Some(demand.cpu),
        memory: Some(demand.memory),
        gpu: GpuRequest::Devices(demand.gpu),
        ..Container::default()
    };
    Ok(TaskDefinition {
        arn: TaskDefinitionArn::parse(arn).map_err(|error| EcsError::invalid(error.to_string()))?,
        status: TaskDefinitionStatus::Active,
        operating_system: OperatingSystem::Linux,
        network_mode: NetworkMode::Bridge,
        cpu: None,
        memory: None,
        containers: vec![container],
        required_attributes: Vec::new(),
        placement_constraints: Vec::new(),
    })
}
