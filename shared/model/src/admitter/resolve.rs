//! Reservations whose launch has no recorded answer are brought to a definite end.

use super::end::finish_pass;
use super::reserve::take_in_hand;
use super::{Outcome, wave};
use crate::action::{Actor, Successors};
use crate::ecs;
use crate::records::{Ended, advance, place, release};
use crate::state::{Admitter, PassEnd, Progress, Run, State, Step, Wave};
use crate::world::{Model, Mutation};

/// An open reservation in hand: room for an attempt of a task on an instance.
#[derive(Clone, Copy, Debug)]
struct Open {
    index: usize,
    attempt: u8,
    instance: u8,
}

fn first_open(admitter: &Admitter) -> Option<Open> {
    let all = admitter.open.iter().enumerate().flat_map(|(index, attempts)| {
        attempts.iter().enumerate().map(move |(instance, attempt)| Open {
            index,
            attempt: *attempt,
            instance: u8::try_from(instance).unwrap_or(u8::MAX),
        })
    });
    all.into_iter().find(|open| open.attempt != 0)
}

pub(super) fn is_anything_open(admitter: &Admitter) -> bool {
    first_open(admitter).is_some()
}

/// Resolves the first open reservation. Whether an earlier call can still arrive is a question of time, so
/// both answers are possible as long as somebody may still be about to send one.
pub(super) fn steps(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    let Some(open) = first_open(&state.admitters[by]) else {
        return;
    };
    let index = open.index;
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
            resolve(model, next, by, open, false)
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
            resolve(model, next, by, open, true)
        });
    }
}

fn resolve(model: &Model, state: &mut State, by: usize, open: Open, earlier_over: bool) -> Outcome {
    let (index, reserved) = (open.index, (open.attempt, open.instance));
    let task = &state.tasks[index];
    let here = task.instance == open.instance || model.has(Mutation::AnyInstance);
    let own = here && task.attempt == open.attempt;
    let admitter = &mut state.admitters[by];
    admitter.open[index][usize::from(open.instance)] = 0;
    match task.progress {
        Progress::Reserved if own && task.old && !model.has(Mutation::NoTokenAge) => {
            admitter.task = u8::try_from(index).unwrap_or(u8::MAX);
            admitter.step = Step::LookUp;
        }
        Progress::Reserved if own && task.refused && !earlier_over => {
            next_one(model, state, by, PassEnd::Open);
        }
        Progress::Reserved if own => {
            advance(state, index, Progress::Reserved, Some(by));
            take_in_hand(state, by, index);
            let admitter = &mut state.admitters[by];
            admitter.resolving = true;
            admitter.earlier_over = earlier_over;
            admitter.step = Step::Launch;
        }
        Progress::Started if own => {
            place(model, state, index, reserved, Some(by));
            next_one(model, state, by, PassEnd::Again);
        }
        // Its holder died before it wrote the task's record, or is only paused and may still write it.
        Progress::Waiting if task.attempt < open.attempt && !model.has(Mutation::ReleaseUnstruck) => {
            admitter.fresh_tasks |= 1 << index;
            admitter.task = u8::try_from(index).unwrap_or(u8::MAX);
            admitter.reserved[index] = reserved;
            admitter.step = Step::Strike;
        }
        // The attempt is over, or has its room elsewhere: nobody can launch it here any more.
        _ => {
            // Whoever recorded its end may have died before its room was given back.
            let ended = if task.progress == Progress::Ended && !model.has(Mutation::EndUntold) {
                Ended::ByReport
            } else {
                Ended::Never
            };
            release(model, state, index, reserved, ended, Some(by));
            next_one(model, state, by, PassEnd::Again);
        }
    }
    Ok(())
}

/// The orphaned attempt's number is used up: a paused holder's write depends on the record before this one.
pub(super) fn strike(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let in_hand_is_stored = state.admitters[by].fresh_tasks & (1 << index) != 0;
    if in_hand_is_stored || model.has(Mutation::IgnoreRevisions) {
        let (attempt, _) = state.admitters[by].reserved[index];
        state.tasks[index].attempt = attempt;
        advance(state, index, Progress::Waiting, Some(by));
        state.admitters[by].step = Step::ReleaseOrphan;
    } else {
        next_one(model, state, by, PassEnd::Again);
    }
    Ok(())
}

pub(super) fn release_orphan(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let reserved = state.admitters[by].reserved[index];
    release(model, state, index, reserved, Ended::Never, Some(by));
    next_one(model, state, by, PassEnd::Again);
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
    if is_anything_open(admitter) {
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
pub(super) fn look_up(model: &Model, state: &mut State, by: usize) -> Outcome {
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
            release(
                model,
                state,
                index,
                (task.attempt, task.instance),
                Ended::Never,
                Some(by),
            );
        }
        advance(state, index, progress, Some(by));
    }
    state.admitters[by].step = Step::Adopt;
    Ok(())
}

/// The reservation follows the record, and the waiting entry goes.
pub(super) fn adopt(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let task = &state.tasks[index];
    let found = (task.run_attempt, task.run_instance);
    match task.progress {
        Progress::Started => {
            place(model, state, index, found, Some(by));
        }
        Progress::Ended => {
            release(model, state, index, found, Ended::ByReport, Some(by));
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
