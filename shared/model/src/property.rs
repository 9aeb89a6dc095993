//! What must never happen, and what must stay possible.

use crate::ecs::remaining;
use crate::reconciler;
use crate::records::room;
use crate::state::{Hold, Progress, ReconcilerStep, Run, State, Step, Submission, TrackerStep, Turn};
use crate::world::{AtRest, Model};

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// StartedOnce: ECS started a second task for the same submission.
    StartedTwice,
    /// NoOvertaking: room was reserved for a task while a higher-ranked one waited that fits there.
    Overtaken,
    /// NoOvercommit: room was reserved that is not there.
    Overcommitted,
    /// Nothing moves any more, and a task waits that would fit, or a reservation is open.
    IdleAtRest,
    /// NothingLost: without further faults there is no way left to the end of all tasks.
    Stuck,
    /// The model itself has no place for this state: it must be made larger.
    ModelTooSmall,
}

/// Every task has reached its end, and nothing of it is left behind.
pub(crate) fn all_done(model: &Model, state: &State) -> bool {
    model.tasks().all(|index| {
        let task = &state.tasks[index];
        task.submission == Submission::Done
            && matches!(task.progress, Progress::Ended | Progress::Doubt)
            && task.reservations.iter().all(|it| it.hold == Hold::None)
            && !task.entry
    })
}

/// No message can be received, and no invocation is at work.
pub(crate) fn nothing_under_way(model: &Model, state: &State) -> bool {
    let quiet = model.tasks().all(|index| {
        let task = &state.tasks[index];
        task.submission == Submission::Done && !task.running_event && !task.stopped_event
    });
    quiet
        && state.admitters.iter().all(|admitter| admitter.step == Step::Idle)
        && state.tracker.step == TrackerStep::Idle
        && state.cluster.wakes == 0
        && state
            .instances
            .iter()
            .all(|it| it.foreign_stopped == 0 && it.events.iter().all(|event| event.version == 0))
}

fn nothing_moves(model: &Model, state: &State) -> bool {
    nothing_under_way(model, state)
        && model.tasks().all(|index| state.tasks[index].delayed_attempt == 0)
        && state.reconciler.step == ReconcilerStep::Idle
        && state.cluster.turn == Turn::Free
}

/// Whether one run of reconciler, which wakes whenever somebody waits, leaves nobody beside room that is free: by
/// the records, each who fits has room then.
fn reconciler_helps(model: &Model, state: &State) -> bool {
    let mut after = *state;
    reconciler::run(model, &mut after);
    let fits = |index: usize, free: &dyn Fn(usize) -> u8| {
        let need = model.demand(index);
        model.instances().any(|instance| free(instance) >= need)
    };
    model
        .tasks()
        .filter(|&index| state.tasks[index].progress == Progress::Waiting)
        .all(|index| {
            !fits(index, &|instance| remaining(model, state, instance))
                || fits(index, &|instance| room(model, &after, instance))
        })
}

/// Checks a state in which only tasks can still end by themselves.
pub(crate) fn at_rest(model: &Model, state: &State) -> Option<Violation> {
    if model.world.rest == AtRest::Anything || !nothing_moves(model, state) {
        return None;
    }
    let idle = model.tasks().any(|index| {
        let task = &state.tasks[index];
        match task.progress {
            Progress::Reserved => task.run != Run::Live,
            Progress::Waiting => model.instances().any(|instance| {
                let reserved: u8 = model
                    .tasks()
                    .filter(|&other| {
                        let other = &state.tasks[other];
                        other.progress == Progress::Reserved
                            && other.run == Run::Never
                            && usize::from(other.instance) == instance
                    })
                    .map(|other| model.demand(other))
                    .sum();
                remaining(model, state, instance).saturating_sub(reserved) >= model.demand(index)
            }),
            _ => false,
        }
    });
    if !idle {
        return None;
    }
    let helps = model.world.rest == AtRest::NoIdleRoomOnceReconciled && reconciler_helps(model, state);
    (!helps).then_some(Violation::IdleAtRest)
}
