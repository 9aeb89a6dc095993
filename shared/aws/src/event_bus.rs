//! Events for others on EventBridge.

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use berth_control::ports::{EventBus, PortError, PublishAnswer};
use berth_control::publish::PublishedEvent;

use crate::error::port_error;

const SERVICE: &str = "EventBridge";

/// An event bus, and the source that our events name.
#[derive(Clone, Debug)]
pub struct EventBridge {
    client: Client,
    bus: String,
    source: String,
}

impl EventBridge {
    /// The bus of this name.
    pub fn new(client: Client, bus: String, source: String) -> Self {
        Self { client, bus, source }
    }

    fn entry(&self, event: &PublishedEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(&self.source)
            .detail_type(event.kind.detail_type())
            .detail(&event.detail)
            .build()
    }
}

impl EventBus for EventBridge {
    async fn publish(&self, events: &[PublishedEvent]) -> Result<Vec<PublishAnswer>, PortError> {
        let entries = events.iter().map(|event| self.entry(event)).collect();
        let request = self.client.put_events().set_entries(Some(entries));
        let answer = Box::pin(request.send()).await;
        let answer = answer.map_err(|error| port_error(SERVICE, "PutEvents", &error))?;
        Ok(answer.entries().iter().map(answer_of).collect())
    }
}

/// An entry is on the bus when it has an id and no error.
fn answer_of(entry: &PutEventsResultEntry) -> PublishAnswer {
    if entry.error_code().is_none() && entry.event_id().is_some() {
        return PublishAnswer::Accepted;
    }
    let code = entry.error_code().unwrap_or("no event id");
    let message = entry.error_message().unwrap_or_default();
    PublishAnswer::Refused {
        reason: format!("{code}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_accepted_when_it_has_an_id_and_no_error() {
        let entry = || PutEventsResultEntry::builder();
        assert_eq!(answer_of(&entry().event_id("1").build()), PublishAnswer::Accepted);
        let refused = entry()
            .error_code("ThrottlingException")
            .error_message("slow down");
        assert_eq!(
            answer_of(&refused.build()),
            PublishAnswer::Refused {
                reason: "ThrottlingException: slow down".to_owned()
            }
        );
        assert!(matches!(
            answer_of(&entry().build()),
            PublishAnswer::Refused { .. }
        ));
    }
}
