//! Container instances and tasks as JSON: in answers of the API, and in the events of EventBridge.

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::resources::{PortSet, Resources};
use berth_scheduler::timestamp::Timestamp;
use serde_json::{Map, Value, json};

use crate::ecs::instance::Instance;
use crate::ecs::{Cluster, EcsSettings, EventSubject};
use crate::endpoint::protocol::set;

mod definition;
mod task;

pub(super) use definition::definition_json;
pub(super) use task::{stub_json, task_json};

/// The two ways ECS writes the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In answers: times are numbers, and a resource has all value fields, the others 0.
    Answer,
    /// In events: times are texts, and a resource has the value field of its type only.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html>
    Event,
}

impl Form {
    fn time(self, at: Timestamp) -> Value {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits")]
            Self::Answer => json!(at.as_millis() as f64 / 1_000.0),
            Self::Event => json!(at.to_string()),
        }
    }

    fn put_time(self, object: &mut Map<String, Value>, name: &str, at: Option<Timestamp>) {
        if let Some(at) = at {
            object.insert(name.to_owned(), self.time(at));
        }
    }
}

/// An event of EventBridge, whole.
pub(super) fn event_json(settings: &EcsSettings, now: Timestamp, subject: EventSubject<'_>) -> Value {
    let (kind, arn, version, detail) = match subject {
        EventSubject::Instance(cluster, instance) => {
            let mut detail = instance_json(cluster, instance, Form::Event);
            set(&mut detail, "updatedAt", Form::Event.time(now));
            (
                "ECS Container Instance State Change",
                instance.arn.as_str(),
                instance.version,
                detail,
            )
        }
        EventSubject::Task(cluster, task) => {
            let mut detail = task_json(cluster, task, Form::Event);
            set(&mut detail, "updatedAt", Form::Event.time(now));
            ("ECS Task State Change", task.arn.as_str(), task.version, detail)
        }
    };
    json!({
        "version": "0",
        "id": event_id(arn, version.get()),
        "detail-type": kind,
        "source": settings.event_source,
        "account": settings.account,
        "time": in_whole_seconds(now),
        "region": settings.region,
        "resources": [arn],
        "detail": detail,
    })
}

/// EventBridge writes the time of an event without a fraction.
fn in_whole_seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.')
        .map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// A UUID that belongs to this version of this thing (FNV-1a of both, twice).
fn event_id(arn: &str, version: u64) -> String {
    let hash = |seed: u64| {
        let bytes = arn.bytes().chain(version.to_be_bytes());
        bytes.fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let (one, other) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15));
    let (a, b, c) = (one >> 32, (one >> 16) & 0xffff, one & 0xfff);
    let (d, e) = (0x8000 | (other >> 50), other & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
}

/// A container instance.
pub(super) fn instance_json(cluster: &Cluster, instance: &Instance, form: Form) -> Value {
    let mut json = json!({
        "containerInstanceArn": instance.arn.as_str(),
        "version": instance.version.get(),
        "versionInfo": {
            "agentHash": instance.versions.agent_hash,
            "agentVersion": instance.versions.agent_version,
            "dockerVersion": instance.versions.docker_version,
        },
        "registeredResources": resources_json(&instance.registered, instance.gpu_ids.iter(), instance, form),
        "remainingResources": resources_json(&instance.remaining, instance.gpu_free.iter(), instance, form),
        "status": instance.status.as_str(),
        "agentConnected": instance.agent == berth_scheduler::report::AgentConnection::Connected,
        "runningTasksCount": instance.running,
        "pendingTasksCount": instance.pending,
        "attributes": attributes_json(&instance.attributes),
        "attachments": [],
        "registeredAt": form.time(instance.registered_at),
    });
    if let Some(id) = &instance.ec2_instance_id {
        set(&mut json, "ec2InstanceId", json!(id.as_str()));
    }
    if form == Form::Event {
        set(&mut json, "clusterArn", json!(cluster.arn));
        set(&mut json, "accountType", json!("aws"));
    }
    json
}

fn attributes_json(attributes: &AttributeSet) -> Value {
    let attribute = |(name, value): (&str, Option<&str>)| match value {
        Some(value) => json!({ "name": name, "value": value }),
        None => json!({ "name": name }),
    };
    attributes.iter().map(attribute).collect()
}

fn resources_json<'a>(
    resources: &Resources,
    gpus: impl Iterator<Item = &'a std::sync::Arc<str>>,
    instance: &Instance,
    form: Form,
) -> Value {
    let ports = |ports: &PortSet| {
        ports
            .iter()
            .map(|port| json!(port.to_string()))
            .collect::<Vec<_>>()
    };
    let mut entries = vec![
        amount_json("CPU", resources.cpu.get(), form),
        amount_json("MEMORY", resources.memory.get(), form),
        set_json("PORTS", ports(&resources.ports_taken.tcp), form),
        set_json("PORTS_UDP", ports(&resources.ports_taken.udp), form),
    ];
    if !instance.gpu_ids.is_empty() {
        entries.push(set_json("GPU", gpus.map(|id| json!(&**id)).collect(), form));
    }
    Value::Array(entries)
}

fn amount_json(name: &str, amount: u32, form: Form) -> Value {
    match form {
        Form::Answer => json!({
            "name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": amount,
        }),
        Form::Event => json!({ "name": name, "type": "INTEGER", "integerValue": amount }),
    }
}

fn set_json(name: &str, texts: Vec<Value>, form: Form) -> Value {
    match form {
        Form::Answer => json!({
            "name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0,
            "stringSetValue": texts,
        }),
        Form::Event => json!({ "name": name, "type": "STRINGSET", "stringSetValue": texts }),
    }
}

/// A cluster.
pub(super) fn cluster_json(cluster: &Cluster) -> Value {
    let instances = || cluster.registered_instances();
    let mut json = Value::Object(cluster.document.clone());
    for (name, value) in [
        ("clusterArn", json!(cluster.arn)),
        ("clusterName", json!(cluster.name.as_str())),
        (
            "status",
            json!(if cluster.active { "ACTIVE" } else { "INACTIVE" }),
        ),
        ("registeredContainerInstancesCount", json!(instances().count())),
        (
            "runningTasksCount",
            json!(instances().map(|it| it.running).sum::<u32>()),
        ),
        (
            "pendingTasksCount",
            json!(instances().map(|it| it.pending).sum::<u32>()),
        ),
        ("activeServicesCount", json!(0)),
        ("statistics", json!([])),
    ] {
        set(&mut json, name, value);
    }
    for (name, absent) in [
        ("tags", json!([])),
        (
            "settings",
            json!([{ "name": "containerInsights", "value": "disabled" }]),
        ),
        ("capacityProviders", json!([])),
        ("defaultCapacityProviderStrategy", json!([])),
    ] {
        if json.get(name).is_none_or(Value::is_null) {
            set(&mut json, name, absent);
        }
    }
    json
}
