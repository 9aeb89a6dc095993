//! Publishes what becomes of tasks and lanes: changes of the tasks table, as its stream brings them, become events on
//! a bus.

use berth_aws::config::Environment;
use berth_aws::event_bus::EventBridge;
use berth_aws::stream::changes_of;
use berth_aws::telemetry;
use berth_control::publish::{PublishReport, publish_changes};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let ended = Box::pin(serve()).await;
    ended
        .inspect_err(|error| tracing::error!(error = telemetry::chain(&**error), "the function cannot go on"))
}

async fn serve() -> Result<(), Error> {
    let environment = Environment::load().await;
    let bus = environment.event_bus()?;
    run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        handle(&bus, event.payload.get()).await
    }))
    .await
}

/// The batch is not what a stream sends.
#[derive(Debug)]
struct NoStreamEvent(serde_json::Error);

impl From<NoStreamEvent> for Diagnostic {
    fn from(error: NoStreamEvent) -> Self {
        Self {
            error_type: "NoStreamEvent".to_owned(),
            error_message: format!("this is not what a DynamoDB stream sends: {}", error.0),
        }
    }
}

async fn handle(bus: &EventBridge, event: &str) -> Result<Value, NoStreamEvent> {
    let changes = changes_of(event).map_err(NoStreamEvent)?;
    let report = Box::pin(publish_changes(bus, &changes)).await;
    tell(&report);
    Ok(response(&report))
}

fn tell(report: &PublishReport) {
    for (sequence_number, error) in &report.skipped {
        tracing::error!(sequence_number, %error, "nobody can be told of a change: its record is damaged");
    }
    if let Some((sequence_number, error)) = &report.failed {
        let error_type = error.kind();
        tracing::error!(sequence_number, error_type, %error, "a change must come again, and all behind it");
    }
}

/// Lambda begins anew at the change that is named: it and everything behind it comes again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
fn response(report: &PublishReport) -> Value {
    let failed = report.failed.iter();
    let failures: Vec<Value> = failed
        .map(|(sequence_number, _)| json!({"itemIdentifier": sequence_number}))
        .collect();
    json!({"batchItemFailures": failures})
}

#[cfg(test)]
mod tests {
    use berth_control::ports::PortError;

    use super::*;

    #[test]
    fn the_response_names_the_change_to_begin_anew_at() {
        assert_eq!(
            response(&PublishReport::default()),
            json!({"batchItemFailures": []})
        );
        let error = PortError::Throttled {
            service: "EventBridge",
        };
        let report = PublishReport {
            failed: Some(("17".to_owned(), error.into())),
            ..PublishReport::default()
        };
        assert_eq!(
            response(&report),
            json!({"batchItemFailures": [{"itemIdentifier": "17"}]})
        );
    }
}
