//! What the stored forms have in common: the schema number, the error, and text forms of ids.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use berth_scheduler::attributes::Fingerprint;
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::{
    AttemptId, ClusterName, ContainerInstanceArn, Ec2InstanceId, LaneKey, SubnetId, TaskArn,
    TaskDefinitionArn, TaskFamily, TaskGroup, TaskId,
};
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::timestamp::Timestamp;

use crate::wire::submission::ContentHash;

/// The schema number of every record that has none of its own, and the highest that is read of them.
pub const SCHEMA: u64 = 1;

const SCHEMA_FIELD: &str = "schema";

/// Why a stored record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A newer release wrote it.
    #[error("`schema` is `{found}`, and this release reads up to {highest}: deploy the newer release")]
    NewerSchema {
        /// The record's schema number.
        found: u64,
        /// The highest that this release reads.
        highest: u64,
    },
    /// It is no record at all.
    #[error("`schema` is missing or not a number: this is not a record of Berth")]
    NoSchema,
    /// One of its fields is missing or damaged.
    #[error("`{field}`: {message}")]
    Damaged {
        /// The field's path, `.` for the record as a whole.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl RecordError {
    pub(super) fn damaged(field: &str, message: impl ToString) -> Self {
        Self::Damaged {
            field: field.to_owned(),
            message: message.to_string(),
        }
    }
}

/// Writes a stored form with its schema number.
pub(super) fn write(form: &impl Serialize) -> Value {
    write_schema(form, SCHEMA)
}

/// Writes a stored form with a schema number of its own.
pub(super) fn write_schema(form: &impl Serialize, schema: u64) -> Value {
    let mut value = to_value(form);
    if let Value::Object(fields) = &mut value {
        fields.insert(SCHEMA_FIELD.to_owned(), Value::from(schema));
    }
    value
}

#[expect(
    clippy::expect_used,
    reason = "the forms have text keys and whole numbers only, which never fails"
)]
fn to_value(form: &impl Serialize) -> Value {
    serde_json::to_value(form).expect("a stored form is JSON")
}

/// Reads a stored form after a look at its schema number.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, RecordError> {
    read_schema(value, SCHEMA)
}

/// Reads a stored form whose schema number may be at most `highest`.
pub(super) fn read_schema<T: DeserializeOwned>(value: &Value, highest: u64) -> Result<T, RecordError> {
    schema_of(value, highest)?;
    serde_path_to_error::deserialize(value).map_err(|error| RecordError::Damaged {
        field: error.path().to_string(),
        message: error.inner().to_string(),
    })
}

/// The schema number of a stored record, which may be at most `highest`.
pub(super) fn schema_of(value: &Value, highest: u64) -> Result<u64, RecordError> {
    match value.get(SCHEMA_FIELD).and_then(Value::as_u64) {
        None => Err(RecordError::NoSchema),
        Some(found) if found > highest => Err(RecordError::NewerSchema { found, highest }),
        Some(found) => Ok(found),
    }
}

/// A domain value that is stored as text.
pub(super) trait TextForm: Sized {
    fn text(&self) -> String;

    /// The error says what was expected.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A domain value in its text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<T: TextForm> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text())
    }
}

impl<'de, T: TextForm> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        T::from_text(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

macro_rules! id_forms {
    ($($id:ty),* $(,)?) => {$(
        impl TextForm for $id {
            fn text(&self) -> String {
                self.as_str().to_owned()
            }

            fn from_text(text: &str) -> Result<Self, String> {
                Self::parse(text).map_err(|error| error.to_string())
            }
        }
    )*};
}

id_forms!(
    ClusterName,
    ContainerInstanceArn,
    Ec2InstanceId,
    LaneKey,
    SubnetId,
    TaskArn,
    TaskDefinitionArn,
    TaskFamily,
    TaskGroup,
    TaskId,
);

/// An attempt is stored as the `startedBy` of its ECS task, so that both can be found by the same text.
impl TextForm for AttemptId {
    fn text(&self) -> String {
        self.started_by()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_started_by(text).ok_or_else(|| format!("`{text}` is not berth/ATTEMPT/TASK-ID"))
    }
}

impl TextForm for Timestamp {
    fn text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse_iso8601(text)
            .ok_or_else(|| format!("`{text}` is not a time like 2026-11-21T10:00:00.000Z"))
    }
}

impl TextForm for InstanceStatus {
    fn text(&self) -> String {
        self.as_str().to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{text}` is not a status of a container instance"))
    }
}

/// Text, because readers of JSON may lose the last digits of a 64-bit number.
impl TextForm for Fingerprint {
    fn text(&self) -> String {
        format!("{:016x}", self.get())
    }

    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_str_radix(text, 16)
            .map(Self::new)
            .map_err(|_| format!("`{text}` is not a hexadecimal number"))
    }
}

impl TextForm for Expression {
    fn text(&self) -> String {
        self.as_written().to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl TextForm for ContentHash {
    fn text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("`{text}` is not 64 hexadecimal digits"))
    }
}
