//! What time alone brings about: a task may start, expires, or has run for too long.

use super::{CLOCK_SKEW_MS, Outcome, Request, StopCause, StopRequest, TaskProgress, TaskState};
use crate::terms::Terms;
use crate::timestamp::Timestamp;

/// Farther away than any task lives: nothing is due by itself.
pub const FAR_FUTURE: Timestamp = Timestamp::MAX;

/// A task that something is due for, but cannot be done yet, is looked at again after this long at least and twice as
/// long at most, in milliseconds.
const LOOK_AGAIN_MS: u64 = CLOCK_SKEW_MS;

/// What is due for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// It may start: it belongs in its lane. Look again at this moment, if there is one.
    Enter(Option<Timestamp>),
    /// It had to start before now and has not: this is what becomes of it.
    Expire(Box<TaskProgress>),
    /// It has run for too long: this is written down before it is stopped.
    TimeOut(Box<TaskProgress>),
    /// ECS must stop it, again if it was told before.
    Stop,
    /// Nothing before this moment.
    Later(Timestamp),
    /// Nothing any more.
    Nothing,
}

impl TaskProgress {
    /// What is due for the task now.
    pub fn due(&self, terms: &Terms, now: Timestamp) -> Due {
        match &self.state {
            TaskState::Waiting { .. } => self.due_while_waiting(terms, now),
            // Its launch is under way: what became of it comes first.
            TaskState::Reserved(_)
                if self.stop.is_some() || terms.start_by.is_some() || terms.timeout.is_some() =>
            {
                Due::Later(Self::look_again(now))
            }
            // If ECS refuses it, it waits for its release.
            TaskState::Reserved(_) if self.hold.is_some() => Due::Later(FAR_FUTURE),
            TaskState::Started(_) if self.stop.is_some() => Due::Stop,
            TaskState::Started(started) => match terms.timeout {
                None => Due::Nothing,
                Some(timeout) => {
                    let ends = started.started_at.saturating_add_millis(timeout.as_millis());
                    if ends > now {
                        return Due::Later(ends);
                    }
                    let request = Request {
                        at: now,
                        reason: Some(format!("ran for {timeout}, as long as timeoutSeconds lets it")),
                    };
                    let cause = StopCause::TimedOut;
                    Due::TimeOut(Box::new(Self {
                        stop: Some(StopRequest { cause, request }),
                        ..self.clone()
                    }))
                }
            },
            TaskState::Reserved(_) | TaskState::Doubt { .. } | TaskState::Final(_) => Due::Nothing,
        }
    }

    fn due_while_waiting(&self, terms: &Terms, now: Timestamp) -> Due {
        let start_by = terms.start_by.unwrap_or(FAR_FUTURE);
        if start_by <= now {
            let reason = format!("not started by {start_by}, its startBy");
            return Due::Expire(Box::new(self.finish(Outcome::Expired, reason, now, None)));
        }
        if self.hold.is_some() {
            return Due::Later(start_by);
        }
        match terms.not_before {
            Some(not_before) if not_before > now => Due::Later(not_before.min(start_by)),
            _ => Due::Enter(terms.start_by),
        }
    }

    /// Whether the task may start now. One that may not has no business in its lane.
    pub fn may_start(&self, terms: &Terms, now: Timestamp) -> bool {
        matches!(self.state, TaskState::Waiting { .. }) && matches!(self.due(terms, now), Due::Enter(_))
    }

    /// Whether the task may be found in its lane. Whoever put it there knew that its time had come; by a clock that is
    /// behind theirs it may not have, and the task must not be taken out again for that.
    pub fn may_be_in_lane(&self, terms: &Terms, now: Timestamp) -> bool {
        let expired = terms.start_by.is_some_and(|start_by| start_by <= now);
        matches!(self.state, TaskState::Waiting { .. }) && self.hold.is_none() && !expired
    }

    /// When to look again at a task that something is due for: its launch is under way, or ECS may not have heard
    /// that it must be stopped. It is the beginning of an interval, so that all who look now note the same moment:
    /// else one appointment that two keep becomes two.
    pub fn look_again(now: Timestamp) -> Timestamp {
        let interval = i64::try_from(LOOK_AGAIN_MS).unwrap_or(i64::MAX);
        let intervals = now.as_millis().div_euclid(interval).saturating_add(2);
        Timestamp::from_millis(intervals.saturating_mul(interval))
    }
}
