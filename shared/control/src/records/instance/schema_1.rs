//! Capacity records of schema 1, which are only read: every name in full, and each reservation a map of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::id::{
    AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn, TaskGroup,
};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining};
use berth_scheduler::quantity::EniCount;
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::timestamp::Timestamp;

use super::super::amount::{DemandForm, ResourcesForm};
use super::super::form::{self, RecordError, Text};
use super::super::outlook::OutlookForm;

/// `reservations` has no default on purpose: a record that lost them must not look free.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceForm {
    instance: Text<ContainerInstanceArn>,
    ec2_instance_id: Option<Text<Ec2InstanceId>>,
    status: Text<InstanceStatus>,
    agent_connected: bool,
    agent_version: Option<String>,
    version: u64,
    updated_at: Option<Text<Timestamp>>,
    registered_at: Option<Text<Timestamp>>,
    registered: ResourcesForm,
    remaining: ResourcesForm,
    running_tasks: u32,
    eni_limit: Option<u32>,
    attributes: Text<Fingerprint>,
    reservations: BTreeMap<Text<AttemptId>, ReservationForm>,
    #[serde(default)]
    other_tasks: BTreeMap<Text<TaskArn>, OtherTaskForm>,
    revision: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReservationForm {
    demand: DemandForm,
    group: Text<TaskGroup>,
    #[serde(flatten)]
    outlook: OutlookForm,
    reserved_at_version: u64,
    /// Absent while RunTask has not been answered.
    placed: Option<PlacedForm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlacedForm {
    task: Text<TaskArn>,
    created_at: Text<Timestamp>,
    in_report: InclusionForm,
    stage: StageForm,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtherTaskForm {
    demand: DemandForm,
    group: Text<TaskGroup>,
    version: u64,
    stage: StageForm,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum InclusionForm {
    NotYet,
    Included,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StageForm {
    Running,
    Stopping,
}

pub(super) fn from_json(value: &Value) -> Result<InstanceRecord, RecordError> {
    let form: InstanceForm = form::read_schema(value, 1)?;
    let agent = if form.agent_connected {
        AgentConnection::Connected
    } else {
        AgentConnection::Disconnected
    };
    Ok(InstanceRecord::from_state(InstanceState {
        instance: form.instance.0,
        ec2_instance_id: form.ec2_instance_id.map(|id| id.0),
        status: form.status.0,
        agent,
        agent_version: form.agent_version,
        version: ReportVersion::new(form.version),
        updated_at: form.updated_at.map(|at| at.0),
        registered_at: form.registered_at.map(|at| at.0),
        registered: form.registered.into(),
        remaining: Remaining::reported(form.remaining.into()),
        ended_at: None,
        running_tasks: form.running_tasks,
        eni_limit: form.eni_limit.map(EniCount::new),
        attributes: form.attributes.0,
        reservations: form
            .reservations
            .into_iter()
            .map(|(attempt, it)| (attempt.0, it.into()))
            .collect(),
        other_tasks: form
            .other_tasks
            .into_iter()
            .map(|(task, it)| (task.0, it.into()))
            .collect(),
        revision: Revision::new(form.revision),
    }))
}

impl From<ReservationForm> for Reservation {
    fn from(form: ReservationForm) -> Self {
        Self {
            demand: form.demand.into(),
            outlook: form.outlook.read(&form.group.0),
            group: form.group.0,
            reserved_at_version: ReportVersion::new(form.reserved_at_version),
            state: form.placed.map_or(ReservationState::Pending, |placed| {
                ReservationState::Placed(placed.into())
            }),
        }
    }
}

impl From<PlacedForm> for PlacedTask {
    fn from(form: PlacedForm) -> Self {
        Self {
            task: form.task.0,
            created_at: form.created_at.0,
            report: match form.in_report {
                InclusionForm::NotYet => ReportInclusion::NotYet,
                InclusionForm::Included => ReportInclusion::Included,
            },
            stage: form.stage.into(),
        }
    }
}

impl From<OtherTaskForm> for OtherTask {
    fn from(form: OtherTaskForm) -> Self {
        Self {
            demand: form.demand.into(),
            group: form.group.0,
            version: ReportVersion::new(form.version),
            stage: form.stage.into(),
        }
    }
}

impl From<StageForm> for TaskStage {
    fn from(form: StageForm) -> Self {
        match form {
            StageForm::Running => Self::Running,
            StageForm::Stopping => Self::Stopping,
        }
    }
}
