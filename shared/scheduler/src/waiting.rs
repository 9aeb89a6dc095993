//! Who waits, and in which order.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::id::{ContainerInstanceArn, LaneKey, Revision, SubmissionId, TaskGroup, TaskId};
use crate::run_time::RunOutlook;
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

/// How many seconds of waiting count as much as one point of priority, 1 to [`AgingSeconds::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgingSeconds(u32);

impl AgingSeconds {
    /// The slowest aging, in seconds: a week for each point.
    pub const MAX: u32 = 604_800;

    /// An aging; `None` for 0 and above [`AgingSeconds::MAX`].
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds >= 1 && seconds <= Self::MAX {
            Some(Self(seconds))
        } else {
            None
        }
    }

    /// The bare number of seconds.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A task's place in the order: priority, then submission time, then id. The smaller rank goes first. A task
/// keeps its rank for life, so one that ECS refused returns to its old place.
///
/// With aging a task gains a point of priority for every so many seconds of waiting. Both sides of a
/// comparison gain at the same pace, so the order of two tasks never changes: it is the order of submission
/// time, moved earlier by the aging for each point of priority, and nothing is rewritten as time passes. The
/// gain ends at the highest priority: once a task has waited (1000 - priority) times the aging, nothing that
/// is submitted later goes before it.
///
/// A task keeps the aging that was set when it was submitted. Among others it has the place of one of
/// priority 0: after a change of the setting, those that waited before go first, except that tasks without
/// aging and with a priority go before those with aging.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    // The order of the fields is the order of tasks.
    band: u16,
    time: Timestamp,
    submission: SubmissionId,
    copy: u8,
    priority: Reverse<Priority>,
    submitted_at: Timestamp,
    aging: Option<AgingSeconds>,
}

impl Rank {
    /// The rank of a task with this priority, submitted at this moment, without aging.
    pub fn new(priority: Priority, submitted_at: Timestamp, task: &TaskId) -> Self {
        Self {
            band: Priority::MAX.saturating_sub(priority.0),
            time: submitted_at,
            submission: task.submission(),
            copy: task.copy_number(),
            priority: Reverse(priority),
            submitted_at,
            aging: None,
        }
    }

    /// The rank of the same task under this aging, or under none.
    #[must_use]
    pub fn with_aging(self, aging: Option<AgingSeconds>) -> Self {
        let priority = self.priority.0;
        let (band, time) = match aging {
            None => (Priority::MAX.saturating_sub(priority.0), self.submitted_at),
            Some(aging) => {
                let seconds = i64::from(priority.0).saturating_mul(i64::from(aging.0));
                let millis = seconds.saturating_mul(1000);
                let moved = self.submitted_at.as_millis().saturating_sub(millis);
                (Priority::MAX, Timestamp::from_millis(moved))
            }
        };
        Self {
            band,
            time,
            aging,
            ..self
        }
    }

    /// The place of the same task with another priority.
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self::new(priority, self.submitted_at, &self.task()).with_aging(self.aging())
    }

    /// The priority.
    pub fn priority(&self) -> Priority {
        self.priority.0
    }

    /// When the task was submitted.
    pub fn submitted_at(&self) -> Timestamp {
        self.submitted_at
    }

    /// The aging that counts for the task.
    pub fn aging(&self) -> Option<AgingSeconds> {
        self.aging
    }

    /// What decides the order first: 0 to [`Priority::MAX`], the smaller number first.
    pub fn band(&self) -> u16 {
        self.band
    }

    /// What decides the order within a band, the earlier first: the submission time, with aging moved to an
    /// earlier one by the priority.
    pub fn time(&self) -> Timestamp {
        self.time
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
    /// How long it will run, as far as that is known.
    pub outlook: RunOutlook,
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
    /// The instances that the plan before set aside for its first tasks, in their order. A hint: claims are
    /// handed out anew in every plan.
    pub claims: Vec<ContainerInstanceArn>,
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

    fn aged(priority: u16, second: i64, id: &str) -> Rank {
        let rank = Rank::new(
            Priority::new(priority).unwrap(),
            Timestamp::from_millis(second * 1000),
            &TaskId::parse(id).unwrap(),
        );
        rank.with_aging(AgingSeconds::new(60))
    }

    #[test]
    fn a_minute_of_waiting_is_worth_a_point_of_priority() {
        let early = aged(10, 0, "early");
        assert!(aged(11, 59, "late") < early);
        assert!(early < aged(11, 61, "late"));
        assert_eq!(
            (early.priority().get(), early.submitted_at().as_millis()),
            (10, 0)
        );
    }

    #[test]
    fn nothing_submitted_after_a_task_has_gained_all_goes_before_it() {
        let low = aged(990, 0, "low");
        assert!(aged(1000, 599, "top") < low);
        assert!(low < aged(1000, 601, "top"));
    }

    #[test]
    fn a_task_from_before_the_change_of_the_setting_goes_before_those_after_it() {
        let before = |priority, second| aged(priority, second, "before").with_aging(None);
        assert!(before(1, 5) < aged(1000, 0, "after"));
        assert!(
            before(0, 0) < aged(1000, 1000 * 60 + 1, "after"),
            "and the lowest in time"
        );
    }

    #[test]
    fn an_aging_is_a_second_to_a_week() {
        let good = [0, 1, 604_800, 604_801].map(|seconds| AgingSeconds::new(seconds).is_some());
        assert_eq!(good, [false, true, true, false]);
    }

    #[test]
    fn a_priority_above_the_highest_is_none() {
        assert_eq!(Priority::new(1000).map(Priority::get), Some(1000));
        assert_eq!(Priority::new(1001), None);
    }
}
