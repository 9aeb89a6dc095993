//! The stored form of a capacity record. It is written with every event of its instance, so it holds only
//! what changes; the attributes are apart.
//!
//! DynamoDB charges a write by the KiB, and an instance has many tasks, so what they take is written in words that
//! people can read, too:
//!
//! ```json
//! {
//!   "schema": 2, "revision": 96, "instance": "us-east-1:123456789012:default/6d1c8a",
//!   "ec2": "i-0123456789abcdef0", "status": "ACTIVE", "agent": "connected 1.86.2", "version": 412,
//!   "updatedAt": "2026-11-21T10:00:03.000Z", "registeredAt": "2026-11-21T09:00:00.000Z", "running": 0,
//!   "registered": "4096c 15800m ecs", "usedByOthers": "0c 0m", "attributes": "fedcba9876543210",
//!   "reservations": {
//!     "etl 256c 512m": {
//!       "1/orders-17": "409 +3600123 4d9bb5e5",
//!       "2/orders-18": "411 +3601456 77ac01d2"
//!     },
//!     "report 256c 512m 1e ~900s <3600s group nightly": {"1/report-3": "412 pending"}
//!   }
//! }
//! ```
//!
//! - **Reservations** are grouped by what their tasks have in common: the family (`?` when it is not known), the demand
//!   (`256c 512m 1g 1e tcp80,443 udp53`: CPU units, MiB, GPUs, network interfaces, host ports), `~` how many seconds it
//!   is expected to run, `<` after how many it is stopped, and the group, if it is not `family:FAMILY`. In each group,
//!   `ATTEMPT/TASK-ID` is followed by the version of the instance's report when the room was reserved, and then either
//!   by `pending`, as long as RunTask has not been answered, or by when ECS created the task, its id, `reported` when
//!   a report of the instance that was stored counts it, and `stopping`.
//! - **When ECS created a task** is told in milliseconds after `registeredAt`, `+3600123`; or since 1970,
//!   `@1795255202000`, when `registeredAt` is not known or later.
//! - **Names** leave out what every ARN has, or what a task's ARN has in common with that of the instance; an ARN that
//!   differs is written in full.
//! - **Other tasks**, in `otherTasks` by the same names: `3 256c 512m stopping group service:web` is the version of the
//!   task, its demand, `stopping`, and the group.
//! - **`usedByOthers`** is what remains of `registered` beside our reservations; where the newest report leaves that in
//!   doubt, `remaining` is what it says remains, and `usedByOthers` what they used before. `running` are then all tasks
//!   with status RUNNING, and else those of others.
//! - **`endedAt`** is when the last of our tasks here ended.
//! - **`registered`, `remaining` and `usedByOthers`** are like demands, with the ports that are taken; `ecs` stands for the TCP ports of
//!   the ECS agent: 22, 2375, 2376, 51678, 51679.
//!
//! Words stand in this order, with one space between two of them. What is not there is left out, and anything else is
//! damage. Schema 1 had all of it in maps of maps; it is only read.

mod amounts;
mod names;
mod reservation;
mod schema_1;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::id::{AttemptId, ContainerInstanceArn, Ec2InstanceId, ReportVersion, Revision, TaskArn};
use berth_scheduler::instance::{InstanceRecord, InstanceState, Remaining, Reported};
use berth_scheduler::quantity::EniCount;
use berth_scheduler::report::{AgentConnection, InstanceStatus};
use berth_scheduler::reservation::{OtherTask, Reservation};
use berth_scheduler::resources::Resources;
use berth_scheduler::timestamp::Timestamp;

use self::names::{InstanceName, read_task_name, task_name};
use self::reservation::{
    Context, TaskKind, attempt_text, other_text, read_attempt, read_other, read_state, state_text,
};
use super::form::{self, RecordError, Text, TextForm};

/// The schema number of capacity records that this release writes, and the highest that it reads.
pub const SCHEMA: u64 = 2;

/// Reservations by kind of task and attempt, in words.
type ReservationTexts = BTreeMap<String, BTreeMap<String, String>>;

/// `reservations` has no default on purpose: a record that lost them must not look free.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceForm {
    instance: Text<InstanceName>,
    #[serde(rename = "ec2", default, skip_serializing_if = "Option::is_none")]
    ec2_instance_id: Option<Text<Ec2InstanceId>>,
    status: Text<InstanceStatus>,
    agent: Text<Agent>,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Text<Timestamp>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registered_at: Option<Text<Timestamp>>,
    registered: Text<Resources>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remaining: Option<Text<Resources>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_by_others: Option<Text<Resources>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<Text<Timestamp>>,
    #[serde(rename = "running")]
    running_tasks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eni_limit: Option<u32>,
    attributes: Text<Fingerprint>,
    reservations: ReservationTexts,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    other_tasks: BTreeMap<String, String>,
    revision: u64,
}

/// The ECS agent: `connected`, or `disconnected`, and its version.
struct Agent {
    connection: AgentConnection,
    version: Option<String>,
}

impl TextForm for Agent {
    fn text(&self) -> String {
        let connection = match self.connection {
            AgentConnection::Connected => "connected",
            AgentConnection::Disconnected => "disconnected",
        };
        match &self.version {
            None => connection.to_owned(),
            Some(version) => format!("{connection} {version}"),
        }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let (connection, version) = text
            .split_once(' ')
            .map_or((text, None), |(connection, version)| (connection, Some(version)));
        let connection = match connection {
            "connected" => AgentConnection::Connected,
            "disconnected" => AgentConnection::Disconnected,
            _ => {
                return Err(format!(
                    "`{text}` is not `connected` or `disconnected`, and a version"
                ));
            }
        };
        Ok(Self {
            connection,
            version: version.map(str::to_owned),
        })
    }
}

/// Writes a capacity record.
pub fn to_json(record: &InstanceRecord) -> Value {
    let state = record.state();
    let other_tasks = state.other_tasks.iter();
    let (remaining, used_by_others) = match &state.remaining {
        Remaining::Reported(reported) => (Some(&reported.remaining), reported.others_before.as_ref()),
        Remaining::Besides(others) => (None, Some(others)),
    };
    let form = InstanceForm {
        instance: Text(InstanceName(state.instance.clone())),
        ec2_instance_id: state.ec2_instance_id.clone().map(Text),
        status: Text(state.status),
        agent: Text(Agent {
            connection: state.agent,
            version: state.agent_version.clone(),
        }),
        version: state.version.get(),
        updated_at: state.updated_at.map(Text),
        registered_at: state.registered_at.map(Text),
        registered: Text(state.registered.clone()),
        remaining: remaining.cloned().map(Text),
        used_by_others: used_by_others.cloned().map(Text),
        ended_at: state.ended_at.map(Text),
        running_tasks: state.running_tasks,
        eni_limit: state.eni_limit.map(EniCount::get),
        attributes: Text(state.attributes),
        reservations: reservation_texts(state),
        other_tasks: other_tasks
            .map(|(task, it)| (task_name(task, &state.instance).to_owned(), other_text(it)))
            .collect(),
        revision: state.revision.get(),
    };
    form::write_schema(&form, SCHEMA)
}

fn reservation_texts(state: &InstanceState) -> ReservationTexts {
    let context = Context {
        instance: &state.instance,
        registered_at: state.registered_at,
    };
    let mut texts = ReservationTexts::new();
    for (attempt, reservation) in &state.reservations {
        let of_kind = texts.entry(TaskKind::text(reservation)).or_default();
        of_kind.insert(attempt_text(attempt), state_text(reservation, &context));
    }
    texts
}

/// Reads a capacity record.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<InstanceRecord, RecordError> {
    if form::schema_of(value, SCHEMA)? == 1 {
        return schema_1::from_json(value);
    }
    let form: InstanceForm = form::read_schema(value, SCHEMA)?;
    let instance = form.instance.0.0;
    let registered_at = form.registered_at.map(|at| at.0);
    let context = Context {
        instance: &instance,
        registered_at,
    };
    let remaining = match (form.remaining, form.used_by_others) {
        (Some(remaining), others_before) => Remaining::Reported(Reported {
            remaining: remaining.0,
            others_before: others_before.map(|others| others.0),
        }),
        (None, Some(others)) => Remaining::Besides(others.0),
        (None, None) => {
            let message = "missing field `remaining` or `usedByOthers`";
            return Err(RecordError::damaged("remaining", message));
        }
    };
    let reservations = read_reservations(&form.reservations, &context)?;
    let other_tasks = read_other_tasks(&form.other_tasks, &instance)?;
    Ok(InstanceRecord::from_state(InstanceState {
        ec2_instance_id: form.ec2_instance_id.map(|id| id.0),
        status: form.status.0,
        agent: form.agent.0.connection,
        agent_version: form.agent.0.version,
        version: ReportVersion::new(form.version),
        updated_at: form.updated_at.map(|at| at.0),
        registered_at,
        registered: form.registered.0,
        remaining,
        ended_at: form.ended_at.map(|at| at.0),
        running_tasks: form.running_tasks,
        eni_limit: form.eni_limit.map(EniCount::new),
        attributes: form.attributes.0,
        reservations,
        other_tasks,
        revision: Revision::new(form.revision),
        instance,
    }))
}

fn read_reservations(
    texts: &ReservationTexts,
    context: &Context<'_>,
) -> Result<BTreeMap<AttemptId, Reservation>, RecordError> {
    let mut reservations = BTreeMap::new();
    for (kind_text, of_kind) in texts {
        let kind_path = format!("reservations.{kind_text}");
        let kind = TaskKind::read(kind_text).map_err(|error| RecordError::damaged(&kind_path, error))?;
        for (attempt_text, state_text) in of_kind {
            let damaged = |error: String| RecordError::damaged(&format!("{kind_path}.{attempt_text}"), error);
            let attempt = read_attempt(attempt_text)
                .ok_or_else(|| damaged(format!("`{attempt_text}` is not ATTEMPT/TASK-ID")))?;
            let (version, state) = read_state(state_text, context).map_err(damaged)?;
            let reservation = Reservation {
                demand: kind.demand.clone(),
                group: kind.group.clone(),
                outlook: kind.outlook.clone(),
                reserved_at_version: version,
                state,
            };
            if reservations.insert(attempt, reservation).is_some() {
                return Err(damaged(format!("`{attempt_text}` is there twice")));
            }
        }
    }
    Ok(reservations)
}

fn read_other_tasks(
    texts: &BTreeMap<String, String>,
    instance: &ContainerInstanceArn,
) -> Result<BTreeMap<TaskArn, OtherTask>, RecordError> {
    let mut tasks = BTreeMap::new();
    for (name, text) in texts {
        let damaged = |error: String| RecordError::damaged(&format!("otherTasks.{name}"), error);
        let task = read_task_name(name, instance).map_err(damaged)?;
        if tasks.insert(task, read_other(text).map_err(damaged)?).is_some() {
            return Err(damaged(format!("`{name}` is there twice")));
        }
    }
    Ok(tasks)
}

/// The instance that a damaged capacity record of any schema still names.
pub fn instance_in(damaged: &Value) -> Option<ContainerInstanceArn> {
    let name = InstanceName::from_text(damaged.get("instance")?.as_str()?).ok()?;
    Some(name.0)
}

/// The attempts that a damaged capacity record of any schema still names.
pub fn attempts_in(damaged: &Value) -> Vec<AttemptId> {
    let reservations = damaged.get("reservations").and_then(Value::as_object);
    let mut attempts = Vec::new();
    for (name, content) in reservations.into_iter().flatten() {
        // Schema 1 has the attempts right here, schema 2 below the kinds of their tasks.
        attempts.extend(AttemptId::from_started_by(name));
        let of_kind = content.as_object().into_iter().flat_map(serde_json::Map::keys);
        attempts.extend(of_kind.filter_map(|text| read_attempt(text)));
    }
    attempts
}
