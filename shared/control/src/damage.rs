//! Records that cannot be read: what is known of them, and what takes their place.
//!
//! One damaged record must not stop a cluster. The reads of many records leave it out, so that nothing is placed by
//! it, and [`crate::reconcile`] repairs it within a minute: a capacity record is made anew from what ECS describes, a
//! lane and its entries from the task records. A damaged task record is the only one that nothing can replace: it is
//! set aside and reported. What was there is kept beside. A record of a newer release is left alone.

use std::fmt;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{LaneKey, TaskId};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::waiting::WaitingTask;
use serde_json::Value;

use crate::records::LaneRecord;
use crate::records::form::RecordError;

/// Which record: as its key tells, for its content cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordName {
    /// A task.
    Task(TaskId),
    /// An instance's capacity record, by the last part of the instance's ARN.
    Instance(String),
    /// An instance's attributes, by the same.
    Attributes(String),
    /// A lane.
    Lane(LaneKey),
    /// A task's entry in its lane.
    Waiting {
        /// The lane.
        lane: LaneKey,
        /// Its place, as [`crate::records::waiting::sort_key`] writes it.
        place: String,
    },
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task {task}"),
            Self::Instance(id) => write!(f, "instance {id}"),
            Self::Attributes(id) => write!(f, "attributes of instance {id}"),
            Self::Lane(lane) => write!(f, "lane {lane}"),
            Self::Waiting { lane, place } => write!(f, "entry {place} of lane {lane}"),
        }
    }
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Which one.
    pub name: RecordName,
    /// Why not.
    pub error: RecordError,
    /// What is stored, for what can be saved of it.
    pub content: Value,
    /// The first who wait in it, when it is a lane: also those whose entries cannot be read.
    pub waiting: Vec<TaskId>,
}

impl Damaged {
    /// Whether a newer release wrote it: it is not damaged for that one.
    pub fn is_newer(&self) -> bool {
        matches!(self.error, RecordError::NewerSchema { .. })
    }
}

/// What takes the place of a damaged record.
#[derive(Clone, Debug)]
pub enum Replacement {
    /// A capacity record.
    Instance(Box<InstanceRecord>),
    /// Attributes.
    Attributes(AttributeSet),
    /// A lane.
    Lane(LaneRecord),
    /// An entry of a lane.
    Waiting(WaitingTask),
    /// Nothing.
    Nothing,
}

/// Whether a damaged record was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It was.
    Done,
    /// Somebody else has written it meanwhile.
    Moved,
}

/// What became of a damaged record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Another record has taken its place.
    Rebuilt,
    /// Nothing can or need take its place.
    SetAside,
    /// A newer release wrote it, or what its repair needs is not there yet.
    LeftAlone,
}

/// A damaged record that the reconciler met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamageReport {
    /// Which one.
    pub name: RecordName,
    /// Why it could not be read.
    pub error: RecordError,
    /// What became of it.
    pub repair: Repair,
}
