//! The merge of the lanes: whose turn it is.

use crate::waiting::{Lane, Rank, WaitingTask};

/// What became of the tasks of a lane before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All are admitted or under way: the lane waits for this task.
    Front,
    /// One of them is held. This one may still be set room aside for, or fill a gap.
    BehindHeld,
}

/// A task of a lane that is to be looked at, ordered by rank.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) rank: &'a Rank,
    pub(super) task: &'a WaitingTask,
    pub(super) lane: &'a Lane,
    pub(super) standing: Standing,
    position: usize,
}

impl<'a> Head<'a> {
    /// The first loaded task of a lane.
    pub(super) fn first(lane: &'a Lane) -> Option<Self> {
        Self::at(lane, 0, Standing::Front)
    }

    /// The loaded task behind this one.
    pub(super) fn next(&self, standing: Standing) -> Option<Self> {
        Self::at(self.lane, self.position.saturating_add(1), standing)
    }

    /// The first loaded task behind this one that declares how long it runs.
    pub(super) fn next_declared(&self) -> Option<Self> {
        let mut behind = self.next(Standing::BehindHeld)?;
        while behind.task.outlook.declared().is_none() {
            behind = behind.next(Standing::BehindHeld)?;
        }
        Some(behind)
    }

    fn at(lane: &'a Lane, position: usize, standing: Standing) -> Option<Self> {
        let task = lane.heads.get(position)?;
        Some(Self {
            rank: &task.rank,
            task,
            lane,
            standing,
            position,
        })
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(other.rank)
    }
}
