//! Step 6: settle. What RunTask answered is written down: first the task's record, then its reservation, so
//! that a crash in between leaves a reservation that the next cycle resolves.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{AttemptId, ContainerInstanceArn, TaskArn};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::launch::{LaunchOutcome, Refusal, RefusalKind};
use berth_scheduler::progress::CLOCK_SKEW_MS;
use berth_scheduler::report::ReportSource;
use berth_scheduler::timestamp::Timestamp;

use super::reserve::Reserved;
use super::{Cycle, PassEnd};
use crate::follow_up::{follow_up, take_out};
use crate::ports::{
    Change, Clock, Committed, DescribedInstance, Inspector, Launcher, Ledger, Messenger, PortError,
};
use crate::track::{Tracked, change_instance, record_report};
use crate::wire::refusal::Refusal as RefusedSubmission;

/// Tasks placed in a wave, by instance: one write per instance records them all.
type Placed = BTreeMap<ContainerInstanceArn, Vec<(AttemptId, TaskArn, Timestamp)>>;

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Settles the outcomes of a wave; `Some` when the pass must end because not all tasks were started.
    pub(super) async fn settle(
        &mut self,
        answers: Vec<(Reserved, LaunchOutcome)>,
    ) -> Result<Option<PassEnd>, PortError> {
        let mut placed = Placed::new();
        let mut done = Vec::new();
        let mut end = None;
        for (reserved, outcome) in answers {
            let after = match outcome {
                LaunchOutcome::Placed { task, created_at } => {
                    let created_at = created_at.unwrap_or_else(|| self.latest_creation());
                    self.settle_started(&reserved, &task, created_at).await?;
                    let of_instance = placed.entry(reserved.pin.instance.clone()).or_default();
                    of_instance.push((reserved.attempt(), task, created_at));
                    done.push(reserved.task);
                    None
                }
                LaunchOutcome::Refused(refusal) => Some(self.settle_refused(&reserved, refusal).await?),
                LaunchOutcome::Unavailable { message } => {
                    self.settle_unavailable(&reserved, message).await?;
                    Some(PassEnd::Complete)
                }
                LaunchOutcome::Invalid { message } => {
                    self.settle_invalid(&reserved, message).await?;
                    Some(PassEnd::Again)
                }
                LaunchOutcome::Throttled | LaunchOutcome::Unknown { .. } => {
                    self.report.unresolved = self.report.unresolved.saturating_add(1);
                    Some(PassEnd::Later)
                }
            };
            end = weightier(end, after);
        }
        for (instance, attempts) in placed {
            if self.settle_placed(&instance, &attempts).await? {
                // A report that counts them came before, and gave nobody their room twice.
                end = weightier(end, Some(PassEnd::Again));
            }
        }
        // Last, so that whatever a crash leaves open is still found by its waiting entry.
        for task in done {
            take_out(self.ports.ledger, &task).await?;
        }
        Ok(end)
    }

    /// When a task was created at the latest whose creation ECS does not tell. A time too early would let a
    /// report count it that was made before.
    fn latest_creation(&self) -> Timestamp {
        self.ports.clock.now().saturating_add_millis(CLOCK_SKEW_MS)
    }

    /// The task's record: started. Somebody else may have recorded the start, or the end, before; when it is
    /// still reserved, the write met another one and is made again.
    async fn settle_started(
        &mut self,
        reserved: &Reserved,
        task: &TaskArn,
        created_at: Timestamp,
    ) -> Result<(), PortError> {
        self.report.started = self.report.started.saturating_add(1);
        let attempt = reserved.attempt();
        let mut record = reserved.task.clone();
        while let Ok(progress) = record.progress.start(attempt.number, task.clone(), created_at) {
            let started = record.after(progress);
            let change = Change {
                task: Some(&started),
                ..Change::default()
            };
            if self.ports.ledger.commit(change).await? == Committed::Done {
                // It was cancelled while its launch was under way.
                if started.progress.stop.is_some() {
                    follow_up(self.ports, started).await?;
                }
                return Ok(());
            }
            match self.ports.ledger.load_task(&attempt.task).await? {
                Some(stored) => record = stored,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The instance's record: these attempts are placed. Tells whether that shows more room.
    pub(super) async fn settle_placed(
        &mut self,
        instance: &ContainerInstanceArn,
        attempts: &[(AttemptId, TaskArn, Timestamp)],
    ) -> Result<bool, PortError> {
        self.change_record(instance, |record| {
            let mut placed = None;
            for (attempt, task, created_at) in attempts {
                let current = placed.as_ref().unwrap_or(record);
                if let Some(next) = current.place(attempt, task.clone(), *created_at) {
                    placed = Some(next);
                }
            }
            placed
        })
        .await
    }

    /// ECS knew better: learn what it sees there, give the room back, and put the task in its old place.
    /// The instance is closed for the rest of this cycle, or a lower-ranked task could take the room that the
    /// refused one is about to be tried with again (NoOvertaking).
    async fn settle_refused(&mut self, reserved: &Reserved, refusal: Refusal) -> Result<PassEnd, PortError> {
        self.report.refused = self.report.refused.saturating_add(1);
        self.closed.insert(reserved.pin.instance.clone());
        self.look_again_soon |= refusal.kind != RefusalKind::Constraint;
        self.refusals.insert(
            reserved.task.lane.clone(),
            HoldReason::RefusedByEcs {
                reason: refusal.reason.clone(),
            },
        );
        self.requeue(reserved, refusal.reason).await?;
        self.describe_again(&reserved.pin.instance).await?;
        Ok(PassEnd::Again)
    }

    /// Nothing can be started in the cluster now. No task is to blame: the next event or reconciliation tries
    /// again.
    async fn settle_unavailable(&mut self, reserved: &Reserved, message: String) -> Result<(), PortError> {
        self.report.refused = self.report.refused.saturating_add(1);
        let reason = HoldReason::RefusedByEcs {
            reason: message.clone(),
        };
        let now = self.ports.clock.now();
        self.requeue(reserved, message).await?;
        self.ports
            .ledger
            .record_hold(&self.turn.cluster, &reserved.task.lane, &reason, now)
            .await
    }

    /// The request itself is wrong: the task is refused for good, with ECS's reason.
    async fn settle_invalid(&mut self, reserved: &Reserved, message: String) -> Result<(), PortError> {
        self.report.refused = self.report.refused.saturating_add(1);
        let record = &reserved.task;
        let refusal = RefusedSubmission::without_position(None, format!("refused by ECS: {message}"));
        let body = record.submission_text();
        let now = self.ports.clock.now();
        self.ports
            .messenger
            .refuse(&refusal.to_message(record.id.as_str(), &body, now))
            .await?;
        let Ok(progress) = record.progress.refuse(record.progress.attempt, message, now) else {
            return Ok(());
        };
        let refused = record.after(progress);
        if self.commit_with_release(reserved, refused.clone()).await? == Committed::Done {
            take_out(self.ports.ledger, &refused).await?;
        }
        Ok(())
    }

    /// Puts a task that was definitely not started back in its old place: its waiting entry never left.
    pub(super) async fn requeue(&mut self, reserved: &Reserved, reason: String) -> Result<(), PortError> {
        let record = &reserved.task;
        if let Ok(progress) = record.progress.requeue(record.progress.attempt, reason) {
            self.commit_with_release(reserved, record.after(progress)).await?;
        }
        Ok(())
    }

    /// Writes a task's record and takes back its reservation, together: an attempt whose task waits again
    /// must not hold room, and one that holds room must be resolvable. Somebody else's change of the task stands.
    pub(super) async fn commit_with_release(
        &mut self,
        reserved: &Reserved,
        task: crate::records::TaskRecord,
    ) -> Result<Committed, PortError> {
        let (ledger, cluster) = (self.ports.ledger, self.turn.cluster.clone());
        let (arn, attempt) = (&reserved.pin.instance, reserved.attempt());
        let mut record = self.records.get(arn).cloned();
        loop {
            let released = record.as_ref().and_then(|record| record.release(&attempt, None));
            let instance = released.as_ref().map(|released| (&cluster, released));
            match ledger
                .commit(Change {
                    task: Some(&task),
                    instance,
                })
                .await?
            {
                Committed::InstanceMoved => {
                    record = ledger.load_instance(&cluster, arn).await?.map(Arc::new);
                }
                Committed::Done => {
                    if let Some(released) = released {
                        self.records.insert(arn.clone(), Arc::new(released));
                    }
                    return Ok(Committed::Done);
                }
                Committed::TaskMoved => return Ok(Committed::TaskMoved),
            }
        }
    }

    /// Changes an instance's record: tries with the one in hand, and reads it again if that is out of date. Tells
    /// whether it offers more.
    pub(super) async fn change_record(
        &mut self,
        instance: &ContainerInstanceArn,
        change: impl Fn(&InstanceRecord) -> Option<InstanceRecord>,
    ) -> Result<bool, PortError> {
        let (ledger, cluster) = (self.ports.ledger, &self.turn.cluster);
        let changed = self.records.get(instance).and_then(|stored| {
            let changed = change(stored)?.as_next_of(stored);
            let offers_more = changed.offers_more_than(stored);
            Some((changed, offers_more))
        });
        if let Some((changed, offers_more)) = changed {
            let write = Change {
                instance: Some((cluster, &changed)),
                ..Change::default()
            };
            if ledger.commit(write).await? == Committed::Done {
                self.records.insert(instance.clone(), Arc::new(changed));
                return Ok(offers_more);
            }
        }
        Ok(change_instance(ledger, cluster, instance, change).await? == Tracked::Recorded)
    }

    /// Asks ECS about one instance and records the answer.
    async fn describe_again(&mut self, instance: &ContainerInstanceArn) -> Result<(), PortError> {
        let (ledger, cluster) = (self.ports.ledger, &self.turn.cluster);
        let before = ledger.load_instance(cluster, instance).await?;
        let source = before
            .as_ref()
            .map(ReportSource::described_after)
            .unwrap_or_default();
        let described = self
            .ports
            .ecs
            .describe_instances(cluster, std::slice::from_ref(instance))
            .await?;
        for answer in described {
            match answer {
                DescribedInstance::Found(mut report) => {
                    report.source = source.clone();
                    record_report(ledger, cluster, &report).await?;
                }
                DescribedInstance::Missing(arn) => {
                    change_instance(ledger, cluster, &arn, InstanceRecord::gone).await?;
                }
            }
        }
        Ok(())
    }
}

/// Which of two ends of a pass counts: patience before haste, and haste before being done. A pass that ends
/// because nothing can be started now is over.
pub(super) fn weightier(one: Option<PassEnd>, other: Option<PassEnd>) -> Option<PassEnd> {
    let weight = |end: &PassEnd| match end {
        PassEnd::Again => 0,
        PassEnd::Later => 1,
        PassEnd::Complete => 2,
        PassEnd::TurnLost => 3,
    };
    one.into_iter().chain(other).max_by_key(weight)
}
