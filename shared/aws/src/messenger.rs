//! Messages to Berth's own queues.

use aws_sdk_sqs::Client;
use berth_control::ports::{Messenger, PortError};
use berth_control::wire::wake::wake_message;
use berth_scheduler::id::ClusterName;

use crate::error::port_error;

const SERVICE: &str = "SQS";

/// The queues on SQS.
#[derive(Clone, Debug)]
pub struct SqsMessenger {
    client: Client,
    wake_queue_url: String,
    refusals_queue_url: Option<String>,
}

impl SqsMessenger {
    /// A messenger to the wake queue alone.
    pub fn new(client: Client, wake_queue_url: String) -> Self {
        Self {
            client,
            wake_queue_url,
            refusals_queue_url: None,
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

    async fn send(&self, queue_url: &str, body: String, delay_seconds: u16) -> Result<(), PortError> {
        let request = self.client.send_message().queue_url(queue_url).message_body(body);
        let delay = (delay_seconds > 0).then_some(i32::from(delay_seconds));
        let answer = Box::pin(request.set_delay_seconds(delay).send()).await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "SendMessage", &error))
    }
}

impl Messenger for SqsMessenger {
    async fn wake(&self, cluster: &ClusterName, delay_seconds: u16) -> Result<(), PortError> {
        self.send(&self.wake_queue_url, wake_message(cluster), delay_seconds)
            .await
    }

    async fn refuse(&self, refusal: &str) -> Result<(), PortError> {
        match &self.refusals_queue_url {
            Some(queue_url) => self.send(queue_url, refusal.to_owned(), 0).await,
            None => Err(PortError::Failed {
                operation: "SendMessage",
                message: "this function has no refusals queue".to_owned(),
            }),
        }
    }
}
