//! Records what ECS reports about container instances and tasks, one event per invocation, and wakes the
//! admitter. It decides nothing and may not call ECS.

use std::cell::RefCell;
use std::collections::BTreeSet;

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
        told: RefCell::default(),
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
    /// What was said about events that cannot be used: each kind of them is told once by a process, because whoever
    /// sends one sends many.
    told: RefCell<BTreeSet<String>>,
}

/// Kinds of unusable events that a process remembers to have told of; more would be an attack on the log.
const TOLD_MAX: usize = 100;

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
                self.ignore(&why);
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

impl<L, M> Tracker<L, M> {
    /// Counts an event that is ignored. Those about other clusters are normal in an account with several; one that
    /// should have been read is not, and is told.
    fn ignore(&self, why: &IgnoredEvent) {
        // It names no cluster of this deployment; the count goes to the first.
        if let Some(cluster) = self.settings.clusters.first() {
            telemetry::count(cluster, &[(Metric::IgnoredEvents, 1)], SystemClock.now());
        }
        if self.is_news(why) {
            tracing::warn!(kind = why.kind(), %why, "an event is ignored, and others like it will be");
        }
    }

    fn is_news(&self, why: &IgnoredEvent) -> bool {
        let IgnoredEvent::Unusable { field, .. } = why else {
            return false;
        };
        let mut told = self.told.borrow_mut();
        told.len() < TOLD_MAX && told.insert(field.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unusable(field: String) -> IgnoredEvent {
        IgnoredEvent::Unusable {
            field,
            reason: "missing".to_owned(),
        }
    }

    #[test]
    fn each_kind_of_unusable_event_is_told_once() {
        let tracker = Tracker {
            settings: Settings::parse("default", "").unwrap(),
            ledger: (),
            messenger: (),
            told: RefCell::default(),
        };
        let is_news = |field: &str| tracker.is_news(&unusable(field.to_owned()));
        assert!(is_news("detail.version"));
        assert!(!is_news("detail.version"));
        assert!(is_news("detail.status"));
        let other = IgnoredEvent::OtherKind {
            source: "aws.ecs".to_owned(),
            detail_type: "ECS Service Action".to_owned(),
        };
        assert!(!tracker.is_news(&other));
        for n in 0..TOLD_MAX {
            is_news(&format!("detail.x{n}"));
        }
        assert!(!is_news("detail.one-more"));
    }
}
