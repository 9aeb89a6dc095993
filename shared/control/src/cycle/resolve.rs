//! Step 2: resolve. Reservations whose launch has no recorded answer, left by a crash, a lost reply or
//! throttling, are brought to a definite end before anything new is decided.

use std::sync::Arc;

use berth_scheduler::id::{AttemptId, ContainerInstanceArn};
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::{OpenReservation, ReservedTask, StartedTask, TaskState};
use berth_scheduler::report::{TaskReport, TaskStatus};
use berth_scheduler::timestamp::Timestamp;

use super::reserve::Reserved;
use super::settle::weightier;
use super::{Cycle, PassEnd};
use crate::follow_up::{follow_up, take_out};
use crate::orphan::strike_off;
use crate::ports::{Change, Clock, Committed, Inspector, Launcher, Ledger, Messenger, Pin, PortError};
use crate::records::TaskRecord;
use crate::track::record_own_task;

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Resolves every open reservation of the cluster; `Some` when the pass must end for it.
    pub(super) async fn resolve(&mut self, now: Timestamp) -> Result<Option<PassEnd>, PortError> {
        let open: Vec<(ContainerInstanceArn, AttemptId)> = self
            .records
            .iter()
            .flat_map(|(arn, record)| {
                record
                    .pending_attempts()
                    .map(|attempt| (arn.clone(), attempt.clone()))
            })
            .collect();
        let mut end = None;
        for (instance, attempt) in open {
            let resolved = self.resolve_one(&instance, &attempt, now).await?;
            if resolved.is_some() {
                self.report.resolved = self.report.resolved.saturating_add(1);
            }
            end = weightier(end, resolved);
        }
        Ok(end)
    }

    /// Resolves one open reservation; `None` when it must stay open for now.
    async fn resolve_one(
        &mut self,
        instance: &ContainerInstanceArn,
        attempt: &AttemptId,
        now: Timestamp,
    ) -> Result<Option<PassEnd>, PortError> {
        let task = match self.ports.ledger.load_task(&attempt.task).await {
            // The reconciler sets it aside; until then its room stays reserved.
            Err(PortError::Unreadable { .. }) => return Ok(None),
            other => other?,
        };
        let task = match task {
            Some(task) if task.progress.attempt == attempt.number => task,
            other => {
                return if strike_off(self.ports.ledger, attempt, other.as_ref()).await? {
                    self.give_room_back(instance, attempt).await.map(Some)
                } else {
                    Ok(Some(PassEnd::Again))
                };
            }
        };
        match &task.progress.state {
            TaskState::Reserved(ReservedTask { instance: other, .. })
            | TaskState::Started(StartedTask { instance: other, .. })
                if other != instance =>
            {
                // Two cycles have found room for the same attempt, and one of them has begun it.
                self.give_room_back(instance, attempt).await.map(Some)
            }
            TaskState::Reserved(reserved) => match reserved.open_reservation(now) {
                OpenReservation::Wait => Ok(None),
                OpenReservation::CallAgain => self.call_again(&task, reserved, now).await,
                OpenReservation::LookUp => self.look_up(&task, reserved, now).await,
            },
            TaskState::Started(started) => {
                let placed = (attempt.clone(), started.task.clone(), started.started_at);
                self.settle_placed(instance, &[placed]).await?;
                Ok(Some(PassEnd::Again))
            }
            TaskState::Waiting { .. } | TaskState::Final(_) | TaskState::Doubt { .. } => {
                // A run whose end was recorded before its start may be due for another one, and nothing but this
                // reservation may tell.
                follow_up(self.ports, task).await?;
                self.give_room_back(instance, attempt).await.map(Some)
            }
        }
    }

    async fn give_room_back(
        &mut self,
        instance: &ContainerInstanceArn,
        attempt: &AttemptId,
    ) -> Result<PassEnd, PortError> {
        self.change_record(instance, |record| record.release(attempt, None))
            .await?;
        Ok(PassEnd::Again)
    }

    /// Sends the same call with the same token: ECS answers with the task if an earlier call started it. A
    /// refusal is definite only when no earlier call can still arrive.
    async fn call_again(
        &mut self,
        task: &TaskRecord,
        earlier: &ReservedTask,
        now: Timestamp,
    ) -> Result<Option<PassEnd>, PortError> {
        let attempt = task.progress.attempt;
        let record = self.records.get(&earlier.instance);
        let Some(ec2_instance_id) = record.and_then(|record| record.state().ec2_instance_id.clone()) else {
            return Ok(None);
        };
        let Ok(progress) = task.progress.call_again(attempt, now) else {
            return Ok(Some(PassEnd::Again));
        };
        let calling = task.after(progress);
        let change = Change {
            task: Some(&calling),
            ..Change::default()
        };
        if self.ports.ledger.commit(change).await? != Committed::Done {
            return Ok(Some(PassEnd::Again));
        }
        let reserved = Reserved::found(
            calling,
            Pin {
                instance: earlier.instance.clone(),
                ec2_instance_id,
            },
        );
        match self.launch_one(&reserved).await {
            LaunchOutcome::Refused(refusal) if !earlier.earlier_calls_are_over(now) => {
                let state = reserved
                    .task
                    .progress
                    .refused_for_now(attempt, refusal.reason, earlier.call_by);
                if let Ok(progress) = state {
                    let waiting = reserved.task.after(progress);
                    self.ports
                        .ledger
                        .commit(Change {
                            task: Some(&waiting),
                            ..Change::default()
                        })
                        .await?;
                }
                Ok(None)
            }
            // The call was turned away at the door, which tells nothing about an earlier one.
            LaunchOutcome::Unavailable { .. } => Ok(None),
            LaunchOutcome::Invalid { message } => match self.find_launched(&reserved.task, earlier).await? {
                Some(report) => self.adopt(&reserved.task, &report).await.map(Some),
                None if !earlier.earlier_calls_are_over(now) => Ok(None),
                None => {
                    self.settle(vec![(reserved, LaunchOutcome::Invalid { message })])
                        .await
                }
            },
            outcome => {
                let end = self.settle(vec![(reserved, outcome)]).await?;
                Ok(end.or(Some(PassEnd::Again)))
            }
        }
    }

    /// The token may be forgotten, so the same call could start the task a second time: look for it instead.
    async fn look_up(
        &mut self,
        task: &TaskRecord,
        reserved: &ReservedTask,
        now: Timestamp,
    ) -> Result<Option<PassEnd>, PortError> {
        match self.find_launched(task, reserved).await? {
            Some(report) => self.adopt(task, &report).await.map(Some),
            None if reserved.is_beyond_memory(now) => {
                self.doubt(task, reserved).await?;
                Ok(Some(PassEnd::Again))
            }
            None => Ok(None),
        }
    }

    /// The ECS task of an attempt, running or stopped a moment ago, by the mark it was started with.
    async fn find_launched(
        &self,
        task: &TaskRecord,
        reserved: &ReservedTask,
    ) -> Result<Option<TaskReport>, PortError> {
        let (ecs, cluster) = (self.ports.ecs, &self.turn.cluster);
        let there = ecs.list_tasks(cluster, &reserved.instance).await?;
        let reports = ecs.describe_tasks(cluster, &there).await?;
        let attempt = task.attempt();
        Ok(reports
            .into_iter()
            .find(|report| report.attempt.as_ref() == Some(&attempt)))
    }

    async fn adopt(&mut self, task: &TaskRecord, report: &TaskReport) -> Result<PassEnd, PortError> {
        record_own_task(self.ports.ledger, &self.turn.cluster, &task.attempt(), report).await?;
        if report.status != TaskStatus::Stopped {
            self.report.started = self.report.started.saturating_add(1);
        }
        // Whoever put the task back meanwhile did so under a later revision.
        self.ports
            .ledger
            .dequeue(&self.turn.cluster, &task.lane, &task.rank, task.revision)
            .await?;
        Ok(PassEnd::Again)
    }

    /// Nobody can tell any more whether the task ran. It is not started again; people decide.
    async fn doubt(&mut self, task: &TaskRecord, reserved: &ReservedTask) -> Result<(), PortError> {
        let Ok(progress) = task.progress.doubt(task.progress.attempt) else {
            return Ok(());
        };
        let record = self.records.get(&reserved.instance).map(Arc::clone);
        let Some(ec2_instance_id) = record.and_then(|record| record.state().ec2_instance_id.clone()) else {
            return Ok(());
        };
        let doubtful = Reserved::found(
            task.clone(),
            Pin {
                instance: reserved.instance.clone(),
                ec2_instance_id,
            },
        );
        let done = task.after(progress);
        if self.commit_with_release(&doubtful, done.clone()).await? == Committed::Done {
            take_out(self.ports.ledger, &done).await?;
        }
        Ok(())
    }
}
