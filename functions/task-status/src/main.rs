//! Tells whoever invokes it where a task is, its place in the order and why it waits. It only reads.

use berth_aws::clock::SystemClock;
use berth_aws::config::Environment;
use berth_aws::ledger::DynamoLedger;
use berth_aws::telemetry;
use berth_control::ports::{Clock, PortError};
use berth_control::settings::Settings;
use berth_control::status::answer;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use serde_json::value::RawValue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let ended = Box::pin(serve()).await;
    ended
        .inspect_err(|error| tracing::error!(error = telemetry::chain(&**error), "the function cannot go on"))
}

async fn serve() -> Result<(), Error> {
    let environment = Environment::load().await;
    let status = TaskStatus {
        settings: environment.settings()?,
        ledger: environment.ledger()?,
    };
    run(service_fn(async |question: LambdaEvent<Box<RawValue>>| {
        status.handle(question.payload.get()).await
    }))
    .await
}

/// What lives from one question to the next.
struct TaskStatus {
    settings: Settings,
    ledger: DynamoLedger,
}

/// The tables could not be read. A question that is wrong is no failure of the function: its answer says so.
#[derive(Debug)]
struct StatusError(PortError);

impl From<StatusError> for Diagnostic {
    fn from(error: StatusError) -> Self {
        Self {
            error_type: telemetry::error_type(&error.0).to_owned(),
            error_message: error.0.to_string(),
        }
    }
}

impl TaskStatus {
    async fn handle(&self, question: &str) -> Result<Value, StatusError> {
        let now = SystemClock.now();
        Box::pin(answer(&self.ledger, &self.settings, question, now))
            .await
            .map_err(|error| {
                tracing::error!(error_type = telemetry::error_type(&error), %error, "a question could not be answered");
                StatusError(error)
            })
    }
}
