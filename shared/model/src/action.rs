//! One step of the model: who does what, and what comes of it.

use std::fmt;

use crate::property::Violation;
use crate::state::State;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An invocation of admitter.
    Admitter(u8),
    /// The invocation of capacity-tracker.
    CapacityTracker,
    /// The invocation of reconciler.
    Reconciler,
    /// ECS, EventBridge, SQS, or time.
    World,
    /// A fault.
    Fault,
}

/// One step of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// Who acts.
    pub actor: Actor,
    /// What is done.
    pub what: &'static str,
    /// The task or instance concerned, counted from 0, highest rank first.
    pub subject: u8,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actor {
            Actor::Admitter(index) => write!(out, "admitter {index}")?,
            Actor::CapacityTracker => write!(out, "capacity-tracker")?,
            Actor::Reconciler => write!(out, "reconciler")?,
            Actor::World => write!(out, "world")?,
            Actor::Fault => write!(out, "FAULT")?,
        }
        write!(out, ": {} ({})", self.what, self.subject)
    }
}

/// A possible step and the state after it.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(crate) action: Action,
    pub(crate) outcome: Result<State, Violation>,
}

/// Collects the possible steps of one state.
#[derive(Debug, Default)]
pub(crate) struct Successors {
    pub(crate) all: Vec<Successor>,
}

impl Successors {
    /// Adds the step that `change` describes, starting from `state`.
    pub(crate) fn add(
        &mut self,
        state: &State,
        actor: Actor,
        what: &'static str,
        subject: usize,
        change: impl FnOnce(&mut State) -> Result<(), Violation>,
    ) {
        let mut next = *state;
        let outcome = change(&mut next).map(|()| {
            next.normalise();
            next
        });
        let subject = u8::try_from(subject).unwrap_or(u8::MAX);
        self.all.push(Successor {
            action: Action { actor, what, subject },
            outcome,
        });
    }
}
