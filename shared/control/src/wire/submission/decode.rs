//! A submission, field by field.

use std::sync::Arc;

use berth_scheduler::id::{ClusterName, SubmissionId, TaskGroup};
use berth_scheduler::run_time::RunSeconds;
use berth_scheduler::shape::{Constraint, PlacementTemplate, Strategy};
use berth_scheduler::terms::Terms;
use berth_scheduler::waiting::Priority;

use super::content_hash::Content;
use super::network::decode_network_configuration;
use super::overrides::{decode_overrides, require_allowed};
use super::placement::{decode_constraints, decode_strategies, decode_template};
use super::request::{LaunchRequest, LaunchType, PlacementConstraint, PropagateTags};
use super::tags::decode_tags;
use super::terms::{check_times, decode_retry, decode_time, decode_timeout};
use super::unsupported::reason_unsupported;
use super::{COUNT_MAX, ContentHash, Submission, TaskDefinitionName};
use crate::settings::{CLUSTERS_VARIABLE, Override, Settings};
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::{Field, Object, list_of};
use crate::wire::terms::TermsForm;

/// The fields of a submission.
const FIELDS: [&str; 21] = [
    "id",
    "priority",
    "cluster",
    "taskDefinition",
    "count",
    "expectedDurationSeconds",
    "launchType",
    "placementConstraints",
    "placementStrategy",
    "placementTemplate",
    "group",
    "overrides",
    "tags",
    "enableECSManagedTags",
    "propagateTags",
    "networkConfiguration",
    "enableExecuteCommand",
    "notBefore",
    "startBy",
    "timeoutSeconds",
    "retryStrategy",
];

const CLUSTER_IF_MISSING: &str = "default";
const TASK_DEFINITION_SHAPE: &str = "a task definition: `FAMILY`, `FAMILY:REVISION` or its ARN";

/// What was read so far.
#[derive(Default)]
struct Draft {
    id: Option<SubmissionId>,
    priority: Priority,
    cluster: Option<ClusterName>,
    task_definition: Option<TaskDefinitionName>,
    count: Option<u8>,
    expected: Option<RunSeconds>,
    constraints: Vec<Constraint>,
    strategies: Vec<Strategy>,
    terms: Terms,
    template: Option<PlacementTemplate>,
    request: LaunchRequest,
}

/// Reads a submission. `message_id` names it if it names itself not.
pub(super) fn decode_submission(
    message: &Object<'_>,
    message_id: &str,
    settings: &Settings,
) -> Result<Submission, Refusal> {
    let mut draft = Draft::default();
    let mut start_by = None;
    for (name, field) in message.fields() {
        draft.read(name, &field, settings)?;
        if name == "startBy" {
            start_by = Some(field);
        }
    }
    check_times(&draft.terms, start_by.as_ref())?;
    draft.complete(message, message_id, settings)
}

impl Draft {
    fn read(&mut self, name: &str, field: &Field<'_>, settings: &Settings) -> Result<(), Refusal> {
        let request = &mut self.request;
        match name {
            "id" => self.id = Some(field.parsed("a submission id", SubmissionId::parse)?),
            "priority" => self.priority = decode_priority(field)?,
            "cluster" => self.cluster = Some(cluster_of_deployment(field, settings)?),
            "taskDefinition" => {
                self.task_definition = Some(field.parsed(TASK_DEFINITION_SHAPE, TaskDefinitionName::parse)?);
            }
            "count" => self.count = Some(field.whole_number(1..=i64::from(COUNT_MAX))?),
            "expectedDurationSeconds" => self.expected = Some(decode_run_seconds(field)?),
            "launchType" => request.launch_type = decode_launch_type(field)?,
            "placementConstraints" => self.constraints = decode_constraints(field)?,
            "placementStrategy" => self.strategies = decode_strategies(field)?,
            "placementTemplate" => self.template = Some(decode_template(field)?),
            "group" => request.group = Some(field.parsed("a task group", TaskGroup::parse)?),
            "overrides" => request.overrides = decode_overrides(field, settings)?,
            "tags" => request.tags = decode_tags(field)?,
            "enableECSManagedTags" => request.enable_ecs_managed_tags = field.switch()?,
            "propagateTags" => request.propagate_tags = decode_propagate_tags(field)?,
            "networkConfiguration" => request.network_configuration = decode_network_configuration(field)?,
            "enableExecuteCommand" => {
                request.enable_execute_command = field.switch()?;
                if request.enable_execute_command {
                    require_allowed(field, Override::ExecuteCommand, settings)?;
                }
            }
            "notBefore" => self.terms.not_before = Some(decode_time(field)?),
            "startBy" => self.terms.start_by = Some(decode_time(field)?),
            "timeoutSeconds" => self.terms.timeout = Some(decode_timeout(field)?),
            "retryStrategy" => self.terms.retry = decode_retry(field, settings)?,
            _ => {
                return Err(match reason_unsupported(name) {
                    Some(reason) => field.refuse_key(reason),
                    None => field.unknown(&FIELDS),
                });
            }
        }
        Ok(())
    }

    /// Adds what the template stands for.
    fn apply_template(&mut self, message: &Object<'_>) -> Result<(), Refusal> {
        let Some(template) = self.template else {
            return Ok(());
        };
        for constraint in template.constraints() {
            if !self.constraints.contains(&constraint) {
                self.constraints.push(constraint);
            }
        }
        let strategies = template.strategies();
        match (strategies.is_empty(), self.strategies.is_empty()) {
            (true, _) => {}
            (false, true) => self.strategies = strategies,
            (false, false) => {
                let reason = format!(
                    "given, and the template `{}` has strategies of its own: give one of them",
                    template.as_str()
                );
                return Err(message.refuse_default("placementStrategy", &reason));
            }
        }
        Ok(())
    }

    /// Fills in the defaults.
    fn complete(
        mut self,
        message: &Object<'_>,
        message_id: &str,
        settings: &Settings,
    ) -> Result<Submission, Refusal> {
        self.apply_template(message)?;
        let task_definition = self
            .task_definition
            .ok_or_else(|| message.missing("taskDefinition", TASK_DEFINITION_SHAPE))?;
        let cluster = match self.cluster {
            Some(cluster) => cluster,
            None => cluster_if_missing(message, settings)?,
        };
        let id = match self.id {
            Some(id) => id,
            None => SubmissionId::parse(message_id).map_err(|error| {
                message.refuse_default("id", &format!("missing, and the message id {error}"))
            })?,
        };
        let group = match &self.request.group {
            Some(group) => group.clone(),
            None => TaskGroup::parse(&format!("family:{}", task_definition.family())).map_err(|error| {
                message.refuse_default("group", &format!("missing, and its default {error}"))
            })?,
        };
        self.request.placement_constraints = self.constraints.iter().map(PlacementConstraint::from).collect();
        let count = self.count.unwrap_or(1);
        let content_hash = ContentHash::of(&Content {
            cluster: cluster.as_str(),
            count,
            expected_duration_seconds: self.expected.map(RunSeconds::get),
            placement_strategy: &self.strategies,
            priority: self.priority.get(),
            request: LaunchRequest {
                group: Some(group),
                ..self.request.clone()
            },
            task_definition: task_definition.as_str(),
            terms: TermsForm::from(&self.terms),
        });
        // After the hash: a message that comes again is the same one, whatever the default has become.
        if self.strategies.is_empty() {
            self.strategies.clone_from(&settings.default_strategies);
        }
        Ok(Submission {
            id,
            priority: self.priority,
            cluster,
            task_definition,
            count,
            expected: self.expected,
            group: self.request.group.clone(),
            constraints: self.constraints,
            strategies: self.strategies,
            terms: self.terms,
            request: Arc::new(self.request),
            content_hash,
        })
    }
}

fn decode_priority(field: &Field<'_>) -> Result<Priority, Refusal> {
    let number: u16 = field.whole_number(0..=i64::from(Priority::MAX))?;
    // `whole_number` has checked the range.
    Ok(Priority::new(number).unwrap_or_default())
}

fn decode_run_seconds(field: &Field<'_>) -> Result<RunSeconds, Refusal> {
    let seconds: u32 = field.whole_number(1..=i64::from(RunSeconds::MAX))?;
    RunSeconds::new(seconds).ok_or_else(|| field.refuse("out of range"))
}

/// The cluster that a field names, which must be one of the deployment's.
pub(crate) fn cluster_of_deployment(field: &Field<'_>, settings: &Settings) -> Result<ClusterName, Refusal> {
    let cluster = field.parsed("a cluster's name or ARN", ClusterName::from_name_or_arn)?;
    if settings.clusters.contains(&cluster) {
        return Ok(cluster);
    }
    Err(field.refuse(&not_of_deployment(&cluster, settings)))
}

/// The cluster of a message that names none.
pub(crate) fn cluster_if_missing(message: &Object<'_>, settings: &Settings) -> Result<ClusterName, Refusal> {
    match ClusterName::parse(CLUSTER_IF_MISSING) {
        Ok(cluster) if settings.clusters.contains(&cluster) => Ok(cluster),
        Ok(cluster) => {
            let reason = format!(
                "missing, and its default {}",
                not_of_deployment(&cluster, settings)
            );
            Err(message.refuse_default("cluster", &reason))
        }
        Err(error) => Err(message.refuse_default("cluster", &error.to_string())),
    }
}

fn not_of_deployment(cluster: &ClusterName, settings: &Settings) -> String {
    let clusters: Vec<&str> = settings.clusters.iter().map(ClusterName::as_str).collect();
    format!(
        "`{cluster}` is not a cluster of this deployment: give {} (parameter `Clusters`, environment variable \
         {CLUSTERS_VARIABLE})",
        list_of(&clusters)
    )
}

fn decode_launch_type(field: &Field<'_>) -> Result<LaunchType, Refusal> {
    if let Ok(other @ ("FARGATE" | "MANAGED_INSTANCES")) = field.text("") {
        return Err(field.refuse(&format!(
            "`{other}` is not supported: Berth places tasks on container instances that exist; give `EC2` or `EXTERNAL`"
        )));
    }
    field.choice(&[("EC2", LaunchType::Ec2), ("EXTERNAL", LaunchType::External)])
}

fn decode_propagate_tags(field: &Field<'_>) -> Result<PropagateTags, Refusal> {
    if let Ok("SERVICE") = field.text("") {
        return Err(field.refuse("`SERVICE` is for tasks of services: give `TASK_DEFINITION` or `NONE`"));
    }
    field.choice(&[
        ("TASK_DEFINITION", PropagateTags::TaskDefinition),
        ("NONE", PropagateTags::None),
    ])
}
