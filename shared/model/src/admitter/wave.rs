//! Decide, launch, settle.

use super::end::{finish_pass, finish_wave};
use super::{Outcome, reserve, resolve};
use crate::action::{Actor, Successors};
use crate::ecs::{self, Answer};
use crate::records::{Ended, Source, advance, observe, place, placed, release};
use crate::state::{Asked, PassEnd, Progress, State, Step, Wave};
use crate::world::{Model, Mutation};

/// Decides, in rank order, who goes where. Which of several instances is best depends on all that is known
/// of them, so the second invocation may prefer another one than the first.
pub(super) fn plan(model: &Model, state: &mut State, by: usize) {
    let admitter = &mut state.admitters[by];
    let candidates = admitter.waiting & !admitter.under_way;
    for index in model.tasks().filter(|index| candidates & (1 << *index) != 0) {
        let need = model.demand(index);
        let fits =
            |instance: &usize| admitter.closed & (1 << *instance) == 0 && admitter.room[*instance] >= need;
        let mut fitting = model.instances().filter(fits);
        let chosen = if by == 0 {
            fitting.next()
        } else {
            fitting.next_back()
        };
        if let Some(instance) = chosen {
            admitter.room[instance] -= need;
            admitter.wave[index] = Wave::Planned(u8::try_from(instance).unwrap_or(u8::MAX));
        }
    }
    admitter.room = Default::default();
    admitter.under_way = 0;
    if admitter.wave.iter().any(|wave| *wave != Wave::No) {
        reserve::aim(state, by);
    } else {
        finish_pass(model, state, by, PassEnd::Complete);
    }
}

/// Sends the next RunTask call.
pub(super) fn launch(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    let admitter = &state.admitters[by];
    let Some(index) = admitter.wave.iter().position(|wave| *wave == Wave::Reserved) else {
        return;
    };
    if admitter.too_late && !model.has(Mutation::SendLate) {
        out.add(state, actor, "too late to call RunTask", index, |next| {
            answered(next, by, index, Wave::NoAnswer);
            Ok(())
        });
        return;
    }
    let (attempt, pin) = admitter.reserved[index];
    let instance = usize::from(pin);
    out.add(state, actor, "RunTask", index, |next| {
        let answer = ecs::run_task(model, next, index, attempt, instance)?;
        let wave = if answer == Answer::Placed {
            Wave::Placed
        } else {
            Wave::Refused
        };
        answered(next, by, index, wave);
        Ok(())
    });
    if state.faults_left.lost_replies > 0 {
        out.add(
            state,
            Actor::Fault,
            "RunTask takes effect, its answer is lost",
            index,
            |next| {
                next.faults_left.lost_replies -= 1;
                ecs::run_task(model, next, index, attempt, instance)?;
                answered(next, by, index, Wave::NoAnswer);
                Ok(())
            },
        );
    }
    if state.faults_left.delayed_calls > 0 && state.tasks[index].delayed_attempt == 0 {
        out.add(
            state,
            Actor::Fault,
            "RunTask is under way for long",
            index,
            |next| {
                next.faults_left.delayed_calls -= 1;
                next.tasks[index].delayed_attempt = attempt;
                next.tasks[index].delayed_instance = pin;
                answered(next, by, index, Wave::NoAnswer);
                Ok(())
            },
        );
    }
}

fn answered(state: &mut State, by: usize, index: usize, wave: Wave) {
    let admitter = &mut state.admitters[by];
    admitter.wave[index] = wave;
    if !admitter.wave.contains(&Wave::Reserved) {
        admitter.step = Step::Settle;
        admitter.too_late = false;
    }
}

/// Writes down the next thing that the answers of the wave lead to: first every task's record, then the
/// capacity records, and last the waiting entries go, so that whatever a crash leaves open is still found.
pub(super) fn settle_next(model: &Model, state: &mut State, by: usize) -> Outcome {
    let recorded = [Wave::No, Wave::StartRecorded, Wave::RoomRecorded];
    let of = |state: &State, wanted: Wave| state.admitters[by].wave.iter().position(|wave| *wave == wanted);
    if let Some(index) = state.admitters[by]
        .wave
        .iter()
        .position(|wave| !recorded.contains(wave))
    {
        match state.admitters[by].wave[index] {
            Wave::Placed => record_start(model, state, by, index),
            Wave::Refused => refused(model, state, by, index),
            Wave::Requeued => {
                let (_, instance) = state.admitters[by].reserved[index];
                state.admitters[by].asked.instance = instance;
                state.admitters[by].step = Step::ReadRefusing;
                came_to(state, by, index, PassEnd::Again);
            }
            _ => came_to(state, by, index, PassEnd::Later),
        }
    } else if let Some(index) = of(state, Wave::StartRecorded) {
        record_room(model, state, by, index);
    } else if let Some(index) = of(state, Wave::RoomRecorded) {
        state.tasks[index].entry = false;
        state.admitters[by].wave[index] = Wave::No;
    }
    end_of_wave(model, state, by);
    Ok(())
}

fn came_to(state: &mut State, by: usize, index: usize, end: PassEnd) {
    let admitter = &mut state.admitters[by];
    admitter.wave[index] = Wave::No;
    admitter.unsettled = admitter.unsettled.max(end);
}

/// The task's record: started, unless somebody has changed it meanwhile.
fn record_start(model: &Model, state: &mut State, by: usize, index: usize) {
    let in_hand_is_stored = state.admitters[by].fresh_tasks & (1 << index) != 0;
    let (attempt, instance) = state.admitters[by].reserved[index];
    let expected = if model.has(Mutation::LaunchUnrecorded) {
        Progress::Waiting
    } else {
        Progress::Reserved
    };
    if in_hand_is_stored && state.tasks[index].progress == expected {
        state.tasks[index].attempt = attempt;
        state.tasks[index].instance = instance;
        advance(state, index, Progress::Started, Some(by));
    }
    state.admitters[by].wave[index] = Wave::StartRecorded;
}

/// The capacity record of one instance: all attempts that were placed there, in one write.
fn record_room(model: &Model, state: &mut State, by: usize, first: usize) {
    let (_, instance) = state.admitters[by].reserved[first];
    for index in model.tasks() {
        let reserved = state.admitters[by].reserved[index];
        if state.admitters[by].wave[index] == Wave::StartRecorded && reserved.1 == instance {
            place(model, state, index, reserved, Some(by));
            state.admitters[by].wave[index] = Wave::RoomRecorded;
        }
    }
}

fn refused(model: &Model, state: &mut State, by: usize, index: usize) {
    let admitter = &state.admitters[by];
    let in_hand_is_stored = admitter.fresh_tasks & (1 << index) != 0;
    let definite = !admitter.resolving || admitter.earlier_over || model.has(Mutation::RequeueAtOnce);
    if !definite {
        if in_hand_is_stored {
            state.tasks[index].refused = true;
            advance(state, index, Progress::Reserved, Some(by));
        }
        state.admitters[by].wave[index] = Wave::No;
        resolve::next_one(model, state, by, PassEnd::Open);
        return;
    }
    if in_hand_is_stored {
        let reserved = state.admitters[by].reserved[index];
        let held_room = release(model, state, index, reserved, Ended::Never, Some(by));
        if model.has(Mutation::ReleaseFirst) && held_room {
            return;
        }
        advance(state, index, Progress::Waiting, Some(by));
    }
    let admitter = &mut state.admitters[by];
    let (_, instance) = admitter.reserved[index];
    admitter.closed |= 1 << instance;
    admitter.wave[index] = Wave::Requeued;
}

/// Reads the record of the instance that refused a task, before ECS is asked about it.
pub(super) fn read_refusing(model: &Model, state: &mut State, by: usize) -> Outcome {
    state.admitters[by].asked = Asked {
        placed_before: placed(model, state),
        unchanged: true,
        ..state.admitters[by].asked
    };
    state.admitters[by].step = Step::DescribeRefusing;
    Ok(())
}

pub(super) fn describe_refusing(model: &Model, state: &mut State, by: usize) -> Outcome {
    let instance = usize::from(state.admitters[by].asked.instance);
    state.admitters[by].asked.described = ecs::describe(model, state, instance);
    state.admitters[by].step = Step::RecordRefusing;
    Ok(())
}

pub(super) fn record_refusing(model: &Model, state: &mut State, by: usize) -> Outcome {
    let asked = std::mem::take(&mut state.admitters[by].asked);
    let source = Source::Described {
        placed_before: asked.placed_before,
        unchanged: asked.unchanged,
    };
    observe(model, state, usize::from(asked.instance), asked.described, source);
    state.admitters[by].step = Step::Settle;
    end_of_wave(model, state, by);
    Ok(())
}

/// When everything is written down, the wave is over.
fn end_of_wave(model: &Model, state: &mut State, by: usize) {
    let admitter = &mut state.admitters[by];
    if admitter.step != Step::Settle || admitter.wave.iter().any(|wave| *wave != Wave::No) {
        return;
    }
    let unsettled = admitter.unsettled;
    admitter.unsettled = PassEnd::Open;
    if admitter.resolving {
        let end = if unsettled == PassEnd::Open {
            PassEnd::Again
        } else {
            unsettled
        };
        resolve::next_one(model, state, by, end);
        return;
    }
    let interrupted = admitter.end;
    let end = match (unsettled, interrupted) {
        (PassEnd::Open, PassEnd::Open) => PassEnd::Complete,
        (PassEnd::Open, interrupted) => interrupted,
        (unsettled, _) => unsettled,
    };
    finish_wave(model, state, by, end);
}
