//! Waiting entries that tasks have left behind: whoever started, cancelled or moved a task may have died before its
//! entry was removed. Every entry is checked before it starts anybody, and before it keeps somebody waiting whom
//! another one then passes.

use std::collections::BTreeSet;

use berth_scheduler::admission::AdmissionPlan;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{LaneKey, Revision, TaskId};
use berth_scheduler::progress::TaskState;
use berth_scheduler::waiting::Rank;

use super::Cycle;
use crate::ports::{Clock, Inspector, Launcher, Ledger, Messenger, PortError, StoredLane};
use crate::records::TaskRecord;

/// What an entry of the waiting list turns out to be.
pub(super) enum Entry {
    /// The place of this task.
    Own(Box<TaskRecord>),
    /// That of a task that has moved on, is on hold or has another place now; it is removed.
    LeftBehind,
    /// That of a task whose record cannot be read; this cycle leaves it out.
    Stranded,
}

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    pub(super) async fn check_entry(&mut self, lane: &LaneKey, rank: &Rank) -> Result<Entry, PortError> {
        let ledger = self.ports.ledger;
        let stored = match ledger.load_task(&rank.task()).await {
            Err(PortError::Unreadable { .. }) => {
                self.strand(rank);
                return Ok(Entry::Stranded);
            }
            other => other?,
        };
        match stored {
            Some(task) if task.belongs_in(lane, rank, self.ports.clock.now()) => {
                Ok(Entry::Own(Box::new(task)))
            }
            moved_on => {
                let seen = moved_on.map_or(Revision::new(u64::MAX), |task| task.revision);
                ledger.dequeue(&self.turn.cluster, lane, rank, seen).await?;
                Ok(Entry::LeftBehind)
            }
        }
    }

    /// Checks the entries that a plan lets others pass, or lets nobody pass: those for which an instance is set aside
    /// that a short task is to use now, and the head of a strict waiting list. Tells whether the plan holds.
    pub(super) async fn holds(
        &mut self,
        plan: &AdmissionPlan,
        lanes: &[StoredLane],
    ) -> Result<bool, PortError> {
        let used: BTreeSet<_> = plan.admissions.iter().map(|it| &it.instance).collect();
        let claims = plan.claims.iter().map(|(_, claim)| claim);
        let passed = claims.filter(|claim| used.contains(&claim.instance));
        let passed = passed.map(|claim| &claim.task);
        let strict = plan.held.iter().find_map(|(_, reason)| match reason {
            HoldReason::BehindStrictHead { head } => Some(head),
            _ => None,
        });
        let tasks: BTreeSet<&TaskId> = passed.chain(strict).collect();
        if tasks.is_empty() {
            return Ok(true);
        }
        let mut holds = true;
        for StoredLane { lane, .. } in lanes {
            for head in lane.heads.iter().filter(|head| tasks.contains(&head.rank.task())) {
                holds &= match self.check_entry(&lane.key, &head.rank).await? {
                    // Its launch is under way somewhere that this cycle does not see.
                    Entry::Own(task) if matches!(task.progress.state, TaskState::Reserved(_)) => {
                        self.met_reserved(&task).await?;
                        self.strand(&head.rank);
                        false
                    }
                    Entry::Own(_) => true,
                    Entry::LeftBehind | Entry::Stranded => false,
                };
            }
        }
        Ok(holds)
    }
}
