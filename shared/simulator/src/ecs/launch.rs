//! RunTask and StartTask.

use std::collections::BTreeSet;
use std::sync::Arc;

use berth_scheduler::demand::{DemandError, Overrides, demand};
use berth_scheduler::id::{
    AttemptId, ClusterName, ContainerInstanceArn, ReportVersion, SubnetId, TaskArn, TaskGroup,
};
use berth_scheduler::resources::Demand;
use berth_scheduler::shape::{Constraint, Shape, Strategy};

use super::SimulatedEcs;
use super::definition::Definition;
use super::error::{EcsError, EcsErrorKind};
use super::task::{ContainerExit, Stage, Task, TaskDetails, TaskNumber};

/// Most tasks of one call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
pub const COUNT_MAX: u32 = 10;
const CONSTRAINTS_MAX: usize = 10;
const STRATEGIES_MAX: usize = 5;
const CLIENT_TOKEN_CHARS_MAX: usize = 64;
const RUN_TASK_STARTED_BY_CHARS_MAX: usize = 128;
const START_TASK_STARTED_BY_CHARS_MAX: usize = 36;

/// What a task is asked to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaunchType {
    /// EC2 instances.
    #[default]
    Ec2,
    /// Machines outside AWS.
    External,
}

impl LaunchType {
    /// ECS's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::External => "EXTERNAL",
        }
    }
}

/// Where RunTask may place a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// On any instance that constraints allow.
    #[default]
    Anywhere,
    /// Only there: the quick form of a `memberOf` constraint on its `ec2InstanceId`.
    Pinned(ContainerInstanceArn),
}

/// How much RunTask tells about what it could not place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureDetail {
    /// A failure for each instance, as ECS does.
    #[default]
    EachInstance,
    /// The first one only, which costs no look at the others.
    First,
}

/// The subnets of a task with its own network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkConfiguration {
    /// None given.
    #[default]
    Absent,
    /// Given.
    Subnets(Vec<SubnetId>),
}

/// What RunTask is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTaskRequest {
    /// The cluster.
    pub cluster: ClusterName,
    /// `family`, `family:revision` or an ARN.
    pub definition: Arc<str>,
    /// How many tasks, 1 to 10.
    pub count: u32,
    /// Where they may go.
    pub target: Target,
    /// Constraints, those of the task definition not among them.
    pub constraints: Vec<Constraint>,
    /// Preferences; none is random.
    pub strategies: Vec<Strategy>,
    /// Their group; `family:FAMILY` when absent.
    pub group: Option<TaskGroup>,
    /// Who starts them.
    pub started_by: Option<Arc<str>>,
    /// Makes a repeated request harmless.
    pub client_token: Option<Arc<str>>,
    /// On what they run.
    pub launch_type: LaunchType,
    /// Their subnets.
    pub network: NetworkConfiguration,
    /// What differs from the task definition.
    pub overrides: Overrides,
    /// How long they run, in milliseconds; as the settings say when absent.
    pub duration_ms: Option<u64>,
    /// How their containers exit, attempt by attempt; the last one stands for all that follow, and none is 0.
    pub exits: Vec<ContainerExit>,
    /// What is kept to be answered again.
    pub details: Arc<TaskDetails>,
    /// How much is told about what is not placed.
    pub failure_detail: FailureDetail,
}

impl RunTaskRequest {
    /// How the containers of this attempt exit.
    fn exit(&self) -> ContainerExit {
        let attempt = self.started_by.as_deref().and_then(AttemptId::from_started_by);
        let earlier = attempt.map_or(0, |attempt| attempt.number.get().saturating_sub(1));
        let of_attempt = usize::try_from(earlier)
            .ok()
            .and_then(|earlier| self.exits.get(earlier));
        of_attempt.or(self.exits.last()).copied().unwrap_or_default()
    }

    /// One task of a task definition, anywhere.
    pub fn new(cluster: ClusterName, definition: impl Into<Arc<str>>) -> Self {
        Self {
            cluster,
            definition: definition.into(),
            count: 1,
            target: Target::Anywhere,
            constraints: Vec::new(),
            strategies: Vec::new(),
            group: None,
            started_by: None,
            client_token: None,
            launch_type: LaunchType::Ec2,
            network: NetworkConfiguration::Absent,
            overrides: Overrides::default(),
            duration_ms: None,
            exits: Vec::new(),
            details: Arc::default(),
            failure_detail: FailureDetail::EachInstance,
        }
    }
}

/// What StartTask is asked for.
#[derive(Clone, Debug)]
pub struct StartTaskRequest {
    /// The instances, by ARN or id, one task for each.
    pub instances: Vec<String>,
    /// Everything else; count, target, constraints, strategies and client token have no meaning here.
    pub task: RunTaskRequest,
}

/// What RunTask and StartTask answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTaskAnswer {
    /// The tasks that were placed.
    pub tasks: Vec<TaskArn>,
    /// Why instances could not take what was not placed.
    pub failures: Vec<Failure>,
}

/// Why an instance took no task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The instance, or the name that none has.
    pub arn: String,
    /// ECS's reason.
    pub reason: &'static str,
}

impl SimulatedEcs {
    /// Places as many of the asked tasks as fit; partial success is normal.
    ///
    /// # Errors
    /// When the request makes no sense, its token belongs to another one, or the cluster has no instance.
    pub fn run_task(&mut self, request: &RunTaskRequest) -> Result<RunTaskAnswer, EcsError> {
        // 1. the same request again
        if let Some(answer) = self.replay(request)? {
            return Ok(answer);
        }
        // 2. does it make sense?
        check_request(request)?;
        let (definition, shape) = self.prepare(request)?;
        let group = group_of(request, &definition)?;
        if self.cluster(&request.cluster)?.is_empty_for_placement() {
            return Err(EcsError::invalid(
                "No Container Instances were found in your cluster.",
            ));
        }
        // 3. place one after the other, each seeing the ones before, and say why not all
        let mut answer = RunTaskAnswer::default();
        for _ in 0..request.count {
            let Some(instance) = self.choose(request, &shape, &group)? else {
                answer.failures = self.failures(request, &shape, &group)?;
                break;
            };
            let number = self.place(request, &definition, &shape.demand, &group, &instance);
            answer
                .tasks
                .extend(self.tasks.get(&number).map(|task| task.arn.clone()));
        }
        self.keep_token(request, &answer);
        Ok(answer)
    }

    /// Starts a task on each of the given instances that can take one.
    ///
    /// # Errors
    /// When the request makes no sense.
    pub fn start_task(&mut self, request: &StartTaskRequest) -> Result<RunTaskAnswer, EcsError> {
        let task = &request.task;
        if !(1..=10).contains(&request.instances.len()) {
            return Err(EcsError::invalid(
                "containerInstances: give 1 to 10 container instances",
            ));
        }
        check_started_by(task, START_TASK_STARTED_BY_CHARS_MAX)?;
        let (definition, shape) = self.prepare(task)?;
        let group = group_of(task, &definition)?;
        let mut answer = RunTaskAnswer::default();
        for name in &request.instances {
            let cluster = self.cluster(&task.cluster)?;
            let found = cluster.find_instance(name).map(|instance| instance.arn.clone());
            let Some(instance) = found else {
                answer.failures.push(Failure {
                    arn: self.instance_arn_text(&task.cluster, name),
                    reason: "MISSING",
                });
                continue;
            };
            if let Some(reason) = self.reason_against(&task.cluster, &instance, &shape, &group) {
                answer.failures.push(Failure {
                    arn: instance.to_string(),
                    reason,
                });
                continue;
            }
            let number = self.place(task, &definition, &shape.demand, &group, &instance);
            answer
                .tasks
                .extend(self.tasks.get(&number).map(|task| task.arn.clone()));
        }
        Ok(answer)
    }

    /// The task definition, and what placement must look at.
    fn prepare(&self, request: &RunTaskRequest) -> Result<(Arc<Definition>, Shape), EcsError> {
        self.cluster(&request.cluster)?;
        let found = self.task_definition(&request.definition);
        let definition = found.ok_or_else(|| EcsError::client("TaskDefinition not found."))?;
        if !definition.is_active() {
            return Err(EcsError::client("TaskDefinition is inactive"));
        }
        check_network(request, &definition)?;
        let demand = if request.overrides == Overrides::default() {
            definition.demand.clone()
        } else {
            demand(&definition.definition, &request.overrides).map_err(|error| invalid_override(&error))?
        };
        let subnets: BTreeSet<&SubnetId> = match &request.network {
            NetworkConfiguration::Absent => BTreeSet::new(),
            NetworkConfiguration::Subnets(subnets) => subnets.iter().collect(),
        };
        let constraints: Vec<_> = request
            .constraints
            .iter()
            .chain(&definition.constraints)
            .cloned()
            .collect();
        if constraints.len() > CONSTRAINTS_MAX {
            return Err(EcsError::invalid(format!(
                "placementConstraints: {} are too many, at most {CONSTRAINTS_MAX} with those of the task definition",
                constraints.len()
            )));
        }
        let distinct = constraints.contains(&Constraint::DistinctInstance);
        let distinct_group = if distinct {
            Some(group_of(request, &definition)?)
        } else {
            None
        };
        let shape = Shape {
            demand,
            constraints,
            required_attributes: definition.definition.required_attributes.clone(),
            subnets: subnets.into_iter().cloned().collect(),
            strategies: request.strategies.clone(),
            distinct_group,
        };
        Ok((definition, shape))
    }

    /// Makes the task on its instance. The agent starts it as soon as the instance really has room.
    fn place(
        &mut self,
        request: &RunTaskRequest,
        definition: &Arc<Definition>,
        demand: &Demand,
        group: &TaskGroup,
        instance: &ContainerInstanceArn,
    ) -> TaskNumber {
        let id = self.next_id();
        let number = TaskNumber(self.last_id);
        let arn = TaskArn::parse(&self.settings.arn(&format!("task/{}/{id}", request.cluster)));
        let (Ok(arn), Some(cluster)) = (arn, self.clusters.get_mut(&request.cluster)) else {
            return number;
        };
        let taken = cluster.change_instance(instance, |instance| {
            let gpu_ids = instance.take(demand);
            instance.tasks.insert(number);
            instance.queue.push_back(number);
            instance.pending += 1;
            instance.version = instance.version.next();
            gpu_ids
        });
        cluster.tasks.insert(number);
        if let Some(started_by) = &request.started_by {
            cluster
                .by_started_by
                .entry(Arc::clone(started_by))
                .or_default()
                .insert(number);
        }
        let task = Task {
            number,
            arn: arn.clone(),
            cluster: request.cluster.clone(),
            definition: Arc::clone(definition),
            instance: instance.clone(),
            group: group.clone(),
            started_by: request.started_by.clone(),
            launch_type: request.launch_type,
            demand: demand.clone(),
            details: Arc::clone(&request.details),
            stage: Stage::Queued,
            version: ReportVersion::new(1),
            created_at: self.now,
            pulled_at: None,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            cause: None,
            gpu_ids: taken.unwrap_or_default(),
            bindings: Vec::new(),
            duration_ms: request.duration_ms.unwrap_or(self.settings.run_ms),
            exit: request.exit(),
            step: None,
            token: request.client_token.clone(),
        };
        self.tasks.insert(number, task);
        self.tasks_created += 1;
        self.task_numbers.insert(arn, number);
        self.tell_task(number);
        self.tell_instance(&request.cluster, instance);
        self.start_queued(&request.cluster, instance);
        number
    }
}

fn check_request(request: &RunTaskRequest) -> Result<(), EcsError> {
    if !(1..=COUNT_MAX).contains(&request.count) {
        return Err(EcsError::invalid(format!(
            "count: `{}` is out of range: give 1 to {COUNT_MAX}",
            request.count
        )));
    }
    check_started_by(request, RUN_TASK_STARTED_BY_CHARS_MAX)?;
    if request.strategies.len() > STRATEGIES_MAX {
        return Err(EcsError::invalid(format!(
            "placementStrategy: give at most {STRATEGIES_MAX} strategies"
        )));
    }
    let printable = |token: &str| token.bytes().all(|byte| (33..=126).contains(&byte));
    match &request.client_token {
        Some(token) if token.len() > CLIENT_TOKEN_CHARS_MAX || !printable(token) => Err(EcsError::invalid(
            format!("clientToken: give at most {CLIENT_TOKEN_CHARS_MAX} printable ASCII characters"),
        )),
        _ => Ok(()),
    }
}

fn check_started_by(request: &RunTaskRequest, chars_max: usize) -> Result<(), EcsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b'_');
    match &request.started_by {
        Some(text) if text.len() > chars_max || !text.bytes().all(allowed) => Err(EcsError::invalid(
            format!("startedBy: give at most {chars_max} letters, digits, hyphens, slashes and underscores"),
        )),
        _ => Ok(()),
    }
}

fn check_network(request: &RunTaskRequest, definition: &Definition) -> Result<(), EcsError> {
    match (definition.uses_awsvpc(), &request.network) {
        (true, NetworkConfiguration::Absent) => Err(EcsError::invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )),
        (false, NetworkConfiguration::Subnets(_)) => Err(EcsError::invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        )),
        _ => Ok(()),
    }
}

fn group_of(request: &RunTaskRequest, definition: &Definition) -> Result<TaskGroup, EcsError> {
    match &request.group {
        Some(group) => Ok(group.clone()),
        None => TaskGroup::parse(&format!("family:{}", definition.family()))
            .map_err(|error| EcsError::new(EcsErrorKind::InvalidParameter, error.to_string())),
    }
}

fn invalid_override(error: &DemandError) -> EcsError {
    match error {
        DemandError::UnknownContainer { name, .. } => EcsError::invalid(format!(
            "Override for container named {name} is not a container in the TaskDefinition."
        )),
        other => EcsError::invalid(other.to_string()),
    }
}
