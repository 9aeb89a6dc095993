//! Step 4: reserve. Two conditional writes per admission, in rank order: room on the instance, and then the attempt
//! in the task's record.
//!
//! In this order nothing is ever launched without room: a crash in between leaves room for an attempt that was not
//! begun, which the next cycle strikes off (see [`super::resolve`]). Both writes are plain ones, at half the price of
//! a transaction.

use std::sync::Arc;

use berth_scheduler::admission::Admission;
use berth_scheduler::id::AttemptId;
use berth_scheduler::progress::TaskState;

use super::left_behind::Entry;
use super::{Cycle, PassEnd};
use crate::follow_up::appoint;
use crate::ports::{Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, Pin, PortError};
use crate::records::TaskRecord;

/// A task with room reserved, ready to be launched.
#[derive(Clone, Debug)]
pub(super) struct Reserved {
    /// The task's record as stored.
    pub(super) task: TaskRecord,
    /// Where its room is.
    pub(super) pin: Pin,
}

enum Reservation {
    Made(Box<Reserved>),
    /// The waiting entry was left behind, and is removed.
    Orphan,
    /// Somebody changed a record meanwhile.
    Conflict,
}

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Reserves room for a wave of admissions. Stops at the first one that does not go as planned, so that
    /// nobody behind it takes room that it may need, and tells how the pass must end then.
    pub(super) async fn reserve(
        &mut self,
        wave: &[Admission],
    ) -> Result<(Vec<Reserved>, Option<PassEnd>), PortError> {
        let mut reserved = Vec::with_capacity(wave.len());
        for admission in wave {
            match self.reserve_one(admission).await? {
                Reservation::Made(one) => reserved.push(*one),
                Reservation::Orphan | Reservation::Conflict => return Ok((reserved, Some(PassEnd::Again))),
            }
        }
        Ok((reserved, None))
    }

    async fn reserve_one(&mut self, admission: &Admission) -> Result<Reservation, PortError> {
        let ledger = self.ports.ledger;
        let stored = match self.check_entry(&admission.lane, &admission.rank).await? {
            Entry::Own(task) => task,
            Entry::LeftBehind => return Ok(Reservation::Orphan),
            Entry::Stranded => return Ok(Reservation::Conflict),
        };
        let now = self.ports.clock.now();
        let Ok(progress) = stored.progress.reserve(admission.instance.clone(), now) else {
            // Another cycle has reserved it since this one looked. It may yet be refused and need its entry.
            self.met_reserved(&stored).await?;
            return Ok(Reservation::Conflict);
        };
        let mut task = stored.after(progress);
        // Noted before it can start: a crash later on must not let it run without an end.
        if let Some(timeout) = task.terms.timeout {
            let due = now.saturating_add_millis(timeout.as_millis());
            appoint(ledger, &task, due).await?;
        }
        let Some(record) = self.records.get(&admission.instance) else {
            return Ok(Reservation::Conflict);
        };
        let Some(ec2_instance_id) = record.state().ec2_instance_id.clone() else {
            return Ok(Reservation::Conflict);
        };
        // NoOvercommit is checked again here, on the record that the write depends on.
        let Ok(instance) = record.reserve(task.attempt(), &task.demand, &task.group, task.outlook()) else {
            return Ok(Reservation::Conflict);
        };
        let room = Change {
            instance: Some((&self.turn.cluster, &instance)),
            ..Change::default()
        };
        if ledger.commit(room).await? != Committed::Done {
            return Ok(Reservation::Conflict);
        }
        self.records
            .insert(admission.instance.clone(), Arc::new(instance));
        let begin = Change {
            task: Some(&task),
            ..Change::default()
        };
        if ledger.commit(begin).await? != Committed::Done {
            // The write may be this one's own whose answer was lost, and somebody may have cancelled the task since.
            let stored = ledger.load_task(&task.id).await?;
            match stored.filter(|stored| has_begun(stored, &task)) {
                Some(begun) => task = begun,
                None => {
                    let attempt = task.attempt();
                    self.change_record(&admission.instance, |record| record.release(&attempt, None))
                        .await?;
                    return Ok(Reservation::Conflict);
                }
            }
        }
        let pin = Pin {
            instance: admission.instance.clone(),
            ec2_instance_id,
        };
        Ok(Reservation::Made(Box::new(Reserved { task, pin })))
    }
}

/// Whether this attempt has begun on this instance. Only whoever has room for it there can have done that.
fn has_begun(stored: &TaskRecord, begun: &TaskRecord) -> bool {
    let place = |task: &TaskRecord| match &task.progress.state {
        TaskState::Reserved(reserved) => Some(reserved.instance.clone()),
        _ => None,
    };
    stored.attempt() == begun.attempt() && place(stored).is_some() && place(stored) == place(begun)
}

impl Reserved {
    /// The attempt the room is reserved for.
    pub(super) fn attempt(&self) -> AttemptId {
        self.task.attempt()
    }

    /// A reservation found open: its pin is worked out again.
    pub(super) fn found(task: TaskRecord, pin: Pin) -> Self {
        Self { task, pin }
    }
}
