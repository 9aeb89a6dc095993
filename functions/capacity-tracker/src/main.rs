//! Records what ECS reports about container instances and tasks, one event per invocation, and wakes the
//! admitter. It decides nothing and may not call ECS.

use berth_aws::clock::SystemClock;
use berth_aws::config::Environment;
use berth_aws::telemetry::{self, Metric};
use berth_control::ports::{Clock, Ledger, Messenger, PortError};
use berth_control::settings::Settings;
use berth_control::track::{Tracked, track_instance, track_task};
use berth_control::wire::event::{DecodedEvent, IgnoredEvent, decode_event};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
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
    let tracker = Tracker {
        settings: environment.settings()?,
        ledger: environment.ledger()?,
        messenger: environment.messenger()?,
    };
    run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        tracker.handle(event.payload.get()).await
    }))
    .await
}

/// What lives from one event to the next.
struct Tracker<L, M> {
    settings: Settings,
    ledger: L,
    messenger: M,
}

/// The event must come again.
#[derive(Debug)]
struct TrackError(PortError);

impl From<TrackError> for Diagnostic {
    fn from(error: TrackError) -> Self {
        Self {
            error_type: telemetry::error_type(&error.0).to_owned(),
            error_message: error.0.to_string(),
        }
    }
}

impl<L: Ledger, M: Messenger> Tracker<L, M> {
    async fn handle(&self, event: &str) -> Result<(), TrackError> {
        let (cluster, tracked, unknown) = match decode_event(event, &self.settings.clusters) {
            DecodedEvent::Instance {
                cluster,
                report,
                skipped,
            } => {
                let tracked = track_instance(&self.ledger, &self.messenger, &cluster, &report).await;
                (cluster, tracked, skipped.resources.unknown_count)
            }
            DecodedEvent::Task {
                cluster,
                report,
                skipped,
            } => {
                let tracked = track_task(&self.ledger, &self.messenger, &cluster, &report).await;
                (cluster, tracked, skipped.resources.unknown_count)
            }
            DecodedEvent::Ignored(why) => {
                log_ignored(&why);
                return Ok(());
            }
        };
        let tracked = tracked.map_err(|error| {
            tracing::error!(%cluster, error_type = telemetry::error_type(&error), %error, "an event must come again");
            TrackError(error)
        })?;
        let stale = u64::from(tracked == Tracked::Stale);
        let counts = [
            (Metric::StaleEvents, stale),
            (Metric::UnknownResources, u64::from(unknown)),
        ];
        telemetry::count(&cluster, &counts, SystemClock.now());
        Ok(())
    }
}

/// Events about other clusters are normal in an account with several; one that should have been read is not.
fn log_ignored(why: &IgnoredEvent) {
    match why {
        IgnoredEvent::Unusable { .. } => tracing::warn!(kind = why.kind(), %why, "an event is ignored"),
        IgnoredEvent::OtherKind { .. } | IgnoredEvent::OtherCluster { .. } => {
            tracing::debug!(kind = why.kind(), %why, "an event is ignored");
        }
    }
}
