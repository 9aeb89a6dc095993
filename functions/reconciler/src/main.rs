//! Compares the records with what ECS reports, on a schedule; corrects what differs and wakes the admitter.

use berth_aws::clock::SystemClock;
use berth_aws::config::Environment;
use berth_aws::ecs::Ecs;
use berth_aws::ledger::DynamoLedger;
use berth_aws::messenger::SqsMessenger;
use berth_aws::telemetry::{self, Metric};
use berth_control::damage::Repair;
use berth_control::ports::{Clock, PortError, Ports};
use berth_control::reconcile::{ClusterPresence, ReconcileReport, reconcile};
use berth_control::settings::Settings;
use berth_scheduler::id::ClusterName;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let ended = Box::pin(serve()).await;
    ended
        .inspect_err(|error| tracing::error!(error = telemetry::chain(&**error), "the function cannot go on"))
}

async fn serve() -> Result<(), Error> {
    let environment = Environment::load().await;
    let reconciler = Reconciler {
        settings: environment.settings()?,
        ledger: environment.ledger()?,
        ecs: environment.ecs(),
        messenger: environment.messenger_with_refusals()?,
    };
    // That it is time is all that the schedule says.
    run(service_fn(async |_: LambdaEvent<IgnoredAny>| {
        reconciler.handle().await
    }))
    .await
}

/// What lives from one run to the next.
struct Reconciler {
    settings: Settings,
    ledger: DynamoLedger,
    ecs: Ecs,
    messenger: SqsMessenger,
}

/// A cluster could not be reconciled; the next run tries again.
#[derive(Debug)]
struct ReconcileError(PortError);

impl From<ReconcileError> for Diagnostic {
    fn from(error: ReconcileError) -> Self {
        Self {
            error_type: telemetry::error_type(&error.0).to_owned(),
            error_message: error.0.to_string(),
        }
    }
}

impl Reconciler {
    /// Reconciles every cluster; one that fails does not keep the others waiting.
    async fn handle(&self) -> Result<(), ReconcileError> {
        let clock = SystemClock;
        let ports = Ports {
            ledger: &self.ledger,
            ecs: &self.ecs,
            messenger: &self.messenger,
            clock: &clock,
        };
        let mut first_error = None;
        for cluster in &self.settings.clusters {
            match Box::pin(reconcile(ports, cluster)).await {
                Ok(report) => tell(cluster, &report),
                Err(error) => {
                    let error_type = telemetry::error_type(&error);
                    tracing::error!(%cluster, error_type, %error, "a cluster could not be reconciled");
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), |error| Err(ReconcileError(error)))
    }
}

fn tell(cluster: &ClusterName, report: &ReconcileReport) {
    if report.cluster == ClusterPresence::Missing {
        tracing::warn!(%cluster, "ECS does not know the cluster: nothing can be started there");
    }
    for damage in &report.damage {
        let (record, error) = (&damage.name, &damage.error);
        match damage.repair {
            Repair::Rebuilt => tracing::error!(%cluster, %record, %error, "a damaged record was made anew"),
            Repair::SetAside => tracing::error!(%cluster, %record, %error, "a damaged record was set aside"),
            Repair::LeftAlone => {
                tracing::error!(%cluster, %record, %error, "a record cannot be read, and is left alone")
            }
        }
    }
    if report.corrected > 0 || report.gone > 0 || report.ends_found > 0 || report.rescued > 0 {
        tracing::info!(
            %cluster,
            instances = report.instances,
            corrected = report.corrected,
            gone = report.gone,
            ends_found = report.ends_found,
            rescued = report.rescued,
            "records were corrected"
        );
    }
    let counts = [(Metric::TickRescued, u64::from(report.rescued))];
    telemetry::count(cluster, &counts, SystemClock.now());
}
