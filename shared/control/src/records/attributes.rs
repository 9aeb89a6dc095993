//! The stored form of an instance's attributes. They have a record of their own: a capacity record is
//! written with every event, and its attributes, several KB, change rarely.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::attributes::AttributeSet;

use super::form::{self, RecordError};

/// Names and values; most capabilities have no value, which is stored as null.
#[derive(Serialize, Deserialize)]
struct AttributesForm {
    attributes: BTreeMap<String, Option<String>>,
}

/// Writes the attributes of an instance.
pub fn to_json(attributes: &AttributeSet) -> Value {
    let pairs = attributes
        .iter()
        .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    form::write(&AttributesForm {
        attributes: pairs.collect(),
    })
}

/// Reads the attributes of an instance.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<AttributeSet, RecordError> {
    let form: AttributesForm = form::read(value)?;
    Ok(form.attributes.into_iter().collect())
}
