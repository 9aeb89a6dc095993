//! The stored form of the run times learnt of a family: one number for each bucket that was ever counted, so
//! that an end is counted by adding to one field.

use std::collections::BTreeMap;

use serde_json::Value;

use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts};

use super::form::{self, RecordError};

/// The name of a bucket's field.
pub fn field(bucket: RunTimeBucket) -> String {
    format!("b{}", bucket.position())
}

/// Reads the counts of a family.
///
/// # Errors
/// When the record was written by a newer release.
pub fn from_json(value: &Value) -> Result<RunTimeCounts, RecordError> {
    let fields: BTreeMap<String, Value> = form::read(value)?;
    let mut counts = RunTimeCounts::default();
    for bucket in RunTimeBucket::all() {
        let count = fields.get(&field(bucket)).and_then(Value::as_u64);
        counts.add(bucket, u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX));
    }
    Ok(counts)
}
