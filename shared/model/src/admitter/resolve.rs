//! Reservations whose launch has no recorded answer are brought to a definite end.

use super::wave::{self, take_in_hand};
use super::{Outcome, finish_pass};
use crate::action::{Actor, Successors};
use crate::ecs;
use crate::records::{advance, place, release};
use crate::state::{PassEnd, Progress, Run, State, Step, Wave};
use crate::world::{Model, Mutation};

/// Resolves the first open reservation. Whether an earlier call can still arrive is a question of time, so
/// both answers are possible as long as somebody may still be about to send one.
pub(super) fn steps(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    let index = state.admitters[by].open.trailing_zeros() as usize;
    let task = &state.tasks[index];
    let others_may_send = state
        .admitters
        .iter()
        .enumerate()
        .any(|(other, it)| other != by && it.wave[index] == Wave::Reserved && !it.too_late);
    let on_its_way = task.delayed_attempt != 0;
    if others_may_send || on_its_way {
        let what = "resolve a reservation while an earlier call can arrive";
        out.add(state, actor, what, index, |next| {
            resolve(model, next, by, index, false)
        });
    }
    if !on_its_way {
        let what = "resolve a reservation, no earlier call can arrive";
        out.add(state, actor, what, index, |next| {
            if task.progress == Progress::Reserved {
                for (other, it) in next.admitters.iter_mut().enumerate() {
                    it.too_late |= other != by && it.wave[index] == Wave::Reserved;
                }
            }
            resolve(model, next, by, index, true)
        });
    }
}

fn resolve(model: &Model, state: &mut State, by: usize, index: usize, earlier_over: bool) -> Outcome {
    state.admitters[by].open &= !(1 << index);
    let task = &state.tasks[index];
    match task.progress {
        Progress::Reserved if task.old && !model.has(Mutation::NoTokenAge) => {
            state.admitters[by].task = u8::try_from(index).unwrap_or(u8::MAX);
            state.admitters[by].step = Step::LookUp;
        }
        Progress::Reserved if task.refused && !earlier_over => next_one(model, state, by, PassEnd::Open),
        Progress::Reserved if !state.admitters[by].fence_holds => {
            next_one(model, state, by, PassEnd::TurnLost);
        }
        Progress::Reserved => {
            advance(state, index, Progress::Reserved, Some(by));
            take_in_hand(state, by, index);
            let admitter = &mut state.admitters[by];
            admitter.resolving = true;
            admitter.earlier_over = earlier_over;
            admitter.step = Step::Launch;
        }
        Progress::Started => {
            place(model, state, index, Some(by));
            next_one(model, state, by, PassEnd::Again);
        }
        _ => {
            release(state, index, Some(by));
            next_one(model, state, by, PassEnd::Again);
        }
    }
    Ok(())
}

/// Goes on with the next open reservation, or with the pass.
pub(super) fn next_one(model: &Model, state: &mut State, by: usize, end: PassEnd) {
    let admitter = &mut state.admitters[by];
    if admitter.end != PassEnd::Later && end != PassEnd::Open {
        admitter.end = end;
    }
    admitter.resolving = false;
    admitter.earlier_over = false;
    admitter.unsettled = PassEnd::Open;
    admitter.task = 0;
    if admitter.open != 0 {
        admitter.step = Step::Resolve;
    } else if admitter.end == PassEnd::Open {
        wave::plan(model, state, by);
    } else {
        let end = admitter.end;
        finish_pass(model, state, by, end);
    }
}

/// The token may be forgotten: the tasks on the instance are listed and described, and what is found is
/// recorded. A task that cannot be found may have run: it is in doubt.
pub(super) fn look_up(_: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let task = &state.tasks[index];
    if task.progress == Progress::Reserved {
        let found = task.run_attempt == task.attempt;
        let progress = match task.run {
            Run::Live if found => Progress::Started,
            Run::Stopped if found => Progress::Ended,
            _ => Progress::Doubt,
        };
        if progress == Progress::Doubt {
            release(state, index, Some(by));
        }
        advance(state, index, progress, Some(by));
    }
    state.admitters[by].step = Step::Adopt;
    Ok(())
}

/// The reservation follows the record, and the waiting entry goes.
pub(super) fn adopt(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    match state.tasks[index].progress {
        Progress::Started => {
            place(model, state, index, Some(by));
        }
        Progress::Ended => {
            release(state, index, Some(by));
        }
        _ => {}
    }
    state.tasks[index].entry = false;
    next_one(model, state, by, PassEnd::Again);
    Ok(())
}

/// A call that nobody waits for any more arrives.
pub(crate) fn deliver_delayed(model: &Model, state: &mut State, index: usize) -> Outcome {
    let (attempt, instance) = (
        state.tasks[index].delayed_attempt,
        state.tasks[index].delayed_instance,
    );
    state.tasks[index].delayed_attempt = 0;
    state.tasks[index].delayed_instance = 0;
    ecs::run_task(model, state, index, attempt, usize::from(instance)).map(|_answer| ())
}
