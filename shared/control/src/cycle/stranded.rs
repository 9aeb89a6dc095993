//! Waiting entries that this cycle can do nothing with, because a record that they depend on cannot be read. They
//! are left out, so that they keep nobody else waiting; the reconciler repairs the record and wakes the admitter.

use std::sync::Arc;

use berth_scheduler::progress::TaskState;
use berth_scheduler::waiting::{LaneTail, Rank};

use super::Cycle;
use crate::ports::{Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, PortError, StoredLane};
use crate::records::TaskRecord;

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// The lanes to plan, without stranded tasks.
    pub(super) fn leave_stranded_out(&self, lanes: &mut [StoredLane]) {
        if self.stranded.is_empty() {
            return;
        }
        for StoredLane { lane, .. } in lanes {
            lane.heads.retain(|head| !self.stranded.contains(&head.rank));
            if lane.heads.is_empty() {
                // Whoever is behind them is not read now: another look would only find the same.
                lane.tail = LaneTail::Empty;
            }
        }
    }

    pub(super) fn strand(&mut self, rank: &Rank) {
        self.stranded.insert(rank.clone());
    }

    /// A task is reserved that this cycle took for waiting. Somebody else has reserved it a moment ago; or its
    /// reservation was lost with a damaged capacity record, and is put back, to be resolved like any other.
    pub(super) async fn met_reserved(&mut self, task: &TaskRecord) -> Result<(), PortError> {
        let TaskState::Reserved(reserved) = &task.progress.state else {
            return Ok(());
        };
        let Some(record) = self.records.get(&reserved.instance) else {
            self.strand(&task.rank);
            return Ok(());
        };
        let Some(restored) = record.restore(&task.attempt(), &task.demand, &task.group, task.outlook())
        else {
            return Ok(());
        };
        let change = Change {
            instance: Some((&self.turn.cluster, &restored)),
            ..Change::default()
        };
        if self.ports.ledger.commit(change).await? == Committed::Done {
            self.records.insert(reserved.instance.clone(), Arc::new(restored));
        }
        Ok(())
    }
}
