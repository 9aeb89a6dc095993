//! What a damaged capacity record is refused with, in both schemas, and what can still be found in it.

use serde_json::{Value, json};

use berth_scheduler::id::{ContainerInstanceArn, TaskFamily, TaskGroup};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::run_time::RunOutlook;

use super::strategy::plain_instance_state;
use crate::records::instance::{attempts_in, from_json, instance_in, to_json};

const OF_SCHEMA_1: &str = include_str!("../../../tests/records-v1/instance-active.json");
const OF_SCHEMA_2: &str = include_str!("../../../tests/records-v2/instance-active.json");

fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn error(record: &Value) -> String {
    from_json(record).unwrap_err().to_string()
}

/// The error of the record with something else at the end of the path.
fn error_with(text: &str, path: &[&str], value: Value) -> String {
    let mut record = stored(text);
    let field = path.iter().fold(&mut record, |value, name| &mut value[name]);
    *field = value;
    error(&record)
}

#[test]
fn a_damaged_record_names_the_field() {
    let renamed = |text| error_with(text, &["status"], json!("RESTING"));
    for text in [OF_SCHEMA_1, OF_SCHEMA_2] {
        let message = "`status`: `RESTING` is not a status of a container instance";
        assert_eq!(renamed(text), message);
        for field in [
            "attributes",
            "instance",
            "registered",
            "remaining",
            "reservations",
            "version",
        ] {
            let mut lost = stored(text);
            lost.as_object_mut().unwrap().remove(field);
            let message = format!("missing field `{field}`");
            assert!(error(&lost).contains(&message), "{field}: {}", error(&lost));
        }
    }
}

#[test]
fn a_damaged_record_of_schema_1_names_the_path() {
    let negative = error_with(OF_SCHEMA_1, &["remaining", "memory"], json!(-1));
    assert!(negative.starts_with("`remaining.memory`: "), "{negative}");
    let path = ["reservations", "berth/1/etl-5", "placed", "task"];
    let renamed = error_with(OF_SCHEMA_1, &path, json!("4d9bb5e5"));
    let message =
        "`reservations.berth/1/etl-5.placed.task`: `4d9bb5e5` is not a task ARN: expected arn:aws:ecs:";
    assert!(renamed.starts_with(message), "{renamed}");
}

#[test]
fn a_field_in_words_is_read_whole_or_not_at_all() {
    let amounts = "GPUs like `1g`, `ecs`, ports like `tcp80,443` or `udp53`, or the end is expected";
    let cases = [
        (
            "instance",
            "a1",
            "`a1` is not REGION:ACCOUNT:CLUSTER/ID or an ARN",
        ),
        ("agent", "1.86.2", "`1.86.2` is not `connected` or `disconnected`"),
        (
            "registered",
            "much",
            "`much` where CPU units like `256c` is expected",
        ),
        ("remaining", "", "`` where CPU units like `256c` is expected"),
        ("remaining", "256c", "it ends where MiB like `512m` is expected"),
        ("remaining", "256c -1m", "`-1m` where MiB like `512m` is expected"),
        ("remaining", "256c  512m", "` 512m` where MiB"),
        ("remaining", "256c 4294967296m", "`4294967296m` where MiB"),
        ("remaining", "0256c 512m", "`0256c 512m` where CPU units"),
        ("remaining", "256c 512m 1e", &format!("`1e` where {amounts}")),
        ("remaining", "256c 512m 0g", &format!("`0g` where {amounts}")),
        (
            "remaining",
            "256c 512m tcp443,80",
            &format!("`tcp443,80` where {amounts}"),
        ),
        (
            "remaining",
            "256c 512m udp53 tcp80",
            &format!("`tcp80` where {amounts}"),
        ),
        ("remaining", "256c 512m ", &format!("`` where {amounts}")),
    ];
    for (field, text, message) in cases {
        let found = error_with(OF_SCHEMA_2, &[field], json!(text));
        assert!(
            found.starts_with(&format!("`{field}`: {message}")),
            "{text}: {found}"
        );
    }
}

#[test]
fn a_damaged_reservation_names_its_path_and_what_is_expected() {
    let kind = "etl 10c 100m";
    let cases = [
        ("", "`` where the version of a report is expected"),
        (
            "+6 pending",
            "`+6 pending` where the version of a report is expected",
        ),
        (
            "6",
            "it ends where `pending`, or the time of creation, is expected",
        ),
        ("6 pending 4d9bb5e5", "`4d9bb5e5` where the end is expected"),
        (
            "6 1795255202000 4d9bb5e5",
            "`1795255202000` where milliseconds after",
        ),
        (
            "6 +-1 4d9bb5e5",
            "`+-1` where milliseconds after `registeredAt` like `+90500`, or since 1970",
        ),
        (
            "6 +9223372036854775807 4d9bb5e5",
            "`+9223372036854775807` where milliseconds",
        ),
        (
            "6 @253402300800000 4d9bb5e5",
            "`@253402300800000` where milliseconds",
        ),
        ("6 +2000", "it ends where the id or ARN of a task is expected"),
        ("6 +2000 ", "`` is neither the id of a task nor its ARN"),
        ("6 +2000 arn:aws:ecs:x", "`arn:aws:ecs:x` is not a task ARN"),
        (
            "6 +2000 4d9bb5e5 reported stopped",
            "`stopped` where `reported`, then `stopping`, or the end",
        ),
        (
            "6 +2000 4d9bb5e5 stopping reported",
            "`reported` where `reported`, then `stopping`",
        ),
    ];
    for (text, message) in cases {
        let found = error_with(OF_SCHEMA_2, &["reservations", kind, "1/etl-5"], json!(text));
        let message = format!("`reservations.{kind}.1/etl-5`: {message}");
        assert!(found.starts_with(&message), "{text}: {found}");
    }
    let found = error_with(OF_SCHEMA_2, &["reservations", kind, "1/etl-5"], json!(7));
    assert!(
        found.starts_with(&format!("`reservations.{kind}.1/etl-5`: invalid type")),
        "{found}"
    );
    let mut unregistered = stored(OF_SCHEMA_2);
    unregistered.as_object_mut().unwrap().remove("registeredAt");
    assert!(error(&unregistered).contains("counts from `registeredAt`, which is missing"));
}

#[test]
fn a_damaged_name_of_a_reservation_is_no_reservation() {
    let rest = "more of the demand like `1g`, `1e`, `tcp80`, `udp53`, then run times like `~60s`, `<90s`, then `group`, \
                or the end is expected";
    let cases = [
        ("", "`` where a family or `?` is expected"),
        ("etl", "it ends where CPU units like `256c` is expected"),
        (
            "? 10c 100m",
            "it has neither a family nor a group: `group` is expected",
        ),
        ("etl 10c 100m ~0s", &format!("`~0s` where {rest}")),
        ("etl 10c 100m <90s ~60s", &format!("`~60s` where {rest}")),
        ("etl 10c 100m group", "it ends where a group is expected"),
    ];
    for (kind, message) in cases {
        let reservations = json!({kind: {"1/etl-5": "6 pending"}});
        let found = error_with(OF_SCHEMA_2, &["reservations"], reservations);
        assert!(
            found.starts_with(&format!("`reservations.{kind}`: {message}")),
            "{kind}: {found}"
        );
    }
    for attempt in ["etl-5", "01/etl-5", "1/etl-5/", "berth/1/etl-5"] {
        let reservations = json!({"etl 10c 100m": {attempt: "6 pending"}});
        let found = error_with(OF_SCHEMA_2, &["reservations"], reservations);
        assert!(
            found.contains(&format!("{attempt}`: `{attempt}` is not ATTEMPT/TASK-ID")),
            "{found}"
        );
    }
    let twice = json!({"etl 10c 100m": {"1/etl-5": "6 pending"}, "etl 10c 101m": {"1/etl-5": "6 pending"}});
    let found = error_with(OF_SCHEMA_2, &["reservations"], twice);
    assert_eq!(
        found,
        "`reservations.etl 10c 101m.1/etl-5`: `1/etl-5` is there twice"
    );
}

#[test]
fn another_task_that_is_damaged_names_its_path() {
    for (text, message) in [
        ("3", "it ends where CPU units like `256c` is expected"),
        (
            "3 10c 100m",
            "it ends where more of the demand like `1g`, `1e`, `tcp80`, `udp53`, then `stopping`",
        ),
        ("3 10c 100m stopping group ", "`` is not a task group"),
    ] {
        let found = error_with(OF_SCHEMA_2, &["otherTasks", "0a"], json!(text));
        assert!(
            found.starts_with(&format!("`otherTasks.0a`: {message}")),
            "{text}: {found}"
        );
    }
}

#[test]
fn names_and_attempts_are_found_in_damaged_records_of_both_schemas() {
    for text in [OF_SCHEMA_1, OF_SCHEMA_2] {
        let mut record = stored(text);
        let arn = from_json(&record).unwrap().arn().clone();
        record.as_object_mut().unwrap().remove("remaining");
        record["reservations"]["neither"] = json!("one nor the other");
        let names: Vec<_> = attempts_in(&record).iter().map(|it| it.started_by()).collect();
        assert_eq!(names, ["berth/1/etl-3", "berth/1/etl-5", "berth/2/etl/2"]);
        assert_eq!(instance_in(&record), Some(arn));
    }
    assert_eq!(attempts_in(&json!({"reservations": 7})), []);
}

#[test]
fn an_arn_of_any_form_is_read_as_it_was_written() {
    for arn in [
        "arn:aws:ecs:us-east-1:123456789012:container-instance/default/a1",
        "arn:aws:ecs:us-east-1:123456789012:container-instance/a1",
        "arn:aws-cn:ecs:cn-north-1:123456789012:container-instance/default/a1",
        "arn:aws:ecs:::container-instance/container-instance/a1",
        "arn:aws:ecs:arn:aws:container-instance/a1",
    ] {
        let mut state = plain_instance_state();
        state.instance = ContainerInstanceArn::parse(arn).unwrap();
        let record = InstanceRecord::from_state(state);
        assert_eq!(from_json(&to_json(&record)), Ok(record), "{arn}");
    }
}

/// As in schema 1: a repaired record knows no more than the group.
#[test]
fn a_family_that_is_not_known_is_read_from_the_group() {
    let mut state = from_json(&stored(OF_SCHEMA_2)).unwrap().state().clone();
    for reservation in state.reservations.values_mut() {
        reservation.group = TaskGroup::parse("family:etl").unwrap();
        reservation.outlook = RunOutlook::default();
    }
    let read = from_json(&to_json(&InstanceRecord::from_state(state))).unwrap();
    for reservation in read.state().reservations.values() {
        assert_eq!(reservation.outlook.family, TaskFamily::parse("etl").ok());
    }
}
