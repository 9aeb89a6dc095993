//! The stored form of a capacity record. It is written with every event of its instance, so it holds only
//! what changes; the attributes are apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::id::{
    AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn, TaskGroup,
};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining, Reported};
use berth_scheduler::quantity::EniCount;
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::reservation::{
    OtherTask, PlacedTask, ReportInclusion, Reservation, ReservationState, TaskStage,
};
use berth_scheduler::timestamp::Timestamp;

use super::amount::{DemandForm, ResourcesForm};
use super::form::{self, RecordError, Text};
use super::outlook::OutlookForm;

/// `reservations` has no default on purpose: a record that lost them must not look free.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceForm {
    instance: Text<ContainerInstanceArn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ec2_instance_id: Option<Text<Ec2InstanceId>>,
    status: Text<InstanceStatus>,
    agent_connected: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent_version: Option<String>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Text<Timestamp>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registered_at: Option<Text<Timestamp>>,
    registered: ResourcesForm,
    /// By the newest report, unless what others use is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remaining: Option<ResourcesForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_by_others: Option<ResourcesForm>,
    running_tasks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eni_limit: Option<u32>,
    attributes: Text<Fingerprint>,
    reservations: BTreeMap<Text<AttemptId>, ReservationForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    other_tasks: BTreeMap<Text<TaskArn>, OtherTaskForm>,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReservationForm {
    demand: DemandForm,
    group: Text<TaskGroup>,
    #[serde(flatten)]
    outlook: OutlookForm,
    reserved_at_version: u64,
    /// Absent while RunTask has not been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placed: Option<PlacedForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlacedForm {
    task: Text<TaskArn>,
    created_at: Text<Timestamp>,
    in_report: InclusionForm,
    stage: StageForm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtherTaskForm {
    demand: DemandForm,
    group: Text<TaskGroup>,
    version: u64,
    stage: StageForm,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum InclusionForm {
    NotYet,
    Included,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum StageForm {
    Running,
    Stopping,
}

/// Writes a capacity record.
pub fn to_json(record: &InstanceRecord) -> Value {
    let state = record.state();
    let reservations = state.reservations.iter();
    let other_tasks = state.other_tasks.iter();
    let (remaining, used_by_others) = match &state.remaining {
        Remaining::Reported(reported) => (
            Some(ResourcesForm::from(&reported.remaining)),
            reported.others_before.as_ref(),
        ),
        Remaining::Besides(others) => (None, Some(others)),
    };
    form::write(&InstanceForm {
        instance: Text(state.instance.clone()),
        ec2_instance_id: state.ec2_instance_id.clone().map(Text),
        status: Text(state.status),
        agent_connected: state.agent == AgentConnection::Connected,
        agent_version: state.agent_version.clone(),
        version: state.version.get(),
        updated_at: state.updated_at.map(Text),
        registered_at: state.registered_at.map(Text),
        registered: ResourcesForm::from(&state.registered),
        remaining,
        used_by_others: used_by_others.map(ResourcesForm::from),
        running_tasks: state.running_tasks,
        eni_limit: state.eni_limit.map(EniCount::get),
        attributes: Text(state.attributes),
        reservations: reservations
            .map(|(attempt, it)| (Text(attempt.clone()), it.into()))
            .collect(),
        other_tasks: other_tasks
            .map(|(task, it)| (Text(task.clone()), it.into()))
            .collect(),
        revision: state.revision.get(),
    })
}

/// Reads a capacity record.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<InstanceRecord, RecordError> {
    let form: InstanceForm = form::read(value)?;
    let agent = if form.agent_connected {
        AgentConnection::Connected
    } else {
        AgentConnection::Disconnected
    };
    let remaining = match (form.remaining, form.used_by_others) {
        (Some(remaining), others_before) => Remaining::Reported(Reported {
            remaining: remaining.into(),
            others_before: others_before.map(Into::into),
        }),
        (None, Some(others)) => Remaining::Besides(others.into()),
        (None, None) => {
            let message = "neither `remaining` nor `usedByOthers` is there";
            return Err(RecordError::damaged("remaining", message));
        }
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
        remaining,
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

impl From<&Reservation> for ReservationForm {
    fn from(reservation: &Reservation) -> Self {
        Self {
            demand: DemandForm::from(&reservation.demand),
            group: Text(reservation.group.clone()),
            outlook: OutlookForm::new(&reservation.outlook, &reservation.group),
            reserved_at_version: reservation.reserved_at_version.get(),
            placed: match &reservation.state {
                ReservationState::Pending => None,
                ReservationState::Placed(placed) => Some(placed.into()),
            },
        }
    }
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

impl From<&PlacedTask> for PlacedForm {
    fn from(placed: &PlacedTask) -> Self {
        Self {
            task: Text(placed.task.clone()),
            created_at: Text(placed.created_at),
            in_report: match placed.report {
                ReportInclusion::NotYet => InclusionForm::NotYet,
                ReportInclusion::Included => InclusionForm::Included,
            },
            stage: placed.stage.into(),
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

impl From<&OtherTask> for OtherTaskForm {
    fn from(task: &OtherTask) -> Self {
        Self {
            demand: DemandForm::from(&task.demand),
            group: Text(task.group.clone()),
            version: task.version.get(),
            stage: task.stage.into(),
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

impl From<TaskStage> for StageForm {
    fn from(stage: TaskStage) -> Self {
        match stage {
            TaskStage::Running => Self::Running,
            TaskStage::Stopping => Self::Stopping,
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
