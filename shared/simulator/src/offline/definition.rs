//! The task definition of a planned task: as DescribeTaskDefinition answers it, as RegisterTaskDefinition takes
//! it, or only its `cpu` and `memory`.

use berth_control::wire::submission::TaskDefinitionName;
use berth_control::wire::task_definition::TaskDefinition as DefinitionForm;
use berth_scheduler::demand::{TaskDefinition, TaskDefinitionStatus};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::task::TaskError;

/// The family of a task definition that has no name.
const FAMILY_IF_MISSING: &str = "task";

/// What is inside the output of `aws ecs describe-task-definition`; anything else as it is.
pub(super) fn unwrapped(mut object: Map<String, Value>) -> Map<String, Value> {
    match object.remove("taskDefinition") {
        Some(Value::Object(inner)) => inner,
        Some(other) => {
            object.insert("taskDefinition".to_owned(), other);
            object
        }
        None => object,
    }
}

/// Reads a task definition's object. `name` is what the task calls it, if it does.
pub(super) fn read(
    mut object: Map<String, Value>,
    name: Option<&TaskDefinitionName>,
) -> Result<TaskDefinition, TaskError> {
    object.retain(|_, value| !value.is_null());
    for amount in ["cpu", "memory"] {
        // ECS writes a task's own amounts as texts; everybody else writes numbers.
        if let Some(Value::Number(number)) = object.get(amount) {
            let text = number.to_string();
            object.insert(amount.to_owned(), Value::String(text));
        }
    }
    if !object.contains_key("taskDefinitionArn") {
        let arn = made_up_arn(&object, name)?;
        object.insert("taskDefinitionArn".to_owned(), Value::String(arn));
    }
    let form: DefinitionForm = typed("", Value::Object(object))?;
    let definition = form.read().map_err(|error| TaskError::new(error.to_string()))?;
    if definition.status != TaskDefinitionStatus::Active {
        return Err(TaskError::new(format!(
            "status: `{}` is not ACTIVE, so that no task can use it: name an active revision",
            definition.arn
        )));
    }
    Ok(definition)
}

/// Placement needs no ARN, but a task definition has one; what is not registered yet gets one that is nobody's.
fn made_up_arn(object: &Map<String, Value>, name: Option<&TaskDefinitionName>) -> Result<String, TaskError> {
    let family = match object.get("family") {
        None => name.map_or(FAMILY_IF_MISSING, TaskDefinitionName::family),
        Some(Value::String(family)) => family,
        Some(other) => {
            return Err(TaskError::new(format!(
                "family: `{other}` is no name: give a text"
            )));
        }
    };
    TaskDefinitionName::parse(family).map_err(|error| TaskError::new(format!("family: {error}")))?;
    Ok(format!(
        "arn:aws:ecs:us-east-1:000000000000:task-definition/{family}:1"
    ))
}

/// Reads JSON into a type; the error names the place below `field`, which is empty at the top.
pub(super) fn typed<'de, T: Deserialize<'de>>(field: &str, value: Value) -> Result<T, TaskError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = match (field, path.as_str()) {
            (field, ".") => field.to_owned(),
            ("", path) => path.to_owned(),
            (field, path) => format!("{field}.{path}"),
        };
        TaskError::new(format!("{place}: {}", error.inner()))
    })
}
