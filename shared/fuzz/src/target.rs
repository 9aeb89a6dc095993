//! What is read from outside, and what must hold of it.

use berth_control::records::form::RecordError;
use berth_control::records::{attributes, hold, instance, lane, task, waiting};
use berth_control::settings::Settings;
use berth_control::wire::command::{self, Order};
use berth_control::wire::event::{DecodedEvent, decode_event};
use berth_control::wire::submission::{COUNT_MAX, Message, decode_message};
use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::instance::{InstanceRecord, Observed, observe};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_simulator::scenario::{Fleet, Workload};
use serde_json::Value;

use crate::corpus;

/// Bytes of a refusal at most: what a queue takes.
const REFUSAL_BYTES_MAX: usize = 1_048_576;

/// One reader.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Real inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Reads an input; the error says what did not hold.
    pub check: fn(&[u8]) -> Result<(), String>,
}

/// Every reader.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "message",
        corpus: message_bodies,
        check: check_message,
    },
    Target {
        name: "event",
        corpus: || owned(corpus::EVENTS),
        check: check_event,
    },
    Target {
        name: "expression",
        corpus: || {
            corpus::EXPRESSIONS
                .iter()
                .map(|text| text.as_bytes().to_vec())
                .collect()
        },
        check: check_expression,
    },
    Target {
        name: "workload",
        corpus: || owned(corpus::TABLES),
        check: check_workload,
    },
    Target {
        name: "record",
        corpus: || owned(corpus::RECORDS),
        check: check_record,
    },
];

/// Checks an input for a target by its name, for fuzzers that know a failure by its panic.
///
/// # Panics
/// When something does not hold, or there is no such target.
#[expect(clippy::panic, reason = "that is how a fuzzer is told")]
pub fn must_hold(name: &str, input: &[u8]) {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        panic!("there is no target `{name}`");
    };
    if let Err(what) = (target.check)(input) {
        panic!("{name}: {what}");
    }
}

fn owned(files: &[&[u8]]) -> Vec<Vec<u8>> {
    files.iter().map(|file| file.to_vec()).collect()
}

/// The bodies in the example batches.
fn message_bodies() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for batch in corpus::SQS_EVENTS {
        let batch: Value = serde_json::from_slice(batch).unwrap_or_default();
        let records = batch
            .get("Records")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let body = |record: &Value| record.get("body")?.as_str().map(|body| body.as_bytes().to_vec());
        bodies.extend(records.iter().filter_map(body));
    }
    bodies
}

fn settings() -> Result<Settings, String> {
    Settings::parse("default,batch", "environment,resources,command,task-role")
        .map_err(|error| error.to_string())
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// A message is a submission within its limits, a wake, or refused with a reason that a queue takes.
fn check_message(input: &[u8]) -> Result<(), String> {
    let settings = settings()?;
    let body = String::from_utf8_lossy(input);
    let decoded = decode_message(&body, "m-1", &settings);
    ensure(
        decoded == decode_message(&body, "m-1", &settings),
        "read twice, read differently",
    )?;
    match decoded {
        Ok(Message::Wake(cluster)) => ensure(
            settings.clusters.contains(&cluster),
            "a wake for a cluster of others",
        ),
        Ok(Message::Command(command)) => match command.order {
            Order::Cluster(_, cluster) | Order::Tasks(_, command::Target::Group(cluster, _)) => ensure(
                settings.clusters.contains(&cluster),
                "a command for a cluster of others",
            ),
            Order::Tasks(..) => Ok(()),
        },
        Ok(Message::Submission(submission)) => {
            ensure(
                (1..=COUNT_MAX).contains(&submission.count),
                "a count out of range",
            )?;
            ensure(
                settings.clusters.contains(&submission.cluster),
                "a submission to a cluster of others",
            )?;
            let stored = serde_json::to_string(&*submission.request).map_err(|error| error.to_string())?;
            let read = serde_json::from_str(&stored)
                .map_err(|error| format!("a request that cannot be stored: {error}"))?;
            ensure(
                *submission.request == read,
                "a request that is stored as another one",
            )
        }
        Err(refusal) => {
            ensure(!refusal.reason.is_empty(), "refused without a reason")?;
            let message = refusal.to_message("m-1", &body, Timestamp::from_millis(0));
            ensure(
                message.len() <= REFUSAL_BYTES_MAX,
                "a refusal that no queue takes",
            )?;
            let read: Result<Value, _> = serde_json::from_str(&message);
            ensure(read.is_ok(), "a refusal that is no JSON")
        }
    }
}

/// An event is a report that makes a record, or is ignored. A record has no more room than its instance.
fn check_event(input: &[u8]) -> Result<(), String> {
    let settings = settings()?;
    let text = String::from_utf8_lossy(input);
    match decode_event(&text, &settings.clusters) {
        DecodedEvent::Ignored(why) => ensure(!why.to_string().is_empty(), "ignored without a reason"),
        DecodedEvent::Task { .. } => Ok(()),
        DecodedEvent::Instance { report, .. } => {
            let Observed::Updated(record) = observe(None, &report) else {
                return Err("a first report that makes no record".to_owned());
            };
            let (room, registered) = (record.room(), &record.state().registered);
            ensure(
                room.memory <= registered.memory && room.cpu <= registered.cpu,
                "more room than there is",
            )?;
            read_again(&*record, instance::to_json, instance::from_json)
        }
    }
}

/// An expression is refused with a reason, or has a value for every instance and can be parsed again.
fn check_expression(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    match Expression::parse(&text) {
        Err(error) => ensure(!error.to_string().is_empty(), "refused without a reason"),
        Ok(expression) => {
            for view in instances() {
                let _either = expression.matches(&view);
            }
            let again = Expression::parse(expression.as_written());
            ensure(again.as_ref() == Ok(&expression), "parsed again, and another one")
        }
    }
}

/// The instances of the example events.
fn instances() -> Vec<InstanceView> {
    let Ok(settings) = settings() else {
        return Vec::new();
    };
    let view = |file: &&[u8]| {
        let text = String::from_utf8_lossy(file);
        let DecodedEvent::Instance { report, .. } = decode_event(&text, &settings.clusters) else {
            return None;
        };
        let Observed::Updated(record) = observe(None, &report) else {
            return None;
        };
        let attributes: AttributeSet = report.attributes.clone().unwrap_or_default();
        Some(InstanceView {
            record: (*record).into(),
            attributes: attributes.into(),
        })
    };
    corpus::EVENTS.iter().filter_map(view).take(4).collect()
}

/// A table is a workload, a fleet, or refused with a reason.
fn check_workload(input: &[u8]) -> Result<(), String> {
    if let Err(error) = Workload::parse("fuzz.csv", input) {
        ensure(
            error.to_string().starts_with("fuzz.csv: "),
            "refused without its place",
        )?;
    }
    if let Err(error) = Fleet::parse("fuzz.csv", input) {
        ensure(
            error.to_string().starts_with("fuzz.csv: "),
            "refused without its place",
        )?;
    }
    Ok(())
}

/// What a table holds is a record of one kind or another, the same when written and read again, or refused with a
/// reason. A record of a newer release is told from a damaged one.
fn check_record(input: &[u8]) -> Result<(), String> {
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return Ok(());
    };
    record(&value, task::from_json, task::to_json)?;
    record(&value, instance::from_json, instance::to_json)?;
    record(&value, lane::from_json, lane::to_json)?;
    record(&value, waiting::from_json, waiting::to_json)?;
    record(&value, attributes::from_json, attributes::to_json)?;
    record(&value, hold::from_json, hold::to_json)?;
    if let Ok(record) = instance::from_json(&value) {
        let record: InstanceRecord = record;
        let _room = record.registered_room();
    }
    Ok(())
}

fn record<T: PartialEq>(
    value: &Value,
    read: fn(&Value) -> Result<T, RecordError>,
    write: fn(&T) -> Value,
) -> Result<(), String> {
    match read(value) {
        Err(error) => ensure(!error.to_string().is_empty(), "refused without a reason"),
        Ok(record) => read_again(&record, write, read),
    }
}

fn read_again<T: PartialEq>(
    record: &T,
    write: fn(&T) -> Value,
    read: fn(&Value) -> Result<T, RecordError>,
) -> Result<(), String> {
    match read(&write(record)) {
        Ok(again) => ensure(again == *record, "stored, and read as another one"),
        Err(error) => Err(format!("stored, and cannot be read: {error}")),
    }
}
