//! Reserve: two conditional writes, the capacity record's first.
//!
//! A crash between them leaves room reserved that no task knows of, which the next pass finds. The other way
//! round, a task would be reserved and nothing would tell of it.

use super::Outcome;
use super::end::finish_pass;
use crate::action::{Actor, Successors};
use crate::property::Violation;
use crate::records::{self, Ended, release};
use crate::state::{PassEnd, Progress, State, Step, Wave};
use crate::world::{Model, Mutation};

/// Refusals are remembered as one bit for each attempt.
const ATTEMPTS_MAX: u8 = 7;

/// Aims at the first planned task.
pub(super) fn aim(state: &mut State, by: usize) {
    let admitter = &mut state.admitters[by];
    let planned = |wave: &Wave| matches!(wave, Wave::Planned(_));
    match admitter.wave.iter().position(planned) {
        Some(index) => {
            admitter.task = u8::try_from(index).unwrap_or(u8::MAX);
            admitter.step = Step::ReadTask;
        }
        None => admitter.step = Step::Launch,
    }
}

/// Reads the record of the next planned task. Its revision is what the second write depends on.
pub(super) fn read_task(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let Wave::Planned(instance) = state.admitters[by].wave[index] else {
        return Ok(());
    };
    let task = &state.tasks[index];
    match task.progress {
        Progress::Waiting => {
            let same = model.has(Mutation::SameAttemptNumber) && task.attempt > 0;
            let attempt = task.attempt + u8::from(!same);
            if attempt > ATTEMPTS_MAX {
                return Err(Violation::ModelTooSmall);
            }
            let admitter = &mut state.admitters[by];
            admitter.fresh_tasks |= 1 << index;
            admitter.reserved[index] = (attempt, instance);
            admitter.step = if model.has(Mutation::TaskFirst) {
                Step::ReserveTask
            } else {
                Step::ReserveRoom
            };
        }
        // Another cycle is launching it: if it is refused there, it needs its entry.
        Progress::Reserved if !model.has(Mutation::ReservedIsOrphan) => {
            interrupt(model, state, by, PassEnd::Again);
        }
        _ => state.admitters[by].step = Step::RemoveOrphan,
    }
    Ok(())
}

/// The first write: the capacity record.
pub(super) fn reserve_room(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    let index = usize::from(state.admitters[by].task);
    let reserved = state.admitters[by].reserved[index];
    let in_hand_is_stored = state.admitters[by].fresh_instances & (1 << reserved.1) != 0;
    if !in_hand_is_stored && !model.has(Mutation::IgnoreRevisions) {
        out.add(state, actor, "the capacity record has moved", index, |next| {
            interrupt(model, next, by, PassEnd::Again);
            Ok(())
        });
        return;
    }
    out.add(
        state,
        actor,
        "reserve room in the capacity record",
        index,
        |next| {
            records::reserve_room(model, next, index, reserved, by)?;
            match model.mutation {
                Some(Mutation::LaunchUnrecorded) => {
                    next.admitters[by].wave[index] = Wave::Reserved;
                    aim(next, by);
                }
                Some(Mutation::TaskFirst) => {
                    take_in_hand(next, by, index);
                    aim(next, by);
                }
                _ => next.admitters[by].step = Step::ReserveTask,
            }
            Ok(())
        },
    );
    if state.faults_left.lost_replies > 0 {
        let what = "room is reserved, the answer is lost, the repeated write is refused";
        out.add(state, Actor::Fault, what, index, |next| {
            next.faults_left.lost_replies -= 1;
            records::reserve_room(model, next, index, reserved, by)?;
            interrupt(model, next, by, PassEnd::Again);
            Ok(())
        });
    }
}

/// The second write: the task's record.
pub(super) fn reserve_task(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    let index = usize::from(state.admitters[by].task);
    let reserved = state.admitters[by].reserved[index];
    let in_hand_is_stored = state.admitters[by].fresh_tasks & (1 << index) != 0;
    if !in_hand_is_stored && !model.has(Mutation::IgnoreRevisions) {
        out.add(state, actor, "the task's record has moved", index, |next| {
            next.admitters[by].step = Step::TakeBack;
            Ok(())
        });
        return;
    }
    out.add(state, actor, "reserve in the task's record", index, |next| {
        records::reserve_task(model, next, index, reserved, by)?;
        if model.has(Mutation::TaskFirst) {
            next.admitters[by].step = Step::ReserveRoom;
        } else {
            take_in_hand(next, by, index);
            aim(next, by);
        }
        Ok(())
    });
    if state.faults_left.lost_replies > 0 {
        let what = "the task's record is written, the answer is lost, the repeated write is refused";
        out.add(state, Actor::Fault, what, index, |next| {
            next.faults_left.lost_replies -= 1;
            records::reserve_task(model, next, index, reserved, by)?;
            if model.has(Mutation::TakeBackOwn) {
                next.admitters[by].step = Step::TakeBack;
            } else {
                // The refusal shows the record that is there. Nobody else can have reserved this attempt on
                // this instance, so it is this one's own.
                take_in_hand(next, by, index);
                aim(next, by);
            }
            Ok(())
        });
    }
}

/// The room is of no use without the task.
pub(super) fn take_back(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let reserved = state.admitters[by].reserved[index];
    release(model, state, index, reserved, Ended::Never, Some(by));
    interrupt(model, state, by, PassEnd::Again);
    Ok(())
}

/// A reserved task is in hand, ready to be launched.
pub(super) fn take_in_hand(state: &mut State, by: usize, index: usize) {
    let task = &state.tasks[index];
    state.admitters[by].wave[index] = Wave::Reserved;
    state.admitters[by].reserved[index] = (task.attempt, task.instance);
}

pub(super) fn remove_orphan(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    state.tasks[index].entry = false;
    interrupt(model, state, by, PassEnd::Again);
    Ok(())
}

/// A reservation did not go as planned: nothing more is reserved, what is reserved is launched.
fn interrupt(model: &Model, state: &mut State, by: usize, end: PassEnd) {
    let admitter = &mut state.admitters[by];
    for wave in &mut admitter.wave {
        if matches!(wave, Wave::Planned(_)) {
            *wave = Wave::No;
        }
    }
    admitter.end = end;
    if admitter.wave.contains(&Wave::Reserved) {
        admitter.step = Step::Launch;
    } else {
        finish_pass(model, state, by, end);
    }
}
