//! Who waits, and in which order.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::id::{LaneKey, Revision, SubmissionId, TaskGroup, TaskId};
use crate::shape::Shape;
use crate::timestamp::Timestamp;

/// The user's priority, 0 to [`Priority::MAX`]; higher goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

impl Priority {
    /// The highest priority.
    pub const MAX: u16 = 1000;

    /// A priority; `None` above [`Priority::MAX`].
    pub const fn new(priority: u16) -> Option<Self> {
        if priority <= Self::MAX {
            Some(Self(priority))
        } else {
            None
        }
    }

    /// The bare number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// A task's place in the order: priority, then submission time, then id. The smaller rank goes first. A task
/// keeps its rank for life, so one that ECS refused returns to its old place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    priority: Reverse<Priority>,
    submitted_at: Timestamp,
    submission: SubmissionId,
    copy: u8,
}

impl Rank {
    /// The rank of a task with this priority, submitted at this moment.
    pub fn new(priority: Priority, submitted_at: Timestamp, task: &TaskId) -> Self {
        Self {
            priority: Reverse(priority),
            submitted_at,
            submission: task.submission(),
            copy: task.copy_number(),
        }
    }

    /// The place of the same task with another priority.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self::new(priority, self.submitted_at, &self.task())
    }

    /// The priority.
    pub fn priority(&self) -> Priority {
        self.priority.0
    }

    /// When the task was submitted.
    pub fn submitted_at(&self) -> Timestamp {
        self.submitted_at
    }

    /// The task.
    pub fn task(&self) -> TaskId {
        TaskId::of_copy(&self.submission, self.copy)
    }
}

/// A task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its place in the order, which also names it.
    pub rank: Rank,
    /// Its group, for spreading.
    pub group: TaskGroup,
    /// The revision of the task's record when it was put here. Only who has seen this one or a later one may
    /// take it out: it may have been put back meanwhile.
    pub stamp: Revision,
}

/// The tasks of one shape that wait in one cluster, by rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The lane's name.
    pub key: LaneKey,
    /// What all its tasks need.
    pub shape: Arc<Shape>,
    /// Its first tasks, by rank.
    pub heads: Vec<WaitingTask>,
    /// Whether more wait behind the heads.
    pub tail: LaneTail,
}

/// Whether more tasks wait in a lane than were loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneTail {
    /// All are among the heads.
    Empty,
    /// There are more.
    MoreWaiting,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_priority_goes_first_then_the_earlier_one_then_the_lower_copy() {
        let rank = |priority, millis, id: &str| {
            Rank::new(
                Priority::new(priority).unwrap(),
                Timestamp::from_millis(millis),
                &TaskId::parse(id).unwrap(),
            )
        };
        let mut ranks = [
            rank(1, 5, "d/10"),
            rank(1, 5, "d/2"),
            rank(1, 5, "d"),
            rank(0, 1, "a"),
            rank(9, 9, "z"),
        ];
        ranks.sort();
        let order: Vec<String> = ranks.iter().map(|rank| rank.task().to_string()).collect();
        assert_eq!(order, ["z", "d", "d/2", "d/10", "a"]);
    }

    #[test]
    fn a_priority_above_the_highest_is_none() {
        assert_eq!(Priority::new(1000).map(Priority::get), Some(1000));
        assert_eq!(Priority::new(1001), None);
    }
}
