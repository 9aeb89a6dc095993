//! What will happen when, in virtual time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use berth_control::ports::LaunchCall;
use berth_control::records::TaskRecord;
use berth_scheduler::id::ClusterName;
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::timestamp::Timestamp;

use super::chaos::Later;
use super::queue::MessageNumber;
use super::world::World;
use crate::ecs::EcsEvent;

/// Counts the invocations of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InvocationNumber(pub(super) u64);

/// Something that is due.
#[derive(Debug)]
pub(super) enum Due {
    /// A port call of an invocation goes on.
    Resume(InvocationNumber, Waker),
    /// An invocation's time is up.
    Kill(InvocationNumber),
    /// A user sends a message.
    Send(usize),
    /// A message can be received.
    Message(MessageNumber),
    /// The event source mappings poll the queues.
    Poll,
    /// An event reaches capacity-tracker, after so many failed tries.
    Event(Rc<EcsEvent>, u8),
    /// The schedule invokes reconciler.
    Tick,
    /// A RunTask call arrives after all.
    Launch(Box<LaunchCall>),
    /// A conditional write arrives after all.
    Write(Box<OwnedChange>),
    /// Chaos throws its dice.
    Chaos,
    /// Chaos makes good what it did.
    Later(Later),
    /// Faults end.
    Calm,
}

/// A conditional write that outlives its sender.
#[derive(Clone, Debug)]
pub(super) struct OwnedChange {
    pub(super) by: InvocationNumber,
    pub(super) task: Option<TaskRecord>,
    pub(super) instance: Option<(ClusterName, InstanceRecord)>,
}

/// What is due, in order; what is due at the same moment, in the order it was planned.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(Timestamp, u64), Due>,
    planned: u64,
}

impl Agenda {
    pub(super) fn plan(&mut self, at: Timestamp, due: Due) {
        self.planned = self.planned.saturating_add(1);
        self.entries.insert((at, self.planned), due);
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Due> {
        self.entries.pop_first().map(|(_, due)| due)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Due> {
        self.entries.values()
    }

    /// Takes out every event on its way.
    pub(super) fn take_events(&mut self) -> Vec<(Rc<EcsEvent>, u8)> {
        let is_event = |due: &Due| matches!(due, Due::Event(..));
        let keys: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, due)| is_event(due))
            .map(|(key, _)| *key)
            .collect();
        let mut events = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(Due::Event(event, tries)) = self.entries.remove(&key) {
                events.push((event, tries));
            }
        }
        events
    }
}

/// A port call that takes time: pending until its moment has come.
#[derive(Debug)]
pub(super) struct Sleep {
    pub(super) world: Rc<World>,
    pub(super) invocation: InvocationNumber,
    pub(super) until: Timestamp,
    pub(super) planned: Cell<bool>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.world.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.planned.replace(true) {
            self.world
                .plan(self.until, Due::Resume(self.invocation, context.waker().clone()));
        }
        Poll::Pending
    }
}
