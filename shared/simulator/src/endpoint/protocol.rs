//! JSON 1.1 as the AWS SDKs speak it: the action in a header, JSON in both bodies, exceptions by name.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ecs::definition::Document;
use crate::ecs::error::{EcsError, EcsErrorKind};

/// What `X-Amz-Target` puts before the action.
pub(super) const TARGET_PREFIX: &str = "AmazonEC2ContainerServiceV20141113.";

/// Longest body that is read, in bytes; ECS's largest is a task definition of 64 KiB.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// An answer before it becomes HTTP.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The exception's name, for `x-amzn-errortype`.
    pub(super) error: Option<&'static str>,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self {
            status: 200,
            error: None,
            body,
        }
    }

    pub(super) fn not_found() -> Self {
        let message = "POST an action of the ECS API to /, or see /_berth/calls";
        Self {
            status: 404,
            error: None,
            body: json!({ "message": message }),
        }
    }
}

impl From<EcsError> for Answer {
    fn from(error: EcsError) -> Self {
        let code = error.kind.code();
        let mut body = json!({ "__type": code, "message": error.message });
        if error.kind == EcsErrorKind::Conflict {
            set(&mut body, "resourceIds", json!(error.resource_ids));
        }
        Self {
            status: 400,
            error: Some(code),
            body,
        }
    }
}

impl From<Result<Value, EcsError>> for Answer {
    fn from(result: Result<Value, EcsError>) -> Self {
        result.map_or_else(Self::from, Self::ok)
    }
}

/// Sets a field of a JSON object.
pub(super) fn set(json: &mut Value, name: &str, value: Value) {
    if let Some(object) = json.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Reads a request's body.
pub(super) fn read_document(body: &[u8]) -> Result<Document, EcsError> {
    let serialization = |message: String| EcsError::new(EcsErrorKind::Serialization, message);
    if body.is_empty() {
        return Ok(Document::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(serialization("the body is not a JSON object".to_owned())),
        Err(error) => Err(serialization(format!("the body is not JSON: {error}"))),
    }
}

/// Reads an action's parameters. Unknown ones are left out, as ECS does.
pub(super) fn read<T: DeserializeOwned>(document: &Document) -> Result<T, EcsError> {
    let present = document.iter().filter(|(_, value)| !value.is_null());
    let present: Document = present
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    serde_json::from_value(Value::Object(present))
        .map_err(|error| EcsError::new(EcsErrorKind::Serialization, error.to_string()))
}
