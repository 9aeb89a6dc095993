//! Messages from users: RunTask's own JSON with scheduling fields.
//!
//! A message is read strictly and in its own order, so that the first problem in it is the one that is
//! refused: syntax first ([`super::strict_json`]), then field by field. What is read well is typed; nothing
//! has to be checked again later, except what only ECS knows (that the task definition exists) and what only
//! the ledger knows (that the id is new).

use std::sync::Arc;

use berth_scheduler::id::{ClusterName, SubmissionId, TaskGroup};
use berth_scheduler::run_time::RunSeconds;
use berth_scheduler::shape::{Constraint, Strategy};
use berth_scheduler::terms::Terms;
use berth_scheduler::waiting::Priority;

use super::command::{self, Command};
use super::refusal::{Position, Refusal};
use super::strict_json::{self, Node, field};
use super::wake;
use crate::settings::Settings;

mod content_hash;
mod decode;
mod network;
mod overrides;
mod placement;
mod request;
mod tags;
mod task_definition_name;
mod terms;
mod unsupported;

pub use content_hash::ContentHash;
pub(crate) use decode::{cluster_if_missing, cluster_of_deployment};
pub(crate) use placement::{SPREAD_FIELDS, STRATEGIES_MAX};
pub use request::{
    AssignPublicIp, AwsvpcConfiguration, LaunchRequest, LaunchType, NetworkConfiguration,
    PlacementConstraint, PropagateTags, Tag,
};
pub use task_definition_name::{TaskDefinitionName, TaskDefinitionNameError};

/// Bytes of a message at most. Records of a task must stay far below DynamoDB's 400 KB, and nothing that
/// RunTask takes needs nearly as much.
pub const BODY_BYTES_MAX: usize = 65_536;

/// Tasks of one submission at most, as for one RunTask call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
pub const COUNT_MAX: u8 = 10;

/// A message on one of the queues that the admitter reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Tasks to start when there is room.
    Submission(Box<Submission>),
    /// Something to be done with tasks or a cluster.
    Command(Box<Command>),
    /// A cluster to look at.
    Wake(ClusterName),
}

/// Tasks that a user wants to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its name: the user's own, or the message's id.
    pub id: SubmissionId,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it is to run.
    pub cluster: ClusterName,
    /// What is to run.
    pub task_definition: TaskDefinitionName,
    /// How many equal tasks, 1 to [`COUNT_MAX`].
    pub count: u8,
    /// How long each is expected to run.
    pub expected: Option<RunSeconds>,
    /// The group that the user has chosen for its tasks; `family:FAMILY` if none.
    pub group: Option<TaskGroup>,
    /// Where its tasks may run. Those of the task definition come on top.
    pub constraints: Vec<Constraint>,
    /// Where its tasks would best run: its own choice, or else the deployment's.
    pub strategies: Vec<Strategy>,
    /// When its tasks may start, how long they may run, and when they are run again.
    pub terms: Terms,
    /// What RunTask is told besides.
    pub request: Arc<LaunchRequest>,
    /// Tells a repeated message from another one under the same id.
    pub content_hash: ContentHash,
}

/// Reads the body of an SQS message.
///
/// `message_id` is the submission's id if the body names none.
///
/// ```
/// use berth_control::settings::Settings;
/// use berth_control::wire::submission::{Message, decode_message};
///
/// let settings = Settings::parse("default", "environment,resources")?;
/// let message = decode_message(r#"{"taskDefinition": "etl:12", "priority": 50}"#, "m-1", &settings);
/// let Ok(Message::Submission(submission)) = message else { unreachable!() };
/// assert_eq!((submission.id.as_str(), submission.priority.get()), ("m-1", 50));
///
/// let refusal = decode_message(r#"{"taskDefinition": "etl:12", "priorty": 50}"#, "m-1", &settings);
/// let refusal = refusal.expect_err("a mistyped field must not be silent");
/// assert_eq!(refusal.to_string(), "priorty: unknown field; did you mean `priority`? (line 1, column 30)");
/// # Ok::<(), berth_control::settings::SettingsError>(())
/// ```
///
/// # Errors
/// The first problem in the body.
pub fn decode_message(body: &str, message_id: &str, settings: &Settings) -> Result<Message, Refusal> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Refusal {
            field: None,
            position: Some(Position::of_offset(
                body,
                body.floor_char_boundary(BODY_BYTES_MAX),
            )),
            reason: format!("the body has {} bytes: give at most {BODY_BYTES_MAX}", body.len()),
        });
    }
    let root = parse_body(body)?;
    let message = field::root(body, &root).object("one JSON object")?;
    if message.has(wake::WAKE_FIELD) {
        wake::decode_wake(&message, settings).map(Message::Wake)
    } else if message.has(command::ACTION_FIELD) {
        let command = command::decode_command(&message, settings)?;
        Ok(Message::Command(Box::new(command)))
    } else {
        let submission = decode::decode_submission(&message, message_id, settings)?;
        Ok(Message::Submission(Box::new(submission)))
    }
}

/// Reads a body as JSON.
pub(crate) fn parse_body(body: &str) -> Result<Node<'_>, Refusal> {
    strict_json::parse(body).map_err(|error| Refusal {
        position: Some(Position::of_offset(body, error.offset)),
        reason: if error.path.is_empty() {
            error.reason
        } else {
            format!("{}: {}", error.path, error.reason)
        },
        field: Some(error.path).filter(|path| !path.is_empty()),
    })
}

#[cfg(test)]
mod tests;
