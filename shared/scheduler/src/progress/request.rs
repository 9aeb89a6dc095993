//! What people can ask for while a task waits or runs. Each is a function from one progress to the next, and
//! asking twice is asking once.

use super::{Outcome, Request, StopCause, StopRequest, TaskProgress, TaskState};
use crate::timestamp::Timestamp;

/// The task is past the point where the request could change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEffect;

impl TaskProgress {
    /// Ends the task: at once while it waits, else as soon as ECS can be told to stop it. A task in doubt is
    /// taken as done.
    ///
    /// # Errors
    /// [`NoEffect`] when the task is over or being stopped already.
    pub fn cancel(&self, request: Request) -> Result<Self, NoEffect> {
        let stop = StopRequest {
            cause: StopCause::Cancelled,
            request,
        };
        match &self.state {
            TaskState::Waiting { .. } | TaskState::Doubt { .. } => {
                Ok(self.stopped(&stop, stop.request.at, None))
            }
            TaskState::Reserved(_) | TaskState::Started(_) if self.stop.is_none() => Ok(Self {
                stop: Some(stop),
                ..self.clone()
            }),
            TaskState::Reserved(_) | TaskState::Started(_) | TaskState::Final(_) => Err(NoEffect),
        }
    }

    /// Keeps a waiting task from starting until it is released. A launch that is under way is not called back:
    /// the hold takes effect if ECS refuses it.
    ///
    /// # Errors
    /// [`NoEffect`] when the task has started, is over, or is on hold already.
    pub fn put_on_hold(&self, request: Request) -> Result<Self, NoEffect> {
        match &self.state {
            TaskState::Waiting { .. } | TaskState::Reserved(_) if self.hold.is_none() => Ok(Self {
                hold: Some(request),
                ..self.clone()
            }),
            _ => Err(NoEffect),
        }
    }

    /// Lets a task on hold start again, in its old place. Not a task in doubt: a release that was sent for a hold
    /// and comes late must not run anything twice.
    ///
    /// # Errors
    /// [`NoEffect`] when the task is not on hold.
    pub fn release(&self) -> Result<Self, NoEffect> {
        match &self.state {
            TaskState::Waiting { .. } | TaskState::Reserved(_) if self.hold.is_some() => Ok(Self {
                hold: None,
                ..self.clone()
            }),
            _ => Err(NoEffect),
        }
    }

    /// Lets a task in doubt wait for another run: whoever asks knows that it did not run, or that running twice does
    /// no harm.
    ///
    /// # Errors
    /// [`NoEffect`] when the task is not in doubt.
    pub fn retry(&self) -> Result<Self, NoEffect> {
        match &self.state {
            TaskState::Doubt { .. } => Ok(self.with(TaskState::Waiting {
                last_refusal: Some("in doubt, and a retry was asked for".to_owned()),
            })),
            _ => Err(NoEffect),
        }
    }

    /// Whether the task's place in the order still matters.
    pub const fn has_a_place(&self) -> bool {
        matches!(self.state, TaskState::Waiting { .. } | TaskState::Reserved(_))
    }

    /// The end of a task that could not even wait: what it asks for turned out to be impossible.
    #[must_use]
    pub fn refuse_waiting(&self, reason: String, now: Timestamp) -> Self {
        self.finish(Outcome::Refused, reason, now, None)
    }
}
