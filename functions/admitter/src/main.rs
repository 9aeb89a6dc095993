//! Takes in submissions and wake messages, and admits tasks where there is room.

use std::collections::BTreeSet;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use berth_aws::clock::SystemClock;
use berth_aws::config::Environment;
use berth_aws::ecs::Ecs;
use berth_aws::ledger::DynamoLedger;
use berth_aws::messenger::SqsMessenger;
use berth_aws::telemetry::{self, Metric};
use berth_control::cycle::{CycleEnd, CycleReport};
use berth_control::intake::{AfterFailure, BatchReport, InboundMessage, Invocation, take_in};
use berth_control::ports::{Clock, Ports};
use berth_control::settings::Settings;
use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let ended = Box::pin(serve()).await;
    ended
        .inspect_err(|error| tracing::error!(error = telemetry::chain(&**error), "the function cannot go on"))
}

async fn serve() -> Result<(), Error> {
    let environment = Environment::load().await;
    let admitter = Admitter {
        settings: environment.settings()?,
        ledger: environment.ledger()?,
        ecs: environment.ecs(),
        messenger: environment.messenger_with_submissions()?,
        receives_max: environment.submission_receives_max()?,
    };
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        admitter.handle(event.payload.records, &event.context).await
    }))
    .await
}

/// What lives from one batch to the next.
struct Admitter {
    settings: Settings,
    ledger: DynamoLedger,
    ecs: Ecs,
    messenger: SqsMessenger,
    receives_max: u32,
}

/// The batch as a whole must come again.
#[derive(Debug, PartialEq, Eq)]
enum BatchError {
    /// A message has no id, so nobody can be told that it failed.
    MessageWithoutId,
}

impl From<BatchError> for Diagnostic {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::MessageWithoutId => Self {
                error_type: "MessageWithoutId".to_owned(),
                error_message: "a message of the batch has no messageId".to_owned(),
            },
        }
    }
}

impl Admitter {
    async fn handle(
        &self,
        records: Vec<SqsMessage>,
        context: &Context,
    ) -> Result<SqsBatchResponse, BatchError> {
        let clock = SystemClock;
        let messages = inbound(records, clock.now(), self.receives_max)?;
        let invocation = Invocation {
            settings: &self.settings,
            owner: &context.request_id,
            deadline: Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX)),
        };
        let ports = Ports {
            ledger: &self.ledger,
            ecs: &self.ecs,
            messenger: &self.messenger,
            clock: &clock,
        };
        let report = Box::pin(take_in(ports, invocation, &messages)).await;
        tell(&self.settings, &report, clock.now());
        Ok(response(&messages, &report))
    }
}

/// The messages of a batch. A message's time is SQS's, so that its place in the order does not depend on when
/// it was received. One that was received `receives_max` times is not handed out again.
fn inbound(
    records: Vec<SqsMessage>,
    now: Timestamp,
    receives_max: u32,
) -> Result<Vec<InboundMessage>, BatchError> {
    let read = |record: SqsMessage| {
        let number = |name| record.attributes.get(name).and_then(|number| number.parse().ok());
        let sent_at = number("SentTimestamp");
        let last =
            number("ApproximateReceiveCount").is_some_and(|received| received >= i64::from(receives_max));
        Ok(InboundMessage {
            message_id: record
                .message_id
                .filter(|id| !id.is_empty())
                .ok_or(BatchError::MessageWithoutId)?,
            body: record.body.unwrap_or_default(),
            sent_at: sent_at.map_or(now, Timestamp::from_millis),
            after_failure: if last {
                AfterFailure::DeadLetter
            } else {
                AfterFailure::ComesAgain
            },
        })
    };
    records.into_iter().map(read).collect()
}

/// Names the messages that must come again. Every message of the batch has failed until the report shows that
/// it was handled: one that is missing there is not lost.
fn response(messages: &[InboundMessage], report: &BatchReport) -> SqsBatchResponse {
    let failed: BTreeSet<&str> = report.failed.iter().map(|(id, _)| id.as_str()).collect();
    let comes_again = |message: &&InboundMessage| failed.contains(message.message_id.as_str());
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = messages
        .iter()
        .filter(comes_again)
        .map(|message| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier.clone_from(&message.message_id);
            failure
        })
        .collect();
    response
}

/// Logs and counts what became of a batch: nothing of what its messages contain.
fn tell(settings: &Settings, report: &BatchReport, now: Timestamp) {
    for (message_id, error) in &report.failed {
        tracing::error!(message_id, error_type = telemetry::error_type(error), %error, "a message must come again");
    }
    for (message_id, error) in &report.dead_letters {
        let error_type = telemetry::error_type(error);
        tracing::error!(message_id, error_type, %error, "a message has failed too often and is a dead letter now");
    }
    for (cluster, error) in &report.failed_cycles {
        tracing::error!(%cluster, error_type = telemetry::error_type(error), %error, "an admission cycle failed");
    }
    for (cluster, end) in &report.cycles {
        match end {
            CycleEnd::HeldByAnother => {}
            CycleEnd::Complete(cycle) | CycleEnd::Continues(cycle) => count_cycle(cluster, cycle, now),
        }
    }
    if report.refused > 0 {
        tracing::info!(refused = report.refused, "messages were refused");
        // A message that cannot be read names no cluster; the count goes to the first of the deployment.
        if let Some(cluster) = settings.clusters.first() {
            telemetry::count(
                cluster,
                &[(Metric::RefusedMessages, u64::from(report.refused))],
                now,
            );
        }
    }
}

fn count_cycle(cluster: &ClusterName, cycle: &CycleReport, now: Timestamp) {
    let counts = [
        (Metric::Cycles, 1),
        (Metric::Admitted, u64::from(cycle.started)),
        (Metric::RefusedLaunches, u64::from(cycle.refused)),
        (Metric::HeldLanes, u64::from(cycle.held_lanes)),
    ];
    telemetry::count(cluster, &counts, now);
}

#[cfg(test)]
mod tests {
    use berth_control::ports::PortError;

    use super::*;

    fn record(id: Option<&str>, sent: Option<&str>) -> SqsMessage {
        let mut record = SqsMessage::default();
        record.message_id = id.map(str::to_owned);
        record.body = Some("{}".to_owned());
        record
            .attributes
            .extend(sent.map(|millis| ("SentTimestamp".to_owned(), millis.to_owned())));
        record
    }

    #[test]
    fn a_message_has_the_time_at_which_sqs_got_it() {
        let now = Timestamp::from_millis(9);
        let messages = inbound(
            vec![record(Some("m-1"), Some("5")), record(Some("m-2"), None)],
            now,
            5,
        )
        .unwrap();
        let times: Vec<i64> = messages
            .iter()
            .map(|message| message.sent_at.as_millis())
            .collect();
        assert_eq!(times, [5, 9]);
    }

    #[test]
    fn a_batch_with_a_message_that_cannot_be_named_comes_again_whole() {
        let now = Timestamp::from_millis(9);
        for id in [None, Some("")] {
            assert_eq!(
                inbound(vec![record(id, None)], now, 5),
                Err(BatchError::MessageWithoutId)
            );
        }
    }

    #[test]
    fn a_message_that_was_received_as_often_as_it_may_be_does_not_come_again() {
        let received = |count: Option<&str>| {
            let mut record = record(Some("m"), None);
            let name = "ApproximateReceiveCount".to_owned();
            record
                .attributes
                .extend(count.map(|count| (name, count.to_owned())));
            let messages = inbound(vec![record], Timestamp::from_millis(9), 5).unwrap();
            messages.first().unwrap().after_failure
        };
        for comes_again in [None, Some("1"), Some("4"), Some("many")] {
            assert_eq!(received(comes_again), AfterFailure::ComesAgain, "{comes_again:?}");
        }
        for last in ["5", "6"] {
            assert_eq!(received(Some(last)), AfterFailure::DeadLetter, "{last}");
        }
    }

    #[test]
    fn only_the_messages_that_failed_come_again() {
        let messages = inbound(
            vec![record(Some("a"), None), record(Some("b"), None)],
            Timestamp::from_millis(0),
            5,
        );
        let error = PortError::Throttled { service: "DynamoDB" };
        let report = BatchReport {
            failed: vec![("b".to_owned(), error)],
            ..BatchReport::default()
        };
        let response = response(&messages.unwrap(), &report);
        let failed: Vec<&str> = response
            .batch_item_failures
            .iter()
            .map(|it| it.item_identifier.as_str())
            .collect();
        assert_eq!(failed, ["b"]);
    }
}
