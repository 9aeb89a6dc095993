//! Where each record is: partition and sort key.
//!
//! | table | partition | sort | record |
//! | --- | --- | --- | --- |
//! | capacity | `cluster#CLUSTER` | `instance#ID` | a capacity record |
//! | capacity | `attributes#CLUSTER` | `ID` | an instance's attributes |
//! | capacity | `wake#CLUSTER` | `wake` | generation, attention, pause, epoch and lease |
//! | tasks | `task#ID` | `task` | a task |
//! | tasks | `waiting#CLUSTER#LANE` | rank | a task's entry in its lane |
//! | tasks | `lanes#CLUSTER` | `LANE` | a lane |
//! | tasks | `appointments#CLUSTER` | time and task | an appointment |
//! | both | `damaged#CLUSTER` | the key it had, and when | a copy of a damaged record |
//! | tasks | `runtimes#CLUSTER` | `FAMILY` | how long tasks of a family run |

use std::fmt;

use berth_control::publish::Subject;
use berth_control::records::{Appointment, appointment, waiting};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, LaneKey, TaskFamily, TaskId};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::Rank;

/// The name of the partition key.
pub(crate) const PARTITION: &str = "pk";
/// The name of the sort key.
pub(super) const SORT: &str = "sk";

/// A record's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) partition: String,
    pub(super) sort: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

fn key(partition: String, sort: impl Into<String>) -> Key {
    Key {
        partition,
        sort: sort.into(),
    }
}

pub(super) fn instances(cluster: &ClusterName) -> String {
    format!("cluster#{cluster}")
}

/// What the sort key of a capacity record begins with.
pub(super) const INSTANCE_PREFIX: &str = "instance#";

pub(super) fn instance(cluster: &ClusterName, instance: &ContainerInstanceArn) -> Key {
    instance_with_id(cluster, instance.id())
}

pub(super) fn instance_with_id(cluster: &ClusterName, id: &str) -> Key {
    key(instances(cluster), format!("{INSTANCE_PREFIX}{id}"))
}

pub(super) fn attributes(cluster: &ClusterName, instance: &ContainerInstanceArn) -> Key {
    attributes_with_id(cluster, instance.id())
}

pub(super) fn attributes_with_id(cluster: &ClusterName, id: &str) -> Key {
    key(format!("attributes#{cluster}"), id)
}

/// Where the copy of a damaged record is kept.
pub(super) fn damaged(cluster: &ClusterName, of: &Key, at: Timestamp) -> Key {
    key(format!("damaged#{cluster}"), format!("{of}#{at}"))
}

pub(super) fn wake(cluster: &ClusterName) -> Key {
    key(format!("wake#{cluster}"), "wake")
}

pub(super) fn task(task: &TaskId) -> Key {
    key(format!("task#{task}"), "task")
}

pub(super) fn waiting_in(cluster: &ClusterName, lane: &LaneKey) -> String {
    format!("waiting#{cluster}#{lane}")
}

pub(super) fn waiting(cluster: &ClusterName, lane: &LaneKey, rank: &Rank) -> Key {
    waiting_at(cluster, lane, &waiting::sort_key(rank))
}

pub(super) fn waiting_at(cluster: &ClusterName, lane: &LaneKey, place: &str) -> Key {
    key(waiting_in(cluster, lane), place)
}

pub(super) fn lanes(cluster: &ClusterName) -> String {
    format!("lanes#{cluster}")
}

/// What the records of a partition are about, if others may know of it.
pub(crate) fn subject_of_partition(partition: &str) -> Option<Subject> {
    match partition.split_once('#')? {
        ("task", _) => Some(Subject::Task),
        ("lanes", cluster) => ClusterName::parse(cluster).ok().map(Subject::Lane),
        _ => None,
    }
}

pub(super) fn lane(cluster: &ClusterName, lane: &LaneKey) -> Key {
    key(lanes(cluster), lane.as_str())
}

pub(super) fn appointments(cluster: &ClusterName) -> String {
    format!("appointments#{cluster}")
}

pub(super) fn appointment(cluster: &ClusterName, it: &Appointment) -> Key {
    key(appointments(cluster), appointment::sort_key(it))
}

pub(super) fn run_times(cluster: &ClusterName) -> String {
    format!("runtimes#{cluster}")
}

pub(super) fn run_times_of(cluster: &ClusterName, family: &TaskFamily) -> Key {
    key(run_times(cluster), family.as_str())
}
