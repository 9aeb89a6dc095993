//! reconciler: compares the records with what ECS describes, repairs, and wakes the admitter.

use crate::action::{Actor, Successors};
use crate::ecs;
use crate::property::nothing_under_way;
use crate::records::{Ended, Source, advance, observe, open, placed, release};
use crate::state::{Attention, INSTANCES, Progress, Reconciler, ReconcilerStep, Report, Run, State, Turn};
use crate::world::{Model, Reconciling};

/// Adds every possible next call.
pub(crate) fn steps(model: &Model, state: &State, out: &mut Successors) {
    let mut add = |what, change: fn(&Model, &mut State)| {
        out.add(state, Actor::Reconciler, what, 0, |next| {
            change(model, next);
            Ok(())
        });
    };
    match state.reconciler.step {
        ReconcilerStep::Idle if may_begin(model, state) => add("read the capacity records", begin),
        ReconcilerStep::Idle => {}
        ReconcilerStep::Describe => add("describe instances and tasks", describe),
        ReconcilerStep::Correct => add("correct the records", correct),
        ReconcilerStep::ReadAttention => add("read who looks at news", read_attention),
        ReconcilerStep::Count => add("count the news", count),
        ReconcilerStep::Wake => add("send a wake message", wake),
        ReconcilerStep::LookAfterWaiting => add("look after who waits", look_after_waiting),
        ReconcilerStep::WakeWaiting => add("send a wake message, done", wake_waiting),
    }
}

fn may_begin(model: &Model, state: &State) -> bool {
    match model.world.reconciler {
        Reconciling::Never => false,
        Reconciling::AnyTime => true,
        Reconciling::WhenCalm => nothing_under_way(model, state),
    }
}

fn begin(model: &Model, state: &mut State) {
    state.reconciler = Reconciler {
        step: ReconcilerStep::Describe,
        placed_before: placed(model, state),
        unresolved: open(model, state) != 0,
        unchanged: model.instances().fold(0, |set, index| set | 1 << index),
        ..Reconciler::default()
    };
}

/// A whole run, up to what it announces.
pub(crate) fn run(model: &Model, state: &mut State) {
    begin(model, state);
    describe(model, state);
    correct(model, state);
}

fn describe(model: &Model, state: &mut State) {
    for instance in model.instances() {
        state.reconciler.described[instance] = ecs::describe(model, state, instance);
    }
    let ended = |index: &usize| {
        state.reconciler.placed_before & (1 << *index) != 0
            && matches!(state.tasks[*index].run, Run::Stopped | Run::Forgotten)
    };
    state.reconciler.ended = model.tasks().filter(ended).fold(0, |set, index| set | 1 << index);
    state.reconciler.step = ReconcilerStep::Correct;
}

fn correct(model: &Model, state: &mut State) {
    let Reconciler {
        placed_before,
        described,
        ended,
        ..
    } = state.reconciler;
    let mut corrected = false;
    for instance in model.instances() {
        let source = Source::Described {
            placed_before,
            unchanged: state.reconciler.unchanged & (1 << instance) != 0,
        };
        corrected |= observe(model, state, instance, described[instance], source).is_change();
    }
    for index in model.tasks().filter(|index| ended & (1 << *index) != 0) {
        if matches!(
            state.tasks[index].progress,
            Progress::Reserved | Progress::Started | Progress::Doubt
        ) {
            advance(state, index, Progress::Ended, None);
        }
        let run = (state.tasks[index].run_attempt, state.tasks[index].run_instance);
        corrected |= release(model, state, index, run, Ended::ByReport, None);
    }
    state.reconciler.placed_before = 0;
    state.reconciler.ended = 0;
    state.reconciler.unchanged = 0;
    state.reconciler.described = [Report::default(); INSTANCES];
    state.reconciler.corrected = corrected;
    state.reconciler.step = if corrected {
        ReconcilerStep::ReadAttention
    } else {
        ReconcilerStep::LookAfterWaiting
    };
}

fn read_attention(_: &Model, state: &mut State) {
    state.reconciler.step = match state.cluster.attention {
        Attention::Idle => ReconcilerStep::LookAfterWaiting,
        Attention::Asleep => ReconcilerStep::Wake,
        Attention::Awake => ReconcilerStep::Count,
    };
}

fn count(_: &Model, state: &mut State) {
    state.reconciler.step = if state.bump() == Attention::Asleep {
        ReconcilerStep::Wake
    } else {
        ReconcilerStep::LookAfterWaiting
    };
}

fn wake(_: &Model, state: &mut State) {
    state.send_wake();
    state.reconciler.step = ReconcilerStep::LookAfterWaiting;
}

/// Wakes the admitter when somebody waits or a launch is unresolved, and nobody has the turn, whatever the
/// cluster believes about being awake.
fn look_after_waiting(model: &Model, state: &mut State) {
    let waits = model.tasks().any(|index| state.tasks[index].entry);
    let wanted = waits || state.reconciler.unresolved;
    state.reconciler = Reconciler::default();
    if wanted && state.cluster.turn == Turn::Free {
        state.bump();
        state.reconciler.step = ReconcilerStep::WakeWaiting;
    }
}

fn wake_waiting(_: &Model, state: &mut State) {
    state.send_wake();
    state.reconciler = Reconciler::default();
}
