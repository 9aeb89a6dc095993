//! The flow of what others are told: changes of tasks and lanes become events on a bus.
//!
//! The changes come in the order of their writes, task by task. Whatever could not be published comes again with
//! everything behind it, so that the events of a task keep their order and each is published at least once.

mod event;

use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;
use serde_json::Value;

pub use event::event_of;

use crate::ports::{EventBus, PortError, PublishAnswer};
use crate::records::form::RecordError;

/// Entries that PutEvents takes in one call.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const ENTRIES_MAX: usize = 10;

/// Bytes of detail in one call: EventBridge takes 256 KiB with everything around it.
const DETAIL_BYTES_MAX: usize = 200_000;

/// What happened to one record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordChange {
    /// Names the change in its stream.
    pub sequence_number: String,
    /// What the record is about.
    pub subject: Subject,
    /// The record before; `None` when it is new.
    pub old: Option<Value>,
    /// The record now; `None` when it is gone.
    pub new: Option<Value>,
    /// When it was written, in whole seconds.
    pub at: Timestamp,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A task.
    Task,
    /// A lane of this cluster.
    Lane(ClusterName),
}

/// An event for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its kind.
    pub kind: EventKind,
    /// What happened, as a JSON object.
    pub detail: String,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A task is somewhere else than before, has another priority, or was put on hold or released.
    TaskStateChange,
    /// The tasks of a lane wait for another kind of reason than before.
    LaneHeld,
}

impl EventKind {
    /// Its `detail-type`.
    pub const fn detail_type(self) -> &'static str {
        match self {
            Self::TaskStateChange => "Berth Task State Change",
            Self::LaneHeld => "Berth Lane Held",
        }
    }
}

/// What became of a batch of changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PublishReport {
    /// Events that are on the bus.
    pub published: usize,
    /// Changes that nobody can be told of because their records are damaged, by sequence number.
    pub skipped: Vec<(String, RecordError)>,
    /// The first change that could not be published, by sequence number: it must come again, and all behind it.
    pub failed: Option<(String, PublishError)>,
}

/// Why a change could not be published now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The call failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The bus refused this one entry.
    #[error("the event bus refused the event: {reason}")]
    Refused {
        /// Its own words.
        reason: String,
    },
    /// A newer release wrote the record: its own function will understand it.
    #[error(transparent)]
    Newer(RecordError),
}

impl PublishError {
    /// A stable name for the kind of error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Port(error) => error.kind(),
            Self::Refused { .. } => "RefusedEvent",
            Self::Newer(_) => "NewerRecord",
        }
    }
}

/// Publishes what others should know of these changes, in their order, up to the first that fails.
pub async fn publish_changes<B: EventBus>(bus: &B, changes: &[RecordChange]) -> PublishReport {
    let mut report = PublishReport::default();
    let mut batch = Batch::default();
    for change in changes {
        match event_of(change) {
            Ok(None) => {}
            Ok(Some(event)) => {
                if !batch.has_room_for(&event) {
                    batch.send(bus, &mut report).await;
                }
                batch.add(&change.sequence_number, event);
            }
            Err(error @ RecordError::NewerSchema { .. }) => {
                batch.send(bus, &mut report).await;
                report.fail(&change.sequence_number, PublishError::Newer(error));
            }
            Err(error) => report.skipped.push((change.sequence_number.clone(), error)),
        }
        if report.failed.is_some() {
            return report;
        }
    }
    batch.send(bus, &mut report).await;
    report
}

impl PublishReport {
    /// Keeps the first failure: what comes behind it comes again anyway.
    fn fail(&mut self, sequence_number: &str, error: PublishError) {
        self.failed
            .get_or_insert_with(|| (sequence_number.to_owned(), error));
    }
}

/// Events for one call, each with the change that it tells of.
#[derive(Default)]
struct Batch {
    sequence_numbers: Vec<String>,
    events: Vec<PublishedEvent>,
    detail_bytes: usize,
}

impl Batch {
    fn has_room_for(&self, event: &PublishedEvent) -> bool {
        let bytes = self.detail_bytes.saturating_add(event.detail.len());
        self.events.len() < ENTRIES_MAX && (self.events.is_empty() || bytes <= DETAIL_BYTES_MAX)
    }

    fn add(&mut self, sequence_number: &str, event: PublishedEvent) {
        self.detail_bytes = self.detail_bytes.saturating_add(event.detail.len());
        self.sequence_numbers.push(sequence_number.to_owned());
        self.events.push(event);
    }

    /// Sends what was collected and begins anew.
    async fn send<B: EventBus>(&mut self, bus: &B, report: &mut PublishReport) {
        let batch = std::mem::take(self);
        let Some(first) = batch.sequence_numbers.first() else {
            return;
        };
        let answers = match bus.publish(&batch.events).await {
            Ok(answers) => answers,
            Err(error) => return report.fail(first, error.into()),
        };
        let mut answers = answers.into_iter();
        for sequence_number in &batch.sequence_numbers {
            match answers.next() {
                Some(PublishAnswer::Accepted) => report.published = report.published.saturating_add(1),
                Some(PublishAnswer::Refused { reason }) => {
                    report.fail(sequence_number, PublishError::Refused { reason });
                }
                None => {
                    let reason = "it gave no answer about it".to_owned();
                    report.fail(sequence_number, PublishError::Refused { reason });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
