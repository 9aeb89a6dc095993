//! Metrics, as lines that CloudWatch Logs turns into metrics without a call.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;

use berth_control::ports::PortError;
use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "Berth";
const CLUSTER: &str = "Cluster";

/// What is counted, per cluster. Few, because each is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Tasks started.
    Admitted,
    /// Messages that were refused.
    RefusedMessages,
    /// Launches that ECS refused.
    RefusedLaunches,
    /// Lanes whose tasks wait on at the end of a cycle.
    HeldLanes,
    /// Admission cycles.
    Cycles,
    /// Events that were older than what was known.
    StaleEvents,
    /// Events about nothing that Berth keeps, or that it cannot use.
    IgnoredEvents,
    /// Resources in events that Berth does not know.
    UnknownResources,
    /// Clusters that the reconciler had to wake: a wake-up was lost.
    TickRescued,
}

impl Metric {
    /// The metric's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "Admitted",
            Self::RefusedMessages => "RefusedMessages",
            Self::RefusedLaunches => "RefusedLaunches",
            Self::HeldLanes => "HeldLanes",
            Self::Cycles => "Cycles",
            Self::StaleEvents => "StaleEvents",
            Self::IgnoredEvents => "IgnoredEvents",
            Self::UnknownResources => "UnknownResources",
            Self::TickRescued => "TickRescued",
        }
    }
}

/// A stable name for an error of a port: what Lambda reports as the error's type, and what alarms match.
pub const fn error_type(error: &PortError) -> &'static str {
    error.kind()
}

/// An error and everything behind it, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::error::chain_of(error)
}

/// Writes the counts of a cluster as one line on standard output. What is 0 is left out, and nothing is
/// written when all are: an event that changes nothing must not cost a log line.
pub fn count(cluster: &ClusterName, counts: &[(Metric, u64)], now: Timestamp) {
    if let Some(line) = metric_line(cluster, counts, now) {
        // A metric that cannot be written is no reason to fail.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

fn metric_line(cluster: &ClusterName, counts: &[(Metric, u64)], now: Timestamp) -> Option<Value> {
    let counts = || counts.iter().filter(|(_, count)| *count > 0);
    counts().next()?;
    let definitions: Vec<Value> = counts()
        .map(|(metric, _)| json!({"Name": metric.name(), "Unit": "Count"}))
        .collect();
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [[CLUSTER]], "Metrics": definitions}],
        }),
    );
    line.insert(CLUSTER.to_owned(), json!(cluster.as_str()));
    line.extend(counts().map(|(metric, count)| (metric.name().to_owned(), json!(count))));
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_defines_the_metrics_that_it_carries() {
        let cluster = ClusterName::parse("default").unwrap();
        let counts = [(Metric::Admitted, 3), (Metric::RefusedLaunches, 0)];
        let line = metric_line(&cluster, &counts, Timestamp::from_millis(1_700_000_000_000)).unwrap();
        let expected = json!({
            "_aws": {"Timestamp": 1_700_000_000_000_i64, "CloudWatchMetrics": [{
                "Namespace": "Berth", "Dimensions": [["Cluster"]], "Metrics": [{"Name": "Admitted", "Unit": "Count"}]
            }]},
            "Cluster": "default", "Admitted": 3
        });
        assert_eq!(line, expected);
        assert_eq!(
            metric_line(
                &cluster,
                &[(Metric::RefusedLaunches, 0)],
                Timestamp::from_millis(0)
            ),
            None
        );
    }
}
