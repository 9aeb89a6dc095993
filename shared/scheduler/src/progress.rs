//! The life of one task: waiting, reserved, started, ended. Every change is a function from one state to the
//! next; whoever stores it checks that nobody was faster.

use crate::id::{AttemptNumber, ContainerInstanceArn, TaskArn};
use crate::report::TaskEnd;
use crate::timestamp::Timestamp;

/// How long a launch may be on its way before nobody may send it any more, in milliseconds.
pub const LAUNCH_WINDOW_MS: u64 = 120_000;

/// How much the clocks of two invocations may differ, in milliseconds.
pub const CLOCK_SKEW_MS: u64 = 60_000;

/// For how long a client token is surely remembered, in milliseconds: ECS forgets it an hour after the task
/// has ended, so a token older than this is never sent again; the task is looked up instead.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
pub const TOKEN_LIFE_MS: u64 = 50 * 60_000;

/// After this long without a trace of a task ECS would have forgotten it, in milliseconds: it may have run.
pub const DOUBT_AFTER_MS: u64 = 65 * 60_000;

/// Where a task is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// In its lane of the waiting list.
    Waiting {
        /// What ECS said when the last attempt was refused.
        last_refusal: Option<String>,
    },
    /// Room is reserved and RunTask is being called.
    Reserved(ReservedTask),
    /// ECS has placed the task.
    Started(StartedTask),
    /// The task has stopped.
    Ended {
        /// The ECS task.
        task: Option<TaskArn>,
        /// How it ended.
        end: TaskEnd,
    },
    /// The task will never start: its request is wrong.
    Refused {
        /// Why.
        reason: String,
    },
    /// Nobody can tell any more whether the task ran. It is not started again unless someone decides so.
    Doubt {
        /// Where it was to run.
        instance: ContainerInstanceArn,
    },
}

/// A task whose launch is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedTask {
    /// Where its room is reserved.
    pub instance: ContainerInstanceArn,
    /// When it was reserved, on our clock: the age of its client token.
    pub reserved_at: Timestamp,
    /// Until when a caller that has not answered may still be sending RunTask.
    pub call_by: Timestamp,
    /// ECS refused a repeated call, but an earlier one may still arrive: the refusal is definite once no
    /// earlier call can.
    pub refused: Option<String>,
}

/// A task that ECS has placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedTask {
    /// Where it runs.
    pub instance: ContainerInstanceArn,
    /// The ECS task.
    pub task: TaskArn,
    /// When ECS created it, on ECS's clock.
    pub started_at: Timestamp,
}

/// A task's attempt count and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskProgress {
    /// The attempt begun last; 0 before the first one.
    pub attempt: AttemptNumber,
    /// Where the task is.
    pub state: TaskState,
}

/// The task is not in the state that a change starts from: somebody else has moved it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedOn;

/// What to do about a reservation whose RunTask call has no recorded answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenReservation {
    /// Its token is young: send the same call again.
    CallAgain,
    /// A repeated call was refused, but an earlier one may still arrive: wait until none can.
    Wait,
    /// Its token may be forgotten: look for the task instead.
    LookUp,
}

impl TaskProgress {
    /// A task that has just been accepted.
    pub const fn accepted() -> Self {
        Self {
            attempt: AttemptNumber::new(0),
            state: TaskState::Waiting { last_refusal: None },
        }
    }

    /// Begins the next attempt on an instance.
    ///
    /// # Errors
    /// [`MovedOn`] unless the task waits.
    pub fn reserve(&self, instance: ContainerInstanceArn, now: Timestamp) -> Result<Self, MovedOn> {
        let TaskState::Waiting { .. } = self.state else {
            return Err(MovedOn);
        };
        let call_by = now.saturating_add_millis(LAUNCH_WINDOW_MS);
        let reserved = ReservedTask {
            instance,
            reserved_at: now,
            call_by,
            refused: None,
        };
        Ok(Self {
            attempt: self.attempt.next(),
            state: TaskState::Reserved(reserved),
        })
    }

    /// Takes over the launch of an attempt from a caller that gave no answer.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn call_again(&self, attempt: AttemptNumber, now: Timestamp) -> Result<Self, MovedOn> {
        let reserved = self.reserved(attempt)?;
        let call_by = now.saturating_add_millis(LAUNCH_WINDOW_MS);
        Ok(self.with(TaskState::Reserved(ReservedTask {
            call_by,
            ..reserved.clone()
        })))
    }

    /// Records that a repeated call was refused while an earlier one, sent before `call_by`, may still arrive.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn refused_for_now(
        &self,
        attempt: AttemptNumber,
        reason: String,
        call_by: Timestamp,
    ) -> Result<Self, MovedOn> {
        let reserved = self.reserved(attempt)?.clone();
        Ok(self.with(TaskState::Reserved(ReservedTask {
            call_by,
            refused: Some(reason),
            ..reserved
        })))
    }

    /// Records that ECS placed attempt `attempt`.
    ///
    /// # Errors
    /// [`MovedOn`] unless that attempt is reserved.
    pub fn start(
        &self,
        attempt: AttemptNumber,
        task: TaskArn,
        started_at: Timestamp,
    ) -> Result<Self, MovedOn> {
        let reserved = self.reserved(attempt)?;
        let instance = reserved.instance.clone();
        Ok(self.with(TaskState::Started(StartedTask {
            instance,
            task,
            started_at,
        })))
    }

    /// Puts a task that was definitely not started back in its old place.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn requeue(&self, attempt: AttemptNumber, reason: String) -> Result<Self, MovedOn> {
        self.reserved(attempt)?;
        Ok(self.with(TaskState::Waiting {
            last_refusal: Some(reason),
        }))
    }

    /// Records that the task will never start.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn refuse(&self, attempt: AttemptNumber, reason: String) -> Result<Self, MovedOn> {
        self.reserved(attempt)?;
        Ok(self.with(TaskState::Refused { reason }))
    }

    /// Records that nobody can tell any more whether attempt `attempt` ran.
    ///
    /// # Errors
    /// [`MovedOn`] unless that attempt is reserved.
    pub fn doubt(&self, attempt: AttemptNumber) -> Result<Self, MovedOn> {
        let instance = self.reserved(attempt)?.instance.clone();
        Ok(self.with(TaskState::Doubt { instance }))
    }

    /// Records that the task of attempt `attempt` has stopped. Its start may not have been recorded yet: a
    /// short task's end can be reported before RunTask's answer is written down.
    ///
    /// # Errors
    /// [`MovedOn`] unless that attempt is reserved, started or in doubt.
    pub fn end(&self, attempt: AttemptNumber, task: TaskArn, end: TaskEnd) -> Result<Self, MovedOn> {
        let under_way = matches!(
            self.state,
            TaskState::Reserved(_) | TaskState::Started(_) | TaskState::Doubt { .. }
        );
        if self.attempt != attempt || !under_way {
            return Err(MovedOn);
        }
        Ok(self.with(TaskState::Ended {
            task: Some(task),
            end,
        }))
    }

    /// Whether nothing can happen to the task any more.
    pub const fn is_final(&self) -> bool {
        matches!(self.state, TaskState::Ended { .. } | TaskState::Refused { .. })
    }

    /// Whether the task's entry in the waiting list has done its service. It is kept while a launch is under
    /// way: a refused task is then in its old place without being put back.
    pub const fn has_left_the_waiting_list(&self) -> bool {
        match self.state {
            TaskState::Waiting { .. } | TaskState::Reserved(_) => false,
            TaskState::Started(_)
            | TaskState::Ended { .. }
            | TaskState::Refused { .. }
            | TaskState::Doubt { .. } => true,
        }
    }

    fn with(&self, state: TaskState) -> Self {
        Self {
            attempt: self.attempt,
            state,
        }
    }

    fn reserved(&self, attempt: AttemptNumber) -> Result<&ReservedTask, MovedOn> {
        match &self.state {
            TaskState::Reserved(reserved) if self.attempt == attempt => Ok(reserved),
            _ => Err(MovedOn),
        }
    }
}

impl ReservedTask {
    /// What to do about the reservation when a cycle finds it open.
    pub fn open_reservation(&self, now: Timestamp) -> OpenReservation {
        if now.millis_since(self.reserved_at) >= TOKEN_LIFE_MS {
            OpenReservation::LookUp
        } else if self.refused.is_some() && !self.earlier_calls_are_over(now) {
            OpenReservation::Wait
        } else {
            OpenReservation::CallAgain
        }
    }

    /// Whether no call of an earlier caller can still arrive, so that a refusal is definite.
    pub fn earlier_calls_are_over(&self, now: Timestamp) -> bool {
        now >= self.call_by.saturating_add_millis(CLOCK_SKEW_MS)
    }

    /// Whether a task that cannot be found would have been forgotten by ECS.
    pub fn is_beyond_memory(&self, now: Timestamp) -> bool {
        now.millis_since(self.reserved_at) >= DOUBT_AFTER_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> ContainerInstanceArn {
        ContainerInstanceArn::parse("arn:aws:ecs:us-east-1:1:container-instance/default/a").unwrap()
    }

    fn task() -> TaskArn {
        TaskArn::parse("arn:aws:ecs:us-east-1:1:task/default/t").unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_refused_attempt_waits_again_and_the_next_one_has_a_new_number() {
        let first = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
        assert_eq!(first.attempt.get(), 1);
        let waiting = first.requeue(first.attempt, "RESOURCE:MEMORY".into()).unwrap();
        assert_eq!(
            waiting.state,
            TaskState::Waiting {
                last_refusal: Some("RESOURCE:MEMORY".into())
            }
        );
        assert_eq!(waiting.reserve(instance(), at(1)).unwrap().attempt.get(), 2);
    }

    #[test]
    fn a_late_answer_for_an_older_attempt_changes_nothing() {
        let first = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
        let second = first
            .requeue(first.attempt, "AGENT".into())
            .unwrap()
            .reserve(instance(), at(1))
            .unwrap();
        assert_eq!(second.start(first.attempt, task(), at(2)), Err(MovedOn));
        assert_eq!(second.requeue(first.attempt, "AGENT".into()), Err(MovedOn));
        assert_eq!(
            second.end(first.attempt, task(), TaskEnd::default()),
            Err(MovedOn)
        );
    }

    #[test]
    fn an_end_may_come_before_the_start_is_recorded() {
        let reserved = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
        let ended = reserved
            .end(reserved.attempt, task(), TaskEnd::default())
            .unwrap();
        assert!(ended.is_final());
        assert_eq!(ended.start(reserved.attempt, task(), at(1)), Err(MovedOn));
    }

    #[test]
    fn a_token_is_not_sent_again_once_ecs_may_have_forgotten_it() {
        let progress = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
        let TaskState::Reserved(reserved) = progress.state else {
            panic!()
        };
        assert_eq!(reserved.open_reservation(at(49 * 60)), OpenReservation::CallAgain);
        assert_eq!(reserved.open_reservation(at(50 * 60)), OpenReservation::LookUp);
        let refused = ReservedTask {
            refused: Some("AGENT".into()),
            ..reserved.clone()
        };
        assert_eq!(refused.open_reservation(at(179)), OpenReservation::Wait);
        assert_eq!(refused.open_reservation(at(180)), OpenReservation::CallAgain);
        assert!(!reserved.earlier_calls_are_over(at(179)) && reserved.earlier_calls_are_over(at(180)));
        assert!(!reserved.is_beyond_memory(at(64 * 60)) && reserved.is_beyond_memory(at(65 * 60)));
    }
}
