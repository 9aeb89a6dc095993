//! How a pass and a cycle end.

use super::Outcome;
use super::intake::done;
use crate::state::{Attention, Message, PassEnd, State, Step, Turn};
use crate::world::{Model, Mutation};

/// A pass has ended.
pub(super) fn finish_pass(model: &Model, state: &mut State, by: usize, end: PassEnd) {
    let admitter = &mut state.admitters[by];
    // An instance that refused a task was left out: whoever is held may fit there, and no news may come.
    let left_out = end == PassEnd::Complete && admitter.closed != 0 && !model.has(Mutation::ForgetClosed);
    admitter.end = if left_out { PassEnd::Later } else { end };
    admitter.step = match admitter.end {
        PassEnd::Open | PassEnd::Again => Step::BeginPass,
        PassEnd::Later => Step::HandBack,
        PassEnd::Complete => Step::EndCycle,
    };
}

/// A pass has ended that started somebody. Whoever came in behind them announced nothing.
pub(super) fn finish_wave(model: &Model, state: &mut State, by: usize, end: PassEnd) {
    finish_pass(model, state, by, end);
    if state.admitters[by].step == Step::EndCycle && !model.has(Mutation::NoSecondLook) {
        state.admitters[by].step = Step::SecondLook;
    }
    if model.has(Mutation::IdleAfterStart) {
        state.admitters[by].somebody_waits = false;
    }
}

/// Reads the front of every lane: the highest-ranked entry of each demand. One that this pass has not
/// loaded makes it look again.
pub(super) fn second_look(model: &Model, state: &mut State, by: usize) -> Outcome {
    let is_front = |index: &usize| {
        let ahead = |other: usize| state.tasks[other].entry && model.demand(other) == model.demand(*index);
        state.tasks[*index].entry && !(0..*index).any(ahead)
    };
    let loaded = state.admitters[by].waiting;
    let fronts = model
        .tasks()
        .filter(is_front)
        .fold(0, |set, index| set | 1 << index);
    let admitter = &mut state.admitters[by];
    admitter.somebody_waits = fronts != 0 && !model.has(Mutation::IdleAfterStart);
    admitter.step = if fronts & !loaded == 0 {
        Step::EndCycle
    } else {
        Step::BeginPass
    };
    Ok(())
}

/// One write ends a complete cycle: the turn is free, and the attention is what the last look at the lanes
/// saw. It depends on the epoch and on the generation that the last pass began with.
pub(super) fn end_cycle(model: &Model, state: &mut State, by: usize) -> Outcome {
    let admitter = &mut state.admitters[by];
    if model.has(Mutation::EndInTwoWrites) {
        free_turn(state, by);
        state.admitters[by].step = Step::FallAsleep;
        return Ok(());
    }
    if !admitter.epoch_holds {
        // Another one has the turn by now.
        admitter.step = Step::WakeLater;
    } else if admitter.moved && !model.has(Mutation::SleepUnconditionally) {
        admitter.step = Step::BeginPass;
    } else {
        free_turn(state, by);
        rest(state, by);
    }
    Ok(())
}

/// Nobody is at work any more.
fn rest(state: &mut State, by: usize) {
    state.cluster.attention = if state.admitters[by].somebody_waits {
        Attention::Asleep
    } else {
        Attention::Idle
    };
    done(state, by);
}

/// The mistake's second write: it looks at the generation, but not at whose turn it is by now.
pub(super) fn fall_asleep(_: &Model, state: &mut State, by: usize) -> Outcome {
    if state.admitters[by].moved {
        state.admitters[by].step = Step::TakeTurn;
    } else {
        rest(state, by);
    }
    Ok(())
}

fn free_turn(state: &mut State, by: usize) {
    if state.cluster.turn == Turn::Held(u8::try_from(by).unwrap_or(u8::MAX)) {
        state.cluster.turn = Turn::Free;
    }
}

pub(super) fn hand_back(_: &Model, state: &mut State, by: usize) -> Outcome {
    free_turn(state, by);
    state.admitters[by].step = Step::WakeLater;
    Ok(())
}

pub(super) fn wake_later(_: &Model, state: &mut State, by: usize) -> Outcome {
    state.send_wake();
    done(state, by);
    Ok(())
}

/// A call failed. The submission is stored, so its message is done and a wake message goes on; a wake
/// message comes again by itself.
pub(super) fn give_up(_: &Model, state: &mut State, by: usize) -> Outcome {
    free_turn(state, by);
    if state.admitters[by].message != Message::None {
        state.send_wake();
    }
    done(state, by);
    Ok(())
}
