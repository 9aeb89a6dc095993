//! Messages come in: a submission is stored, and announced unless somebody ahead of it already waits.

use super::{Outcome, take_turn};
use crate::action::{Actor, Successors};
use crate::state::{Admitter, Attention, Message, Progress, State, Step, Submission};
use crate::world::{Model, Mutation};

/// A message is received and its first call made: nothing is lost by taking both as one step, because a
/// message in hand without an effect is as good as one in the queue.
pub(super) fn receive(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    // Idle invocations are alike: only the first one starts.
    let first_idle = state.admitters.iter().position(|it| it.step == Step::Idle);
    if first_idle != Some(by) || by >= model.world.admitters {
        return;
    }
    if state.cluster.wakes > 0 {
        out.add(state, actor, "receive a wake message, take the turn", 0, |next| {
            next.cluster.wakes -= 1;
            next.admitters[by].message = Message::Wake;
            take_turn(model, next, by)
        });
    }
    for index in model
        .tasks()
        .filter(|&index| state.tasks[index].submission == Submission::Queued)
    {
        out.add(
            state,
            actor,
            "receive a submission, put the task's record",
            index,
            |next| {
                put_task(next, by, index);
                Ok(())
            },
        );
    }
}

/// Puts a task's record unless it is there.
fn put_task(state: &mut State, by: usize, index: usize) {
    let number = u8::try_from(index).unwrap_or(u8::MAX);
    let task = &mut state.tasks[index];
    task.submission = Submission::InHand;
    if task.progress == Progress::Absent {
        task.progress = Progress::Waiting;
    }
    let waits = task.progress == Progress::Waiting;
    let admitter = &mut state.admitters[by];
    admitter.message = Message::Submission(number);
    admitter.task = number;
    admitter.step = if waits { Step::Enqueue } else { Step::TakeTurn };
}

pub(super) fn enqueue(_: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    state.tasks[index].entry = true;
    state.admitters[by].step = Step::LookAhead;
    Ok(())
}

/// Behind a higher rank of the same demand there is nothing to announce: while that one waits there is no
/// room for this one either, and whoever starts it looks at the lane again. Taking the turn, or counting
/// where another one has it, is the announcement.
pub(super) fn look_ahead(model: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    let ahead = |other: &usize| {
        let before = *other < index || (*other > index && model.has(Mutation::JoinBehindAnybody));
        before && model.demand(*other) == model.demand(index) && state.tasks[*other].entry
    };
    if model.tasks().any(|other| ahead(&other)) {
        done(state, by);
    } else {
        state.admitters[by].step = Step::TakeTurn;
    }
    Ok(())
}

/// Another one has the turn. If it has ended before it could see that this was counted, nobody is at work
/// any more: the turn must be tried again.
pub(super) fn count_loss(model: &Model, state: &mut State, by: usize) -> Outcome {
    if state.bump() == Attention::Awake || model.has(Mutation::LateCount) {
        done(state, by);
    } else {
        state.admitters[by].step = Step::TakeTurn;
    }
    Ok(())
}

/// The invocation ends well: its message is deleted.
pub(super) fn done(state: &mut State, by: usize) {
    if let Message::Submission(index) = state.admitters[by].message {
        state.tasks[usize::from(index)].submission = Submission::Done;
    }
    state.admitters[by] = Admitter::default();
}
