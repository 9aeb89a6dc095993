//! A message that failed on its last try goes to the dead-letter queue with its reason.
//!
//! SQS moves a message there by itself, and cannot say why. So before it does, the admitter sends it there with the
//! error and what else one needs to know, and then lets it be deleted: in this order, because one that is there twice
//! starts nothing twice, and one that is nowhere is lost. Only what crashes the function on every try is left to SQS;
//! what it was is in the function's log, under the message's id.

use serde_json::{Map, Value};

use super::{AfterFailure, BatchReport, InboundMessage};
use crate::ports::{Messenger, PortError};
use crate::wire::command::ACTION_FIELD;
use crate::wire::wake::WAKE_FIELD;

/// A message for the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id that its message had.
    pub message_id: String,
    /// Its body, as it can be sent again.
    pub body: String,
    /// Why it could not be handled.
    pub reason: PortError,
}

/// Records that a message could not be handled: it comes again, or is a dead letter.
pub(super) async fn fail<M: Messenger>(
    messenger: &M,
    message: &InboundMessage,
    error: PortError,
    report: &mut BatchReport,
) {
    if message.after_failure == AfterFailure::DeadLetter {
        let letter = DeadLetter {
            message_id: message.message_id.clone(),
            body: with_id(&message.body, &message.message_id),
            reason: error.clone(),
        };
        if messenger.dead_letter(&letter).await.is_ok() {
            report.dead_letters.push((letter.message_id, error));
            return;
        }
        // SQS moves it there by itself, without the reason; the log has that.
    }
    report.failed.push((message.message_id.clone(), error));
}

/// The body of a submission with the message's id as its `id`, if it has none. Sent again, the message has another id,
/// and a part of the submission may be stored under this one. Every other body stays as it is: for a command, an `id`
/// is what it is about.
fn with_id(body: &str, message_id: &str) -> String {
    let others = ["id", WAKE_FIELD, ACTION_FIELD];
    let has_none = |fields: &Map<String, Value>| !others.iter().any(|it| fields.contains_key(*it));
    if serde_json::from_str(body).is_ok_and(|fields: Map<String, Value>| has_none(&fields))
        && let Some((before, fields)) = body.split_once('{')
    {
        let comma = if fields.trim_start().starts_with('}') {
            ""
        } else {
            ", "
        };
        return format!("{before}{{\"id\": {}{comma}{fields}", Value::from(message_id));
    }
    body.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_without_an_id_gets_that_of_its_message_and_is_otherwise_as_it_was() {
        let with = |body| with_id(body, "m-1");
        assert_eq!(
            with(r#" {"taskDefinition": "etl", "priority":  5}"#),
            r#" {"id": "m-1", "taskDefinition": "etl", "priority":  5}"#
        );
        assert_eq!(with("{ }"), r#"{"id": "m-1" }"#);
        for as_it_is in [
            r#"{"id": "etl", "taskDefinition": "etl"}"#,
            r#"{"wake": {"cluster": "default"}}"#,
            r#"{"action": "pause"}"#,
            r#"{"action": "hold", "group": "nightly"}"#,
            "not JSON",
            "[{}]",
            "",
        ] {
            assert_eq!(with(as_it_is), as_it_is);
        }
    }
}
