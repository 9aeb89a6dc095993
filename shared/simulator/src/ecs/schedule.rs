//! What will happen when, in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;

use super::task::TaskNumber;

/// Names one planned step, so that a step that was overtaken by another one is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StepId(u64);

/// Something to be forgotten. Nobody is told, so it is no reason for the clock to move on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chore {
    /// A stopped task is no longer described.
    ForgetTask(TaskNumber),
    /// A client token of this moment has reached its greatest age.
    ForgetToken(ClusterName, Arc<str>, Timestamp),
}

/// The planned steps of tasks, and the chores.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    steps: BinaryHeap<Reverse<(Timestamp, StepId, TaskNumber)>>,
    chores: BinaryHeap<Reverse<(Timestamp, Chore)>>,
    last_step: u64,
}

impl Schedule {
    /// Plans the next step of a task. Steps of one instant happen in the order they were planned.
    pub(super) fn plan_step(&mut self, at: Timestamp, task: TaskNumber) -> StepId {
        self.last_step += 1;
        let step = StepId(self.last_step);
        self.steps.push(Reverse((at, step, task)));
        step
    }

    pub(super) fn plan_chore(&mut self, at: Timestamp, chore: Chore) {
        self.chores.push(Reverse((at, chore)));
    }

    /// The earliest step.
    pub(super) fn next_step(&self) -> Option<(Timestamp, StepId, TaskNumber)> {
        self.steps.peek().map(|Reverse(step)| *step)
    }

    pub(super) fn drop_step(&mut self) {
        self.steps.pop();
    }

    /// Takes a chore that is due.
    pub(super) fn take_chore(&mut self, now: Timestamp) -> Option<Chore> {
        let Reverse((at, _)) = self.chores.peek()?;
        if *at > now {
            return None;
        }
        self.chores.pop().map(|Reverse((_, chore))| chore)
    }
}
