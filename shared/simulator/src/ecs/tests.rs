//! Each test is a fact of ECS that the model keeps.

use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{
    Container, GpuRequest, NetworkMode, OperatingSystem, PortMapping, Protocol, TaskDefinition,
    TaskDefinitionStatus,
};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId, TaskArn, TaskDefinitionArn};
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::report::{InstanceReport, TaskReport, TaskStatus};
use berth_scheduler::shape::{Constraint, SpreadField, Strategy};
use berth_scheduler::timestamp::Timestamp;

use super::definition::Document;
use super::instance::Registration;
use super::launch::{RunTaskAnswer, RunTaskRequest, StartTaskRequest, Target};
use super::{EcsEvent, EcsSettings, SimulatedEcs};

mod fleet;
mod invariants;
mod lifecycle;
mod running;
mod tokens;

const SECOND_MS: u64 = 1_000;

/// A cluster `default` whose tasks start after 1 s, run for 60 s, and stop within 10 s.
struct Lab {
    ecs: SimulatedEcs,
    cluster: ClusterName,
    began: Timestamp,
}

fn lab() -> Lab {
    let settings = EcsSettings {
        start_ms: SECOND_MS,
        run_ms: 60 * SECOND_MS,
        stop_ms: 10 * SECOND_MS,
        ..EcsSettings::default()
    };
    let began = Timestamp::parse_iso8601("2026-11-21T10:00:00Z").unwrap();
    let mut ecs = SimulatedEcs::new(settings, began);
    let cluster = ClusterName::parse("default").unwrap();
    ecs.create_cluster(&cluster, Document::new());
    Lab { ecs, cluster, began }
}

impl Lab {
    fn instance(&mut self, id: &str, memory: u32) -> ContainerInstanceArn {
        self.instance_in("us-east-1a", id, memory)
    }

    fn instance_in(&mut self, zone: &str, id: &str, memory: u32) -> ContainerInstanceArn {
        let registration = Registration::new(Ec2InstanceId::parse(id).unwrap(), "m5.large", zone)
            .with_resources(CpuUnits::new(2048), MemoryMib::new(memory), GpuCount::new(2));
        self.ecs.register_instance(&self.cluster, registration).unwrap()
    }

    fn define(&mut self, family: &str, change: impl FnOnce(&mut TaskDefinition)) {
        let read = |arn: String| {
            let mut definition = TaskDefinition {
                arn: TaskDefinitionArn::parse(&arn).unwrap(),
                status: TaskDefinitionStatus::Active,
                operating_system: OperatingSystem::Linux,
                network_mode: NetworkMode::Bridge,
                cpu: None,
                memory: None,
                containers: vec![Container {
                    name: "main".to_owned(),
                    ..Container::default()
                }],
                required_attributes: Vec::new(),
                placement_constraints: Vec::new(),
            };
            change(&mut definition);
            Ok(definition)
        };
        self.ecs
            .register_task_definition(family, Document::new(), read)
            .unwrap();
    }

    /// A family of tasks that take this much memory and nothing else.
    fn define_memory(&mut self, family: &str, memory: u32) {
        self.define(family, |it| {
            it.containers[0].memory = Some(MemoryMib::new(memory))
        });
    }

    fn request(&self, definition: &str) -> RunTaskRequest {
        RunTaskRequest::new(self.cluster.clone(), definition)
    }

    fn run(&mut self, definition: &str) -> RunTaskAnswer {
        self.ecs.run_task(&self.request(definition)).unwrap()
    }

    fn run_one(&mut self, definition: &str) -> TaskArn {
        let answer = self.run(definition);
        assert_eq!(answer.failures, []);
        answer.tasks[0].clone()
    }

    fn advance_to_second(&mut self, second: u64) {
        self.ecs.advance_to(self.began.saturating_add_seconds(second));
    }

    fn report(&self, instance: &ContainerInstanceArn) -> InstanceReport {
        self.ecs
            .describe_instance(&self.cluster, instance)
            .unwrap()
            .unwrap()
    }

    fn memory_left(&self, instance: &ContainerInstanceArn) -> u32 {
        self.report(instance).remaining.memory.get()
    }

    fn task(&self, task: &TaskArn) -> TaskReport {
        self.ecs.describe_task(&self.cluster, task).unwrap().unwrap()
    }

    fn last_status(&self, task: &TaskArn) -> &'static str {
        let number = self.ecs.find_task(&self.cluster, task.as_str()).unwrap().unwrap();
        self.ecs.tasks[&number].last_status()
    }
}

fn reasons(answer: &RunTaskAnswer) -> Vec<&'static str> {
    answer.failures.iter().map(|failure| failure.reason).collect()
}

fn member_of(expression: &str) -> Constraint {
    Constraint::MemberOf(Expression::parse(expression).unwrap())
}
