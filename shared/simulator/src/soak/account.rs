//! The reckoning at the end of a run.

use berth_control::ports::{Attention, Ledger as _};
use berth_control::records::TaskRecord;
use berth_scheduler::id::TaskId;
use berth_scheduler::progress::{Outcome, TaskState};
use berth_scheduler::retry::RunCount;

use super::engine::{Engine, tasks_of};
use super::referee::Invariant;
use super::workload::{Asked, Meaning};

/// How long after its message the last task of a run may be placed, in milliseconds: some thirty slow calls.
const START_MS_MAX: u64 = 30_000;

impl Engine {
    /// The first message that has not come to an end, in words.
    pub(super) fn first_open(&self) -> Option<String> {
        let referee = self.world.referee.borrow();
        let dead = self.world.sqs.borrow().dead_submissions();
        if dead > 0 {
            return Some(format!("{dead} submissions are in the dead-letter queue"));
        }
        self.letters.iter().find_map(|letter| {
            if referee.refused_messages.contains(&letter.message_id) {
                return None;
            }
            match &letter.meaning {
                Meaning::Command => None,
                Meaning::Nonsense => Some(format!("`{}` was never refused", letter.message_id)),
                Meaning::Tasks(asked) => tasks_of(asked)
                    .iter()
                    .find_map(|task| self.open_task(asked, task)),
            }
        })
    }

    fn open_task(&self, asked: &Asked, id: &TaskId) -> Option<String> {
        let Some(record) = self.world.peek(self.world.ledger.load_task(id)).flatten() else {
            return Some(format!("`{id}` has no record"));
        };
        match &record.progress.state {
            TaskState::Final(_) | TaskState::Doubt { .. } => None,
            TaskState::Waiting { .. } if self.is_held_with_reason(asked, &record) => None,
            state => Some(format!("`{id}` is still {state:?}")),
        }
    }

    /// A task that never fits waits on, in its lane, with the reason.
    fn is_held_with_reason(&self, asked: &Asked, record: &TaskRecord) -> bool {
        let lanes = self.world.lanes(&record.cluster);
        let lane = lanes.iter().find(|stored| stored.lane.key == record.lane);
        let listed = lane.is_some_and(|stored| {
            stored.hold.is_some()
                && stored
                    .lane
                    .heads
                    .iter()
                    .any(|waiting| waiting.rank == record.rank)
        });
        listed && self.world.workload.family(asked.family).never_fits()
    }

    /// Everything is accounted for: is it true?
    pub(super) fn check_end(&self) {
        for record in self.world.ledger.tasks() {
            self.check_task(&record);
        }
        for cluster in &self.world.clusters {
            for (rank, _) in self.world.ledger.waiting(cluster) {
                if self.world.attempt_while_waiting(&rank).is_none() {
                    let detail = format!("`{}` does not wait, and is in the waiting list", rank.task());
                    self.world.blame(Invariant::RecordsEqualTruth, detail);
                }
            }
            let state = self.world.peek(self.world.ledger.wake_state(cluster));
            if state.is_none_or(|state| state.attention == Attention::Awake || state.turn_until.is_some()) {
                self.world.blame(
                    Invariant::RecordsEqualTruth,
                    format!("`{cluster}` is at rest, but {state:?}"),
                );
            }
            let records = self.world.ledger.instances(cluster);
            for record in &records {
                let truth = self
                    .world
                    .ecs
                    .with_ecs(|ecs| ecs.describe_instance(cluster, record.arn()).ok().flatten());
                self.world.referee.borrow_mut().compare(record, truth.as_ref());
            }
            for known in self
                .world
                .ecs
                .with_ecs(|ecs| ecs.describe_instances(cluster).unwrap_or_default())
            {
                if !records.iter().any(|record| *record.arn() == known.instance) {
                    let detail = format!("`{}` has no record", known.instance.id());
                    self.world.blame(Invariant::RecordsEqualTruth, detail);
                }
            }
        }
    }

    fn check_task(&self, record: &TaskRecord) {
        let mut referee = self.world.referee.borrow_mut();
        let started = referee.ecs_task(&record.id).cloned();
        let stopped = started.as_ref().is_some_and(|task| referee.has_stopped(task));
        let detail = match (&record.progress.state, &started) {
            // What it ran before does not show in the record of a task that was not run again, nor what nobody knew
            // of one that was in doubt.
            (TaskState::Final(task), _)
                if task.run.is_none()
                    && stopped
                    && (record.progress.runs != RunCount::default()
                        || task.outcome == Outcome::Cancelled
                        || referee.is_retried(&record.id)) =>
            {
                String::new()
            }
            (TaskState::Final(task), _)
                if task.run.as_ref().map(|run| &run.task) != started.as_ref()
                    || !stopped && started.is_some() =>
            {
                format!(
                    "`{}` is recorded as {:?} after {:?}; ECS had {started:?}",
                    record.id, task.outcome, task.run
                )
            }
            (TaskState::Waiting { .. }, Some(task)) => {
                format!(
                    "`{}` is recorded as {:?}, but was started as `{task}`",
                    record.id, record.progress.state
                )
            }
            _ => String::new(),
        };
        if !detail.is_empty() {
            referee.blame(Invariant::NothingLost, detail);
        }
        let last = record.id.as_str().starts_with("last-");
        if let (true, Some(sent_at), Some(placed_at)) =
            (last, self.last_sent_at, referee.placed_at(&record.id))
            && placed_at.millis_since(sent_at) > START_MS_MAX
        {
            let detail = format!(
                "`{}` was placed {} ms after it was sent",
                record.id,
                placed_at.millis_since(sent_at)
            );
            referee.blame(Invariant::NoLostWakeUp, detail);
        }
    }
}
