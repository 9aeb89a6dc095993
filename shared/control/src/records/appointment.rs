//! The stored form of an appointment.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::id::{TaskGroup, TaskId};
use berth_scheduler::timestamp::Timestamp;

use super::Appointment;
use super::form::{self, RecordError, Text};

#[derive(Serialize, Deserialize)]
struct AppointmentForm {
    due: Text<Timestamp>,
    task: Text<TaskId>,
    group: Text<TaskGroup>,
}

/// Writes an appointment.
pub fn to_json(appointment: &Appointment) -> Value {
    form::write(&AppointmentForm {
        due: Text(appointment.due),
        task: Text(appointment.task.clone()),
        group: Text(appointment.group.clone()),
    })
}

/// Reads an appointment.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<Appointment, RecordError> {
    let form: AppointmentForm = form::read(value)?;
    Ok(Appointment {
        due: form.due.0,
        task: form.task.0,
        group: form.group.0,
    })
}

/// The text that sorts appointments by time, such as `2026-11-21T10:00:00.000Z#etl`: ISO 8601 in UTC sorts by
/// time because the year has four digits.
pub fn sort_key(appointment: &Appointment) -> String {
    format!("{}#{}", appointment.due, appointment.task)
}

/// The sort key behind all appointments that are due by then.
pub fn sort_key_after(due_by: Timestamp) -> String {
    // `$` is the character after `#`.
    format!("{due_by}$")
}
