//! The ports of `berth-control` in memory: the simulated ECS, queues that keep what is sent, and a clock that
//! is moved by hand. The tables are in [`crate::memory`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use berth_control::intake::DeadLetter;
use berth_control::ports::{
    Clock, DescribedInstance, Inspector, LaunchCall, Launcher, Messenger, PortError, StopAnswer,
    TaskDefinitionAnswer,
};
use berth_control::wire::overrides::TaskOverrides;
use berth_control::wire::submission::{
    LaunchRequest, LaunchType as AskedLaunchType, PlacementConstraint, TaskDefinitionName,
};
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::TaskDefinitionStatus;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, TaskArn};
use berth_scheduler::launch::{LaunchOutcome, Refusal, outcome_of_exception};
use berth_scheduler::report::TaskReport;
use berth_scheduler::shape::Constraint;
use berth_scheduler::timestamp::Timestamp;

use crate::ecs::SimulatedEcs;
use crate::ecs::error::{EcsError, EcsErrorKind};
use crate::ecs::launch::{FailureDetail, LaunchType, NetworkConfiguration, RunTaskRequest, Target};
use crate::ecs::task::ContainerExit;
use crate::seconds::read_millis;

/// The environment variable, in a container override of RunTask, that says how many seconds a simulated task
/// runs.
pub const TASK_SECONDS_VARIABLE: &str = "BERTH_TASK_SECONDS";

/// The environment variable, in a container override of RunTask, that says how a simulated task exits: a comma
/// list of exit codes, or `oom`, one for each attempt.
pub const TASK_EXITS_VARIABLE: &str = "BERTH_TASK_EXITS";

/// RunTask calls, counted at ECS's door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCount {
    /// All calls.
    pub run_task: u64,
    /// Those that started nothing.
    pub refused: u64,
}

/// The simulated ECS behind the ports of the flows.
#[derive(Debug)]
pub struct EcsPorts {
    ecs: RefCell<SimulatedEcs>,
    calls: Cell<CallCount>,
    /// Parsed expressions: a workload repeats a few of them thousands of times.
    expressions: RefCell<BTreeMap<String, Expression>>,
}

impl EcsPorts {
    /// Ports onto this ECS.
    pub fn new(ecs: SimulatedEcs) -> Self {
        Self {
            ecs: RefCell::new(ecs),
            calls: Cell::default(),
            expressions: RefCell::default(),
        }
    }

    /// Works with the ECS itself, as the world outside Berth does.
    pub fn with_ecs<T>(&self, work: impl FnOnce(&mut SimulatedEcs) -> T) -> T {
        work(&mut self.ecs.borrow_mut())
    }

    /// The calls so far.
    pub fn calls(&self) -> CallCount {
        self.calls.get()
    }

    fn request(&self, call: &LaunchCall) -> Result<RunTaskRequest, EcsError> {
        let asked: &LaunchRequest = &call.request;
        let overrides = asked
            .overrides
            .read()
            .map_err(|error| EcsError::invalid(error.to_string()))?;
        let constraints = asked
            .placement_constraints
            .iter()
            .map(|constraint| self.constraint(constraint));
        let network = match &asked.network_configuration {
            None => NetworkConfiguration::Absent,
            Some(network) => NetworkConfiguration::Subnets(network.awsvpc_configuration.subnets.clone()),
        };
        Ok(RunTaskRequest {
            target: Target::Pinned(call.pin.instance.clone()),
            constraints: constraints.collect::<Result<_, _>>()?,
            group: asked.group.clone(),
            started_by: Some(Arc::from(call.attempt.started_by())),
            client_token: Some(Arc::from(call.client_token.as_str())),
            launch_type: match asked.launch_type {
                AskedLaunchType::Ec2 => LaunchType::Ec2,
                AskedLaunchType::External => LaunchType::External,
            },
            network,
            overrides,
            duration_ms: duration_ms(&asked.overrides)?,
            exits: exits(&asked.overrides)?,
            failure_detail: FailureDetail::First,
            ..RunTaskRequest::new(call.cluster.clone(), call.task_definition.as_str())
        })
    }

    fn constraint(&self, constraint: &PlacementConstraint) -> Result<Constraint, EcsError> {
        let PlacementConstraint::MemberOf { expression: text } = constraint else {
            return Ok(Constraint::DistinctInstance);
        };
        let mut expressions = self.expressions.borrow_mut();
        if let Some(known) = expressions.get(text) {
            return Ok(Constraint::MemberOf(known.clone()));
        }
        let parsed = Expression::parse(text).map_err(|error| EcsError::invalid(error.to_string()))?;
        expressions.insert(text.clone(), parsed.clone());
        Ok(Constraint::MemberOf(parsed))
    }
}

/// The value of an environment variable in the container overrides of a RunTask call.
fn variable<'o>(overrides: &'o TaskOverrides, name: &str) -> Option<&'o str> {
    let variables = overrides
        .container_overrides
        .iter()
        .flat_map(|container| &container.environment);
    variables
        .filter(|it| it.name.as_deref() == Some(name))
        .find_map(|it| it.value.as_deref())
}

/// How long a task runs, by the overrides of its RunTask call.
///
/// # Errors
/// When that is no number of seconds.
pub fn duration_ms(overrides: &TaskOverrides) -> Result<Option<u64>, EcsError> {
    let Some(text) = variable(overrides, TASK_SECONDS_VARIABLE) else {
        return Ok(None);
    };
    let unreadable = || {
        EcsError::invalid(format!(
            "{TASK_SECONDS_VARIABLE}: `{text}` is not a number of seconds, such as `12` or `0.25`"
        ))
    };
    Ok(Some(read_millis(text).ok_or_else(unreadable)?))
}

/// How the attempts of a task exit, by the overrides of its RunTask call.
///
/// # Errors
/// When that is no list of exit codes.
pub fn exits(overrides: &TaskOverrides) -> Result<Vec<ContainerExit>, EcsError> {
    let Some(text) = variable(overrides, TASK_EXITS_VARIABLE) else {
        return Ok(Vec::new());
    };
    let read = |word: &str| match word.trim() {
        "oom" => Ok(ContainerExit::OUT_OF_MEMORY),
        code => match code.parse() {
            Ok(code) => Ok(ContainerExit { code, reason: None }),
            Err(_) => Err(EcsError::invalid(format!(
                "{TASK_EXITS_VARIABLE}: `{text}` is no list of exit codes and `oom`, such as `1,oom,0`"
            ))),
        },
    };
    text.split(',').map(read).collect()
}

impl Launcher for EcsPorts {
    async fn run_task(&self, call: &LaunchCall) -> LaunchOutcome {
        let mut ecs = self.ecs.borrow_mut();
        let now = ecs.now();
        let answer = self.request(call).and_then(|request| ecs.run_task(&request));
        let outcome = match answer {
            Ok(answer) => match (answer.tasks.into_iter().next(), answer.failures.first()) {
                (Some(task), _) => LaunchOutcome::Placed {
                    task,
                    created_at: Some(now),
                },
                (None, Some(failure)) => LaunchOutcome::Refused(Refusal::from_reason(failure.reason)),
                (None, None) => LaunchOutcome::Unknown {
                    message: "neither a task nor a failure".to_owned(),
                },
            },
            Err(error) => outcome_of_error(&error),
        };
        let mut calls = self.calls.get();
        calls.run_task = calls.run_task.saturating_add(1);
        if !matches!(outcome, LaunchOutcome::Placed { .. }) {
            calls.refused = calls.refused.saturating_add(1);
        }
        self.calls.set(calls);
        outcome
    }

    async fn stop_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<StopAnswer, PortError> {
        match self.ecs.borrow_mut().stop_task(cluster, task.as_str(), reason) {
            Ok(_) => Ok(StopAnswer::Stopping),
            Err(error) if error.kind == EcsErrorKind::InvalidParameter => Ok(StopAnswer::Unknown),
            Err(error) => Err(failed("StopTask", &error)),
        }
    }
}

/// A token that belongs to another request names the tasks that exist, which is an answer.
fn outcome_of_error(error: &EcsError) -> LaunchOutcome {
    let existing = error
        .resource_ids
        .first()
        .and_then(|task| TaskArn::parse(task).ok());
    match existing {
        Some(task) if error.kind == EcsErrorKind::Conflict => LaunchOutcome::Placed {
            task,
            created_at: None,
        },
        _ => outcome_of_exception(Some(error.kind.code()), &error.message, Some(400)),
    }
}

impl Inspector for EcsPorts {
    async fn task_definition(&self, name: &TaskDefinitionName) -> Result<TaskDefinitionAnswer, PortError> {
        let found = self.ecs.borrow().task_definition(name.as_str());
        Ok(match found {
            None => TaskDefinitionAnswer::Unknown {
                message: "Unable to describe task definition.".to_owned(),
            },
            Some(found) if found.definition.status == TaskDefinitionStatus::Active => {
                TaskDefinitionAnswer::Active(Box::new(found.definition.clone()))
            }
            Some(_) => TaskDefinitionAnswer::Inactive,
        })
    }

    async fn list_instances(
        &self,
        cluster: &ClusterName,
    ) -> Result<Option<Vec<ContainerInstanceArn>>, PortError> {
        let ecs = self.ecs.borrow();
        let instances = ecs.cluster(cluster).map(|cluster| cluster.registered_instances());
        Ok(instances
            .ok()
            .map(|instances| instances.map(|it| it.arn.clone()).collect()))
    }

    async fn describe_instances(
        &self,
        cluster: &ClusterName,
        instances: &[ContainerInstanceArn],
    ) -> Result<Vec<DescribedInstance>, PortError> {
        let ecs = self.ecs.borrow();
        let describe = |arn: &ContainerInstanceArn| {
            Ok(match ecs.describe_instance(cluster, arn)? {
                Some(report) => DescribedInstance::Found(Box::new(report)),
                None => DescribedInstance::Missing(arn.clone()),
            })
        };
        let described: Result<_, EcsError> = instances.iter().map(describe).collect();
        described.map_err(|error| failed("DescribeContainerInstances", &error))
    }

    async fn list_tasks(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
    ) -> Result<Vec<TaskArn>, PortError> {
        let ecs = self.ecs.borrow();
        let tasks = ecs
            .tasks_of(cluster)
            .map_err(|error| failed("ListTasks", &error))?;
        Ok(tasks
            .filter(|task| task.instance == *instance)
            .map(|task| task.arn.clone())
            .collect())
    }

    async fn describe_tasks(
        &self,
        cluster: &ClusterName,
        tasks: &[TaskArn],
    ) -> Result<Vec<TaskReport>, PortError> {
        let ecs = self.ecs.borrow();
        let described: Result<Vec<_>, EcsError> = tasks
            .iter()
            .filter_map(|task| ecs.describe_task(cluster, task).transpose())
            .collect();
        described.map_err(|error| failed("DescribeTasks", &error))
    }
}

fn failed(operation: &'static str, error: &EcsError) -> PortError {
    PortError::Failed {
        operation,
        message: error.to_string(),
    }
}

/// A wake message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentWake {
    /// The cluster to look at.
    pub cluster: ClusterName,
    /// When it arrives, in seconds from the moment it was sent.
    pub delay_seconds: u16,
}

/// Berth's own queues: what is sent stays here until it is fetched.
#[derive(Debug, Default)]
pub struct MemoryQueues {
    wakes: RefCell<Vec<SentWake>>,
    refusals: RefCell<Vec<String>>,
    dead_letters: RefCell<Vec<DeadLetter>>,
}

impl MemoryQueues {
    /// Wake messages sent since the last call.
    pub fn take_wakes(&self) -> Vec<SentWake> {
        self.wakes.take()
    }

    /// Refusals sent since the last call, as JSON.
    pub fn take_refusals(&self) -> Vec<String> {
        self.refusals.take()
    }

    /// Dead letters sent since the last call.
    pub fn take_dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.take()
    }
}

impl Messenger for MemoryQueues {
    async fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        self.wakes.borrow_mut().push(SentWake {
            cluster: cluster.clone(),
            delay_seconds,
        });
        Ok(())
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        self.refusals.borrow_mut().push(refusal.to_owned());
        Ok(())
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), PortError> {
        self.dead_letters.borrow_mut().push(letter.clone());
        Ok(())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct VirtualClock(Cell<Timestamp>);

impl VirtualClock {
    /// A clock that shows this moment.
    pub fn at(now: Timestamp) -> Self {
        Self(Cell::new(now))
    }

    /// Moves it.
    pub fn set(&self, now: Timestamp) {
        self.0.set(now);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.get()
    }
}
