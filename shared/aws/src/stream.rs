//! What DynamoDB streams hand to a function: changes of records, in their order.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html>

use berth_control::publish::RecordChange;
use berth_scheduler::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ledger::item::{is_no_field_of_a_record, number_of};
use crate::ledger::key::{self, subject_of_partition};

#[derive(Deserialize)]
struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<StreamEntry>,
}

#[derive(Deserialize)]
struct StreamEntry {
    dynamodb: StreamRecord,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamRecord {
    sequence_number: String,
    keys: Value,
    #[serde(default)]
    old_image: Option<Value>,
    #[serde(default)]
    new_image: Option<Value>,
    /// Seconds since 1970.
    #[serde(default)]
    approximate_creation_date_time: f64,
}

/// Reads what a stream of the tasks table hands to a function. Changes of other records than tasks and lanes are
/// left out.
///
/// # Errors
/// When it is not what a stream sends.
pub fn changes_of(event: &str) -> Result<Vec<RecordChange>, serde_json::Error> {
    let event: StreamEvent = serde_json::from_str(event)?;
    let changes = event.records.into_iter().map(|entry| change_of(entry.dynamodb));
    Ok(changes.flatten().collect())
}

fn change_of(record: StreamRecord) -> Option<RecordChange> {
    let partition = record.keys.get(key::PARTITION)?.get("S")?.as_str()?;
    Some(RecordChange {
        subject: subject_of_partition(partition)?,
        old: record.old_image.as_ref().map(record_of_image),
        new: record.new_image.as_ref().map(record_of_image),
        at: time_of(record.approximate_creation_date_time),
        sequence_number: record.sequence_number,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seconds since 1970 in milliseconds fit, and a time that does not is cut to the last one"
)]
fn time_of(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as i64)
}

/// The record of an item in DynamoDB's JSON: `{"priority": {"N": "50"}, ...}`.
fn record_of_image(image: &Value) -> Value {
    let fields = image.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !is_no_field_of_a_record(name));
    Value::Object(
        fields
            .map(|(name, attribute)| (name.clone(), value_of(attribute)))
            .collect(),
    )
}

/// An attribute as a value. Binaries and sets, which records have none of, are null.
fn value_of(attribute: &Value) -> Value {
    let Some((kind, inner)) = attribute.as_object().and_then(|it| it.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), inner) {
        ("S", Value::String(text)) => Value::String(text.clone()),
        ("N", Value::String(number)) => number_of(number),
        ("BOOL", Value::Bool(flag)) => Value::Bool(*flag),
        ("L", Value::Array(attributes)) => attributes.iter().map(value_of).collect(),
        ("M", Value::Object(fields)) => {
            let fields = fields
                .iter()
                .map(|(name, attribute)| (name.clone(), value_of(attribute)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use berth_control::publish::{Subject, event_of};
    use berth_scheduler::id::ClusterName;
    use serde_json::json;

    use super::*;

    fn changes(record: &Value) -> Vec<RecordChange> {
        changes_of(&json!({"Records": [{"dynamodb": record}]}).to_string()).unwrap()
    }

    #[test]
    fn images_become_records_without_keys_and_expiry() {
        let image = json!({
            "pk": {"S": "task#etl"}, "sk": {"S": "task"}, "expiresAt": {"N": "1"}, "whole": {"N": "50"},
            "flag": {"BOOL": true}, "nothing": {"NULL": true}, "list": {"L": [{"S": "a"}, {"M": {"b": {"N": "-1"}}}]}
        });
        let record = json!({
            "SequenceNumber": "7", "Keys": {"pk": {"S": "task#etl"}, "sk": {"S": "task"}}, "NewImage": image,
            "ApproximateCreationDateTime": 1_700_000_000.0
        });
        let [change] = &changes(&record)[..] else { panic!() };
        assert_eq!(
            (change.sequence_number.as_str(), &change.subject, &change.old),
            ("7", &Subject::Task, &None)
        );
        assert_eq!(change.at, Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(
            change.new,
            Some(json!({"whole": 50, "flag": true, "nothing": null, "list": ["a", {"b": -1}]}))
        );
    }

    #[test]
    fn the_batch_of_the_events_folder_is_five_events() {
        let batch = include_str!("../../../events/stream-task-states.json");
        let changes = changes_of(batch).unwrap();
        let events: Vec<Value> = changes
            .iter()
            .filter_map(|change| event_of(change).unwrap())
            .map(|event| serde_json::from_str(&event.detail).unwrap())
            .collect();
        let steps: Vec<(&Value, &Value)> = events.iter().map(|it| (&it["state"], &it["sequence"])).collect();
        let expected = [
            (&json!("waiting"), &json!(1)),
            (&Value::Null, &Value::Null),
            (&json!("reserved"), &json!(2)),
            (&json!("started"), &json!(3)),
            (&json!("succeeded"), &json!(5)),
        ];
        assert_eq!(steps, expected);
        assert_eq!(events[1]["text"], "the cluster has no container instance");
        assert_eq!(
            (&events[4]["exitCode"], &events[4]["at"]),
            (&json!(0), &json!("2026-11-21T09:10:31.000Z"))
        );
    }

    #[test]
    fn only_tasks_and_lanes_are_told_of() {
        let of = |partition: &str| {
            let record = json!({"SequenceNumber": "1", "Keys": {"pk": {"S": partition}}});
            changes(&record).pop().map(|change| change.subject)
        };
        assert_eq!(of("task#etl/2"), Some(Subject::Task));
        assert_eq!(
            of("lanes#default"),
            Some(Subject::Lane(ClusterName::parse("default").unwrap()))
        );
        for other in [
            "waiting#default#lane",
            "appointments#default",
            "damaged#default",
            "lanes#",
            "run-times#default",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
