//! Records of one check, under names that no other check uses.

use std::sync::Arc;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{
    AttemptId, ClusterName, ContainerInstanceArn, LaneKey, ReportVersion, Revision, SubmissionId,
    TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::instance::{InstanceRecord, Observed, observe};
use berth_scheduler::progress::TaskProgress;
use berth_scheduler::quantity::{CpuUnits, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use berth_scheduler::resources::{Demand, Resources};
use berth_scheduler::run_time::{RunOutlook, RunSeconds};
use berth_scheduler::shape::{Constraint, Shape};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Priority, Rank, WaitingTask};

use super::Failure;
use crate::records::{LaneRecord, TaskRecord};
use crate::wire::submission::{ContentHash, LaunchRequest};

/// The names of one check.
pub(super) struct Scope {
    pub(super) cluster: ClusterName,
    prefix: String,
}

impl Scope {
    pub(super) fn new(run: &str, check: &str) -> Result<Self, Failure> {
        // Ids are shorter than names of checks.
        let prefix: String = format!("{run}-{check}").chars().take(80).collect();
        Ok(Self {
            cluster: ClusterName::parse(&prefix)?,
            prefix,
        })
    }

    /// Another cluster, of the same check.
    pub(super) fn other_cluster(&self) -> Result<ClusterName, Failure> {
        Ok(ClusterName::parse(&format!("{}-other", self.prefix))?)
    }

    pub(super) fn task_id(&self, name: &str) -> Result<TaskId, Failure> {
        Ok(TaskId::of_copy(
            &SubmissionId::parse(&format!("{}-{name}", self.prefix))?,
            1,
        ))
    }

    pub(super) fn arn(&self, name: &str) -> Result<ContainerInstanceArn, Failure> {
        let home = "arn:aws:ecs:us-east-1:123456789012:container-instance";
        Ok(ContainerInstanceArn::parse(&format!(
            "{home}/{}/{name}",
            self.cluster
        ))?)
    }

    /// A task that has just been accepted.
    pub(super) fn task(&self, name: &str) -> Result<TaskRecord, Failure> {
        let id = self.task_id(name)?;
        let content =
            ContentHash::parse(&"0".repeat(64)).ok_or_else(|| Failure("zeros are a hash".to_owned()))?;
        Ok(TaskRecord {
            cluster: self.cluster.clone(),
            rank: Rank::new(Priority::default(), at(1_000), &id),
            lane: lane_key()?,
            group: group()?,
            task_definition: TaskDefinitionArn::parse(
                "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12",
            )?,
            demand: demand(),
            strategies: Vec::new(),
            expected: RunSeconds::new(300),
            request: Arc::new(LaunchRequest::default()),
            terms: Terms::default(),
            content,
            commands: Vec::new(),
            progress: TaskProgress::accepted(),
            revision: Revision::new(1),
            id,
        })
    }

    /// An empty instance with room for five tasks.
    pub(super) fn instance(&self, name: &str) -> Result<InstanceRecord, Failure> {
        let resources = Resources {
            cpu: CpuUnits::new(2_048),
            memory: MemoryMib::new(512),
            ..Resources::default()
        };
        let report = InstanceReport {
            instance: self.arn(name)?,
            ec2_instance_id: None,
            status: InstanceStatus::Active,
            agent: AgentConnection::Connected,
            agent_version: None,
            version: ReportVersion::new(3),
            updated_at: Some(at(500)),
            registered_at: None,
            registered: resources.clone(),
            remaining: resources,
            running_tasks: 0,
            attributes: Some(attributes()),
            source: ReportSource::Event,
        };
        match observe(None, &report) {
            Observed::Updated(record) => Ok(*record),
            _known => Err(Failure("a first report is news".to_owned())),
        }
    }
}

/// The task after reserving room on an instance, and the instance with that room reserved.
pub(super) fn reserved(
    task: &TaskRecord,
    instance: &InstanceRecord,
) -> Result<(TaskRecord, InstanceRecord), Failure> {
    let progress = task.progress.reserve(instance.arn().clone(), at(2_000));
    let progress = progress.map_err(|_| Failure("a waiting task can be reserved".to_owned()))?;
    let task = task.after(progress);
    let attempt: AttemptId = task.attempt();
    let instance = instance.reserve(attempt, &task.demand, &task.group, task.outlook());
    let instance = instance.map_err(|shortfall| Failure(shortfall.to_string()))?;
    Ok((task, instance))
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn attributes() -> AttributeSet {
    [
        ("ecs.instance-type", Some("m5.large")),
        ("ecs.capability.task-eni", None),
    ]
    .into_iter()
    .collect()
}

pub(super) fn demand() -> Demand {
    Demand {
        cpu: CpuUnits::new(100),
        memory: MemoryMib::new(100),
        ..Demand::default()
    }
}

pub(super) fn group() -> Result<TaskGroup, Failure> {
    Ok(TaskGroup::parse("family:etl")?)
}

pub(super) fn lane_key() -> Result<LaneKey, Failure> {
    Ok(LaneKey::parse("lane-a")?)
}

pub(super) fn lane() -> Result<LaneRecord, Failure> {
    let shape = Shape {
        demand: demand(),
        constraints: vec![Constraint::DistinctInstance],
        distinct_group: Some(group()?),
        ..Shape::default()
    };
    Ok(LaneRecord {
        key: lane_key()?,
        shape: Arc::new(shape),
    })
}

pub(super) fn waiting(task: &TaskId, priority: u16, submitted_at: Timestamp) -> Result<WaitingTask, Failure> {
    let priority = Priority::new(priority).unwrap_or_default();
    Ok(WaitingTask {
        rank: Rank::new(priority, submitted_at, task),
        group: group()?,
        stamp: Revision::new(1),
        outlook: RunOutlook {
            family: TaskFamily::parse("etl").ok(),
            expected: RunSeconds::new(300),
            timeout: RunSeconds::new(600),
        },
    })
}
