//! Messages to Berth's own queues.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::MessageAttributeValue;
use berth_control::intake::DeadLetter;
use berth_control::ports::{Messenger, PortError};
use berth_control::wire::wake::wake_message;
use berth_scheduler::id::ClusterName;

use crate::error::port_error;

const SERVICE: &str = "SQS";

/// Characters of an attribute of a dead letter at most: enough for any error, and far below what a message may have.
const ATTRIBUTE_CHARACTERS_MAX: usize = 1_000;

/// The attributes of a message by name.
type Attributes = HashMap<String, MessageAttributeValue>;

/// The queues on SQS.
#[derive(Clone, Debug)]
pub struct SqsMessenger {
    client: Client,
    wake_queue_url: String,
    refusals_queue_url: Option<String>,
    dead_letter_queue_url: Option<String>,
}

impl SqsMessenger {
    /// A messenger to the wake queue alone.
    pub fn new(client: Client, wake_queue_url: String) -> Self {
        Self {
            client,
            wake_queue_url,
            refusals_queue_url: None,
            dead_letter_queue_url: None,
        }
    }

    /// The same with a refusals queue.
    #[must_use]
    pub fn with_refusals(self, refusals_queue_url: String) -> Self {
        Self {
            refusals_queue_url: Some(refusals_queue_url),
            ..self
        }
    }

    /// The same with the dead-letter queue of the submissions.
    #[must_use]
    pub fn with_dead_letters(self, dead_letter_queue_url: String) -> Self {
        Self {
            dead_letter_queue_url: Some(dead_letter_queue_url),
            ..self
        }
    }

    async fn send(
        &self,
        queue_url: &str,
        body: String,
        delay_seconds: u16,
        attributes: Option<Attributes>,
    ) -> Result<(), PortError> {
        let request = self.client.send_message().queue_url(queue_url).message_body(body);
        let request = request.set_message_attributes(attributes);
        let delay = (delay_seconds > 0).then_some(i32::from(delay_seconds));
        let answer = Box::pin(request.set_delay_seconds(delay).send()).await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "SendMessage", &error))
    }
}

impl Messenger for SqsMessenger {
    async fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        self.send(&self.wake_queue_url, wake_message(cluster), delay_seconds, None)
            .await
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        match &self.refusals_queue_url {
            Some(queue_url) => self.send(queue_url, refusal.to_owned(), 0, None).await,
            None => Err(no_queue("refusals queue")),
        }
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), PortError> {
        match &self.dead_letter_queue_url {
            Some(queue_url) => {
                let attributes = attributes_of(letter)?;
                self.send(queue_url, letter.body.clone(), 0, Some(attributes))
                    .await
            }
            None => Err(no_queue("dead-letter queue")),
        }
    }
}

fn no_queue(of_what: &str) -> PortError {
    PortError::Failed {
        operation: "SendMessage",
        message: format!("this function has no {of_what}"),
    }
}

fn attributes_of(letter: &DeadLetter) -> Result<Attributes, PortError> {
    let reason = letter.reason.to_string();
    let attributes = [
        ("MessageId", letter.message_id.as_str()),
        ("ErrorType", letter.reason.kind()),
        ("Reason", reason.as_str()),
    ];
    let built: Result<Attributes, BuildError> = attributes
        .into_iter()
        .map(|(name, text)| Ok((name.to_owned(), attribute(text)?)))
        .collect();
    built.map_err(|error| PortError::Failed {
        operation: "SendMessage",
        message: error.to_string(),
    })
}

/// A text as an attribute, which may have no control characters and must not be empty.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn attribute(text: &str) -> Result<MessageAttributeValue, BuildError> {
    let text = text.chars().take(ATTRIBUTE_CHARACTERS_MAX);
    let mut text: String = text.map(|it| if it.is_control() { ' ' } else { it }).collect();
    if text.is_empty() {
        text.push('-');
    }
    let value = MessageAttributeValue::builder();
    value.data_type("String").string_value(text).build()
}
