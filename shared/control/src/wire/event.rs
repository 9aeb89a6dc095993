//! EventBridge events of ECS: container instances and tasks that changed.
//!
//! Lenient where ECS may add something: kinds, fields and resources that Berth does not know are left out and
//! counted. Strict where believing a wrong value would harm a record: such an event is ignored as a whole, and
//! the reconciler corrects what it would have told.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html>

use std::fmt;

use berth_scheduler::id::{ClusterName, ReportVersion};
use berth_scheduler::report::{InstanceReport, TaskReport};
use berth_scheduler::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::field::{FieldError, Scalar, cut};
use super::resources::SkippedResources;

mod field;
mod instance;
mod task;

/// Longest part of a name or message that is kept of an event Berth cannot use, in characters.
const KEPT_CHARS_MAX: usize = 300;
/// Longest part of a path into an event that is kept, in characters.
const PATH_CHARS_MAX: usize = 100;

/// The largest version that is believed. It rises by one with each change, so this is a thousand changes each
/// second for thirty years; a wrong one beyond it would make every later event look stale.
const VERSION_MAX: u64 = 1_000_000_000_000;

const INSTANCE_KIND: &str = "ECS Container Instance State Change";
const TASK_KIND: &str = "ECS Task State Change";

/// One event, decoded. There is no error: whatever ECS or anybody else sends is one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedEvent {
    /// A container instance changed.
    Instance {
        /// Its cluster, one of the deployment's.
        cluster: ClusterName,
        /// What the event says about it.
        report: Box<InstanceReport>,
        /// What the event holds beyond that.
        skipped: Skipped,
    },
    /// A task changed, Berth's own or somebody else's.
    Task {
        /// Its cluster, one of the deployment's.
        cluster: ClusterName,
        /// What the event says about it.
        report: Box<TaskReport>,
        /// What the event holds beyond that.
        skipped: Skipped,
    },
    /// Nothing to record.
    Ignored(IgnoredEvent),
}

/// Why an event is ignored. No record is touched; it is counted, and logged once per kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoredEvent {
    /// It is not about a container instance or a task.
    OtherKind {
        /// Who sent it, such as `aws.ecs`.
        source: String,
        /// What it is about, such as `ECS Service Action`.
        detail_type: String,
    },
    /// A field that Berth needs is missing or cannot be right.
    Unusable {
        /// The field, as a path such as `detail.version`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is about a cluster that this deployment does not serve.
    OtherCluster {
        /// The event's cluster.
        cluster: ClusterName,
    },
}

impl IgnoredEvent {
    /// A stable name for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OtherKind { .. } => "other-kind",
            Self::Unusable { .. } => "unusable",
            Self::OtherCluster { .. } => "other-cluster",
        }
    }
}

impl fmt::Display for IgnoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKind { source, detail_type } => write!(
                f,
                "detail-type: `{detail_type}` from `{source}` is not read: expected `{INSTANCE_KIND}` or `{TASK_KIND}`"
            ),
            Self::Unusable { field, reason } => write!(f, "{field}: {reason}"),
            Self::OtherCluster { cluster } => {
                write!(
                    f,
                    "detail.clusterArn: cluster `{cluster}` is not one of this deployment's"
                )
            }
        }
    }
}

impl From<FieldError> for IgnoredEvent {
    fn from(error: FieldError) -> Self {
        Self::Unusable {
            field: error.field.into_owned(),
            reason: cut(&error.reason, KEPT_CHARS_MAX),
        }
    }
}

/// What a usable event held that Berth could not read and does not need. Worth a metric: it is how one learns
/// that ECS has something new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Unknown resources and texts that are no ports.
    pub resources: SkippedResources,
    /// Optional values that are not what they should be, such as a time that is none.
    pub invalid_values: u32,
}

impl Skipped {
    /// Whether everything was understood.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.invalid_values == 0
    }

    fn count_invalid(&mut self) {
        self.invalid_values = self.invalid_values.saturating_add(1);
    }

    /// The value, or nothing and a count when there is one that cannot be read.
    fn optional<T>(&mut self, value: &Scalar<'_>, read: impl FnOnce(&Scalar<'_>) -> Option<T>) -> Option<T> {
        if *value == Scalar::Absent {
            return None;
        }
        let read = read(value);
        if read.is_none() {
            self.count_invalid();
        }
        read
    }

    fn optional_time(&mut self, value: &Scalar<'_>) -> Option<Timestamp> {
        self.optional(value, |value| value.time())
    }

    fn optional_text(&mut self, value: &Scalar<'_>, chars_max: usize) -> Option<String> {
        self.optional(value, |value| match value {
            Scalar::Text(text) => Some(cut(text, chars_max)),
            _ => None,
        })
    }
}

/// What EventBridge puts around an event's detail. Its own `version` is always `0` and says nothing.
#[derive(Deserialize)]
#[serde(expecting = "an EventBridge event")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    source: Scalar<'a>,
    #[serde(borrow, default, rename = "detail-type")]
    detail_type: Scalar<'a>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

/// Decodes the JSON text of one event for a deployment that serves `clusters`.
pub fn decode_event(json: &str, clusters: &[ClusterName]) -> DecodedEvent {
    try_decode(json, clusters).unwrap_or_else(DecodedEvent::Ignored)
}

fn try_decode(json: &str, clusters: &[ClusterName]) -> Result<DecodedEvent, IgnoredEvent> {
    let envelope: Envelope<'_> = read_object("event", json)?;
    let detail = envelope
        .detail
        .map(RawValue::get)
        .ok_or(FieldError::missing("detail"));
    match envelope.detail_type.needed_text("detail-type")? {
        INSTANCE_KIND => {
            let detail: instance::InstanceDetail<'_> = read_object("detail", detail?)?;
            let cluster = served_cluster(detail.cluster_arn()?, clusters)?;
            let mut skipped = Skipped::default();
            let report = Box::new(detail.report(&mut skipped)?);
            Ok(DecodedEvent::Instance {
                cluster,
                report,
                skipped,
            })
        }
        TASK_KIND => {
            let detail: task::TaskDetail<'_> = read_object("detail", detail?)?;
            let cluster = served_cluster(detail.cluster_arn()?, clusters)?;
            let mut skipped = Skipped::default();
            let report = Box::new(detail.report(&mut skipped)?);
            Ok(DecodedEvent::Task {
                cluster,
                report,
                skipped,
            })
        }
        other => Err(IgnoredEvent::OtherKind {
            source: cut(&envelope.source.to_string(), KEPT_CHARS_MAX),
            detail_type: cut(other, KEPT_CHARS_MAX),
        }),
    }
}

fn read_object<'a, T: Deserialize<'a>>(field: &'static str, json: &'a str) -> Result<T, FieldError> {
    // Serde would read an array as a struct, too: its fields in the order of their declaration.
    if !json.trim_start().starts_with('{') {
        return Err(FieldError::new(field, "not a JSON object"));
    }
    serde_json::from_str(json).map_err(|error| {
        // Reading it a second time costs only broken events, and tells where they are broken.
        let read_again: Result<T, _> =
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json));
        match read_again.map_err(|again| again.path().to_string()) {
            Err(path) if path != "." => {
                FieldError::new(format!("{field}.{}", cut(&path, PATH_CHARS_MAX)), error)
            }
            _ => FieldError::new(field, error),
        }
    })
}

fn served_cluster(arn: &str, clusters: &[ClusterName]) -> Result<ClusterName, IgnoredEvent> {
    const FIELD: &str = "detail.clusterArn";
    if !arn.starts_with("arn:") {
        return Err(FieldError::new(FIELD, format_args!("`{}` is not a cluster ARN", cut(arn, 100))).into());
    }
    let cluster = ClusterName::from_name_or_arn(arn).map_err(|error| FieldError::new(FIELD, error))?;
    if clusters.contains(&cluster) {
        Ok(cluster)
    } else {
        Err(IgnoredEvent::OtherCluster { cluster })
    }
}

/// The version of the state that the event tells: it decides which of two events is newer.
fn report_version(value: &Scalar<'_>) -> Result<ReportVersion, FieldError> {
    const FIELD: &str = "detail.version";
    let version = value
        .count(FIELD, VERSION_MAX)?
        .ok_or(FieldError::missing(FIELD))?;
    Ok(ReportVersion::new(version))
}

/// Checks that an ARN is of the same partition, Region, account and (in its long form) cluster as the event's
/// cluster: an event that names things of two clusters is nobody's.
fn same_home(field: &'static str, arn: &str, cluster_arn: &str) -> Result<(), FieldError> {
    let (Some((home, resource)), Some((cluster_home, cluster))) = (split_arn(arn), split_arn(cluster_arn))
    else {
        return Err(FieldError::new(field, "not an ARN"));
    };
    let mut parts = resource.split('/').skip(1);
    let names_cluster = match (parts.next(), parts.next()) {
        (Some(name), Some(_id)) => Some(name),
        _ => None,
    };
    let same_cluster = names_cluster.is_none_or(|name| cluster.split('/').nth(1) == Some(name));
    if home == cluster_home && same_cluster {
        Ok(())
    } else {
        Err(FieldError::new(
            field,
            format_args!("`{}` is not in `{}`", cut(arn, 100), cut(cluster_arn, 100)),
        ))
    }
}

/// An ARN's `arn:PARTITION:ecs:REGION:ACCOUNT` and what follows it.
fn split_arn(arn: &str) -> Option<(&str, &str)> {
    let (colon, _) = arn.match_indices(':').nth(4)?;
    arn.split_at_checked(colon)
}

#[cfg(test)]
mod tests;
