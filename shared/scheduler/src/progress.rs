//! The life of one task: waiting, reserved, started, and its end. Every change is a function from one state to
//! the next; whoever stores it checks that nobody was faster.

mod due;
mod request;

use crate::id::{AttemptNumber, ContainerInstanceArn, TaskArn};
use crate::report::TaskEnd;
use crate::retry::{AfterRun, MemoryNeed, RunCount};
use crate::terms::Terms;
use crate::timestamp::Timestamp;

pub use due::{Due, FAR_FUTURE};
pub use request::NoEffect;

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
        /// What became of the last attempt: what ECS said when it was refused, or how its run ended.
        last_refusal: Option<String>,
    },
    /// Room is reserved and RunTask is being called.
    Reserved(ReservedTask),
    /// ECS has placed the task.
    Started(StartedTask),
    /// Nobody can tell any more whether the task ran. It is not started again unless someone decides so.
    Doubt {
        /// Where it was to run.
        instance: ContainerInstanceArn,
    },
    /// Nothing happens to the task any more.
    Final(FinalTask),
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

/// A task that nothing happens to any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalTask {
    /// What came of it.
    pub outcome: Outcome,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// Its last run, if it had one.
    pub run: Option<FinishedRun>,
}

/// What came of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It ran, and all its containers ended with exit code 0.
    Succeeded,
    /// It ran and failed, and is not run again.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// It had not started by the time it had to.
    Expired,
    /// It will never start: its request is wrong.
    Refused,
}

/// A run that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedRun {
    /// The ECS task.
    pub task: TaskArn,
    /// How it ended.
    pub end: TaskEnd,
}

/// What somebody asked for, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it was asked for.
    pub at: Timestamp,
    /// Why, in the words of whoever asked.
    pub reason: Option<String>,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "since {}", self.at)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// A task that runs must be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// What it means for the task.
    pub cause: StopCause,
    /// When it was decided, and why.
    pub request: Request,
}

/// Why a running task must be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody cancelled it.
    Cancelled,
    /// It has run for longer than it may.
    TimedOut,
}

/// A task's attempts and state, and what people have asked for since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskProgress {
    /// The attempt begun last; 0 before the first one.
    pub attempt: AttemptNumber,
    /// Where the task is.
    pub state: TaskState,
    /// Runs that ended without success.
    pub runs: RunCount,
    /// Whether its next run needs more memory than its demand says.
    pub memory: MemoryNeed,
    /// It is on hold: it waits, but not for room.
    pub hold: Option<Request>,
    /// It is to be stopped as soon as it can be.
    pub stop: Option<StopRequest>,
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
            runs: RunCount {
                failed: 0,
                hosts_lost: 0,
            },
            memory: MemoryNeed::Same,
            hold: None,
            stop: None,
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
            ..self.with(TaskState::Reserved(reserved))
        })
    }

    /// Strikes off an attempt that has room and was never begun: whoever has reserved that room can begin it no more.
    ///
    /// # Errors
    /// [`MovedOn`] unless the task waits and has not come to this attempt.
    pub fn strike_off(&self, attempt: AttemptNumber) -> Result<Self, MovedOn> {
        match self.state {
            TaskState::Waiting { .. } if self.attempt < attempt => Ok(Self {
                attempt,
                ..self.clone()
            }),
            _ => Err(MovedOn),
        }
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

    /// Puts a task that was definitely not started back in its old place, unless it was cancelled meanwhile.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn requeue(&self, attempt: AttemptNumber, reason: String) -> Result<Self, MovedOn> {
        self.reserved(attempt)?;
        Ok(match &self.stop {
            Some(stop) => self.stopped(stop, stop.request.at, None),
            None => self.with(TaskState::Waiting {
                last_refusal: Some(reason),
            }),
        })
    }

    /// Records that the task will never start.
    ///
    /// # Errors
    /// [`MovedOn`] unless attempt `attempt` is reserved.
    pub fn refuse(&self, attempt: AttemptNumber, reason: String, now: Timestamp) -> Result<Self, MovedOn> {
        self.reserved(attempt)?;
        Ok(self.finish(Outcome::Refused, reason, now, None))
    }

    /// Records that nobody can tell any more whether attempt `attempt` ran. Whoever has cancelled it does not
    /// want to know.
    ///
    /// # Errors
    /// [`MovedOn`] unless that attempt is reserved.
    pub fn doubt(&self, attempt: AttemptNumber) -> Result<Self, MovedOn> {
        let instance = self.reserved(attempt)?.instance.clone();
        Ok(match &self.stop {
            Some(stop) => self.stopped(stop, stop.request.at, None),
            None => self.with(TaskState::Doubt { instance }),
        })
    }

    /// Records that the task of attempt `attempt` has stopped: it is done, or waits for its next run. Its start
    /// may not have been recorded yet: a short task's end can be reported before RunTask's answer is written
    /// down. `now` is its end if ECS tells none.
    ///
    /// # Errors
    /// [`MovedOn`] unless that attempt is reserved, started or in doubt.
    pub fn end(
        &self,
        attempt: AttemptNumber,
        task: TaskArn,
        end: TaskEnd,
        terms: &Terms,
        now: Timestamp,
    ) -> Result<Self, MovedOn> {
        let under_way = matches!(
            self.state,
            TaskState::Reserved(_) | TaskState::Started(_) | TaskState::Doubt { .. }
        );
        if self.attempt != attempt || !under_way {
            return Err(MovedOn);
        }
        let at = end.stopped_at.unwrap_or(now);
        let after = terms.retry.after_run(&end, self.runs);
        let run = Some(FinishedRun { task, end });
        if let Some(stop) = &self.stop
            && after != AfterRun::Succeeded
        {
            return Ok(self.stopped(stop, at, run));
        }
        Ok(match after {
            AfterRun::Succeeded => self.finish(Outcome::Succeeded, "exit code 0".to_owned(), at, run),
            AfterRun::Failed { reason } => self.finish(Outcome::Failed, reason, at, run),
            AfterRun::RunAgain { runs, memory, reason } => Self {
                runs,
                memory,
                ..self.with(TaskState::Waiting {
                    last_refusal: Some(reason),
                })
            },
        })
    }

    /// Whether nothing can happen to the task any more.
    pub const fn is_final(&self) -> bool {
        matches!(self.state, TaskState::Final(_))
    }

    /// Whether the task's entry in the waiting list has done its service. It is kept while a launch is under
    /// way: a refused task is then in its old place without being put back.
    pub const fn has_left_the_waiting_list(&self) -> bool {
        match self.state {
            TaskState::Waiting { .. } | TaskState::Reserved(_) => false,
            TaskState::Started(_) | TaskState::Doubt { .. } | TaskState::Final(_) => true,
        }
    }

    fn with(&self, state: TaskState) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }

    fn finish(&self, outcome: Outcome, reason: String, at: Timestamp, run: Option<FinishedRun>) -> Self {
        let task = FinalTask {
            outcome,
            reason,
            at,
            run,
        };
        Self {
            hold: None,
            memory: MemoryNeed::Same,
            ..self.with(TaskState::Final(task))
        }
    }

    /// The end of a task that somebody wanted to end.
    fn stopped(&self, stop: &StopRequest, at: Timestamp, run: Option<FinishedRun>) -> Self {
        let (outcome, what) = match stop.cause {
            StopCause::Cancelled => (Outcome::Cancelled, "cancelled"),
            StopCause::TimedOut => (Outcome::Failed, "timed out"),
        };
        let reason = match &stop.request.reason {
            Some(reason) => format!("{what}: {reason}"),
            None => what.to_owned(),
        };
        self.finish(outcome, reason, at, run)
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
mod tests;
