//! A second look at the lanes, after somebody was started and before the cycle ends.
//!
//! Whoever joins a lane behind somebody wakes nobody (see [`crate::submit`]): where the one in front does not fit,
//! the one behind does not either. But the one in front may be started by a cycle that had read the lane before.

use std::collections::BTreeSet;

use berth_scheduler::waiting::Rank;

use super::Cycle;
use crate::ports::{Clock, Inspector, Launcher, Ledger, Messenger, PortError, StoredLane, WaitingList};

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Notes whether anybody waits, and gives the places that were read.
    pub(super) fn note_who_waits(&mut self, lanes: &[StoredLane]) -> BTreeSet<Rank> {
        let heads = lanes.iter().flat_map(|stored| &stored.lane.heads);
        let known: BTreeSet<Rank> = heads.map(|head| head.rank.clone()).collect();
        self.waiting = if known.is_empty() {
            WaitingList::Empty
        } else {
            WaitingList::Occupied
        };
        known
    }

    /// Whether a lane is led by somebody whom this pass does not know. Whoever is behind one that it knows, and that
    /// still waits, waits with it.
    pub(super) async fn somebody_came(&mut self, known: &BTreeSet<Rank>) -> Result<bool, PortError> {
        let fronts = self.ports.ledger.load_lanes(&self.turn.cluster, 1).await?;
        let fronts = self.note_who_waits(&fronts);
        Ok(!fronts.is_subset(known))
    }
}
