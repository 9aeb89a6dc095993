//! The stored forms of every release are read by this one.
//!
//! `tests/records-v1` holds one record of every kind as the release with schema 1 wrote it, `tests/records-v2` tasks and
//! capacity records as those with schema 2 did. Those files are never changed: they are what the tables of a deployment
//! hold when it is upgraded. Whoever raises the schema number of a kind adds to the folder of that number, and a field
//! that the old records lack gets its default in `values`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod values;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::PathBuf;

use berth_control::records::form::{RecordError, SCHEMA};
use berth_control::records::{attributes, hold, instance, lane, task, waiting};
use serde_json::{Value, json};

/// The records as the release with this schema number wrote them.
fn folder(schema: u64) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/records-v{schema}"))
}

fn stored(schema: u64, name: &str) -> Value {
    let path = folder(schema).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each file is read as the value that was written, and today's form of the value is read as the same, too.
fn check<T: PartialEq + Debug>(
    values: Vec<(&str, T)>,
    read: impl Fn(&Value) -> Result<T, RecordError>,
    write: impl Fn(&T) -> Value,
    [then, now]: [u64; 2],
) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in values {
        let stored = stored(then, name);
        assert_eq!(stored.get("schema"), Some(&json!(then)), "{name}");
        assert_eq!(read(&stored).as_ref(), Ok(&value), "{name}");
        let today = write(&value);
        assert_eq!(today.get("schema"), Some(&json!(now)), "{name}");
        assert_eq!(read(&today).as_ref(), Ok(&value), "{name}");
        names.push(format!("{name}.json"));
    }
    names
}

#[test]
fn every_record_of_schema_1_is_read_as_it_was_meant() {
    let mut names = check(values::tasks(), task::from_json, task::to_json, [1, task::SCHEMA]);
    names.extend(check(
        values::instances(),
        instance::from_json,
        instance::to_json,
        [1, instance::SCHEMA],
    ));
    names.extend(check(
        values::lanes(),
        lane::from_json,
        lane::to_json,
        [1, SCHEMA],
    ));
    names.extend(check(
        values::waiting(),
        waiting::from_json,
        waiting::to_json,
        [1, SCHEMA],
    ));
    names.extend(check(
        values::attributes(),
        attributes::from_json,
        attributes::to_json,
        [1, SCHEMA],
    ));
    names.extend(check(
        values::holds(),
        hold::from_json,
        hold::to_json,
        [1, SCHEMA],
    ));
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), files_of(1));
}

/// Tasks and capacity records have schema numbers of their own.
#[test]
fn every_record_of_schema_2_is_read_as_it_was_meant() {
    let mut names = check(
        values::tasks_of_2(),
        task::from_json,
        task::to_json,
        [2, task::SCHEMA],
    );
    names.extend(check(
        values::instances_of_2(),
        instance::from_json,
        instance::to_json,
        [2, instance::SCHEMA],
    ));
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), files_of(2));
}

fn files_of(schema: u64) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder(schema)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}
