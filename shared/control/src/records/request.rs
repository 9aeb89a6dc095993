//! What somebody asked for and when, as a part of stored records and of other services' messages.

use berth_scheduler::progress::Request;
use berth_scheduler::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::form::{RecordError, Text};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestForm {
    at: Text<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Writes a request.
pub fn to_json(request: &Request) -> Value {
    serde_json::to_value(RequestForm::from(request)).unwrap_or_default()
}

/// Reads a request.
///
/// # Errors
/// When it is damaged.
pub fn from_json(value: &Value) -> Result<Request, RecordError> {
    let form = RequestForm::deserialize(value).map_err(|error| RecordError::damaged(".", error))?;
    Ok(form.into())
}

impl From<&Request> for RequestForm {
    fn from(request: &Request) -> Self {
        Self {
            at: Text(request.at),
            reason: request.reason.clone(),
        }
    }
}

impl From<RequestForm> for Request {
    fn from(form: RequestForm) -> Self {
        Self {
            at: form.at.0,
            reason: form.reason,
        }
    }
}
